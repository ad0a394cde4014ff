// Who sends what leaves the node, where one process makes sockets and another one uses them.
#include "harness.h"
#include "wire.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER = 1000 };

static struct agent *agent;
static struct {
    pid_t maker, user;
} * told;

static void setup(void)
{
    test_setup();
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(told, MAP_FAILED);
    agent = agent_start("- rule: begun\n"
                        "  desc: d\n"
                        "  condition: evt.type = egress and fd.sip in (" WIRE_NEAR ", " WIRE_FAR ")\n"
                        "  output: \"%fd.sip %proc.pid\"\n"
                        "  priority: WARNING\n",
                        NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(egress_sender, .init = setup, .fini = teardown);

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

// Who asks for a connection sends by it; what is answered is sent by who gave the listening socket its
// address.
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
