// The stage's own state, which its fields read too.
#pragma once

#include "cgroups.h"
#include "containers.h"
#include "enrich.h"
#include "plain.h"
#include "proc_scan.h"
#include "process_table.h"
#include "users.h"
#include "wire/process.h"

struct enrich {
    struct process_table table;
    struct containers *containers;
    struct cgroups *cgroups;
    struct plains plains;
    struct users users;
    char *host_root;
    const char *proc_root;           // "/proc"; tests have their own
    char node[CONTAINER_ID_MAX + 1]; // the container that the node is; "": it is none
    char hostname[256];
    // Of the source `process`; NULL where it is not there.
    const struct event_type *clone, *execve, *procexit, *setsid, *setpgid;
    struct proc_info *proc;        // room for one reading
    struct process_entry *current; // held while the event is handled
    struct process_entry fallback; // stands in when memory is short
};

// The one that was made last and not freed, or NULL. Field getters are given the event alone.
struct enrich *enrich_active(void);

// Takes over what the header alone tells.
void enrich_fill(struct process_entry *entry, const struct wire_header *header);
// A process of which nothing but the record is known.
struct process_entry *enrich_add_stub(struct enrich *enrich, const struct wire_header *header);
// Takes over the numbers, where the record has them.
void enrich_set_ids(struct process_entry *entry, const struct wire_process_ids *wire);

// exec.c. NULL where memory is short, or for a record that does not hold together.
struct process_entry *enrich_exec(struct enrich *enrich, const struct wire_process_execve *wire);

// runtime_exec.c. Looks whether an exec is that of a runtime that is told to make a container.
void enrich_expect_container(struct enrich *enrich, const struct process_entry *entry,
                             const struct wire_process_execve *wire, const char *args, size_t size);
// Looks whether a process that ran before is what stays with a container, and knows its bundle: containerd's
// shim, which is in there (of a pod, in that of its first container), or conmon of podman and CRI-O.
void enrich_expect_kept(struct enrich *enrich, const struct process_entry *entry,
                        const struct proc_info *info);

// learn.c. What these return stays valid until the next entry is added, unless it is held.

// The table's entry of that very process. One of the same pid that started at another time has exited, and
// its exit was lost: it goes.
struct process_entry *enrich_find(struct enrich *enrich, pid_t pid, uint64_t start_time_ns);
// The same, and where it is not there, from /proc, with those of its ancestors that are not known either.
struct process_entry *enrich_find_or_learn(struct enrich *enrich, pid_t pid, uint64_t start_time_ns,
                                           uint64_t now_ns);

void enrich_learn_init(void);
// Counts an environment that was longer than is kept.
void enrich_env_truncated(void);
void enrich_exec_init(void);
// Asks /proc in which container a process is. 0, or a negative errno where it does not tell: what is known
// stays.
int enrich_ask_container(struct enrich *enrich, struct process_entry *entry, uint64_t now_ns);
// Its cgroup's path is longer than the kernel tells (PATH_MAX, -ENAMETOOLONG; newer kernels tell its
// beginning). No manager of the node makes such, but who may make cgroups in a container does: it is not the
// node's.
void enrich_set_too_deep(struct enrich *enrich, struct process_entry *entry);
// Takes from /proc what no record has told of a process that still runs, once per program.
enum process_ask { ASK_IDS = 1 << 0, ASK_EXE = 1 << 1, ASK_ENV = 1 << 2 };
void enrich_ask_proc(struct enrich *enrich, struct process_entry *entry, enum process_ask what);
// Where a process is now: the path's bytes, or a negative errno.
ssize_t enrich_ask_cwd(struct enrich *enrich, const struct process_entry *entry, char *ret_path,
                       size_t capacity);
// The number of the event's thread as its own pid namespace counts; 0: unknown.
pid_t enrich_vtid(struct enrich *enrich, const struct event *event);
// Where the process of this event is by now, or was as far as is known; with a slash at its end. NULL:
// unknown.
const struct blob *enrich_cwd(struct enrich *enrich, const struct event *event);

int enrich_register_event_fields(void);     // fields_event.c
int enrich_register_process_fields(void);   // fields_process.c
int enrich_register_program_fields(void);   // fields_program.c
int enrich_register_session_fields(void);   // fields_session.c
int enrich_register_container_fields(void); // fields_container.c
int enrich_register_pod_fields(void);       // fields_container.c
int enrich_register_mount_fields(void);     // fields_mount.c
