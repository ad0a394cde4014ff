// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `connect`: TCP and UDP over IPv4 and IPv6. The cgroup hook gives the address from the kernel's own
// copy; the return of the system call gives the result.
#include "wire/connect.h"
#include "bpf/lib/endpoint.h"
#include "bpf/lib/wake.h"

// False where no rule reads the result: then a record goes out at once, without it.
bool join_results;

__u64 wake_addresses[PATH_FILTER_WORDS];

// Calls between the hook and their return, by thread. Where a thread dies in between, user space takes its
// entry out (user/source/threads.h).
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u64);
    __type(value, struct destination);
} pending SEC(".maps");

INLINE void connect_send(struct task_struct *task, const struct destination *destination, bool has_result,
                         long result, int fd)
{
    struct wire_connect event = {.has_result = has_result, .fd = fd};
    struct wire_endpoint *endpoint = &event.call.endpoint;
    header_fill(&event.call.call.header, task, WIRE_CONNECT_CONNECT, sizeof(event));
    event.call.call.result = result;
    endpoint_named(endpoint, destination);
    endpoint->role = WIRE_ROLE_CLIENT;

    struct file *file = fd >= 0 ? task_file(task, fd) : NULL;
    struct sock *sock = file ? file_sock(file) : NULL;
    if (sock) {
        endpoint_local(endpoint, sock);
        if (BPF_CORE_READ(sock, __sk_common.skc_dport))
            endpoint->flags |= WIRE_ENDPOINT_CONNECTED;
    }
    ring_write(&event, sizeof(event),
               wake_for_name(&event.call.call.header) || wake_clue(wake_addresses, endpoint->remote_addr));
}

INLINE void connect_begun(const struct destination *destination)
{
    if (destination->protocol != IPPROTO_TCP && destination->protocol != IPPROTO_UDP)
        return;
    struct task_struct *task = (void *)bpf_get_current_task();
    struct call call = {};
    if (!join_results || !call_under_way(&call, task)) {
        connect_send(task, destination, false, 0, -1);
        return;
    }
    __u64 key = bpf_get_current_pid_tgid();
    struct destination *earlier = bpf_map_lookup_elem(&pending, &key);
    if (earlier)
        connect_send(task, earlier, false, 0, -1); // its return was never seen
    if (bpf_map_update_elem(&pending, &key, destination, BPF_ANY)) {
        lost_add(WIRE_LOST_STATE_FULL); // of it only the result
        connect_send(task, destination, false, 0, -1);
    }
}

INLINE void call_returned(struct call *call)
{
    __u64 key = bpf_get_current_pid_tgid();
    struct destination *destination = bpf_map_lookup_elem(&pending, &key);
    if (!destination)
        return; // AF_UNIX and the like
    connect_send(call->task, destination, true, call->result, call_socket_arg(call, 0));
    bpf_map_delete_elem(&pending, &key);
}

CALL_PROGRAMS

// The adapters. A cgroup program that returns 1 lets the connection be.

SEC("cgroup/connect4")
int connect_v4_cgroup(struct bpf_sock_addr *context)
{
    struct destination destination = {};
    destination_v4(&destination, context);
    connect_begun(&destination);
    return 1;
}

SEC("cgroup/connect6")
int connect_v6_cgroup(struct bpf_sock_addr *context)
{
    struct destination destination = {};
    destination_v6(&destination, context);
    connect_begun(&destination);
    return 1;
}
