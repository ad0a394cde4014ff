// Source `connect`: who connects where, and how it went. Loopback addresses only.
#include "compat.h"
#include "harness.h"
#include "sockets.h"
#include "uring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct agent *agent;
static const char *own_pid;

static void setup(void)
{
    test_setup();
    own_pid = format_text("%d", getpid());
    agent = agent_start(
        "- rule: network\n"
        "  desc: a connection to a network\n"
        "  condition: evt.type = connect and fd.sip in (127.99.0.0/16)\n"
        "  output: \"%fd.sip %fd.sport %proc.pid\"\n"
        "  priority: NOTICE\n"
        "- rule: connect\n"
        "  desc: any connection\n"
        "  condition: evt.type = connect\n"
        "  output: \"%evt.rawres %evt.res %evt.failed %fd.num %fd.name %fd.type %fd.typechar\n"
        "    %fd.l4proto %fd.sip %fd.sport %fd.cip %fd.cport %fd.rip %fd.rport %fd.lip %fd.lport\n"
        "    %proc.name %proc.pid\"\n"
        "  priority: NOTICE\n",
        NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(connect, .init = setup, .fini = teardown);

// A port on which nobody listens: bound by us, so that nobody else does.
static int occupy(const char *text, unsigned *ret_port)
{
    union address address = address_of(text, 0);
    int fd = open_socket(address.any.sa_family, SOCK_STREAM);
    cr_assert_eq(bind(fd, &address.any, size_of(&address)), 0);
    *ret_port = port_of(fd, false);
    return fd;
}

static void expect_connected(const char *ip, int type)
{
    unsigned port;
    _cleanup_close_ int server = serve(ip, type, &port);
    _cleanup_close_ int client = open_socket(strchr(ip, ':') ? AF_INET6 : AF_INET, type);
    cr_assert_eq(connect_to(client, ip, port), 0);
    unsigned own = port_of(client, false);
    bool v6 = strchr(ip, ':');
    const char *sport = format_text("%u", port), *cport = format_text("%u", own);
    agent_wait_alert(
        agent, "connect", "proc.pid", own_pid, "evt.rawres", "0", "evt.res", "SUCCESS", "evt.failed", "false",
        "fd.num", format_text("%d", client), "fd.type", v6 ? "ipv6" : "ipv4", "fd.typechar", v6 ? "6" : "4",
        "fd.l4proto", type == SOCK_STREAM ? "tcp" : "udp", "fd.sip", ip, "fd.rip", ip, "fd.sport", sport,
        "fd.rport", sport, "fd.cip", ip, "fd.lip", ip, "fd.cport", cport, "fd.lport", cport, "fd.name",
        format_text(v6 ? "[%s]:%u->[%s]:%u" : "%s:%u->%s:%u", ip, own, ip, port), NULL);
}

Test(connect, tcp_v4)
{
    expect_connected("127.0.0.1", SOCK_STREAM);
}

Test(connect, tcp_v6)
{
    expect_connected("::1", SOCK_STREAM);
}

Test(connect, udp_v4)
{
    expect_connected("127.0.0.1", SOCK_DGRAM);
}

Test(connect, udp_v6)
{
    expect_connected("::1", SOCK_DGRAM);
}

Test(connect, refused)
{
    unsigned port;
    _cleanup_close_ int nobody = occupy("127.0.0.1", &port);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(client, "127.0.0.1", port), -ECONNREFUSED);
    agent_wait_alert(agent, "connect", "proc.pid", own_pid, "fd.sport", format_text("%u", port), "evt.res",
                     "ECONNREFUSED", "evt.rawres", format_text("%d", -ECONNREFUSED), "evt.failed", "true",
                     NULL);
}

Test(connect, non_blocking)
{
    unsigned port;
    _cleanup_close_ int server = serve("127.0.0.1", SOCK_STREAM, &port);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    int result = connect_to(client, "127.0.0.1", port);
    cr_assert(result == 0 || result == -EINPROGRESS);
    agent_wait_alert(agent, "connect", "proc.pid", own_pid, "fd.sport", format_text("%u", port), "evt.res",
                     result ? "EINPROGRESS" : "SUCCESS", "evt.failed", "false", NULL);
}

Test(connect, mapped_address_is_shown_as_v4)
{
    unsigned port;
    _cleanup_close_ int server = serve("127.0.0.1", SOCK_STREAM, &port);
    _cleanup_close_ int client = open_socket(AF_INET6, SOCK_STREAM);
    int result = connect_to(client, "::ffff:127.0.0.1", port);
    if (result == -ENETUNREACH)
        cr_skip_test("mapped addresses are switched off here");
    cr_assert_eq(result, 0);
    agent_wait_alert(agent, "connect", "proc.pid", own_pid, "fd.sport", format_text("%u", port), "fd.sip",
                     "127.0.0.1", "fd.cip", "127.0.0.1", "fd.type", "ipv4", "evt.res", "SUCCESS", NULL);
}

// The kernel takes the call from the lower half of its register and does not mind what is in the upper one.
Test(connect, number_with_an_upper_half)
{
#if defined(__x86_64__)
    unsigned port;
    _cleanup_close_ int server = serve("127.0.0.1", SOCK_STREAM, &port);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_STREAM);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(syscall(SYS_connect | 1L << 40, client, &to, sizeof(to)), 0);
    agent_wait_alert(agent, "connect", "proc.pid", own_pid, "fd.sport", format_text("%u", port), "evt.res",
                     "SUCCESS", "fd.num", format_text("%d", client), NULL);
#else
    cr_skip_test("a number of a call is no longer than that here");
#endif
}

