// Source `egress`: what leaves the node. Another machine is played by a network namespace behind a veth.
#include "answers.h"
#include "harness.h"
#include "tenant.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Addresses of the other machine, and one that nobody has: our own, as others may run this, too.
static const char *near, *drop, *backup, *nobody, *all_of_them;
#define PORT 8443
#define MB 1000000

static struct agent *agent;

static void choose_addresses(void)
{
    unsigned number = (unsigned)getpid() & 255;
    near = format_text("10.99.%u.1", number);
    drop = format_text("10.99.%u.2", number);
    backup = format_text("10.99.%u.3", number);
    nobody = format_text("10.99.%u.9", number);
    all_of_them = format_text("10.99.%u.0/24", number);
}

// The name that name_address() gives.
static const char *named(const char *label)
{
    return format_text("%s-%d.inferscope.example", label, getpid());
}

static void setup(void)
{
    test_setup();
    choose_addresses();
    agent = agent_start(
        format_text("- rule: away\n"
                    "  desc: d\n"
                    "  condition: evt.type = egress and net.egress.bytes > 1000000 and\n"
                    "    not net.dest.domain in (%s)\n"
                    "  output: \"%%proc.name %%fd.sip %%fd.sport %%fd.l4proto %%net.dest.domain "
                    "%%net.egress.bytes\"\n"
                    "  priority: WARNING\n"
                    "- rule: begun\n"
                    "  desc: d\n"
                    "  condition: evt.type = egress\n"
                    "  output: \"%%proc.name %%fd.sip %%fd.sip.name %%fd.l4proto %%net.egress.bytes\"\n"
                    "  priority: NOTICE\n",
                    named("backup")),
        "--egress", "--rule-matching", "all", NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(egress, .init = setup, .fini = teardown);

// --- The other machine ---

static struct sockaddr_in address_of(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    inet_pton(AF_INET, text, &address.sin_addr);
    return address;
}

// Takes `connections` connections, reads each to its end and says how much came in all. Its namespace, and
// with it the wire, is there until the other end of `stay` is closed.
static void take(int report, int stay, size_t connections)
{
    static char buffer[1 << 20];
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    size_t total = 0;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listening, (struct sockaddr *)&any, sizeof(any)) || listen(listening, 16) ||
        write(report, &total, sizeof(total)) < 0)
        _exit(1);
    for (size_t i = 0; i < connections; i++) {
        int from = accept(listening, NULL, NULL);
        ssize_t count;
        while ((count = read(from, buffer, sizeof(buffer))) > 0)
            total += (size_t)count;
        close(from);
    }
    if (write(report, &total, sizeof(total)) < 0)
        _exit(1);
    _exit(read(stay, buffer, 1) != 0);
}

struct sending {
    const char *to;
    size_t bytes;
    const char *hello; // sent first; NULL: none
    size_t hello_size;
    bool by_udp;
};

struct plan {
    struct sending sendings[4];
    size_t count;
};

