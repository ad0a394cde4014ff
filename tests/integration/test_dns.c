// Source `dns`: addresses get the names that DNS answers gave them.
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

static int udp_socket(const char *address, unsigned port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, address, &own.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0, "%s:%u: %s", address, port,
                 strerror(errno));
    return fd;
}

static size_t append(uint8_t *message, size_t used, const void *bytes, size_t size)
{
    memcpy(message + used, bytes, size);
    return used + size;
}

// An answer for "<label>.inferscope.example" with one A record; `rcode` 0 is a good one.
static size_t make_answer(uint8_t *message, const char *label, const char *address, int rcode)
{
    uint8_t header[12] = {0x12, 0x34, 0x81, (uint8_t)(0x80 | rcode), 0, 1, 0, 1};
    size_t used = append(message, 0, header, sizeof(header));
    message[used++] = (uint8_t)strlen(label);
    used = append(message, used, label, strlen(label));
    used = append(message, used, "\x0ainferscope\7example\0\0\1\0\1", 24);
    used = append(message, used, "\xc0\x0c\0\1\0\1\0\0\1\0\0\4", 12);
    struct in_addr bytes;
    inet_pton(AF_INET, address, &bytes);
    return append(message, used, &bytes, sizeof(bytes));
}

// The resolver's answer reaches somebody on this machine.
static void answer_from(unsigned port, const uint8_t *message, size_t size)
{
    _cleanup_close_ int resolver = udp_socket(RESOLVER, port);
    _cleanup_close_ int client = udp_socket("127.0.0.1", 0);
    struct sockaddr_in to;
    socklen_t length = sizeof(to);
    getsockname(client, (struct sockaddr *)&to, &length);
    cr_assert_eq(sendto(resolver, message, size, 0, (struct sockaddr *)&to, sizeof(to)), (ssize_t)size);
    uint8_t buffer[4096];
    cr_assert_eq(recv(client, buffer, sizeof(buffer), 0), (ssize_t)size);
}

static void connect_to(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    inet_pton(AF_INET, address, &to.sin_addr);
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

Test(dns, connection_has_the_name_that_was_answered)
{
    uint8_t message[512];
    answer_from(53, message, make_answer(message, "Weights", NAMED, 0));
    connect_to(NAMED);
    agent_wait_alert(agent, "named", "fd.sip", NAMED, "fd.sip.name", "weights.inferscope.example",
                     "fd.rip.name", "weights.inferscope.example", "fd.cip.name", "-", NULL);
    connect_to(NAMELESS);
    agent_wait_alert(agent, "any", "fd.sip", NAMELESS, "fd.sip.name", "-", NULL);
}

Test(dns, what_is_no_answer_gives_no_name)
{
    uint8_t message[512];
    size_t size = make_answer(message, "refused", NAMED, 5);
    answer_from(53, message, size);
    size = make_answer(message, "query", NAMED, 0);
    message[2] = 1; // recursion desired: a query
    answer_from(53, message, size);
    size = make_answer(message, "elsewhere", NAMED, 0);
    answer_from(5300, message, size);
    connect_to(NAMED);
    agent_wait_alert(agent, "any", "fd.sip", NAMED, "fd.sip.name", "-", NULL);
}

Test(dns, broken_answer_is_counted)
{
    uint8_t message[512];
    size_t size = make_answer(message, "broken", NAMED, 0);
    answer_from(53, message, size - 1);
    answer_from(53, message, size - 4);
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
