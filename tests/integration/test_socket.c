// Source `socket`: every call that it watches, made for real. Loopback addresses only.
#include "compat.h"
#include "harness.h"
#include "sockets.h"
#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <netinet/ip_icmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>

static struct agent *agent;

static void setup_all(void)
{
    test_setup();
    agent = start_socket_agent(
        "evt.type in (socket, bind, listen, accept, accept4, sendto, sendmsg, sendmmsg,"
        " recvfrom, recvmsg, recvmmsg)",
        "%evt.rawres %evt.res %evt.failed %fd.num %evt.arg.fd %fd.name %fd.type %fd.typechar"
        " %fd.sockfamily %fd.l4proto %fd.connected %fd.is_server %fd.sip %fd.sport %fd.cip %fd.cport"
        " %fd.rip %fd.rport %fd.lip %fd.lport %fd.snet %fd.cnet %fd.rnet %fd.lnet %fd.name_changed"
        " %evt.buffer %evt.buflen %evt.arg.tuple %evt.arg.addr %evt.arg.domain %evt.arg.type"
        " %evt.arg.proto %evt.arg.backlog %evt.arg.flags %evt.arg.size");
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(socket, .init = setup_all, .fini = teardown);

#define expect(type, ...) agent_wait_alert(agent, "socket", "evt.type", type, __VA_ARGS__, NULL)
#define text_of(number) format_text("%lld", (long long)(number))

static const char *name_of(const char *client, unsigned client_port, const char *server, unsigned port)
{
    return format_text(strchr(client, ':') ? "[%s]:%u->[%s]:%u" : "%s:%u->%s:%u", client, client_port, server,
                       port);
}

// --- Sockets ---

Test(socket, made)
{
    _cleanup_close_ int tcp = open_socket(AF_INET, SOCK_STREAM);
    expect("socket", "evt.arg.domain", "AF_INET", "evt.arg.type", "SOCK_STREAM|SOCK_CLOEXEC", "evt.arg.proto",
           "0", "evt.rawres", text_of(tcp), "evt.res", "SUCCESS", "evt.failed", "false", "fd.num",
           text_of(tcp), "evt.arg.fd", text_of(tcp), "fd.type", "ipv4", "fd.sockfamily", "ip", "fd.l4proto",
           "tcp", "fd.connected", "false", "fd.name", "-");
    _cleanup_close_ int local = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    expect("socket", "evt.arg.domain", "AF_UNIX", "evt.arg.type", "SOCK_DGRAM|SOCK_NONBLOCK", "fd.num",
           text_of(local), "fd.type", "unix", "fd.typechar", "u", "fd.sockfamily", "unix", "fd.l4proto", "-");
    _cleanup_close_ int netlink = socket(AF_NETLINK, SOCK_RAW, 4);
    expect("socket", "evt.arg.domain", "AF_NETLINK", "evt.arg.type", "SOCK_RAW", "evt.arg.proto", "4",
           "fd.num", text_of(netlink), "fd.type", "-", "fd.sockfamily", "-");
}

Test(socket, not_made)
{
    cr_assert_lt(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), 0);
    expect("socket", "evt.res", "EPROTONOSUPPORT", "evt.failed", "true", "fd.num", "-", "evt.arg.domain",
           "AF_INET", "evt.arg.proto", "17");
    cr_assert_lt(socket(4711, SOCK_DGRAM, 0), 0);
    expect("socket", "evt.res", "EAFNOSUPPORT", "evt.arg.domain", "4711", "evt.arg.type", "SOCK_DGRAM");
}

static void expect_served(const char *ip)
{
    unsigned port;
    _cleanup_close_ int fd = serve(ip, SOCK_STREAM, &port);
    bool v6 = strchr(ip, ':');
    const char *name = format_text(v6 ? "[%s]:%u" : "%s:%u", ip, port);
    expect("bind", "evt.rawres", "0", "fd.num", text_of(fd), "fd.name", name, "evt.arg.addr", name, "fd.sip",
           ip, "fd.sport", text_of(port), "fd.lip", ip, "fd.rip", "-", "fd.is_server", "true", "fd.type",
           v6 ? "ipv6" : "ipv4");
    expect("listen", "evt.rawres", "0", "fd.num", text_of(fd), "fd.name", name, "fd.sip", ip, "fd.sport",
           text_of(port), "evt.arg.backlog", "8", "fd.is_server", "true", "fd.l4proto", "tcp");
}

Test(socket, bound_and_listening_v4)
{
    expect_served("127.0.0.1");
}

