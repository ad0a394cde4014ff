// A process that has become another program: all that the record tells.
#include "base/path.h"
#include "base/series.h"
#include "enrich_private.h"

#include <errno.h>
#include <string.h>

// The variable parts of an execve record.
struct exec_parts {
    const char *exe, *args, *cgroup, *cwd, *env;
};

// False where they would not fit into the record.
static bool exec_parts_of(const struct wire_process_execve *wire, struct exec_parts *ret_parts)
{
    size_t parts = (size_t)wire->filename_size + wire->exe_size + wire->args_size + wire->cgroup_size +
                   wire->cwd_size + wire->env_size;
    if (wire->header.size < sizeof(*wire) || wire->header.size - sizeof(*wire) < parts)
        return false;
    ret_parts->exe = (const char *)(wire + 1) + wire->filename_size;
    ret_parts->args = ret_parts->exe + wire->exe_size;
    ret_parts->cgroup = ret_parts->args + wire->args_size;
    ret_parts->cwd = ret_parts->cgroup + wire->cgroup_size;
    ret_parts->env = ret_parts->cwd + wire->cwd_size;
    return true;
}

static void exec_set_exe(struct process_entry *entry, const struct wire_process_execve *wire,
                         const struct exec_parts *parts)
{
    // A path of which the front is missing is worse than none. The asked-for name may leave its room to it.
    char path[WIRE_PROCESS_FILENAME_MAX + WIRE_PROCESS_PATH_MAX + 1];
    bool whole = wire->exe_size > 0 && !wire->exe_truncated;
    int length = whole ? path_decode(parts->exe, wire->exe_size, path, sizeof(path)) : 0;
    // A file in memory has a name, but it is in no directory.
    static const char memory[] = "/memfd:";
    bool memfd =
        length > 0 && wire->exe_flags & WIRE_EXE_ALONE && strncmp(path, memory, sizeof(memory) - 1) == 0;
    process_entry_set_exepath(entry, path + memfd, length > 0 ? (size_t)length - memfd : 0);

    struct process_exe *exe = &entry->process.exe;
    if (memfd)
        exe->flags |= PROCESS_EXE_MEMFD;
    if (!(wire->exe_flags & WIRE_EXE_KNOWN))
        return;
    exe->flags |= PROCESS_EXE_INODE | PROCESS_EXE_LAYER;
    if (wire->exe_flags & WIRE_EXE_UPPER_LAYER)
        exe->flags |= PROCESS_EXE_UPPER;
    if (wire->exe_flags & WIRE_EXE_LOWER_LAYER)
        exe->flags |= PROCESS_EXE_LOWER;
    if (wire->exe_flags & WIRE_EXE_WRITABLE)
        exe->flags |= PROCESS_EXE_WRITABLE;
    exe->ino = wire->exe_ino;
    exe->ctime_ns = wire->exe_ctime_ns;
    exe->mtime_ns = wire->exe_mtime_ns;
}

// Where it runs: directory and environment.
static void exec_set_surroundings(struct process_entry *entry, const struct wire_process_execve *wire,
                                  const struct exec_parts *parts)
{
    char path[WIRE_PROCESS_CWD_MAX + 1];
    int length = wire->has_cwd ? path_decode(parts->cwd, wire->cwd_size, path, sizeof(path)) : 0;
    process_entry_set_cwd(entry, path, length > 0 ? (size_t)length : 0);
    if (wire->env_size > 0)
        process_entry_set_env(entry, parts->env, wire->env_size);
    if (wire->env_truncated)
        enrich_env_truncated();
}

static struct counter args_truncated = {
    .name = "inferscope_arguments_truncated_total",
    .help = "Command lines that were longer than 4096 bytes, of which the rest is unknown",
};

void enrich_exec_init(void)
{
    counter_register(&args_truncated);
}

static void exec_set_args(struct enrich *enrich, struct process_entry *entry,
                          const struct wire_process_execve *wire, const struct exec_parts *parts)
{
    args_truncated.value += wire->args_truncated != 0;
    if (wire->args_size > 0) {
        process_entry_set_args(entry, parts->args, wire->args_size);
        return;
    }
    // The arguments were not in memory when the kernel side looked; by now they are.
    const struct proc_info *proc = enrich->proc;
    bool same = proc_read(enrich->proc_root, entry->process.pid, enrich->proc) == 0 &&
                process_table_same_tick(&enrich->table, proc->start_time_ns, wire->header.start_time_ns);
    process_entry_set_args(entry, proc->args, same ? proc->args_size : 0);
}

static void exec_set_container(struct enrich *enrich, struct process_entry *entry,
                               const struct wire_process_execve *wire, const struct exec_parts *parts)
{
    uint64_t now_ns = wire->header.time_ns;
    if (wire->cgroup_truncated) {
        // The container's name may be further up. Where /proc does not tell, what was known stays.
        int err = enrich_ask_container(enrich, entry, now_ns);
        if (err == -ENAMETOOLONG)
            enrich_set_too_deep(enrich, entry);
        else if (err)
            entry->container_known = false;
        return;
    }
    if (wire->cgroup_size == 0)
        return;
    struct container_id id = {};
    bool found = container_id_from_names(parts->cgroup, wire->cgroup_size, enrich->node, &id);
    found |= plain_find_names(&enrich->plains, enrich->host_root, parts->cgroup, wire->cgroup_size, &id);
    process_entry_set_container(entry, found ? containers_get(enrich->containers, &id, now_ns) : NULL);
}

struct process_entry *enrich_exec(struct enrich *enrich, const struct wire_process_execve *wire)
{
    const struct wire_header *header = &wire->header;
    struct exec_parts parts;
    if (!exec_parts_of(wire, &parts))
        return NULL;

    // The record says all that /proc would.
    struct process_entry *entry = enrich_find(enrich, (pid_t)header->pid, header->start_time_ns);
    if (!entry)
        entry = enrich_add_stub(enrich, header);
    if (!entry)
        return NULL;
    enrich_fill(entry, header);
    entry->process.loginuid = wire->loginuid;
    entry->process.tty = wire->tty;

    process_entry_forget_program(entry);
    enrich_set_ids(entry, &wire->ids);
    exec_set_exe(entry, wire, &parts);
    exec_set_surroundings(entry, wire, &parts);
    exec_set_args(enrich, entry, wire, &parts);
    exec_set_container(enrich, entry, wire, &parts);
    if (wire->args_size > 0)
        enrich_expect_container(enrich, entry, wire, parts.args, wire->args_size);

    if (!entry->process.parent && wire->parent_pid) {
        // Held, because learning the parent may push out other entries.
        enrich->current = process_entry_ref(entry);
        struct process_entry *parent = enrich_find_or_learn(enrich, (pid_t)wire->parent_pid,
                                                            wire->parent_start_time_ns, header->time_ns);
        entry->process.ppid = (pid_t)wire->parent_pid;
        if (parent)
            process_table_link(&enrich->table, entry, parent);
    }
    return entry;
}