static int send_one(const struct sending *sending)
{
    static char bytes[65536];
    struct sockaddr_in to = address_of(sending->to);
    int fd = socket(AF_INET, sending->by_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    size_t step = sending->by_udp ? 1000 : sizeof(bytes);
    if (!sending->by_udp && connect(fd, (struct sockaddr *)&to, sizeof(to)))
        return 10;
    if (sending->hello && send(fd, sending->hello, sending->hello_size, 0) != (ssize_t)sending->hello_size)
        return 11;
    for (size_t left = sending->bytes; left > 0;) {
        size_t part = left < step ? left : step;
        ssize_t sent = sending->by_udp ? sendto(fd, bytes, part, 0, (struct sockaddr *)&to, sizeof(to))
                                       : send(fd, bytes, part, 0);
        if (sent <= 0)
            return 12;
        left -= (size_t)sent;
    }
    close(fd);
    return 0;
}

// TCP sends nothing a second time because an answer is late, which would count, too: this machine may be
// slow. Nor because packets overtake one another, as those of two CPUs can: all of this is done by one.
static int be_patient(void)
{
    return run_program("ip", "route", "change", all_of_them, "dev", "here", "src", near, "rto_min", "60s",
                       NULL) ||
           run_program("sh", "-c", "echo 0 >/proc/sys/net/ipv4/tcp_early_retrans", NULL);
}

// In namespaces of its own, which go with it. 0 where all that was sent by TCP has come there.
static int send_all(const void *argument)
{
    const struct plan *plan = argument;
    int ready[2], report[2];
    size_t expected = 0, connections = 0, got = 0;
    for (size_t i = 0; i < plan->count; i++) {
        connections += !plan->sendings[i].by_udp;
        expected += plan->sendings[i].by_udp ? 0 : plan->sendings[i].bytes + plan->sendings[i].hello_size;
    }
    stay_on_one_cpu();
    if (unshare(CLONE_NEWNET) || pipe(ready) || pipe(report))
        return 1;
    pid_t peer = fork();
    if (peer == 0) {
        char go;
        close(ready[1]);
        if (unshare(CLONE_NEWNET) || write(report[1], "", 1) != 1 || read(ready[0], &go, 1) != 1 ||
            run_program("ip", "addr", "add", format_text("%s/24", drop), "dev", "there", NULL) ||
            run_program("ip", "addr", "add", format_text("%s/24", backup), "dev", "there", NULL) ||
            run_program("ip", "link", "set", "there", "up", NULL))
            _exit(2);
        take(report[1], ready[0], connections);
    }
    char unshared;
    if (read(report[0], &unshared, 1) != 1 ||
        run_program("ip", "link", "add", "here", "type", "veth", "peer", "name", "there", "netns",
                    format_text("%d", peer), NULL) ||
        run_program("ip", "addr", "add", format_text("%s/24", near), "dev", "here", NULL) ||
        run_program("ip", "link", "set", "here", "up", NULL) || be_patient() || write(ready[1], "", 1) != 1 ||
        read(report[0], &got, sizeof(got)) != sizeof(got))
        return 3;
    for (size_t i = 0; i < plan->count; i++) {
        int error = send_one(&plan->sendings[i]);
        if (error)
            return error;
    }
    if (read(report[0], &got, sizeof(got)) != sizeof(got))
        return 4;
    return got == expected ? 0 : 5;
}

static void send_by(const struct plan *plan)
{
    in_child(send_all, plan);
}

static void name_address(const char *label, const char *address)
{
    uint8_t message[ANSWER_MAX];
    answer_send("127.53.0.1", 53, message,
                answer_make(message, format_text("%s-%d", label, getpid()), address, 0));
}

static double bytes_to(const char *name)
{
    return agent_metric(agent, "inferscope_egress_bytes_total", "server_address", name, NULL);
}

// Waits until they are as many, as an alert comes when the first of them are enough.
static void expect_bytes(const char *name, double bytes)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    while (!(bytes_to(name) >= bytes) && time(NULL) < deadline)
        poll(NULL, 0, 20);
    cr_expect_eq(bytes_to(name), bytes, "%g instead of %g to %s", bytes_to(name), bytes, name);
}

// --- Tests ---

Test(egress, much_to_a_stranger_is_told_once_and_a_backup_is_not)
{
    name_address("drop", drop);
    name_address("backup", backup);
    const struct plan plan = {.sendings = {{.to = backup, .bytes = 3 * MB},
                                           {.to = drop, .bytes = 2 * MB},
                                           {.to = drop, .bytes = 2 * MB}},
                              .count = 3};
    send_by(&plan);
    agent_wait_alert(agent, "away", "fd.sip", drop, "fd.sport", "8443", "fd.l4proto", "tcp",
                     "net.dest.domain", named("drop"), NULL);
    agent_wait_alert(agent, "begun", "fd.sip", backup, "fd.sip.name", named("backup"), NULL);
    expect_bytes(named("drop"), 4 * MB);
    expect_bytes(named("backup"), 3 * MB);
    cr_expect_eq(
        agent_metric(agent, "inferscope_egress_connections_total", "server_address", named("drop"), NULL), 2);
    // More to the same destination is no new crossing.
    const struct plan more = {
        .sendings = {{.to = drop, .bytes = MB}, {.to = drop, .bytes = 1, .by_udp = true}}, .count = 2};
    send_by(&more);
    // A sum that does not reach the number, to say that the others have been looked at.
    const struct plan last = {.sendings = {{.to = nobody, .bytes = 1000, .by_udp = true}}, .count = 1};
    send_by(&last);
    agent_wait_alert(agent, "begun", "fd.sip", nobody, "fd.l4proto", "udp", NULL);
    cr_expect_eq(agent_count_alerts(agent, "away", "fd.sip", drop, NULL), 1);
    cr_expect_eq(agent_count_alerts(agent, "away", "fd.sip", backup, NULL), 0);
}