Test(socket, bound_and_listening_v6)
{
    expect_served("::1");
}

Test(socket, bound_to_every_address)
{
    expect_served("0.0.0.0");
}

Test(socket, bound_to_a_mapped_address)
{
    _cleanup_close_ int fd = open_socket(AF_INET6, SOCK_DGRAM);
    union address address = address_of("::ffff:127.0.0.1", 0);
    if (bind(fd, &address.any, size_of(&address)) != 0)
        cr_skip_test("mapped addresses are switched off here");
    unsigned port = port_of(fd, false);
    expect("bind", "fd.num", text_of(fd), "fd.name", format_text("127.0.0.1:%u", port), "fd.lip", "127.0.0.1",
           "fd.sip", "127.0.0.1", "fd.lport", text_of(port), "fd.type", "ipv4", "fd.typechar", "4");
}

Test(socket, address_that_is_taken)
{
    unsigned port;
    _cleanup_close_ int first = serve("127.0.0.1", SOCK_STREAM, &port);
    _cleanup_close_ int second = open_socket(AF_INET, SOCK_STREAM);
    union address address = address_of("127.0.0.1", port);
    cr_assert_lt(bind(second, &address.any, size_of(&address)), 0);
    expect("bind", "evt.res", "EADDRINUSE", "evt.failed", "true", "fd.num", text_of(second), "fd.sip",
           "127.0.0.1", "fd.sport", text_of(port), "evt.arg.addr", format_text("127.0.0.1:%u", port));
}

// `by_accept` is by accept(), which shows nothing of the client to the caller here.
static void expect_accepted(const char *server_ip, const char *client_ip, bool by_accept)
{
    unsigned port;
    _cleanup_close_ int listener = serve(server_ip, SOCK_STREAM, &port);
    _cleanup_close_ int client = open_socket(strchr(client_ip, ':') ? AF_INET6 : AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(client, client_ip, port), 0);
    _cleanup_close_ int fd = by_accept ? accept(listener, NULL, NULL)
                                       : accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    cr_assert_geq(fd, 0);
    unsigned client_port = port_of(client, false);
    const char *name = name_of(client_ip, client_port, client_ip, port);
    expect(by_accept ? "accept" : "accept4", "evt.rawres", text_of(fd), "fd.num", text_of(fd), "fd.name",
           name, "evt.arg.tuple", name, "evt.arg.flags", by_accept ? "-" : "SOCK_CLOEXEC|SOCK_NONBLOCK",
           "fd.sip", client_ip, "fd.sport", text_of(port), "fd.cip", client_ip, "fd.cport",
           text_of(client_port), "fd.rip", client_ip, "fd.rport", text_of(client_port), "fd.lport",
           text_of(port), "fd.is_server", "true", "fd.connected", "true", "fd.l4proto", "tcp", "fd.snet",
           client_ip, "fd.rnet", client_ip);
}

Test(socket, accepted_v4)
{
    expect_accepted("127.0.0.1", "127.0.0.1", true);
    expect_accepted("127.0.0.1", "127.0.0.1", false);
}

Test(socket, accepted_v6)
{
    expect_accepted("::1", "::1", true);
    expect_accepted("::1", "::1", false);
}

Test(socket, accepted_v4_by_v6)
{
    expect_accepted("::", "127.0.0.1", false);
}

Test(socket, nothing_to_accept)
{
    unsigned port;
    _cleanup_close_ int listener = serve("127.0.0.1", SOCK_STREAM | SOCK_NONBLOCK, &port);
    cr_assert_eq(listen(listener, 8), 0);
    cr_assert_lt(accept(listener, NULL, NULL), 0);
    expect("accept", "evt.res", "EAGAIN", "evt.failed", "true", "fd.num", "-", "fd.sport", text_of(port));
    cr_assert_lt(accept4(-1, NULL, NULL, 0), 0);
    expect("accept4", "evt.res", "EBADF", "fd.num", "-", "fd.name", "-");
}

// --- Datagrams ---

