#include "hook.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "skipped.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The last line of libbpf's that tells something, for the report.
static char libbpf_words[160];

static int on_libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
    char line[1024];
    va_list again;
    va_copy(again, args);
    vsnprintf(line, sizeof(line), format, again);
    va_end(again);
    line[strcspn(line, "\n")] = '\0';
    // The verifier's whole log, which is what such a line is asked for.
    if (log_enabled(LOG_LEVEL_DEBUG))
        vfprintf(stderr, format, args);
    // The verifier's log and the lines around it explain nothing in one line.
    bool framing =
        strstr(line, "PROG LOAD LOG") || strstr(line, "failed to load object") || strstr(line, "processed ");
    if (level == LIBBPF_WARN && !framing && line[0] && !libbpf_words[0])
        snprintf(libbpf_words, sizeof(libbpf_words), "%s",
                 line + (strncmp(line, "libbpf: ", 8) == 0 ? 8 : 0));
    return 0;
}

void hook_capture_libbpf(void)
{
    libbpf_set_print(on_libbpf_print);
}

// The map that tells 32-bit calls' programs, and how many there are in it.
static int compat_fd = -1;
static size_t compat_entries;

size_t hook_compat_count(void)
{
    return compat_entries;
}

static int reuse_map(struct bpf_object *object, const char *name, int fd)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object, name);
    return map ? bpf_map__reuse_fd(map, fd) : 0;
}

static int hook_prepare(struct bpf_object *object, const struct source_env *env, const struct hook *hooks,
                        size_t count)
{
    libbpf_words[0] = '\0';
    compat_fd = env->compat_fd;
    int error = reuse_map(object, "ring", env->ring_fd);
    if (!error)
        error = reuse_map(object, "lost", env->lost_fd);
    if (!error)
        error = reuse_map(object, "compat_calls", env->compat_fd);
    if (!error)
        error = reuse_map(object, "work", env->work_fd);
    if (error)
        return error;

    struct bpf_program *program;
    bpf_object__for_each_program(program, object) bpf_program__set_autoload(program, false);
    for (size_t i = 0; i < count; i++) {
        if (hooks[i].unfit)
            continue;
        program = bpf_object__find_program_by_name(object, hooks[i].program);
        if (!program)
            return -ENOENT;
        bpf_program__set_autoload(program, true);
    }
    return 0;
}

const char *source_hook_words(int error)
{
    return error == EXDEV
               ? "the cgroups that are mounted here are only this container's own; mount the node's "
                 "/sys/fs/cgroup"
               : strerror(error);
}

int hook_load_failed(int error, struct source_report *ret_report)
{
    if (access("/sys/kernel/btf/vmlinux", R_OK)) {
        snprintf(ret_report->reason, sizeof(ret_report->reason),
                 "this kernel has no type information (BTF): use one with CONFIG_DEBUG_INFO_BTF, as Debian's "
                 "have");
        return error;
    }
    snprintf(ret_report->reason, sizeof(ret_report->reason), "the kernel refuses the program: %s%s%s",
             strerror(-error), libbpf_words[0] ? ": " : "", libbpf_words);
    return error;
}

int hook_load(struct bpf_object_skeleton *skeleton, const struct source_env *env, const struct hook *hooks,
              size_t count, struct source_report *ret_report)
{
    int error = hook_prepare(*skeleton->obj, env, hooks, count);
    if (!error)
        error = bpf_object__load_skeleton(skeleton);
    return error ? hook_load_failed(error, ret_report) : 0;
}

static bool has_number(const uint16_t *numbers, size_t count, uint16_t number)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

static void compat_remove(struct hooks *attached, size_t index)
{
    __u32 key = attached->compat[index];
    bpf_map_delete_elem(compat_fd, &key);
    attached->compat[index] = attached->compat[--attached->compat_count];
    compat_entries--;
}

