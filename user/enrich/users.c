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
enum { NAMES_MAX = 65536, TEXTS_MAX = 4 << 20 };

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
    users->passwd.texts.max = TEXTS_MAX;
    counter_register(&dropped);
}

void users_free(struct users *users)
{
    free(users->passwd.names);
    free(users->group.names);
    text_free(&users->passwd.texts);
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

// Keeps a field of a line; its place, or 0 where there is none or no room.
static uint32_t text_keep(struct text *texts, const char *field, size_t length)
{
    if (length == 0 || texts->max - texts->length < length + 2)
        return 0;
    if (texts->length == 0)
        text_add_char(texts, '\0');
    size_t at = texts->length;
    text_add_bytes(texts, field, length);
    text_add_char(texts, '\0');
    return texts->truncated ? 0 : (uint32_t)at;
}

// The sixth and seventh field of a line of passwd.
static void line_parse_rest(const char *rest, struct text *texts, struct user_name *name)
{
    for (int colons = 0; colons < 3; colons++) {
        rest = strchr(rest, ':');
        if (!rest++)
            return;
    }
    size_t length = strcspn(rest, ":\n");
    name->home = text_keep(texts, rest, length);
    if (rest[length] == ':')
        name->shell = text_keep(texts, rest + length + 1, strcspn(rest + length + 1, ":\n"));
}

static int name_order(const void *left, const void *right)
{
    const struct user_name *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

// Copies a line without the fields that nobody reads, so that no more of the file is kept or recorded. The
// bytes, or 0 where it does not fit.
static size_t line_reduce(const char *line, bool passwd, char *to, size_t capacity)
{
    static const char kept_of_passwd[] = "1010011", kept_of_group[] = "101";
    size_t used = 0;
    for (const char *kept = passwd ? kept_of_passwd : kept_of_group; *kept; kept++) {
        size_t length = strcspn(line, ":\n"), taken = *kept == '1' ? length : 0;
        if (capacity - used < taken + 1)
            return 0;
        memcpy(to + used, line, taken);
        used += taken;
        line += length;
        to[used++] = *line == ':' && kept[1] ? ':' : '\n';
        if (to[used - 1] == '\n')
            break;
        line++;
    }
    return used;
}

// The file, as far as it matters here.
static ssize_t lines_now(void *context, void *ret_data, size_t capacity)
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

    size_t used = 0;
    bool continued = false;
    char line[1024]; // what is read comes first; a group's members may go on for long
    while (fgets(line, sizeof(line), stream)) {
        bool rest = continued;
        continued = strchr(line, '\n') == NULL;
        size_t size = rest ? 0 : line_reduce(line, file->texts.max, (char *)ret_data + used, capacity - used);
        dropped.value += !rest && size == 0;
        used += size;
    }
    return (ssize_t)used;
}

static bool name_add(struct user_file *file, size_t *capacity, const struct user_name *name)
{
    if (file->count == *capacity) {
        size_t larger = *capacity ? *capacity * 2 : 64;
        struct user_name *names = larger <= NAMES_MAX ? realloc(file->names, larger * sizeof(*names)) : NULL;
        if (!names)
            return false;
        file->names = names;
        *capacity = larger;
    }
    file->names[file->count++] = *name;
    return true;
}

static void lines_parse(struct user_file *file, char *lines)
{
    free(file->names);
    file->names = NULL;
    file->count = 0;
    text_reset(&file->texts);

    size_t capacity = 0;
    uint32_t line_number = 0;
    for (char *line, *next = lines; (line = strsep(&next, "\n"));) {
        struct user_name name = {};
        const char *id = strchr(line, ':');
        id = id ? strchr(id + 1, ':') : NULL;
        if (!line_parse(line, &name))
            continue;
        if (file->texts.max)
            line_parse_rest(id + 1, &file->texts, &name);
        name.line = line_number++;
        if (!name_add(file, &capacity, &name))
            dropped.value++;
    }
    if (file->count > 0)
        qsort(file->names, file->count, sizeof(*file->names), name_order);
}

// "passwd" or "group".
static const char *file_kind(const struct user_file *file)
{
    return strrchr(file->path, '/') + 1;
}

static bool file_load(struct user_file *file)
{
    char question[32];
    snprintf(question, sizeof(question), "lines of %.16s", file_kind(file));
    _cleanup_free_ char *lines = malloc(OUTSIDE_ANSWER_MAX + 1);
    ssize_t size =
        lines ? outside_ask(OUTSIDE_LASTING, question, lines_now, file, lines, OUTSIDE_ANSWER_MAX) : -ENOMEM;
    if (size < 0)
        return false;
    lines[size] = '\0';
    lines_parse(file, lines);
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

static const struct user_name *file_find(struct user_file *file, uint32_t id, uint64_t now_ns)
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
    return low < file->count && file->names[low].id == id ? &file->names[low] : NULL;
}

static const char *file_name(struct user_file *file, uint32_t id, uint64_t now_ns)
{
    const struct user_name *found = file_find(file, id, now_ns);
    if (found)
        return found->name;
    return id == 0 ? "root" : NULL;
}

const char *users_user(struct users *users, uint32_t uid, uint64_t now_ns)
{
    return file_name(&users->passwd, uid, now_ns);
}

const char *users_home(struct users *users, uint32_t uid, uint64_t now_ns)
{
    const struct user_name *found = file_find(&users->passwd, uid, now_ns);
    return found && found->home ? users->passwd.texts.data + found->home : NULL;
}

const char *users_shell(struct users *users, uint32_t uid, uint64_t now_ns)
{
    const struct user_name *found = file_find(&users->passwd, uid, now_ns);
    return found && found->shell ? users->passwd.texts.data + found->shell : NULL;
}

const char *users_group(struct users *users, uint32_t gid, uint64_t now_ns)
{
    return file_name(&users->group, gid, now_ns);
}