static void expect_datagrams(const char *ip, const char *to_ip)
{
    unsigned port, other_port;
    _cleanup_close_ int server = serve(ip, SOCK_DGRAM, &port);
    _cleanup_close_ int other = serve(ip, SOCK_DGRAM, &other_port);
    _cleanup_close_ int client = open_socket(strchr(to_ip, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM);
    const struct {
        unsigned port;
        const char *data, *changed;
    } sends[] = {{port, "first", "true"},
                 {port, "again", "false"},
                 {other_port, "other", "true"},
                 {port, "back!", "true"}};
    for (size_t i = 0; i < ARRAY_SIZE(sends); i++) {
        ssize_t result = send_to(client, sends[i].data, to_ip, sends[i].port);
        if (result == -ENETUNREACH)
            cr_skip_test("mapped addresses are switched off here");
        cr_assert_eq(result, 5);
        expect("sendto", "evt.rawres", "5", "evt.res", "SUCCESS", "evt.buflen", "5", "evt.arg.size", "5",
               "evt.buffer", sends[i].data, "fd.num", text_of(client), "fd.rip", ip, "fd.sip", ip, "fd.sport",
               text_of(sends[i].port), "fd.rport", text_of(sends[i].port), "fd.lport",
               text_of(port_of(client, false)), "fd.l4proto", "udp", "fd.type",
               strchr(ip, ':') ? "ipv6" : "ipv4", "fd.connected", "false", "fd.is_server", "false",
               "fd.name_changed", sends[i].changed, "fd.snet", ip);
    }
    char data[16];
    union address from;
    socklen_t length = sizeof(from);
    cr_assert_eq(recvfrom(server, data, sizeof(data), 0, &from.any, &length), 5);
    expect("recvfrom", "evt.rawres", "5", "evt.buffer", "first", "evt.arg.size", "16", "fd.num",
           text_of(server), "fd.rip", ip, "fd.cip", ip, "fd.cport", text_of(port_of(client, false)),
           "fd.sport", text_of(port), "fd.is_server", "true", "fd.connected", "false");
    cr_assert_eq(recv(server, data, sizeof(data), MSG_DONTWAIT), 5);
    expect("recvfrom", "evt.buffer", "again", "evt.arg.flags", "MSG_DONTWAIT", "fd.rip", "-", "fd.lport",
           text_of(port));
}

Test(socket, datagrams_v4)
{
    expect_datagrams("127.0.0.1", "127.0.0.1");
}

Test(socket, datagrams_v6)
{
    expect_datagrams("::1", "::1");
}

Test(socket, datagrams_to_mapped_addresses)
{
    expect_datagrams("127.0.0.1", "::ffff:127.0.0.1");
}

Test(socket, connected_datagrams)
{
    unsigned port;
    _cleanup_close_ int server = serve("127.0.0.1", SOCK_DGRAM, &port);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_DGRAM);
    cr_assert_eq(connect_to(client, "127.0.0.1", port), 0);
    cr_assert_eq(send(client, "plain", 5, 0), 5);
    unsigned own = port_of(client, false);
    expect("sendto", "evt.buffer", "plain", "fd.connected", "true", "fd.name_changed", "false", "fd.name",
           name_of("127.0.0.1", own, "127.0.0.1", port), "fd.is_server", "false");
    cr_assert_eq(send_to(client, "named", "127.0.0.2", port), 5);
    expect("sendto", "evt.buffer", "named", "fd.connected", "true", "fd.rip", "127.0.0.2", "fd.name_changed",
           "true");
}

// A send that failed went nowhere, so the next one to that address is the first.
Test(socket, failed_datagram_is_not_the_first_to_an_address)
{
    _cleanup_close_ int fd = open_socket(AF_INET, SOCK_DGRAM);
    int on = 1;
    cr_assert_eq(send_to(fd, "no", "127.255.255.255", 9), -EACCES);
    expect("sendto", "evt.res", "EACCES", "evt.failed", "true", "fd.rip", "127.255.255.255", "fd.sport", "9",
           "evt.buflen", "-", "evt.buffer", "-");
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)), 0);
    cr_assert_eq(send_to(fd, "yes", "127.255.255.255", 9), 3);
    expect("sendto", "evt.buffer", "yes", "fd.name_changed", "true");
    cr_assert_eq(send_to(fd, "more", "127.255.255.255", 9), 4);
    expect("sendto", "evt.buffer", "more", "fd.name_changed", "false");
}

Test(socket, calls_without_a_socket)
{
    _cleanup_close_ int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    cr_assert_eq(send_to(-1, "x", "127.0.0.1", 9), -EBADF);
    expect("sendto", "evt.res", "EBADF", "fd.name", "-", "fd.num", "-");
    cr_assert_eq(send_to(file, "x", "127.0.0.1", 9), -ENOTSOCK);
    expect("sendto", "evt.res", "ENOTSOCK", "fd.name", "-", "fd.num", text_of(file));
}

