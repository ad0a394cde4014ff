// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `socket`: sockets that are made, bound, listened on and accepted, and what is sent and received,
// seen when the system call returns. Where a datagram goes to is taken from the kernel's own copy, by a
// cgroup hook, so that nobody can change it meanwhile and io_uring is seen, too.
#include "wire/socket.h"
#include "bpf/lib/endpoint.h"
#include "bpf/lib/message.h"
#include "bpf/lib/wake.h"

#define TYPE_BIT(type) (1u << (type))

__u32 wanted_types; // the wire types whose returns we see
__u64 wake_addresses[PATH_FILTER_WORDS];

// What no rule can match need not be looked at: sends and receives
bool skip_stream;    // on TCP sockets
bool skip_foreign;   // on sockets that are neither IPv4 nor IPv6
bool skip_unchanged; // (sends only) to no new address

bool copy_data;     // some rule reads what was sent or received
bool named_by_hook; // the cgroup hooks are there

struct socket_record {
    struct wire_socket event;
    char data[DATA_ROOM + WIRE_SOCKET_NAME_MAX];
};

SCRATCH(scratch, struct socket_record)

// --- Where datagrams go to ---

// The address that a socket has sent to last. One that is pushed out is taken for new when it is used again.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 8192);
    __type(key, __u64);
    __type(value, struct destination);
} addressed SEC(".maps");

struct pending {
    struct destination destination;
    __u64 cookie; // of the socket
    __u32 index;  // of the message, in sendmmsg
    __u16 type;
    __u16 how; // WIRE_SOCKET_NAME_CHANGED
};

// Sends between the hook and their return, by thread. A thread that dies in between leaves its entry to be
// pushed out. One that is pushed out before its return has the address that the caller named, as where there
// is no hook.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 8192);
    __type(key, __u64);
    __type(value, struct pending);
} pending_sends SEC(".maps");

INLINE bool destination_changed(__u64 cookie, const struct destination *destination)
{
    struct destination *earlier = bpf_map_lookup_elem(&addressed, &cookie);
    const __u64 *a = (const void *)destination, *b = (const void *)earlier;
    if (earlier && a[0] == b[0] && a[1] == b[1] && a[2] == b[2])
        return false;
    if (bpf_map_update_elem(&addressed, &cookie, destination, BPF_ANY))
        lost_add(WIRE_LOST_STATE_FULL);
    return true;
}

// Nothing went there, so the next one that does is the first.
INLINE void destination_forget(__u64 cookie)
{
    bpf_map_delete_elem(&addressed, &cookie);
}

// --- Records ---

INLINE void event_begin(struct wire_socket *event, const struct call *call)
{
    __builtin_memset(event, 0, sizeof(*event));
    event->fd = -1;
    event->how = WIRE_SOCKET_HAS_RESULT;
    event->call.call.result = call->result;
}

INLINE bool event_wakes(const struct wire_socket *event, __u16 type)
{
    const struct wire_endpoint *endpoint = &event->call.endpoint;
    return wake_types & TYPE_BIT(type) || wake_clue(wake_names, event->call.call.header.comm) ||
           wake_clue(wake_addresses, endpoint->remote_addr) ||
           (endpoint->role == WIRE_ROLE_SERVER && wake_clue(wake_addresses, endpoint->local_addr));
}

INLINE void record_send(struct scratch_slot *slot, const struct call *call)
{
    struct wire_socket *event = &slot->record.event;
    __u32 used = *(volatile __u32 *)&slot->used;
    if (used > sizeof(slot->record.data))
        used = sizeof(slot->record.data);
    header_fill(&event->call.call.header, call->task, call->type, sizeof(*event) + used);
    ring_write(event, sizeof(*event) + used, event_wakes(event, call->type));
    scratch_give(slot);
}

