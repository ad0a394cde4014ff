// The stage's own state, which its fields read too.
#pragma once

#include "containers.h"
#include "enrich.h"
#include "proc_scan.h"
#include "process_table.h"
#include "users.h"

struct enrich {
    struct process_table table;
    struct containers *containers;
    struct users users;
    char *host_root;
    const char *proc_root; // "/proc"; tests have their own
    char hostname[256];
    const struct event_type *clone, *execve, *procexit; // NULL where the source is not there
    struct proc_info *proc;                             // room for one reading
    struct process_entry *current;                      // held while the event is handled
    struct process_entry fallback;                      // stands in when memory is short
};

// The one that was made last and not freed, or NULL. Field getters are given the event alone.
struct enrich *enrich_active(void);

// learn.c. What these return stays valid until the next entry is added, unless it is held.

// The table's entry of that very process. One of the same pid that started at another time has exited, and
// its exit was lost: it goes.
struct process_entry *enrich_find(struct enrich *enrich, pid_t pid, uint64_t start_time_ns);
// The same, and where it is not there, from /proc, with those of its ancestors that are not known either.
struct process_entry *enrich_find_or_learn(struct enrich *enrich, pid_t pid, uint64_t start_time_ns,
                                           uint64_t now_ns);
// The container that the text of a /proc/PID/cgroup names, with a reference for the caller, or NULL.
const struct container *enrich_container_of(struct enrich *enrich, const char *text, size_t size,
                                            uint64_t now_ns);

int enrich_register_process_fields(void); // fields_process.c
