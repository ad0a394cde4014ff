#include "source.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "client_hello.h"
#include "egress.skel.h"
#include "egress_flows.h"
#include "endpoint.h"
#include "iterator.h"
#include "names.h"
#include "object.h"
#include "peer.h"
#include "walk.h"
#include "weights.h"
#include "wire/egress.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { IDLE_S = 60, NAME_LIVES_S = 3600 };

OBJECT_SKELETON(egress);
static bool sockets_found; // those that were there before
static struct demand_threshold thresholds[DEMAND_THRESHOLDS_MAX];
static size_t thresholds_count;
static bool thresholds_all;
static bool sums; // are made of what is sent, by rules

static struct counter hellos_unread = {
    .name = "inferscope_egress_hellos_unread_total",
    .help = "TLS connections whose first message did not hold together",
};

static struct counter unplaced = {
    .name = "inferscope_egress_bytes_unplaced_total",
    .help = "Bytes that left the node and are counted as sent to no known destination, as too many processes "
            "and addresses were under way",
};

// --- Fields ---

static const struct wire_egress *record_of(const struct event *event)
{
    return (const struct wire_egress *)event->wire;
}

static bool get_minute(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return value_set_uint(ret_value, record_of(event)->bytes[WIRE_EGRESS_MINUTE]);
}

static bool get_ten_minutes(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    return value_set_uint(ret_value, record_of(event)->bytes[WIRE_EGRESS_TEN_MINUTES]);
}

static bool get_hour(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    return value_set_uint(ret_value, record_of(event)->bytes[WIRE_EGRESS_HOUR]);
}

static bool get_sent(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    return value_set_uint(ret_value, record_of(event)->sent);
}

static bool get_sum(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    return event->sum && value_set_uint(ret_value, *event->sum);
}

static bool get_weights(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    return value_set_string(ret_value, weights_of(event->wire->cgroup_id, event->wire->time_ns));
}

#define BYTES_HELP(how_long)                                                                         \
    "Bytes that the container (on the node itself: the cgroup) has sent to this destination in the " \
    "last " how_long

static const struct field egress_fields[] = {
    {.name = "net.egress.bytes",
     .type = FIELD_UINT,
     .unit = "bytes",
     .help = BYTES_HELP("ten minutes"),
     .get = get_ten_minutes},
    {.name = "net.egress.bytes.minute",
     .type = FIELD_UINT,
     .unit = "bytes",
     .help = BYTES_HELP("minute"),
     .get = get_minute},
    {.name = "net.egress.bytes.hour",
     .type = FIELD_UINT,
     .unit = "bytes",
     .help = BYTES_HELP("hour"),
     .get = get_hour},
    {.name = "net.egress.sent",
     .type = FIELD_UINT,
     .unit = "bytes",
     .help = "Bytes of these that were sent since the last event of this destination",
     .get = get_sent},
    {.name = "net.egress.sum",
     .type = FIELD_UINT,
     .arg = FIELD_ARG_WINDOW,
     .unit = "bytes",
     .help =
         "Bytes that the container (on the node itself: the cgroup) has sent within that time (10m; 1m to "
         "60m) to all destinations together for which the rest of the rule's condition holds; the rule "
         "holds once each time this comes to be more than the number that it is compared with",
     .get = get_sum,
     .summed = "net.egress.sent"},
    {.name = "net.egress.weights",
     .type = FIELD_STRING,
     .help = "The file of model weights (.safetensors, .gguf, .onnx) that a process of the container (on the "
             "node itself: of the cgroup) opened last to read it, within an hour; missing: none",
     .get = get_weights},
    ENDPOINT_FIELDS,
};

static const field_get_fn window_getters[WIRE_EGRESS_WINDOWS] = {get_minute, get_ten_minutes, get_hour};

static const struct event_type types[] = {
    [WIRE_EGRESS_EGRESS] = {.name = "egress",
                            .help =
                                "Something was sent to a destination to which nothing had been sent in the "
                                "hour before, or the bytes sent there have come to a number that some rule "
                                "compares them with; told within a second or two",
                            .fields = egress_fields,
                            .fields_count = ARRAY_SIZE(egress_fields)},
};

static bool record_adds_only(const struct wire_header *wire)
{
    return ((const struct wire_egress *)wire)->adds_only != 0;
}

static size_t record_size(uint16_t type)
{
    return type == WIRE_EGRESS_HELLO ? sizeof(struct wire_egress_hello) : sizeof(struct wire_egress);
}

// --- Names ---

static void learn_hello(const struct wire_egress_hello *hello, size_t size)
{
    char name[CLIENT_HELLO_NAME_MAX + 1];
    struct ip address = {.family = hello->family};
    if (size < sizeof(*hello) || size - sizeof(*hello) < hello->size)
        return;
    memcpy(address.bytes, hello->addr, sizeof(address.bytes));
    int error = client_hello_name((const uint8_t *)(hello + 1), hello->size, name);
    hellos_unread.value += error == -EPROTO;
    uint64_t now = hello->header.time_ns;
    // What DNS said is better; an address that many names share has several of both.
    if (!error && !names_of(&address, 0, now))
        names_learn(&address, name, now, now + NAME_LIVES_S * UINT64_C(1000000000));
}

