#include "base/cleanup.h"
#include "base/log.h"
#include "base/privilege.h"
#include "cli.h"
#include "ring.h"
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static void say(bool good, const char *what, const char *detail)
{
    printf("  %-4s %-36s %s\n", good ? "ok" : "no", what, detail);
}

static void no_record(const struct wire_header *record, size_t size, void *context)
{
}

// What the errors of loading and attaching mean here, and what to do.
static const char *advice(const struct hook_report *hook)
{
    switch (hook->error) {
    case ENOENT:
        return "this kernel has no such tracepoint";
    case EPERM:
    case EACCES:
        return "not allowed: run as root, or the kernel is locked down";
    case ENOSYS:
    case EOPNOTSUPP:
        return "this kernel is built without it";
    default:
        return source_hook_words(hook->error);
    }
}

static void say_source(const struct source *source, const struct source_report *report)
{
    printf("\nSource %s: %s\n", source->name, report->up ? "works" : "does not work");
    if (!report->up)
        say(false, "reason", report->reason);
    if (report->up && source->cost)
        say(true, "cost", source->cost);
    for (size_t i = 0; i < report->hooks_count; i++) {
        const struct hook_report *hook = &report->hooks[i];
        char what[128];
        snprintf(what, sizeof(what), "%s%s", hook->name, hook->optional ? " (optional)" : "");
        if (hook->state == HOOK_FAILED) {
            char detail[256];
            snprintf(detail, sizeof(detail), "%s: %s", hook->attach_point, advice(hook));
            say(false, what, detail);
        } else {
            say(hook->state == HOOK_UP, what,
                hook->state == HOOK_UP ? hook->attach_point : "this kernel cannot tell it");
        }
    }
}

int cli_doctor(int argc, char **argv)
{
    if (argc > 1) {
        fprintf(argv[1][0] == '-' && strcmp(argv[1], "--help") == 0 ? stdout : stderr,
                "Usage: agent doctor\n");
        return strcmp(argv[1], "--help") == 0 ? 0 : CLI_USAGE;
    }
    struct utsname kernel;
    uname(&kernel);
    printf("Kernel %s on %s\n", kernel.release, kernel.machine);
    bool btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
    bool allowed = privilege_can_load();
    say(btf, "type information (BTF)",
        btf ? "/sys/kernel/btf/vmlinux"
            : "missing: use a kernel with CONFIG_DEBUG_INFO_BTF (Debian's have it)");
    say(allowed, "privileges", allowed ? "enough to load programs" : "missing: run sudo agent doctor");
    if (!allowed)
        return 1;

    // The real thing: everything is loaded and attached, then taken away again.
    struct ring *ring = NULL;
    int error = ring_new(1 << 16, no_record, NULL, &ring);
    say(!error, "ring buffer", error ? strerror(-error) : "shared by all sources");
    if (error)
        return 1;
    struct demand demand = {};
    struct source_report reports[WIRE_SOURCES_MAX];
    struct source_env env = {.ring_fd = ring_map_fd(ring),
                             .lost_fd = ring_lost_fd(ring),
                             .demand = &demand,
                             .host_root = "",
                             .everything = true};
    source_start_all(&env, reports);
    size_t up = 0;
    for (size_t i = 0; i < source_count(); i++) {
        say_source(source_at(i), &reports[i]);
        up += reports[i].up;
    }
    source_stop_all();
    ring_free(&ring);
    printf("\n%zu of %zu sources work on this kernel.\n", up, source_count());
    return up == source_count() ? 0 : 1;
}
