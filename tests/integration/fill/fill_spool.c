// Puts records into a spool, as the agent does: fill-spool DIRECTORY, then on standard input a line for each:
// "alert PRIORITY JSON", "span JSON" or "metrics JSON". Prints the uuid of each. Before the first, outputs
// can be named: "readers NAME…".
#include "base/cleanup.h"
#include "spool.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static const char *skip_word(const char *line, const char *word)
{
    size_t length = strlen(word);
    return strncmp(line, word, length) == 0 && line[length] == ' ' ? line + length + 1 : NULL;
}

static int set_readers(struct spool *spool, char *names)
{
    enum { NAMES_MAX = 16 };
    const char *list[NAMES_MAX];
    size_t count = 0;
    for (char *name = strtok(names, " "); name && count < NAMES_MAX; name = strtok(NULL, " "))
        list[count++] = name;
    return spool_set_readers(spool, list, count);
}

static int put(struct spool *spool, const char *line)
{
    struct spool_record record = {.kind = SPOOL_ALERT};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    record.time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    char priority[32];
    int length = 0;
    if (skip_word(line, "span")) {
        record.kind = SPOOL_SPAN;
        record.data = skip_word(line, "span");
    } else if (skip_word(line, "metrics")) {
        record.kind = SPOOL_METRICS;
        record.data = skip_word(line, "metrics");
    } else if (sscanf(line, "alert %31s %n", priority, &length) == 1 && length) {
        record.data = line + length;
        if (priority_parse(priority, &record.priority))
            return -EINVAL;
    } else {
        return -EINVAL;
    }
    record.size = strlen(record.data);
    int error = spool_append(spool, &record);
    if (!error)
        puts(record.uuid);
    return error;
}

int main(int argc, char **argv)
{
    const struct config_spool options = {
        .directory = argc > 1 ? argv[1] : NULL, .size = 64 << 20, .sync = SYNC_NEVER};
    struct spool *spool = NULL;
    int error = argc == 2 ? spool_open(&options, &spool) : -EINVAL;
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    for (ssize_t length; !error && (length = getline(&line, &capacity, stdin)) > 0;) {
        line[strcspn(line, "\n")] = '\0';
        char *names = (char *)skip_word(line, "readers");
        error = names ? set_readers(spool, names) : put(spool, line);
        fflush(stdout);
    }
    if (error)
        fprintf(stderr, "fill-spool: %s\n", strerror(-error));
    spool_close(&spool);
    return error ? 1 : 0;
}