// The name of a UNIX socket or of its peer: the first that there is, its own being asked first or last. It
// comes last in the record.
INLINE void record_name(struct scratch_slot *slot, struct sock *sock, bool own_first)
{
    struct unix_sock *own = (void *)sock;
    if (slot->record.event.call.endpoint.family != WIRE_FAMILY_UNIX || !bpf_core_field_exists(own->addr))
        return;
    struct unix_sock *peer = (void *)BPF_CORE_READ(own, peer);
    struct unix_address *own_name = BPF_CORE_READ(own, addr);
    struct unix_address *address = peer ? BPF_CORE_READ(peer, addr) : NULL;
    if (!address || (own_first && own_name))
        address = own_name;
    long path = bpf_core_field_offset(struct sockaddr_un, sun_path);
    long size = address ? BPF_CORE_READ(address, len) - path : 0;
    __u32 at = *(volatile __u32 *)&slot->used;
    if (size <= 0 || size > WIRE_SOCKET_NAME_MAX || at > DATA_ROOM)
        return;
    const void *name = (void *)address + bpf_core_field_offset(struct unix_address, name) + path;
    if (bpf_probe_read_kernel(slot->record.data + at, size, name))
        return;
    slot->record.event.name_size = size;
    slot->used = at + size;
}

// --- Sends and receives ---

INLINE bool data_skipped(struct sock *sock, bool is_send)
{
    __u16 family = BPF_CORE_READ(sock, __sk_common.skc_family);
    bool no_news = is_send && skip_unchanged;
    if (family != AF_INET && family != AF_INET6)
        return skip_foreign || no_news;
    if (sock_is_raw(sock))
        return false;
    switch ((__u8)BPF_CORE_READ(sock, sk_protocol)) { // of MPTCP, too, it is TCP's
    case IPPROTO_TCP:
        return skip_stream || no_news;
    case IPPROTO_UDP:
        return no_news && named_by_hook;
    default:
        return false;
    }
}

// The name of a message in the caller's memory, where no hook has shown us the kernel's copy of it.
INLINE void data_named(struct wire_socket *event, struct sock *sock, const struct message *message)
{
    struct wire_endpoint *endpoint = &event->call.endpoint;
    struct destination named = {};
    bool raw = sock_is_raw(sock);
    if ((endpoint->family != 4 && endpoint->family != 6) || (endpoint->protocol == IPPROTO_TCP && !raw))
        return;
    // raw_sendmsg() and rawv6_sendmsg() take family 0 for their own.
    if (!message_address(message->name, raw ? BPF_CORE_READ(sock, __sk_common.skc_family) : 0, &named))
        return;
    named.protocol = endpoint->protocol;
    endpoint_named(endpoint, &named);
}

// Whether the address that the caller named is new to a socket that no hook watches.
INLINE bool data_renamed(struct file *file, struct sock *sock, const struct wire_socket *event)
{
    const struct wire_endpoint *endpoint = &event->call.endpoint;
    struct destination destination = {.port = endpoint->remote_port, .family = endpoint->family};
    __builtin_memcpy(destination.addr, endpoint->remote_addr, sizeof(destination.addr));
    // A socket has no cookie as long as nobody asks for it; the number of its inode is not soon used again.
    __u64 cookie = BPF_CORE_READ(sock, __sk_common.skc_cookie.counter);
    if (!cookie)
        cookie = 1ull << 63 | BPF_CORE_READ(file, f_inode, i_ino);
    bool changed = destination_changed(cookie, &destination);
    if (event->call.call.result < 0)
        destination_forget(cookie);
    return changed;
}

INLINE void data_sent(const struct call *call)
{
    __u64 key = bpf_get_current_pid_tgid();
    struct pending *pending = bpf_map_lookup_elem(&pending_sends, &key);
    int fd = call_socket_arg(call, 0);
    struct file *file = task_file(call->task, fd);
    struct sock *sock = file ? file_sock(file) : NULL;
    // The hook has seen what was sent; the descriptor may have become another one since.
    if (!pending && sock && data_skipped(sock, true))
        return;
    __u32 index = 0;
    struct pending named = {};
    if (pending) {
        named = *pending;
        index = named.index;
        bpf_map_delete_elem(&pending_sends, &key);
        if (skip_unchanged && !named.how)
            return;
    }
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_socket *event = &slot->record.event;
    struct wire_endpoint *endpoint = &event->call.endpoint;
    struct message message = {};
    event_begin(event, call);
    event->fd = fd;
    if (!message_result(call, index, &event->call.call.result))
        event->how = 0;
    message_read(call, index, &message);
    event->flags = message.flags;
    event->size = message.size;
    if (sock)
        endpoint_fill(endpoint, sock);
    if (pending) {
        endpoint_named(endpoint, &named.destination);
        event->how |= named.how;
        if (event->call.call.result < 0 || !(event->how & WIRE_SOCKET_HAS_RESULT))
            destination_forget(named.cookie);
    } else if (sock) {
        data_named(event, sock, &message);
        if (endpoint->flags & WIRE_ENDPOINT_NAMED && data_renamed(file, sock, event))
            event->how |= WIRE_SOCKET_NAME_CHANGED;
        else if (skip_unchanged)
            goto skip;
    }
    if (endpoint->flags & WIRE_ENDPOINT_NAMED)
        endpoint->role = WIRE_ROLE_CLIENT;
    if (copy_data && event->call.call.result > 0)
        message_copy(call, &message, event->call.call.result, slot->record.data, &slot->used);
    event->data_size = *(volatile __u32 *)&slot->used;
    if (sock)
        record_name(slot, sock, false);
    record_send(slot, call);
    return;
skip:
    scratch_give(slot);
}

