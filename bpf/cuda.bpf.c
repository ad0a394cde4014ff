// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `cuda`: calls of the CUDA runtime and of the driver below it. A call that is made inside of another
// is no call of the program's, so the outer one counts.
#include "wire/cuda.h"
#include "bpf/lib/arguments.h"
#include "bpf/lib/cuda_memory.h"
#include "bpf/lib/measure.h"
#include "bpf/lib/under_way.h"

#define CALL 1 // all calls of which the return is probed are one kind

// Whether anything was ever probed, so that it costs others next to nothing when they end.
bool used;

INLINE void count(__u16 measure, __u16 detail)
{
    struct wire_measure_key key = measure_key(measure_cgroup(), measure, detail);
    measure_add_one(&key);
}

// --- Launches of kernels, which are so many that only their beginning is probed ---

// A thread's last launch through the runtime.
struct launch {
    __u64 stack; // 0: it has called the driver, or has returned
    __u64 back;  // where it returns to
    // The runtime may call the driver by functions that have no name, which nobody sees. Below 0: what was
    // seen speaks against that; above: for it.
    __s64 hides;
};

#define HIDES_FROM 4
#define HIDES_MOST 16

// Who launches was here a moment ago and is not pushed out; a thread that comes back is told about anew.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, __u32); // thread
    __type(value, struct launch);
} launches SEC(".maps");

#if defined(__TARGET_ARCH_x86)
// Where all calls return to whose return somebody probes: the last page of user memory (kernel/events/
// uprobes.c, xol_add_vma()).
#define TRAMPOLINE 0x7fffffffe000

INLINE __u64 return_address(__u64 stack)
{
    __u64 address = 0;
    bpf_probe_read_user(&address, sizeof(address), (void *)stack);
    return address;
}

// As long as the runtime has not returned, the stack holds where it will return to. Afterwards whoever calls
// the driver has most likely put something else there, but need not.
INLINE bool has_returned(const struct launch *launch, __u64 stack)
{
    __u64 address = return_address(launch->stack);
    return stack > launch->stack || (address != launch->back && address < TRAMPOLINE);
}
#else
// Elsewhere the return address is in a register first, so returns are probed there.
INLINE __u64 return_address(__u64 stack)
{
    return 0;
}

INLINE bool has_returned(const struct launch *launch, __u64 stack)
{
    return stack > launch->stack;
}
#endif

SEC("uprobe")
int cuda_launch(struct pt_regs *regs)
{
    __u32 thread = bpf_get_current_pid_tgid();
    __u64 stack = PT_REGS_SP(regs);
    struct launch launch = {.stack = stack, .back = return_address(stack)};
    struct launch *known = bpf_map_lookup_elem(&launches, &thread);
    if (known) {
        if (known->stack && known->hides < HIDES_MOST)
            known->hides++;
        known->stack = launch.stack;
        known->back = launch.back;
    } else {
        bpf_map_update_elem(&launches, &thread, &launch, BPF_ANY);
    }
    used = true;
    count(WIRE_CUDA_LAUNCH, 0);
    return 0;
}

// Whether the runtime has made this call. A single one that looks so proves little, as by chance it can.
INLINE bool is_inner(struct launch *launch, __u64 stack)
{
    if (!launch->stack || has_returned(launch, stack))
        return false;
    bool hides = launch->hides >= HIDES_FROM;
    launch->hides = launch->hides > 4 - HIDES_MOST ? launch->hides - 4 : -HIDES_MOST;
    launch->stack = 0; // it is one launch in the driver, too
    return !hides;
}

SEC("uprobe")
int cuda_driver_launch(struct pt_regs *regs)
{
    __u32 thread = bpf_get_current_pid_tgid();
    struct launch *launch = bpf_map_lookup_elem(&launches, &thread);
    if (!launch || !is_inner(launch, PT_REGS_SP(regs)))
        count(WIRE_CUDA_LAUNCH, 0);
    return 0;
}

SEC("uretprobe")
int cuda_launch_return(struct pt_regs *regs)
{
    __u32 thread = bpf_get_current_pid_tgid();
    struct launch *launch = bpf_map_lookup_elem(&launches, &thread);
    if (launch)
        launch->stack = 0;
    return 0;
}