// Enters the program for the calls of 32-bit callers that are wanted, and takes it out of the others.
static int compat_update(struct bpf_program *program, const struct hook *hook, struct hooks *attached)
{
    int program_fd = bpf_program__fd(program);
    for (size_t i = 0; i < hook->compat_count; i++) {
        __u32 key = hook->compat[i];
        if (has_number(attached->compat, attached->compat_count, hook->compat[i]))
            continue;
        if (bpf_map_update_elem(compat_fd, &key, &program_fd, BPF_ANY))
            return -errno;
        attached->compat[attached->compat_count++] = hook->compat[i];
        compat_entries++;
    }
    for (size_t i = attached->compat_count; i > 0; i--)
        if (!has_number(hook->compat, hook->compat_count, attached->compat[i - 1]))
            compat_remove(attached, i - 1);
    return 0;
}

static int attach(struct bpf_object *object, const struct hook *hook, struct hooks *attached, size_t index)
{
    struct bpf_program *program = bpf_object__find_program_by_name(object, hook->program);
    libbpf_words[0] = '\0';
    if (hook->compat)
        return compat_update(program, hook, attached);
    if (attached->links[index])
        return 0;
    if (hook->attach)
        return hook->attach(program, hook, &attached->links[index]);
    struct bpf_link *link = bpf_program__attach(program);
    if (!link)
        return -errno;
    attached->links[index] = link;
    return 0;
}

static void detach(struct hooks *attached, const struct hook *hook, size_t index)
{
    if (attached->links[index])
        bpf_link__destroy(attached->links[index]);
    attached->links[index] = NULL;
    while (hook->compat && attached->compat_count)
        compat_remove(attached, attached->compat_count - 1);
}

int hook_update(struct bpf_object *object, const struct hook *hooks, size_t count, struct hooks *attached,
                struct source_report *ret_report)
{
    size_t wanted = 0, up = 0;
    const struct hook *failed = NULL;
    int failure = 0;
    for (size_t i = 0; i < count && i < SOURCE_HOOKS_MAX; i++) {
        const struct hook *hook = &hooks[i];
        struct hook_report *report = &ret_report->hooks[i];
        *report = (struct hook_report){.optional = hook->optional, .state = HOOK_NOT_NEEDED};
        snprintf(report->name, sizeof(report->name), "%s", hook->name);
        snprintf(report->attach_point, sizeof(report->attach_point), "%s", hook->attach_point);
        ret_report->hooks_count = i + 1;
        if (!hook->wanted || hook->unfit)
            continue;
        int error = attach(object, hook, attached, i);
        report->state = error ? HOOK_FAILED : HOOK_UP;
        report->error = -error;
        // Calls of 32-bit callers alone are not what a source is for.
        wanted += !hook->compat;
        up += !error && !hook->compat;
        if (error && (!failed || (failed->optional && !hook->optional))) {
            failed = hook;
            failure = error;
        }
    }
    if (failed && (!failed->optional || (wanted && !up))) {
        snprintf(ret_report->reason, sizeof(ret_report->reason), "cannot attach to %s: %s",
                 failed->attach_point, source_hook_words(-failure));
        hook_detach_all(attached);
        return failure;
    }
    for (size_t i = 0; i < count && i < SOURCE_HOOKS_MAX; i++)
        if (!hooks[i].wanted)
            detach(attached, &hooks[i], i);
    attached->object = object;
    skipped_watch(object);
    return 0;
}

void hook_detach_all(struct hooks *attached)
{
    if (attached->object)
        skipped_unwatch(attached->object);
    attached->object = NULL;
    for (size_t i = SOURCE_HOOKS_MAX; i > 0; i--) {
        if (attached->links[i - 1])
            bpf_link__destroy(attached->links[i - 1]);
        attached->links[i - 1] = NULL;
    }
    while (attached->compat_count)
        compat_remove(attached, attached->compat_count - 1);
}

// A file system that may not be mounted anywhere: a mount of our own that no other process sees.
static int mount_detached(const char *type)
{
    _cleanup_close_ int context = (int)syscall(SYS_fsopen, type, 0);
    if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int fd = (int)syscall(SYS_fsmount, context, 0, 0);
    return fd < 0 ? -errno : fd;
}

