// What one kind has attached in one file.
#pragma once

#include "elf_symbols.h"
#include "probe_returns.h"
#include "probes.h"

#include <stddef.h>
#include <stdint.h>

// A bit for each symbol of a kind.
typedef unsigned __int128 probe_set;
_Static_assert(ELF_NAMES_MAX <= 8 * sizeof(probe_set), "a kind may have more symbols than there are bits");

struct probe_link {
    int fd;
    uint8_t group; // as by probe_groups()
};

struct probe_part {
    const struct probe_kind *kind;
    struct probe_link *links; // in the order in which they were attached
    size_t links_count;
    uint64_t since_ns; // CLOCK_BOOTTIME: when it was attached
};

// Which of a kind's symbols come and go together: those that share a program, or all of them. Each one's
// group is the index of the group's first symbol.
void probe_groups(const struct probe_kind *kind, uint8_t *ret_groups);

// Attaches a kind's programs to what was found in the opened file, but for those groups (a bit each) that are
// left out. -ENOSPC where there would be more than `links_max` of them; or another negative errno.
// `returns`: of each symbol, where the kind throws; else NULL.
int probe_attach(const struct probe_kind *kind, int fd, const uint64_t *offsets,
                 const struct probe_returns *returns, probe_set left_out, size_t links_max,
                 struct probe_part **ret_part);
// Takes those groups away.
void probe_detach(struct probe_part *part, probe_set groups);
void probe_part_free(struct probe_part **part);
