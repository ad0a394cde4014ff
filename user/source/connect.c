#include "source.h"

#include "base/cleanup.h"
#include "connect.skel.h"
#include "filter_set.h"
#include "hook.h"
#include "wire/connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static struct connect_bpf *skeleton;
static struct hooks attached;

static const struct wire_connect *connect_of(const struct event *event)
{
    return (const struct wire_connect *)event->wire;
}

static bool set_ip(struct value *ret_value, uint8_t family, const uint8_t *bytes)
{
    ret_value->type = FIELD_IP;
    ret_value->ip.family = family;
    memset(ret_value->ip.bytes, 0, sizeof(ret_value->ip.bytes));
    memcpy(ret_value->ip.bytes, bytes, family == 4 ? 4 : 16);
    return true;
}

static bool get_rawres(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    const struct wire_connect *record = connect_of(event);
    return record->has_result && value_set_int(ret_value, record->result);
}

static bool get_failed(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    const struct wire_connect *record = connect_of(event);
    bool under_way = record->result == -EINPROGRESS || record->result == -EINTR;
    return record->has_result && value_set_bool(ret_value, record->result < 0 && !under_way);
}

static bool get_res(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    const struct wire_connect *record = connect_of(event);
    if (!record->has_result)
        return false;
    if (record->result >= 0)
        return value_set_string(ret_value, "SUCCESS");
    return value_set_string(ret_value, strerrorname_np((int)-record->result));
}

static bool get_num(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    const struct wire_connect *record = connect_of(event);
    return record->fd >= 0 && value_set_int(ret_value, record->fd);
}

static const char *endpoint(const struct event *event, const uint8_t *addr, uint16_t port)
{
    char text[INET6_ADDRSTRLEN];
    bool v4 = connect_of(event)->family == 4;
    inet_ntop(v4 ? AF_INET : AF_INET6, addr, text, sizeof(text));
    return event_printf(event, v4 ? "%s:%u" : "[%s]:%u", text, port);
}

static bool get_name(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    const struct wire_connect *record = connect_of(event);
    const char *local = endpoint(event, record->local_addr, record->local_port);
    const char *remote = endpoint(event, record->remote_addr, record->remote_port);
    return local && remote && value_set_string(ret_value, event_printf(event, "%s->%s", local, remote));
}

static bool get_remote_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                          struct value *ret_value)
{
    return set_ip(ret_value, connect_of(event)->family, connect_of(event)->remote_addr);
}

static bool get_local_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value)
{
    static const uint8_t none[16];
    const struct wire_connect *record = connect_of(event);
    return memcmp(record->local_addr, none, sizeof(none)) != 0 &&
           set_ip(ret_value, record->family, record->local_addr);
}

static bool get_either_ip(const struct event *event, const struct field_arg *arg, size_t nth,
                          struct value *ret_value)
{
    return nth == 0 ? get_remote_ip(event, arg, 0, ret_value)
                    : nth == 1 && get_local_ip(event, arg, 0, ret_value);
}

static bool get_remote_port(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    return value_set_uint(ret_value, connect_of(event)->remote_port);
}

static bool get_local_port(const struct event *event, const struct field_arg *arg, size_t nth,
                           struct value *ret_value)
{
    uint16_t port = connect_of(event)->local_port;
    return port && value_set_uint(ret_value, port);
}

static bool get_either_port(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    return nth == 0 ? get_remote_port(event, arg, 0, ret_value)
                    : nth == 1 && get_local_port(event, arg, 0, ret_value);
}

static bool get_l4proto(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    return value_set_string(ret_value, connect_of(event)->protocol == IPPROTO_TCP ? "tcp" : "udp");
}

static bool get_type(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    return value_set_string(ret_value, connect_of(event)->family == 4 ? "ipv4" : "ipv6");
}

static bool get_typechar(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value)
{
    return value_set_string(ret_value, connect_of(event)->family == 4 ? "4" : "6");
}

