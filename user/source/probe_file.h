// A file that some process has mapped, in whichever container, opened.
#pragma once

#include "mapped.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

// What tells files apart where one of an overlay's lower layers has other names in each container.
struct probe_file {
    uint64_t device; // 0 on overlays
    uint64_t inode;
    int64_t size;
    struct timespec modified;
    struct timespec changed;
};

bool probe_file_equal(const struct probe_file *left, const struct probe_file *right);

// A descriptor to read the very file that is mapped, which the caller closes, or a negative errno.
int probe_file_open(const struct mapped_file *mapped, struct probe_file *ret_file);
