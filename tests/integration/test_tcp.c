// Source `tcp`: what its metrics say of connections in network namespaces of the test's own, against what was
// set, what the program's clock says, and what the kernel's own accounts (ss -ti) say.
#include "harness.h"
#include "sockets.h"
#include "tenant.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(tcp, .init = tenant_setup, .fini = tenant_teardown);

enum { WIRE_DEADLINE_S = 120 };

#define OWN "k8s_container_name", tenant_name()
#define WITHIN(value, expected, share)                                                                  \
    cr_expect(fabs((double)(value) - (double)(expected)) <= (share) * (expected), "%g is not about %g", \
              (double)(value), (double)(expected))

// What a child that does the work tells the test.
struct told {
    double connect_s;
    double longest_s;              // from a question to its answer
    struct wire_account near, far; // both ends
    struct wire_losses losses;
    bool no_wire;
    int ready, go;
};

static struct told *told;

static void told_make(void)
{
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(told, MAP_FAILED);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Waits until a metric of the tenant's is that much: pairs of label and value, then NULL.
static double wait_metric(struct agent *agent, double expected, const char *name, ...)
{
    double value = NAN, deadline = seconds() + DEADLINE_S;
    va_list pairs;
    va_start(pairs, name);
    const char *first[2], *second[2] = {NULL, NULL};
    first[0] = va_arg(pairs, const char *);
    first[1] = first[0] ? va_arg(pairs, const char *) : NULL;
    second[0] = first[0] ? va_arg(pairs, const char *) : NULL;
    second[1] = second[0] ? va_arg(pairs, const char *) : NULL;
    va_end(pairs);
    while (seconds() < deadline) {
        value = agent_metric(agent, name, OWN, first[0], first[1], second[0], second[1], NULL);
        if (value >= expected)
            break;
        poll(NULL, 0, 50);
    }
    cr_expect(value >= expected, "%s is %g instead of %g (of all: %g)\n%s", name, value, expected,
              agent_metric(agent, name, NULL), agent_stderr(agent));
    return value;
}

// --- What the work is made of ---

static void loopback_up(void)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK};
    cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
}

// A namespace of its own with nothing but loopback.
static void live_alone(void)
{
    cr_assert_eq(unshare(CLONE_NEWNET), 0);
    loopback_up();
}

static void send_bytes(int fd, size_t count)
{
    static char data[65536];
    while (count) {
        ssize_t length = send(fd, data, count < sizeof(data) ? count : sizeof(data), MSG_NOSIGNAL);
        cr_assert_gt(length, 0, "%s", strerror(errno));
        count -= (size_t)length;
    }
}

static void receive_bytes(int fd, size_t count)
{
    static char data[65536];
    while (count) {
        ssize_t length = recv(fd, data, count < sizeof(data) ? count : sizeof(data), 0);
        cr_assert_gt(length, 0, "%s", strerror(errno));
        count -= (size_t)length;
    }
}

static void expect_end(int fd)
{
    char more;
    cr_assert_eq(recv(fd, &more, 1, 0), 0);
}

static void reset(int fd)
{
    struct linger at_once = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

// A server in a process of its own: of one connection, from which it takes so many bytes and answers with so
// many, so often.
struct exchange {
    size_t asked, answered;
    unsigned times;
};

static pid_t start_server(int listener, const struct exchange *exchange)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid != 0)
        return pid;
    int fd = accept(listener, NULL, NULL);
    cr_assert_geq(fd, 0);
    for (unsigned i = 0; i < exchange->times; i++) {
        receive_bytes(fd, exchange->asked);
        send_bytes(fd, exchange->answered);
    }
    char more;
    cr_assert_leq(recv(fd, &more, 1, 0), 0);
    close(fd);
    _exit(0);
}

// Returns the longest time from a question to its answer.
static double exchange_all(int fd, const struct exchange *exchange)
{
    double longest_s = 0;
    for (unsigned i = 0; i < exchange->times; i++) {
        double begin = seconds();
        send_bytes(fd, exchange->asked);
        receive_bytes(fd, exchange->answered);
        longest_s = fmax(longest_s, seconds() - begin);
    }
    return longest_s;
}

static void end_well(int fd, pid_t server)
{
    shutdown(fd, SHUT_WR);
    expect_end(fd);
    close(fd);
    cr_assert_eq(wait_for_exit(server), 0);
}