INLINE void data_received(const struct call *call)
{
    int fd = call_socket_arg(call, 0);
    struct file *file = task_file(call->task, fd);
    struct sock *sock = file ? file_sock(file) : NULL;
    if (sock && data_skipped(sock, false))
        return;
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_socket *event = &slot->record.event;
    struct wire_endpoint *endpoint = &event->call.endpoint;
    struct message message = {};
    event_begin(event, call);
    event->fd = fd;
    message_result(call, 0, &event->call.call.result);
    message_read(call, 0, &message);
    event->flags = message.flags;
    event->size = message.size;
    if (sock) {
        endpoint_fill(endpoint, sock);
        if ((endpoint->family == 4 || endpoint->family == 6) &&
            !(endpoint->flags & WIRE_ENDPOINT_CONNECTED)) {
            endpoint->role = WIRE_ROLE_SERVER; // whoever sends is the client
            if (call->result >= 0)
                data_named(event, sock, &message);
        }
    }
    if (copy_data && event->call.call.result > 0)
        message_copy(call, &message, event->call.call.result, slot->record.data, &slot->used);
    event->data_size = *(volatile __u32 *)&slot->used;
    if (sock)
        record_name(slot, sock, false);
    record_send(slot, call);
}

// --- Sockets ---

// The address that could not be bound.
INLINE void bind_failed(struct wire_endpoint *endpoint, const struct call *call)
{
    struct destination asked = {};
    if ((endpoint->family != 4 && endpoint->family != 6) ||
        !message_address(call_socket_arg(call, 1), 0, &asked))
        return;
    endpoint->family = asked.family;
    endpoint->local_port = asked.port;
    __builtin_memcpy(endpoint->local_addr, asked.addr, sizeof(endpoint->local_addr));
}

// The same of a UNIX socket: a name in the caller's memory.
INLINE void bind_failed_unix(struct scratch_slot *slot, const struct call *call)
{
    const void *address = (const void *)call_socket_arg(call, 1);
    __u32 size = call_socket_arg(call, 2);
    __u32 at = *(volatile __u32 *)&slot->used;
    __u16 family = 0;
    if (bpf_probe_read_user(&family, sizeof(family), address) || family != AF_UNIX)
        return;
    size -= bpf_core_field_offset(struct sockaddr_un, sun_path);
    if ((__s32)size <= 0 || at > DATA_ROOM)
        return;
    if (size > WIRE_SOCKET_NAME_MAX)
        size = WIRE_SOCKET_NAME_MAX;
    if (bpf_probe_read_user(slot->record.data + at, size, address + sizeof(family)))
        return;
    slot->record.event.name_size = size;
    slot->used = at + size;
}

INLINE void socket_changed(const struct call *call)
{
    bool accepts = call->type == WIRE_SOCKET_ACCEPT || call->type == WIRE_SOCKET_ACCEPT4;
    bool makes = accepts || call->type == WIRE_SOCKET_SOCKET;
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_socket *event = &slot->record.event;
    struct wire_endpoint *endpoint = &event->call.endpoint;
    event_begin(event, call);
    // Of an accept() that failed the socket that listens is shown.
    int fd = makes && call->result >= 0 ? call->result : call_socket_arg(call, 0);
    if (!makes || call->result >= 0)
        event->fd = fd;
    if (call->type == WIRE_SOCKET_SOCKET) {
        event->domain = call_socket_arg(call, 0);
        event->type = call_socket_arg(call, 1);
        event->protocol = call_socket_arg(call, 2);
    }
    if (call->type == WIRE_SOCKET_LISTEN)
        event->backlog = call_socket_arg(call, 1);
    if (call->type == WIRE_SOCKET_ACCEPT4)
        event->flags = call_socket_arg(call, 3);

    struct sock *sock = NULL;
    if (event->fd >= 0 || accepts) {
        struct file *file = task_file(call->task, fd);
        sock = file ? file_sock(file) : NULL;
    }
    if (sock) {
        endpoint_fill(endpoint, sock);
        if (call->type != WIRE_SOCKET_SOCKET && endpoint->family)
            endpoint->role = WIRE_ROLE_SERVER;
        bool refused = call->type == WIRE_SOCKET_BIND && call->result < 0;
        if (refused && endpoint->family == WIRE_FAMILY_UNIX) {
            bind_failed_unix(slot, call);
        } else {
            if (refused)
                bind_failed(endpoint, call);
            record_name(slot, sock, true);
        }
    }
    record_send(slot, call);
}

