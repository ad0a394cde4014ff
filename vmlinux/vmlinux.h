// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel's types, as far as our programs touch them: written by hand, the same for every kernel. Offsets
// come from the running kernel's BTF when a program is loaded (preserve_access_index), so order and gaps do
// not matter here; a check in `make test` proves that every field exists. A name with ___ is a variant
// ("flavour") of the type before it, for kernels where a field is called otherwise.
#pragma once
#define __VMLINUX_H__ // bpf_tracing.h: take the kernel's own names in pt_regs

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef int pid_t;
typedef unsigned short umode_t;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

// --- What user space and kernel agree on (uapi): fixed, so not relocated. ---

enum bpf_map_type {
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_PROG_ARRAY = 3,
    BPF_MAP_TYPE_PERCPU_ARRAY = 6,
    BPF_MAP_TYPE_LRU_HASH = 9,
    BPF_MAP_TYPE_LPM_TRIE = 11,
    BPF_MAP_TYPE_QUEUE = 22,
    BPF_MAP_TYPE_SK_STORAGE = 24,
    BPF_MAP_TYPE_RINGBUF = 27,
};

enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_CLONE = 512, BPF_F_MMAPABLE = 1024 };
enum { BPF_SK_STORAGE_GET_F_CREATE = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0, BPF_RB_RING_SIZE = 1 };

// The context of cgroup/connect4 and connect6.
struct bpf_sock_addr {
    __u32 user_family;
    __u32 user_ip4;
    __u32 user_ip6[4];
    __u32 user_port; // network order, in the low 16 bits
    __u32 family;
    __u32 type;
    __u32 protocol;
};

struct bpf_sock;

// What iterators' programs are given, one pointer or number in 8 bytes each.
struct bpf_iter__bpf_map_elem {
    void *meta;
    void *map;
    void *key;
    void *value;
};

struct bpf_iter__task_file {
    void *meta;
    struct task_struct *task;
    __u64 fd;
    struct file *file;
};

// The context of cgroup_skb programs, up to what we read of it (include/uapi/linux/bpf.h).
struct __sk_buff {
    __u32 len, pkt_type, mark, queue_mapping, protocol;
    __u32 vlan_present, vlan_tci, vlan_proto;
    __u32 priority, ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid;
    __u32 data, data_end, napi_id, family;
    __u32 remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port;
    __u32 data_meta;
    __u64 flow_keys;
    __u64 tstamp;
    __u32 wire_len;
    __u32 gso_segs;
    struct bpf_sock *sk;
};

// The context of cgroup/sock_create, up to what we read of it.
struct bpf_sock {
    __u32 bound_dev_if;
    __u32 family;
    __u32 type;
    __u32 protocol;
};

// The context of sockops programs.
struct bpf_sock_ops {
    __u32 op;
    __u32 replylong[4];
    __u32 family;
    __be32 remote_ip4, local_ip4, remote_ip6[4], local_ip6[4];
    __u32 remote_port, local_port;
    __u32 is_fullsock, snd_cwnd, srtt_us, bpf_sock_ops_cb_flags, state, rtt_min, snd_ssthresh;
    __u32 rcv_nxt, snd_nxt, snd_una, mss_cache, ecn_flags, rate_delivered, rate_interval_us, packets_out;
    __u32 retrans_out, total_retrans, segs_in, data_segs_in, segs_out, data_segs_out, lost_out, sacked_out;
    __u32 sk_txhash;
    __u64 bytes_received, bytes_acked;
    struct bpf_sock *sk;
};

enum { BPF_SOCK_OPS_TCP_CONNECT_CB = 3, BPF_SOCK_OPS_TCP_LISTEN_CB = 11 };

struct bpf_pidns_info {
    __u32 pid;
    __u32 tgid;
};

// The contexts of the tracepoints syscalls/sys_enter_* and sys_exit_*, as their format files give them. (The
// kernel's BTF has trace_event_raw_sys_exit for these, with a long where the kernel writes an int.)
struct syscall_enter_context {
    __u64 common;
    __s32 number;
};

