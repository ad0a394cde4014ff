// What the sources share: loading an object and attaching its hooks, each with a report of how it went.
#pragma once

#include "source.h"

#include <bpf/libbpf.h>

// One place to listen. A cheaper attach point for the same hook is another program in the same object,
// tried before this one.
struct hook {
    const char *name;         // what is watched: "openat"
    const char *program;      // in the object
    const char *attach_point; // as the person who runs `agent doctor` reads it
    bool optional;            // the source does without it
    bool unfit;               // its program is not for this kernel and is never loaded
    bool wanted;
    // NULL: by the program's own section name. Else 0 or a negative errno.
    int (*attach)(struct bpf_program *program, const struct hook *hook, struct bpf_link **ret_link);
    // Set for calls of 32-bit callers instead of an attach point of its own: their numbers.
    const uint16_t *compat;
    size_t compat_count;
};

// What is attached, by position in the source's hooks, which are the same ones each time.
struct hooks {
    struct bpf_link *links[SOURCE_HOOKS_MAX];
    uint16_t compat[SOURCE_COMPAT_MAX];
    size_t compat_count;
    const struct bpf_object *object; // borrowed while anything is attached
};

// Keeps libbpf's own words for the reason of a failure instead of printing them.
void hook_capture_libbpf(void);

// Gives an opened object the shared maps, switches off the programs that no hook names or that are unfit, and
// loads it. 0, or a negative errno and the reason in the report.
int hook_load(struct bpf_object_skeleton *skeleton, const struct source_env *env, const struct hook *hooks,
              size_t count, struct source_report *ret_report);

// Attaches those wanted hooks of a loaded object that are not attached yet, then detaches those that are
// wanted no more. A failed optional hook is only reported. Where another one fails, or all that are wanted,
// all are detached, the reason is set and the error returned.
int hook_update(struct bpf_object *object, const struct hook *hooks, size_t count, struct hooks *attached,
                struct source_report *ret_report);
void hook_detach_all(struct hooks *attached);

// Says in the report why loading failed, in one line, and returns `error`.
int hook_load_failed(int error, struct source_report *ret_report);

// How many 32-bit calls sources watch by now.
size_t hook_compat_count(void);

// Sees to it that the next two can be called when all but CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN is given up.
void hook_keep_attaching(void);

// To "tracepoint/category/event", whether or not tracefs is mounted.
int hook_attach_tracepoint(struct bpf_program *program, const struct hook *hook, struct bpf_link **ret_link);
// To the root of the cgroup v2 hierarchy, mounted or not.
int hook_attach_cgroup(struct bpf_program *program, const struct hook *hook, struct bpf_link **ret_link);
