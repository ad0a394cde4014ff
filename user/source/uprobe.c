#include "uprobe.h"

#include "base/cleanup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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

// --- From 6.6 on: by a link that names the file and an offset ---

#define ATTACH_TYPE_UPROBE_MULTI 48
#define UPROBE_MULTI_RETURN 1

// What BPF_LINK_CREATE takes for it: include/uapi/linux/bpf.h.
struct multi_link {
    uint32_t program_fd;
    uint32_t target_fd;
    uint32_t attach_type;
    uint32_t flags;
    uint64_t path;
    uint64_t offsets;
    uint64_t reference_counters;
    uint64_t cookies;
    uint32_t count;
    uint32_t multi_flags;
    uint32_t pid;
    uint32_t reserved;
};

static int attach_multi(int program_fd, const char *path, uint64_t offset, bool at_return)
{
    struct multi_link link = {.program_fd = (uint32_t)program_fd,
                              .attach_type = ATTACH_TYPE_UPROBE_MULTI,
                              .path = (uint64_t)(uintptr_t)path,
                              .offsets = (uint64_t)(uintptr_t)&offset,
                              .count = 1,
                              .multi_flags = at_return ? UPROBE_MULTI_RETURN : 0};
    int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof(link));
    return fd < 0 ? -errno : fd;
}

// A kernel that knows such links says that a folder is no file to probe.
static bool probe_multi(void)
{
    const struct bpf_insn nothing[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
                                       {.code = BPF_JMP | BPF_EXIT}};
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = ATTACH_TYPE_UPROBE_MULTI);
    _cleanup_close_ int program =
        bpf_prog_load(BPF_PROG_TYPE_KPROBE, "nothing", "GPL", nothing, ARRAY_SIZE(nothing), &options);
    if (program < 0)
        return false;
    _cleanup_close_ int link = attach_multi(program, "/", 0, false);
    return link == -EBADF;
}

static bool has_multi(void)
{
    static int has = -1;
    if (has < 0)
        has = probe_multi();
    return has;
}

void uprobe_prepare(struct bpf_program *program)
{
    if (has_multi())
        bpf_program__set_expected_attach_type(program, ATTACH_TYPE_UPROBE_MULTI);
}

bool uprobe_is_privileged(void)
{
    return !has_multi();
}

int uprobe_attach(int program_fd, int file_fd, uint64_t offset, bool at_return)
{
    static int type = -1, return_bit = -1;
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
    if (has_multi())
        return attach_multi(program_fd, path, behind_marker(file_fd, offset), at_return);
    if (type < 0)
        type = read_number(PMU "type", "%d");
    if (return_bit < 0)
        return_bit = read_number(PMU "format/retprobe", "config:%d");
    if (type < 0 || return_bit < 0)
        return -EOPNOTSUPP;
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
    if (link >= 0 || errno != EINVAL)
        return link < 0 ? -errno : link;
    // Before 5.15 the event itself holds the program.
    return ioctl(event, PERF_EVENT_IOC_SET_BPF, program_fd) ? -errno : TAKE_FD(event);
}