Test(socket, messages_in_parts)
{
    unsigned port;
    _cleanup_close_ int server = serve("127.0.0.1", SOCK_DGRAM, &port);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_DGRAM);
    union address to = address_of("127.0.0.1", port), from;
    char text[121];
    memset(text, 'x', 120);
    text[120] = '\0';
    struct iovec parts[24] = {
        [9] = {"one ", 4}, [19] = {"two ", 4}, [20] = {(void *)1, 0}, [22] = {text, 120}};
    struct msghdr message = {
        .msg_name = &to, .msg_namelen = sizeof(to.v4), .msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts)};
    cr_assert_eq(sendmsg(client, &message, MSG_NOSIGNAL), 128);
    const char *buffer = format_text("one two %.72s", text);
    expect("sendmsg", "evt.rawres", "128", "evt.buflen", "128", "evt.buffer", buffer, "evt.arg.flags",
           "MSG_NOSIGNAL", "fd.rport", text_of(port), "fd.name_changed", "true", "evt.arg.size", "-");

    char first[6], second[200];
    struct iovec rooms[] = {{first, sizeof(first)}, {second, sizeof(second)}};
    message = (struct msghdr){
        .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = rooms, .msg_iovlen = ARRAY_SIZE(rooms)};
    cr_assert_eq(recvmsg(server, &message, 0), 128);
    expect("recvmsg", "evt.rawres", "128", "evt.buffer", buffer, "fd.num", text_of(server), "fd.cip",
           "127.0.0.1", "fd.cport", text_of(port_of(client, false)), "fd.is_server", "true");
    cr_assert_lt(recvmsg(server, &message, MSG_DONTWAIT), 0);
    expect("recvmsg", "evt.res", "EAGAIN", "fd.rip", "-", "evt.buffer", "-", "evt.buflen", "-");
}

// The third one fails, which the call does not say: it returns how many went out.
Test(socket, many_messages_of_one_call)
{
    unsigned ports[2];
    _cleanup_close_ int first = serve("127.0.0.1", SOCK_DGRAM, &ports[0]);
    _cleanup_close_ int second = serve("127.0.0.1", SOCK_DGRAM, &ports[1]);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_DGRAM);
    union address to[] = {address_of("127.0.0.1", ports[0]), address_of("127.0.0.1", ports[1]),
                          address_of("127.255.255.255", 9)};
    struct iovec parts[] = {{"a", 1}, {"bb", 2}, {"ccc", 3}};
    struct mmsghdr messages[3] = {};
    for (size_t i = 0; i < 3; i++)
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &to[i], .msg_namelen = sizeof(to[i].v4), .msg_iov = &parts[i], .msg_iovlen = 1};
    cr_assert_eq(sendmmsg(client, messages, 3, 0), 2);
    expect("sendmmsg", "fd.rport", text_of(ports[0]), "evt.rawres", "1", "fd.name_changed", "true");
    expect("sendmmsg", "fd.rport", text_of(ports[1]), "evt.rawres", "2", "fd.name_changed", "true");
    expect("sendmmsg", "fd.rip", "127.255.255.255", "evt.rawres", "-", "evt.res", "-");
    cr_assert_eq(sendmmsg(client, &messages[1], 1, 0), 1);
    expect("sendmmsg", "fd.rport", text_of(ports[1]), "evt.rawres", "2", "evt.buffer", "bb", "fd.num",
           text_of(client));
    cr_assert_eq(sendmmsg(client, &messages[2], 1, 0), -1);
    expect("sendmmsg", "fd.rip", "127.255.255.255", "evt.res", "EACCES");

    char data[16];
    parts[0] = (struct iovec){data, sizeof(data)};
    cr_assert_eq(recvmmsg(first, messages, 1, MSG_DONTWAIT, NULL), 1);
    expect("recvmmsg", "evt.rawres", "1", "evt.buffer", "a", "fd.num", text_of(first), "fd.cport",
           text_of(port_of(client, false)));
    cr_expect_eq(agent_count_alerts(agent, "socket", "evt.type", "sendmmsg", NULL), 5);
}