struct syscall_exit_context {
    __u64 common;
    __s32 number;
    __u32 unused;
    __s64 result;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

// The helpers' numbers; the kernel's BTF tells which exist.
enum bpf_func_id {
    BPF_FUNC_get_current_task_btf = 158, // 5.11
    BPF_FUNC_task_pt_regs = 175,         // 5.15
    BPF_FUNC_loop = 181,                 // 5.17
};

// --- Tasks ---

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
    unsigned long r10, r9, r8, bp, bx, ax, cx, dx, si, di, orig_ax, sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
    u64 regs[31];
    u64 sp, pc;
};
struct pt_regs {
    u64 regs[31];
    u64 orig_x0;
    int syscallno;
};
#else
#error "no pt_regs for this architecture yet"
#endif

typedef struct {
    int counter;
} atomic_t;

typedef struct {
    s64 counter;
} atomic64_t;

typedef struct {
    unsigned int val;
} kuid_t;

typedef struct {
    unsigned int val;
} kgid_t;

typedef struct {
    u64 bits[0]; // its one member has had two names; the set is 64 bits long
} kernel_cap_t;

struct group_info {
    int ngroups;
    kgid_t gid[0]; // sorted
};

struct uid_gid_extent {
    u32 first;
    u32 lower_first;
    u32 count;
};

struct uid_gid_map {
    u32 nr_extents;
    struct uid_gid_extent extent[5];
};

struct user_namespace {
    struct uid_gid_map uid_map;
    struct uid_gid_map gid_map;
    int level;
};

struct cred {
    kuid_t uid;
    kuid_t euid;
    kgid_t egid;
    kuid_t fsuid;
    kgid_t fsgid;
    kernel_cap_t cap_inheritable;
    kernel_cap_t cap_effective;
    struct user_namespace *user_ns;
    struct group_info *group_info;
};

struct pid_namespace {
    struct task_struct *child_reaper;
};

struct upid {
    int nr;
    struct pid_namespace *ns;
};

struct pid {
    unsigned int level;
    struct upid numbers[0]; // level + 1 of them, from the initial namespace down
};

struct tty_driver {
    int major;
    int minor_start;
};

struct tty_struct {
    struct tty_driver *driver;
    int index;
};

struct signal_struct {
    atomic_t live;
    int nr_threads;
    struct pid *pids[4]; // by enum pid_type: thread, process, group, session
    unsigned long long sum_sched_runtime;
    struct tty_struct *tty;
};

#if defined(__TARGET_ARCH_x86)
struct thread_info {
    u32 status; // TS_COMPAT while a 32-bit call is under way
};
#else
struct thread_info {
    unsigned long flags;
};
#endif

struct mm_struct {
    unsigned long arg_start, arg_end;
    unsigned long env_start, env_end;
    struct file *exe_file;
};

struct sched_info { // CONFIG_SCHED_INFO
    unsigned long long run_delay;
    unsigned long long last_queued;
};

struct rq {
    u64 clock;
};

struct cfs_rq {
    struct rq *rq; // CONFIG_FAIR_GROUP_SCHED
};

struct sched_entity {
    struct cfs_rq *cfs_rq; // the same
};

struct task_struct {
    struct thread_info thread_info; // CONFIG_THREAD_INFO_IN_TASK: always on both architectures
    unsigned int __state;           // 5.14; before it: state
    void *stack;
    unsigned int flags;
    struct sched_entity se;
    struct sched_info sched_info;
    struct mm_struct *mm;
    int exit_code;
    pid_t pid;
    pid_t tgid;
    struct task_struct *real_parent;
    struct task_struct *group_leader;
    u64 self_exec_id;
    u64 start_time;     // CLOCK_MONOTONIC
    u64 start_boottime; // 5.5, before it: real_start_time
    const struct cred *cred;
    char comm[16];
    struct fs_struct *fs;
    struct files_struct *files;
    struct signal_struct *signal;
    kuid_t loginuid; // CONFIG_AUDIT
    struct css_set *cgroups;
};

struct task_struct___older {
    volatile long state; // before 5.14
};

struct linux_binprm {
    struct file *file;
    const char *filename;
};

// --- Cgroups ---

enum cgroup_subsys_id { memory_cgrp_id = 4 };

struct kernfs_node {
    struct kernfs_node *parent;
    const char *name;
    u64 id;
};

