#include "relay.h"

#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PACKETS_MAX = 2048, // on their way, one direction
    PACKET_MAX = 1500,
    QUEUE_MAX = 10000,  // that the relay has not taken yet: a kernel's own 500 can all come before it runs
    DATA_MIN = 100,     // a packet without data is shorter
    DATA_MAX = 4000000, // bytes of one connection
    LANES = 2,
};

struct relay {
    int ask, answer; // our ends of pipes
    struct wire_losses *losses;
};

struct packet {
    uint64_t due_ns;
    size_t length;
    char bytes[PACKET_MAX];
};

// The packets of one direction, in the order in which they came.
struct lane {
    int from, to;
    struct wire_losses *losses;
    unsigned lose_every, seen; // packets with data
    uint32_t begin;            // sequence number of the first of these
    bool carried[DATA_MAX];    // data that begin there
    size_t first, count;
    struct packet packets[PACKETS_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void set_address(int fd, struct ifreq *request, unsigned long what, const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    cr_assert_eq(inet_pton(AF_INET, text, &address.sin_addr), 1);
    memcpy(&request->ifr_addr, &address, sizeof(address));
    cr_assert_eq(ioctl(fd, what, request), 0, "%s: %s", text, strerror(errno));
}

static int tun_make(const char *own, const char *other)
{
    int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    struct ifreq request = {.ifr_name = "wire", .ifr_flags = IFF_TUN | IFF_NO_PI};
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request))
        return -1;
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    set_address(fd, &request, SIOCSIFADDR, own);
    set_address(fd, &request, SIOCSIFDSTADDR, other);
    request.ifr_qlen = QUEUE_MAX;
    cr_assert_eq(ioctl(fd, SIOCSIFTXQLEN, &request), 0, "%s", strerror(errno));
    request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_POINTOPOINT;
    cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0, "%s", strerror(errno));
    return tun;
}

// Of a packet with data, of IPv4 and TCP.
static uint32_t sequence_of(const char *bytes)
{
    uint32_t sequence;
    memcpy(&sequence, bytes + (bytes[0] & 0xf) * 4 + 4, sizeof(sequence));
    return ntohl(sequence);
}

static void count(struct lane *lane, bool lost, const char *bytes)
{
    bool *carried = &lane->carried[(sequence_of(bytes) - lane->begin) % DATA_MAX];
    lane->losses->lost += lost;
    lane->losses->needless += !lost && *carried;
    *carried |= !lost;
}

// Of what comes first it is known where data begin.
static bool loses(struct lane *lane, const char *bytes)
{
    if (!lane->seen++)
        lane->begin = sequence_of(bytes);
    bool lost = lane->seen % lane->lose_every == 0;
    count(lane, lost, bytes);
    return lost;
}

static void take(struct lane *lane, uint64_t delay_ns)
{
    while (lane->count < PACKETS_MAX) {
        struct packet *packet = &lane->packets[(lane->first + lane->count) % PACKETS_MAX];
        ssize_t length = read(lane->from, packet->bytes, sizeof(packet->bytes));
        if (length <= 0)
            return;
        if (lane->lose_every && length > DATA_MIN && loses(lane, packet->bytes))
            continue;
        packet->length = (size_t)length;
        packet->due_ns = now_ns() + delay_ns;
        lane->count++;
    }
}

static void hand_over(struct lane *lane)
{
    while (lane->count && lane->packets[lane->first].due_ns <= now_ns()) {
        const struct packet *packet = &lane->packets[lane->first];
        if (write(lane->to, packet->bytes, packet->length) < 0 && errno != EAGAIN)
            return; // the other side has gone
        lane->first = (lane->first + 1) % PACKETS_MAX;
        lane->count--;
    }
}

// How long until the first packet is due, for ppoll(); NULL: there is none.
static const struct timespec *wait_of(const struct lane *lanes, struct timespec *ret_wait)
{
    uint64_t now = now_ns(), due = UINT64_MAX;
    for (size_t i = 0; i < LANES; i++)
        if (lanes[i].count && lanes[i].packets[lanes[i].first].due_ns < due)
            due = lanes[i].packets[lanes[i].first].due_ns;
    uint64_t wait = due > now ? due - now : 0;
    *ret_wait =
        (struct timespec){.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)};
    return due == UINT64_MAX ? NULL : ret_wait;
}

// Until nobody can ask any more. What it is asked is answered when all that was sent before has been taken
// and handed over.
static void carry(int near, int far, const struct wire_options *options, struct wire_losses *losses, int ask,
                  int answer)
{
    static struct lane lanes[LANES];
    bool asked = false;
    char byte;
    lanes[0].from = lanes[1].to = near;
    lanes[0].to = lanes[1].from = far;
    lanes[0].lose_every = options->lose_every;
    lanes[0].losses = losses;
    for (;;) {
        struct pollfd fds[] = {{.fd = near, .events = POLLIN},
                               {.fd = far, .events = POLLIN},
                               {.fd = asked ? -1 : ask, .events = POLLIN}};
        struct timespec wait;
        ppoll(fds, ARRAY_SIZE(fds), wait_of(lanes, &wait), NULL);
        if (!asked && fds[2].revents && !(asked = read(ask, &byte, 1) == 1))
            return;
        for (size_t i = 0; i < LANES; i++) {
            take(&lanes[i], (uint64_t)options->delay_ms * 1000000);
            hand_over(&lanes[i]);
        }
        if (asked && !lanes[0].count && !lanes[1].count)
            asked = write(answer, &byte, 1) != 1;
    }
}

const struct relay *relay_make(const struct wire_options *options, const struct wire *wire)
{
    static struct relay relay;
    int ask[2], answer[2];
    wire_enter(wire->near);
    _cleanup_close_ int near = tun_make(WIRE_NEAR, WIRE_FAR);
    if (near < 0)
        return NULL;
    wire_enter(wire->far);
    _cleanup_close_ int far = tun_make(WIRE_FAR, WIRE_NEAR);
    cr_assert_geq(far, 0);
    cr_assert(pipe2(ask, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0);
    relay = (struct relay){.ask = ask[1], .answer = answer[0]};
    relay.losses =
        mmap(NULL, sizeof(*relay.losses), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(relay.losses, MAP_FAILED);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ask[1]);
        carry(near, far, options, relay.losses, ask[0], answer[1]);
        _exit(0);
    }
    close(ask[0]);
    close(answer[1]);
    wire_enter(wire->near);
    return &relay;
}

struct wire_losses relay_losses(const struct relay *relay)
{
    struct pollfd answer = {.fd = relay->answer, .events = POLLIN};
    char byte = 0;
    cr_assert_eq(write(relay->ask, &byte, 1), 1);
    cr_assert_eq(poll(&answer, 1, DEADLINE_S * 1000), 1, "the relay does not answer");
    cr_assert_eq(read(relay->answer, &byte, 1), 1);
    return *relay->losses;
}
