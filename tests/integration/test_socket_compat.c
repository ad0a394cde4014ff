// Source `socket`: 32-bit callers, by calls of their own and by socketcall(), as older C libraries do.
#include "compat.h"
#include "harness.h"
#include "sockets.h"

#include <errno.h>
#include <linux/net.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

static struct agent *agent;

static void setup(void)
{
    test_setup();
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    agent =
        start_socket_agent("evt.type in (socket, bind, listen, accept, accept4, sendto, sendmsg, sendmmsg,"
                           " recvfrom, recvmsg, recvmmsg)",
                           "%evt.rawres %fd.num %fd.name %fd.rip %fd.rport %fd.lport %evt.buffer"
                           " %evt.arg.domain %evt.arg.type %evt.arg.backlog %evt.arg.flags %evt.arg.size"
                           " %fd.name_changed");
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(socket_compat, .init = setup, .fini = teardown);

#define expect(type, ...) agent_wait_alert(agent, "socket", "evt.type", type, __VA_ARGS__, NULL)
#define text_of(number) format_text("%lld", (long long)(number))

// What <asm/unistd_32.h> says, and what socketcall() calls the same.
struct call {
    long number; // 0: there is none
    int sub;
};

enum { I386_SOCKETCALL = 102 };

static const struct call call_socket = {359, SYS_SOCKET}, call_bind = {361, SYS_BIND},
                         call_listen = {363, SYS_LISTEN}, call_accept4 = {364, SYS_ACCEPT4},
                         call_sendto = {369, SYS_SENDTO}, call_sendmsg = {370, SYS_SENDMSG},
                         call_recvfrom = {371, SYS_RECVFROM}, call_recvmsg = {372, SYS_RECVMSG},
                         call_sendmmsg = {345, SYS_SENDMMSG}, call_recvmmsg = {337, SYS_RECVMMSG},
                         call_accept = {0, SYS_ACCEPT}, call_send = {0, SYS_SEND}, call_recv = {0, SYS_RECV};

static bool multiplexed;

// Makes a call of so many arguments (6 at most; the sixth is only for socketcall, otherwise zero).
static long make_call(struct call call, int count, ...)
{
    unsigned *arguments = compat_memory(4096); // with nothing behind them but zeroes
    va_list list;
    va_start(list, count);
    for (int i = 0; i < count; i++)
        arguments[i] = va_arg(list, unsigned);
    va_end(list);
    if (multiplexed || call.number == 0)
        return compat_call(I386_SOCKETCALL, call.sub, (long)(uintptr_t)arguments, 0, 0, 0);
    return compat_call(call.number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]);
}

static unsigned low(const void *pointer)
{
    return (unsigned)(uintptr_t)pointer;
}

static struct sockaddr_in *low_address(const char *ip, unsigned port)
{
    struct sockaddr_in *copy = compat_memory(sizeof(*copy));
    *copy = address_of(ip, port).v4;
    return copy;
}

struct iovec32 {
    unsigned base, length;
};

struct message32 {
    unsigned name, name_length, parts, parts_count, control, control_length, flags;
    unsigned length; // struct mmsghdr's
};

static struct message32 *low_message(const struct sockaddr_in *name, char *data, size_t size, unsigned count)
{
    struct message32 *messages = compat_memory(count * sizeof(*messages));
    struct iovec32 *part = compat_memory(sizeof(*part));
    *part = (struct iovec32){low(data), (unsigned)size};
    for (unsigned i = 0; i < count; i++)
        messages[i] = (struct message32){
            .name = low(name), .name_length = sizeof(*name), .parts = low(part), .parts_count = 1};
    return messages;
}

