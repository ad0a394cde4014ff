// A source of events or of metrics: one BPF object, one user file. Every source loads on its own; one that
// cannot says why and the others carry on.
#pragma once

#include "base/series.h"
#include "demand.h"
#include "event.h"
#include "measure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_probe;
struct probe_kind;

// What a source is given when it starts.
struct source_env {
    uint16_t id;                       // position in SOURCE_LIST; goes into wire_header.source
    int ring_fd;                       // the ring that all sources share; borrowed
    int lost_fd;                       // the per-CPU counters of lost records; borrowed
    int compat_fd;                     // the programs for 32-bit calls, by number; borrowed
    int work_fd;                       // what processes compute (wire/work.h); borrowed
    const struct demand *demand;       // borrowed, only for the duration of start()
    const char *host_root;             // where the node's root is mounted; "" for /
    char *const *syscalls;             // names, or SOURCE_SYSCALLS_DEFAULT, NULL-terminated; may be NULL
    bool inference;                    // follow requests to inference servers, whatever the demand
    bool runtimes;                     // probe inference libraries and CUDA
    const struct config_probe *probes; // the user's own; borrowed for as long as sources run
    size_t probes_count;
    bool egress;          // count what leaves the node, whatever the demand
    bool network;         // measure TCP connections
    bool sched;           // measure waits of inference processes; needs `inference`
    char *const *cluster; // ranges of the cluster's addresses, NULL-terminated; may be NULL
    bool no_body_values;  // take no names of models and no numbers out of their bodies
    bool everything;      // attach all hooks, whatever the demand (`agent doctor`)
};

enum hook_state { HOOK_UP, HOOK_FAILED, HOOK_NOT_NEEDED };

// One place in the kernel where a source listens, and how it went.
struct hook_report {
    char name[48];         // what is watched: "openat", "exec"
    char attach_point[64]; // by which means: "tracepoint/syscalls/sys_exit_openat"
    bool optional;         // the source is up without it
    enum hook_state state;
    int error; // positive errno where state is HOOK_FAILED
};

// What a hook's error means, as strerror() puts it, or better. Valid until the next call.
const char *source_hook_words(int error);

enum {
    SOURCE_HOOKS_MAX = 48,
    SOURCE_COMPAT_MAX = 48, // 32-bit calls that one source watches
};

struct source_report {
    bool up;
    bool needed;      // false: nothing asked for it, so it was not loaded
    char reason[256]; // one line, where it is needed and not up
    struct hook_report hooks[SOURCE_HOOKS_MAX];
    size_t hooks_count;
};

typedef void (*source_emit_fn)(const struct wire_header *record, size_t size, void *context);

struct source {
    const char *name;
    const char *help;
    const char *cost;               // what others pay for it, as measured, in a line; NULL: COST.md says
    const struct event_type *types; // in the order of the source's wire types
    size_t types_count;
    size_t types_always; // so many, from the first, are sent whatever the rules ask for
    // Smallest valid record of a wire type; records are checked against it before they are read.
    size_t (*record_size)(uint16_t type);
    // True where the variable parts stay inside the record. NULL: no variable parts.
    bool (*record_valid)(const struct wire_header *wire);
    // Whether it attaches to programs while it runs, and needs CAP_SYS_ADMIN for that; NULL: no.
    bool (*attaches_later)(void);
    // By how many names rules may know what a valid record is about. NULL: one.
    unsigned (*record_names)(const struct wire_header *wire);
    // Whether a valid record tells only rules that add up. NULL: never.
    bool (*record_adds_only)(const struct wire_header *wire);
    // Set for a source whose records are no events: learns from a valid record (of type 0), which is then
    // done with.
    void (*learn)(const struct wire_header *wire);
    // Set for a source that also sends records of a type behind its last one, out of which it makes events
    // here. NULL: every record is one.
    void (*refine)(const struct wire_header *raw, size_t size, source_emit_fn emit, void *context);
    // Loads what is not loaded yet and attaches what demand asks for, or stops where it asks for nothing.
    // Called again where the demand has changed; what both demands want is not missed for a moment. On
    // failure a negative errno, ret_report->reason is set and nothing stays attached.
    int (*start)(const struct source_env *env, struct source_report *ret_report);
    void (*stop)(void); // harmless when not started
    // Describes what the source keeps in maps; NULL where it keeps nothing.
    void (*collect)(struct series_writer *writer);
    // What it measures by container; NULL: nothing.
    const struct measures *measures;
    // What it always probes, for `agent list runtimes`; ends with NULL. NULL: nothing.
    const struct probe_kind *const *probes;
    // Called about once a second; NULL where there is nothing to do.
    void (*tick)(void);
    // About once a second: makes events of what it keeps in maps. NULL: it makes none.
    void (*make)(source_emit_fn emit, void *context);
    // Instead of start() where a recording is replayed: prepares what the fields need beside the record,
    // without the kernel; only then is tick() called, too. NULL where they need nothing else. What they learn
    // of the node must go through base/outside.h.
    void (*replay)(const struct source_env *env);
};

// In place of a name: read, write, openat, connect, accept, futex, epoll_wait, fsync and io_uring_enter, as
// far as this architecture has them.
#define SOURCE_SYSCALLS_DEFAULT "default"
// Whether that is what it is, or the source `syscall` can watch a call of that name ("read", "futex") on this
// architecture.
bool source_syscall_exists(const char *name);

// Whether a text is a range of addresses: "10.0.0.0/8", "fd00::/8", or an address.
bool source_network_range_valid(const char *text);

size_t source_count(void);
// NULL for an index that does not exist.
const struct source *source_at(size_t index);

// How many types of records a source sends, and their names: those of its events, or "learnt".
size_t source_record_types(const struct source *source);
const char *source_record_name(const struct source *source, size_t type);

// True where a record was none of an event, so that its source has handed those it holds to `emit`.
bool source_refine(const struct wire_header *record, size_t size, source_emit_fn emit, void *context);

// Adds what sources themselves need of other sources for what is asked of them.
void source_add_demand(struct demand *demand);
// Call it with each event: what sources learn from those of other sources.
void source_learn_event(const struct event *event);

// Registers every source's event types. 0 or a negative errno.
int source_register_all(void);

// Starts all sources, or has those that run follow another demand; the reports say how it went, in the order
// of SOURCE_LIST. Never fails as a whole. `env` is the base: id, compat_fd and work_fd are set here.
void source_start_all(const struct source_env *env, struct source_report *ret_reports);
// Before capabilities are given up that are not needed to start sources again.
void source_keep_startable(void);
void source_stop_all(void);
void source_replay_all(const struct source_env *env);