// --- The other calls, from beginning to return ---

// What is kept of a call: words of struct under_way.
enum { WORD_KIND, WORD_AMOUNT, WORD_AT, WORD_PITCH_AT };

INLINE __u64 call_kind(__u16 measure, __u16 detail, __u32 what)
{
    return measure | (__u64)detail << 16 | (__u64)what << 32;
}

INLINE bool enter(struct pt_regs *regs, __u64 kind, __u64 amount, __u64 at, __u64 pitch_at)
{
    __u64 words[UNDER_WAY_WORDS] = {kind, amount, at, pitch_at};
    used = true;
    return under_way_enter(regs, CALL, words);
}

SEC("uprobe")
int cuda_graph(struct pt_regs *regs)
{
    enter(regs, call_kind(WIRE_CUDA_GRAPH, 0, 0), 0, 0, 0);
    return 0;
}

#define SYNCHRONIZE(name, scope)                                          \
    SEC("uprobe")                                                         \
    int cuda_synchronize_##name(struct pt_regs *regs)                     \
    {                                                                     \
        enter(regs, call_kind(WIRE_CUDA_SYNCHRONIZE, scope, 0), 0, 0, 0); \
        return 0;                                                         \
    }

SYNCHRONIZE(device, WIRE_CUDA_DEVICE)
SYNCHRONIZE(stream, WIRE_CUDA_STREAM)
SYNCHRONIZE(event, WIRE_CUDA_EVENT)

// --- Copies. Names say in which argument there is how much and, of the runtime, in which direction. ---

INLINE int copy(struct pt_regs *regs, __u32 direction, __u64 bytes)
{
    if (direction >= WIRE_CUDA_COPIES)
        direction = WIRE_CUDA_BY_ADDRESS;
    enter(regs, call_kind(WIRE_CUDA_COPY, direction, 0), bytes, 0, 0);
    return 0;
}

SEC("uprobe")
int cuda_copy_3_4(struct pt_regs *regs)
{
    return copy(regs, PT_REGS_PARM4(regs), PT_REGS_PARM3(regs));
}

SEC("uprobe")
int cuda_copy_3_5(struct pt_regs *regs)
{
    return copy(regs, PT_REGS_PARM5(regs), PT_REGS_PARM3(regs));
}

SEC("uprobe")
int cuda_copy_56_7(struct pt_regs *regs)
{
    return copy(regs, argument_from_7(regs, 7), (__u64)PT_REGS_PARM5(regs) * ARGUMENT6(regs));
}

SEC("uprobe")
int cuda_copy_peer(struct pt_regs *regs)
{
    return copy(regs, WIRE_CUDA_DEVICE_TO_DEVICE, PT_REGS_PARM5(regs));
}

#define COPY(name, direction)                              \
    SEC("uprobe")                                          \
    int cuda_copy_##name(struct pt_regs *regs)             \
    {                                                      \
        return copy(regs, direction, PT_REGS_PARM3(regs)); \
    }

COPY(to_device, WIRE_CUDA_HOST_TO_DEVICE)
COPY(to_host, WIRE_CUDA_DEVICE_TO_HOST)
COPY(on_device, WIRE_CUDA_DEVICE_TO_DEVICE)
COPY(by_address, WIRE_CUDA_BY_ADDRESS)

// struct cudaMemcpy3DParms (driver_types.h). Extents of arrays are in elements, whose size is not known here.
SEC("uprobe")
int cuda_copy_volume(struct pt_regs *regs)
{
    __u64 at = PT_REGS_PARM1(regs), source_array = 0, target_array = 0, extent[3] = {};
    __u32 direction = WIRE_CUDA_BY_ADDRESS;
    bpf_probe_read_user(&source_array, sizeof(source_array), (void *)at);
    bpf_probe_read_user(&target_array, sizeof(target_array), (void *)(at + 64));
    bpf_probe_read_user(extent, sizeof(extent), (void *)(at + 128));
    bpf_probe_read_user(&direction, sizeof(direction), (void *)(at + 152));
    return copy(regs, direction, source_array || target_array ? 0 : extent[0] * extent[1] * extent[2]);
}

