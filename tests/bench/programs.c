// What the agent's programs cost inside the kernel, by the kernel's own clock.
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
    int result = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
    return result < 0 ? -errno : result;
}

int program_stats_enable(void)
{
    union bpf_attr attr = {.enable_stats.type = BPF_STATS_RUN_TIME};
    return bpf(BPF_ENABLE_STATS, &attr);
}

static int read_info(unsigned id, struct bpf_prog_info *ret_info)
{
    union bpf_attr by_id = {.prog_id = id};
    int fd = bpf(BPF_PROG_GET_FD_BY_ID, &by_id);
    if (fd < 0)
        return fd;
    *ret_info = (struct bpf_prog_info){};
    union bpf_attr attr = {.info = {.bpf_fd = (unsigned)fd,
                                    .info_len = sizeof(*ret_info),
                                    .info = (uint64_t)(uintptr_t)ret_info}};
    int error = bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
    close(fd);
    return error < 0 ? error : 0;
}

int programs_that_watch(void)
{
    int count = 0;
    unsigned id = 0;
    for (;;) {
        union bpf_attr attr = {.start_id = id};
        struct bpf_prog_info info;
        int error = bpf(BPF_PROG_GET_NEXT_ID, &attr);
        if (error < 0)
            return error == -ENOENT ? count : error;
        id = attr.next_id;
        // One that has gone meanwhile does not count.
        if (read_info(id, &info))
            continue;
        switch (info.type) {
        case BPF_PROG_TYPE_KPROBE:
        case BPF_PROG_TYPE_TRACEPOINT:
        case BPF_PROG_TYPE_PERF_EVENT:
        case BPF_PROG_TYPE_RAW_TRACEPOINT:
        case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
        case BPF_PROG_TYPE_TRACING:
        case BPF_PROG_TYPE_LSM:
        case BPF_PROG_TYPE_CGROUP_SKB:
        case BPF_PROG_TYPE_CGROUP_SOCK:
        case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
        case BPF_PROG_TYPE_SOCK_OPS:
            count++;
        }
    }
}

static int read_program(unsigned id, struct program_cost *ret_cost)
{
    struct bpf_prog_info info;
    int error = read_info(id, &info);
    if (error)
        return error;
    *ret_cost = (struct program_cost){.id = id, .runs = info.run_cnt, .run_ns = info.run_time_ns};
    memcpy(ret_cost->name, info.name, sizeof(info.name));
    return 0;
}

// The program that one of the agent's descriptors stands for, or 0.
static unsigned program_of_descriptor(const char *fdinfo, const char *descriptor)
{
    char path[512], line[256];
    unsigned id = 0;
    snprintf(path, sizeof(path), "%s/%s", fdinfo, descriptor);
    FILE *file = fopen(path, "re");
    while (file && id == 0 && fgets(line, sizeof(line), file))
        if (sscanf(line, "prog_id: %u", &id) != 1)
            id = 0;
    if (file)
        fclose(file);
    return id;
}

int agent_programs(const struct agent *agent, struct program_cost *ret_costs, size_t max)
{
    char fdinfo[64];
    snprintf(fdinfo, sizeof(fdinfo), "/proc/%d/fdinfo", (int)agent->pid);
    DIR *directory = opendir(fdinfo);
    if (!directory)
        return -errno;
    size_t count = 0;
    int error = 0;
    for (struct dirent *entry; !error && count < max && (entry = readdir(directory));) {
        unsigned id = entry->d_name[0] == '.' ? 0 : program_of_descriptor(fdinfo, entry->d_name);
        for (size_t i = 0; id && i < count; i++)
            if (ret_costs[i].id == id)
                id = 0; // its link has a descriptor too
        if (id)
            error = read_program(id, &ret_costs[count++]);
    }
    closedir(directory);
    return error ? error : (int)count;
}
