// A small recording in memory.
#pragma once

#include "base/outside.h"
#include "record.h"
#include "source.h"
#include "wire/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct recording {
    char data[1 << 20];
    size_t size;
};

static inline struct wire_process_procexit record_exit_of(uint32_t pid)
{
    return (struct wire_process_procexit){
        .header = {.size = sizeof(struct wire_process_procexit),
                   .type = WIRE_PROCESS_PROCEXIT,
                   .time_ns = 1000 + pid,
                   .pid = pid,
                   .comm = "child"},
        .status = 256,
    };
}

// What the node says: "<question>!", or ENOENT for questions that begin with "no".
static inline ssize_t record_node(void *context, void *ret_data, size_t capacity)
{
    const char *question = context;
    if (strncmp(question, "no", 2) == 0)
        return -ENOENT;
    return snprintf(ret_data, capacity, "%s!", question);
}

static inline ssize_t record_ask(enum outside_life life, const char *question, char *ret_data,
                                 size_t capacity)
{
    return outside_ask(life, question, record_node, (void *)question, ret_data, capacity);
}

// A start, a scan, three exits of which each asks something, losses, and the end.
static inline void record_make(struct recording *recording, bool with_end)
{
    char answer[256];
    int fd = memfd_create("recording", MFD_CLOEXEC);
    struct record_writer *writer = NULL;
    cr_assert_eq(record_writer_new(fd, &writer), 0);
    record_writer_tick(writer, &(struct record_tick){.boot_to_epoch_ns = 12345, .utc_offset_s = -3600});
    record_ask(OUTSIDE_LASTING, "passwd", answer, sizeof(answer));
    record_writer_scan(writer);
    record_ask(OUTSIDE_ONCE, "scan", answer, sizeof(answer));
    cr_assert_eq(record_writer_flush(writer), 0);
    for (uint32_t pid = 1; pid <= 3; pid++) {
        struct wire_process_procexit exit = record_exit_of(pid);
        record_writer_event(writer, &exit.header, sizeof(exit));
        char question[32];
        snprintf(question, sizeof(question), "exit %u", pid);
        record_ask(OUTSIDE_ONCE, question, answer, sizeof(answer));
        record_ask(OUTSIDE_ONCE, "nothing", answer, sizeof(answer));
        record_ask(OUTSIDE_LASTING, "passwd", answer, sizeof(answer));
        if (pid == 2)
            cr_assert_eq(record_writer_flush(writer), 0);
    }
    record_writer_lost(writer, 0, WIRE_LOST_RING_FULL, 7);
    record_writer_lost(writer, 0, WIRE_LOST_RING_FULL, 7);
    cr_assert_eq(with_end ? record_writer_end(writer) : record_writer_flush(writer), 0);
    record_writer_free(&writer);
    ssize_t size = pread(fd, recording->data, sizeof(recording->data), 0);
    cr_assert_gt(size, 0);
    cr_assert_lt((size_t)size, sizeof(recording->data));
    recording->size = (size_t)size;
    close(fd);
}

// Reads all there is: the number of entries, how it ended, and the words for that.
static inline int record_read(const char *data, size_t size, size_t *ret_entries, char *ret_words)
{
    FILE *stream = fmemopen((void *)data, size ? size : 1, "r");
    if (size == 0)
        fseek(stream, 1, SEEK_SET);
    struct record_reader *reader = NULL;
    struct record_entry entry;
    cr_assert_eq(record_reader_new(stream, &reader), 0);
    int result;
    *ret_entries = 0;
    while ((result = record_reader_next(reader, &entry)) == 1)
        ++*ret_entries;
    cr_assert_eq(record_reader_next(reader, &entry), result, "the end is the end");
    strcpy(ret_words, record_reader_error(reader));
    record_reader_free(&reader);
    fclose(stream);
    return result;
}
