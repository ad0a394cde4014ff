#include "probes.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/privilege.h"
#include "base/series.h"
#include "elf_symbols.h"
#include "mapped.h"
#include "probe_file.h"
#include "uprobe.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <uthash.h>

enum {
    LINKS_MAX = 96, // a file's
    USERS_MAX = 4,  // processes that are remembered; one of them alive is enough
    SEEN_MAX = 8192,
    FRESH_S = 10, // so long a file without symbols is taken for unchanged
    USERS_EVERY_S = 10,
    IDLE_S = 30, // so long a file that nobody runs keeps its probes
    RESCAN_EVERY_S = 30,
    READ_EACH_S = 128 * 1024 * 1024, // bytes of files
    DESCRIPTORS = 4096,
};

struct probed {
    struct probe_file file;
    struct {
        int fd;
        const struct probe_kind *kind;
    } links[LINKS_MAX]; // in the order in which they were attached
    size_t links_count;
    uint32_t major, minor; // as one of its users has it
    uint64_t inode;
    pid_t users[USERS_MAX];
    size_t users_count;
    time_t idle_since; // 0: it is not
};

// By the kernel's name for a file, what it was found to be. On overlays one file has several.
struct seen {
    struct {
        uint32_t major, minor;
        uint64_t inode;
    } key;
    struct probed *probed; // NULL: nothing to probe in it
    struct probe_file file;
    time_t when;
    UT_hash_handle hh; // the one looked at longest ago first
};

static const struct probe_kind *kinds[PROBES_KINDS_MAX];
static struct probed *files[PROBES_FILES_MAX];
static struct seen *seen_files;
static time_t ticked, users_looked_at, scanned;
static bool scan_again; // something was left out
static uint64_t bytes_read;

#define LEFT_ALONE(which, reason_text)                                                                   \
    static struct counter which = {                                                                      \
        .name = "inferscope_probe_files_left_total",                                                     \
        .help = "Times a program or library could not be probed, so that what its processes do with it " \
                "is not seen",                                                                           \
        .label = "reason",                                                                               \
        .label_value = reason_text,                                                                      \
    }

LEFT_ALONE(left_gone, "gone");             // deleted or replaced, or the process has ended
LEFT_ALONE(left_no_symbols, "no_symbols"); // a library of the kind's first pattern without the functions
LEFT_ALONE(left_unreadable, "unreadable"); // no ELF file of this machine, a broken or a huge one
LEFT_ALONE(left_full, "full");
LEFT_ALONE(left_refused, "refused"); // by the kernel

static struct counter *const lefts[] = {&left_gone, &left_no_symbols, &left_unreadable, &left_full,
                                        &left_refused};

static time_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

// --- Attaching ---

static void detach_kind(struct probed *probed, const struct probe_kind *kind)
{
    size_t kept = 0, count = probed->links_count;
    // Beginnings before returns, so that no call is noted whose end is not seen: they were attached last.
    for (size_t i = count; i > 0; i--)
        if (!kind || probed->links[i - 1].kind == kind)
            cleanup_close(&probed->links[i - 1].fd);
    for (size_t i = 0; i < count; i++)
        if (kind && probed->links[i].kind != kind)
            probed->links[kept++] = probed->links[i];
    probed->links_count = kept;
}

static int attach_one(struct probed *probed, const struct probe_kind *kind, const char *name, int fd,
                      uint64_t offset, bool at_return)
{
    struct bpf_program *program = name ? kind->program(name) : NULL;
    if (!name || !offset)
        return 0;
    if (!program || probed->links_count == LINKS_MAX)
        return -ENOSPC;
    int link = uprobe_attach(bpf_program__fd(program), fd, offset, at_return);
    if (link < 0)
        return link;
    probed->links[probed->links_count].fd = link;
    probed->links[probed->links_count++].kind = kind;
    return 0;
}

static int attach(struct probed *probed, const struct probe_kind *kind, int fd, const uint64_t *offsets)
{
    int error = 0;
    bool raise = uprobe_is_privileged() && privilege_is_lowered();
    if (raise)
        privilege_raise();
    for (size_t i = 0; !error && i < kind->symbols_count; i++)
        error = attach_one(probed, kind, kind->symbols[i].leave, fd, offsets[i], true);
    for (size_t i = 0; !error && i < kind->symbols_count; i++)
        error = attach_one(probed, kind, kind->symbols[i].enter, fd, offsets[i], false);
    if (raise)
        privilege_lower();
    if (error)
        detach_kind(probed, kind);
    return error;
}

