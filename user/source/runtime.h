// What the sources share that probe an inference runtime: an object of which most programs are for uprobes,
// and a table of what to probe.
#pragma once

#include "hook.h"
#include "probes.h"

struct runtime {
    const struct probe_kind *const *kinds; // NULL-terminated
    const struct hook *hooks;              // its programs that are for other attach points; may be NULL
    size_t hooks_count;
    struct bpf_object_skeleton *skeleton; // opened; set by the source before runtime_start()
    struct hooks attached;
    bool up;
};

// Loads the object on the first call, attaches its hooks and has its kinds probed. On failure nothing stays
// attached, the reason is set, and the source destroys its skeleton.
int runtime_start(struct runtime *runtime, const struct source_env *env, struct source_report *ret_report);
// Takes the probes and hooks away. The source destroys its skeleton then.
void runtime_stop(struct runtime *runtime);
// For probe_kind.program.
struct bpf_program *runtime_program(const struct runtime *runtime, const char *name);
// For measures.map_fd.
int runtime_measures_fd(const struct runtime *runtime);
