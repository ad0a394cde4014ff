// What leaves the node, by packets that are handed to the agent's own program instead of being sent: more
// than its table has room for, with which other agents' tables would fill, too.
#include "harness.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 16384, PAYLOAD = 1000, MORE = 500 };

static struct agent *agent;

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(egress_shown, .init = test_setup, .fini = teardown);

static int program_fd(unsigned id, const char *name)
{
    struct bpf_prog_info info = {};
    __u32 size = sizeof(info);
    int fd = bpf_prog_get_fd_by_id(id);
    if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
        strncmp(info.name, name, sizeof(info.name) - 1) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

// That the agent has loaded.
static int find_program(const char *name)
{
    const char *path = format_text("/proc/%d/fdinfo", agent_pid(agent));
    DIR *directory = opendir(path);
    const struct dirent *entry;
    int found = -1;
    while (directory && found < 0 && (entry = readdir(directory))) {
        char line[256];
        unsigned id;
        FILE *file = fopen(format_text("%s/%s", path, entry->d_name), "re");
        while (file && found < 0 && fgets(line, sizeof(line), file))
            if (sscanf(line, "prog_id: %u", &id) == 1)
                found = program_fd(id, name);
        if (file)
            fclose(file);
    }
    if (directory)
        closedir(directory);
    return found;
}

struct datagram {
    uint8_t ethernet[14];
    struct iphdr ip;
    struct udphdr udp;
    uint8_t payload[PAYLOAD];
} __attribute__((packed));

// Shows it a datagram of so many bytes to the address of that number.
static int show(int fd, struct __sk_buff *skb, uint32_t number, uint16_t port, size_t payload)
{
    struct datagram datagram = {.ethernet = {[12] = 0x08},
                                .ip = {.version = 4, .ihl = 5, .protocol = IPPROTO_UDP},
                                .udp = {.dest = htons(port)}};
    datagram.ip.daddr = htonl(0x0a600000 + number);
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &datagram,
                .data_size_in = (__u32)(sizeof(datagram) - PAYLOAD + payload), .ctx_in = skb,
                .ctx_size_in = sizeof(*skb));
    return bpf_prog_test_run_opts(fd, &run);
}

// An interface that is not the loopback one. False: there is none.
static bool make_interface(struct __sk_buff *skb)
{
    if (unshare(CLONE_NEWNET) ||
        run_program("ip", "link", "add", "one", "type", "veth", "peer", "name", "two", NULL))
        return false;
    skb->ifindex = if_nametoindex("one");
    return true;
}

// `act` is handed a descriptor of the agent's program.
static void show_by(int (*act)(const void *))
{
    int fd = find_program("egress_sent_cgroup");
    cr_assert_geq(fd, 0);
    in_child(act, &fd);
    close(fd);
}

static int fill(const void *argument)
{
    struct __sk_buff skb = {};
    int fd = *(const int *)argument;
    if (!make_interface(&skb))
        return 1;
    for (uint32_t i = 0; i < ROOM; i++)
        if (show(fd, &skb, i, 9, 1))
            return 2;
    // To many, and more than once.
    for (uint32_t i = 0; i < MORE; i++)
        if (show(fd, &skb, ROOM + i % (MORE / 2), 9, PAYLOAD))
            return 2;
    return 0;
}

Test(egress_shown, what_there_is_no_room_for_is_in_the_sums)
{
    agent = agent_start(
        format_text("- rule: elsewhere\n"
                    "  desc: d\n"
                    "  condition: evt.type = egress and not fd.sip exists and net.egress.sum[10m] >= %d\n"
                    "  output: \"%%fd.sip %%net.egress.sum[10m] %%net.egress.bytes\"\n"
                    "  priority: WARNING\n",
                    MORE * PAYLOAD),
        "--egress", NULL);
    show_by(fill);
    agent_wait_alert(agent, "elsewhere", "fd.sip", "-", NULL);
    cr_expect_geq(agent_metric(agent, "inferscope_egress_bytes_unplaced_total", NULL), MORE * PAYLOAD);
    cr_expect_eq(agent_metric(agent, "inferscope_egress_bytes_uncounted_total", NULL), 0);
}