Test(egress, datagrams_count_too)
{
    name_address("quic", backup);
    const struct plan plan = {.sendings = {{.to = backup, .bytes = 50000, .by_udp = true}}, .count = 1};
    send_by(&plan);
    agent_wait_alert(agent, "begun", "fd.sip", backup, "fd.l4proto", "udp", NULL);
    expect_bytes(named("quic"), 50000);
}

Test(egress, name_from_a_tls_handshake_where_dns_said_none)
{
    char hello[2048];
    int fd = open("tests/fuzz/corpus/hello/python", O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, hello, sizeof(hello));
    cr_assert_gt(size, 0);
    close(fd);
    const struct plan plan = {
        .sendings = {{.to = drop, .bytes = 1000, .hello = hello, .hello_size = (size_t)size}}, .count = 1};
    send_by(&plan);
    agent_wait_alert(agent, "begun", "fd.sip", drop, "fd.sip.name", "models.example.com", NULL);
    expect_bytes("models.example.com", 1000 + size);
}

static int stay_here(const void *argument)
{
    static char bytes[MB];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    inet_pton(AF_INET, "127.0.0.7", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return sendto(fd, bytes, 1000, 0, (struct sockaddr *)&to, sizeof(to)) != 1000;
}

Test(egress, what_stays_on_the_node_does_not_count)
{
    in_child(stay_here, NULL);
    const struct plan plan = {.sendings = {{.to = nobody, .bytes = 1000, .by_udp = true}}, .count = 1};
    send_by(&plan);
    agent_wait_alert(agent, "begun", "fd.sip", nobody, NULL);
    cr_expect_eq(agent_count_alerts(agent, "begun", "fd.sip", "127.0.0.7", NULL), 0);
}

// The file is opened by one process and something sent by another one of the same cgroup, as by `cat | curl`.
struct theft {
    const char *cgroup;
    const char *path;
    struct plan plan;
};

static int open_file(const void *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0;
}

static int steal(const void *argument)
{
    const struct theft *theft = argument;
    write_file(format_text("%s/cgroup.procs", theft->cgroup), "0");
    in_child(open_file, theft->path);
    return send_all(&theft->plan);
}

Test(egress, weights_that_were_opened_before)
{
    const char *mount = cgroup_mount();
    if (!mount)
        cr_skip_test("no cgroup file system of the second version is mounted here");
    agent_stop(TAKE_PTR(agent));
    agent = agent_start(
        "- rule: model\n"
        "  desc: d\n"
        "  condition: evt.type = egress and net.egress.bytes > 1000000 and net.egress.weights exists\n"
        "  output: \"%fd.sip %net.egress.weights\"\n"
        "  priority: WARNING\n"
        "- rule: other\n"
        "  desc: d\n"
        "  condition: evt.type = egress and net.egress.bytes > 1000000\n"
        "  output: \"%fd.sip %net.egress.weights\"\n"
        "  priority: WARNING\n",
        NULL);
    double before = agent_open_events(agent);
    struct theft theft = {.cgroup = format_text("%s/inferscope-test-%d", mount, getpid()),
                          .path = test_path("notes.txt"),
                          .plan = {.sendings = {{.to = drop, .bytes = 2 * MB}}, .count = 1}};
    cr_assert_eq(mkdir(theft.cgroup, 0755), 0);
    write_file(theft.path, "no weights");
    in_child(steal, &theft);
    agent_wait_alert(agent, "other", "fd.sip", drop, "net.egress.weights", "-", NULL);
    theft.path = test_path("secret-model.safetensors");
    theft.plan.sendings[0].to = backup;
    write_file(theft.path, "weights");
    in_child(steal, &theft);
    agent_wait_alert(agent, "model", "fd.sip", backup, "net.egress.weights", theft.path, NULL);
    rmdir(theft.cgroup);
    // Of all the opens meanwhile only those of files with such names have left the kernel.
    cr_expect_leq(agent_open_events(agent) - before, 20);
}

// The same classes as those of TCP connections.
Test(egress, destinations_have_classes)
{
    agent_stop(TAKE_PTR(agent));
    agent = agent_start(NULL, "--egress", "--network-cluster", drop, NULL);
    name_address("drop", drop);
    name_address("backup", backup);
    const struct plan plan = {.sendings = {{.to = drop, .bytes = 3000}, {.to = backup, .bytes = 2000}},
                              .count = 2};
    send_by(&plan);
    expect_bytes(named("drop"), 3000);
    expect_bytes(named("backup"), 2000);
    cr_expect_eq(agent_metric(agent, "inferscope_egress_bytes_total", "server_address", named("drop"),
                              "peer_class", "cluster", NULL),
                 3000);
    cr_expect_eq(agent_metric(agent, "inferscope_egress_connections_total", "server_address", named("backup"),
                              "peer_class", "private", NULL),
                 1);
}

Test(egress, not_loaded_where_nobody_asks)
{
    agent_stop(TAKE_PTR(agent));
    agent = agent_start(
        "- rule: any\n  desc: d\n  condition: evt.type = connect\n  output: o\n  priority: NOTICE\n", NULL);
    cr_expect(isnan(agent_metric(agent, "inferscope_source_up", "source", "egress", NULL)));
}

// --- What is asked for again ---

// A network namespace with an interface behind which nobody answers.
static int enter_emptiness(void)
{
    return unshare(CLONE_NEWNET) ||
           run_program("ip", "link", "add", "one", "type", "veth", "peer", "name", "two", NULL) ||
           run_program("ip", "addr", "add", format_text("%s/24", near), "dev", "one", NULL) ||
           run_program("ip", "link", "set", "one", "up", NULL) ||
           run_program("ip", "link", "set", "two", "up", NULL);
}

static int ask_again(const void *argument)
{
    struct sockaddr_in to = address_of(drop);
    struct tcp_info info = {};
    socklen_t size = sizeof(info);
    if (enter_emptiness())
        return 1;
    // Without a neighbour that is known, the kernel would give up before it asks again.
    if (run_program("ip", "neigh", "add", drop, "lladdr", "02:00:00:00:00:01", "dev", "one", NULL))
        return 2;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno != EINPROGRESS)
        return 3;
    while (info.tcpi_total_retrans == 0)
        if (poll(NULL, 0, 50) || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
            return 4;
    return 0;
}

Test(egress, a_connection_that_is_asked_for_again_counts_once)
{
    name_address("silent", drop);
    in_child(ask_again, NULL);
    time_t deadline = time(NULL) + DEADLINE_S;
    double count = NAN;
    for (; !(count > 0) && time(NULL) < deadline; poll(NULL, 0, 20))
        count = agent_metric(agent, "inferscope_egress_connections_total", "server_address", named("silent"),
                             NULL);
    cr_expect_eq(count, 1);
    expect_bytes(named("silent"), 0);
}

// --- IPv6 ---

static const char *distant;

static int send_by_ipv6(const void *argument)
{
    static char bytes[700];
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
    inet_pton(AF_INET6, distant, &to.sin6_addr);
    if (enter_emptiness() || run_program("ip", "addr", "add", "fd99::1/64", "dev", "one", "nodad", NULL))
        return 1;
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    // The interface may come up only now.
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; poll(NULL, 0, 10))
        if (sendto(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(bytes))
            return 0;
    return 2;
}

Test(egress, by_ipv6)
{
    if (access("/proc/net/if_inet6", F_OK))
        cr_skip_test("this kernel has no IPv6");
    distant = format_text("fd99::%x:9", getpid() & 0xffff);
    in_child(send_by_ipv6, NULL);
    agent_wait_alert(agent, "begun", "fd.sip", distant, "fd.l4proto", "udp", "net.egress.bytes", "700", NULL);
}

// --- Rules with several numbers ---

static void two_rules(const char *path, unsigned first, unsigned second)
{
    const char *text = "";
    for (int i = 0; i < 2; i++) {
        unsigned number = i == 0 ? first : second;
        text = format_text("%s- rule: over %u\n"
                           "  desc: d\n"
                           "  condition: evt.type = egress and net.egress.bytes > %u\n"
                           "  output: \"%%fd.sip %%net.egress.bytes\"\n"
                           "  priority: NOTICE\n",
                           text, number, number);
    }
    write_file(path, text);
}

Test(egress, numbers_of_several_rules_and_of_rules_loaded_again)
{
    const char *rules = test_path("rules.yaml");
    const struct plan plan = {.sendings = {{.to = drop, .bytes = MB}}, .count = 1};
    agent_stop(TAKE_PTR(agent));
    two_rules(rules, 500000, 1500000);
    agent = agent_start(NULL, "--rules", rules, "--rule-matching", "all", NULL);
    send_by(&plan);
    agent_wait_alert(agent, "over 500000", "fd.sip", drop, NULL);
    cr_expect_eq(agent_count_alerts(agent, "over 1500000", "fd.sip", drop, NULL), 0);
    send_by(&plan);
    agent_wait_alert(agent, "over 1500000", "fd.sip", drop, NULL);
    // The sums stay; what is compared with them changes.
    two_rules(rules, 2500000, 90000000);
    kill(agent_pid(agent), SIGHUP);
    time_t deadline = time(NULL) + DEADLINE_S;
    while (!(agent_metric(agent, "inferscope_rule_reloads_total", "result", "ok", NULL) >= 1) &&
           time(NULL) < deadline)
        poll(NULL, 0, 20);
    send_by(&plan);
    agent_wait_alert(agent, "over 2500000", "fd.sip", drop, NULL);
    cr_expect_eq(agent_count_alerts(agent, "over 90000000", "fd.sip", drop, NULL), 0);
}

// --- Containers ---

static void container_setup(void)
{
    tenant_setup();
    choose_addresses();
}

TestSuite(egress_container, .init = container_setup, .fini = tenant_teardown);

Test(egress_container, bytes_of_one_that_is_gone_before_anybody_asks)
{
    agent = agent_start("- rule: begun\n"
                        "  desc: d\n"
                        "  condition: evt.type = egress\n"
                        "  output: \"%fd.sip %k8s.pod.name\"\n"
                        "  priority: NOTICE\n",
                        "--egress", NULL);
    name_address("away", drop);
    const struct plan plan = {.sendings = {{.to = drop, .bytes = MB}}, .count = 1};
    tenant_run(send_all, &plan);
    agent_wait_alert(agent, "begun", "fd.sip", drop, "k8s.pod.name", "pod", NULL);
    // The second of this, too, has seen the first.
    const struct plan last = {.sendings = {{.to = nobody, .bytes = 1000, .by_udp = true}}, .count = 1};
    send_by(&last);
    agent_wait_alert(agent, "begun", "fd.sip", nobody, NULL);
    tenant_end();
    double bytes = agent_metric(agent, "inferscope_egress_bytes_total", "server_address", named("away"),
                                "k8s_container_name", tenant_name(), NULL);
    cr_expect_eq(bytes, MB, "%g in all of it, %g of it by name", bytes, bytes_to(named("away")));
    agent_stop(TAKE_PTR(agent));
}