// --- On loopback ---

static const struct exchange loopback_exchange = {.asked = 300000, .answered = 70000, .times = 3};

static int exchange_on_loopback(const void *address)
{
    live_alone();
    unsigned port;
    _cleanup_close_ int listener = serve(address, SOCK_STREAM, &port);
    pid_t server = start_server(listener, &loopback_exchange);
    int fd = open_socket(address_of(address, 0).any.sa_family, SOCK_STREAM);
    cr_assert_eq(connect_to(fd, address, port), 0);
    exchange_all(fd, &loopback_exchange);
    end_well(fd, server);
    return 0;
}

static void expect_exchange(const char *address)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--network", NULL);
    tenant_run(exchange_on_loopback, address);
    wait_metric(agent, 1, "inferscope_tcp_connection_duration_seconds_count", "role", "client", NULL);
    wait_metric(agent, 1, "inferscope_tcp_connection_duration_seconds_count", "role", "server", NULL);
    cr_expect_eq(agent_metric(agent, "inferscope_tcp_connections_total", OWN, "role", "client", NULL), 1);
    cr_expect_eq(agent_metric(agent, "inferscope_tcp_connections_total", OWN, "role", "server", NULL), 1);
    cr_expect_eq(agent_metric(agent, "inferscope_tcp_connect_duration_seconds_count", OWN, "peer_class",
                              "loopback", NULL),
                 1);
    // Both ends are the tenant's: what one sends the other receives. Every byte, and no FIN.
    double both = 3 * (300000 + 70000);
    cr_expect_eq(agent_metric(agent, "inferscope_tcp_io_bytes_total", OWN, "network_io_direction", "transmit",
                              "peer_class", "loopback", NULL),
                 both);
    cr_expect_eq(
        agent_metric(agent, "inferscope_tcp_io_bytes_total", OWN, "network_io_direction", "receive", NULL),
        both);
    cr_expect(isnan(agent_metric(agent, "inferscope_tcp_connect_failures_total", OWN, NULL)));
    cr_expect(isnan(agent_metric(agent, "inferscope_tcp_resets_total", OWN, NULL)));
}

Test(tcp, bytes_of_both_ends_are_exact)
{
    expect_exchange("127.0.0.1");
}

Test(tcp, bytes_over_ipv6_are_exact)
{
    expect_exchange("::1");
}

// As backlog 0 has it, one connection may wait to be accepted.
static int exchange_without_backlog(const void *ignored)
{
    live_alone();
    int listener = open_socket(AF_INET, SOCK_STREAM), fd = open_socket(AF_INET, SOCK_STREAM);
    union address any = address_of("127.0.0.1", 0);
    cr_assert_eq(bind(listener, &any.any, size_of(&any)), 0);
    cr_assert_eq(listen(listener, 0), 0);
    pid_t server = start_server(listener, &loopback_exchange);
    cr_assert_eq(connect_to(fd, "127.0.0.1", port_of(listener, false)), 0);
    exchange_all(fd, &loopback_exchange);
    end_well(fd, server);
    return 0;
}

Test(tcp, server_without_backlog_is_one_all_the_same)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--network", NULL);
    tenant_run(exchange_without_backlog, NULL);
    wait_metric(agent, 1, "inferscope_tcp_connection_duration_seconds_count", "role", "client", NULL);
    wait_metric(agent, 1, "inferscope_tcp_connection_duration_seconds_count", "role", "server", NULL);
    cr_expect_eq(agent_metric(agent, "inferscope_tcp_connections_total", OWN, "role", "server", NULL), 1);
    cr_expect_eq(
        agent_metric(agent, "inferscope_tcp_io_bytes_total", OWN, "network_io_direction", "receive", NULL),
        3 * (300000 + 70000));
}

// Whoever looks at the metrics sees what an open connection has moved; it need not end for that.
static int exchange_and_stay(const void *go)
{
    live_alone();
    unsigned port;
    int listener = serve("127.0.0.1", SOCK_STREAM, &port);
    pid_t server = start_server(listener, &loopback_exchange);
    int fd = open_socket(AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(fd, "127.0.0.1", port), 0);
    __atomic_store_n(&told->ready, 1, __ATOMIC_SEQ_CST);
    char byte;
    cr_assert_eq(read(*(const int *)go, &byte, 1), 1);
    exchange_all(fd, &loopback_exchange);
    cr_assert_eq(read(*(const int *)go, &byte, 1), 1);
    end_well(fd, server);
    return 0;
}

