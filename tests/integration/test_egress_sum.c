// What rules add up over all destinations of what leaves the node. Datagrams to addresses that nobody has
// count as much as others, and are never sent again.
#include "answers.h"
#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KB 1000

static struct agent *agent;
static const char *rules;

// The addresses are our own, as others may run this, too; children use the same.
static unsigned network;

static const char *address(unsigned last)
{
    return format_text("10.97.%u.%u", network, last);
}

static const char *named(const char *label)
{
    return format_text("%s-%d.inferscope.example", label, getpid());
}

// Beside the sum, the rules of those who add up nothing.
static void write_rules(const char *sum, const char *priority)
{
    write_file(rules, format_text("- rule: sum\n"
                                  "  desc: d\n"
                                  "  condition: evt.type = egress and fd.sip in (%s/24) and\n"
                                  "    net.egress.sum[10m] %s and not net.dest.domain in (%s)\n"
                                  "  output: \"%%net.egress.sum[10m] %%fd.sip\"\n"
                                  "  priority: WARNING\n"
                                  "  enabled: %s\n"
                                  "- rule: over\n"
                                  "  desc: d\n"
                                  "  condition: evt.type = egress and net.egress.bytes > %d\n"
                                  "  output: \"%%fd.sip\"\n"
                                  "  priority: NOTICE\n"
                                  "- rule: begun\n"
                                  "  desc: d\n"
                                  "  condition: evt.type = egress\n"
                                  "  output: \"%%fd.sip\"\n"
                                  "  priority: %s\n",
                                  address(0), sum ? sum : "> 1", named("backup"), sum ? "true" : "false",
                                  150 * KB, priority));
}

static void start_agent(const char *sum)
{
    network = (unsigned)getpid() & 255;
    rules = test_path("rules.yaml");
    write_rules(sum, "NOTICE");
    agent = agent_start(NULL, "--rules", rules, "--rule-matching", "all", "--egress", NULL);
}

static void load_again(void)
{
    kill(agent_pid(agent), SIGHUP);
    time_t deadline = time(NULL) + DEADLINE_S;
    while (!(agent_metric(agent, "inferscope_rule_reloads_total", "result", "ok", NULL) >= 1) &&
           time(NULL) < deadline)
        poll(NULL, 0, 20);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(egress_sum, .init = test_setup, .fini = teardown);

struct sending {
    const char *to;
    size_t datagrams; // of 1000 bytes
};

static int send_datagrams(const void *argument)
{
    static char bytes[KB];
    const struct sending *sending = argument;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    inet_pton(AF_INET, sending->to, &to.sin_addr);
    if (unshare(CLONE_NEWNET) ||
        run_program("ip", "link", "add", "one", "type", "veth", "peer", "name", "two", NULL) ||
        run_program("ip", "addr", "add", format_text("%s/24", address(1)), "dev", "one", NULL) ||
        run_program("ip", "link", "set", "one", "up", NULL) ||
        run_program("ip", "link", "set", "two", "up", NULL) ||
        run_program("ip", "neigh", "add", sending->to, "lladdr", "02:00:00:00:00:01", "dev", "one", NULL))
        return 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (size_t i = 0; i < sending->datagrams; i++)
        if (sendto(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&to, sizeof(to)) != sizeof(bytes))
            return 2;
    return 0;
}

// And waits until it has been looked at.
static void send_to(const char *label, unsigned last, size_t datagrams)
{
    const struct sending sending = {.to = address(last), .datagrams = datagrams};
    uint8_t message[ANSWER_MAX];
    const char *name = named(label);
    answer_send("127.53.0.1", 53, message,
                answer_make(message, format_text("%s-%d", label, getpid()), sending.to, 0));
    double before = agent_metric(agent, "inferscope_egress_bytes_total", "server_address", name, NULL);
    double bytes = (before > 0 ? before : 0) + (double)(datagrams * KB), now = 0;
    in_child(send_datagrams, &sending);
    time_t deadline = time(NULL) + DEADLINE_S;
    while (!(now >= bytes) && time(NULL) < deadline) {
        poll(NULL, 0, 20);
        now = agent_metric(agent, "inferscope_egress_bytes_total", "server_address", name, NULL);
    }
    cr_assert_eq(now, bytes, "%g instead of %g to %s", now, bytes, name);
}

Test(egress_sum, of_destinations_each_of_which_gets_little)
{
    start_agent(format_text(">= %d", 300 * KB));
    send_to("first", 2, 100);
    send_to("backup", 5, 400);
    send_to("second", 3, 40);
    send_to("second", 3, 10);
    // The sum goes on where other rules change, and has what is sent around that once.
    write_rules(format_text(">= %d", 300 * KB), "INFO");
    load_again();
    send_to("second", 3, 50);
    cr_expect_eq(agent_count_alerts(agent, "sum", NULL), 0);
    send_to("third", 4, 100);
    agent_wait_alert(agent, "sum", "net.egress.sum[10m]", "300000", "fd.sip", address(4), NULL);
    send_to("first", 2, 100);
    send_to("third", 4, 10);
    send_to("last", 6, 1);
    agent_wait_alert(agent, "begun", "fd.sip", address(6), NULL);
    cr_expect_eq(agent_count_alerts(agent, "sum", NULL), 1);
    // Rules that add up nothing are told as if nobody did.
    cr_expect_eq(agent_count_alerts(agent, "begun", "fd.sip", address(4), NULL), 1);
    cr_expect_eq(agent_count_alerts(agent, "over", "fd.sip", address(5), NULL), 1);
    cr_expect_eq(agent_count_alerts(agent, "over", "fd.sip", address(2), NULL), 1);
    cr_expect_eq(agent_count_alerts(agent, "over", "fd.sip", address(3), NULL), 0);
}

Test(egress_sum, of_what_is_sent_once_somebody_adds_it_up)
{
    start_agent(NULL);
    send_to("first", 2, 100);
    write_rules(format_text(">= %d", 100 * KB), "NOTICE");
    load_again();
    send_to("first", 2, 1);
    send_to("second", 3, 99);
    agent_wait_alert(agent, "sum", "net.egress.sum[10m]", "100000", "fd.sip", address(3), NULL);
    cr_expect_eq(agent_count_alerts(agent, "sum", NULL), 1);
}