static void expect_sockets(void)
{
    int fd = (int)make_call(call_socket, 3, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_geq(fd, 0);
    expect("socket", "evt.rawres", text_of(fd), "evt.arg.domain", "AF_INET", "evt.arg.type",
           "SOCK_STREAM|SOCK_NONBLOCK", "fd.num", text_of(fd));
    cr_assert_eq(make_call(call_bind, 3, fd, low(low_address("127.0.0.1", 0)), sizeof(struct sockaddr_in)),
                 0);
    unsigned port = port_of(fd, false);
    expect("bind", "fd.num", text_of(fd), "fd.name", format_text("127.0.0.1:%u", port));
    cr_assert_eq(make_call(call_listen, 2, fd, 7), 0);
    expect("listen", "fd.num", text_of(fd), "evt.arg.backlog", "7", "fd.lport", text_of(port));
    for (int i = 0; i < 2; i++) {
        _cleanup_close_ int client = open_socket(AF_INET, SOCK_STREAM);
        cr_assert_eq(connect_to(client, "127.0.0.1", port), 0);
        _cleanup_close_ int server = i ? (int)make_call(call_accept4, 4, fd, 0, 0, SOCK_CLOEXEC)
                                       : (int)make_call(call_accept, 3, fd, 0, 0);
        cr_assert_geq(server, 0);
        expect(i ? "accept4" : "accept", "fd.num", text_of(server), "fd.lport", text_of(port), "fd.rport",
               text_of(port_of(client, false)), "evt.arg.flags", i ? "SOCK_CLOEXEC" : "-");
        cr_assert_eq(make_call(call_send, 4, client, low(compat_text("short")), 5, MSG_NOSIGNAL), 5);
        expect("sendto", "fd.num", text_of(client), "evt.buffer", "short", "evt.arg.flags", "MSG_NOSIGNAL",
               "fd.rport", text_of(port), "evt.arg.size", "5");
        cr_assert_eq(make_call(call_recv, 4, server, low(compat_memory(16)), 16, 0), 5);
        expect("recvfrom", "fd.num", text_of(server), "evt.buffer", "short", "evt.arg.size", "16");
    }
    close(fd);
}

static void expect_datagrams(void)
{
    unsigned port;
    _cleanup_close_ int server = serve("127.0.0.1", SOCK_DGRAM, &port);
    _cleanup_close_ int client = open_socket(AF_INET, SOCK_DGRAM);
    struct sockaddr_in *to = low_address("127.0.0.1", port), *from = low_address("0.0.0.0", 0);
    char *room = compat_memory(64);
    struct message32 *receive = low_message(from, room, 64, 1);

    cr_assert_eq(make_call(call_sendmsg, 3, client, low(low_message(to, compat_text("msg"), 3, 1)), 0), 3);
    const char *client_port = text_of(port_of(client, false));
    expect("sendmsg", "fd.num", text_of(client), "fd.rip", "127.0.0.1", "fd.rport", text_of(port),
           "evt.buffer", "msg", "evt.rawres", "3", "fd.name_changed", "true");
    cr_assert_eq(make_call(call_recvmsg, 3, server, low(receive), 0), 3);
    expect("recvmsg", "fd.num", text_of(server), "evt.buffer", "msg", "fd.rport", client_port);

    struct message32 *two = low_message(to, compat_text("many"), 4, 2);
    cr_assert_eq(make_call(call_sendmmsg, 4, client, low(two), 2, 0), 2);
    two[0].length = 0;
    expect("sendmmsg", "fd.rport", text_of(port), "evt.rawres", "4", "evt.buffer", "many", "fd.num",
           text_of(client));
    cr_assert_eq(make_call(call_recvmmsg, 5, server, low(receive), 1, 0, 0), 1);
    expect("recvmmsg", "fd.num", text_of(server), "evt.buffer", "many", "evt.rawres", "4", "fd.rport",
           client_port);
    cr_assert_eq(make_call(call_recvfrom, 6, server, low(room), 64, 0, low(from), 0), -EFAULT);
    expect("recvfrom", "fd.num", text_of(server), "evt.rawres", text_of(-EFAULT), "evt.arg.size", "64");

    bool was = multiplexed;
    multiplexed = true; // the length of the address is a sixth argument
    cr_assert_eq(make_call(call_sendto, 6, client, low(compat_text("to")), 2, 0,
                           low(low_address("127.0.0.2", 9)), sizeof(*to)),
                 2);
    expect("sendto", "fd.rip", "127.0.0.2", "fd.rport", "9", "evt.buffer", "to", "fd.num", text_of(client));
    multiplexed = was;
    cr_assert_eq(connect_to(client, "127.0.0.1", port), 0);
    cr_assert_eq(make_call(call_sendto, 6, client, low(compat_text("peer")), 4, 0, 0, 0), 4);
    expect("sendto", "fd.rport", text_of(port), "evt.buffer", "peer", "fd.num", text_of(client));
}

Test(socket_compat, sockets)
{
    expect_sockets();
}

Test(socket_compat, sockets_by_socketcall)
{
    multiplexed = true;
    expect_sockets();
}

Test(socket_compat, datagrams)
{
    expect_datagrams();
}

Test(socket_compat, datagrams_by_socketcall)
{
    multiplexed = true;
    expect_datagrams();
}
