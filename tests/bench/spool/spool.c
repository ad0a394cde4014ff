// How many alerts a second go into the spool, by how they are brought to the disk, and out of it again. Real
// time is measured, because that is what the agent, which has one thread, spends; the disk is that of the
// directory for temporary files.
#include "spool.h"
#include "base/cleanup.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5, ALERTS = 100000, ALERTS_SYNCED = 2000, SIZE = 700, SYNC_INTERVAL_MS = 1000 };

static const double target = 20000; // alerts a second

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    return remove(path);
}

// An alert of the usual length.
static struct spool_record make_alert(unsigned number)
{
    static char data[SIZE + 1];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    memset(data, 'x', SIZE);
    data[snprintf(data, SIZE, "{\"output_fields\":{\"evt.num\":%u},\"output\":\"", number)] = 'x';
    memcpy(data + SIZE - 2, "\"}", 3);
    return (struct spool_record){.kind = SPOOL_ALERT,
                                 .priority = (enum priority)(number % 8),
                                 .time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
                                 .data = data,
                                 .size = SIZE};
}

static int put(struct spool *spool, unsigned count, double *ret_rate)
{
    double begin = now_s();
    for (unsigned i = 0; i < count; i++) {
        struct spool_record record = make_alert(i);
        int error = spool_append(spool, &record);
        if (error)
            return error;
        if (i % 64 == 0)
            spool_sync(spool);
    }
    *ret_rate = count / (now_s() - begin);
    return 0;
}

static int take(const char *directory, unsigned count, double *ret_rate)
{
    struct spool_reader *reader _cleanup_(spool_reader_close) = NULL;
    struct spool_record record;
    int error = spool_reader_open(directory, "bench", &reader);
    double begin = now_s();
    unsigned taken = 0;
    while (!error && spool_reader_next(reader, &record) == 1)
        taken++;
    *ret_rate = taken / (now_s() - begin);
    return error ? error : taken == count ? 0 : -EIO;
}

static int round_once(enum config_sync sync, unsigned count, double *ret_in, double *ret_out)
{
    char directory[128];
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof(directory), "%s/inferscope-bench-spool-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(directory))
        return -errno;
    const struct config_spool options = {
        .directory = directory, .size = 1 << 30, .sync = sync, .sync_interval = SYNC_INTERVAL_MS};
    struct spool *spool _cleanup_(spool_close) = NULL;
    int error = spool_open(&options, &spool);
    if (!error)
        error = put(spool, count, ret_in);
    if (!error)
        error = take(directory, count, ret_out);
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return error;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int main(void)
{
    static const struct {
        enum config_sync sync;
        const char *name;
        unsigned alerts;
    } policies[] = {
        {SYNC_NEVER, "never", ALERTS},
        {SYNC_INTERVAL, "each second", ALERTS},
        {SYNC_ALWAYS, "each alert", ALERTS_SYNCED},
    };
    printf("Alerts of %d bytes into the spool and out of it, in a second; medians of %d rounds, real time of "
           "one thread.\n\n| Synced to the disk | in | out | target |\n|---|---:|---:|---:|\n",
           SIZE, ROUNDS);
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        double in[ROUNDS], out[ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            int error = round_once(policies[i].sync, policies[i].alerts, &in[round], &out[round]);
            if (error) {
                fprintf(stderr, "bench: could not measure the spool: %s\n", strerror(-error));
                return 1;
            }
        }
        qsort(in, ROUNDS, sizeof(*in), compare);
        qsort(out, ROUNDS, sizeof(*out), compare);
        char goal[64] = "";
        if (policies[i].sync != SYNC_ALWAYS)
            snprintf(goal, sizeof(goal), "> %.0f %s", target, in[ROUNDS / 2] > target ? "ok" : "MISSED");
        printf("| %s | %.0f | %.0f | %s |\n", policies[i].name, in[ROUNDS / 2], out[ROUNDS / 2], goal);
    }
    printf("\n");
    return 0;
}
