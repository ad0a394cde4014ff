// The fields proc.* about sessions, process groups and pid namespaces, and those of the thread.
#include "base/cleanup.h"
#include "enrich_private.h"
#include "fields.h"

#include <string.h>

static const struct process_ids *ids_of(const struct process *process)
{
    struct enrich *enrich = enrich_active();
    if (!process || !enrich)
        return NULL;
    enrich_ask_proc(enrich, process_entry_of(process), ASK_IDS);
    return &process->ids;
}

// Numbers that are not known are 0.
static bool set_number(struct value *ret_value, pid_t number)
{
    return number > 0 && value_set_int(ret_value, number);
}

// --- Numbers ---

GETTER(get_vpid)
{
    const struct process_ids *ids = nth == 0 ? ids_of(event->process) : NULL;
    return ids && set_number(ret_value, ids->vpid);
}

GETTER(get_pvpid)
{
    const struct process_ids *ids = nth == 0 ? ids_of(process_above(event, 1)) : NULL;
    return ids && set_number(ret_value, ids->vpid);
}

GETTER(get_sid)
{
    const struct process_ids *ids = nth == 0 ? ids_of(event->process) : NULL;
    return ids && ids->sid > 0 && value_set_int(ret_value, ids->vsid);
}

GETTER(get_pgid)
{
    const struct process_ids *ids = nth == 0 ? ids_of(event->process) : NULL;
    return ids && set_number(ret_value, ids->pgid);
}

GETTER(get_vpgid)
{
    const struct process_ids *ids = nth == 0 ? ids_of(event->process) : NULL;
    return ids && ids->pgid > 0 && value_set_int(ret_value, ids->vpgid);
}

GETTER(get_is_sid_leader)
{
    const struct process_ids *ids = nth == 0 ? ids_of(event->process) : NULL;
    return ids && ids->sid > 0 && value_set_bool(ret_value, ids->sid == event->process->pid);
}

GETTER(get_is_pgid_leader)
{
    const struct process_ids *ids = nth == 0 ? ids_of(event->process) : NULL;
    return ids && ids->pgid > 0 && value_set_bool(ret_value, ids->pgid == event->process->pid);
}

// --- Leaders ---

static pid_t sid_of(const struct process *process)
{
    const struct process_ids *ids = ids_of(process);
    return ids ? ids->sid : 0;
}

static pid_t pgid_of(const struct process *process)
{
    const struct process_ids *ids = ids_of(process);
    return ids ? ids->pgid : 0;
}

// No process gets the number of a session or group that still exists, so who has it leads. A leader that has
// gone and is not known any more is stood in for by the eldest of the ancestors that belong to the same.
static const struct process *leader_of(const struct event *event, pid_t (*id_of)(const struct process *))
{
    struct enrich *enrich = enrich_active();
    pid_t id = event->process ? id_of(event->process) : 0;
    if (!enrich || id <= 0)
        return NULL;
    const struct process_entry *entry = process_table_find(&enrich->table, id);
    if (entry)
        return &entry->process;
    const struct process *eldest = event->process;
    for (size_t depth = 0; eldest->parent && depth < PROCESS_ANCESTORS_MAX; depth++) {
        if (id_of(eldest->parent) != id)
            break;
        eldest = eldest->parent;
    }
    return eldest;
}