// By connect() itself and by socketcall(), as older C libraries do.
Test(connect, callers_of_32_bits)
{
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    enum { I386_CONNECT = 362, I386_SOCKETCALL = 102, SYS_CONNECT = 3 };
    for (int multiplexed = 0; multiplexed < 2; multiplexed++) {
        unsigned port;
        _cleanup_close_ int server = serve("127.0.0.1", SOCK_STREAM, &port);
        _cleanup_close_ int client = open_socket(AF_INET, SOCK_STREAM);
        struct sockaddr_in *to = compat_memory(sizeof(*to));
        *to = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        unsigned *arguments = compat_memory(3 * sizeof(*arguments));
        arguments[0] = (unsigned)client;
        arguments[1] = (unsigned)(uintptr_t)to;
        arguments[2] = sizeof(*to);
        long result = multiplexed ? compat_call(I386_SOCKETCALL, SYS_CONNECT, (long)arguments, 0, 0, 0)
                                  : compat_call(I386_CONNECT, client, (long)to, sizeof(*to), 0, 0);
        cr_assert_eq(result, 0);
        agent_wait_alert(agent, "connect", "proc.pid", own_pid, "fd.sport", format_text("%u", port),
                         "evt.res", "SUCCESS", "fd.num", format_text("%d", client), "fd.cip", "127.0.0.1",
                         NULL);
    }
}

Test(connect, io_uring_is_seen_without_result)
{
    unsigned port;
    _cleanup_close_ int server = serve("127.0.0.1", SOCK_STREAM, &port);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_STREAM);
    union address address = address_of("127.0.0.1", port);
    struct io_uring_sqe request = {
        .opcode = IORING_OP_CONNECT, .fd = client, .addr = (uintptr_t)&address, .off = sizeof(address.v4)};
    int result = uring_do(&request);
    if (result == INT_MIN)
        cr_skip_test("this kernel has or allows no io_uring");
    cr_assert_eq(result, 0);
    agent_wait_alert(agent, "connect", "proc.pid", own_pid, "fd.sip", "127.0.0.1", "fd.sport",
                     format_text("%u", port), "fd.l4proto", "tcp", "evt.rawres", "-", "evt.res", "-", NULL);
}

Test(connect, network_of_addresses)
{
    unsigned port, inside;
    _cleanup_close_ int server = serve("127.98.0.1", SOCK_STREAM, &port);
    _cleanup_close_ int other = serve("127.99.3.7", SOCK_STREAM, &inside);
    _cleanup_close_ int first = open_socket(AF_INET, SOCK_STREAM);
    _cleanup_close_ int second = open_socket(AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(first, "127.98.0.1", port), 0);
    cr_assert_eq(connect_to(second, "127.99.3.7", inside), 0);
    agent_wait_alert(agent, "network", "fd.sip", "127.99.3.7", "proc.pid", own_pid, NULL);
    cr_expect_eq(agent_count_alerts(agent, "network", "proc.pid", own_pid, NULL), 1);
    cr_expect_eq(agent_count_alerts(agent, "connect", "fd.sip", "127.98.0.1", "proc.pid", own_pid, NULL), 1);
}

Test(connect, unix_sockets_are_no_event)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", test_dir());
    _cleanup_close_ int server = open_socket(AF_UNIX, SOCK_STREAM);
    _cleanup_close_ int client = open_socket(AF_UNIX, SOCK_STREAM);
    cr_assert_eq(bind(server, (struct sockaddr *)&name, sizeof(name)), 0);
    cr_assert_eq(listen(server, 1), 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&name, sizeof(name)), 0);

    unsigned port;
    _cleanup_close_ int marked = serve("127.0.0.1", SOCK_STREAM, &port);
    _cleanup_close_ int marker = open_socket(AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(marker, "127.0.0.1", port), 0);
    agent_wait_alert(agent, "connect", "proc.pid", own_pid, "fd.sport", format_text("%u", port), NULL);
    cr_expect_eq(agent_count_alerts(agent, "connect", "proc.pid", own_pid, NULL), 1);
}

