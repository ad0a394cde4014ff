// An OCI runtime that is told to make a container: "runc … create --bundle DIR … ID", and so for each runtime
// that has runc's command line, which containerd, dockerd, CRI-O and podman all use. The container is
// described then, because one that lives for some milliseconds can be gone before its first event is read.
#include "enrich_private.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

// comm has room for 15 letters. bpf's wake-up knows them too (user/source/process.c).
static const char *const runtimes[] = {"runc", "crun", "youki", "runsc", "kata-runtime"};

static bool is_runtime(const char *name)
{
    for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++)
        if (strcmp(name, runtimes[i]) == 0)
            return true;
    return false;
}

struct order {
    bool create;
    const char *bundle; // NULL: the directory where it runs
    const char *root;   // where the runtime keeps its notes; NULL: in the usual place
    const char *id;
};

// The arguments, a NUL behind each; the last may have been cut off.
static bool order_read(const char *args, size_t size, struct order *ret_order)
{
    struct order order = {};
    const char **next = NULL;
    for (size_t at = 0; at < size;) {
        const char *word = args + at;
        size_t length = strnlen(word, size - at);
        if (length == size - at)
            return false;
        at += length + 1;
        if (next)
            *next = word;
        next = strcmp(word, "--bundle") == 0 || strcmp(word, "-b") == 0 ? &order.bundle
               : strcmp(word, "--root") == 0                            ? &order.root
                                                                        : NULL;
        if (strncmp(word, "--bundle=", 9) == 0)
            order.bundle = word + 9;
        if (strncmp(word, "--root=", 7) == 0)
            order.root = word + 7;
        order.create = order.create || strcmp(word, "create") == 0 || strcmp(word, "run") == 0;
        order.id = word;
    }
    *ret_order = order;
    return order.create && order.id && container_id_valid(order.id, strlen(order.id));
}

void enrich_expect_container(struct enrich *enrich, const struct process_entry *entry,
                             const struct wire_header *header, const char *args, size_t size)
{
    struct order order;
    // Only the node's root is believed: anybody can run a program of that name.
    if (entry->process.container || header->uid != 0 || !is_runtime(entry->process.name) ||
        !order_read(args, size, &order))
        return;
    plain_add(&enrich->plains, order.id, order.root);
    char bundle[PATH_MAX], cwd[PATH_MAX] = "";
    if (!order.bundle || order.bundle[0] != '/') {
        ssize_t length = enrich_ask_cwd(enrich, entry, cwd, sizeof(cwd) - 1);
        if (length <= 0)
            return;
        cwd[length] = '\0';
    }
    int length = snprintf(bundle, sizeof(bundle), "%s%s%s", cwd, order.bundle && cwd[0] ? "/" : "",
                          order.bundle ? order.bundle : "");
    if (length > 0 && (size_t)length < sizeof(bundle))
        containers_expect(enrich->containers, order.id, bundle, header->time_ns);
}
