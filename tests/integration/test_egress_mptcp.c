// Who sends by further paths of a connection by MPTCP: the kernel's own threads ask for those.
#include "harness.h"
#include "pod.h"
#include "wire.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum { PORT = 8443, BYTES = 1000000, LEVEL_MPTCP = 284, MPTCP_INFO = 1 };

// Addresses of the second path.
#define SECOND_NEAR "203.0.113.1"
#define SECOND_FAR "203.0.113.2"

static struct agent *agent;
static pid_t *sender;

static void setup(void)
{
    pod_setup(); // sums are by cgroup, and others may send there, too
    sender = mmap(NULL, sizeof(*sender), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(sender, MAP_FAILED);
    agent = agent_start("- rule: begun\n"
                        "  desc: d\n"
                        "  condition: evt.type = egress and fd.sip in (" WIRE_NEAR ", " SECOND_NEAR ")\n"
                        "  output: \"%fd.sip %fd.l4proto %proc.pid\"\n"
                        "  priority: WARNING\n",
                        NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    pod_teardown();
}

TestSuite(egress_mptcp, .init = setup, .fini = teardown);

// Beside the first path; -1 where this kernel does not tell.
static int further_paths(int fd)
{
    unsigned char info[256] = {};
    socklen_t size = sizeof(info);
    return getsockopt(fd, LEVEL_MPTCP, MPTCP_INFO, info, &size) ? -1 : info[0];
}

static void add_path(const char *address)
{
    cr_assert_eq(run_program("ip", "addr", "add", format_text("%s/24", address), "dev", "wire", NULL), 0);
    cr_assert_eq(run_program("ip", "mptcp", "limits", "set", "subflow", "2", "add_addr_accepted", "2", NULL),
                 0);
}

static int answer(int listener)
{
    static char bytes[BYTES];
    size_t got = 1;
    ssize_t count = 1;
    int server = accept(listener, NULL, NULL);
    if (server < 0 || recv(server, bytes, 1, 0) != 1 || send(server, bytes, 1, 0) != 1)
        return 1;
    while (got < BYTES && (count = recv(server, bytes, sizeof(bytes), 0)) > 0)
        got += (size_t)count;
    return got != BYTES;
}

static int send_by_second_path(const void *argument)
{
    static char bytes[BYTES];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)}, any = to;
    inet_pton(AF_INET, WIRE_NEAR, &to.sin_addr);
    struct wire wire;
    cr_assert(wire_make(&(struct wire_options){}, &wire));
    add_path(SECOND_NEAR);
    cr_assert_eq(run_program("ip", "mptcp", "endpoint", "add", SECOND_NEAR, "signal", NULL), 0);
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
    cr_assert_eq(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    pid_t server = fork();
    if (server == 0)
        _exit(answer(listener));
    wire_enter(wire.far);
    add_path(SECOND_FAR);
    *sender = getpid();
    int client = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
    cr_assert_eq(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
    cr_assert_eq(send(client, bytes, 1, 0), 1);
    cr_assert_eq(recv(client, bytes, 1, 0), 1);
    for (time_t until = time(NULL) + DEADLINE_S; further_paths(client) < 1 && time(NULL) < until;)
        poll(NULL, 0, 10);
    cr_assert_eq(further_paths(client), 1);
    // The first path leads nowhere any more.
    cr_assert_eq(run_program("ip", "route", "add", "blackhole", WIRE_NEAR, NULL), 0);
    if (send(client, bytes, BYTES - 1, 0) != BYTES - 1)
        return 1;
    return wait_for_exit(server);
}

Test(egress_mptcp, by_nobody_where_the_kernel_asks_for_a_path)
{
    int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
    bool told = fd >= 0 && further_paths(fd) >= 0;
    close(fd);
    if (!told)
        cr_skip_test("this kernel has no MPTCP, or does not tell of its paths");
    in_child(send_by_second_path, NULL);
    agent_wait_alert(agent, "begun", "fd.sip", WIRE_NEAR, "proc.pid", format_text("%d", *sender), NULL);
    agent_wait_alert(agent, "begun", "fd.sip", SECOND_NEAR, "fd.l4proto", "tcp", "proc.pid", "0", NULL);
}
