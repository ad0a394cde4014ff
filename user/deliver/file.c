// A file, to which lines are appended. An alert is delivered when its line is on the disk. The file is
// rotated by its size, or by somebody else who then sends SIGUSR1.
#include "flush.h"
#include "lines.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct file {
    struct receiver_env env;
    const struct config_output *output;
    struct lines_alert format;
    struct lines lines;
    struct flush *flush;
    int fd;               // -1: to be opened
    uint64_t size;        // of the file
    size_t written;       // of the lines
    int error;            // why no more of them could be written; 0: all were
    bool reopen;          // before the next batch
    bool rotation_failed; // which was said
};

static void go_on(struct file *file);

// --- Opening and rotating ---

// A file's new name is on the disk only when its directory is.
static void sync_directory(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    _cleanup_close_ int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        fsync(fd);
}

// What a crash left of a line gets its end, so that the next one stands by itself.
static int end_last_line(int fd, const char *path, uint64_t size)
{
    char last;
    _cleanup_close_ int reading = size ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    if (reading < 0 || pread(reading, &last, 1, (off_t)size - 1) != 1 || last == '\n')
        return 0;
    return write(fd, "\n", 1) == 1 ? 0 : -errno;
}

static int open_file(struct file *file)
{
    const char *path = file->output->path;
    struct stat status;
    bool is_new = access(path, F_OK) != 0;
    _cleanup_close_ int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0 || fstat(fd, &status))
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if (is_new)
        sync_directory(path);
    int error = end_last_line(fd, path, (uint64_t)status.st_size);
    if (error)
        return error;
    // What is missing of a line in the old file; it is written anew.
    text_reset(&file->lines.rest);
    cleanup_close(&file->fd);
    file->fd = TAKE_FD(fd);
    return 0;
}

static int rename_numbered(const char *path, unsigned from, unsigned to)
{
    char old[PATH_MAX], new[PATH_MAX];
    int length =
        from ? snprintf(old, sizeof(old), "%s.%u", path, from) : snprintf(old, sizeof(old), "%s", path);
    int new_length = snprintf(new, sizeof(new), "%s.%u", path, to);
    if (length >= PATH_MAX || new_length >= PATH_MAX)
        return -ENAMETOOLONG;
    return rename(old, new) && errno != ENOENT ? -errno : 0;
}

static int move_away(const struct file *file)
{
    const char *path = file->output->path;
    if (file->output->rotate_keep == 0)
        return unlink(path) && errno != ENOENT ? -errno : 0;
    int error = 0;
    for (unsigned number = file->output->rotate_keep; !error && number > 0; number--)
        error = rename_numbered(path, number - 1, number);
    return error;
}

// A file that cannot be rotated grows, because no alert is worth less than its name.
static void rotate(struct file *file)
{
    int error = move_away(file);
    if (!error)
        error = open_file(file);
    if (error && !file->rotation_failed)
        log_error("output %s: cannot rotate %s, it grows on: %s", file->output->name, file->output->path,
                  strerror(-error));
    file->rotation_failed = error != 0;
}

// Whether the file is there and still has a name; somebody may have removed it.
static int make_ready(struct file *file)
{
    struct stat status;
    if (file->fd >= 0 && !file->reopen && fstat(file->fd, &status) == 0 && status.st_nlink > 0)
        return 0;
    file->reopen = false;
    return open_file(file);
}

// --- Writing ---

// As much as fits into this file: at least one line.
static size_t piece(const struct file *file)
{
    const struct lines *lines = &file->lines;
    uint64_t limit = file->output->rotate_size;
    size_t end = lines->bytes.length;
    if (!limit || file->size + (end - file->written) <= limit)
        return end;
    end = lines->rest_end;
    for (size_t i = 0; i < lines->count; i++) {
        if (lines->ends[i] > end && end > file->written &&
            file->size + (lines->ends[i] - file->written) > limit)
            break;
        end = lines->ends[i];
    }
    return end;
}

static uint64_t size_of(const struct file *file)
{
    struct stat status;
    return fstat(file->fd, &status) == 0 ? (uint64_t)status.st_size : 0;
}

// A line that was begun ends in the same file.
static bool is_full(const struct file *file)
{
    return file->output->rotate_size && file->size > 0 && file->written >= file->lines.rest_end &&
           file->size + (piece(file) - file->written) > file->output->rotate_size;
}

static int write_piece(struct file *file, size_t end)
{
    while (file->written < end) {
        ssize_t length = write(file->fd, file->lines.bytes.data + file->written, end - file->written);
        if (length < 0 && errno != EINTR)
            return -errno;
        if (length > 0)
            file->written += (size_t)length;
    }
    return 0;
}

static void settle(struct file *file, size_t end, int error)
{
    lines_keep_rest(&file->lines, file->written);
    if (error)
        lines_settlef(&file->lines, end, "%s: %s", file->output->path,
                      error == -EINVAL ? "it is no regular file" : strerror(-error));
    else
        lines_settle(&file->lines, end, NULL);
}

static void go_on(struct file *file)
{
    file->size = size_of(file);
    if (is_full(file)) {
        rotate(file);
        file->size = size_of(file);
    }
    file->error = write_piece(file, piece(file));
    flush_begin(file->flush, file->fd);
}

static void on_flushed(int error, void *context)
{
    struct file *file = context;
    if (error)
        settle(file, 0, error); // which of them are on the disk is not known
    else if (file->error || file->written == file->lines.bytes.length)
        settle(file, file->written, file->error);
    else
        go_on(file);
}

static void file_send(void *receiver, const struct item *items, size_t count)
{
    struct file *file = receiver;
    file->written = 0;
    int error = make_ready(file);
    lines_fill(&file->lines, items, count, lines_write_alert, &file->format);
    if (error)
        settle(file, 0, error);
    else
        go_on(file);
}

static void file_reopen(void *receiver)
{
    struct file *file = receiver;
    file->reopen = true;
}

static void file_close(void *receiver)
{
    struct file *file = receiver;
    flush_free(&file->flush);
    cleanup_close(&file->fd);
    lines_free(&file->lines);
    free(file);
}

static int file_open(const struct config_output *output, const struct receiver_env *env, void **ret_receiver)
{
    struct file *file = calloc(1, sizeof(*file));
    if (!file)
        return -ENOMEM;
    *file = (struct file){.env = *env, .output = output, .format = {output->format, env->hostname}, .fd = -1};
    int error = lines_init(&file->lines, &file->env, output->batch);
    if (!error)
        error = flush_new(env->loop, on_flushed, file, &file->flush);
    if (error) {
        file_close(file);
        return error;
    }
    *ret_receiver = file;
    return 0;
}

const struct receiver_type file_receiver = {
    .type = OUTPUT_FILE, .open = file_open, .close = file_close, .send = file_send, .reopen = file_reopen};
