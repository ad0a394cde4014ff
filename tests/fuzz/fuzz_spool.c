// A spool whose segment holds anything: whoever reads it never crashes, never comes to no end, and gives only
// what is in order; and it can be written to again. The builds for fuzzing leave the checksums out.
#include "fuzz.h"

#include "base/log.h"
#include "spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static char directory[64];

static void remove_all(void)
{
    static const char *const names[] = {"lock", "new", "spare", "cursor.fuzz", "p1.00000000000000000007"};
    char path[128];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}

static void put_segment(const uint8_t *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/p1.00000000000000000007", directory);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
}

// How many records there are.
static size_t read_all(struct spool_reader *reader)
{
    struct spool_record record;
    size_t count = 0;
    struct spool_position before = spool_reader_position(reader);
    while (spool_reader_next(reader, &record) == 1) {
        struct spool_position now = spool_reader_position(reader);
        if (now.places[SPOOL_P1].ordinal <= before.places[SPOOL_P1].ordinal)
            abort();
        // Touches each byte, for the sanitizer.
        static volatile char touched;
        for (size_t i = 0; i < record.size; i++)
            touched = record.data[i];
        (void)touched;
        count++;
        before = now;
    }
    return count;
}

FUZZ_TARGET(spool)
{
    // In memory where it can be: a disk would take most of the time.
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, sizeof(directory), "%s/inferscope-fuzz-spool-XXXXXX", parent);
    if (!mkdtemp(directory))
        abort();
    log_set_level(LOG_LEVEL_ERROR);
    put_segment(data, size);
    struct spool_reader *reader = NULL;
    if (spool_reader_open(directory, "fuzz", &reader))
        abort();
    size_t early = read_all(reader);
    const struct config_spool options = {.directory = directory, .size = 1 << 20, .sync = SYNC_NEVER};
    struct spool *spool = NULL;
    if (spool_open(&options, &spool) == 0) {
        struct spool_record record = {.kind = SPOOL_ALERT, .data = "{}", .size = 2};
        if (spool_append(spool, &record) == 0) {
            size_t late = read_all(reader);
            if (spool_reader_rewind(reader) || late == 0 || read_all(reader) < early + 1)
                abort();
        }
    }
    spool_reader_close(&reader);
    spool_close(&spool);
    remove_all();
    return 0;
}
