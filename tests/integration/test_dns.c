// Source `dns`: addresses get the names that DNS answers gave them.
#include "answers.h"
#include "harness.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// Addresses of our own among those that lead to this machine itself.
#define RESOLVER "127.53.0.1"
#define NAMED "127.53.0.2"
#define NAMELESS "127.53.0.3"

static struct agent *agent;

static void setup(void)
{
    test_setup();
    agent = agent_start(format_text("- rule: named\n"
                                    "  desc: d\n"
                                    "  condition: evt.type = connect and proc.pid = %d and\n"
                                    "    fd.sip.name endswith .inferscope.example\n"
                                    "  output: \"%%fd.sip %%fd.sip.name %%fd.rip.name %%fd.cip.name\"\n"
                                    "  priority: WARNING\n"
                                    "- rule: any\n"
                                    "  desc: d\n"
                                    "  condition: evt.type = connect and proc.pid = %d\n"
                                    "  output: \"%%fd.sip %%fd.sip.name\"\n"
                                    "  priority: WARNING\n",
                                    getpid(), getpid()),
                        NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(dns, .init = setup, .fini = teardown);

static void connect_to(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    inet_pton(AF_INET, address, &to.sin_addr);
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

Test(dns, connection_has_the_name_that_was_answered)
{
    uint8_t message[ANSWER_MAX];
    answer_send(RESOLVER, 53, message, answer_make(message, "Weights", NAMED, 0));
    connect_to(NAMED);
    agent_wait_alert(agent, "named", "fd.sip", NAMED, "fd.sip.name", "weights.inferscope.example",
                     "fd.rip.name", "weights.inferscope.example", "fd.cip.name", "-", NULL);
    connect_to(NAMELESS);
    agent_wait_alert(agent, "any", "fd.sip", NAMELESS, "fd.sip.name", "-", NULL);
}

Test(dns, what_is_no_answer_gives_no_name)
{
    uint8_t message[ANSWER_MAX];
    size_t size = answer_make(message, "refused", NAMED, 5);
    answer_send(RESOLVER, 53, message, size);
    size = answer_make(message, "query", NAMED, 0);
    message[2] = 1; // recursion desired: a query
    answer_send(RESOLVER, 53, message, size);
    size = answer_make(message, "elsewhere", NAMED, 0);
    answer_send(RESOLVER, 5300, message, size);
    connect_to(NAMED);
    agent_wait_alert(agent, "any", "fd.sip", NAMED, "fd.sip.name", "-", NULL);
}

Test(dns, broken_answer_is_counted)
{
    uint8_t message[ANSWER_MAX];
    size_t size = answer_make(message, "broken", NAMED, 0);
    answer_send(RESOLVER, 53, message, size - 1);
    answer_send(RESOLVER, 53, message, size - 4);
    connect_to(NAMED);
    agent_wait_alert(agent, "any", "fd.sip", NAMED, "fd.sip.name", "-", NULL);
    cr_expect_eq(agent_metric(agent, "inferscope_dns_answers_unread_total", NULL), 2);
}

Test(dns, nothing_is_read_where_no_rule_asks_for_names)
{
    agent_stop(TAKE_PTR(agent));
    agent = agent_start("- rule: any\n"
                        "  desc: d\n"
                        "  condition: evt.type = connect and fd.sport = 9\n"
                        "  output: \"%fd.sip\"\n"
                        "  priority: WARNING\n",
                        NULL);
    cr_expect(isnan(agent_metric(agent, "inferscope_source_up", "source", "dns", NULL)));
}

// --- A real resolver ---

#define DNSMASQ "127.53.0.9"

// Asks for an address. Where nobody listens yet, that fails at once.
static int ask(struct __res_state *state, const char *name, bool by_tcp)
{
    uint8_t answer[4096];
    if (res_ninit(state))
        return -1;
    state->options = RES_INIT | RES_RECURSE | (by_tcp ? RES_USEVC : 0);
    state->retrans = DEADLINE_S;
    state->retry = 1;
    state->nscount = 1;
    state->nsaddr_list[0] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(53)};
    inet_pton(AF_INET, DNSMASQ, &state->nsaddr_list[0].sin_addr);
    int size = res_nquery(state, name, ns_c_in, ns_t_a, answer, sizeof(answer));
    res_nclose(state);
    return size;
}

static pid_t start_dnsmasq(void)
{
    struct __res_state state = {};
    if (access("/usr/sbin/dnsmasq", X_OK))
        cr_skip("dnsmasq is not installed");
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/usr/sbin/dnsmasq", "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
              "--conf-file=/dev/null", "--bind-interfaces", "--listen-address=" DNSMASQ, "--port=53",
              "--user=root", "--pid-file=", "--address=/udp.resolver.example/127.53.1.1",
              "--address=/tcp.resolver.example/127.53.1.2", "--address=/last.resolver.example/127.53.1.3",
              "--cname=first.resolver.example,second.resolver.example",
              "--cname=second.resolver.example,last.resolver.example",
              "--host-record=last.resolver.example,127.53.1.3", NULL);
        _exit(127);
    }
    time_t deadline = time(NULL) + DEADLINE_S;
    for (; ask(&state, "udp.resolver.example", false) < 0; poll(NULL, 0, 20))
        cr_assert_lt(time(NULL), deadline, "dnsmasq does not answer");
    return pid;
}

static void expect_name(const char *address, const char *name)
{
    connect_to(address);
    agent_wait_alert(agent, "any", "fd.sip", address, "fd.sip.name", name, NULL);
}

Test(dns, names_of_a_real_resolver)
{
    struct __res_state state = {};
    pid_t pid = start_dnsmasq();
    expect_name("127.53.1.1", "udp.resolver.example");
    cr_assert_gt(ask(&state, "tcp.resolver.example", true), 0);
    expect_name("127.53.1.2", "tcp.resolver.example");
    // By aliases of aliases: the name that was asked for.
    cr_assert_gt(ask(&state, "first.resolver.example", true), 0);
    expect_name("127.53.1.3", "first.resolver.example");
    kill(pid, SIGKILL);
    wait_for_exit(pid);
}