static void expect_open_connection(bool before_agent)
{
    int go[2];
    told_make();
    cr_assert_eq(pipe2(go, O_CLOEXEC), 0);
    struct agent *agent = before_agent ? NULL : agent_start(NULL, "--network", NULL);
    tenant_start(exchange_and_stay, &go[0]);
    while (!__atomic_load_n(&told->ready, __ATOMIC_SEQ_CST))
        poll(NULL, 0, 10);
    agent = agent ? agent : agent_start(NULL, "--network", NULL);
    cr_assert_eq(write(go[1], "1", 1), 1);
    double both = 3 * (300000 + 70000);
    wait_metric(agent, both, "inferscope_tcp_io_bytes_total", "network_io_direction", "transmit", NULL);
    wait_metric(agent, both, "inferscope_tcp_io_bytes_total", "network_io_direction", "receive", NULL);
    cr_expect(isnan(agent_metric(agent, "inferscope_tcp_connection_duration_seconds_count", OWN, NULL)));
    cr_assert_eq(write(go[1], "2", 1), 1);
    tenant_wait();
    if (!before_agent) // else nobody knows when it began
        wait_metric(agent, 2, "inferscope_tcp_connection_duration_seconds_count", NULL);
    cr_expect_eq(
        agent_metric(agent, "inferscope_tcp_io_bytes_total", OWN, "network_io_direction", "transmit", NULL),
        both);
    agent_stop(agent);
}

Test(tcp, open_connection_shows_its_bytes)
{
    expect_open_connection(false);
}

Test(tcp, connection_from_before_the_agent_is_counted_from_then_on)
{
    expect_open_connection(true);
}

// --- Failures ---

static int fail_in_all_ways(const void *ignored)
{
    live_alone();
    unsigned port;
    int closed = serve("127.0.0.1", SOCK_STREAM, &port);
    close(closed);
    int fd = open_socket(AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(fd, "127.0.0.1", port), -ECONNREFUSED);
    close(fd);

    // Room for one that waits to be accepted; the others' SYNs are not answered.
    int full = open_socket(AF_INET, SOCK_STREAM), waiting = open_socket(AF_INET, SOCK_STREAM);
    union address any = address_of("127.0.0.1", 0);
    cr_assert_eq(bind(full, &any.any, size_of(&any)), 0);
    cr_assert_eq(listen(full, 0), 0);
    port = port_of(full, false);
    cr_assert_eq(connect_to(waiting, "127.0.0.1", port), 0);
    struct pollfd queue = {.fd = full, .events = POLLIN}; // where it may come only later
    cr_assert_eq(poll(&queue, 1, DEADLINE_S * 1000), 1);
    int once = 1;
    fd = open_socket(AF_INET, SOCK_STREAM);
    setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &once, sizeof(once));
    cr_assert_eq(connect_to(fd, "127.0.0.1", port), -ETIMEDOUT);
    close(fd);

    fd = open_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    cr_assert_eq(connect_to(fd, "127.0.0.1", port), -EINPROGRESS);
    close(fd);

    // One port, which the first connection takes.
    write_file("/proc/sys/net/ipv4/ip_local_port_range", "45000 45000");
    int listener = open_socket(AF_INET, SOCK_STREAM);
    any = address_of("127.0.0.1", 46000);
    cr_assert_eq(bind(listener, &any.any, size_of(&any)), 0);
    cr_assert_eq(listen(listener, 8), 0);
    int first = open_socket(AF_INET, SOCK_STREAM), second = open_socket(AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(first, "127.0.0.1", 46000), 0);
    cr_assert_eq(connect_to(second, "127.0.0.1", 46000), -EADDRNOTAVAIL);
    return 0;
}

static double failures(struct agent *agent, const char *reason)
{
    return agent_metric(agent, "inferscope_tcp_connect_failures_total", OWN, "reason", reason, NULL);
}