// A connect() that never reached the hook, here for a bad address length, leaves nothing behind that the next
// one could take for its own.
Test(connect, invalid_calls_are_no_event)
{
    unsigned port;
    _cleanup_close_ int server = serve("127.0.0.1", SOCK_STREAM, &port);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_STREAM);
    union address address = address_of("127.0.0.1", port);
    cr_assert_lt(connect(client, &address.any, 2), 0);
    cr_assert_lt(connect(-1, &address.any, sizeof(address.v4)), 0);
    cr_assert_eq(connect_to(client, "127.0.0.1", port), 0);
    agent_wait_alert(agent, "connect", "proc.pid", own_pid, "fd.sport", format_text("%u", port), "evt.res",
                     "SUCCESS", NULL);
    cr_expect_eq(agent_count_alerts(agent, "connect", "proc.pid", own_pid, NULL), 1);
}

static void on_alarm(int signal_number)
{
}

// Who has connected may be in the queue of the listener only later. This one has room for no other.
static void wait_queued(int listener)
{
    struct pollfd queue = {.fd = listener, .events = POLLIN};
    cr_assert_eq(poll(&queue, 1, DEADLINE_S * 1000), 1);
}

// The queue of the listener is full, so the call waits until a signal comes; the connection goes on by
// itself.
Test(connect, interrupted_call_has_not_failed)
{
    union address address = address_of("127.0.0.1", 0);
    socklen_t length = size_of(&address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, &address.any, length), 0);
    cr_assert_eq(listen(listener, 0), 0);
    cr_assert_eq(getsockname(listener, &address.any, &length), 0);
    int filler = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(filler, &address.any, length), 0);
    wait_queued(listener);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sigaction action = {.sa_handler = on_alarm}; // without SA_RESTART
    struct itimerval timer = {.it_value.tv_usec = 200000, .it_interval.tv_usec = 200000};
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
    int result = connect(fd, &address.any, length);
    int error = errno;
    timer = (struct itimerval){};
    setitimer(ITIMER_REAL, &timer, NULL);
    cr_assert_eq(result, -1);
    cr_assert_eq(error, EINTR);
    agent_wait_alert(agent, "connect", "proc.pid", own_pid, "evt.res", "EINTR", "evt.failed", "false", NULL);
}

// --- More calls under way than there is room for ---

enum { TABLE = 8192, CALLERS = TABLE + 64, CALLER_STACK = 32768 };

static union address deaf;

static void *wait_for_connection(void *ignored)
{
    _cleanup_close_ int fd = open_socket(AF_INET, SOCK_STREAM);
    connect(fd, &deaf.any, size_of(&deaf));
    return NULL;
}

// Many threads, all of which wait for an answer.
static pid_t start_callers(void)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    pthread_t thread;
    pthread_attr_t small;
    struct rlimit limit = {2 * CALLERS, 2 * CALLERS};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_NOFILE, &limit);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, CALLER_STACK);
    for (size_t i = 0; i < CALLERS; i++)
        if (pthread_create(&thread, &small, wait_for_connection, NULL))
            _exit(1);
    for (;;)
        pause();
}

// Else whoever lets many calls wait could hide what he connects to.
Test(connect, without_room_a_call_is_told_without_its_result)
{
    unsigned port;
    _cleanup_close_ int listener = serve("127.99.3.1", SOCK_STREAM, &port);
    cr_assert_eq(listen(listener, 0), 0);
    _cleanup_close_ int first = open_socket(AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(first, "127.99.3.1", port), 0);
    wait_queued(listener);
    deaf = address_of("127.99.3.1", port);
    pid_t callers = start_callers();
    double full = 0;
    for (int i = 0; full == 0 && i < DEADLINE_S; i++) {
        if (waitpid(callers, NULL, WNOHANG) == callers)
            cr_skip_test("may not have as many threads");
        poll(NULL, 0, 1000);
        full = agent_metric(agent, "inferscope_records_lost_total", "source", "connect", "reason",
                            "state_full", NULL);
    }
    cr_assert_gt(full, 0);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_STREAM);
    cr_expect_neq(connect_to(client, "127.98.3.2", 9), 0);
    agent_wait_alert(agent, "connect", "proc.pid", own_pid, "fd.sip", "127.98.3.2", "evt.rawres", "-", NULL);
    kill(callers, SIGKILL);
    waitpid(callers, NULL, 0);
}
