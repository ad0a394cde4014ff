// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `file`: opens, seen when the system call returns, from the opened file itself.
#include "wire/file.h"
#include "bpf/lib/call.h"
#include "bpf/lib/caller_path.h"

#define O_FORGOTTEN 02001300 // O_CREAT, O_EXCL, O_TRUNC and O_CLOEXEC, which an open file does not keep
#define IORING_OP_OPENAT 18
#define IORING_OP_OPENAT2 28

bool filter_all = true;                // no rule restricts paths: let all through
bool filter_failed;                    // failed opens matter to some rule
__u64 filter_inode[PATH_FILTER_WORDS]; // by inode number

struct open_record {
    struct wire_file_open event;
    char data[WIRE_FILE_RAW_MAX + WIRE_FILE_PATH_MAX];
    struct filter_component component; // not sent
};

SCRATCH(scratch, struct open_record)

// The latest start of a path's component.
#define OPEN_PATH_LIMIT (WIRE_FILE_RAW_MAX + WIRE_FILE_PATH_MAX - WIRE_PATH_COMPONENT_MAX)

INLINE bool open_of_watched(const struct path *path)
{
    struct inode *inode = BPF_CORE_READ(path, dentry, d_inode);
    return filter_has(filter_inode, path_filter_hash(BPF_CORE_READ(inode, i_ino), 0, 0));
}

INLINE void open_send(struct scratch_slot *slot, struct task_struct *task, __u16 type)
{
    struct wire_file_open *event = &slot->record.event;
    __u32 used = *(volatile __u32 *)&slot->used;
    if (used > sizeof(slot->record.data))
        used = sizeof(slot->record.data);
    header_fill(&event->call.header, task, type, sizeof(*event) + used);
    event->reserved = 0;
    ring_write(event, sizeof(*event) + used, true);
}

// What the caller asked for.
struct asked {
    const char *name; // in user memory; NULL: the call takes none
    int dirfd;
    __u32 flags;
};

INLINE void open_asked(const struct call *call, struct asked *ret_asked)
{
    ret_asked->dirfd = AT_FDCWD;
    ret_asked->name = NULL;
    ret_asked->flags = 0;
    switch (call->type) {
    case WIRE_FILE_OPEN:
        ret_asked->name = (const char *)CALL_ARG1(call);
        ret_asked->flags = CALL_ARG2(call);
        break;
    case WIRE_FILE_CREAT:
        ret_asked->name = (const char *)CALL_ARG1(call);
        ret_asked->flags = 01101; // O_WRONLY | O_CREAT | O_TRUNC, which is what creat() means
        break;
    case WIRE_FILE_OPENAT:
        ret_asked->flags = CALL_ARG3(call);
        __attribute__((fallthrough));
    case WIRE_FILE_OPENAT2: // its flags are in user memory
        ret_asked->dirfd = CALL_ARG1(call);
        ret_asked->name = (const char *)CALL_ARG2(call);
        break;
    case WIRE_FILE_OPEN_BY_HANDLE_AT: // has no name at all
        ret_asked->flags = CALL_ARG3(call);
        break;
    }
}

// `call` is NULL for io_uring, whose registers are another call's.
INLINE void file_opened(struct task_struct *task, const struct call *call, __u16 type, long fd)
{
    __u32 how = call ? 0 : WIRE_FILE_IO_URING;
    struct file *file = task_file(task, fd);
    if (!file) {
        // Another thread has closed it already.
        lost_add(WIRE_LOST_OBJECT_GONE);
        return;
    }
    // The inode first: a link to a watched file may have a name that passes the filter, too.
    if (open_of_watched(&file->f_path))
        how |= WIRE_FILE_BY_INODE;
    else if (!filter_all && !filter_walk(&file->f_path, FILTER_FILE))
        return;

    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_file_open *event = &slot->record.event;
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    struct asked asked = {};
    if (call)
        open_asked(call, &asked);
    event->call.result = fd;
    event->ino = BPF_CORE_READ(inode, i_ino);
    event->dev = BPF_CORE_READ(inode, i_sb, s_dev);
    event->mode = BPF_CORE_READ(inode, i_mode);
    event->flags = BPF_CORE_READ(file, f_flags) | (asked.flags & O_FORGOTTEN);
    if (path_append(&file->f_path, slot->record.data, &slot->used, OPEN_PATH_LIMIT))
        how |= WIRE_FILE_TRUNCATED;
    event->how = how;
    event->raw_size = 0;
    event->path_size = *(volatile __u32 *)&slot->used;
    open_send(slot, task, type);
    scratch_give(slot);
}

// There is no object behind a failed open, so the name is the caller's: read once, here.
INLINE void open_failed(const struct call *call)
{
    struct task_struct *task = call->task;
    struct asked asked;
    open_asked(call, &asked);
    if (!asked.name)
        return;
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_file_open *event = &slot->record.event;
    char *data = slot->record.data;

    long size = bpf_probe_read_user_str(data, WIRE_FILE_RAW_MAX, asked.name);
    if (size <= 1 || size > WIRE_FILE_RAW_MAX)
        goto out;
    const struct path *base = caller_base(task, data[0] == '/', asked.dirfd);
    if (!base)
        goto out;
    if (!filter_all && !filter_raw_suffix(data, size) && !filter_raw(data, size, &slot->record.component) &&
        !filter_walk(base, FILTER_BASE))
        goto out;

    event->call.result = call->result;
    event->ino = 0;
    event->dev = 0;
    event->mode = 0;
    event->flags = asked.flags;
    event->how = 0;
    event->raw_size = size;
    slot->used = size;
    if (path_append(base, data, &slot->used, OPEN_PATH_LIMIT))
        event->how |= WIRE_FILE_TRUNCATED;
    event->path_size = *(volatile __u32 *)&slot->used - size;
    open_send(slot, task, call->type);
out:
    scratch_give(slot);
}

// --- The adapters ---

INLINE void call_returned(struct call *call)
{
    if (call->result >= 0)
        file_opened(call->task, call, call->type, call->result);
    else if (filter_failed)
        open_failed(call);
}

CALL_PROGRAMS

// io_uring opens complete in the context of the task or of a worker thread that shares its descriptors. A
// direct descriptor (file_index) never enters the descriptor table and is not seen.
INLINE void io_uring_completed(struct io_kiocb *request, long result)
{
    __u8 opcode = BPF_CORE_READ(request, opcode);
    if (result < 0 || (opcode != IORING_OP_OPENAT && opcode != IORING_OP_OPENAT2))
        return;
    struct task_struct *task = (void *)bpf_get_current_task();
    __u16 type = opcode == IORING_OP_OPENAT ? WIRE_FILE_OPENAT : WIRE_FILE_OPENAT2;
    file_opened(task, NULL, type, result);
}

// The tracepoint's arguments in 6.1 and 6.12: ring, request, user_data, res, ….
SEC("raw_tp/io_uring_complete")
int file_io_uring_res(__u64 *args)
{
    io_uring_completed((struct io_kiocb *)args[1], (__s32)args[3]);
    return 0;
}

// In 6.18: ring, request, completion.
SEC("raw_tp/io_uring_complete")
int file_io_uring_cqe(__u64 *args)
{
    struct io_uring_cqe *cqe = (struct io_uring_cqe *)args[2];
    io_uring_completed((struct io_kiocb *)args[1], BPF_CORE_READ(cqe, res));
    return 0;
}
