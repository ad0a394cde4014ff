#include "probes.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/privilege.h"
#include "base/series.h"
#include "elf_symbols.h"
#include "mapped.h"
#include "mapping.h"
#include "probe_account.h"
#include "probe_attach.h"
#include "probe_returns.h"
#include "probe_seen.h"
#include "source.h"
#include "uprobe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    USERS_MAX = 4, // processes that are remembered; one of them alive is enough
    FRESH_S = 10,  // so long a file without symbols is taken for unchanged
    USERS_EVERY_S = 10,
    IDLE_S = 30, // so long a file that nobody runs keeps its probes
    RESCAN_EVERY_S = 30,
    READ_EACH_S = 128 * 1024 * 1024, // bytes of files
    HURRIES_MAX = 60,                // seconds in a row
    DESCRIPTORS = 16384,
    DESCRIPTORS_LEFT = 256, // for all but probes
};

struct probed {
    struct probe_file file;
    struct probe_part *parts[PROBES_KINDS_MAX]; // by kind; NULL: nothing of it
    struct probe_look look;
    uint32_t major, minor; // as one of its users has it
    uint64_t inode;
    pid_t users[USERS_MAX];
    size_t users_count;
    time_t idle_since; // 0: it is not
    uint64_t probed_ns;
};

static const struct probe_kind *kinds[PROBES_KINDS_MAX];
_Static_assert(PROBES_KINDS_MAX <= 64, "struct probe_look has a bit for each");
static struct probed *files[PROBES_FILES_MAX];
static size_t links_count, links_max;
static time_t ticked, idle_looked_at, scanned;
static bool scan_again; // something was left out
static bool put_off;    // as too much was read this second
static unsigned hurries;
static uint64_t bytes_read;
static void (*on_runtime)(pid_t process);

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
LEFT_ALONE(left_no_returns, "no_returns"); // a function of it can end in ways that are not understood
LEFT_ALONE(left_full, "full");
LEFT_ALONE(left_refused, "refused"); // by the kernel

static struct counter *const lefts[] = {&left_gone,       &left_no_symbols, &left_unreadable,
                                        &left_no_returns, &left_full,       &left_refused};

static time_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static uint64_t bit(size_t kind)
{
    return UINT64_C(1) << kind;
}

// --- Which files ---

// The kinds that a file of that name may be for.
static uint64_t matching(const char *path)
{
    uint64_t found = 0;
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++)
        if (kinds[i] && probe_kind_matches(kinds[i], path))
            found |= bit(i);
    return found;
}

static struct probed *probed_as(const struct probe_file *file)
{
    for (size_t i = 0; i < PROBES_FILES_MAX; i++)
        if (files[i] && probe_file_equal(&files[i]->file, file))
            return files[i];
    return NULL;
}

// --- Attaching ---

static void tell(const struct probe_kind *kind)
{
    if (kind->changed)
        kind->changed();
}

static void detach_kind(struct probed *probed, size_t kind)
{
    struct probe_part *part = probed->parts[kind];
    probe_look_forget(&probed->look, bit(kind));
    if (!part)
        return;
    const struct probe_kind *whose = part->kind;
    links_count -= part->links_count;
    probe_part_free(&probed->parts[kind]);
    tell(whose);
}

static bool has_parts(const struct probed *probed)
{
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++)
        if (probed->parts[i])
            return true;
    return false;
}

// Files that found no place are looked at when there may be one. When somebody runs the file again it is
// news, too.
static void forget(struct probed **probed)
{
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++)
        detach_kind(*probed, i);
    probe_seen_remove_all(*probed);
    free(*probed);
    *probed = NULL;
    mapping_renew();
    scanned = scan_again ? 0 : scanned;
}

static int attach(struct probed *probed, size_t kind, int fd, const uint64_t *offsets,
                  const struct probe_returns *returns)
{
    bool raise = uprobe_is_privileged() && privilege_is_lowered();
    if (raise)
        privilege_raise();
    int error = probe_attach(kinds[kind], fd, offsets, returns, probe_account_left_out(kind),
                             links_max - links_count, &probed->parts[kind]);
    if (raise)
        privilege_lower();
    if (error)
        return error;
    links_count += probed->parts[kind]->links_count;
    probe_set stepped = 0;
    for (size_t i = 0; i < kinds[kind]->symbols_count; i++)
        stepped |= (probe_set)(offsets[i] && uprobe_is_stepped(fd, offsets[i])) << i;
    probe_account_stepped(kind, stepped);
    return 0;
}

