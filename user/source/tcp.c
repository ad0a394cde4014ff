#include "source.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "iterator.h"
#include "object.h"
#include "peer.h"
#include "tcp.skel.h"
#include "wire/tcp.h"

#include <bpf/bpf.h>
#include <errno.h>

// Looking at all connections takes a 500th of the time at most, but where there is little to look at it is
// done every second.
enum { LOOK_SHARE = 500 };

OBJECT_SKELETON(tcp);
static bool scanned;          // for connections from before
static uint64_t next_look_ns; // CLOCK_MONOTONIC

static struct counter looks_failed = {
    .name = "inferscope_tcp_looks_failed_total",
    .help = "Times that open TCP connections could not be looked at; what they moved comes with the next",
};

// --- What it gives ---

static const char *const ways[WIRE_TCP_WAYS] = {"transmit", "receive"}; // as OpenTelemetry calls them
static const char *const roles[WIRE_TCP_WAYS] = {"client", "server"};
static const char *const reasons[WIRE_TCP_REASONS] = {"refused", "timed_out", "unreachable", "reset",
                                                      "no_port", "aborted",   "other"};

static int peer_labels(uint16_t detail, struct label *ret_labels)
{
    unsigned peer = WIRE_TCP_DETAIL_PEER(detail);
    if (peer >= WIRE_PEERS)
        return -EINVAL;
    const char *name = peer_name(peer);
    ret_labels[0] = (struct label){"peer_class", name};
    return name ? 1 : 0;
}

static int labels_with(uint16_t detail, struct label *ret_labels, const char *name, const char *value)
{
    int count = peer_labels(detail, ret_labels);
    if (count < 0)
        return count;
    ret_labels[count] = (struct label){name, value};
    return count + 1;
}

static int way_labels(uint16_t detail, struct label *ret_labels)
{
    return labels_with(detail, ret_labels, "network_io_direction", ways[WIRE_TCP_DETAIL_WAY(detail)]);
}

static int role_labels(uint16_t detail, struct label *ret_labels)
{
    return labels_with(detail, ret_labels, "role", roles[WIRE_TCP_DETAIL_WAY(detail)]);
}

static int asked_labels(uint16_t detail, struct label *ret_labels)
{
    return WIRE_TCP_DETAIL_WAY(detail) == WIRE_TCP_OUT ? peer_labels(detail, ret_labels) : -EINVAL;
}

static int reason_labels(uint16_t detail, struct label *ret_labels)
{
    unsigned reason = WIRE_TCP_DETAIL_REASON(detail);
    return reason < WIRE_TCP_REASONS ? labels_with(detail, ret_labels, "reason", reasons[reason]) : -EINVAL;
}

static const struct measure_family families[] = {
    {"inferscope_tcp_connect_duration_seconds", "seconds",
     "Time from asking for a TCP connection until it was there", MEASURE_TIME, WIRE_TCP_CONNECTS, 4, 27,
     asked_labels},
    {"inferscope_tcp_connect_failures_total", NULL,
     "TCP connections that were asked for and did not come about: refused, timed_out, unreachable, reset, "
     "no_port (no local one was free), aborted (by the one who asked) or other",
     MEASURE_COUNT, WIRE_TCP_FAILURES, .labels = reason_labels},
    {"inferscope_tcp_connections_total", NULL, "TCP connections that came about, by who this end is",
     MEASURE_COUNT, WIRE_TCP_CONNECTS, .labels = role_labels},
    {"inferscope_tcp_connection_duration_seconds", "seconds",
     "How long TCP connections were there that have ended", MEASURE_TIME, WIRE_TCP_ENDED, 6, 30, role_labels},
    {"inferscope_tcp_io_bytes_total", "bytes",
     "Bytes on TCP connections, each once however often it was sent", MEASURE_AMOUNT, WIRE_TCP_BYTES,
     .labels = way_labels},
    {"inferscope_tcp_rtt_seconds", "seconds",
     "Round-trip time of TCP connections as the kernel smoothes it, looked at about once a second while "
     "something moves and at the end",
     MEASURE_TIME, WIRE_TCP_RTT, 3, 24, peer_labels},
    {"inferscope_tcp_retransmits_total", NULL, "TCP segments that were sent again", MEASURE_AMOUNT,
     WIRE_TCP_RETRANSMITS, .labels = peer_labels},
    {"inferscope_tcp_resets_total", NULL, "TCP resets on connections", MEASURE_COUNT, WIRE_TCP_RESETS,
     .labels = way_labels},
    {"inferscope_tcp_listen_drops_total", NULL,
     "Times that a listening TCP socket turned somebody away, nearly always because as many connections "
     "waited to be accepted as listen() allows",
     MEASURE_AMOUNT, WIRE_TCP_LISTEN_DROPS, .labels = peer_labels},
};

