// Who sends what leaves the node: where one process makes sockets and another one uses them, where they are
// older than the agent, and where they are of other kinds.
#include "harness.h"
#include "pod.h"
#include "wire.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 8443, ANSWER = 1000 };

static struct agent *agent;
static struct {
    pid_t maker, user;
} * told;

// Of the wire, too.
#define NEAR_V6 "fd98::1"
#define FAR_V6 "fd98::2"

static void start_agent(void)
{
    agent = agent_start("- rule: begun\n"
                        "  desc: d\n"
                        "  condition: evt.type = egress and\n"
                        "    fd.sip in (" WIRE_NEAR ", " WIRE_FAR ", " NEAR_V6 ", " FAR_V6 ")\n"
                        "  output: \"%fd.sip %fd.sport %fd.l4proto %proc.pid\"\n"
                        "  priority: WARNING\n",
                        NULL);
}

static void setup_without_agent(void)
{
    pod_setup(); // sums are by cgroup, and others may send there, too
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(told, MAP_FAILED);
}

static void setup(void)
{
    setup_without_agent();
    start_agent();
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    pod_teardown();
}

TestSuite(egress_sender, .init = setup, .fini = teardown);
TestSuite(egress_before, .init = setup_without_agent, .fini = teardown);

struct address {
    struct sockaddr_storage storage;
    socklen_t size;
};

static struct address address_of(int family, const char *text, in_port_t port)
{
    struct address address = {.storage.ss_family = (sa_family_t)family};
    struct sockaddr_in *v4 = (void *)&address.storage;
    struct sockaddr_in6 *v6 = (void *)&address.storage;
    cr_assert_eq(inet_pton(family, text, family == AF_INET ? (void *)&v4->sin_addr : &v6->sin6_addr), 1);
    v4->sin_port = port; // at the same place in both
    address.size = family == AF_INET ? sizeof(*v4) : sizeof(*v6);
    return address;
}

// Asks for a connection, sends by it, takes it at the other end, and answers there.
static int use(int client, int listener, const struct address *to)
{
    static char bytes[ANSWER];
    if (connect(client, (const struct sockaddr *)&to->storage, to->size) || send(client, bytes, 1, 0) != 1)
        return 1;
    int server = accept(listener, NULL, NULL);
    if (server < 0 || send(server, bytes, sizeof(bytes), 0) != sizeof(bytes))
        return 2;
    return recv(client, bytes, sizeof(bytes), MSG_WAITALL) != sizeof(bytes);
}

struct sockets {
    int family;
    const char *bound; // NULL: to none
    const char *to;
};

static int hand_over(const void *argument)
{
    const struct sockets *sockets = argument;
    struct wire wire;
    struct sockaddr_in6 own; // of IPv4 has its port at the same place
    socklen_t size = sizeof(own);
    cr_assert(wire_make(&(struct wire_options){}, &wire));
    int listener = socket(sockets->family, SOCK_STREAM, 0);
    if (sockets->bound) {
        struct address bound = address_of(sockets->family, sockets->bound, 0);
        cr_assert_eq(bind(listener, (struct sockaddr *)&bound.storage, bound.size), 0);
    }
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&own, &size), 0);
    struct address to = address_of(sockets->family, sockets->to, own.sin6_port);
    wire_enter(wire.far);
    int client = socket(sockets->family, SOCK_STREAM, 0);
    told->maker = getpid();
    pid_t user = fork();
    if (user == 0)
        _exit(use(client, listener, &to));
    told->user = user;
    return wait_for_exit(user);
}

// Who asks for a connection sends by it; what is answered is sent by who listened.
static void expect_senders(const struct sockets *sockets)
{
    in_child(hand_over, sockets);
    agent_wait_alert(agent, "begun", "fd.sip", WIRE_NEAR, "proc.pid", format_text("%d", told->user), NULL);
    agent_wait_alert(agent, "begun", "fd.sip", WIRE_FAR, "proc.pid", format_text("%d", told->maker), NULL);
}

Test(egress_sender, of_connections_to_any_address)
{
    expect_senders(&(struct sockets){AF_INET, "0.0.0.0", WIRE_NEAR});
}

