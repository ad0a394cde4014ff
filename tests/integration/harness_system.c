// The part of the harness that is about files and processes.
#include "harness.h"

#include <criterion/options.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <mntent.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

enum { ARGUMENTS_MAX = 64 };

static char directory[64];
static char **texts; // freed when the test ends; a wait can make thousands
static size_t texts_count, texts_room;

// One test at a time: each looks at the whole machine.
int main(int argc, char **argv)
{
    struct criterion_test_set *tests = criterion_initialize();
    criterion_options.jobs = 1;
    int code = 0;
    if (criterion_handle_args(argc, argv, true))
        code = !criterion_run_all_tests(tests);
    criterion_finalize(tests);
    return code;
}

// --- Files ---

char *format_text(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    cr_assert_geq(vasprintf(&text, format, args), 0);
    va_end(args);
    if (texts_count == texts_room) {
        texts_room = texts_room ? 2 * texts_room : 256;
        texts = reallocarray(texts, texts_room, sizeof(*texts));
        cr_assert(texts);
    }
    return texts[texts_count++] = text;
}

const char *test_dir(void)
{
    return directory;
}

const char *test_path(const char *format, ...)
{
    char *name = NULL;
    va_list args;
    va_start(args, format);
    cr_assert_geq(vasprintf(&name, format, args), 0);
    va_end(args);
    const char *path = format_text("%s/%s", directory, name);
    free(name);
    return path;
}

void write_file(const char *path, const char *text)
{
    _cleanup_fclose_ FILE *file = fopen(path, "we");
    cr_assert(file, "%s: %s", path, strerror(errno));
    cr_assert_geq(fputs(text, file), 0);
}

char *read_whole_file(const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t capacity = 0;
    if (!file)
        return NULL;
    if (getdelim(&text, &capacity, '\0', file) < 0) {
        free(text);
        return strdup("");
    }
    return text;
}

void copy_file(const char *from, const char *to)
{
    _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    cr_assert(in >= 0 && out >= 0, "%s to %s: %s", from, to, strerror(errno));
    ssize_t count;
    while ((count = sendfile(out, in, NULL, 1 << 20)) > 0)
        ;
    cr_assert_eq(count, 0);
}

void open_once(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s", path);
}

const char *cgroup_mount(void)
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    const char *found = NULL;
    for (struct mntent *entry; !found && mounts && (entry = getmntent(mounts));)
        if (strcmp(entry->mnt_type, "cgroup2") == 0)
            found = format_text("%s", entry->mnt_dir);
    if (mounts)
        endmntent(mounts);
    return found;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    return remove(path) && errno != ENOENT ? -1 : 0;
}

void test_setup(void)
{
    if (geteuid() != 0)
        cr_skip_test("watching the kernel needs root");
    strcpy(directory, "/tmp/inferscope-test-XXXXXX");
    cr_assert(mkdtemp(directory));
    chmod(directory, 0755);
}

void test_teardown(void)
{
    if (directory[0])
        nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    while (texts_count)
        free(texts[--texts_count]);
    free(texts);
    texts = NULL;
    texts_room = 0;
}

// --- Processes ---

const char *program_beside(const char *name)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    cr_assert_gt(length, 0);
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    return format_text("%s/%s", self, name);
}

const char *actor_copy(const char *name)
{
    const char *copy = test_path("%s", name);
    copy_file(program_beside("actor"), copy);
    return copy;
}

int wait_for_exit(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        cr_assert_eq(errno, EINTR, "waitpid: %s", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void collect_arguments(const char *program, va_list rest, char **ret_arguments)
{
    size_t count = 0;
    for (const char *next = program; next; next = va_arg(rest, const char *)) {
        cr_assert_lt(count + 1, (size_t)ARGUMENTS_MAX);
        ret_arguments[count++] = (char *)next;
    }
    ret_arguments[count] = NULL;
}

// In the child: runs the program with these descriptors as its first three, where they are not -1.
static _Noreturn void become(char **arguments, int in, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if ((in >= 0 && dup2(in, 0) < 0) || (out >= 0 && (dup2(out, 1) < 0 || dup2(out, 2) < 0)))
        _exit(126);
    execvp(arguments[0], arguments);
    _exit(127);
}

int run_program(const char *program, ...)
{
    char *arguments[ARGUMENTS_MAX];
    va_list rest;
    va_start(rest, program);
    collect_arguments(program, rest, arguments);
    va_end(rest);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        become(arguments, -1, -1);
    return wait_for_exit(pid);
}

int run_captured(char **ret_output, const char *program, ...)
{
    char *arguments[ARGUMENTS_MAX];
    va_list rest;
    va_start(rest, program);
    collect_arguments(program, rest, arguments);
    va_end(rest);
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        become(arguments, -1, ends[1]);
    close(ends[1]);
    FILE *stream = fdopen(ends[0], "r");
    size_t capacity = 0;
    *ret_output = NULL;
    if (getdelim(ret_output, &capacity, '\0', stream) < 0) {
        free(*ret_output);
        *ret_output = strdup("");
    }
    fclose(stream);
    return wait_for_exit(pid);
}

pid_t start_waiting(int *ret_stdin, const char *program, ...)
{
    char *arguments[ARGUMENTS_MAX];
    va_list rest;
    va_start(rest, program);
    collect_arguments(program, rest, arguments);
    va_end(rest);
    int in[2], out[2];
    char byte;
    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        become(arguments, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    // It says that it waits, so that it certainly runs from here on.
    cr_assert_eq(read(out[0], &byte, 1), 1, "%s does not run", program);
    close(out[0]);
    *ret_stdin = in[1];
    return pid;
}

void in_child(int (*act)(const void *), const void *argument)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(act(argument));
    int code = wait_for_exit(pid);
    cr_assert_eq(code, 0, "the child ended with %d", code);
}

int exec_as_nobody(const void *program)
{
    if (setgid(65534) || setuid(65534))
        return 2;
    execl(program, program, NULL);
    return 1;
}

void halt(pid_t pid)
{
    const char *path = format_text("/proc/%d/status", pid);
    bool halted = false;
    kill(pid, SIGSTOP);
    for (time_t until = time(NULL) + DEADLINE_S; !halted && time(NULL) < until;) {
        _cleanup_free_ char *status = read_whole_file(path);
        halted = status && strstr(status, "State:\tT");
    }
    cr_assert(halted);
}

void stay_on_one_cpu(void)
{
    cpu_set_t allowed, first;
    int cpu = 0;
    CPU_ZERO(&first);
    cr_assert_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    while (!CPU_ISSET(cpu, &allowed))
        cpu++;
    CPU_SET(cpu, &first);
    cr_assert_eq(sched_setaffinity(0, sizeof(first), &first), 0);
}

bool kernel_at_least(int major, int minor)
{
    struct utsname kernel;
    int has_major = 0, has_minor = 0;
    uname(&kernel);
    sscanf(kernel.release, "%d.%d", &has_major, &has_minor);
    return has_major > major || (has_major == major && has_minor >= minor);
}

unsigned long long capabilities_for_reload(void)
{
    _cleanup_free_ char *level = read_whole_file("/proc/sys/kernel/perf_event_paranoid");
    return 1ull << 12 | 1ull << 38 | (level && atoi(level) > 2 ? 1ull << 21 : 0);
}
