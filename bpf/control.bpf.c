// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `control`: calls by which a process takes hold of another one, of the kernel, or of other rights.
#include "wire/control.h"
#include "bpf/lib/descriptor.h"
#include "bpf/lib/wake.h"

#define NSFS_MAGIC 0x6e736673
#define I386_SETUID 23 // takes 16 bits, of which all ones mean -1

// Ourselves: a process's number in a pid namespace, which is known by its file. 0: not known.
const volatile __u32 own_pid;
const volatile __u64 own_pid_namespace_dev;
const volatile __u64 own_pid_namespace_ino;

struct module_record {
    struct wire_control_module event;
    char data[DESCRIPTOR_DATA_MAX + WIRE_CONTROL_UARGS_MAX];
};

SCRATCH(scratch, struct module_record)

// The agent reads its own maps all the time.
INLINE bool is_ourselves(void)
{
    struct bpf_pidns_info info = {};
    return own_pid &&
           bpf_get_ns_current_pid_tgid(own_pid_namespace_dev, own_pid_namespace_ino, &info, sizeof(info)) ==
               0 &&
           info.tgid == own_pid;
}

// What a debugger does all day once it has begun: all but taking hold of a process and changing it.
INLINE bool ptrace_is_usual(long request)
{
    switch (request) {
    case 0:      // PTRACE_TRACEME
    case 4:      // PTRACE_POKETEXT
    case 5:      // PTRACE_POKEDATA
    case 6:      // PTRACE_POKEUSR
    case 13:     // PTRACE_SETREGS
    case 16:     // PTRACE_ATTACH
    case 0x4205: // PTRACE_SETREGSET
    case 0x4206: // PTRACE_SEIZE
        return false;
    default:
        return true;
    }
}

// Reading and writing maps, by one entry (BPF_MAP_LOOKUP_ELEM to GET_NEXT_KEY, LOOKUP_AND_DELETE_ELEM) or by
// many (BPF_MAP_LOOKUP_BATCH to DELETE_BATCH).
INLINE bool bpf_is_usual(long command)
{
    return (command >= 1 && command <= 4) || command == 21 || (command >= 24 && command <= 27);
}

INLINE void namespace_of(struct wire_control *event, struct task_struct *task, int fd)
{
    struct file *file = task_file(task, fd);
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    if (BPF_CORE_READ(inode, i_sb, s_magic) != NSFS_MAGIC)
        return;
    struct ns_common *common = BPF_CORE_READ(inode, i_private);
    const char *name = BPF_CORE_READ(common, ops, name);
    bpf_probe_read_kernel_str(event->namespace, sizeof(event->namespace), name);
}

INLINE void control_called(struct call *call)
{
    struct wire_control event = {};
    bool usual = false;
    event.call.result = call->result;
    switch (call->type) {
    case WIRE_CONTROL_PTRACE:
        event.what = call->compat ? (int)CALL_ARG1(call) : (long)CALL_ARG1(call);
        event.subject = CALL_ARG2(call);
        usual = ptrace_is_usual(event.what);
        break;
    case WIRE_CONTROL_BPF:
        if (is_ourselves())
            return;
        event.what = (int)CALL_ARG1(call);
        usual = bpf_is_usual(event.what);
        break;
    case WIRE_CONTROL_SETNS:
        event.subject = CALL_ARG1(call);
        event.what = (int)CALL_ARG2(call);
        namespace_of(&event, call->task, event.subject);
        break;
    case WIRE_CONTROL_SETUID:
        event.what = (__u32)CALL_ARG1(call);
        if (call->compat && registers_syscall(call->regs) == I386_SETUID)
            event.what = (__u16)event.what == 0xffff ? 0xffffffff : (__u16)event.what;
        break;
    case WIRE_CONTROL_USERFAULTFD:
        event.what = (__u32)CALL_ARG1(call);
        break;
    default: // unshare, which takes a long
        event.what = CALL_ARG1(call);
    }
    header_fill(&event.call.header, call->task, call->type, sizeof(event));
    ring_write(&event, sizeof(event), wake_for_type(&event.call.header, usual));
}

INLINE void module_called(struct call *call)
{
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_control_module *event = &slot->record.event;
    const char *uargs;
    __builtin_memset(event, 0, sizeof(*event));
    event->call.call.call.result = call->result;
    event->call.descriptor.num = -1;
    if (call->type == WIRE_CONTROL_FINIT_MODULE) {
        uargs = (const char *)CALL_ARG2(call);
        event->flags = CALL_ARG3(call);
        descriptor_fill(&event->call, call->task, (int)CALL_ARG1(call), sizeof(*event), slot->record.data,
                        &slot->used);
    } else {
        event->length = CALL_ARG2(call);
        uargs = (const char *)CALL_ARG3(call);
    }
    __u32 used = *(volatile __u32 *)&slot->used;
    if (used > DESCRIPTOR_DATA_MAX)
        used = DESCRIPTOR_DATA_MAX;
    long size = bpf_probe_read_user_str(slot->record.data + used, WIRE_CONTROL_UARGS_MAX, uargs);
    if (size > 0 && size <= WIRE_CONTROL_UARGS_MAX) {
        event->uargs_size = size;
        slot->used = used + size;
    }
    // Read anew, since the verifier of 6.1 loses track of the sum's bounds.
    used = *(volatile __u32 *)&slot->used;
    if (used > sizeof(slot->record.data))
        used = sizeof(slot->record.data);
    header_fill(&event->call.call.call.header, call->task, call->type, sizeof(*event) + used);
    ring_write(event, sizeof(*event) + used, wake_for_type(&event->call.call.call.header, false));
    scratch_give(slot);
}

INLINE void call_returned(struct call *call)
{
    if (call->type == WIRE_CONTROL_INIT_MODULE || call->type == WIRE_CONTROL_FINIT_MODULE)
        module_called(call);
    else
        control_called(call);
}

CALL_PROGRAMS
