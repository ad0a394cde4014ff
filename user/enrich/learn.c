// Finding processes: in the table, or in /proc where the table does not have them.
#include "base/cleanup.h"
#include "base/series.h"
#include "enrich_private.h"

#include <errno.h>
#include <stdio.h>

// How far an unknown process's ancestors are looked up in /proc.
enum { LEARN_ANCESTORS_MAX = 16 };

// The container that the text of a /proc/PID/cgroup names, with a reference for the caller, or NULL.
static const struct container *container_of_cgroup(struct enrich *enrich, const char *text, size_t size,
                                                   uint64_t now_ns)
{
    struct container_id id = {};
    bool found = container_id_from_proc(text, size, enrich->node, &id);
    found |= plain_find_proc(&enrich->plains, enrich->host_root, text, size, &id);
    return found ? containers_get(enrich->containers, &id, now_ns) : NULL;
}

void enrich_set_too_deep(struct enrich *enrich, struct process_entry *entry)
{
    if (!entry->process.container)
        process_entry_set_container(entry, containers_get_unknown(enrich->containers));
}

// Adds what was read into enrich->proc.
static struct process_entry *add_from_proc(struct enrich *enrich, uint64_t now_ns)
{
    const struct proc_info *info = enrich->proc;
    struct process_entry *entry = process_table_add(&enrich->table, info->pid, info->start_time_ns, NULL);
    if (!entry)
        return NULL;
    entry->start_exact = false;
    entry->process.ppid = info->ppid;
    entry->process.uid = info->uid;
    entry->process.gid = info->gid;
    entry->process.loginuid = info->loginuid;
    entry->process.tty = info->tty;
    entry->process.ids = info->ids;
    entry->process.exe = info->exe;
    process_entry_set_name(entry, info->name);
    process_entry_set_exepath(entry, info->exepath, info->exepath_size);
    process_entry_set_args(entry, info->args, info->args_size);
    if (info->cgroup_too_long)
        enrich_set_too_deep(enrich, entry);
    else if (info->cgroup_size > 0)
        process_entry_set_container(entry,
                                    container_of_cgroup(enrich, info->cgroup, info->cgroup_size, now_ns));
    return entry;
}

// Adds a process from /proc if it is there and started then (0: whenever). NULL otherwise.
static struct process_entry *learn_one(struct enrich *enrich, pid_t pid, uint64_t start_time_ns,
                                       uint64_t now_ns)
{
    if (pid <= 0 || proc_read(enrich->proc_root, pid, enrich->proc) < 0)
        return NULL;
    if (start_time_ns && !process_table_same_tick(&enrich->table, enrich->proc->start_time_ns, start_time_ns))
        return NULL;
    struct process_entry *entry = add_from_proc(enrich, now_ns);
    if (entry && start_time_ns) {
        entry->process.start_time_ns = start_time_ns;
        entry->start_exact = true;
    }
    return entry;
}

// The same with its ancestors, as far as they are not known.
static struct process_entry *learn(struct enrich *enrich, pid_t pid, uint64_t start_time_ns, uint64_t now_ns)
{
    struct process_entry *entry = learn_one(enrich, pid, start_time_ns, now_ns);
    if (!entry)
        return NULL;
    // Held, because each ancestor that is added may push out another entry.
    process_entry_ref(entry);
    struct process_entry *child = entry;
    for (int i = 0; i < LEARN_ANCESTORS_MAX; i++) {
        struct process_entry *parent = process_table_find(&enrich->table, child->process.ppid);
        bool known = parent != NULL;
        if (!known)
            parent = learn_one(enrich, child->process.ppid, 0, now_ns);
        if (!parent || !process_table_link(&enrich->table, child, parent) || known)
            break;
        child = parent;
    }
    bool alone = entry->refs == 1;
    process_entry_unref(&enrich->table, entry);
    return alone ? NULL : entry;
}

static void scan_visit(const struct proc_info *info, void *context)
{
    struct enrich *enrich = context;
    struct process_entry *known = process_table_find(&enrich->table, info->pid);
    if (known && process_table_same_start(&enrich->table, known, info->start_time_ns))
        return;
    const struct process_entry *entry = add_from_proc(enrich, 0);
    if (entry)
        enrich_expect_kept(enrich, entry, info);
}

int enrich_scan(struct enrich *enrich)
{
    users_learn(&enrich->users);
    plain_learn(&enrich->plains, enrich->host_root, enrich->containers);
    int count = proc_scan(enrich->proc_root, enrich->proc, scan_visit, enrich);
    if (count < 0)
        return count;
    for (struct process_entry *entry = enrich->table.used; entry; entry = entry->next) {
        struct process_entry *parent = process_table_find(&enrich->table, entry->process.ppid);
        if (parent)
            process_table_link(&enrich->table, entry, parent);
    }
    return count;
}

struct process_entry *enrich_find(struct enrich *enrich, pid_t pid, uint64_t start_time_ns)
{
    struct process_entry *entry = process_table_find(&enrich->table, pid);
    if (!entry)
        return NULL;
    if (!process_table_same_start(&enrich->table, entry, start_time_ns)) {
        entry->process.exited = true;
        process_table_remove(&enrich->table, entry);
        return NULL;
    }
    if (!entry->start_exact && start_time_ns) {
        entry->process.start_time_ns = start_time_ns;
        entry->start_exact = true;
    }
    process_table_touch(&enrich->table, entry);
    return entry;
}

struct process_entry *enrich_find_or_learn(struct enrich *enrich, pid_t pid, uint64_t start_time_ns,
                                           uint64_t now_ns)
{
    struct process_entry *entry = enrich_find(enrich, pid, start_time_ns);
    return entry ? entry : learn(enrich, pid, start_time_ns, now_ns);
}

