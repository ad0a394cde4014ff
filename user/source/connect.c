#include "source.h"

#include "base/cleanup.h"
#include "calls.h"
#include "connect.skel.h"
#include "endpoint.h"
#include "filter_set.h"
#include "object.h"
#include "result.h"
#include "threads.h"
#include "wire/connect.h"

OBJECT_SKELETON(connect);

static const struct wire_connect *connect_of(const struct event *event)
{
    return (const struct wire_connect *)event->wire;
}

static bool get_rawres(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return connect_of(event)->has_result && result_get_rawres(event, arg, nth, ret_value);
}

static bool get_failed(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    const struct wire_connect *record = connect_of(event);
    int64_t result = record->call.call.result;
    bool under_way = result == -EINPROGRESS || result == -EINTR;
    return record->has_result && value_set_bool(ret_value, result < 0 && !under_way);
}

static bool get_res(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    return connect_of(event)->has_result && result_get_res(event, arg, nth, ret_value);
}

static bool get_num(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    const struct wire_connect *record = connect_of(event);
    return record->fd >= 0 && value_set_int(ret_value, record->fd);
}

// The one who connects is the client and local; the destination is the server and remote.
static const struct field connect_fields[] = {
    {.name = "evt.rawres",
     .type = FIELD_INT,
     .help = "What the call returned; missing where it could not be joined (io_uring)",
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
    ENDPOINT_FIELDS,
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
    return record->call.endpoint.family == 4 || record->call.endpoint.family == 6;
}

// Whether a rule reads what is known only when connect() returns. Without that a connection is reported when
// it is asked for, by one program instead of two.
static bool return_wanted(const struct demand *demand)
{
    static const field_get_fn early[] = {endpoint_get_server_ip,    endpoint_get_remote_ip,
                                         endpoint_get_server_port,  endpoint_get_remote_port,
                                         endpoint_get_l4proto,      endpoint_get_type,
                                         endpoint_get_typechar,     endpoint_get_is_server,
                                         endpoint_get_server_names, endpoint_get_remote_names};
    for (size_t i = 0; i < ARRAY_SIZE(connect_fields); i++) {
        bool is_early = false;
        for (size_t k = 0; k < ARRAY_SIZE(early); k++)
            is_early = is_early || connect_fields[i].get == early[k];
        if (!is_early && demand_reads(demand, &connect_fields[i]))
            return true;
    }
    return false;
}

static const struct call_watch calls[] = {
    CALL_WATCH(connect, WIRE_CONNECT_CONNECT, .mandatory = true),
    CALL_WATCH_SOCKETCALL(3, WIRE_CONNECT_CONNECT),
};

static void prepare(const struct source_env *env)
{
    calls_number(calls, ARRAY_SIZE(calls), skeleton->rodata->call_types, skeleton->rodata->call_types_compat);
}

static struct object object = {.open = open_skeleton, .close = close_skeleton, .prepare = prepare};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    // The results first: once an address is waiting for one, it must come.
    struct call_hooks hooks;
    calls_hooks(calls, ARRAY_SIZE(calls), types, env, &hooks);
    bool wanted = calls_wanted(&hooks);
    // Once results are joined, they go on to be: connections under way would be lost with their returns.
    bool results = env->everything || return_wanted(env->demand) || (skeleton && skeleton->bss->join_results);
    for (size_t i = 0; i < hooks.count; i++)
        hooks.hooks[i].wanted = hooks.hooks[i].wanted && results;
    hooks.hooks[hooks.count++] = (struct hook){.name = "connect IPv4",
                                               .program = "connect_v4_cgroup",
                                               .attach_point = "cgroup/connect4",
                                               .attach = hook_attach_cgroup,
                                               .wanted = wanted};
    hooks.hooks[hooks.count++] = (struct hook){.name = "connect IPv6",
                                               .program = "connect_v6_cgroup",
                                               .attach_point = "cgroup/connect6",
                                               .attach = hook_attach_cgroup,
                                               .wanted = wanted};
    if (!object_needed(&object, wanted, ret_report))
        return 0;
    int error = object_load(&object, env, hooks.hooks, hooks.count, ret_report);
    if (error)
        return error;
    skeleton->data->wake_all = filter_set_clues(env->demand, &types[WIRE_CONNECT_CONNECT],
                                                skeleton->bss->wake_names, skeleton->bss->wake_addresses);
    error = object_attach(&object, hooks.hooks, hooks.count, ret_report);
    if (!error)
        skeleton->bss->join_results = results;
    return error;
}

static void stop(void)
{
    object_stop(&object);
}

static void tick(void)
{
    static uint64_t swept_ns;
    threads_sweep(bpf_map__fd(skeleton->maps.pending), &swept_ns);
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
    .tick = tick,
};
