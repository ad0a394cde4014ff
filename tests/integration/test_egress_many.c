// What leaves the node for more destinations than there is room for. The packets are handed to the agent's
// own program instead of being sent: other agents' tables would fill with them, too.
#include "harness.h"

#include "base/cleanup.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
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

TestSuite(egress_many, .init = test_setup, .fini = teardown);

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
static int show(int fd, struct __sk_buff *skb, uint32_t number, size_t payload)
{
    struct datagram datagram = {.ethernet = {[12] = 0x08},
                                .ip = {.version = 4, .ihl = 5, .protocol = IPPROTO_UDP},
                                .udp = {.dest = htons(9)}};
    datagram.ip.daddr = htonl(0x0a600000 + number);
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &datagram,
                .data_size_in = (__u32)(sizeof(datagram) - PAYLOAD + payload), .ctx_in = skb,
                .ctx_size_in = sizeof(*skb));
    return bpf_prog_test_run_opts(fd, &run);
}

static int fill(const void *argument)
{
    int fd = *(const int *)argument;
    if (unshare(CLONE_NEWNET) ||
        run_program("ip", "link", "add", "one", "type", "veth", "peer", "name", "two", NULL))
        return 1;
    struct __sk_buff skb = {.ifindex = if_nametoindex("one")};
    for (uint32_t i = 0; i < ROOM; i++)
        if (show(fd, &skb, i, 1))
            return 2;
    // To many, and more than once.
    for (uint32_t i = 0; i < MORE; i++)
        if (show(fd, &skb, ROOM + i % (MORE / 2), PAYLOAD))
            return 2;
    return 0;
}

Test(egress_many, what_there_is_no_room_for_is_in_the_sums)
{
    agent = agent_start(
        format_text("- rule: elsewhere\n"
                    "  desc: d\n"
                    "  condition: evt.type = egress and not fd.sip exists and net.egress.sum[10m] >= %d\n"
                    "  output: \"%%fd.sip %%net.egress.sum[10m] %%net.egress.bytes\"\n"
                    "  priority: WARNING\n",
                    MORE * PAYLOAD),
        "--egress", NULL);
    int fd = find_program("egress_sent_cgroup");
    cr_assert_geq(fd, 0);
    in_child(fill, &fd);
    close(fd);
    agent_wait_alert(agent, "elsewhere", "fd.sip", "-", NULL);
    cr_expect_geq(agent_metric(agent, "inferscope_egress_bytes_unplaced_total", NULL), MORE * PAYLOAD);
    cr_expect_eq(agent_metric(agent, "inferscope_egress_bytes_uncounted_total", NULL), 0);
}