// Mounted once and kept: a process that has given up CAP_SYS_ADMIN could not do so again.
static int kept_tracefs = -1, kept_cgroups = -1;

static int mount_kept(const char *type, int *kept)
{
    if (*kept < 0)
        *kept = mount_detached(type);
    return *kept < 0 ? TAKE_FD(*kept) : fcntl(*kept, F_DUPFD_CLOEXEC, 0);
}

static int tracefs_open(void)
{
    _cleanup_close_ int fd = open("/sys/kernel/tracing", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && faccessat(fd, "events", F_OK, 0) == 0)
        return TAKE_FD(fd);
    return mount_kept("tracefs", &kept_tracefs);
}

// The number by which perf_event_open() knows a tracepoint, "category/event", or a negative errno.
static int tracepoint_id(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "events/%s/id", name);
    _cleanup_close_ int tracefs = tracefs_open();
    if (tracefs < 0)
        return tracefs;
    _cleanup_close_ int fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC);
    char text[16] = "";
    if (fd < 0)
        return -errno;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    return length > 0 ? atoi(text) : -EIO;
}

int hook_attach_tracepoint(struct bpf_program *program, const struct hook *hook, struct bpf_link **ret_link)
{
    int id = tracepoint_id(hook->attach_point + strlen("tracepoint/"));
    if (id < 0)
        return id;
    struct perf_event_attr attr = {
        .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = (__u64)id, .sample_period = 1};
    // A BPF program runs on every CPU whichever one the event names.
    _cleanup_close_ int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct bpf_link *link = bpf_program__attach_perf_event(program, fd);
    if (!link)
        return -errno;
    TAKE_FD(fd); // the link's now
    *ret_link = link;
    return 0;
}

// Whether this process is in the very cgroup that a mount begins at.
static bool is_in_cgroup(int fd)
{
    _cleanup_close_ int list = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    _cleanup_fclose_ FILE *stream = list >= 0 ? fdopen(list, "re") : NULL;
    long pid;
    if (!stream)
        return false;
    TAKE_FD(list);
    while (fscanf(stream, "%ld", &pid) == 1)
        if (pid == getpid())
            return true;
    return false;
}

// Takes a descriptor of where a cgroup2 mount begins, and closes it where no other process's cgroup is below:
// what is mounted in a cgroup namespace begins at its own. The hierarchy's root has the number 1 (kernfs,
// since 5.5); a node that is a container itself has another, and is good enough for what runs in it.
static int cgroup_take(int fd)
{
    struct stat status;
    if (fd < 0)
        return fd;
    if (fstat(fd, &status) == 0 && (status.st_ino == 1 || !is_in_cgroup(fd)))
        return fd;
    close(fd);
    return -EXDEV;
}

// The root of the cgroup v2 hierarchy.
static int cgroup_root_open(void)
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    struct mntent entry;
    char buffer[4096];
    int fd = -1;
    while (mounts && fd < 0 && getmntent_r(mounts, &entry, buffer, sizeof(buffer)))
        if (strcmp(entry.mnt_type, "cgroup2") == 0)
            fd = cgroup_take(open(entry.mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (mounts)
        endmntent(mounts);
    if (fd >= 0)
        return fd;
    return cgroup_take(mount_kept("cgroup2", &kept_cgroups));
}

void hook_keep_attaching(void)
{
    // What they mount stays; what they hand out is not needed yet.
    int opened[] = {tracefs_open(), cgroup_root_open()};
    for (size_t i = 0; i < ARRAY_SIZE(opened); i++)
        cleanup_close(&opened[i]);
}

int hook_attach_cgroup(struct bpf_program *program, const struct hook *hook, struct bpf_link **ret_link)
{
    _cleanup_close_ int fd = cgroup_root_open();
    if (fd < 0)
        return fd;
    struct bpf_link *link = bpf_program__attach_cgroup(program, fd);
    if (!link)
        return -errno;
    *ret_link = link;
    return 0;
}
