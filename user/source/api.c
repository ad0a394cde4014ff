#include "source.h"

#include "api.skel.h"
#include "api_fields.h"
#include "api_pieces.h"
#include "api_programs.h"
#include "base/cleanup.h"
#include "object.h"
#include "uprobe.h"
#include "walk.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

OBJECT_SKELETON(api);

static size_t record_size(uint16_t type)
{
    return type == WIRE_API_CALL ? sizeof(struct wire_api_call) : sizeof(struct wire_api);
}

static bool record_valid(const struct wire_header *wire)
{
    const struct wire_api *record = (const struct wire_api *)wire;
    const struct wire_api_exchange *exchange = &record->exchange;
    return (record->family == 0 || record->family == 4 || record->family == 6) &&
           exchange->request_model_length <= WIRE_API_MODEL_MAX &&
           exchange->response_model_length <= WIRE_API_MODEL_MAX && exchange->end < WIRE_API_ENDS &&
           (!(exchange->work.flags & WIRE_API_WORK_DECODE) || exchange->work.decodes) &&
           memchr(exchange->server, '\0', WIRE_API_SERVER_MAX) &&
           memchr(exchange->traceparent, '\0', WIRE_API_TRACEPARENT_MAX) &&
           (wire->type != WIRE_API_CALL ||
            memchr(((const struct wire_api_call *)wire)->host, '\0', WIRE_API_HOST_MAX));
}

// What was counted before the source was stopped.
static uint64_t unfollowed[WIRE_API_UNFOLLOWED];
static uint64_t tls_calls_missed;

static void keep_counts(void)
{
    for (size_t i = 0; skeleton && i < WIRE_API_UNFOLLOWED; i++)
        unfollowed[i] += skeleton->bss->unfollowed[i];
    tls_calls_missed += skeleton ? skeleton->bss->tls_calls_missed : 0;
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
        uint16_t value = api_route_value(number);
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

enum { WAY_HOOKS = 8, END_HOOKS = 2, TLS_PROBES = 8, HOOKS = WAY_HOOKS + END_HOOKS };

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

// What the source `tls` attaches; loaded here because they share the parser and its maps.
static const char *const tls_programs[TLS_PROBES] = {"tls_return",   "tls_read",     "tls_write",
                                                     "tls_read_ex",  "tls_write_ex", "tls_write_ex2",
                                                     "tls_shutdown", "tls_free"};
static const char *const tls_hooks[API_TLS_HOOKS] = {"tls_exit_btf", "tls_state_btf", "tls_receive_btf",
                                                     "tls_send_btf"};
static bool has_tls; // they are loaded
static char tls_reason[128];

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

// Adds the programs for TLS to those that are loaded; nothing is attached to them here.
static size_t add_tls(enum way way, struct hook *hooks, size_t count)
{
    for (size_t i = 0; i < TLS_PROBES; i++)
        hooks[count++] = (struct hook){.name = "TLS", .program = tls_programs[i]};
    for (size_t i = 0; i < API_TLS_HOOKS; i++)
        hooks[count++] =
            (struct hook){.name = "TLS",
                          .program = tls_hooks[i],
                          .unfit = way != WAY_SOCKETS && strcmp(tls_hooks[i], "tls_send_btf") == 0};
    return count;
}

static void prepare(const struct source_env *env)
{
    skeleton->rodata->body_values = !env->no_body_values;
    skeleton->rodata->work_wanted = env->runtimes;
    for (size_t i = 0; i < TLS_PROBES; i++)
        uprobe_prepare(bpf_object__find_program_by_name(skeleton->obj, tls_programs[i]));
}

static struct object object = {
    .open = open_skeleton, .close = close_skeleton, .prepare = prepare, .stopping = keep_counts};

static int load(enum way way, const struct source_env *env, struct source_report *ret_report)
{
    struct hook hooks[HOOKS + TLS_PROBES + API_TLS_HOOKS];
    size_t count = fill_hooks(way, hooks);
    has_tls = object_load(&object, env, hooks, add_tls(way, hooks, count), ret_report) == 0;
    if (has_tls)
        return 0;
    // Requests that are not encrypted are worth having without the others.
    snprintf(tls_reason, sizeof(tls_reason), "%.*s", (int)sizeof(tls_reason) - 1, ret_report->reason);
    *ret_report = (struct source_report){.needed = true};
    return object_load(&object, env, hooks, count, ret_report);
}

static int start_by(enum way way, const struct source_env *env, struct source_report *ret_report)
{
    struct hook hooks[HOOKS];
    int error = load(way, env, ret_report);
    if (error)
        return error;
    error = set_routes();
    if (error) {
        object_stop(&object);
        return hook_load_failed(error, ret_report);
    }
    return object_attach(&object, hooks, fill_hooks(way, hooks), ret_report);
}

struct bpf_program *api_tls_program(const char *name)
{
    return skeleton && has_tls ? bpf_object__find_program_by_name(skeleton->obj, name) : NULL;
}

struct bpf_program *api_tls_hook(size_t number)
{
    struct bpf_program *program = api_tls_program(tls_hooks[number]);
    return program && bpf_program__fd(program) >= 0 ? program : NULL;
}

// Before 5.17 no program can loop over a message.
static bool can_loop(void)
{
    static int can = -1;
    if (can < 0)
        can = libbpf_probe_bpf_helper(BPF_PROG_TYPE_TRACEPOINT, BPF_FUNC_loop, NULL);
    return can != 0;
}

const char *api_tls_reason(void)
{
    if (!can_loop())
        return "reading out of OpenSSL needs Linux 5.17, where programs can loop over a message";
    return skeleton ? tls_reason : "it is not up";
}

uint64_t api_tls_calls_missed(void)
{
    return tls_calls_missed + (skeleton ? skeleton->bss->tls_calls_missed : 0);
}

bool api_events_wanted(const struct demand *demand)
{
    return demand->wanted[event_type_index(&api_types[WIRE_API_INFER])] ||
           demand->wanted[event_type_index(&api_types[WIRE_API_HTTP])] ||
           demand->wanted[event_type_index(&api_types[WIRE_API_CALL])];
}

static void stop(void)
{
    api_pieces_stop();
    object_stop(&object);
}

static int start(const struct source_env *env, struct source_report *ret_report)
{
    bool events = api_events_wanted(env->demand);
    static enum way present;
    ret_report->needed = events || env->inference || env->everything;
    if (!ret_report->needed) {
        stop();
        return 0;
    }
    if (!can_loop())
        return api_pieces_start(env, events, ret_report);
    if (skeleton) {
        struct hook hooks[HOOKS];
        skeleton->bss->wake_always = events;
        return object_attach(&object, hooks, fill_hooks(present, hooks), ret_report);
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
        skeleton->bss->wake_always = events;
    return error;
}

// --- What is under way ---

struct visit {
    api_progress_fn visit;
    void *context;
};

static void visit_connection(int fd, const void *key, const void *value, void *context)
{
    const struct wire_api_progress *progress = value;
    const struct visit *each = context;
    if (progress->in_flight && progress->inference && !progress->client)
        each->visit(progress, each->context);
}

void api_visit_progress(api_progress_fn visit, void *context)
{
    api_pieces_visit(visit, context);
    if (!skeleton)
        return;
    struct visit each = {visit, context};
    walk_table(bpf_map__fd(skeleton->maps.connections), visit_connection, &each);
    walk_table(bpf_map__fd(skeleton->maps.tls_connections), visit_connection, &each);
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
