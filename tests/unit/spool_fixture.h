// A spool in a directory of its own, and records for it.
#pragma once

#include "base/cleanup.h"
#include "base/log.h"
#include "base/series.h"
#include "spool.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static char spool_dir[64];

static inline void spool_setup(void)
{
    strcpy(spool_dir, "/tmp/inferscope-spool-XXXXXX");
    cr_assert(mkdtemp(spool_dir));
    log_set_level(LOG_LEVEL_ERROR);
}

static inline void spool_teardown(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", spool_dir);
    cr_assert_eq(system(command), 0);
}

static inline struct config_spool spool_options(uint64_t size)
{
    return (struct config_spool){.directory = spool_dir, .size = size, .sync = SYNC_NEVER};
}

static inline struct spool *spool_start_with(const struct config_spool *options)
{
    struct spool *spool = NULL;
    int error = spool_open(options, &spool);
    cr_assert_eq(error, 0, "spool_open: %s", strerror(-error));
    return spool;
}

static inline struct spool *spool_start(uint64_t size)
{
    struct config_spool options = spool_options(size);
    return spool_start_with(&options);
}

static inline uint64_t spool_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// An alert that says its number, in `size` bytes (at least 8).
static inline int spool_put(struct spool *spool, enum priority priority, unsigned number, size_t size)
{
    static char data[SPOOL_DATA_MAX + 1];
    memset(data, 'x', size);
    snprintf(data, 8, "%07u", number % 10000000);
    data[7] = ' ';
    struct spool_record record = {
        .kind = SPOOL_ALERT, .priority = priority, .time_ns = spool_now_ns(), .data = data, .size = size};
    return spool_append(spool, &record);
}

static inline struct spool_reader *spool_read(const char *name)
{
    struct spool_reader *reader = NULL;
    int error = spool_reader_open(spool_dir, name, &reader);
    cr_assert_eq(error, 0, "spool_reader_open: %s", strerror(-error));
    return reader;
}

// The next record's number; -1: there is none.
static inline int spool_take(struct spool_reader *reader)
{
    struct spool_record record;
    int result = spool_reader_next(reader, &record);
    cr_assert_geq(result, 0, "spool_reader_next: %s", strerror(-result));
    return result ? atoi(record.data) : -1;
}

static inline void spool_commit_all(struct spool_reader *reader)
{
    struct spool_position position = spool_reader_position(reader);
    cr_assert_eq(spool_reader_commit(reader, &position), 0);
}

// The files whose names begin so; the sum of their sizes.
static inline size_t spool_files(const char *prefix, uint64_t *ret_bytes)
{
    DIR *directory = opendir(spool_dir);
    size_t count = 0;
    uint64_t bytes = 0;
    cr_assert(directory);
    for (const struct dirent *file; (file = readdir(directory));) {
        struct stat status;
        if (strncmp(file->d_name, prefix, strlen(prefix)) != 0)
            continue;
        cr_assert_eq(fstatat(dirfd(directory), file->d_name, &status, 0), 0);
        bytes += S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
        count += S_ISREG(status.st_mode);
    }
    closedir(directory);
    if (ret_bytes)
        *ret_bytes = bytes;
    return count;
}

#define SPOOL_FIRST_P1 "p1.00000000000000000000"

static inline const char *spool_file(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", spool_dir, name);
    return path;
}

// --- The metrics, as a scrape sees them ---

struct spool_sum {
    struct series_writer writer; // first
    const char *name, *value;    // of the family, and of one of its labels or NULL
    bool counts;
    double total;
};

static inline void spool_sum_family(struct series_writer *writer, const struct series_family *family)
{
    struct spool_sum *sum = (struct spool_sum *)writer;
    sum->counts = strcmp(family->name, sum->name) == 0;
}

static inline void spool_sum_number(struct series_writer *writer, const struct label *labels, size_t count,
                                    double value)
{
    struct spool_sum *sum = (struct spool_sum *)writer;
    bool fits = !sum->value;
    for (size_t i = 0; i < count; i++)
        fits = fits || strcmp(labels[i].value, sum->value) == 0;
    if (sum->counts && fits)
        sum->total += value;
}

// The sum of a family's numbers, or of those with that label.
static inline double spool_metric(const char *name, const char *value)
{
    struct spool_sum sum = {
        .writer = {.family = spool_sum_family, .number = spool_sum_number}, .name = name, .value = value};
    series_collect(&sum.writer);
    return sum.total;
}

static inline double spool_waiting(const char *output)
{
    return spool_metric("inferscope_output_waiting_records", output);
}
