#include "uprobe.h"

#include "base/cleanup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PMU "/sys/bus/event_source/devices/uprobe/"

// A number in a file, behind some words; -1: there is none.
static int read_number(const char *path, const char *format)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    int number;
    return file && fscanf(file, format, &number) == 1 ? number : -1;
}

// Where branches are checked (CET), functions begin with an instruction that does nothing, which the kernel
// has to run step by step. Most others that functions begin with it carries out by itself, which is faster.
static uint64_t behind_marker(int fd, uint64_t offset)
{
    static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    unsigned char code[sizeof(endbr64)];
    bool marked = pread(fd, code, sizeof(code), (off_t)offset) == sizeof(code) &&
                  memcmp(code, endbr64, sizeof(code)) == 0;
    return marked ? offset + sizeof(endbr64) : offset;
}

int uprobe_attach(int program_fd, int file_fd, uint64_t offset, bool at_return)
{
    static int type = -1, return_bit = -1;
    char path[32];
    if (type < 0)
        type = read_number(PMU "type", "%d");
    if (return_bit < 0)
        return_bit = read_number(PMU "format/retprobe", "config:%d");
    if (type < 0 || return_bit < 0)
        return -EOPNOTSUPP;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
    struct perf_event_attr attr = {.type = (uint32_t)type,
                                   .size = sizeof(attr),
                                   .config = at_return ? UINT64_C(1) << return_bit : 0,
                                   .uprobe_path = (uint64_t)(uintptr_t)path,
                                   .probe_offset = behind_marker(file_fd, offset)};
    // Of all processes on all CPUs, whichever CPU the event names.
    _cleanup_close_ int event = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
    if (event < 0)
        return -errno;
    int link = bpf_link_create(program_fd, event, BPF_PERF_EVENT, NULL);
    return link < 0 ? -errno : link;
}
