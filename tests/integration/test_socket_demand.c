// Source `socket`: what no rule can match is not looked at, by the number of events.
#include "harness.h"
#include "sockets.h"

#include <math.h>
#include <string.h>

static struct agent *agent;

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(socket_demand, .init = test_setup, .fini = teardown);

enum { MANY = 1000 };

// Sends and receives so often on a connection of TCP, of UNIX and of UDP, which also names another address
// once, at the end.
static void send_much(void)
{
    unsigned port;
    int pairs[3][2];
    _cleanup_close_ int listener = serve("127.0.0.1", SOCK_STREAM, &port);
    pairs[0][0] = open_socket(AF_INET, SOCK_STREAM);
    cr_assert_eq(connect_to(pairs[0][0], "127.0.0.1", port), 0);
    pairs[0][1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pairs[1]), 0);
    pairs[2][1] = serve("127.0.0.1", SOCK_DGRAM, &port);
    pairs[2][0] = open_socket(AF_INET, SOCK_DGRAM);
    char byte = 'x';
    for (int i = 0; i < MANY; i++)
        for (int k = 0; k < 3; k++) {
            ssize_t sent =
                k == 2 ? send_to(pairs[k][0], "x", "127.0.0.1", port) : send(pairs[k][0], &byte, 1, 0);
            cr_assert_eq(sent, 1);
            cr_assert_eq(recv(pairs[k][1], &byte, 1, 0), 1);
        }
    cr_assert_eq(send_to(pairs[2][0], "end", "127.0.0.9", port), 3);
    for (int k = 0; k < 3; k++) {
        close(pairs[k][0]);
        close(pairs[k][1]);
    }
}

static double events(void)
{
    double count = agent_metric(agent, "inferscope_events_total", "source", "socket", NULL);
    return isnan(count) ? 0 : count;
}

Test(socket_demand, all_that_was_asked_for)
{
    agent = start_socket_agent("evt.type in (sendto, recvfrom)", "%fd.rip");
    send_much();
    agent_wait_alert(agent, "socket", "fd.rip", "127.0.0.9", NULL);
    cr_expect_eq(agent_count_alerts(agent, "socket", NULL), 6 * MANY + 1);
}

// Other programs send datagrams, too, but not nearly as many.
Test(socket_demand, streams_are_left_out)
{
    agent = start_socket_agent("evt.type in (sendto, recvfrom) and fd.l4proto = udp", "%fd.rip");
    send_much();
    agent_wait_alert(agent, "socket", "fd.rip", "127.0.0.9", NULL);
    cr_expect_eq(agent_count_alerts(agent, "socket", NULL), 2 * MANY + 1);
    cr_expect_lt(events(), 3 * MANY);
}

Test(socket_demand, sends_to_no_new_address_are_left_out)
{
    agent = start_socket_agent("evt.type in (sendto, sendmsg) and fd.l4proto != tcp and fd.connected = false"
                               " and fd.name_changed = true",
                               "%fd.rip %evt.rawres");
    send_much();
    agent_wait_alert(agent, "socket", "fd.rip", "127.0.0.9", "evt.rawres", "3", NULL);
    cr_expect_eq(agent_count_alerts(agent, "socket", NULL), 2);
    cr_expect_lt(events(), MANY);
}

// No hook sees what raw sockets send, so nothing of it may be left out by its protocol.
Test(socket_demand, raw_packets_to_a_new_address_are_not_left_out)
{
    agent = start_socket_agent("evt.type = sendto and fd.name_changed = true", "%fd.rip %fd.l4proto");
    static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
    static const char bytes[20];
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        _cleanup_close_ int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, protocols[i]);
        cr_assert_geq(fd, 0);
        for (int k = 0; k < 3; k++) {
            union address to = address_of(k < 2 ? "127.0.0.2" : "127.0.0.3", 0);
            cr_assert_eq(sendto(fd, bytes, sizeof(bytes), 0, &to.any, sizeof(to.v4)), (ssize_t)sizeof(bytes));
        }
        agent_wait_alert(agent, "socket", "fd.rip", "127.0.0.3", "fd.l4proto", i ? "udp" : "tcp", NULL);
    }
    cr_expect_eq(agent_count_alerts(agent, "socket", NULL), 4);
}

// A message that was left out counts all the same: which of them failed is told by the number of those that
// went out.
Test(socket_demand, messages_left_out_are_counted)
{
    agent = start_socket_agent("evt.type = sendmmsg and fd.name_changed = true", "%fd.rip %evt.rawres");
    unsigned port;
    _cleanup_close_ int server = serve("127.0.0.1", SOCK_DGRAM, &port);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_DGRAM);
    union address to[] = {address_of("127.0.0.1", port), address_of("127.0.0.1", port),
                          address_of("127.0.0.2", port), address_of("127.255.255.255", 9)};
    struct iovec parts[] = {{"a", 1}, {"bb", 2}, {"ccc", 3}, {"dddd", 4}};
    struct mmsghdr messages[4] = {};
    for (size_t i = 0; i < 4; i++)
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &to[i], .msg_namelen = sizeof(to[i].v4), .msg_iov = &parts[i], .msg_iovlen = 1};
    cr_assert_eq(sendmmsg(client, messages, 4, 0), 3);
    agent_wait_alert(agent, "socket", "fd.rip", "127.255.255.255", "evt.rawres", "-", NULL);
    agent_wait_alert(agent, "socket", "fd.rip", "127.0.0.1", "evt.rawres", "1", NULL);
    agent_wait_alert(agent, "socket", "fd.rip", "127.0.0.2", "evt.rawres", "3", NULL);
    cr_expect_eq(agent_count_alerts(agent, "socket", NULL), 3);
}

Test(socket_demand, nothing_is_attached_where_no_rule_wants_it)
{
    agent = start_socket_agent("evt.type in (connect, execve)", "");
    cr_expect(strstr(agent_stderr(agent), "sources: process connect"), "%s", agent_stderr(agent));
    cr_expect_not(strstr(agent_stderr(agent), "socket"), "%s", agent_stderr(agent));
}