static void say_left(const struct probe_kind *kind, int error)
{
    bool full = error == -ENOSPC || error == -EMFILE;
    struct counter *left = full ? &left_full : &left_refused;
    if (!left->value++)
        log_warning("cannot probe %s: %s; what goes through it is not seen", kind->name,
                    full ? "too many probes" : strerror(-error));
}

// What one kind finds in a file, and probes.
static void probe_kind_in(struct probed *probed, struct probe_look *look, size_t index, int fd,
                          const struct mapped_file *mapped, bool room)
{
    const struct probe_kind *kind = kinds[index];
    const char *names[ELF_NAMES_MAX];
    uint64_t offsets[ELF_NAMES_MAX] = {};
    look->done |= bit(index);
    look->again &= ~bit(index);
    for (size_t i = 0; i < kind->symbols_count; i++)
        names[i] = kind->symbols[i].name;
    int found = kind->find ? kind->find(fd, offsets, &bytes_read)
                           : elf_symbols_find(fd, names, kind->symbols_count, offsets, &bytes_read);
    if (found < 0) {
        left_unreadable.value++;
        return;
    }
    if (!offsets[0]) {
        left_no_symbols.value += probe_kind_expects(kind, mapped->path);
        return;
    }
    _cleanup_free_ struct probe_returns *returns =
        kind->throws ? calloc(ELF_NAMES_MAX, sizeof(*returns)) : NULL;
    if (returns)
        left_no_returns.value += probe_returns_find(kind, fd, offsets, returns, &bytes_read) > 0;
    if (!offsets[0])
        return;
    int error = room ? attach(probed, index, fd, offsets, returns) : -ENOSPC;
    log_debug("%s in process %d, file %u:%u %llu: %s", kind->name, mapped->pid, mapped->major, mapped->minor,
              (unsigned long long)mapped->inode, error ? strerror(-error) : "probed");
    if (!error)
        return;
    say_left(kind, error);
    probe_look_again(look, bit(index), error != -ENOSPC && error != -EMFILE, now());
    scan_again = true;
}

static struct probed **free_place(void)
{
    for (size_t i = 0; i < PROBES_FILES_MAX; i++)
        if (!files[i])
            return &files[i];
    return NULL;
}

static void tell_all(const struct probed *probed, uint64_t of)
{
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++)
        if (probed->parts[i] && of & bit(i))
            tell(kinds[i]);
}

// Looks through a file for those kinds. Gives the file where something is probed in it.
static struct probed *probe(struct probed *probed, struct probe_look *look, uint64_t todo,
                            const struct mapped_file *mapped, const struct probe_file *file, int fd)
{
    struct probed **place = probed ? NULL : free_place();
    struct probed *fresh = probed ? NULL : calloc(1, sizeof(*fresh));
    if (!probed && !fresh)
        return NULL;
    struct probed *target = probed ? probed : fresh;
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++)
        if (todo & bit(i))
            probe_kind_in(target, look, i, fd, mapped, probed || place);
    if (!probed && !has_parts(fresh)) {
        free(fresh);
        return NULL;
    }
    if (!probed) {
        fresh->file = *file;
        fresh->look = *look;
        fresh->major = mapped->major;
        fresh->minor = mapped->minor;
        fresh->inode = mapped->inode;
        *place = fresh;
    }
    tell_all(target, todo);
    return target;
}

static void tell_runtime(const struct probed *probed, pid_t pid)
{
    for (size_t i = 0; on_runtime && i < PROBES_KINDS_MAX; i++)
        if (probed->parts[i] && kinds[i]->computes) {
            on_runtime(pid);
            return;
        }
}

static void add_user(struct probed *probed, pid_t pid)
{
    tell_runtime(probed, pid);
    probed->idle_since = 0;
    for (size_t i = 0; i < probed->users_count; i++)
        if (probed->users[i] == pid)
            return;
    // One that may be gone makes room.
    probed->users[probed->users_count < USERS_MAX ? probed->users_count++ : (size_t)pid % USERS_MAX] = pid;
}