static struct counter env_truncated = {
    .name = "inferscope_environments_truncated_total",
    .help = "Environments that rules read and that were longer than 4096 bytes, of which the rest is unknown",
};

void enrich_learn_init(void)
{
    counter_register(&env_truncated);
    plain_init();
}

void enrich_env_truncated(void)
{
    env_truncated.value++;
}

// Opens the process's directory in /proc, if it is still that process's. 0 or a negative errno.
static int open_proc(struct enrich *enrich, const struct process_entry *entry, struct proc_dir *ret_dir)
{
    uint64_t start_time_ns;
    struct proc_dir dir _cleanup_proc_dir_ = PROC_DIR_NONE;
    if (entry->process.exited)
        return -ESRCH;
    int err = proc_open(enrich->proc_root, entry->process.pid, &dir, &start_time_ns);
    if (err < 0)
        return err;
    if (entry->process.start_time_ns != 0 &&
        !process_table_same_tick(&enrich->table, start_time_ns, entry->process.start_time_ns))
        return -ESRCH;
    *ret_dir = dir;
    dir.fd = -1;
    return 0;
}

int enrich_ask_container(struct enrich *enrich, struct process_entry *entry, uint64_t now_ns)
{
    struct proc_dir dir _cleanup_proc_dir_ = PROC_DIR_NONE;
    int err = open_proc(enrich, entry, &dir);
    if (err)
        return err;
    ssize_t size = proc_read_cgroup(&dir, enrich->proc->cgroup, sizeof(enrich->proc->cgroup));
    if (size <= 0)
        return size ? (int)size : -ESRCH;
    process_entry_set_container(entry,
                                container_of_cgroup(enrich, enrich->proc->cgroup, (size_t)size, now_ns));
    return 0;
}

static void ask_env(struct process_entry *entry, const struct proc_dir *dir)
{
    char env[PROC_ENV_MAX + 1]; // one more tells whether that was all
    ssize_t size = proc_read_env(dir, env, sizeof(env));
    if (size < 0)
        return;
    bool truncated = size > PROC_ENV_MAX;
    process_entry_set_env(entry, env, truncated ? PROC_ENV_MAX : (size_t)size);
    env_truncated.value += truncated;
}

static void ask_ids(struct process *process, const struct proc_dir *dir)
{
    struct process_ids ids;
    if (proc_read_ids(dir, "status", &ids) == 0)
        process->ids = ids;
}

static void ask_exe(struct process *process, const struct proc_dir *dir)
{
    struct process_exe exe;
    if (proc_read_exe(dir, &exe))
        return;
    exe.flags = PROCESS_EXE_INODE | (process->exe.flags & PROCESS_EXE_MEMFD);
    process->exe = exe;
}

void enrich_ask_proc(struct enrich *enrich, struct process_entry *entry, enum process_ask what)
{
    struct process *process = &entry->process;
    bool known = what == ASK_IDS   ? process->ids.vpid != 0
                 : what == ASK_EXE ? (process->exe.flags & PROCESS_EXE_INODE) != 0
                                   : entry->env_known;
    if (known || entry->asked & what)
        return;
    entry->asked |= what;
    struct proc_dir dir _cleanup_proc_dir_ = PROC_DIR_NONE;
    if (open_proc(enrich, entry, &dir))
        return;
    if (what == ASK_IDS)
        ask_ids(process, &dir);
    else if (what == ASK_EXE)
        ask_exe(process, &dir);
    else
        ask_env(entry, &dir);
}

void enrich_forget_ids(struct enrich *enrich)
{
    for (struct process_entry *entry = enrich->table.used; entry; entry = entry->next) {
        if (entry->process.exited)
            continue;
        entry->process.ids = (struct process_ids){};
        entry->asked &= ~(unsigned)ASK_IDS;
    }
}

pid_t enrich_vtid(struct enrich *enrich, const struct event *event)
{
    struct process_entry *entry = process_entry_of(event->process);
    const struct process_ids *known = &entry->process.ids;
    pid_t tid = (pid_t)event->wire->tid;
    enrich_ask_proc(enrich, entry, ASK_IDS);
    // In our own namespace both count alike, and the first thread's number is the process's everywhere.
    if (tid == entry->process.pid || (known->vpid && known->vpid == entry->process.pid))
        return tid == entry->process.pid ? known->vpid : tid;
    struct proc_dir dir _cleanup_proc_dir_ = PROC_DIR_NONE;
    char status[48];
    snprintf(status, sizeof(status), "task/%d/status", tid);
    struct process_ids ids;
    bool found = open_proc(enrich, entry, &dir) == 0 && proc_read_ids(&dir, status, &ids) == 0;
    return found ? ids.vpid : 0;
}

ssize_t enrich_ask_cwd(struct enrich *enrich, const struct process_entry *entry, char *ret_path,
                       size_t capacity)
{
    struct proc_dir dir _cleanup_proc_dir_ = PROC_DIR_NONE;
    int err = open_proc(enrich, entry, &dir);
    return err ? err : proc_read_cwd(&dir, ret_path, capacity);
}

const struct blob *enrich_cwd(struct enrich *enrich, const struct event *event)
{
    struct process_entry *entry = process_entry_of(event->process);
    // The record of an exec tells where it was then.
    bool told = event->type == enrich->execve && entry->cwd;
    if (told || entry->cwd_num == event->num)
        return entry->cwd;
    entry->cwd_num = event->num;
    char path[4096];
    ssize_t size = enrich_ask_cwd(enrich, entry, path, sizeof(path));
    if (size > 0)
        process_entry_set_cwd(entry, path, (size_t)size);
    return entry->cwd;
}