// CUmemorytype: the first is the host's, arrays are the device's.
INLINE __u32 direction_between(__u32 source, __u32 target)
{
    if (source < 1 || source > 3 || target < 1 || target > 3)
        return WIRE_CUDA_BY_ADDRESS;
    if (source == 1)
        return target == 1 ? WIRE_CUDA_HOST_TO_HOST : WIRE_CUDA_HOST_TO_DEVICE;
    return target == 1 ? WIRE_CUDA_DEVICE_TO_HOST : WIRE_CUDA_DEVICE_TO_DEVICE;
}

// CUDA_MEMCPY2D and CUDA_MEMCPY3D (cuda.h), whose width is in bytes always.
INLINE int copy_described(struct pt_regs *regs, __u32 source_at, __u32 target_at, __u32 extent_at, bool deep)
{
    __u64 at = PT_REGS_PARM1(regs), extent[3] = {0, 0, 1};
    __u32 source = 0, target = 0;
    bpf_probe_read_user(&source, sizeof(source), (void *)(at + source_at));
    bpf_probe_read_user(&target, sizeof(target), (void *)(at + target_at));
    bpf_probe_read_user(extent, deep ? 24 : 16, (void *)(at + extent_at));
    return copy(regs, direction_between(source, target), extent[0] * extent[1] * extent[2]);
}

SEC("uprobe")
int cuda_copy_described_2d(struct pt_regs *regs)
{
    return copy_described(regs, 16, 72, 112, false);
}

SEC("uprobe")
int cuda_copy_described_3d(struct pt_regs *regs)
{
    return copy_described(regs, 32, 120, 176, true);
}

// --- Memory ---

// (where to put its address, how many bytes, …)
SEC("uprobe")
int cuda_allocate(struct pt_regs *regs)
{
    enter(regs, call_kind(WIRE_CUDA_ALLOCATE, 0, WIRE_CUDA_POINTER), PT_REGS_PARM2(regs), PT_REGS_PARM1(regs),
          0);
    return 0;
}

// (where to put its address, where to put how long a row is, how long it has to be, how many rows, …)
SEC("uprobe")
int cuda_allocate_rows(struct pt_regs *regs)
{
    enter(regs, call_kind(WIRE_CUDA_ALLOCATE, 0, WIRE_CUDA_POINTER), PT_REGS_PARM4(regs), PT_REGS_PARM1(regs),
          PT_REGS_PARM2(regs));
    return 0;
}

#define CU_MEM_LOCATION_TYPE_DEVICE 1

// cuMemCreate(where to put the handle, how many bytes, what kind, …). Some is the host's.
SEC("uprobe")
int cuda_allocate_handle(struct pt_regs *regs)
{
    __u32 location = 0;
    bpf_probe_read_user(&location, sizeof(location), (void *)((__u64)PT_REGS_PARM3(regs) + 8));
    if (location == CU_MEM_LOCATION_TYPE_DEVICE)
        enter(regs, call_kind(WIRE_CUDA_ALLOCATE, 0, WIRE_CUDA_HANDLE), PT_REGS_PARM2(regs),
              PT_REGS_PARM1(regs), 0);
    return 0;
}

// When it returns, another thread can have got the same memory again, so it is taken off the list now.
INLINE void free_begins(struct pt_regs *regs, __u32 what)
{
    struct under_way_key key = {.thread = bpf_get_current_pid_tgid(), .kind = CALL};
    __u64 address = PT_REGS_PARM1(regs);
    if (!enter(regs, call_kind(WIRE_CUDA_FREE, 0, what), 0, address, 0))
        return;
    struct under_way *call = bpf_map_lookup_elem(&calls_under_way, &key);
    struct wire_cuda_process *process = cuda_process();
    if (call && process && address)
        call->words[WORD_AMOUNT] = cuda_take(process, address, what);
}

SEC("uprobe")
int cuda_free(struct pt_regs *regs)
{
    free_begins(regs, WIRE_CUDA_POINTER);
    return 0;
}