#define GET_LEADER(id, what)                                                        \
    GETTER(get_##id##_##what)                                                       \
    {                                                                               \
        const struct process *leader = nth == 0 ? leader_of(event, id##_of) : NULL; \
        return leader && process_read_##what(leader, ret_value);                    \
    }

GET_LEADER(sid, name)
GET_LEADER(sid, exe)
GET_LEADER(sid, exepath)
GET_LEADER(pgid, name)
GET_LEADER(pgid, exe)
GET_LEADER(pgid, exepath)

// --- The thread ---

GETTER(get_tid)
{
    return nth == 0 && value_set_int(ret_value, event->wire->tid);
}

GETTER(get_is_main)
{
    return nth == 0 && value_set_bool(ret_value, event->wire->tid == event->wire->pid);
}

GETTER(get_vtid)
{
    struct enrich *enrich = enrich_active();
    return nth == 0 && enrich && event->process && set_number(ret_value, enrich_vtid(enrich, event));
}

static bool set_capabilities(const struct event *event, size_t nth, uint64_t set, struct field_cache *cache,
                             struct value *ret_value)
{
    // By number (include/uapi/linux/capability.h).
    static const char *const names[] = {"CAP_CHOWN",
                                        "CAP_DAC_OVERRIDE",
                                        "CAP_DAC_READ_SEARCH",
                                        "CAP_FOWNER",
                                        "CAP_FSETID",
                                        "CAP_KILL",
                                        "CAP_SETGID",
                                        "CAP_SETUID",
                                        "CAP_SETPCAP",
                                        "CAP_LINUX_IMMUTABLE",
                                        "CAP_NET_BIND_SERVICE",
                                        "CAP_NET_BROADCAST",
                                        "CAP_NET_ADMIN",
                                        "CAP_NET_RAW",
                                        "CAP_IPC_LOCK",
                                        "CAP_IPC_OWNER",
                                        "CAP_SYS_MODULE",
                                        "CAP_SYS_RAWIO",
                                        "CAP_SYS_CHROOT",
                                        "CAP_SYS_PTRACE",
                                        "CAP_SYS_PACCT",
                                        "CAP_SYS_ADMIN",
                                        "CAP_SYS_BOOT",
                                        "CAP_SYS_NICE",
                                        "CAP_SYS_RESOURCE",
                                        "CAP_SYS_TIME",
                                        "CAP_SYS_TTY_CONFIG",
                                        "CAP_MKNOD",
                                        "CAP_LEASE",
                                        "CAP_AUDIT_WRITE",
                                        "CAP_AUDIT_CONTROL",
                                        "CAP_SETFCAP",
                                        "CAP_MAC_OVERRIDE",
                                        "CAP_MAC_ADMIN",
                                        "CAP_SYSLOG",
                                        "CAP_WAKE_ALARM",
                                        "CAP_BLOCK_SUSPEND",
                                        "CAP_AUDIT_READ",
                                        "CAP_PERFMON",
                                        "CAP_BPF",
                                        "CAP_CHECKPOINT_RESTORE"};
    if (nth > 0)
        return false;
    if (field_cached(cache, event))
        return value_set_bytes(ret_value, cache->data, cache->length);
    _cleanup_text_ struct text text = TEXT_INIT(1024);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (set >> i & 1)
            text_addf(&text, "%s%s", text.length ? " " : "", names[i]);
    field_cache_set(cache, event, &text);
    return value_set_bytes(ret_value, cache->data, cache->length);
}

GETTER(get_cap_permitted)
{
    static struct field_cache cache;
    return set_capabilities(event, nth, event->wire->cap_permitted, &cache, ret_value);
}

GETTER(get_cap_effective)
{
    static struct field_cache cache;
    return set_capabilities(event, nth, event->wire->cap_effective, &cache, ret_value);
}

GETTER(get_cap_inheritable)
{
    static struct field_cache cache;
    return set_capabilities(event, nth, event->wire->cap_inheritable, &cache, ret_value);
}

#define SESSION_LEADER "of the session's leader; where that has gone, of the eldest ancestor in the session"
#define GROUP_LEADER "of the process group's leader; where that has gone, of the eldest ancestor in the group"
#define VIRTUAL ", as its own pid namespace counts"
#define FROM_ABOVE "; 0 where it is one from outside that namespace"

static const struct field proc_fields[] = {
    {.name = "proc.vpid", .type = FIELD_INT, .help = "Process id" VIRTUAL, .get = get_vpid},
    {.name = "proc.pvpid", .type = FIELD_INT, .help = "The parent's proc.vpid", .get = get_pvpid},
    {.name = "proc.sid", .type = FIELD_INT, .help = "Id of the session" VIRTUAL FROM_ABOVE, .get = get_sid},
    {.name = "proc.sname", .type = FIELD_STRING, .help = "proc.name " SESSION_LEADER, .get = get_sid_name},
    {.name = "proc.sid.exe", .type = FIELD_STRING, .help = "proc.exe " SESSION_LEADER, .get = get_sid_exe},
    {.name = "proc.sid.exepath",
     .type = FIELD_STRING,
     .help = "proc.exepath " SESSION_LEADER,
     .get = get_sid_exepath},
    {.name = "proc.is_sid_leader",
     .type = FIELD_BOOL,
     .help = "Whether the process leads its session",
     .get = get_is_sid_leader},
    {.name = "proc.pgid",
     .type = FIELD_INT,
     .help = "Id of the process group, as the node counts",
     .get = get_pgid},
    {.name = "proc.pgid.name", .type = FIELD_STRING, .help = "proc.name " GROUP_LEADER, .get = get_pgid_name},
    {.name = "proc.pgid.exe", .type = FIELD_STRING, .help = "proc.exe " GROUP_LEADER, .get = get_pgid_exe},
    {.name = "proc.pgid.exepath",
     .type = FIELD_STRING,
     .help = "proc.exepath " GROUP_LEADER,
     .get = get_pgid_exepath},
    {.name = "proc.is_pgid_leader",
     .type = FIELD_BOOL,
     .help = "Whether the process leads its group, as programs that a shell runs by themselves do",
     .get = get_is_pgid_leader},
    {.name = "proc.vpgid",
     .type = FIELD_INT,
     .help = "Id of the process group" VIRTUAL FROM_ABOVE,
     .get = get_vpgid},
    {.name = "proc.vpgid.name", .type = FIELD_STRING, .help = "Is proc.pgid.name", .get = get_pgid_name},
    {.name = "proc.vpgid.exe", .type = FIELD_STRING, .help = "Is proc.pgid.exe", .get = get_pgid_exe},
    {.name = "proc.vpgid.exepath",
     .type = FIELD_STRING,
     .help = "Is proc.pgid.exepath",
     .get = get_pgid_exepath},
    {.name = "proc.is_vpgid_leader",
     .type = FIELD_BOOL,
     .help = "Is proc.is_pgid_leader",
     .get = get_is_pgid_leader},
};

static const struct field thread_fields[] = {
    {.name = "thread.tid", .type = FIELD_INT, .help = "Id of the thread, as the node counts", .get = get_tid},
    {.name = "thread.vtid", .type = FIELD_INT, .help = "Id of the thread" VIRTUAL, .get = get_vtid},
    {.name = "thread.ismain",
     .type = FIELD_BOOL,
     .help = "Whether it is the first thread of its process",
     .get = get_is_main},
    {.name = "thread.cap_permitted",
     .type = FIELD_STRING,
     .help = "Names of the capabilities that the thread may use, by a space each: CAP_CHOWN CAP_KILL",
     .get = get_cap_permitted},
    {.name = "thread.cap_effective",
     .type = FIELD_STRING,
     .help = "The same of those that are in force",
     .get = get_cap_effective},
    {.name = "thread.cap_inheritable",
     .type = FIELD_STRING,
     .help = "The same of those that programs it runs can get",
     .get = get_cap_inheritable},
};

int enrich_register_session_fields(void)
{
    int err = field_register_context("proc", proc_fields, ARRAY_SIZE(proc_fields));
    return err ? err : field_register_context("thread", thread_fields, ARRAY_SIZE(thread_fields));
}
