#include "source.h"

#include "base/cleanup.h"
#include "calls.h"
#include "filter_set.h"
#include "object.h"
#include "socket.skel.h"
#include "socket_fields.h"

OBJECT_SKELETON(socket);

// Falco calls send() sendto and recv() recvfrom, as the kernel does.
static const struct call_watch calls[] = {
    CALL_WATCH(socket, WIRE_SOCKET_SOCKET),          CALL_WATCH(bind, WIRE_SOCKET_BIND),
    CALL_WATCH(listen, WIRE_SOCKET_LISTEN),          CALL_WATCH(accept, WIRE_SOCKET_ACCEPT),
    CALL_WATCH(accept4, WIRE_SOCKET_ACCEPT4),        CALL_WATCH(sendto, WIRE_SOCKET_SENDTO),
    CALL_WATCH(sendmsg, WIRE_SOCKET_SENDMSG),        CALL_WATCH(sendmmsg, WIRE_SOCKET_SENDMMSG),
    CALL_WATCH(recvfrom, WIRE_SOCKET_RECVFROM),      CALL_WATCH(recvmsg, WIRE_SOCKET_RECVMSG),
    CALL_WATCH(recvmmsg, WIRE_SOCKET_RECVMMSG),      CALL_WATCH_COMPAT(recvmmsg_time64, WIRE_SOCKET_RECVMMSG),
    CALL_WATCH_SOCKETCALL(1, WIRE_SOCKET_SOCKET),    CALL_WATCH_SOCKETCALL(2, WIRE_SOCKET_BIND),
    CALL_WATCH_SOCKETCALL(4, WIRE_SOCKET_LISTEN),    CALL_WATCH_SOCKETCALL(5, WIRE_SOCKET_ACCEPT),
    CALL_WATCH_SOCKETCALL(9, WIRE_SOCKET_SENDTO),    // send()
    CALL_WATCH_SOCKETCALL(10, WIRE_SOCKET_RECVFROM), // recv()
    CALL_WATCH_SOCKETCALL(11, WIRE_SOCKET_SENDTO),   CALL_WATCH_SOCKETCALL(12, WIRE_SOCKET_RECVFROM),
    CALL_WATCH_SOCKETCALL(16, WIRE_SOCKET_SENDMSG),  CALL_WATCH_SOCKETCALL(17, WIRE_SOCKET_RECVMSG),
    CALL_WATCH_SOCKETCALL(18, WIRE_SOCKET_ACCEPT4),  CALL_WATCH_SOCKETCALL(19, WIRE_SOCKET_RECVMMSG),
    CALL_WATCH_SOCKETCALL(20, WIRE_SOCKET_SENDMMSG),
};

static size_t record_size(uint16_t type)
{
    return sizeof(struct wire_socket);
}

static bool record_valid(const struct wire_header *wire)
{
    const struct wire_socket *record = (const struct wire_socket *)wire;
    return (size_t)record->data_size + record->name_size <= wire->size - sizeof(*record);
}

// The types that demand wants, as bits.
static uint32_t wanted_types(const struct source_env *env)
{
    uint32_t wanted = 0;
    for (size_t i = 0; i < WIRE_SOCKET_TYPES; i++)
        if (env->everything || env->demand->wanted[event_type_index(&socket_types[i])])
            wanted |= UINT32_C(1) << i;
    return wanted;
}

static bool data_wanted(const struct demand *demand)
{
    for (size_t i = 0; i < WIRE_SOCKET_TYPES; i++)
        for (size_t k = 0; k < socket_types[i].fields_count; k++)
            if (socket_types[i].fields[k].payload && demand_reads(demand, &socket_types[i].fields[k]))
                return true;
    return false;
}

static void prepare(const struct source_env *env)
{
    calls_number(calls, ARRAY_SIZE(calls), skeleton->rodata->call_types, skeleton->rodata->call_types_compat);
}

static struct object object = {.open = open_skeleton, .close = close_skeleton, .prepare = prepare};

// Without these hooks a datagram's address is read from the caller's memory, and io_uring is not seen.
static void add_send_hooks(struct call_hooks *hooks, bool wanted)
{
    hooks->hooks[hooks->count++] = (struct hook){.name = "datagram IPv4",
                                                 .program = "socket_send_v4_cgroup",
                                                 .attach_point = "cgroup/sendmsg4",
                                                 .attach = hook_attach_cgroup,
                                                 .optional = true,
                                                 .wanted = wanted};
    hooks->hooks[hooks->count++] = (struct hook){.name = "datagram IPv6",
                                                 .program = "socket_send_v6_cgroup",
                                                 .attach_point = "cgroup/sendmsg6",
                                                 .attach = hook_attach_cgroup,
                                                 .optional = true,
                                                 .wanted = wanted};
}

static int start(const struct source_env *env, struct source_report *ret_report)
{
    static const uint32_t sends =
        1u << WIRE_SOCKET_SENDTO | 1u << WIRE_SOCKET_SENDMSG | 1u << WIRE_SOCKET_SENDMMSG;
    struct call_hooks hooks;
    calls_hooks(calls, ARRAY_SIZE(calls), socket_types, env, &hooks);
    uint32_t wanted = wanted_types(env);
    // The returns first: once an address is waiting for one, it must come.
    add_send_hooks(&hooks, wanted & sends);
    if (!object_needed(&object, wanted != 0, ret_report))
        return 0;
    int error = object_load(&object, env, hooks.hooks, hooks.count, ret_report);
    if (error)
        return error;
    skeleton->data->wake_types =
        filter_set_all_clues(env->demand, socket_types, WIRE_SOCKET_TYPES, skeleton->bss->wake_names,
                             skeleton->bss->wake_addresses);
    skeleton->bss->skip_stream = !env->demand->stream_data;
    skeleton->bss->skip_foreign = !env->demand->foreign_data;
    skeleton->bss->skip_unchanged = !env->demand->repeated_sends;
    skeleton->bss->copy_data = data_wanted(env->demand);
    skeleton->bss->wanted_types &= wanted;
    error = object_attach(&object, hooks.hooks, hooks.count, ret_report);
    if (error)
        return error;
    skeleton->bss->wanted_types = wanted;
    // Both hooks come last.
    skeleton->bss->named_by_hook =
        object.attached.links[hooks.count - 1] && object.attached.links[hooks.count - 2];
    return 0;
}

static void stop(void)
{
    object_stop(&object);
}

const struct source source_socket = {
    .name = "socket",
    .help = "Sockets made, bound, listened on and accepted; data sent and received",
    .types = socket_types,
    .types_count = WIRE_SOCKET_TYPES,
    .record_size = record_size,
    .record_valid = record_valid,
    .start = start,
    .stop = stop,
};