static void on_file(const struct mapped_file *mapped)
{
    struct probe_seen *seen = probe_seen_find(mapped);
    struct probed *probed = seen ? seen->probed : NULL;
    if (probed)
        add_user(probed, mapped->pid);
    bool fresh = seen && (probed || now() - seen->when < FRESH_S);
    struct probe_look *look = probed ? &probed->look : seen ? &seen->look : NULL;
    uint64_t wanted = matching(mapped->path);
    scan_again |= look && look->again & wanted;
    if (!wanted || (fresh && probe_look_to_do(look, wanted, now()) == 0))
        return;
    if (bytes_read > READ_EACH_S) {
        scan_again = put_off = true;
        return;
    }
    struct probe_file file;
    _cleanup_close_ int fd = probe_file_open(mapped, &file);
    if (fd < 0) {
        left_gone.value += strstr(mapped->path, ".so") != NULL;
        return;
    }
    if (seen && !probe_file_equal(&seen->file, &file)) {
        probe_seen_remove(seen);
        seen = NULL;
    }
    if (!seen)
        seen = probe_seen_add(mapped, &file);
    if (!seen)
        return;
    seen->when = now();
    if (!seen->probed)
        seen->probed = probed_as(&file);
    look = seen->probed ? &seen->probed->look : &seen->look;
    uint64_t todo = probe_look_to_do(look, wanted, now());
    if (todo)
        seen->probed = probe(seen->probed, look, todo, mapped, &file, fd);
    if (seen->probed)
        add_user(seen->probed, mapped->pid);
}

// --- When ---

static void scan(void)
{
    scan_again = put_off = false;
    scanned = now();
    mapped_scan(on_file);
}

// Probes take more descriptors than most programs need.
static void make_room(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    rlim_t wanted = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    if (limit.rlim_cur < wanted) {
        rlim_t had = limit.rlim_cur;
        limit.rlim_cur = wanted;
        limit.rlim_cur = setrlimit(RLIMIT_NOFILE, &limit) ? had : wanted;
    }
    links_max = limit.rlim_cur > DESCRIPTORS_LEFT ? limit.rlim_cur - DESCRIPTORS_LEFT : 0;
}

static void collect(struct series_writer *writer, void *context)
{
    static const struct series_family family = {
        .name = "inferscope_probe_files",
        .type = SERIES_GAUGE,
        .help = "Programs and libraries that are probed, by what in them is"};
    writer->family(writer, &family);
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++) {
        struct label label = {"kind", kinds[i] ? kinds[i]->name : NULL};
        if (kinds[i])
            writer->number(writer, &label, 1, (double)probes_files(kinds[i]));
    }

    static const struct series_family put_off_family = {
        .name = "inferscope_probe_files_put_off",
        .type = SERIES_GAUGE,
        .help = "1: some programs and libraries are still to be looked through, as more of them came at once "
                "than are read in a second; what their processes do is not seen until then"};
    writer->family(writer, &put_off_family);
    writer->number(writer, NULL, 0, put_off);
}

int probes_add_failed(int error, struct source_report *ret_report)
{
    snprintf(ret_report->reason, sizeof(ret_report->reason), "cannot probe what processes have mapped: %s",
             strerror(-error));
    return error;
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
    if (kind->symbols_count == 0 || kind->symbols_count > ELF_NAMES_MAX)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_SIZE(lefts); i++)
        counter_register(lefts[i]);
    make_room();
    static bool registered;
    int error = registered ? 0 : series_register(collect, NULL);
    registered |= !error;
    if (!error)
        error = mapped_start(on_file);
    if (error)
        return error;
    error = probe_account_add(free_kind, kind);
    if (error)
        return error;
    kinds[free_kind] = kind;
    scan();
    return 0;
}

void probes_tell_runtimes(void (*found)(pid_t process))
{
    on_runtime = found;
}

bool probes_wanted(void)
{
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++)
        if (kinds[i])
            return true;
    return false;
}