static int answer_many(const void *argument)
{
    struct __sk_buff skb = {};
    int fd = *(const int *)argument;
    if (!make_interface(&skb))
        return 1;
    for (uint32_t i = 0; i <= ROOM; i++)
        if (show(fd, &skb, i, 40000, 1))
            return 2;
    return show(fd, &skb, 2 * ROOM, 9, PAYLOAD);
}

// Whom others make answer has room for what he sends by himself.
Test(egress_shown, answers_to_many_leave_room_for_what_is_sent)
{
    agent = agent_start("- rule: begun\n"
                        "  desc: d\n"
                        "  condition: evt.type = egress and (fd.sport = 9 or not fd.sip exists)\n"
                        "  output: \"%fd.sip %net.egress.bytes\"\n"
                        "  priority: WARNING\n",
                        NULL);
    show_by(answer_many);
    agent_wait_alert(agent, "begun", "fd.sip", "-", NULL);
    agent_wait_alert(agent, "begun", "fd.sip", "10.96.128.0", "net.egress.bytes", "1000", NULL);
}

// A segment of IPv6 that is too long for a packet, as the kernel shows it, and one with another option.
static int show_long(const void *argument)
{
    struct {
        uint8_t ethernet[14];
        struct ip6_hdr ip;
        uint8_t options[8];
        struct tcphdr tcp;
        uint8_t payload[PAYLOAD];
    } __attribute__((packed)) segment = {
        .ethernet = {[12] = 0x86, 0xdd},
        .ip = {.ip6_flow = htonl(6U << 28), .ip6_nxt = IPPROTO_HOPOPTS},
        .options = {IPPROTO_TCP, 0, IP6OPT_JUMBO, 4},
        .tcp = {.doff = sizeof(struct tcphdr) / 4},
    };
    struct __sk_buff skb = {};
    int fd = *(const int *)argument;
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &segment, .data_size_in = sizeof(segment), .ctx_in = &skb,
                .ctx_size_in = sizeof(skb));
    if (!make_interface(&skb))
        return 1;
    inet_pton(AF_INET6, "fd96::1", &segment.ip.ip6_dst);
    if (bpf_prog_test_run_opts(fd, &run))
        return 2;
    inet_pton(AF_INET6, "fd96::2", &segment.ip.ip6_dst);
    segment.options[2] = IP6OPT_PADN;
    return bpf_prog_test_run_opts(fd, &run);
}

Test(egress_shown, segments_of_ipv6_that_are_cut_later)
{
    agent = agent_start("- rule: begun\n"
                        "  desc: d\n"
                        "  condition: evt.type = egress\n"
                        "  output: \"%fd.sip %fd.l4proto %net.egress.bytes\"\n"
                        "  priority: WARNING\n",
                        NULL);
    show_by(show_long);
    agent_wait_alert(agent, "begun", "fd.sip", "fd96::1", "fd.l4proto", "tcp", "net.egress.bytes", "1000",
                     NULL);
    agent_wait_alert(agent, "begun", "fd.sip", "fd96::2", "net.egress.bytes", "1028", NULL);
}

static int show_ports(const void *argument)
{
    struct __sk_buff skb = {};
    int fd = *(const int *)argument;
    return !make_interface(&skb) || show(fd, &skb, 1, 40000, PAYLOAD) || show(fd, &skb, 2, 9, PAYLOAD);
}

Test(egress_shown, ports_that_nobody_knows_are_missing)
{
    agent = agent_start("- rule: begun\n"
                        "  desc: d\n"
                        "  condition: evt.type = egress\n"
                        "  output: \"%fd.sip %fd.sport %fd.port %fd.name\"\n"
                        "  priority: WARNING\n",
                        NULL);
    show_by(show_ports);
    agent_wait_alert(agent, "begun", "fd.sip", "10.96.0.2", "fd.sport", "9", "fd.port", "9", "fd.name",
                     "10.96.0.2:9", NULL);
    agent_wait_alert(agent, "begun", "fd.sip", "10.96.0.1", "fd.sport", "-", "fd.port", "-", "fd.name",
                     "10.96.0.1", NULL);
}
