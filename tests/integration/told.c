#include "told.h"

#include "tests/servers/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

const char *told_root(const char *name)
{
    static char path[PATH_MAX];
    const char *failure_path = format_text("build/servers/%s-failure", name);
    _cleanup_free_ char *failure = read_whole_file(failure_path);
    if (failure)
        cr_assert_fail("tests/servers/fetch-libraries has failed: %s", failure);
    if (!realpath(format_text("build/servers/%s", name), path))
        cr_skip_test("there is no %s here: tests/servers/fetch-libraries build/servers gets it", name);
    return path;
}

const char *told_program(const char *name)
{
    return program_beside(name);
}

static char *read_line(const struct told *told, char *line, size_t size)
{
    size_t used = 0;
    while (used + 1 < size && read(told->out, line + used, 1) == 1)
        if (line[used++] == '\n')
            break;
    line[used] = '\0';
    return used ? line : NULL;
}

// Into the root, with the kernel's own file systems, which Python asks for random numbers and processors.
static int enter(const char *root)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("/dev", format_text("%s/dev", root), NULL, MS_BIND, NULL) ||
        mount("/proc", format_text("%s/proc", root), NULL, MS_BIND, NULL))
        return -errno;
    return root_enter(root, test_dir());
}

struct told told_start(const char *root, const char *program, ...)
{
    enum { ARGUMENTS_MAX = 16 };
    const char *arguments[ARGUMENTS_MAX] = {program};
    static unsigned number;
    char line[64];
    int in[2], out[2];
    va_list rest;
    va_start(rest, program);
    for (size_t i = 1; i < ARGUMENTS_MAX; i++)
        arguments[i] = arguments[i - 1] ? va_arg(rest, const char *) : NULL;
    va_end(rest);
    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    // They have much to say that is of no interest.
    const char *log_path = test_path("told-%u.log", number++);
    _cleanup_close_ int log = open(log_path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0644);
    cr_assert_geq(log, 0);
    struct told told = {.pid = fork(), .in = in[1], .out = out[0]};
    cr_assert_geq(told.pid, 0);
    if (told.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        // Who has to wait for the CPU between looking at the clock and a call takes the wait for the call's.
        setpriority(PRIO_PROCESS, 0, -20);
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(log, 2);
        int error = root ? enter(root) : 0;
        if (!error)
            execv(arguments[0], (char *const *)arguments);
        dprintf(2, "%s: %s\n", arguments[0], strerror(error ? -error : errno));
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    cr_assert(read_line(&told, line, sizeof(line)), "%s does not run: %s", program,
              read_whole_file(log_path));
    cr_assert_str_eq(line, "ready\n");
    return told;
}

static void tell(const struct told *told, const char *format, va_list arguments)
{
    char line[PATH_MAX + 64];
    int length = vsnprintf(line, sizeof(line) - 1, format, arguments);
    line[length++] = '\n';
    cr_assert_eq(write(told->in, line, (size_t)length), length);
}

struct told_answer told_do(struct told *told, const char *format, ...)
{
    char line[64];
    unsigned long long count, took;
    va_list arguments;
    va_start(arguments, format);
    tell(told, format, arguments);
    va_end(arguments);
    cr_assert(read_line(told, line, sizeof(line)), "the program has ended at \"%s\"", format);
    cr_assert_eq(sscanf(line, "%llu %llu", &count, &took), 2, "%s", line);
    return (struct told_answer){.count = count, .took_ns = took};
}

void told_last(struct told *told, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(told, format, arguments);
    va_end(arguments);
    cr_assert_eq(wait_for_exit(told->pid), 0);
    close(told->in);
    close(told->out);
}

void told_end(struct told *told)
{
    close(told->in);
    cr_assert_eq(wait_for_exit(told->pid), 0);
    close(told->out);
}

void told_agrees(double seconds, uint64_t own_ns)
{
    double own = (double)own_ns / 1e9;
    cr_expect(seconds > own * 0.95 && seconds < own * 1.05, "%g s, by the program's own clock %g s", seconds,
              own);
}