static int map_fd(void)
{
    return skeleton ? bpf_map__fd(skeleton->maps.measures) : -1;
}

static const struct measures measures = {
    .families = families, .count = ARRAY_SIZE(families), .map_fd = map_fd};

// --- Looking at what is there ---

static int attach_look(struct bpf_program *program, const struct hook *hook, struct bpf_link **ret_link)
{
    return iterator_attach(program, bpf_map__fd(skeleton->maps.connections), ret_link);
}

static int attach_scan(struct bpf_program *program, const struct hook *hook, struct bpf_link **ret_link)
{
    return iterator_attach(program, -1, ret_link);
}

enum { HOOK_LOOK, HOOK_SCAN };

static const struct hook hooks[] = {
    [HOOK_LOOK] = {.name = "open connections",
                   .program = "look_at_connection",
                   .attach_point = "iter/bpf_map_elem",
                   .attach = attach_look,
                   .wanted = true},
    [HOOK_SCAN] = {.name = "connections from before",
                   .program = "look_at_file",
                   .attach_point = "iter/task_file",
                   .attach = attach_scan,
                   .optional = true,
                   .wanted = true},
    {.name = "connections",
     .program = "state_changed_btf",
     .attach_point = "tp_btf/inet_sock_set_state",
     .wanted = true},
    {.name = "their sockets' end",
     .program = "destroyed_btf",
     .attach_point = "tp_btf/tcp_destroy_sock",
     .wanted = true},
    {.name = "resets sent",
     .program = "reset_sent_btf",
     .attach_point = "tp_btf/tcp_send_reset",
     .optional = true,
     .wanted = true},
    {.name = "resets received",
     .program = "reset_received_btf",
     .attach_point = "tp_btf/tcp_receive_reset",
     .optional = true,
     .wanted = true},
};

static void forget(void)
{
    scanned = false;
}

static struct object object = {.open = open_skeleton, .close = close_skeleton, .stopping = forget};

static void look(void)
{
    uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
    if (begin_ns < next_look_ns)
        return;
    looks_failed.value += iterator_run(object.attached.links[HOOK_LOOK]) != 0;
    next_look_ns = begin_ns + (clock_ns(CLOCK_MONOTONIC) - begin_ns) * LOOK_SHARE;
}

// --- Start and stop ---

static int start(const struct source_env *env, struct source_report *ret_report)
{
    if (!object_needed(&object, env->everything || env->network, ret_report))
        return 0;
    counter_register(&looks_failed);
    int error = object_load(&object, env, hooks, ARRAY_SIZE(hooks), ret_report);
    if (error)
        return error;
    error = peer_ranges_set(env->cluster);
    if (!error)
        error = peer_ranges_fill(bpf_map__fd(skeleton->maps.prefixes));
    if (error) {
        object_stop(&object);
        return hook_load_failed(error, ret_report);
    }
    error = object_attach(&object, hooks, ARRAY_SIZE(hooks), ret_report);
    if (error)
        return error;
    // Behind the other hooks, so that no connection is missed between the two.
    if (!scanned && object.attached.links[HOOK_SCAN])
        looks_failed.value += iterator_run(object.attached.links[HOOK_SCAN]) != 0;
    scanned = true;
    return 0;
}

static void stop(void)
{
    object_stop(&object);
}

static size_t record_size(uint16_t type)
{
    return SIZE_MAX; // sends no records, so none is valid
}

const struct source source_tcp = {
    .name = "tcp",
    .help = "TCP connections as metrics: time to connect, failures, bytes, round-trip time (--network)",
    .cost =
        "about 2 µs for each connection, both ends on the node; nothing for a packet; off unless asked for",
    .record_size = record_size,
    .start = start,
    .stop = stop,
    .measures = &measures,
    .tick = look,
};