Test(egress_sender, of_connections_to_whom_no_address_was_given)
{
    expect_senders(&(struct sockets){AF_INET, NULL, WIRE_NEAR});
}

Test(egress_sender, of_connections_to_one_address)
{
    expect_senders(&(struct sockets){AF_INET, WIRE_NEAR, WIRE_NEAR});
}

Test(egress_sender, of_connections_by_sockets_of_ipv6)
{
    if (access("/proc/net/if_inet6", F_OK))
        cr_skip_test("this kernel has no IPv6");
    expect_senders(&(struct sockets){AF_INET6, "::", "::ffff:" WIRE_NEAR});
}

// --- Sockets of other kinds ---

// The head of a segment of TCP, with some data.
static int send_raw(const void *argument)
{
    struct {
        struct tcphdr head;
        char data[ANSWER];
    } segment = {.head = {.dest = htons(PORT), .doff = sizeof(struct tcphdr) / 4, .psh = 1}};
    struct address to = address_of(AF_INET, WIRE_FAR, htons(PORT));
    struct wire wire;
    cr_assert(wire_make(&(struct wire_options){}, &wire));
    told->user = getpid();
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
    return sendto(fd, &segment, sizeof(segment), 0, (struct sockaddr *)&to.storage, to.size) !=
           sizeof(segment);
}

Test(egress_sender, of_segments_that_a_program_makes_itself)
{
    in_child(send_raw, NULL);
    agent_wait_alert(agent, "begun", "fd.sip", WIRE_FAR, "fd.l4proto", "tcp", "proc.pid",
                     format_text("%d", told->user), NULL);
}

// A client that lets its connection go, listens with the same socket, and answers.
static int change_sides(const void *argument)
{
    static char bytes[ANSWER];
    struct address near = address_of(AF_INET, WIRE_NEAR, htons(PORT)),
                   far = address_of(AF_INET, WIRE_FAR, htons(PORT));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct wire wire;
    int one = 1;
    cr_assert(wire_make(&(struct wire_options){}, &wire));
    told->user = getpid();
    int socket_near = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(setsockopt(socket_near, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    cr_assert_eq(bind(socket_near, (struct sockaddr *)&near.storage, near.size), 0);
    // Nobody is there.
    cr_assert_neq(connect(socket_near, (struct sockaddr *)&far.storage, far.size), 0);
    cr_assert_eq(connect(socket_near, &none, sizeof(none)), 0);
    cr_assert_eq(listen(socket_near, 1), 0);
    wire_enter(wire.far);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&near.storage, near.size), 0);
    int server = accept(socket_near, NULL, NULL);
    return send(server, bytes, ANSWER, 0) != ANSWER || recv(client, bytes, ANSWER, MSG_WAITALL) != ANSWER;
}

Test(egress_sender, of_answers_by_a_socket_that_was_a_client_before)
{
    in_child(change_sides, NULL);
    agent_wait_alert(agent, "begun", "fd.sip", WIRE_FAR, "fd.sport", "-", "proc.pid",
                     format_text("%d", told->user), NULL);
}

static bool attach_filter(int fd, unsigned count)
{
    static struct sock_filter codes[BPF_MAXINSNS];
    const struct sock_fprog filter = {.len = (unsigned short)count, .filter = codes};
    for (unsigned i = 0; i < count; i++)
        codes[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    codes[count - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffff);
    setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, sizeof(int));
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0;
}

// By the largest filter for which the socket has memory, which it shares with what is noted of it.
static void fill_options(int fd)
{
    unsigned fits = 1, too_many = BPF_MAXINSNS + 1;
    while (too_many - fits > 1) {
        unsigned middle = (fits + too_many) / 2;
        *(attach_filter(fd, middle) ? &fits : &too_many) = middle;
    }
    cr_assert(attach_filter(fd, fits));
}

static int hide(const void *argument)
{
    struct address to = address_of(AF_INET, WIRE_NEAR, htons(PORT));
    struct wire wire;
    cr_assert(wire_make(&(struct wire_options){}, &wire));
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&to.storage, to.size), 0);
    cr_assert_eq(listen(listener, 1), 0);
    wire_enter(wire.far);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    fill_options(client);
    return use(client, listener, &to);
}

