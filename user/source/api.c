#include "source.h"

#include "api.skel.h"
#include "api_fields.h"
#include "api_pieces.h"
#include "base/cleanup.h"
#include "hook.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

static struct api_bpf *skeleton;
static struct hooks attached;

static size_t record_size(uint16_t type)
{
    return sizeof(struct wire_api);
}

static bool record_valid(const struct wire_header *wire)
{
    const struct wire_api *record = (const struct wire_api *)wire;
    const struct wire_api_exchange *exchange = &record->exchange;
    return (record->family == 4 || record->family == 6) &&
           exchange->request_model_length <= WIRE_API_MODEL_MAX &&
           exchange->response_model_length <= WIRE_API_MODEL_MAX && exchange->end < WIRE_API_ENDS &&
           memchr(exchange->server, '\0', WIRE_API_SERVER_MAX) &&
           memchr(exchange->traceparent, '\0', WIRE_API_TRACEPARENT_MAX);
}

// What was counted before the source was stopped.
static uint64_t unfollowed[WIRE_API_UNFOLLOWED];

static void stop(void)
{
    api_pieces_stop();
    hook_detach_all(&attached);
    for (size_t i = 0; skeleton && i < WIRE_API_UNFOLLOWED; i++)
        unfollowed[i] += skeleton->bss->unfollowed[i];
    api_bpf__destroy(skeleton);
    skeleton = NULL;
}

// How it is noticed that a socket has received or sent. The first that this kernel has and allows is taken.
enum way {
    WAY_SOCKETS,   // tracepoints that only sockets pass (6.3)
    WAY_FUNCTIONS, // TCP's functions
    WAY_CALLS,     // all calls that read and write
    WAYS,
};

// The number of a kernel function's parameters, or -1.
static int parameters_of(const struct btf *btf, const char *function)
{
    int id = btf__find_by_name_kind(btf, function, BTF_KIND_FUNC);
    const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
    type = type ? btf__type_by_id(btf, type->type) : NULL;
    return type && btf_is_func_proto(type) ? btf_vlen(type) : -1;
}

static bool way_exists(enum way way)
{
    struct btf *btf = btf__load_vmlinux_btf();
    bool exists = way == WAY_CALLS;
    if (btf && way == WAY_SOCKETS)
        exists = btf__find_by_name_kind(btf, "btf_trace_sock_recv_length", BTF_KIND_TYPEDEF) > 0;
    if (btf && way == WAY_FUNCTIONS)
        exists = parameters_of(btf, "tcp_recvmsg") == 5 && parameters_of(btf, "tcp_sendmsg") == 3;
    btf__free(btf);
    return exists;
}

// Tells the kernel the routes.
static int set_routes(void)
{
    int fd = bpf_map__fd(skeleton->maps.routes);
    for (size_t number = 1; number <= api_route_count(); number++) {
        const struct api_route *route = api_route_at(number);
        uint64_t hash = api_route_hash(route);
        uint16_t value = (uint16_t)(number | (route->operation ? WIRE_API_ROUTE_INFERENCE : 0));
        if (bpf_map_update_elem(fd, &hash, &value, BPF_ANY))
            return -errno;
    }
    api_route_starts(skeleton->bss->route_starts);
    return 0;
}

#define CALL_HOOK(call)                                                                                 \
    {                                                                                                   \
        .name = #call, .program = "api_call_tp", .attach_point = "tracepoint/syscalls/sys_exit_" #call, \
        .attach = hook_attach_tracepoint, .wanted = true                                                \
    }

#define SOCKET_HOOK(what, with, where)                                       \
    {                                                                        \
        .name = what, .program = with, .attach_point = where, .wanted = true \
    }

enum { WAY_HOOKS = 8, END_HOOKS = 2 };

static const struct hook end_hooks[END_HOOKS] = {
    SOCKET_HOOK("connection gone", "api_destroy_btf", "tp_btf/tcp_destroy_sock"),
    SOCKET_HOOK("connection closed", "api_state_btf", "tp_btf/inet_sock_set_state"),
};

// Sending before receiving: a request that is seen has its answer seen, too.
static const struct hook way_hooks[WAYS][WAY_HOOKS] = {
    [WAY_SOCKETS] = {SOCKET_HOOK("send", "api_send_btf", "tp_btf/sock_send_length"),
                     SOCKET_HOOK("receive", "api_receive_btf", "tp_btf/sock_recv_length")},
    [WAY_FUNCTIONS] = {SOCKET_HOOK("send", "api_send_fexit", "fexit/tcp_sendmsg"),
                       SOCKET_HOOK("receive", "api_receive_fexit", "fexit/tcp_recvmsg")},
    [WAY_CALLS] = {CALL_HOOK(write), CALL_HOOK(writev), CALL_HOOK(sendto), CALL_HOOK(sendmsg),
                   CALL_HOOK(read), CALL_HOOK(readv), CALL_HOOK(recvfrom), CALL_HOOK(recvmsg)},
};