struct kernfs_node___newer {
    struct kernfs_node *__parent; // 6.18; before it: parent
};

struct cgroup {
    int level;
    struct kernfs_node *kn;
};

struct cgroup_subsys_state {
    struct cgroup *cgroup;
};

struct css_set {
    struct cgroup_subsys_state *subsys[4];
    struct cgroup *dfl_cgrp;
};

// --- Namespaces ---

struct proc_ns_operations {
    const char *name;
};

struct ns_common {
    const struct proc_ns_operations *ops;
};

// --- Files ---

struct qstr {
    u32 len;
    const unsigned char *name;
};

struct super_block {
    u32 s_dev;
    unsigned long s_flags;
    unsigned long s_magic;
};

struct timespec64 {
    __s64 tv_sec;
    long tv_nsec;
};

struct inode {
    umode_t i_mode;
    kuid_t i_uid;
    kgid_t i_gid;
    unsigned int i_flags;
    struct super_block *i_sb;
    unsigned long i_ino;
    __s64 i_size;
    u32 i_generation;
    void *i_private;
};

// Times were i_ctime and i_mtime up to 6.5 and 6.6, then with two underscores, and in two parts since 6.11.
struct inode___whole {
    struct timespec64 i_ctime;
    struct timespec64 i_mtime;
};

struct inode___private {
    struct timespec64 __i_ctime;
    struct timespec64 __i_mtime;
};

struct inode___parts {
    __s64 i_ctime_sec;
    __s64 i_mtime_sec;
    u32 i_ctime_nsec;
    u32 i_mtime_nsec;
};

union shortname_store {
    unsigned char string[32];
};

struct dentry {
    struct dentry *d_parent;
    struct qstr d_name;
    struct inode *d_inode;
    union shortname_store d_shortname; // newer kernels, 6.18 among them
};

struct dentry___older {
    unsigned char d_iname[32]; // 5.10 to 6.12 at least
};

struct vfsmount {
    struct dentry *mnt_root;
};

struct mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
};

struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
};

struct file {
    unsigned int f_flags;
    struct path f_path;
    struct inode *f_inode;
    void *private_data;
};

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
};

struct files_struct {
    struct fdtable *fdt;
};

struct fs_struct {
    struct path root;
    struct path pwd;
};

// --- io_uring ---

struct io_kiocb {
    u8 opcode;
};

struct io_uring_cqe {
    __s32 res;
};

// --- Sockets ---

struct in6_addr {
    union {
        u8 u6_addr8[16];
    } in6_u;
};

struct net;

typedef struct {
    struct net *net;
} possible_net_t;

struct sock_common {
    __be32 skc_daddr;
    __be32 skc_rcv_saddr;
    __be16 skc_dport;
    u16 skc_num;
    unsigned short skc_family;
    volatile unsigned char skc_state;
    possible_net_t skc_net; // CONFIG_NET_NS
    struct in6_addr skc_v6_daddr;
    struct in6_addr skc_v6_rcv_saddr;
    atomic64_t skc_cookie;
    unsigned long skc_flags;
};

struct sock {
    struct sock_common __sk_common;
    u8 sk_userlocks : 4; // four bits in 5.10 and 6.1, a whole byte in 6.18
    u16 sk_type;
    u16 sk_protocol;
    int sk_err;
    u32 sk_max_ack_backlog;
    atomic_t sk_drops;
};

struct inet_bind_bucket {
    signed char fastreuse;
};

struct inet_connection_sock {
    struct inet_bind_bucket *icsk_bind_hash;
};

struct tcp_sock {
    u32 copied_seq, rcv_nxt;
    u32 write_seq;
    u64 bytes_received;
    u64 bytes_sent, bytes_retrans; // 4.19
    u32 srtt_us;                   // in eighths
    u32 total_retrans;
};

struct sockaddr_un {
    char sun_path[108];
};

struct unix_address {
    int len; // of the name, which begins with its family
    struct sockaddr_un name[0];
};

struct unix_sock {
    struct unix_address *addr;
    struct path path;
    struct sock *peer;
};

struct socket {
    struct file *file;
    struct sock *sk;
};

#pragma clang attribute pop
