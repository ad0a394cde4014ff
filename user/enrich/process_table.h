// The processes by pid. An entry lives while it is in the table or a descendant refers to it, so that
// ancestry outlives the ancestors.
#pragma once

#include "blob.h"
#include "process.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

// A chain of ancestors that is longer than this and goes on with exited ones is cut there: a program that
// forks and exits for ever would otherwise keep all its past alive.
enum { PROCESS_ANCESTORS_MAX = 64 };

// Every struct process that leaves this stage lies inside one of these. `process.exepath` and `process.args`
// point into the blobs; use the setters.
struct process_entry {
    struct process process;
    size_t refs;          // the table's, each child's, and those of holders
    uint64_t cgroup_id;   // of the latest record; 0: not known
    bool container_known; // false: nothing has told whose it is, so no container does not mean the node
    bool in_table;
    bool start_exact; // false: start_time_ns is from /proc, a clock tick's beginning
    struct blob *exepath;
    struct blob *args;
    struct blob *cmdline;              // composed when first asked for
    struct blob *env;                  // NUL after each variable; NULL where not known or empty
    struct blob *env_text;             // the same with spaces, composed when first asked for
    struct blob *cwd;                  // the latest known, with a slash at its end
    bool env_known;                    // also where it is empty
    unsigned asked;                    // enum process_ask: what /proc was asked for
    uint64_t cwd_num;                  // the event for which `cwd` was read from /proc
    struct process_entry *prev, *next; // least recently used first
    UT_hash_handle hh;
};

struct process_table {
    struct process_entry *by_pid;
    struct process_entry *used; // head of the list, least recently used
    size_t count;               // entries alive, exited ancestors included
    size_t max;
    uint64_t tick_ns; // how exact /proc is
};

void process_table_init(struct process_table *table, size_t max);
void process_table_free(struct process_table *table);

// NULL where the pid is not there.
struct process_entry *process_table_find(struct process_table *table, pid_t pid);
// Adds a process and makes room for it first; an entry that nobody holds may go. A pid that is there already
// is removed. The child of `parent` (may be NULL) starts with all it inherits. NULL when memory is short.
struct process_entry *process_table_add(struct process_table *table, pid_t pid, uint64_t start_time_ns,
                                        struct process_entry *parent);
// Takes it out of the table; it lives on while children refer to it.
void process_table_remove(struct process_table *table, struct process_entry *entry);
// Makes it the most recently used.
void process_table_touch(struct process_table *table, struct process_entry *entry);

// True if a start time as /proc has it and an exact one can be the same.
bool process_table_same_tick(const struct process_table *table, uint64_t tick_start_ns,
                             uint64_t start_time_ns);
// True if that start time can be this entry's. An entry of 0, or a 0, matches all.
bool process_table_same_start(const struct process_table *table, const struct process_entry *entry,
                              uint64_t start_time_ns);
// Says who forked the child. False where it is linked already or that cannot be: a parent that is younger, or
// is the child or its descendant.
bool process_table_link(struct process_table *table, struct process_entry *child,
                        struct process_entry *parent);

// Holds an entry, in the table or not.
struct process_entry *process_entry_ref(struct process_entry *entry);
void process_entry_unref(struct process_table *table, struct process_entry *entry);

// An empty or unreadable value (size 0) leaves NULL behind.
void process_entry_set_exepath(struct process_entry *entry, const char *path, size_t size);
void process_entry_set_args(struct process_entry *entry, const char *args, size_t size);
void process_entry_set_name(struct process_entry *entry, const char *name);
// The environment, as far as it is known; one of size 0 is known to be empty.
void process_entry_set_env(struct process_entry *entry, const char *env, size_t size);
// A directory; a slash is put behind it. Size 0: not known.
void process_entry_set_cwd(struct process_entry *entry, const char *path, size_t size);
// Says that the program is another one, so that what was known of the old one's file and environment is not
// any more.
void process_entry_forget_program(struct process_entry *entry);
// The container's reference goes over to the entry.
void process_entry_set_container(struct process_entry *entry, const struct container *container);

struct process_entry *process_entry_of(const struct process *process);
// The name and the arguments after argv[0], joined by spaces; composed once. NULL when nothing is known.
const struct blob *process_entry_cmdline(struct process_entry *entry);
// The variables joined by spaces; composed once. NULL where they are not known.
const struct blob *process_entry_env_text(struct process_entry *entry);