// Its address is only in the caller's memory: no hook of the kernel shows it.
Test(socket, raw_packets)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    cr_assert_geq(fd, 0);
    struct icmphdr echo = {.type = ICMP_ECHO, .checksum = (uint16_t)~htons(ICMP_ECHO << 8)};
    static const char *const ips[] = {"127.0.0.2", "127.0.0.2", "127.0.0.3"};
    for (size_t i = 0; i < ARRAY_SIZE(ips); i++) {
        union address to = address_of(ips[i], 0);
        echo.un.echo.id = 0;
        cr_assert_eq(sendto(fd, &echo, sizeof(echo), 0, &to.any, sizeof(to.v4)), (ssize_t)sizeof(echo));
        expect("sendto", "fd.rip", ips[i], "fd.l4proto", "icmp", "fd.lport", "-", "fd.name_changed",
               i == 1 ? "false" : "true", "fd.connected", "false", "evt.rawres", "8");
    }
    cr_expect_eq(agent_count_alerts(agent, "socket", "evt.type", "sendto", NULL), 3);
}

// A protocol's number does not make a raw socket one of TCP or UDP; and it may be sent to family 0.
static void expect_raw(int protocol, const char *name, sa_family_t family)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, protocol);
    cr_assert_geq(fd, 0);
    const char *ip = format_text("127.0.%d.%d", protocol, family + 1);
    union address to = address_of(ip, 0);
    to.any.sa_family = family;
    static const char bytes[20];
    cr_assert_eq(sendto(fd, bytes, sizeof(bytes), 0, &to.any, sizeof(to.v4)), (ssize_t)sizeof(bytes));
    expect("sendto", "fd.rip", ip, "fd.l4proto", name, "fd.lport", "-", "fd.name_changed", "true", "fd.num",
           text_of(fd), "fd.is_server", "false");
}

Test(socket, raw_packets_of_tcp_and_udp)
{
    expect_raw(IPPROTO_TCP, "tcp", AF_INET);
    expect_raw(IPPROTO_TCP, "tcp", AF_UNSPEC);
    expect_raw(IPPROTO_UDP, "udp", AF_INET);
    expect_raw(IPPROTO_UDP, "udp", AF_UNSPEC);
}

// --- Streams ---

static void expect_stream(const char *ip)
{
    unsigned port;
    _cleanup_close_ int listener = serve(ip, SOCK_STREAM, &port);
    _cleanup_close_ int client = open_socket(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(client, ip, port), 0);
    _cleanup_close_ int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    const char *name = name_of(ip, port_of(client, false), ip, port);
    char data[100];
    cr_assert_eq(send(client, "hello", 5, MSG_NOSIGNAL), 5);
    expect("sendto", "evt.buffer", "hello", "fd.name", name, "evt.arg.tuple", name, "fd.is_server", "false",
           "fd.connected", "true", "fd.name_changed", "false", "fd.num", text_of(client), "fd.l4proto", "tcp",
           "fd.rport", text_of(port));
    cr_assert_eq(recv(server, data, sizeof(data), 0), 5);
    expect("recvfrom", "evt.buffer", "hello", "fd.name", name, "fd.is_server", "true", "fd.num",
           text_of(server), "fd.lport", text_of(port), "evt.arg.size", "100");
    struct iovec part = {"bye", 3};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    cr_assert_eq(sendmsg(server, &message, 0), 3);
    expect("sendmsg", "evt.buffer", "bye", "fd.name", name, "fd.is_server", "true", "fd.lport",
           text_of(port));
    cr_assert_lt(recv(server, data, sizeof(data), MSG_DONTWAIT), 0);
    expect("recvfrom", "evt.res", "EAGAIN", "fd.name", name, "evt.buffer", "-");
}

Test(socket, streams_v4)
{
    expect_stream("127.0.0.1");
}

Test(socket, streams_v6)
{
    expect_stream("::1");
}

static void on_alarm(int signal_number)
{
}

Test(socket, interrupted_by_a_signal)
{
    unsigned port;
    _cleanup_close_ int fd = serve("127.0.0.1", SOCK_DGRAM, &port);
    struct sigaction action = {.sa_handler = on_alarm}; // without SA_RESTART
    struct itimerval timer = {.it_value.tv_usec = 50000, .it_interval.tv_usec = 50000};
    char byte;
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
    ssize_t result = recv(fd, &byte, 1, 0);
    int error = errno;
    timer = (struct itimerval){};
    setitimer(ITIMER_REAL, &timer, NULL);
    cr_assert(result < 0 && error == EINTR);
    expect("recvfrom", "fd.lport", text_of(port), "evt.res", "EINTR", "evt.failed", "true");
}