// The number of hooks that are there for a way.
static size_t fill_hooks(enum way way, struct hook *hooks)
{
    size_t count = 0;
    for (size_t i = 0; i < END_HOOKS; i++)
        hooks[count++] = end_hooks[i];
    for (size_t i = 0; i < WAY_HOOKS && way_hooks[way][i].name; i++)
        hooks[count++] = way_hooks[way][i];
    return count;
}

static int start_by(enum way way, const struct source_env *env, struct source_report *ret_report)
{
    struct hook hooks[END_HOOKS + WAY_HOOKS];
    size_t count = fill_hooks(way, hooks);
    skeleton = api_bpf__open();
    if (!skeleton)
        return hook_load_failed(-errno, ret_report);
    skeleton->rodata->source_id = env->id;
    skeleton->rodata->body_values = !env->no_body_values;
    int error = hook_load(skeleton->skeleton, env, hooks, count, ret_report);
    if (!error) {
        error = set_routes();
        if (error)
            hook_load_failed(error, ret_report);
    }
    if (!error)
        error = hook_update(skeleton->obj, hooks, count, &attached, ret_report);
    if (error)
        stop();
    return error;
}

static int start(const struct source_env *env, struct source_report *ret_report)
{
    bool infer = env->demand->wanted[event_type_index(&api_types[WIRE_API_INFER])];
    bool http = env->demand->wanted[event_type_index(&api_types[WIRE_API_HTTP])];
    static enum way present;
    ret_report->needed = infer || http || env->inference || env->everything;
    if (!ret_report->needed) {
        stop();
        return 0;
    }
    // Before 5.17 no program can loop over a message.
    if (!libbpf_probe_bpf_helper(BPF_PROG_TYPE_TRACEPOINT, BPF_FUNC_loop, NULL))
        return api_pieces_start(env, infer || http, ret_report);
    if (skeleton) {
        struct hook hooks[END_HOOKS + WAY_HOOKS];
        skeleton->bss->wake_always = infer || http;
        return hook_update(skeleton->obj, hooks, fill_hooks(present, hooks), &attached, ret_report);
    }
    int error = -EOPNOTSUPP;
    for (enum way way = 0; error && way < WAYS; way++) {
        if (!way_exists(way))
            continue;
        *ret_report = (struct source_report){.needed = true};
        error = start_by(way, env, ret_report);
        present = way;
    }
    if (!error)
        skeleton->bss->wake_always = infer || http;
    return error;
}

// --- What is under way ---

void api_visit_progress(api_progress_fn visit, void *context)
{
    api_pieces_visit(visit, context);
    if (!skeleton)
        return;
    const struct bpf_map *map = skeleton->maps.connections;
    int fd = bpf_map__fd(map);
    uint64_t key, next;
    _cleanup_free_ struct wire_api_progress *progress = malloc(bpf_map__value_size(map));
    // A connection that goes meanwhile makes the walk start again, so it has an end of its own.
    size_t steps = progress ? 4 * bpf_map__max_entries(map) : 0;
    for (const void *from = NULL; steps && !bpf_map_get_next_key(fd, from, &next); steps--) {
        if (!bpf_map_lookup_elem(fd, &next, progress) && progress->in_flight && progress->inference)
            visit(progress, context);
        key = next;
        from = &key;
    }
}

static void collect(struct series_writer *writer)
{
    static const struct series_family family = {
        .name = "inferscope_inference_connections_unfollowed_total",
        .type = SERIES_COUNTER,
        .help = "Connections with inference requests that could not be followed, or not to their end"};
    static const char *const reasons[WIRE_API_UNFOLLOWED] = {
        [WIRE_API_TOO_MANY] = "too_many",
        [WIRE_API_NOT_HTTP] = "not_http",
        [WIRE_API_PIPELINED] = "pipelined",
        [WIRE_API_UNREAD] = "unread",
    };
    uint64_t now[WIRE_API_UNFOLLOWED] = {};
    if (!skeleton && !api_pieces_unfollowed(now))
        return;
    if (skeleton)
        memcpy(now, skeleton->bss->unfollowed, sizeof(now));
    writer->family(writer, &family);
    for (size_t i = 0; i < WIRE_API_UNFOLLOWED; i++) {
        struct label label = {"reason", reasons[i]};
        writer->number(writer, &label, 1, (double)(unfollowed[i] + now[i]));
    }
}

const struct source source_api = {
    .name = "api",
    .help = "HTTP requests to inference servers: time to first token, tokens, errors (--inference)",
    .types = api_types,
    .types_count = WIRE_API_TYPES,
    .record_size = record_size,
    .record_valid = record_valid,
    .refine = api_pieces_refine,
    .start = start,
    .stop = stop,
    .collect = collect,
};