Test(tcp, failures_have_their_reasons)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--network", NULL);
    tenant_run(fail_in_all_ways, NULL);
    wait_metric(agent, 4, "inferscope_tcp_connect_failures_total", NULL);
    cr_expect_eq(failures(agent, "refused"), 1);
    cr_expect_eq(failures(agent, "timed_out"), 1);
    cr_expect_eq(failures(agent, "aborted"), 1);
    cr_expect_eq(failures(agent, "no_port"), 1);
    // Two connections came about.
    cr_expect_eq(agent_metric(agent, "inferscope_tcp_connect_duration_seconds_count", OWN, NULL), 2);
    // The SYN, the same each time it was sent again (kernels differ in how often), and that of the one who
    // did not wait.
    double again = agent_metric(agent, "inferscope_tcp_retransmits_total", OWN, NULL);
    cr_expect_geq(again, 1);
    cr_expect_eq(wait_metric(agent, 2 + again, "inferscope_tcp_listen_drops_total", NULL), 2 + again);
    // The closed port's answer.
    cr_expect_geq(
        agent_metric(agent, "inferscope_tcp_resets_total", OWN, "network_io_direction", "receive", NULL), 1);
}

static int reset_one(const void *ignored)
{
    live_alone();
    unsigned port;
    int listener = serve("127.0.0.1", SOCK_STREAM, &port);
    int fd = open_socket(AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(fd, "127.0.0.1", port), 0);
    int other = accept(listener, NULL, NULL);
    reset(fd);
    char byte;
    cr_assert_eq(recv(other, &byte, 1, 0), -1);
    cr_assert_eq(errno, ECONNRESET);
    return 0;
}

Test(tcp, resets_are_counted_at_both_ends)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--network", NULL);
    tenant_run(reset_one, NULL);
    wait_metric(agent, 1, "inferscope_tcp_resets_total", "network_io_direction", "transmit", NULL);
    cr_expect_eq(
        agent_metric(agent, "inferscope_tcp_resets_total", OWN, "network_io_direction", "transmit", NULL), 1);
    cr_expect_eq(
        agent_metric(agent, "inferscope_tcp_resets_total", OWN, "network_io_direction", "receive", NULL), 1);
}

// --- Over a wire that is slow or loses packets ---

struct over_wire {
    struct wire_options wire;
    struct exchange exchange;
};

static void wait_told(const int *what)
{
    double deadline = seconds() + WIRE_DEADLINE_S;
    while (!__atomic_load_n(what, __ATOMIC_SEQ_CST)) {
        cr_assert_lt(seconds(), deadline);
        poll(NULL, 0, 10);
    }
}

static void tell(int *what)
{
    __atomic_store_n(what, 1, __ATOMIC_SEQ_CST);
}

static int exchange_over_wire(const void *argument)
{
    const struct over_wire *work = argument;
    struct wire wire;
    if (!wire_make(&work->wire, &wire)) {
        told->no_wire = true;
        tell(&told->ready);
        return 0;
    }
    wire_enter(wire.far);
    unsigned port;
    int listener = serve(WIRE_FAR, SOCK_STREAM, &port);
    pid_t server = start_server(listener, &work->exchange);
    wire_enter(wire.near);
    int fd = open_socket(AF_INET, SOCK_STREAM);
    double begin = seconds();
    cr_assert_eq(connect_to(fd, WIRE_FAR, port), 0);
    told->connect_s = seconds() - begin;
    told->longest_s = exchange_all(fd, &work->exchange);
    told->near = wire_account();
    told->losses = wire_losses(&wire, &told->near);
    wire_enter(wire.far);
    told->far = wire_account();
    tell(&told->ready);
    wait_told(&told->go);
    // Nothing more is sent that would be acknowledged, so the kernel's accounts stay as they are.
    reset(fd);
    return wait_for_exit(server);
}

// Until both ends are about to end.
static void begin_over_wire(const struct over_wire *work)
{
    told_make();
    tenant_start(exchange_over_wire, work);
    wait_told(&told->ready);
    if (told->no_wire)
        cr_skip_test("this kernel has neither veth and netem nor TUN devices");
}

static void end_over_wire(struct agent *agent, const char *class)
{
    tell(&told->go);
    tenant_wait();
    wait_metric(agent, 2, "inferscope_tcp_connection_duration_seconds_count", "peer_class", class, NULL);
}

