#include "audit.h"

#include "audit_line.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/series.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

struct audit {
    char *path;
    enum config_sync sync;
    unsigned sync_interval;
    int fd;
    uint64_t size;            // bytes of the file
    struct audit_state state; // of the last line
    struct text line;
    uint64_t lost;        // entries since one could be written
    uint64_t unsynced_ms; // when the oldest line came that is not on the disk yet; 0: there is none
};

static struct counter entries = {
    .name = "audit_log_entries_total",
    .help = "Lines written to the audit log",
};
static struct counter errors = {
    .name = "inferscope_audit_log_errors_total",
    .help = "Entries that could not be written to the audit log",
};

// --- Lines ---

static void begin_line(struct audit *audit, const char *event)
{
    struct timespec now;
    struct tm utc = {.tm_mday = 1};
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    text_reset(&audit->line);
    text_addf(&audit->line,
              "{\"number\":%" PRIu64 ",\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ\",\"event\":\"%s\"",
              audit->state.number + 1, utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
              utc.tm_min, utc.tm_sec, now.tv_nsec, event);
}

// A line that comes only half through is cut off again.
static int write_line(struct audit *audit)
{
    ssize_t count;
    do
        count = pwrite(audit->fd, audit->line.data, audit->line.length, (off_t)audit->size);
    while (count < 0 && errno == EINTR);
    if (count == (ssize_t)audit->line.length) {
        audit->size += audit->line.length;
        return 0;
    }
    int error = count < 0 ? -errno : -ENOSPC;
    if (ftruncate(audit->fd, (off_t)audit->size))
        log_debug("cannot cut off a part of a line of the audit log: %s", strerror(errno));
    return error;
}

static int end_line(struct audit *audit)
{
    char hash[SHA256_TEXT_SIZE];
    text_addf(&audit->line, ",\"previous\":\"%s\"", audit->state.hash);
    if (audit->line.truncated)
        return -EMSGSIZE;
    int error = sha256_text(text_string(&audit->line), audit->line.length, hash);
    if (error)
        return error;
    text_addf(&audit->line, ",\"hash\":\"%s\"}\n", hash);
    if (audit->line.truncated)
        return -EMSGSIZE;
    error = write_line(audit);
    if (error)
        return error;
    audit->state.number++;
    memcpy(audit->state.hash, hash, sizeof(hash));
    if (audit->unsynced_ms == 0)
        audit->unsynced_ms = clock_ms(CLOCK_MONOTONIC);
    entries.value++;
    return 0;
}

void audit_begin(struct audit *audit, const char *event)
{
    if (!audit)
        return;
    if (audit->lost) {
        begin_line(audit, "entries_lost");
        text_addf(&audit->line, ",\"count\":%" PRIu64, audit->lost);
        if (end_line(audit) == 0)
            audit->lost = 0;
    }
    begin_line(audit, event);
}

static void add_name(struct audit *audit, const char *name)
{
    text_add_char(&audit->line, ',');
    text_add_json(&audit->line, name, strlen(name));
    text_add_char(&audit->line, ':');
}

void audit_add_text(struct audit *audit, const char *name, const char *value)
{
    if (!audit)
        return;
    add_name(audit, name);
    text_add_json(&audit->line, value, strlen(value));
}

void audit_add_number(struct audit *audit, const char *name, uint64_t value)
{
    if (!audit)
        return;
    add_name(audit, name);
    text_addf(&audit->line, "%" PRIu64, value);
}

void audit_add_truth(struct audit *audit, const char *name, bool value)
{
    audit_add_json(audit, name, value ? "true" : "false");
}

void audit_add_json(struct audit *audit, const char *name, const char *json)
{
    if (!audit)
        return;
    add_name(audit, name);
    text_add(&audit->line, json);
}

static void sync_file(struct audit *audit)
{
    if (audit->unsynced_ms && fdatasync(audit->fd)) {
        errors.value++;
        log_error("cannot bring the audit log to the disk: %s", strerror(errno));
    }
    audit->unsynced_ms = 0;
}

int audit_end(struct audit *audit)
{
    int error = audit ? end_line(audit) : 0;
    if (error) {
        errors.value++;
        if (audit->lost++ == 0)
            log_error("cannot write to the audit log %s: %s", audit->path, strerror(-error));
    } else if (audit && audit->sync == SYNC_ALWAYS) {
        sync_file(audit);
    }
    return error;
}

void audit_say(struct audit *audit, const char *event, const char *name, const char *value)
{
    audit_begin(audit, event);
    audit_add_text(audit, name, value);
    audit_end(audit);
}

// --- Files ---

// Where the file is to be gone on with: behind its last whole line.
struct tail {
    struct audit_line last;
    bool any;
    uint64_t end, torn; // bytes
};

