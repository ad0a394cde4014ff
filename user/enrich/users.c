#include "users.h"

#include "base/cleanup.h"
#include "base/outside.h"
#include "base/series.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define CHECK_AFTER_NS 1000000000ULL
enum { NAMES_MAX = 65536 };

static struct counter dropped = {
    .name = "inferscope_user_names_dropped_total",
    .help = "Lines of the node's passwd and group files that were left out, by the limit of names or for "
            "lack of memory",
};

void users_init(struct users *users, const char *host_root)
{
    memset(users, 0, sizeof(*users));
    snprintf(users->passwd.path, sizeof(users->passwd.path), "%s/etc/passwd", host_root);
    snprintf(users->group.path, sizeof(users->group.path), "%s/etc/group", host_root);
    counter_register(&dropped);
}

void users_free(struct users *users)
{
    free(users->passwd.names);
    free(users->group.names);
    users->passwd.names = users->group.names = NULL;
    users->passwd.count = users->group.count = 0;
}

// name:x:id:… ; false for a line that is not of that form, as the "+" lines of NIS.
static bool line_parse(char *line, struct user_name *ret_name)
{
    char *name_end = strchr(line, ':');
    char *id = name_end ? strchr(name_end + 1, ':') : NULL;
    if (!id || name_end == line || (size_t)(name_end - line) >= sizeof(ret_name->name))
        return false;
    id++;
    char *id_end;
    errno = 0;
    unsigned long long number = strtoull(id, &id_end, 10);
    if (id_end == id || *id < '0' || *id > '9' || errno || number >= UINT32_MAX)
        return false;
    if (*id_end != ':' && *id_end != '\n' && *id_end != '\0')
        return false;
    *name_end = '\0';
    ret_name->id = (uint32_t)number;
    strcpy(ret_name->name, line);
    return true;
}

static int name_order(const void *left, const void *right)
{
    const struct user_name *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

// The file's names, one behind the other as they stand in it: no more of the file is kept or recorded.
static ssize_t names_now(void *context, void *ret_data, size_t capacity)
{
    const struct user_file *file = context;
    _cleanup_close_ int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0)
        return -errno;
    if (!S_ISREG(info.st_mode))
        return -EINVAL;
    _cleanup_fclose_ FILE *stream = fdopen(fd, "r");
    if (!stream)
        return -errno;
    fd = -1;

    struct user_name *names = ret_data;
    uint32_t count = 0;
    bool continued = false;
    char line[1024]; // the three fields that are read come first; a group's members may go on for long
    while (fgets(line, sizeof(line), stream)) {
        bool rest = continued;
        continued = strchr(line, '\n') == NULL;
        struct user_name name = {.line = count};
        if (rest || !line_parse(line, &name))
            continue;
        if ((count + 1) * sizeof(name) <= capacity)
            names[count++] = name;
        else
            dropped.value++;
    }
    return (ssize_t)(count * sizeof(*names));
}

// "passwd" or "group".
static const char *file_kind(const struct user_file *file)
{
    return strrchr(file->path, '/') + 1;
}

static bool file_load(struct user_file *file)
{
    char question[32];
    snprintf(question, sizeof(question), "names of %.16s", file_kind(file));
    struct user_name *names = malloc(NAMES_MAX * sizeof(*names));
    ssize_t size =
        names ? outside_ask(OUTSIDE_LASTING, question, names_now, file, names, NAMES_MAX * sizeof(*names))
              : -ENOMEM;
    if (size < 0) {
        free(names);
        return false;
    }
    free(file->names);
    file->count = (size_t)size / sizeof(*names);
    struct user_name *fitting = realloc(names, file->count ? (size_t)size : 1);
    file->names = fitting ? fitting : names;
    for (size_t i = 0; i < file->count; i++)
        file->names[i].name[sizeof(file->names[i].name) - 1] = '\0';
    if (file->count > 0)
        qsort(file->names, file->count, sizeof(*file->names), name_order);
    return true;
}

static ssize_t identity_now(void *context, void *ret_data, size_t capacity)
{
    const struct user_file *file = context;
    struct stat info;
    if (stat(file->path, &info) < 0)
        return -errno;
    struct user_file_identity identity = {
        .dev = info.st_dev,
        .ino = info.st_ino,
        .size = (uint64_t)info.st_size,
        .mtime_ns = (uint64_t)info.st_mtim.tv_sec * 1000000000 + (uint64_t)info.st_mtim.tv_nsec,
    };
    memcpy(ret_data, &identity, sizeof(identity));
    return sizeof(identity);
}

static void file_check(struct user_file *file, uint64_t now_ns)
{
    if (file->checked_ns != 0 && now_ns < file->checked_ns + CHECK_AFTER_NS)
        return;
    file->checked_ns = now_ns ? now_ns : 1;

    char question[32];
    snprintf(question, sizeof(question), "identity of %.16s", file_kind(file));
    struct user_file_identity identity;
    // Half-way through being replaced, or never there: what is known stays.
    if (outside_ask(OUTSIDE_LASTING, question, identity_now, file, &identity, sizeof(identity)) !=
        sizeof(identity))
        return;
    if (memcmp(&identity, &file->seen, sizeof(identity)) == 0)
        return;
    if (file_load(file))
        file->seen = identity;
}

void users_learn(struct users *users)
{
    file_check(&users->passwd, 0);
    file_check(&users->group, 0);
}

static const char *file_name(struct user_file *file, uint32_t id, uint64_t now_ns)
{
    file_check(file, now_ns);
    size_t low = 0, high = file->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (file->names[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < file->count && file->names[low].id == id)
        return file->names[low].name;
    return id == 0 ? "root" : NULL;
}

const char *users_user(struct users *users, uint32_t uid, uint64_t now_ns)
{
    return file_name(&users->passwd, uid, now_ns);
}

const char *users_group(struct users *users, uint32_t gid, uint64_t now_ns)
{
    return file_name(&users->group, gid, now_ns);
}
