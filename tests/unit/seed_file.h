// A file that a fuzz target begins with, as an open file that a test may change.
#pragma once

#include "base/cleanup.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct seed_file {
    uint8_t data[16384];
    size_t size;
};

static inline void seed_file_read(const char *path, struct seed_file *ret_seed)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    cr_assert(file, "%s", path);
    ret_seed->size = fread(ret_seed->data, 1, sizeof(ret_seed->data), file);
    cr_assert_gt(ret_seed->size, 0);
}

// Of its first bytes; owned by the caller.
static inline int seed_file_open(const struct seed_file *seed, size_t size)
{
    int fd = memfd_create("seed", MFD_CLOEXEC);
    cr_assert_eq(write(fd, seed->data, size), (ssize_t)size);
    return fd;
}