// --- Which files ---

static const char *file_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

static bool matches(const struct probe_kind *kind, const char *path)
{
    const char *name = file_name(path);
    if (!strstr(name, ".so"))
        return kind->executables;
    for (size_t i = 0; kind->libraries[i]; i++)
        if (fnmatch(kind->libraries[i], name, 0) == 0)
            return true;
    return false;
}

static bool any_matches(const char *path)
{
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++)
        if (kinds[i] && matches(kinds[i], path))
            return true;
    return false;
}

static struct probed *probed_as(const struct probe_file *file)
{
    for (size_t i = 0; i < PROBES_FILES_MAX; i++)
        if (files[i] && probe_file_equal(&files[i]->file, file))
            return files[i];
    return NULL;
}

static void forget_seen(struct seen *seen)
{
    HASH_DEL(seen_files, seen);
    free(seen);
}

// Forgets what was found out of a file; NULL: of those that have no probes.
static void forget_seen_as(const struct probed *probed)
{
    struct seen *seen, *next;
    HASH_ITER (hh, seen_files, seen, next)
        if (seen->probed == probed)
            forget_seen(seen);
}

static void forget(struct probed **probed)
{
    detach_kind(*probed, NULL);
    forget_seen_as(*probed);
    free(*probed);
    *probed = NULL;
}

// What one kind finds in a file: true where there are probes now.
static bool probe_kind_in(struct probed *probed, const struct probe_kind *kind, int fd, const char *path,
                          pid_t pid)
{
    const char *names[ELF_NAMES_MAX];
    uint64_t offsets[ELF_NAMES_MAX] = {};
    size_t count = kind->symbols_count < ELF_NAMES_MAX ? kind->symbols_count : ELF_NAMES_MAX;
    for (size_t i = 0; i < count; i++)
        names[i] = kind->symbols[i].name;
    int found = kind->find ? kind->find(fd, offsets, &bytes_read)
                           : elf_symbols_find(fd, names, count, offsets, &bytes_read);
    if (found < 0) {
        left_unreadable.value++;
        return false;
    }
    if (!offsets[0]) {
        left_no_symbols.value += fnmatch(kind->libraries[0], file_name(path), 0) == 0;
        return false;
    }
    int error = attach(probed, kind, fd, offsets);
    log_debug("%s in process %d, file %u:%u %llu: %s", kind->name, pid, probed->major, probed->minor,
              (unsigned long long)probed->inode, error ? strerror(-error) : "probed");
    if (error && !left_refused.value++)
        log_warning("cannot probe %s: %s; what it encrypts is not seen", kind->name, strerror(-error));
    return !error;
}

static struct probed *probe(const struct mapped_file *mapped, const struct probe_file *file, int fd)
{
    struct probed **slot = NULL;
    for (size_t i = 0; i < PROBES_FILES_MAX && !slot; i++)
        slot = files[i] ? NULL : &files[i];
    if (!slot) {
        left_full.value++;
        return NULL;
    }
    struct probed *probed = calloc(1, sizeof(*probed));
    bool any = false;
    if (!probed)
        return NULL;
    probed->file = *file;
    probed->major = mapped->major;
    probed->minor = mapped->minor;
    probed->inode = mapped->inode;
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++)
        if (kinds[i] && matches(kinds[i], mapped->path))
            any |= probe_kind_in(probed, kinds[i], fd, mapped->path, mapped->pid);
    if (any)
        *slot = probed;
    else
        free(probed);
    return *slot;
}

static void add_user(struct probed *probed, pid_t pid)
{
    probed->idle_since = 0;
    for (size_t i = 0; i < probed->users_count; i++)
        if (probed->users[i] == pid)
            return;
    // One that may be gone makes room.
    probed->users[probed->users_count < USERS_MAX ? probed->users_count++ : (size_t)pid % USERS_MAX] = pid;
}

static struct seen *find_seen(const struct mapped_file *mapped)
{
    struct seen wanted = {}, *seen = NULL;
    wanted.key.major = mapped->major;
    wanted.key.minor = mapped->minor;
    wanted.key.inode = mapped->inode;
    HASH_FIND(hh, seen_files, &wanted.key, sizeof(wanted.key), seen);
    return seen;
}

