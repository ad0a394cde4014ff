// A cursor is written in place, into two slots by turns, each with a checksum: that takes no room, so that a
// full disk never keeps an output from saying what is done with, and what is torn leaves the older slot.
#include "base/cleanup.h"
#include "spool_format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define CURSOR_MAGIC "\xff\xfb\x63ursor" // c is a hexadecimal digit

enum { SLOTS = 2, SLOT_DISTANCE = 512, CURSOR_NAME_SIZE = 256 };

struct slot {
    char magic[8];
    uint64_t generation; // the higher one counts
    uint64_t ordinals[SPOOL_CLASSES];
    uint64_t next_sequence;
    uint32_t reserved;
    uint32_t crc;
};

_Static_assert(sizeof(struct slot) <= SLOT_DISTANCE, "slots do not overlap");

static uint32_t slot_crc(const struct slot *slot)
{
    return (uint32_t)crc32(0, (const Bytef *)slot, offsetof(struct slot, crc));
}

static bool is_possible(const struct slot *slot)
{
    bool possible = slot->generation < UINT64_MAX && slot->next_sequence <= SPOOL_NUMBER_MAX;
    for (size_t i = 0; i < SPOOL_CLASSES; i++)
        possible = possible && slot->ordinals[i] <= SPOOL_NUMBER_MAX;
    return possible;
}

static int slot_write(int fd, uint64_t generation, const struct spool_cursor *cursor)
{
    struct slot slot = {.generation = generation, .next_sequence = cursor->next_sequence};
    memcpy(slot.magic, CURSOR_MAGIC, sizeof(slot.magic));
    for (size_t i = 0; i < SPOOL_CLASSES; i++)
        slot.ordinals[i] = cursor->position.places[i].ordinal;
    slot.crc = slot_crc(&slot);
    ssize_t count = pwrite(fd, &slot, sizeof(slot), (off_t)(generation % SLOTS * SLOT_DISTANCE));
    return count == sizeof(slot) ? 0 : count < 0 ? -errno : -EIO;
}

// 0 or -ENODATA.
static int cursor_read(int fd, uint64_t *ret_generation, struct spool_cursor *ret_cursor)
{
    int error = -ENODATA;
    for (int i = 0; i < SLOTS; i++) {
        struct slot slot;
        if (pread(fd, &slot, sizeof(slot), (off_t)i * SLOT_DISTANCE) != sizeof(slot) ||
            memcmp(slot.magic, CURSOR_MAGIC, sizeof(slot.magic)) != 0 || slot.crc != slot_crc(&slot) ||
            !is_possible(&slot) || (error == 0 && slot.generation < *ret_generation))
            continue;
        error = 0;
        *ret_generation = slot.generation;
        ret_cursor->next_sequence = slot.next_sequence;
        for (size_t k = 0; k < SPOOL_CLASSES; k++)
            ret_cursor->position.places[k].ordinal = slot.ordinals[k];
    }
    return error;
}

int spool_cursor_open(int directory_fd, const char *name, int *ret_fd, uint64_t *ret_generation,
                      struct spool_cursor *ret_cursor)
{
    char file[CURSOR_NAME_SIZE];
    int length = snprintf(file, sizeof(file), "%s%s", SPOOL_CURSOR_PREFIX, name);
    if (!*name || strchr(name, '/') || length >= (int)sizeof(file))
        return -EINVAL;
    int fd = spool_file_open(directory_fd, file, O_RDWR | O_CREAT);
    if (fd < 0)
        return fd;
    *ret_generation = 0;
    *ret_cursor = (struct spool_cursor){};
    *ret_fd = fd;
    return cursor_read(fd, ret_generation, ret_cursor);
}

int spool_cursor_write(int fd, uint64_t *generation, const struct spool_cursor *cursor)
{
    int error = slot_write(fd, *generation + 1, cursor);
    if (!error)
        ++*generation;
    return error;
}

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

int spool_cursor_each(int directory_fd, spool_cursor_fn call, void *context)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), unread = 0;
    DIR *directory _cleanup_(close_directory) = fd >= 0 ? fdopendir(fd) : NULL;
    if (!directory) {
        int error = -errno;
        cleanup_close(&fd);
        return error;
    }
    for (const struct dirent *file; (file = readdir(directory));) {
        const size_t prefix = strlen(SPOOL_CURSOR_PREFIX);
        if (strncmp(file->d_name, SPOOL_CURSOR_PREFIX, prefix) != 0)
            continue;
        struct spool_cursor cursor;
        uint64_t generation;
        _cleanup_close_ int cursor_fd = spool_file_open(directory_fd, file->d_name, O_RDONLY);
        bool whole = cursor_fd >= 0 && cursor_read(cursor_fd, &generation, &cursor) == 0;
        unread += !whole;
        call(file->d_name + prefix, whole ? &cursor : NULL, context);
    }
    return unread;
}
