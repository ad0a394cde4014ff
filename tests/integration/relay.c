#include "relay.h"

#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
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
    IDLE_MS = 5000,
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

static void carry(int near, int far, const struct wire_options *options, struct wire_losses *losses)
{
    static struct lane lanes[2];
    lanes[0].from = lanes[1].to = near;
    lanes[0].to = lanes[1].from = far;
    lanes[0].lose_every = options->lose_every;
    lanes[0].losses = losses;
    uint64_t delay_ns = (uint64_t)options->delay_ms * 1000000, last_ns = now_ns();
    while (now_ns() - last_ns < (uint64_t)IDLE_MS * 1000000) {
        uint64_t wait_ns = (uint64_t)IDLE_MS * 1000000;
        for (size_t i = 0; i < ARRAY_SIZE(lanes); i++) {
            uint64_t now = now_ns();
            const struct packet *next = &lanes[i].packets[lanes[i].first];
            if (lanes[i].count)
                last_ns = now;
            if (lanes[i].count && next->due_ns < now + wait_ns)
                wait_ns = next->due_ns > now ? next->due_ns - now : 0;
        }
        struct pollfd fds[] = {{.fd = near, .events = POLLIN}, {.fd = far, .events = POLLIN}};
        struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000),
                                .tv_nsec = (long)(wait_ns % 1000000000)};
        ppoll(fds, ARRAY_SIZE(fds), &wait, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(lanes); i++) {
            take(&lanes[i], delay_ns);
            hand_over(&lanes[i]);
        }
    }
}

const struct wire_losses *relay_make(const struct wire_options *options, const struct wire *wire)
{
    wire_enter(wire->near);
    _cleanup_close_ int near = tun_make(WIRE_NEAR, WIRE_FAR);
    if (near < 0)
        return NULL;
    wire_enter(wire->far);
    _cleanup_close_ int far = tun_make(WIRE_FAR, WIRE_NEAR);
    cr_assert_geq(far, 0);
    struct wire_losses *losses =
        mmap(NULL, sizeof(*losses), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(losses, MAP_FAILED);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        carry(near, far, options, losses);
        _exit(0);
    }
    wire_enter(wire->near);
    return losses;
}
