#include "cuda_memory.h"

#include "base/clock.h"
#include "cuda_growth.h"

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

// Where an entry goes meanwhile the kernel begins anew, so there is an end to it, and nobody is visited
// twice.
static void visit(const struct cuda_memory *memory, process_fn call, void *context)
{
    enum { ENTRIES_MAX = 16384 };
    uint32_t pid, next;
    struct wire_cuda_process wire;
    rounds++;
    bool more = bpf_map_get_next_key(memory->processes_fd, NULL, &next) == 0;
    for (size_t i = 0; more && i < ENTRIES_MAX; i++) {
        pid = next;
        more = bpf_map_get_next_key(memory->processes_fd, &pid, &next) == 0;
        if (bpf_map_lookup_elem(memory->processes_fd, &pid, &wire))
            continue;
        struct process *process = known(memory, pid, &wire);
        if (!process || process->round == rounds)
            continue;
        process->round = rounds;
        call(pid, &wire, process, context);
    }
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
static void sweep(const struct cuda_memory *memory)
{
    enum { ENTRIES_MAX = 262144 };
    struct wire_cuda_allocation key, next;
    sweep_again = false;
    bool more = bpf_map_get_next_key(memory->allocations_fd, NULL, &next) == 0;
    for (size_t i = 0; more && i < ENTRIES_MAX; i++) {
        key = next;
        more = bpf_map_get_next_key(memory->allocations_fd, &key, &next) == 0;
        if (find(key.since_ns, key.pid))
            continue;
        if (key.since_ns < ticked_ns)
            bpf_map_delete_elem(memory->allocations_fd, &key);
        else
            sweep_again = true;
    }
}

void cuda_memory_tick(const struct cuda_memory *memory)
{
    visit(memory, look, NULL);
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
