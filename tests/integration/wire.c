#include "wire.h"

#include "harness.h"
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NEAR_MAC "02:00:00:00:00:01"
#define FAR_MAC "02:00:00:00:00:02"

static int namespace_new(void)
{
    cr_assert_eq(unshare(CLONE_NEWNET), 0, "%s", strerror(errno));
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

void wire_enter(int namespace)
{
    cr_assert_eq(setns(namespace, CLONE_NEWNET), 0, "%s", strerror(errno));
}

// The number behind a word, or -1.
static double number_after(const char *text, const char *word)
{
    const char *found = strstr(text, word);
    return found ? strtod(found + strlen(word), NULL) : -1;
}

// --- veth and netem ---

// One packet at a time leaves, as on a real wire: what is lost is a packet then, and not a number of them.
static bool veth_make(const struct wire *wire)
{
    _cleanup_free_ char *output = NULL;
    return run_captured(&output, "ip", "link", "add", "wire", "gso_max_segs", "1", "address", NEAR_MAC,
                        "type", "veth", "peer", "name", "wire", "address", FAR_MAC, "netns",
                        format_text("/proc/%d/fd/%d", getpid(), wire->far), NULL) == 0;
}

// With the other's address known, so that connecting does not begin with asking for it.
static void end_up(const char *own, const char *other, const char *other_mac)
{
    cr_assert_eq(run_program("ip", "addr", "add", format_text("%s/30", own), "dev", "wire", NULL), 0);
    cr_assert_eq(run_program("ip", "link", "set", "wire", "up", NULL), 0);
    cr_assert_eq(run_program("ip", "neigh", "add", other, "lladdr", other_mac, "dev", "wire", NULL), 0);
}

// The kernel brings a device up some time after it was asked to.
static void wait_running(void)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "wire"};
    for (time_t until = time(NULL) + DEADLINE_S; !(request.ifr_flags & IFF_RUNNING);) {
        cr_assert_lt(time(NULL), until, "the wire does not come up");
        poll(NULL, 0, 1);
        cr_assert_eq(ioctl(fd, SIOCGIFFLAGS, &request), 0, "%s", strerror(errno));
    }
}

static bool netem_set(const struct wire_options *options, bool loses)
{
    _cleanup_free_ char *output = NULL;
    const char *loss = format_text("%g%%", loses && options->lose_every ? 100.0 / options->lose_every : 0);
    return run_captured(&output, "tc", "qdisc", "add", "dev", "wire", "root", "netem", "limit", "100000",
                        "delay", format_text("%ums", options->delay_ms), "loss", loss, NULL) == 0;
}

static bool veth_wire_make(const struct wire_options *options, const struct wire *wire)
{
    bool plain = !options->delay_ms && !options->lose_every;
    wire_enter(wire->near);
    if (!veth_make(wire) || (!plain && !netem_set(options, true)))
        return false;
    end_up(WIRE_NEAR, WIRE_FAR, FAR_MAC);
    wire_enter(wire->far);
    if (!plain)
        cr_assert(netem_set(options, false));
    end_up(WIRE_FAR, WIRE_NEAR, NEAR_MAC);
    wait_running();
    wire_enter(wire->near);
    wait_running();
    return true;
}

// --- Either ---

bool wire_make(const struct wire_options *options, struct wire *ret_wire)
{
    struct wire wire = {.near = namespace_new(), .far = namespace_new()};
    // Of what is lost and sent again, the relay knows more than netem.
    if (options->lose_every)
        wire.relay = relay_make(options, &wire);
    if (!wire.relay && !veth_wire_make(options, &wire)) {
        wire_enter(wire.near);
        run_program("ip", "link", "del", "wire", NULL);
        wire.relay = relay_make(options, &wire);
        if (!wire.relay)
            return false;
    }
    *ret_wire = wire;
    return true;
}

struct wire_losses wire_losses(const struct wire *wire, const struct wire_account *near)
{
    _cleanup_free_ char *text = NULL;
    if (wire->relay)
        return relay_losses(wire->relay);
    cr_assert_eq(run_captured(&text, "tc", "-s", "qdisc", "show", "dev", "wire", NULL), 0, "%s", text);
    double dropped = number_after(text, "(dropped ");
    cr_assert_geq(dropped, 0, "%s", text);
    return (struct wire_losses){.lost = (unsigned)dropped, .needless = near->needless};
}

// True where that was all acknowledged.
static bool account_ask(struct wire_account *ret_account)
{
    _cleanup_free_ char *text = NULL;
    cr_assert_eq(run_captured(&text, "ss", "-tinOH", "state", "established", NULL), 0, "%s", text);
    const char *end = strchr(text, '\n'), *retransmits = strstr(text, " retrans:");
    cr_assert(end && !end[1] && strstr(text, " rtt:"), "not one connection: %s", text);
    *ret_account = (struct wire_account){
        .rtt_s = number_after(text, " rtt:") / 1e3,
        // On their way, a slash, and ever.
        .retransmits = retransmits ? (unsigned)number_after(retransmits, "/") : 0,
        .needless = (unsigned)fmax(number_after(text, " dsack_dups:"), 0),
        .sent = (unsigned long)(number_after(text, " bytes_sent:") -
                                fmax(number_after(text, " bytes_retrans:"), 0)),
        .received = (unsigned long)number_after(text, " bytes_received:"),
    };
    return !strstr(text, " unacked:");
}

struct wire_account wire_account(void)
{
    struct wire_account account;
    while (!account_ask(&account))
        poll(NULL, 0, 10);
    return account;
}