static void refine(const struct wire_header *raw, size_t size, source_emit_fn emit, void *context)
{
    if (size >= sizeof(struct wire_egress_hello))
        learn_hello((const struct wire_egress_hello *)raw, size);
}

// --- Flows ---

static source_emit_fn emit_event;
static void *emit_context;

// Whether a sum has come to what some rule compares it with.
static bool is_crossed(const uint64_t *before, const uint64_t *after)
{
    for (size_t i = 0; i < WIRE_EGRESS_WINDOWS; i++)
        for (size_t k = 0; k < thresholds_count; k++) {
            uint64_t threshold = thresholds[k].value;
            // `> n` and `>= n` hold from different sums on, so each is a threshold.
            bool reached = before[i] < threshold && after[i] >= threshold;
            bool passed = before[i] <= threshold && after[i] > threshold;
            if (thresholds[k].field->get == window_getters[i] && (reached || passed))
                return true;
        }
    return thresholds_all;
}

static void tell(struct egress_destination *destination, const struct wire_header *owner,
                 const struct wire_egress_key *key, const uint64_t *before, const uint64_t *after)
{
    bool fresh = before[WIRE_EGRESS_HOUR] == 0 && after[WIRE_EGRESS_HOUR] > 0;
    bool news = fresh || is_crossed(before, after);
    if (!emit_event || (!news && !sums))
        return;
    uint64_t sent = egress_flows_take(destination);
    if (!news && sent == 0)
        return;
    struct wire_egress record = {.call.call.header = *owner,
                                 .call.endpoint = {.remote_port = key->port,
                                                   .family = key->family,
                                                   .protocol = key->protocol,
                                                   .role = WIRE_ROLE_CLIENT,
                                                   .flags = WIRE_ENDPOINT_CONNECTED | WIRE_ENDPOINT_REMOTE}};
    record.call.call.header.size = sizeof(record);
    record.call.call.header.type = WIRE_EGRESS_EGRESS;
    record.call.call.header.time_ns = clock_ns(CLOCK_BOOTTIME);
    memcpy(record.call.endpoint.remote_addr, key->addr, sizeof(key->addr));
    memcpy(record.bytes, after, sizeof(record.bytes));
    record.sent = sent;
    record.adds_only = !news;
    emit_event(&record.call.call.header, sizeof(record), emit_context);
}

// What the kernel had of a flow when it was last read.
struct seen {
    struct wire_egress_key key;
    UT_hash_handle hh;
    uint64_t bytes, connections;
    char *name; // owned; the last one that the destination had, or NULL
    bool again; // it was there at the last look, too
};

static struct seen *seen_flows;

static void forget_seen(struct seen *seen)
{
    HASH_DEL(seen_flows, seen);
    free(seen->name);
    free(seen);
}

static struct seen *seen_of(const struct wire_egress_key *key)
{
    struct seen *seen;
    HASH_FIND(hh, seen_flows, key, sizeof(*key), seen);
    if (seen)
        return seen;
    seen = calloc(1, sizeof(*seen));
    if (!seen)
        return NULL;
    seen->key = *key;
    HASH_ADD(hh, seen_flows, key, sizeof(seen->key), seen);
    return seen;
}

static void take_flow(int fd, const void *key, const void *value, void *context)
{
    const uint64_t *now_ns = context;
    struct wire_egress_flow flow = *(const struct wire_egress_flow *)value;
    struct seen *seen = seen_of(key);
    if (!seen)
        return;
    // The name comes shortly after the first packet.
    if (!seen->again) {
        seen->again = true;
        return;
    }
    // One to which nothing was added for a minute makes room. What was added since it was read is not lost.
    bool idle = flow.last_ns + IDLE_S * UINT64_C(1000000000) < *now_ns;
    if (idle && bpf_map_lookup_elem(fd, key, &flow))
        return;
    struct wire_header owner = flow.owner;
    owner.source = skeleton->rodata->source_id;
    owner.cgroup_id = seen->key.cgroup_id;
    uint64_t bytes = flow.bytes - seen->bytes, connections = flow.connections - seen->connections;
    unplaced.value += seen->key.family ? 0 : bytes;
    if (bytes || connections) {
        const char *name = egress_flows_name(&seen->key, &seen->name, *now_ns);
        egress_flows_add(&seen->key, &owner, name, bytes, connections, *now_ns);
    }
    seen->bytes = flow.bytes;
    seen->connections = flow.connections;
    if (idle && bytes == 0 && bpf_map_delete_elem(fd, key) == 0)
        forget_seen(seen);
}