Test(socket, unix_sockets)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", test_dir());
    _cleanup_close_ int listener = open_socket(AF_UNIX, SOCK_STREAM);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    expect("bind", "fd.name", address.sun_path, "evt.arg.addr", address.sun_path, "fd.type", "unix");
    cr_assert_eq(listen(listener, 1), 0);
    expect("listen", "fd.name", address.sun_path, "fd.sockfamily", "unix", "evt.arg.backlog", "1");
    _cleanup_close_ int client = open_socket(AF_UNIX, SOCK_STREAM);
    cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    _cleanup_close_ int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    expect("accept4", "fd.name", address.sun_path, "fd.num", text_of(server));
    cr_assert_eq(send(client, "local", 5, 0), 5);
    expect("sendto", "evt.buffer", "local", "fd.name", address.sun_path, "fd.type", "unix", "fd.typechar",
           "u", "fd.sockfamily", "unix", "fd.l4proto", "-", "fd.rip", "-", "fd.connected", "-");
}

Test(socket, unix_sockets_without_a_file)
{
    const char *name = format_text("inferscope-test-%d", getpid());
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s", name);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    _cleanup_close_ int fd = open_socket(AF_UNIX, SOCK_DGRAM);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
    expect("bind", "fd.name", format_text("@%s", name), "fd.num", text_of(fd));
}

// Of a socket's own name and its peer's the one that the call is about.
Test(socket, unix_sockets_with_two_names)
{
    struct sockaddr_un names[2] = {{.sun_family = AF_UNIX}, {.sun_family = AF_UNIX}};
    snprintf(names[0].sun_path, sizeof(names[0].sun_path), "%s/server", test_dir());
    snprintf(names[1].sun_path, sizeof(names[1].sun_path), "%s/client", test_dir());
    _cleanup_close_ int listener = open_socket(AF_UNIX, SOCK_STREAM);
    _cleanup_close_ int client = open_socket(AF_UNIX, SOCK_STREAM);
    cr_assert_eq(bind(listener, (struct sockaddr *)&names[0], sizeof(names[0])), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(bind(client, (struct sockaddr *)&names[1], sizeof(names[1])), 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&names[0], sizeof(names[0])), 0);
    _cleanup_close_ int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    expect("accept4", "fd.num", text_of(server), "fd.name", names[0].sun_path, "evt.arg.tuple",
           names[0].sun_path, "fd.is_server", "true");
    cr_assert_eq(send(server, "x", 1, 0), 1);
    expect("sendto", "fd.num", text_of(server), "fd.name", names[1].sun_path);
}

Test(socket, unix_name_that_is_taken)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s/taken", test_dir());
    _cleanup_close_ int first = open_socket(AF_UNIX, SOCK_DGRAM), second = open_socket(AF_UNIX, SOCK_DGRAM);
    cr_assert_eq(bind(first, (struct sockaddr *)&name, sizeof(name)), 0);
    cr_assert_lt(bind(second, (struct sockaddr *)&name, sizeof(name)), 0);
    expect("bind", "evt.res", "EADDRINUSE", "fd.num", text_of(second), "evt.arg.addr", name.sun_path);
    cr_assert_lt(bind(second, (struct sockaddr *)&name, 1), 0);
    expect("bind", "evt.res", "EINVAL", "fd.num", text_of(second), "evt.arg.addr", "-");
}

// Neither end of a netlink socket serves the other.
Test(socket, netlink_sockets)
{
    _cleanup_close_ int fd = open_socket(AF_NETLINK, SOCK_RAW);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    char byte;
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect("bind", "fd.num", text_of(fd), "fd.is_server", "-", "fd.type", "-");
    cr_assert_lt(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
    expect("recvfrom", "fd.num", text_of(fd), "evt.res", "EAGAIN", "fd.is_server", "-");
}

Test(socket, io_uring_is_seen_without_result)
{
    unsigned port;
    _cleanup_close_ int server = serve("127.0.0.1", SOCK_DGRAM, &port);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_DGRAM);
    union address to = address_of("127.0.0.1", port);
    struct iovec part = {"ring", 4};
    struct msghdr message = {
        .msg_name = &to, .msg_namelen = sizeof(to.v4), .msg_iov = &part, .msg_iovlen = 1};
    struct io_uring_sqe request = {
        .opcode = IORING_OP_SENDMSG, .fd = client, .addr = (uintptr_t)&message, .len = 1};
    int result = uring_do(&request);
    if (result == INT_MIN)
        cr_skip_test("this kernel has or allows no io_uring");
    cr_assert_eq(result, 4);
    expect("sendmsg", "fd.rip", "127.0.0.1", "fd.rport", text_of(port), "fd.l4proto", "udp", "evt.rawres",
           "-", "evt.res", "-", "fd.name_changed", "true");
}
