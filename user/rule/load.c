#include "base/cleanup.h"
#include "compiler.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct loader {
    struct compiler compiler;
    struct {
        dev_t dev;
        ino_t ino;
    } * seen; // a file that is named twice is loaded once
    size_t seen_count;
    size_t seen_capacity;
};

static void loader_free(struct loader *loader)
{
    arena_free(&loader->compiler.load);
    rule_set_free(&loader->compiler.set);
}

static void report_unreadable(struct loader *loader, const char *path, const char *why)
{
    struct file file = {.name = path};
    problem_at(loader->compiler.report, RULE_ERROR, CODE_FILE, place_of(&file, NULL),
               "this cannot be read as a rule file: %s", why);
}

static bool load_text(struct loader *loader, const char *name, const char *data, size_t length)
{
    struct compiler *compiler = &loader->compiler;
    struct file *file = arena_alloc(&compiler->load, sizeof(*file));
    if (!file)
        return false;
    static const char mark[] = "\xef\xbb\xbf";
    size_t skip = length >= 3 && memcmp(data, mark, 3) == 0 ? 3 : 0;
    file->name = arena_copy(&compiler->load, name, strlen(name));
    file->data = data + skip;
    file->length = length - skip;
    if (!file->name || !file_index(file, &compiler->load))
        return false;
    const struct node *documents = yaml_read(file, &compiler->load, compiler->report);
    if (!documents)
        return !compiler->load.failed;
    return items_collect(&compiler->items, file, documents, &compiler->load, compiler->report);
}

static bool is_seen(struct loader *loader, const struct stat *status)
{
    for (size_t i = 0; i < loader->seen_count; i++)
        if (loader->seen[i].dev == status->st_dev && loader->seen[i].ino == status->st_ino)
            return true;
    if (loader->seen_count == loader->seen_capacity) {
        void *more =
            arena_grow(&loader->compiler.load, loader->seen, sizeof(*loader->seen), &loader->seen_capacity);
        if (!more)
            return false;
        loader->seen = more;
    }
    loader->seen[loader->seen_count].dev = status->st_dev;
    loader->seen[loader->seen_count++].ino = status->st_ino;
    return false;
}

// At most YAML_FILE_MAX bytes; -EFBIG where there are more.
static ssize_t read_all(int fd, char *data)
{
    size_t length = 0;
    for (;;) {
        ssize_t count = read(fd, data + length, YAML_FILE_MAX + 1 - length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        length += (size_t)count;
        if (length > YAML_FILE_MAX)
            return -EFBIG;
        if (count == 0)
            return (ssize_t)length;
    }
}

static bool load_file(struct loader *loader, const char *path)
{
    // Opening a pipe must not wait for its writer.
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status)) {
        report_unreadable(loader, path, strerror(errno));
        return true;
    }
    if (!S_ISREG(status.st_mode)) {
        report_unreadable(loader, path, "it is not a regular file");
        return true;
    }
    if (is_seen(loader, &status))
        return true;
    _cleanup_free_ char *data = malloc(YAML_FILE_MAX + 1);
    if (!data)
        return false;
    ssize_t length = read_all(fd, data);
    if (length < 0) {
        report_unreadable(loader, path,
                          length == -EFBIG ? "it is larger than 32 MiB; split it" : strerror((int)-length));
        return true;
    }
    const char *kept = arena_copy(&loader->compiler.load, data, (size_t)length);
    return kept && load_text(loader, path, kept, (size_t)length);
}

static int is_rule_file(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int compare_names(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static bool load_directory(struct loader *loader, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_rule_file, compare_names);
    if (count < 0) {
        report_unreadable(loader, path, strerror(errno));
        return true;
    }
    if (count == 0)
        report_unreadable(loader, path, "the directory holds no *.yaml and no *.yml file");
    bool ok = true;
    for (int i = 0; i < count; i++) {
        _cleanup_free_ char *name = NULL;
        ok = ok && asprintf(&name, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
                            entries[i]->d_name) >= 0;
        ok = ok && load_file(loader, name);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

static bool load_input(struct loader *loader, const struct rule_input *input)
{
    struct stat status;
    if (input->path)
        return input->path[0] && stat(input->path, &status) == 0 && S_ISDIR(status.st_mode)
                   ? load_directory(loader, input->path)
                   : load_file(loader, input->path);
    size_t length;
    const char *text = rule_builtin(&length);
    return load_text(loader, "default.yaml (built in)", text, length);
}

int rule_set_load(const struct rule_input *inputs, size_t count, struct rule_report *ret_report,
                  struct rule_set **ret_set)
{
    memset(ret_report, 0, sizeof(*ret_report));
    struct loader loader _cleanup_(loader_free) = {.compiler.report = ret_report};
    struct compiler *compiler = &loader.compiler;
    compiler->set = calloc(1, sizeof(*compiler->set));
    if (!compiler->set)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (!load_input(&loader, &inputs[i]))
            return -ENOMEM;
    bool ok = compiler_resolve(compiler) && compiler_bind(compiler);
    report_sort(ret_report);
    if (!ok)
        return -ENOMEM;
    if (ret_report->errors)
        return -EINVAL;
    *ret_set = TAKE_PTR(compiler->set);
    return 0;
}