static void make(source_emit_fn emit, void *context)
{
    uint64_t now_ns = clock_ns(CLOCK_BOOTTIME);
    if (!skeleton)
        return;
    emit_event = emit;
    emit_context = context;
    walk_table(bpf_map__fd(skeleton->maps.egress_flows), take_flow, &now_ns);
    walk_table(bpf_map__fd(skeleton->maps.egress_answers), take_flow, &now_ns);
    walk_table(bpf_map__fd(skeleton->maps.egress_elsewhere), take_flow, &now_ns);
    egress_flows_changed(now_ns);
    emit_event = NULL;
}

// --- Start ---

static void forget_all(void)
{
    sockets_found = false;
    while (seen_flows)
        forget_seen(seen_flows);
    egress_flows_clear();
}

static const struct hook hooks[] = {
    {.name = "socket made",
     .program = "egress_socket_cgroup",
     .attach_point = "cgroup/sock_create",
     .attach = hook_attach_cgroup,
     .wanted = true},
    {.name = "connection asked or waited for",
     .program = "egress_begun_sockops",
     .attach_point = "cgroup/sock_ops",
     .attach = hook_attach_cgroup,
     .wanted = true},
    {.name = "packet sent",
     .program = "egress_sent_cgroup",
     .attach_point = "cgroup_skb/egress",
     .attach = hook_attach_cgroup,
     .wanted = true},
};

static struct object object = {.open = open_skeleton, .close = close_skeleton, .stopping = forget_all};

// An iterator is loaded beside them, where this kernel can (5.11).
static int load(const struct source_env *env, struct source_report *ret_report)
{
    struct hook all[ARRAY_SIZE(hooks) + 1];
    memcpy(all, hooks, sizeof(hooks));
    all[ARRAY_SIZE(hooks)] = (struct hook){.name = "sockets", .program = "egress_sockets_iter"};
    if (object_load(&object, env, all, ARRAY_SIZE(all), ret_report) == 0)
        return 0;
    *ret_report = (struct source_report){.needed = true};
    return object_load(&object, env, hooks, ARRAY_SIZE(hooks), ret_report);
}

// Whose the sockets are that were there before.
static void find_sockets(void)
{
    struct bpf_link *link = NULL;
    if (sockets_found || bpf_program__fd(skeleton->progs.egress_sockets_iter) < 0)
        return;
    if (iterator_attach(skeleton->progs.egress_sockets_iter, -1, &link) == 0)
        iterator_run(link);
    bpf_link__destroy(link);
    sockets_found = true;
}

static void set_thresholds(const struct demand *demand)
{
    thresholds_count = demand->thresholds_count;
    thresholds_all = demand->thresholds_all;
    memcpy(thresholds, demand->thresholds, sizeof(thresholds));
    // What was sent before somebody adds it up is no part of a sum.
    if (demand->sums && !sums)
        egress_flows_forgo();
    sums = demand->sums;
}

static int start(const struct source_env *env, struct source_report *ret_report)
{
    bool needed =
        env->egress || env->everything || env->demand->wanted[event_type_index(&types[WIRE_EGRESS_EGRESS])];
    if (!object_needed(&object, needed, ret_report))
        return 0;
    counter_register(&hellos_unread);
    counter_register(&unplaced);
    egress_flows_start(tell);
    set_thresholds(env->demand);
    int error = peer_ranges_set(env->cluster);
    if (!error)
        error = load(env, ret_report);
    if (!error)
        error = object_attach(&object, hooks, ARRAY_SIZE(hooks), ret_report);
    if (!error)
        find_sockets();
    return error;
}

static void stop(void)
{
    object_stop(&object);
}

static void collect(struct series_writer *writer)
{
    static const struct series_family lost = {.name = "inferscope_egress_bytes_uncounted_total",
                                              .type = SERIES_COUNTER,
                                              .help = "Bytes that left the node and are in no other count, "
                                                      "as too many processes and addresses were under "
                                                      "way"};
    static const struct series_family nameless = {
        .name = "inferscope_egress_senders_unknown_total",
        .type = SERIES_COUNTER,
        .help = "Sockets of which only the cgroup is known that sends by them, as their memory for options "
                "(net.core.optmem_max) was full"};
    if (!skeleton)
        return;
    writer->family(writer, &lost);
    writer->number(writer, NULL, 0, (double)skeleton->bss->egress_bytes_lost);
    writer->family(writer, &nameless);
    writer->number(writer, NULL, 0, (double)skeleton->bss->egress_owners_lost);
}

const struct source source_egress = {
    .name = "egress",
    .help = "What leaves the node: bytes and connections, by container and destination",
    .types = types,
    .types_count = ARRAY_SIZE(types),
    .record_size = record_size,
    .record_adds_only = record_adds_only,
    .refine = refine,
    .make = make,
    .start = start,
    .stop = stop,
    .collect = collect,
};