// The one who connects is the client and local; the destination is the server and remote.
static const struct field connect_fields[] = {
    {.name = "evt.rawres",
     .type = FIELD_INT,
     .help = "What the call returned; missing where it could not be joined (io_uring, 32-bit callers)",
     .get = get_rawres},
    {.name = "evt.failed",
     .type = FIELD_BOOL,
     .help = "Whether the call failed; a connection still under way (EINPROGRESS, EINTR) has not",
     .get = get_failed},
    {.name = "evt.res",
     .type = FIELD_STRING,
     .help = "SUCCESS or the error's name: ECONNREFUSED",
     .get = get_res},
    {.name = "fd.num", .type = FIELD_INT, .help = "Descriptor of the socket", .get = get_num},
    {.name = "fd.name",
     .type = FIELD_STRING,
     .help = "Both ends: 10.0.0.1:40000->10.0.0.2:443",
     .get = get_name},
    {.name = "fd.type", .type = FIELD_STRING, .help = "ipv4 or ipv6", .get = get_type},
    {.name = "fd.typechar", .type = FIELD_STRING, .help = "4: IPv4, 6: IPv6", .get = get_typechar},
    {.name = "fd.l4proto", .type = FIELD_STRING, .help = "tcp or udp", .get = get_l4proto},
    {.name = "fd.ip", .type = FIELD_IP, .many = true, .help = "Either end's address", .get = get_either_ip},
    {.name = "fd.sip",
     .type = FIELD_IP,
     .help = "The server's address: the destination",
     .get = get_remote_ip},
    {.name = "fd.cip", .type = FIELD_IP, .help = "The client's address", .get = get_local_ip},
    {.name = "fd.rip", .type = FIELD_IP, .help = "The remote address", .get = get_remote_ip},
    {.name = "fd.lip", .type = FIELD_IP, .help = "The local address", .get = get_local_ip},
    {.name = "fd.port",
     .type = FIELD_UINT,
     .many = true,
     .help = "Either end's port",
     .get = get_either_port},
    {.name = "fd.sport", .type = FIELD_UINT, .help = "The server's port", .get = get_remote_port},
    {.name = "fd.cport", .type = FIELD_UINT, .help = "The client's port", .get = get_local_port},
    {.name = "fd.rport", .type = FIELD_UINT, .help = "The remote port", .get = get_remote_port},
    {.name = "fd.lport", .type = FIELD_UINT, .help = "The local port", .get = get_local_port},
};

static const struct event_type types[] = {
    [WIRE_CONNECT_CONNECT] = {.name = "connect",
                              .help = "A TCP or UDP socket was connected, or that was tried",
                              .fields = connect_fields,
                              .fields_count = ARRAY_SIZE(connect_fields)},
};

static size_t record_size(uint16_t type)
{
    return sizeof(struct wire_connect);
}

static bool record_valid(const struct wire_header *wire)
{
    const struct wire_connect *record = (const struct wire_connect *)wire;
    return record->family == 4 || record->family == 6;
}

static void stop(void)
{
    hook_detach_all(&attached);
    connect_bpf__destroy(skeleton);
    skeleton = NULL;
}

// Whether a rule reads what is known only when connect() returns. Without that a connection is reported when
// it is asked for, by one program instead of two.
static bool return_wanted(const struct demand *demand)
{
    static const field_get_fn early[] = {get_remote_ip, get_remote_port, get_l4proto, get_type, get_typechar};
    for (size_t i = 0; i < ARRAY_SIZE(connect_fields); i++) {
        bool is_early = false;
        for (size_t k = 0; k < ARRAY_SIZE(early); k++)
            is_early = is_early || connect_fields[i].get == early[k];
        if (!is_early && demand_reads(demand, &connect_fields[i]))
            return true;
    }
    return false;
}

static int start(const struct source_env *env, struct source_report *ret_report)
{
    bool wanted = env->everything || env->demand->wanted[event_type_index(&types[WIRE_CONNECT_CONNECT])];
    // The result first: once an address is waiting for it, it must come.
    const struct hook hooks[] = {
        {.name = "connect result",
         .program = "connect_return_tp",
         .attach_point = "tracepoint/syscalls/sys_exit_connect",
         .attach = hook_attach_tracepoint,
         .wanted = env->everything || (wanted && return_wanted(env->demand))},
        {.name = "connect IPv4",
         .program = "connect_v4_cgroup",
         .attach_point = "cgroup/connect4",
         .attach = hook_attach_cgroup,
         .wanted = wanted},
        {.name = "connect IPv6",
         .program = "connect_v6_cgroup",
         .attach_point = "cgroup/connect6",
         .attach = hook_attach_cgroup,
         .wanted = wanted},
    };
    if (!wanted) {
        ret_report->needed = false;
        return 0;
    }
    skeleton = connect_bpf__open();
    if (!skeleton)
        return hook_load_failed(-errno, ret_report);
    skeleton->rodata->source_id = env->id;
    skeleton->rodata->join_results = hooks[0].wanted;
    int error = hook_prepare(skeleton->obj, env, hooks, ARRAY_SIZE(hooks));
    if (!error)
        error = connect_bpf__load(skeleton);
    if (error) {
        hook_load_failed(error, ret_report);
    } else {
        skeleton->data->wake_all = filter_set_clues(env->demand, &types[WIRE_CONNECT_CONNECT],
                                                    skeleton->bss->wake_names, skeleton->bss->wake_addresses);
        error = hook_attach_all(skeleton->obj, hooks, ARRAY_SIZE(hooks), &attached, ret_report);
    }
    if (error)
        stop();
    return error;
}

const struct source source_connect = {
    .name = "connect",
    .help = "Connections made: TCP and UDP over IPv4 and IPv6, with their result",
    .types = types,
    .types_count = ARRAY_SIZE(types),
    .record_size = record_size,
    .record_valid = record_valid,
    .start = start,
    .stop = stop,
};
