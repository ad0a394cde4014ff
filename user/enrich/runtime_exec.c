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
    const char *bundle; // NULL: the directory where it runs
    const char *root;   // where the runtime keeps its notes; NULL: in the usual place
    const char *id;
};

// Where the value of an option goes that has one in the next word; NULL: it has none.
static const char **value_of(const char *option, struct order *order)
{
    // What is of no interest, but must not be taken for the command.
    static const char *const others[] = {
        "--log",      "--log-format",     "--criu",        "--rootless", "--cgroup-manager",
        "--pid-file", "--console-socket", "--preserve-fds"};
    static const char *ignored;
    if (strcmp(option, "--bundle") == 0 || strcmp(option, "-b") == 0)
        return &order->bundle;
    if (strcmp(option, "--root") == 0)
        return &order->root;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(option, others[i]) == 0)
            return &ignored;
    return NULL;
}

// The arguments, a NUL behind each; the last may have been cut off. False where it is no order.
static bool order_read(const char *args, size_t size, struct order *ret_order)
{
    struct order order = {};
    const char **value = NULL, *command = NULL, *id = NULL;
    for (size_t at = strnlen(args, size) + 1; at < size;) {
        const char *word = args + at;
        size_t length = strnlen(word, size - at);
        if (length == size - at)
            return false;
        at += length + 1;
        if (value) {
            *value = word;
            value = NULL;
        } else if (word[0] == '-') {
            value = value_of(word, &order);
            if (strncmp(word, "--bundle=", 9) == 0)
                order.bundle = word + 9;
            if (strncmp(word, "--root=", 7) == 0)
                order.root = word + 7;
        } else if (!command) {
            command = word;
        } else {
            id = word;
        }
    }
    order.id = id;
    *ret_order = order;
    return command && (strcmp(command, "create") == 0 || strcmp(command, "run") == 0) && id &&
           container_id_valid(id, strlen(id));
}

void enrich_expect_container(struct enrich *enrich, const struct process_entry *entry,
                             const struct wire_process_execve *wire, const char *args, size_t size)
{
    const struct wire_header *header = &wire->header;
    struct order order;
    // Only the node's root is believed: anybody can run a program of that name, and by a link of that name
    // one that is root by its file.
    bool root = header->uid == 0 && !(wire->exe_flags & WIRE_EXE_OTHER_USER);
    // Nor one of which only cgroups are known that may be a container's.
    bool inside = entry->process.container || (wire->cgroup_truncated && !entry->container_known);
    if (inside || !root || !is_runtime(entry->process.name) || !order_read(args, size, &order))
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

// The word behind an option, or NULL.
static const char *word_after(const char *args, size_t size, const char *option)
{
    for (size_t at = strnlen(args, size) + 1; at < size;) {
        const char *word = args + at;
        at += strnlen(word, size - at) + 1;
        // The last may have been cut off.
        if (strcmp(word, option) == 0 && at < size && memchr(args + at, '\0', size - at))
            return args + at;
    }
    return NULL;
}

void enrich_expect_kept(struct enrich *enrich, const struct process_entry *entry,
                        const struct proc_info *info)
{
    const struct process *process = &entry->process;
    const char *args = info->args;
    size_t size = info->args_size;
    // comm has room for 15 letters: containerd-shim-runc-v2 and its like.
    bool shim = strcmp(process->name, "containerd-shim") == 0, conmon = strcmp(process->name, "conmon") == 0;
    // The real user: see above.
    if (process->container || info->real_uid != 0 || (!shim && !conmon) || size == 0 || args[size - 1])
        return;
    const char *id = word_after(args, size, shim ? "-id" : "-c");
    const char *bundle = shim ? NULL : word_after(args, size, "-b");
    char cwd[PATH_MAX];
    if (shim) {
        ssize_t length = enrich_ask_cwd(enrich, entry, cwd, sizeof(cwd) - 1);
        cwd[length > 0 ? length : 0] = '\0';
        bundle = cwd;
    }
    if (id && bundle && bundle[0] == '/')
        containers_expect(enrich->containers, id, bundle, 0);
}