static int find_tail(int fd, uint64_t size, struct tail *ret_tail)
{
    _cleanup_free_ char *bytes = malloc(AUDIT_LINE_MAX * 2);
    if (!bytes)
        return -ENOMEM;
    uint64_t from = size > AUDIT_LINE_MAX * 2 ? size - AUDIT_LINE_MAX * 2 : 0;
    ssize_t count = pread(fd, bytes, AUDIT_LINE_MAX * 2, (off_t)from);
    if (count < 0)
        return -errno;
    const char *newline = memrchr(bytes, '\n', (size_t)count);
    *ret_tail = (struct tail){.end = newline ? from + (uint64_t)(newline - bytes) + 1 : from};
    // No end of a line in so many bytes: this is no audit log.
    if (!newline && from)
        return -EBADMSG;
    ret_tail->torn = size - ret_tail->end;
    if (!newline)
        return 0;
    const char *before = memrchr(bytes, '\n', (size_t)(newline - bytes));
    const char *line = before ? before + 1 : bytes;
    ret_tail->any = true;
    audit_line_parse(line, (size_t)(newline - line), &ret_tail->last);
    return 0;
}

static int open_file(struct audit *audit, int *ret_fd, struct stat *ret_status)
{
    _cleanup_close_ int fd =
        open(audit->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0 || fstat(fd, ret_status))
        return -errno;
    if (!S_ISREG(ret_status->st_mode))
        return -EINVAL;
    if (flock(fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

// Goes on with the file, whose last line decides, whatever was known before.
static int go_on(struct audit *audit, const struct stat *status)
{
    struct tail tail;
    int error = find_tail(audit->fd, (uint64_t)status->st_size, &tail);
    if (error)
        return error;
    // Not even its head is one of ours: somebody else's file is left alone.
    if (tail.any && tail.last.number == 0)
        return -EBADMSG;
    audit->size = tail.end;
    if (tail.torn && ftruncate(audit->fd, (off_t)tail.end))
        return -errno;
    if (tail.any) {
        audit->state.number = tail.last.number;
        memcpy(audit->state.hash, tail.last.hash, sizeof(tail.last.hash));
    }
    if (!tail.any) {
        audit_begin(audit, "begin");
        audit_add_truth(audit, "continues", audit->state.number > 0);
        error = audit_end(audit);
    }
    if (tail.torn) {
        audit_begin(audit, "torn_line");
        audit_add_number(audit, "bytes", tail.torn);
        error = audit_end(audit);
    }
    if (tail.any && tail.last.wrong) {
        log_warning("the last line of the audit log %s does not fit: %s", audit->path, tail.last.wrong);
        audit_say(audit, "last_line_does_not_fit", "why", tail.last.wrong);
    }
    return error;
}

int audit_open(const struct audit_options *options, struct audit **ret_audit)
{
    struct audit *audit _cleanup_(audit_close) = calloc(1, sizeof(*audit));
    if (!audit)
        return -ENOMEM;
    audit->fd = -1;
    audit->sync = options->sync;
    audit->sync_interval = options->sync_interval;
    audit->line = (struct text)TEXT_INIT(AUDIT_LINE_MAX);
    audit->path = strdup(options->path);
    memcpy(audit->state.hash, audit_no_hash, sizeof(audit_no_hash));
    if (!audit->path)
        return -ENOMEM;
    counter_register(&entries);
    counter_register(&errors);
    struct stat status;
    int error = open_file(audit, &audit->fd, &status);
    if (!error)
        error = go_on(audit, &status);
    if (!error)
        *ret_audit = TAKE_PTR(audit);
    return error;
}

void audit_close(struct audit **audit)
{
    struct audit *closed = *audit;
    if (!closed)
        return;
    if (closed->fd >= 0 && closed->sync != SYNC_NEVER)
        sync_file(closed);
    cleanup_close(&closed->fd);
    text_free(&closed->line);
    free(closed->path);
    free(closed);
    *audit = NULL;
}

int audit_sync(struct audit *audit)
{
    if (!audit || audit->sync != SYNC_INTERVAL || audit->unsynced_ms == 0)
        return -1;
    uint64_t age = clock_ms(CLOCK_MONOTONIC) - audit->unsynced_ms;
    if (age < audit->sync_interval)
        return (int)(audit->sync_interval - age);
    sync_file(audit);
    return -1;
}

void audit_reopen(struct audit *audit)
{
    struct stat now, fresh;
    if (!audit || (fstat(audit->fd, &now) == 0 && stat(audit->path, &fresh) == 0 &&
                   now.st_dev == fresh.st_dev && now.st_ino == fresh.st_ino))
        return;
    _cleanup_close_ int fd = -1;
    int error = open_file(audit, &fd, &fresh);
    if (error) {
        errors.value++;
        log_error("cannot open the audit log %s anew: %s; the old file is gone on with", audit->path,
                  strerror(-error));
        return;
    }
    if (audit->sync != SYNC_NEVER)
        sync_file(audit);
    int old = audit->fd;
    struct audit_state state = audit->state;
    uint64_t size = audit->size;
    audit->fd = fd;
    error = go_on(audit, &fresh);
    if (error) {
        log_error("cannot begin a new audit log %s: %s; the old file is gone on with", audit->path,
                  strerror(-error));
        audit->fd = old;
        audit->state = state;
        audit->size = size;
        return;
    }
    fd = old;
}