static size_t index_of(const struct probe_kind *kind)
{
    size_t index = 0;
    while (index < PROBES_KINDS_MAX && kinds[index] != kind)
        index++;
    return index;
}

void probes_remove(const struct probe_kind *kind)
{
    size_t index = index_of(kind);
    if (index == PROBES_KINDS_MAX)
        return;
    for (size_t i = 0; i < PROBES_FILES_MAX; i++) {
        if (files[i])
            detach_kind(files[i], index);
        if (files[i] && !has_parts(files[i]))
            forget(&files[i]);
    }
    probe_seen_forget_kind(bit(index));
    kinds[index] = NULL;
    probe_account_remove(index);
    if (probes_wanted())
        return;
    probe_seen_remove_all(NULL);
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

// One in so many files each time, as reading what a process has mapped takes a while.
static void look_at_users(void)
{
    static size_t turn;
    turn = (turn + 1) % USERS_EVERY_S;
    for (size_t i = turn; i < PROBES_FILES_MAX; i += USERS_EVERY_S)
        if (files[i] && !has_user(files[i]) && !files[i]->idle_since)
            files[i]->idle_since = now();
}

static bool is_idle(const struct probed *probed)
{
    return probed && probed->idle_since && now() - probed->idle_since >= IDLE_S;
}

static void forget_idle(void)
{
    bool any = false;
    for (size_t i = 0; i < PROBES_FILES_MAX; i++)
        any |= is_idle(files[i]);
    if (any)
        scan();
    for (size_t i = 0; any && i < PROBES_FILES_MAX; i++)
        if (is_idle(files[i]))
            forget(&files[i]);
}

// --- What costs too much ---

static void shed(size_t kind, probe_set groups)
{
    for (size_t i = 0; i < PROBES_FILES_MAX; i++) {
        struct probe_part *part = files[i] ? files[i]->parts[kind] : NULL;
        if (!part)
            continue;
        links_count -= part->links_count;
        probe_detach(part, groups);
        links_count += part->links_count;
    }
    tell(kinds[kind]);
}

// The files are opened again for it, as those who run them see them.
static void resume(size_t kind)
{
    for (size_t i = 0; i < PROBES_FILES_MAX; i++)
        if (files[i])
            detach_kind(files[i], kind);
    scan();
}

static probe_set attached(size_t kind)
{
    probe_set groups = 0;
    for (size_t i = 0; i < PROBES_FILES_MAX; i++) {
        const struct probe_part *part = files[i] ? files[i]->parts[kind] : NULL;
        for (size_t k = 0; part && k < part->links_count; k++)
            groups |= (probe_set)1 << part->links[k].group;
    }
    return groups;
}

// What was put off is read at the rate that there is. Where that never ends, since there are more files than
// are remembered, it is done less often.
static bool is_scan_due(void)
{
    hurries = put_off ? hurries + 1 : 0;
    return (put_off && hurries <= HURRIES_MAX) || (scan_again && now() - scanned >= RESCAN_EVERY_S);
}

void probes_tick(void)
{
    static const struct probe_account_acts acts = {.shed = shed, .resume = resume, .attached = attached};
    if (ticked == now())
        return;
    ticked = now();
    bytes_read = 0;
    probe_account_tick(&acts);
    probes_look();
    if (is_scan_due())
        scan();
    look_at_users();
    if (now() - idle_looked_at < USERS_EVERY_S)
        return;
    idle_looked_at = now();
    forget_idle();
}

size_t probes_files(const struct probe_kind *kind)
{
    size_t count = 0, index = index_of(kind);
    for (size_t i = 0; index < PROBES_KINDS_MAX && i < PROBES_FILES_MAX; i++)
        count += files[i] && files[i]->parts[index] && files[i]->parts[index]->links_count;
    return count;
}

uint64_t probes_latest_ns(const struct probe_kind *kind)
{
    uint64_t latest = 0;
    size_t index = index_of(kind);
    for (size_t i = 0; index < PROBES_KINDS_MAX && i < PROBES_FILES_MAX; i++)
        if (files[i] && files[i]->parts[index] && files[i]->parts[index]->since_ns > latest)
            latest = files[i]->parts[index]->since_ns;
    return latest;
}
