// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `connect`: TCP and UDP over IPv4 and IPv6. The cgroup hook gives the address from the kernel's own
// copy; the return of the system call gives the result.
#include "wire/connect.h"
#include "bpf/lib/common.h"
#include "bpf/lib/task.h"
#include "bpf/lib/wake.h"

#define AF_INET 2
#define AF_INET6 10
#define EINTR 4
#define ERESTARTSYS 512
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#if defined(__TARGET_ARCH_x86)
#define NR_CONNECT 42
#else
#define NR_CONNECT 203
#endif

// False where no rule reads the result: then a record goes out at once, without it.
const volatile bool join_results;

__u64 wake_addresses[PATH_FILTER_WORDS];

struct destination {
    __u8 addr[16];
    __u16 port; // host order
    __u8 family;
    __u8 protocol;
};

// Calls between the hook and their return, by thread. A thread that dies in between leaves its entry to be
// pushed out.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 8192);
    __type(key, __u64);
    __type(value, struct destination);
} pending SEC(".maps");

INLINE void connect_send(struct task_struct *task, const struct destination *destination, bool has_result,
                         long result, int fd)
{
    struct wire_connect event = {};
    header_fill(&event.header, task, WIRE_CONNECT_CONNECT, sizeof(event));
    __builtin_memcpy(event.remote_addr, destination->addr, sizeof(event.remote_addr));
    event.remote_port = destination->port;
    event.family = destination->family;
    event.protocol = destination->protocol;
    event.has_result = has_result;
    event.result = result;
    event.fd = fd;

    struct file *file = fd >= 0 ? task_file(task, fd) : NULL;
    struct socket *socket = file ? BPF_CORE_READ(file, private_data) : NULL;
    struct sock *sock = socket ? BPF_CORE_READ(socket, sk) : NULL;
    if (sock) {
        event.local_port = BPF_CORE_READ(sock, __sk_common.skc_num);
        if (destination->family == 4) {
            __be32 addr = BPF_CORE_READ(sock, __sk_common.skc_rcv_saddr);
            __builtin_memcpy(event.local_addr, &addr, sizeof(addr));
        } else {
            BPF_CORE_READ_INTO(&event.local_addr, sock, __sk_common.skc_v6_rcv_saddr);
        }
    }
    ring_write(&event, sizeof(event),
               wake_for_name(&event.header) || wake_clue(wake_addresses, event.remote_addr));
}

// The system call under way is connect() itself, and not io_uring, a 32-bit caller's or a kernel thread's.
INLINE bool connect_returns(struct task_struct *task)
{
    struct pt_regs *regs = task_registers(task);
    return join_results && registers_syscall(regs) == NR_CONNECT && registers_inside(regs);
}

INLINE void connect_begun(struct destination *destination, __u32 protocol, __u32 port)
{
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
        return;
    destination->protocol = protocol;
    destination->port = __builtin_bswap16(port);
    // An IPv4 destination on an IPv6 socket is IPv4 to everybody who reads an alert.
    __u32 *words = (__u32 *)destination->addr;
    if (destination->family == 6 && words[0] == 0 && words[1] == 0 && words[2] == __builtin_bswap32(0xffff)) {
        destination->family = 4;
        words[0] = words[3];
        words[2] = words[3] = 0;
    }

    struct task_struct *task = (void *)bpf_get_current_task();
    if (!connect_returns(task)) {
        connect_send(task, destination, false, 0, -1);
        return;
    }
    __u64 key = bpf_get_current_pid_tgid();
    struct destination *earlier = bpf_map_lookup_elem(&pending, &key);
    if (earlier)
        connect_send(task, earlier, false, 0, -1); // its return was never seen
    if (bpf_map_update_elem(&pending, &key, destination, BPF_ANY))
        lost_add(WIRE_LOST_STATE_FULL);
}

INLINE void connect_returned(long result)
{
    __u64 key = bpf_get_current_pid_tgid();
    struct destination *destination = bpf_map_lookup_elem(&pending, &key);
    if (!destination)
        return; // AF_UNIX and the like
    struct task_struct *task = (void *)bpf_get_current_task();
    struct pt_regs *regs = task_registers(task);
    if (result == -ERESTARTSYS)
        result = -EINTR; // what the caller will see, unless the call is begun anew by itself
    connect_send(task, destination, true, result, PT_REGS_PARM1_CORE_SYSCALL(regs));
    bpf_map_delete_elem(&pending, &key);
}

// The adapters. A cgroup program that returns 1 lets the connection be.

SEC("cgroup/connect4")
int connect_v4_cgroup(struct bpf_sock_addr *context)
{
    struct destination destination = {.family = 4};
    *(__u32 *)destination.addr = context->user_ip4;
    connect_begun(&destination, context->protocol, context->user_port);
    return 1;
}

SEC("cgroup/connect6")
int connect_v6_cgroup(struct bpf_sock_addr *context)
{
    struct destination destination = {.family = 6};
    __u32 *words = (__u32 *)destination.addr;
    words[0] = context->user_ip6[0];
    words[1] = context->user_ip6[1];
    words[2] = context->user_ip6[2];
    words[3] = context->user_ip6[3];
    connect_begun(&destination, context->protocol, context->user_port);
    return 1;
}

SEC("tracepoint/syscalls/sys_exit_connect")
int connect_return_tp(struct syscall_exit_context *context)
{
    connect_returned(context->result);
    return 0;
}