SEC("uprobe")
int cuda_free_handle(struct pt_regs *regs)
{
    free_begins(regs, WIRE_CUDA_HANDLE);
    return 0;
}

SEC("uprobe")
int cuda_reset(struct pt_regs *regs)
{
    enter(regs, call_kind(WIRE_CUDA_RESET, 0, 0), 0, 0, 0);
    return 0;
}

INLINE int device_used(__u32 device)
{
    struct wire_cuda_process *process = cuda_process_new(measure_cgroup());
    used = true;
    if (process && device < 64)
        process->devices |= 1ull << device;
    return 0;
}

SEC("uprobe")
int cuda_device_1(struct pt_regs *regs)
{
    return device_used(PT_REGS_PARM1(regs));
}

SEC("uprobe")
int cuda_device_2(struct pt_regs *regs)
{
    return device_used(PT_REGS_PARM2(regs));
}

SEC("uprobe")
int cuda_context(struct pt_regs *regs)
{
    struct wire_cuda_process *process = cuda_process_new(measure_cgroup());
    used = true;
    if (process)
        __sync_fetch_and_add(&process->contexts, 1);
    return 0;
}

// --- Returns ---

// How many bytes there are by now.
INLINE __u64 allocated(const struct under_way *call, __u64 cgroup_id)
{
    __u64 size = call->words[WORD_AMOUNT], pitch_at = call->words[WORD_PITCH_AT], address = 0, pitch = 0;
    struct wire_cuda_process *process = cuda_process_new(cgroup_id);
    bool read = !bpf_probe_read_user(&address, sizeof(address), (void *)call->words[WORD_AT]);
    if (pitch_at) {
        read &= !bpf_probe_read_user(&pitch, sizeof(pitch), (void *)pitch_at);
        size *= pitch;
    }
    if (process && !read)
        process->unknown |= WIRE_CUDA_UNREAD;
    else if (process && address)
        cuda_note(process, address, call->words[WORD_KIND] >> 32, size);
    return size;
}

INLINE void reset(void)
{
    struct wire_cuda_process *process = cuda_process();
    if (process)
        cuda_context_gone(process);
}

// A free that has failed: the memory is there still.
INLINE void free_failed(const struct under_way *call)
{
    struct wire_cuda_process *process = cuda_process();
    if (process && call->words[WORD_AMOUNT])
        cuda_note(process, call->words[WORD_AT], call->words[WORD_KIND] >> 32, call->words[WORD_AMOUNT]);
}

SEC("uretprobe")
int cuda_return(struct pt_regs *regs)
{
    struct under_way call;
    __u64 took_ns;
    if (!under_way_leave(regs, CALL, &call, &took_ns))
        return 0;
    __u16 measure = call.words[WORD_KIND];
    bool failed = (__u32)PT_REGS_RC(regs) != 0;
    if (measure == WIRE_CUDA_RESET) {
        if (!failed)
            reset();
        return 0;
    }
    __u64 amount = call.words[WORD_AMOUNT];
    struct wire_measure_key key = measure_key(measure_cgroup(), measure, call.words[WORD_KIND] >> 16);
    if (measure == WIRE_CUDA_FREE && failed)
        free_failed(&call);
    if (failed) {
        measure_add_failed(&key);
        return 0;
    }
    if (measure == WIRE_CUDA_ALLOCATE)
        amount = allocated(&call, key.cgroup_id);
    measure_add(&key, took_ns, amount);
    return 0;
}

// --- Ends of processes and threads, whatever way ---

INLINE void thread_gone(__u32 thread)
{
    bpf_map_delete_elem(&launches, &thread);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(cuda_exit_btf, struct task_struct *task)
{
    if (!used)
        return 0;
    thread_gone(BPF_CORE_READ(task, pid));
    if (BPF_CORE_READ(task, signal, live.counter) == 0)
        cuda_process_gone(BPF_CORE_READ(task, tgid));
    return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(cuda_exec_btf, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
    if (!used)
        return 0;
    thread_gone(old_pid);
    thread_gone(BPF_CORE_READ(task, pid));
    cuda_process_gone(BPF_CORE_READ(task, tgid));
    return 0;
}