static void note_seen(struct seen *seen, const struct mapped_file *mapped, struct probed *probed,
                      const struct probe_file *file)
{
    if (seen)
        forget_seen(seen);
    while (HASH_COUNT(seen_files) >= SEEN_MAX)
        forget_seen(seen_files);
    seen = calloc(1, sizeof(*seen));
    if (!seen)
        return;
    seen->key.major = mapped->major;
    seen->key.minor = mapped->minor;
    seen->key.inode = mapped->inode;
    seen->probed = probed;
    seen->file = *file;
    seen->when = now();
    HASH_ADD(hh, seen_files, key, sizeof(seen->key), seen);
}

static void on_file(const struct mapped_file *mapped)
{
    struct seen *seen = find_seen(mapped);
    if (seen && seen->probed)
        add_user(seen->probed, mapped->pid);
    if ((seen && (seen->probed || now() - seen->when < FRESH_S)) || !any_matches(mapped->path))
        return;
    if (bytes_read > READ_EACH_S) {
        scan_again = true;
        return;
    }
    struct probe_file file;
    _cleanup_close_ int fd = probe_file_open(mapped, &file);
    if (fd < 0) {
        left_gone.value += strstr(file_name(mapped->path), ".so") != NULL;
        return;
    }
    if (seen && probe_file_equal(&seen->file, &file)) {
        seen->when = now();
        return;
    }
    struct probed *probed = probed_as(&file);
    if (!probed)
        probed = probe(mapped, &file, fd);
    if (probed)
        add_user(probed, mapped->pid);
    note_seen(seen, mapped, probed, &file);
}

// --- When ---

static void scan(void)
{
    scan_again = false;
    scanned = now();
    mapped_scan(on_file);
}

// Probes take more descriptors than most programs need.
static void make_room(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int probes_add(const struct probe_kind *kind)
{
    size_t free_kind = PROBES_KINDS_MAX;
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++) {
        if (kinds[i] == kind)
            return 0;
        if (!kinds[i])
            free_kind = i;
    }
    if (free_kind == PROBES_KINDS_MAX)
        return -ENOSPC;
    for (size_t i = 0; i < ARRAY_SIZE(lefts); i++)
        counter_register(lefts[i]);
    make_room();
    int error = mapped_start(on_file);
    if (error)
        return error;
    // Files that another kind has left alone, or has probed, are looked at again.
    kinds[free_kind] = kind;
    for (size_t i = 0; i < PROBES_FILES_MAX; i++)
        if (files[i])
            forget(&files[i]);
    forget_seen_as(NULL);
    scan();
    return 0;
}

void probes_remove(const struct probe_kind *kind)
{
    bool any = false;
    for (size_t i = 0; i < PROBES_FILES_MAX; i++) {
        if (files[i])
            detach_kind(files[i], kind);
        if (files[i] && !files[i]->links_count)
            forget(&files[i]);
    }
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++) {
        if (kinds[i] == kind)
            kinds[i] = NULL;
        any |= kinds[i] != NULL;
    }
    if (any)
        return;
    forget_seen_as(NULL);
    mapped_stop();
}

void probes_look(void)
{
    if (!mapped_poll())
        scan_again = true;
}

// Whether one of those is alive that are known to run it. Children that never called exec are not known.
static bool has_user(struct probed *probed)
{
    while (probed->users_count) {
        pid_t user = probed->users[probed->users_count - 1];
        if (mapped_has(user, probed->major, probed->minor, probed->inode))
            return true;
        probed->users_count--;
    }
    return false;
}

static void look_at_users(void)
{
    bool looked = false;
    for (size_t i = 0; i < PROBES_FILES_MAX; i++) {
        if (!files[i] || has_user(files[i]))
            continue;
        if (!files[i]->idle_since)
            files[i]->idle_since = now();
        if (now() - files[i]->idle_since < IDLE_S)
            continue;
        if (!looked)
            scan();
        looked = true;
        if (files[i]->users_count == 0)
            forget(&files[i]);
    }
}

void probes_tick(void)
{
    if (ticked == now())
        return;
    ticked = now();
    bytes_read = 0;
    probes_look();
    if (scan_again && now() - scanned >= RESCAN_EVERY_S)
        scan();
    if (now() - users_looked_at < USERS_EVERY_S)
        return;
    users_looked_at = now();
    look_at_users();
}

size_t probes_files(const struct probe_kind *kind)
{
    size_t count = 0;
    for (size_t i = 0; i < PROBES_FILES_MAX; i++)
        for (size_t k = 0; files[i] && k < files[i]->links_count; k++)
            if (files[i]->links[k].kind == kind) {
                count++;
                break;
            }
    return count;
}