// --- The adapters ---

INLINE void call_returned(struct call *call)
{
    if (call->type >= WIRE_SOCKET_RECVFROM)
        data_received(call);
    else if (call->type >= WIRE_SOCKET_SENDTO)
        data_sent(call);
    else
        socket_changed(call);
}

CALL_PROGRAMS

// A cgroup program can be preempted, so this record lies on the stack; it has no data.
INLINE void pending_send(struct call *call, const struct pending *pending, __u32 how)
{
    struct wire_socket event;
    if (skip_unchanged && !pending->how)
        return;
    event_begin(&event, call);
    event.how = how | pending->how;
    endpoint_named(&event.call.endpoint, &pending->destination);
    event.call.endpoint.role = WIRE_ROLE_CLIENT;
    header_fill(&event.call.call.header, call->task, pending->type, sizeof(event));
    ring_write(&event, sizeof(event), event_wakes(&event, pending->type));
}

// A datagram with an address is about to be sent.
INLINE void destination_named(struct bpf_sock_addr *context, const struct destination *destination)
{
    struct call call = {};
    struct pending fresh = {.destination = *destination};
    bool returns = call_under_way(&call, (void *)bpf_get_current_task()) && call.type >= WIRE_SOCKET_SENDTO &&
                   call.type <= WIRE_SOCKET_SENDMMSG;
    fresh.type = call.type;
    if (!returns) // io_uring's, to which sendto is like sendmsg
        fresh.type = wanted_types & TYPE_BIT(WIRE_SOCKET_SENDMSG) ? WIRE_SOCKET_SENDMSG : WIRE_SOCKET_SENDTO;
    if (!(wanted_types & TYPE_BIT(fresh.type)))
        return;
    fresh.cookie = bpf_get_socket_cookie(context);
    fresh.how = destination_changed(fresh.cookie, destination) ? WIRE_SOCKET_NAME_CHANGED : 0;

    if (!returns) {
        pending_send(&call, &fresh, 0);
        return;
    }
    __u64 key = bpf_get_current_pid_tgid();
    struct pending *earlier = bpf_map_lookup_elem(&pending_sends, &key);
    if (earlier) {
        // The message before this one, which must have gone out; or a call whose return was never seen.
        bool same_call = call.type == WIRE_SOCKET_SENDMMSG && earlier->type == call.type;
        fresh.index = same_call ? earlier->index + 1 : 0;
        call.result = fresh.index;
        bool known = same_call && message_result(&call, earlier->index, &call.result);
        pending_send(&call, earlier, known ? WIRE_SOCKET_HAS_RESULT : 0);
    }
    // Those of sendmmsg are counted, all of them.
    bool skipped = skip_unchanged && !fresh.how && call.type != WIRE_SOCKET_SENDMMSG;
    if (skipped && earlier)
        bpf_map_delete_elem(&pending_sends, &key);
    if (!skipped && bpf_map_update_elem(&pending_sends, &key, &fresh, BPF_ANY)) {
        lost_add(WIRE_LOST_STATE_FULL); // of it only what its return tells
        pending_send(&call, &fresh, 0);
    }
}

// A cgroup program that returns 1 lets the datagram be sent.

SEC("cgroup/sendmsg4")
int socket_send_v4_cgroup(struct bpf_sock_addr *context)
{
    struct destination destination = {};
    destination_v4(&destination, context);
    destination_named(context, &destination);
    return 1;
}

SEC("cgroup/sendmsg6")
int socket_send_v6_cgroup(struct bpf_sock_addr *context)
{
    struct destination destination = {};
    destination_v6(&destination, context);
    destination_named(context, &destination);
    return 1;
}