Test(egress_sender, unknown_where_a_socket_has_no_memory_for_it)
{
    in_child(hide, NULL);
    agent_wait_alert(agent, "begun", "fd.sip", WIRE_NEAR, "proc.pid", "0", NULL);
    cr_expect_geq(agent_metric(agent, "inferscope_egress_senders_unknown_total", NULL), 1);
}

// --- Sockets that are older than the agent ---

struct older {
    int family;
    const char *to;
    int ready, go; // pipes: to say so, and to be told
};

static void add_v6(const char *address)
{
    cr_assert_eq(
        run_program("ip", "addr", "add", format_text("%s/64", address), "dev", "wire", "nodad", NULL), 0);
}

static int send_later(const struct older *older)
{
    static char bytes[ANSWER];
    struct address to = address_of(older->family, older->to, htons(PORT));
    struct wire wire;
    cr_assert(wire_make(&(struct wire_options){}, &wire));
    if (older->family == AF_INET6)
        add_v6(NEAR_V6);
    int listener = socket(older->family, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&to.storage, to.size), 0);
    cr_assert_eq(listen(listener, 1), 0);
    wire_enter(wire.far);
    if (older->family == AF_INET6)
        add_v6(FAR_V6);
    int client = socket(older->family, SOCK_STREAM, 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&to.storage, to.size), 0);
    int server = accept(listener, NULL, NULL);
    if (write(older->ready, "", 1) != 1 || read(older->go, bytes, 1) != 1)
        return 1;
    return send(client, bytes, ANSWER, 0) != ANSWER || send(server, bytes, ANSWER, 0) != ANSWER ||
           recv(client, bytes, ANSWER, MSG_WAITALL) != ANSWER;
}

// Not yet to where it will.
static int send_elsewhere_later(const struct older *older)
{
    static char bytes[ANSWER];
    struct address loopback = address_of(AF_INET, "127.0.0.1", htons(PORT)),
                   to = address_of(AF_INET, older->to, htons(PORT));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct wire wire;
    cr_assert(wire_make(&(struct wire_options){}, &wire));
    wire_enter(wire.far);
    cr_assert_eq(run_program("ip", "link", "set", "lo", "up", NULL), 0);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&loopback.storage, loopback.size), 0);
    if (write(older->ready, "", 1) != 1 || read(older->go, bytes, 1) != 1)
        return 1;
    return connect(fd, &none, sizeof(none)) || connect(fd, (struct sockaddr *)&to.storage, to.size) ||
           send(fd, bytes, ANSWER, 0) != ANSWER;
}

static void expect_older(int (*send_by)(const struct older *), int family, const char *near, const char *far)
{
    if (!kernel_at_least(5, 11))
        cr_skip_test("before Linux 5.11 nobody can be found who has a socket");
    int ready[2], go[2];
    char byte;
    cr_assert_eq(pipe(ready), 0);
    cr_assert_eq(pipe(go), 0);
    pid_t sender = fork();
    if (sender == 0)
        _exit(send_by(&(struct older){family, near, ready[1], go[0]}));
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    start_agent();
    cr_assert_eq(write(go[1], "", 1), 1);
    const char *pid = format_text("%d", sender);
    agent_wait_alert(agent, "begun", "fd.sip", near, "proc.pid", pid, NULL);
    if (far)
        agent_wait_alert(agent, "begun", "fd.sip", far, "proc.pid", pid, NULL);
    cr_expect_eq(wait_for_exit(sender), 0);
}

Test(egress_before, connections_by_ipv4)
{
    expect_older(send_later, AF_INET, WIRE_NEAR, WIRE_FAR);
}

Test(egress_before, datagrams_by_a_socket_that_was_connected_to_the_node_itself)
{
    expect_older(send_elsewhere_later, AF_INET, WIRE_NEAR, NULL);
}

Test(egress_before, connections_by_ipv6)
{
    if (access("/proc/net/if_inet6", F_OK))
        cr_skip_test("this kernel has no IPv6");
    expect_older(send_later, AF_INET6, NEAR_V6, FAR_V6);
}
