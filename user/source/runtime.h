// What the sources share that probe an inference runtime: an object of which most programs are for uprobes,
// and a table of what to probe.
#pragma once

#include "object.h"
#include "probes.h"

// A source gives the first part; the rest is zero at first.
struct runtime {
    const struct probe_kind *const *kinds; // NULL-terminated
    const struct hook *hooks;              // its programs that are for other attach points; may be NULL
    size_t hooks_count;
    struct object object; // its skeleton is NULL while the source is not up

    uint64_t swept_ns;
    struct runtime *next; // of those that are up
};

// As OBJECT_SKELETON(), and declares `runtime`, which the source defines.
#define RUNTIME_SKELETON(name) \
    OBJECT_SKELETON(name);     \
    static struct runtime runtime

// For source.start(): where somebody wants its measures, or `wanted` says so of its events, loads the object
// on the first call, attaches its hooks and has its kinds probed; else stops it. On failure it is stopped,
// and the reason is set.
int runtime_start(struct runtime *runtime, const struct source_env *env, bool wanted,
                  struct source_report *ret_report);
// For source.stop().
void runtime_stop(struct runtime *runtime);
// For source.tick(), of all runtimes.
void runtime_tick(void);
// For probe_kind.program, of kinds whose owner is a runtime.
struct bpf_program *runtime_program(const struct probe_kind *kind, const char *name);
// For measures.map_fd.
int runtime_measures_fd(const struct runtime *runtime);
