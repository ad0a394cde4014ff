// Probes in the programs and libraries that processes run, container or not: which symbols of which files
// call which BPF programs. A file is probed once however many processes share it, from when the first of them
// maps it until some time after the last has gone.
#pragma once

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct source_report;

struct probe_symbol {
    const char *name;
    const char *enter; // the program at its beginning; NULL: none
    const char *leave; // at its return; NULL: none
};

// A file that does what a kind is about where no probe sees it.
struct probe_blind {
    const char *pattern; // fnmatch() of its name
    const char *reason;
    bool unless_probed; // only where the process has no file that the kind probes
};

// What to look for. All borrowed for as long as it is added.
struct probe_kind {
    const char *name; // for people: "openssl"
    const char *const
        *libraries;   // fnmatch() patterns of file names, NULL-terminated; the first: always has it
    bool executables; // programs may carry a copy, too
    // Programs must match a pattern as well, and a pattern with a slash is for the whole path.
    bool by_name;
    // C++ exceptions may pass through its functions. A return probe would end the process then, as the
    // unwinder knows no such return address, so their return instructions are probed instead.
    bool throws;
    // A file without the first of them is left alone.
    const struct probe_symbol *symbols;
    size_t symbols_count;
    bool computes; // who runs it runs models, or what they are made of
    // NULL where there is no such program. `owner` is for it alone.
    struct bpf_program *(*program)(const struct probe_kind *kind, const char *name);
    const void *owner;
    // Another way to find the functions than by symbol tables, with the same result as elf_symbols_find().
    // NULL: by them.
    int (*find)(int fd, uint64_t *ret_offsets, uint64_t *in_out_read);
    // Its symbols mean something only together, so that they are shed together; else those that share a
    // program are. What a program costs that several kinds have is charged to the first of them with probes.
    bool whole;
    // What has the same to say and cannot be probed; ends with a pattern of NULL. NULL: nothing is known.
    const struct probe_blind *blind;
    // Called when the number of its files has changed. NULL: nobody.
    void (*changed)(void);
};

enum {
    PROBES_KINDS_MAX = 48,
    PROBES_FILES_MAX = 512, // probed at a time; each takes a descriptor a program, or a probe before 6.6
};

// Looks at all processes, now and from now on. 0 or a negative errno; adding it again is harmless.
int probes_add(const struct probe_kind *kind);
// Says in the report that it failed, in one line, and returns `error`.
int probes_add_failed(int error, struct source_report *ret_report);
// Tells of each process that runs a probed file of a kind that computes, more than once. NULL: nobody.
void probes_tell_runtimes(void (*found)(pid_t process));
// Takes all of its probes away.
void probes_remove(const struct probe_kind *kind);

// Looks at what processes have mapped since the last time.
void probes_look(void);
// About once a second, by each of its users: the same, and takes probes away that nobody has run into for a
// while.
void probes_tick(void);

// Whether a file of that path may have what the kind probes, whether it should, and why it cannot be probed;
// NULL where nothing is known of that.
bool probe_kind_matches(const struct probe_kind *kind, const char *path);
bool probe_kind_expects(const struct probe_kind *kind, const char *path);
const struct probe_blind *probe_kind_blind(const struct probe_kind *kind, const char *path);

// Whether there is anything to look for.
bool probes_wanted(void);

// Files that have probes of a kind.
size_t probes_files(const struct probe_kind *kind);
// CLOCK_BOOTTIME when the last of them got its probes: of processes that are older, calls can have been
// missed. 0: there are none.
uint64_t probes_latest_ns(const struct probe_kind *kind);
