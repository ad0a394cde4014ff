// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a process computed while it answered a request, and what of that was for this request. It is known
// where nothing else can have been computed, or where what was computed was for all requests that were under
// way; else it is not, and the record says so.
#pragma once

#include "bpf/lib/work.h"
#include "wire/api.h"

// Some runtime is probed, so that there is anything to tell.
const volatile bool work_wanted;

// So long after a client has left, the server may still compute for it: it notices when it next writes, or
// looks from time to time.
#define WORK_SETTLES_NS 10000000000ull

INLINE void exchange_work_sums(const struct wire_work *process, struct wire_api_work *ret_work)
{
    const struct wire_work_sum *prefill = &process->sums[WIRE_WORK_PREFILL];
    const struct wire_work_sum *decode = &process->sums[WIRE_WORK_DECODE];
    const struct wire_work_sum *mixed = &process->sums[WIRE_WORK_MIXED];
    const struct wire_work_sum *run = &process->sums[WIRE_WORK_RUN];
    ret_work->prefill_ns = prefill->time_ns + mixed->time_ns;
    ret_work->prefills = prefill->count + mixed->count;
    ret_work->decode_ns = decode->time_ns + mixed->time_ns;
    ret_work->decodes = decode->count + mixed->count;
    ret_work->sequences = decode->sequences + mixed->sequences;
    ret_work->run_ns = run->time_ns;
    ret_work->runs = run->count;
}

// The next three are functions that the kernel verifies once, and not again wherever they are called.

__noinline int exchange_work_count(struct wire_api_work *own, __u64 start_ns)
{
    __u32 pid = bpf_get_current_pid_tgid() >> 32;
    struct wire_work *process = work_of_new(pid);
    if (!own || !process || own->flags)
        return 0;
    exchange_work_sums(process, own);
    own->pid = pid;
    own->begun = __sync_fetch_and_add(&process->begun, 1) + 1;
    __u32 in_flight = __sync_fetch_and_add(&process->in_flight, 1);
    __u32 waiting = __sync_fetch_and_add(&process->waiting, 1);
    own->flags = WIRE_API_WORK_COUNTED | (in_flight ? 0 : WIRE_API_WORK_ALONE) |
                 (waiting ? 0 : WIRE_API_WORK_NONE_WAITED);
    // Where nothing was computed before, it may be that nothing was probed, either.
    bool settled = !process->abandoned_ns || start_ns > process->abandoned_ns + WORK_SETTLES_NS;
    if (!settled || (!own->prefills && !own->decodes && !own->runs))
        own->flags &= ~(WIRE_API_WORK_ALONE | WIRE_API_WORK_NONE_WAITED);
    return 0;
}

// What is noted of the process by which the request was counted; NULL: others have needed the room since,
// and what is noted now begins later than the request.
INLINE struct wire_work *exchange_work_process(const struct wire_api_work *own)
{
    struct wire_work *process = work_of(own->pid);
    __u32 number = process ? own->begun - process->first - 1 : 0;
    return process && number < process->begun - process->first ? process : NULL;
}

// How long the process's threads waited for a CPU (source `sched`): at a request's beginning until then, at
// its end since. Only those waits count that are over.
__noinline int exchange_work_run_queue(struct wire_api_exchange *exchange)
{
    if (!exchange || !(exchange->work.flags & WIRE_API_WORK_COUNTED))
        return 0;
    const struct wire_work *process = exchange_work_process(&exchange->work);
    __u64 sum = process ? process->run_queue_ns : 0;
    bool ends = exchange->work.flags & WIRE_API_WORK_RUN_QUEUE;
    exchange->run_queue_us = (__u32)(sum / 1000) - (ends ? exchange->run_queue_us : 0);
    exchange->work.flags &= ~WIRE_API_WORK_RUN_QUEUE;
    exchange->work.flags |= sum ? WIRE_API_WORK_RUN_QUEUE : 0;
    return 0;
}

INLINE void exchange_work_begin(struct wire_api_exchange *exchange)
{
    if (!work_wanted)
        return;
    exchange_work_count(&exchange->work, exchange->start_ns);
    exchange_work_run_queue(exchange);
}

// Until now no other request can have had a prompt in a batch.
INLINE void exchange_work_prefill(struct wire_api_work *own, const struct wire_work *process,
                                  const struct wire_api_work *now)
{
    bool only = own->flags & WIRE_API_WORK_NONE_WAITED && process->begun == own->begun;
    own->prefill_ns = now->prefill_ns - own->prefill_ns;
    own->prefills = now->prefills - own->prefills;
    if (only && own->prefills)
        own->flags |= WIRE_API_WORK_PREFILL;
}

// The rest of the request is generated along with all others, so from now on its steps are theirs.
__noinline int exchange_work_note_first(struct wire_api_work *own)
{
    struct wire_api_work now;
    if (!own || (own->flags & (WIRE_API_WORK_COUNTED | WIRE_API_WORK_FIRST)) != WIRE_API_WORK_COUNTED)
        return 0;
    struct wire_work *process = exchange_work_process(own);
    if (!process)
        return 0;
    exchange_work_sums(process, &now);
    exchange_work_prefill(own, process, &now);
    own->decode_ns = now.decode_ns;
    own->decodes = now.decodes;
    own->sequences = now.sequences;
    own->flags |= WIRE_API_WORK_FIRST;
    __sync_fetch_and_add(&process->waiting, -1);
    return 0;
}

INLINE void exchange_work_first(struct wire_api_exchange *exchange)
{
    exchange_work_note_first(&exchange->work);
}

__noinline int exchange_work_finish(struct wire_api_work *own, __u64 end_ns, __u32 how)
{
    struct wire_api_work now;
    if (!own || !(own->flags & WIRE_API_WORK_COUNTED))
        return 0;
    struct wire_work *process = exchange_work_process(own);
    own->flags &= ~WIRE_API_WORK_COUNTED;
    if (!process)
        return 0;
    exchange_work_sums(process, &now);
    bool first = own->flags & WIRE_API_WORK_FIRST;
    bool alone = own->flags & WIRE_API_WORK_ALONE && process->begun == own->begun;
    if (!first) {
        exchange_work_prefill(own, process, &now);
        __sync_fetch_and_add(&process->waiting, -1);
    }
    own->decode_ns = now.decode_ns - own->decode_ns;
    own->decodes = now.decodes - own->decodes;
    own->sequences = now.sequences - own->sequences;
    own->run_ns = now.run_ns - own->run_ns;
    own->runs = now.runs - own->runs;
    if (own->decodes && (first || alone))
        own->flags |= WIRE_API_WORK_DECODE;
    if (own->runs && alone)
        own->flags |= WIRE_API_WORK_RUN;
    if (!end_ns || how != WIRE_API_COMPLETE)
        process->abandoned_ns = bpf_ktime_get_boot_ns();
    __sync_fetch_and_add(&process->in_flight, -1);
    return 0;
}

INLINE void exchange_work_end(struct wire_api_exchange *exchange)
{
    if (exchange->work.flags & WIRE_API_WORK_RUN_QUEUE)
        exchange_work_run_queue(exchange);
    exchange_work_finish(&exchange->work, exchange->end_ns, exchange->end);
}
