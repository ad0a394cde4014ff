// Source `dns`: addresses get the names that DNS answers gave them.
#include "answers.h"
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
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
