#include "cuda_memory.h"

#include "base/clock.h"
#include "cuda_growth.h"
#include "walk.h"

#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

// A process as long as the kernel's notes of it count. There are at most as many as the kernel's map has.
struct process {
    struct {
        uint64_t since_ns;
        uint64_t pid;
    } key;
    UT_hash_handle hh;
    enum cuda_seen seen; // WHOLE or PART
    unsigned round;      // in which it was seen last
    struct cuda_growth growth;
};

static struct process *processes;
static unsigned rounds;
static uint64_t swept;     // of cuda_memory.left_behind
static uint64_t ticked_ns; // CLOCK_BOOTTIME of the last tick
static bool sweep_again;

typedef void (*process_fn)(uint32_t pid, const struct wire_cuda_process *wire, struct process *process,
                           void *context);

static struct process *find(uint64_t since_ns, uint32_t pid)
{
    struct process wanted = {.key = {.since_ns = since_ns, .pid = pid}}, *process = NULL;
    HASH_FIND(hh, processes, &wanted.key, sizeof(wanted.key), process);
    return process;
}

static struct process *known(const struct cuda_memory *memory, uint32_t pid,
                             const struct wire_cuda_process *wire)
{
    struct process *process = find(wire->since_ns, pid);
    if (process)
        return process;
    process = calloc(1, sizeof(*process));
    if (!process)
        return NULL;
    process->key.since_ns = wire->since_ns;
    process->key.pid = pid;
    process->seen = wire->start_ns > memory->probed_ns ? CUDA_SEEN_WHOLE : CUDA_SEEN_PART;
    HASH_ADD(hh, processes, key, sizeof(process->key), process);
    return process;
}

struct visit {
    const struct cuda_memory *memory;
    process_fn call;
    void *context;
};

static void visit_process(int fd, const void *key, const void *value, void *context)
{
    const struct visit *each = context;
    const struct wire_cuda_process *wire = value;
    uint32_t pid = *(const uint32_t *)key;
    struct process *process = known(each->memory, pid, wire);
    if (!process)
        return;
    process->round = rounds;
    each->call(pid, wire, process, each->context);
}

// 0, or a negative errno: not all were visited.
static int visit(const struct cuda_memory *memory, process_fn call, void *context)
{
    struct visit each = {memory, call, context};
    rounds++;
    return walk_table(memory->processes_fd, visit_process, &each);
}

// --- Each second ---

static void look(uint32_t pid, const struct wire_cuda_process *wire, struct process *process, void *context)
{
    cuda_growth_add(&process->growth, clock_ns(CLOCK_BOOTTIME) / 1000000000, wire->in_use);
}

static void forget_gone(void)
{
    struct process *process, *next;
    HASH_ITER (hh, processes, process, next)
        if (process->round != rounds) {
            HASH_DEL(processes, process);
            free(process);
        }
}

// Takes out what nobody can free any more. Of a process that has only just begun, this table may not know.
static void sweep_allocation(int fd, const void *key, const void *value, void *context)
{
    const struct wire_cuda_allocation *allocation = key;
    if (find(allocation->since_ns, allocation->pid))
        return;
    if (allocation->since_ns < ticked_ns)
        bpf_map_delete_elem(fd, key);
    else
        sweep_again = true;
}

static void sweep(const struct cuda_memory *memory)
{
    sweep_again = false;
    if (walk_table(memory->allocations_fd, sweep_allocation, NULL))
        sweep_again = true;
}

void cuda_memory_tick(const struct cuda_memory *memory)
{
    if (visit(memory, look, NULL))
        return;
    forget_gone();
    if (memory->left_behind != swept || sweep_again)
        sweep(memory);
    swept = memory->left_behind;
    ticked_ns = clock_ns(CLOCK_BOOTTIME);
}

// --- At a scrape ---

struct take {
    measure_now_fn take;
    void *context;
};

static void hand_over(uint32_t pid, const struct wire_cuda_process *wire, struct process *process,
                      void *context)
{
    const struct take *take = context;
    enum cuda_seen seen = wire->unknown ? CUDA_SEEN_UNKNOWN : process->seen;
    struct wire_measure_key key = {
        .cgroup_id = wire->cgroup_id, .measure = CUDA_PROCESSES, .detail = (uint16_t)seen};
    take->take(&key, pid, 1, take->context);
    if (seen == CUDA_SEEN_UNKNOWN)
        return;
    key.measure = CUDA_IN_USE;
    take->take(&key, pid, wire->in_use, take->context);
    key.measure = CUDA_GROWTH;
    key.detail = 0;
    take->take(&key, pid, cuda_growth_bytes(&process->growth), take->context);
}

void cuda_memory_now(const struct cuda_memory *memory, measure_now_fn take, void *context)
{
    struct take wanted = {.take = take, .context = context};
    visit(memory, hand_over, &wanted);
}

void cuda_memory_stop(void)
{
    struct process *process, *next;
    HASH_ITER (hh, processes, process, next) {
        HASH_DEL(processes, process);
        free(process);
    }
    swept = ticked_ns = 0;
    sweep_again = false;
}