// Both ends are the tenant's, so its metrics are the sums of what ss says of the two.
static void expect_bytes_of_ss(struct agent *agent)
{
    cr_expect_eq(
        agent_metric(agent, "inferscope_tcp_io_bytes_total", OWN, "network_io_direction", "transmit", NULL),
        told->near.sent + told->far.sent);
    cr_expect_eq(
        agent_metric(agent, "inferscope_tcp_io_bytes_total", OWN, "network_io_direction", "receive", NULL),
        told->near.received + told->far.received);
}

Test(tcp, bytes_over_veth_are_those_of_ss)
{
    static const struct over_wire work = {.exchange = {.asked = 500000, .answered = 30000, .times = 4}};
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--network", NULL);
    begin_over_wire(&work);
    end_over_wire(agent, "public");
    expect_bytes_of_ss(agent);
    cr_expect_eq(told->near.sent, 2000000);
    cr_expect_eq(told->far.sent, 120000);
}

// Looks at open connections can come at any time, but on a slow machine rarely.
static double rtt_samples(struct agent *agent, double *ret_sum)
{
    double count, again = agent_metric(agent, "inferscope_tcp_rtt_seconds_count", OWN, NULL);
    do {
        count = again;
        *ret_sum = agent_metric(agent, "inferscope_tcp_rtt_seconds_sum", OWN, NULL);
        again = agent_metric(agent, "inferscope_tcp_rtt_seconds_count", OWN, NULL);
    } while (!(count == again || (isnan(count) && isnan(again))));
    if (isnan(count))
        *ret_sum = count = 0;
    return count;
}

Test(tcp, times_are_those_of_the_wire)
{
    static const struct over_wire work = {.wire = {.delay_ms = 80},
                                          .exchange = {.asked = 100, .answered = 100, .times = 10}};
    _cleanup_agent_ struct agent *agent =
        agent_start(NULL, "--network", "--network-cluster", "203.0.113.0/24,198.51.100.0/25", NULL);
    begin_over_wire(&work);
    double before, after;
    double count_before = rtt_samples(agent, &before);
    cr_expect_geq(before, 0.16 * count_before);
    end_over_wire(agent, "cluster");
    expect_bytes_of_ss(agent);
    // Those at the end, one of each end, are of the same moment as what ss says.
    double count = rtt_samples(agent, &after) - count_before;
    cr_expect_geq(count, 2);
    WITHIN((after - before) / count, (told->near.rtt_s + told->far.rtt_s) / 2, 0.05);
    // What the kernel smoothed are the times until a SYN or a question was acknowledged.
    cr_expect_leq(told->near.rtt_s, fmax(told->connect_s, told->longest_s));
    double connects = agent_metric(agent, "inferscope_tcp_connect_duration_seconds_sum", OWN, NULL);
    cr_expect_geq(connects, 0.16);
    cr_expect_leq(connects, told->connect_s);
}

Test(tcp, lost_packets_are_sent_again)
{
    static const struct over_wire work = {.wire = {.delay_ms = 2, .lose_every = 20},
                                          .exchange = {.asked = 3000000, .answered = 1000, .times = 1}};
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--network", NULL);
    begin_over_wire(&work);
    end_over_wire(agent, "public");
    expect_bytes_of_ss(agent);
    // Some 2070 packets of 1448 bytes.
    cr_expect_geq(told->losses.lost, 50);
    cr_expect_eq(agent_metric(agent, "inferscope_tcp_retransmits_total", OWN, NULL),
                 told->near.retransmits + told->far.retransmits);
    WITHIN(told->near.retransmits - told->losses.needless, told->losses.lost, 0.05);
    // However often a byte was sent, it counts once.
    cr_expect_eq(told->near.sent, 3000000);
    cr_expect_eq(told->near.received, 1000);
}

// --- What is not asked for ---

Test(tcp, nothing_is_attached_unasked)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--syscall-latency", "getppid", NULL);
    cr_expect(isnan(agent_metric(agent, "inferscope_source_up", "source", "tcp", NULL)));
}

Test(tcp, range_that_is_none_is_refused)
{
    _cleanup_free_ char *output = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "--network-cluster", "10.0.0.0/8,10.1.2.3/8", NULL), 2);
    cr_expect(strstr(output, "\"10.1.2.3/8\" is no range of addresses"), "%s", output);
}
