// Probes in the programs and libraries that processes run, container or not: which symbols of which files
// call which BPF programs. A file is probed once however many processes share it, from when the first of them
// maps it until some time after the last has gone.
#pragma once

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe_symbol {
    const char *name;
    const char *enter; // the program at its beginning; NULL: none
    const char *leave; // at its return; NULL: none
};

// What to look for. All borrowed for as long as it is added.
struct probe_kind {
    const char *name; // for people: "openssl"
    const char *const
        *libraries;   // fnmatch() patterns of file names, NULL-terminated; the first: always has it
    bool executables; // programs may carry a copy, too
    // C++ exceptions may pass through its functions. A return probe would end the process then, as the
    // unwinder knows no such return address, so their return instructions are probed instead.
    bool throws;
    // A file without the first of them is left alone.
    const struct probe_symbol *symbols;
    size_t symbols_count;
    // NULL where there is no such program.
    struct bpf_program *(*program)(const char *name);
    // Another way to find the functions than by symbol tables, with the same result as elf_symbols_find().
    // NULL: by them.
    int (*find)(int fd, uint64_t *ret_offsets, uint64_t *in_out_read);
};

enum {
    PROBES_KINDS_MAX = 48,
    PROBES_FILES_MAX = 128, // probed at a time; each takes a descriptor a probe
};

// Looks at all processes, now and from now on. 0 or a negative errno; adding it again is harmless.
int probes_add(const struct probe_kind *kind);
// Takes all of its probes away.
void probes_remove(const struct probe_kind *kind);

// Looks at what processes have mapped since the last time.
void probes_look(void);
// About once a second, by each of its users: the same, and takes probes away that nobody has run into for a
// while.
void probes_tick(void);

// Files that have probes of a kind.
size_t probes_files(const struct probe_kind *kind);
// CLOCK_BOOTTIME when the last of them got its probes: of processes that are older, calls can have been
// missed. 0: there are none.
uint64_t probes_latest_ns(const struct probe_kind *kind);
