// Source `dup`: what a copied descriptor is, and who asked for the connection behind it.
#include "compat.h"
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <math.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

static struct agent *agent;

static void setup(void)
{
    test_setup();
    // The classic rule as it stands in public files, beside one for all that this process and its children
    // do. There is room for what others copy meanwhile.
    agent = agent_start(
        format_text(
            "- rule: shell\n"
            "  desc: standard input and output lead to the network\n"
            "  condition: >\n"
            "    evt.type in (dup, dup2, dup3) and evt.rawres in (0, 1, 2) and fd.type in (ipv4, ipv6)\n"
            "    and proc.ppid = %d\n"
            "  output: \"%%fd.sip %%fd.cip %%fd.name %%fd.num\"\n"
            "  priority: NOTICE\n"
            "- rule: copied\n"
            "  desc: any copy\n"
            "  condition: evt.type in (dup, dup2, dup3) and proc.pid = %d\n"
            "  output: \"%%evt.type %%evt.rawres %%evt.res %%evt.failed %%evt.arg.fd %%evt.arg.oldfd\n"
            "    %%evt.arg.newfd %%evt.arg.flags %%fd.num %%fd.type %%fd.typechar %%fd.name %%fd.directory\n"
            "    %%fd.filename %%fd.ino %%fd.sip %%fd.sport %%fd.cip %%fd.cport %%fd.l4proto %%fd.is_server\n"
            "    %%fd.connected\"\n"
            "  priority: NOTICE\n",
            getpid(), getpid()),
        "--ring-size", "64", NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(dup, .init = setup, .fini = teardown);

static const char *number(long value)
{
    return format_text("%ld", value);
}

// --- What a descriptor is ---

// Copies a descriptor and expects the alert; `name` may be "-" for none or "*" for any.
static void expect_copy(int fd, const char *type, const char *letter, const char *name)
{
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    struct stat status;
    cr_assert_eq(fstat(fd, &status), 0);
    _cleanup_close_ int copy = dup(fd);
    agent_wait_alert(agent, "copied", "evt.type", "dup", "evt.rawres", number(copy), "evt.arg.fd", number(fd),
                     "fd.num", number(copy), "fd.ino", format_text("%lu", status.st_ino), "fd.type", type,
                     "fd.typechar", letter, "fd.name", name, "evt.res", "SUCCESS", "evt.failed", "false",
                     NULL);
}

Test(dup, files)
{
    const char *path = test_path("a file");
    write_file(path, "x");
    _cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC);
    expect_copy(file, "file", "f", path);
    agent_wait_alert(agent, "copied", "fd.name", path, "fd.directory", test_dir(), "fd.filename", "a file",
                     "fd.sip", "-", "fd.is_server", "-", NULL);
    _cleanup_close_ int directory = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    expect_copy(directory, "directory", "d", test_dir());
    _cleanup_close_ int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    expect_copy(root, "directory", "d", "/");
    _cleanup_close_ int memory = memfd_create("hidden", MFD_CLOEXEC);
    expect_copy(memory, "memfd", "m", "/memfd:hidden");
    agent_wait_alert(agent, "copied", "fd.name", "/memfd:hidden", "fd.filename", "memfd:hidden", NULL);
}

Test(dup, pipes)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    struct stat status;
    cr_assert_eq(fstat(ends[0], &status), 0);
    expect_copy(ends[0], "pipe", "p", format_text("pipe:[%lu]", status.st_ino));
    cr_assert_eq(mkfifo(test_path("fifo"), 0600), 0);
    _cleanup_close_ int fifo = open(test_path("fifo"), O_RDWR | O_CLOEXEC);
    expect_copy(fifo, "pipe", "p", test_path("fifo"));
    close(ends[0]);
    close(ends[1]);
}

Test(dup, kinds_without_a_file)
{
    sigset_t signals;
    sigemptyset(&signals);
    _cleanup_close_ int event = eventfd(0, EFD_CLOEXEC);
    _cleanup_close_ int poll = epoll_create1(EPOLL_CLOEXEC);
    _cleanup_close_ int signal = signalfd(-1, &signals, SFD_CLOEXEC);
    _cleanup_close_ int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    _cleanup_close_ int notify = inotify_init1(IN_CLOEXEC);
    _cleanup_close_ int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &all); // until 5.11 maps count as locked memory
    union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    _cleanup_close_ int map = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
    expect_copy(event, "event", "e", "-");
    expect_copy(poll, "eventpoll", "l", "-");
    expect_copy(signal, "signalfd", "s", "-");
    expect_copy(timer, "timerfd", "t", "-");
    expect_copy(notify, "inotify", "i", "-");
    expect_copy(process, "pidfd", "P", "-");
    expect_copy(map, "bpf", "b", "-");
}

Test(dup, userfaultfd)
{
    _cleanup_close_ int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (fd < 0)
        cr_skip_test("this kernel has or allows no userfaultfd()");
    expect_copy(fd, "userfaultfd", "u", "-");
}

Test(dup, io_uring)
{
    struct io_uring_params params = {};
    _cleanup_close_ int fd = (int)syscall(SYS_io_uring_setup, 1, &params);
    if (fd < 0)
        cr_skip_test("this kernel has or allows no io_uring");
    expect_copy(fd, "io_uring", "r", "-");
}

Test(dup, netlink_socket)
{
    _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    expect_copy(fd, "netlink", "n", "-");
}

// --- UNIX sockets ---

static int unix_socket(int type)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    return fd;
}

// The one who connects has no name; what it is connected to has. The name is the real one: it was bound by a
// link.
Test(dup, unix_sockets_of_a_path)
{
    cr_assert_eq(mkdir(test_path("sockets"), 0755), 0);
    cr_assert_eq(symlink(test_path("sockets"), test_path("link")), 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s/link/listener", test_dir());
    const char *path = test_path("sockets/listener");
    _cleanup_close_ int server = unix_socket(SOCK_STREAM), client = unix_socket(SOCK_STREAM);
    cr_assert_eq(bind(server, (struct sockaddr *)&name, sizeof(name)), 0);
    cr_assert_eq(listen(server, 1), 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&name, sizeof(name)), 0);
    _cleanup_close_ int accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    expect_copy(server, "unix", "u", path);
    expect_copy(client, "unix", "u", path);
    expect_copy(accepted, "unix", "u", path);
}

// It is no socket that is open, only the place where one was bound.
Test(dup, path_of_a_unix_socket)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s/bound", test_dir());
    _cleanup_close_ int server = unix_socket(SOCK_STREAM);
    cr_assert_eq(bind(server, (struct sockaddr *)&name, sizeof(name)), 0);
    _cleanup_close_ int path = open(name.sun_path, O_PATH | O_CLOEXEC);
    expect_copy(path, "-", "-", name.sun_path);
}

Test(dup, unix_sockets_without_a_path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "inferscope-%d", getpid());
    name.sun_path[1 + length] = '\0'; // a zero within the name
    name.sun_path[2 + length] = 'x';
    _cleanup_close_ int abstract = unix_socket(SOCK_DGRAM);
    cr_assert_eq(bind(abstract, (struct sockaddr *)&name,
                      (socklen_t)offsetof(struct sockaddr_un, sun_path) + 3 + (socklen_t)length),
                 0);
    expect_copy(abstract, "unix", "u", format_text("@inferscope-%d@x", getpid()));
    memset(name.sun_path + 1, 'n', sizeof(name.sun_path) - 1);
    memcpy(name.sun_path + 1, test_dir(), strlen(test_dir()));
    _cleanup_close_ int longest = unix_socket(SOCK_DGRAM);
    cr_assert_eq(bind(longest, (struct sockaddr *)&name, sizeof(name)), 0);
    expect_copy(longest, "unix", "u", format_text("@%.107s", name.sun_path + 1));
    _cleanup_close_ int unbound = unix_socket(SOCK_DGRAM);
    expect_copy(unbound, "unix", "u", "-");
}

// --- IP sockets ---

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union address loopback(int family, unsigned port)
{
    union address address = {.any.sa_family = (sa_family_t)family};
    if (family == AF_INET) {
        address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.v4.sin_port = htons((uint16_t)port);
    } else {
        address.v6.sin6_addr = in6addr_loopback;
        address.v6.sin6_port = htons((uint16_t)port);
    }
    return address;
}

static unsigned own_port(int fd)
{
    union address address;
    socklen_t length = sizeof(address);
    cr_assert_eq(getsockname(fd, &address.any, &length), 0);
    return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}

static int ip_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno == EAFNOSUPPORT)
        cr_skip_test("this kernel has no IPv6");
    cr_assert_geq(fd, 0);
    return fd;
}

static void bind_loopback(int fd, int family, unsigned port)
{
    union address address = loopback(family, port);
    if (bind(fd, &address.any, sizeof(address)) == 0)
        return;
    if (errno == EADDRNOTAVAIL)
        cr_skip_test("loopback has no IPv6 address here");
    cr_assert_fail("bind: %s", strerror(errno));
}

static void connect_loopback(int fd, int family, unsigned port)
{
    union address address = loopback(family, port);
    cr_assert_eq(connect(fd, &address.any, sizeof(address)), 0, "%s", strerror(errno));
}

struct pair {
    int listener, client, accepted;
};

static struct pair connected_pair(int family, int backlog)
{
    struct pair pair = {ip_socket(family, SOCK_STREAM), ip_socket(family, SOCK_STREAM), -1};
    bind_loopback(pair.listener, family, 0);
    cr_assert_eq(listen(pair.listener, backlog), 0);
    connect_loopback(pair.client, family, own_port(pair.listener));
    pair.accepted = accept4(pair.listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(pair.accepted, 0);
    return pair;
}

static void close_pair(const struct pair *pair)
{
    close(pair->listener);
    close(pair->client);
    close(pair->accepted);
}

// Both ends of one connection name the same server and the same client.
static void expect_both_ends(int family)
{
    struct pair pair = connected_pair(family, 8);
    const char *sport = number(own_port(pair.listener)), *cport = number(own_port(pair.client));
    const char *ip = family == AF_INET ? "127.0.0.1" : "::1";
    const char *name =
        format_text(family == AF_INET ? "%s:%s->%s:%s" : "[%s]:%s->[%s]:%s", ip, cport, ip, sport);
    const char *type = family == AF_INET ? "ipv4" : "ipv6", *letter = family == AF_INET ? "4" : "6";
    for (int server = 0; server < 2; server++) {
        expect_copy(server ? pair.accepted : pair.client, type, letter, name);
        agent_wait_alert(agent, "copied", "evt.arg.fd", number(server ? pair.accepted : pair.client),
                         "fd.is_server", server ? "true" : "false", "fd.sip", ip, "fd.cip", ip, "fd.sport",
                         sport, "fd.cport", cport, "fd.l4proto", "tcp", "fd.connected", "true",
                         "fd.directory", "-", NULL);
    }
    close_pair(&pair);
}

Test(dup, tcp_v4)
{
    expect_both_ends(AF_INET);
}

Test(dup, tcp_v6)
{
    expect_both_ends(AF_INET6);
}

static void expect_role(int fd, const char *is_server)
{
    _cleanup_close_ int copy = dup(fd);
    agent_wait_alert(agent, "copied", "evt.arg.fd", number(fd), "fd.type", "ipv4", "fd.is_server", is_server,
                     NULL);
}

Test(dup, listening_socket_is_the_servers)
{
    struct pair pair = connected_pair(AF_INET, 8);
    expect_role(pair.listener, "true");
    agent_wait_alert(agent, "copied", "evt.arg.fd", number(pair.listener), "fd.name",
                     format_text("127.0.0.1:%u", own_port(pair.listener)), "fd.connected", "false", "fd.cip",
                     "-", NULL);
    close_pair(&pair);
}

// A client that chose its port itself, as rsh did, and as those do who look like a server.
Test(dup, client_with_a_port_of_its_own)
{
    _cleanup_close_ int listener = ip_socket(AF_INET, SOCK_STREAM), client = ip_socket(AF_INET, SOCK_STREAM);
    union address own = loopback(AF_INET, 0);
    bind_loopback(listener, AF_INET, 0);
    cr_assert_eq(listen(listener, 8), 0);
    cr_assert_eq(bindresvport(client, &own.v4), 0, "%s", strerror(errno)); // one that is free now
    connect_loopback(client, AF_INET, own_port(listener));
    expect_role(client, "false");
}

// Where the kernel tells nothing, nothing is claimed: the remote end is then taken for the server's.
Test(dup, role_that_cannot_be_known)
{
    struct pair pair = connected_pair(AF_INET, 0);
    expect_role(pair.accepted, "-");
    expect_role(pair.client, "false");
    _cleanup_close_ int client = ip_socket(AF_INET, SOCK_STREAM);
    bind_loopback(client, AF_INET, 0);
    union address address = loopback(AF_INET, own_port(pair.listener));
    cr_assert_eq(fcntl(client, F_SETFL, O_NONBLOCK), 0);
    cr_assert(connect(client, &address.any, sizeof(address)) == 0 || errno == EINPROGRESS);
    expect_role(client, "-");
    close_pair(&pair);
}

Test(dup, udp)
{
    _cleanup_close_ int server = ip_socket(AF_INET, SOCK_DGRAM), client = ip_socket(AF_INET, SOCK_DGRAM);
    bind_loopback(server, AF_INET, 0);
    expect_role(server, "-");
    connect_loopback(client, AF_INET, own_port(server));
    expect_role(client, "false");
    agent_wait_alert(agent, "copied", "evt.arg.fd", number(client), "fd.l4proto", "udp", "fd.sport",
                     number(own_port(server)), NULL);
}

static int take_over(const void *argument)
{
    const int *fd = argument;
    for (int target = 0; target < 3; target++)
        if (syscall(SYS_dup3, *fd, target, 0) != target)
            return 1;
    return 0;
}

Test(dup, reverse_shell)
{
    struct pair pair = connected_pair(AF_INET, 8);
    in_child(take_over, &pair.client);
    const char *name =
        format_text("127.0.0.1:%u->127.0.0.1:%u", own_port(pair.client), own_port(pair.listener));
    for (int target = 0; target < 3; target++)
        agent_wait_alert(agent, "shell", "fd.num", number(target), "fd.sip", "127.0.0.1", "fd.cip",
                         "127.0.0.1", "fd.name", name, NULL);
    close_pair(&pair);
}

// --- The calls ---

Test(dup, by_dup2_and_dup3)
{
    const char *path = test_path("file");
    write_file(path, "x");
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum { TARGET = 777 };
#ifdef SYS_dup2
    cr_assert_eq(syscall(SYS_dup2, fd, TARGET), TARGET);
    agent_wait_alert(agent, "copied", "evt.type", "dup2", "evt.arg.oldfd", number(fd), "evt.arg.newfd", "777",
                     "evt.rawres", "777", "fd.num", "777", "fd.name", path, "evt.arg.fd", "-", NULL);
#endif
    cr_assert_eq(dup3(fd, TARGET + 1, O_CLOEXEC), TARGET + 1);
    agent_wait_alert(agent, "copied", "evt.type", "dup3", "evt.arg.oldfd", number(fd), "evt.arg.newfd", "778",
                     "evt.arg.flags", "O_CLOEXEC", "fd.num", "778", "fd.name", path, NULL);
}

Test(dup, failures)
{
    cr_assert_lt(dup(-1), 0);
    agent_wait_alert(agent, "copied", "evt.type", "dup", "evt.res", "EBADF", "evt.failed", "true",
                     "evt.rawres", number(-EBADF), "evt.arg.fd", "-1", "fd.num", "-", "fd.type", "-",
                     "fd.name", "-", "fd.ino", "-", NULL);
    cr_assert_lt(dup3(0, 0, 0), 0);
    agent_wait_alert(agent, "copied", "evt.type", "dup3", "evt.res", "EINVAL", "evt.arg.oldfd", "0",
                     "evt.arg.newfd", "0", "evt.arg.flags", "0", NULL);
}

Test(dup, callers_of_32_bits)
{
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    enum { I386_DUP = 41, I386_DUP2 = 63, I386_DUP3 = 330, TARGET = 333 };
    const char *path = test_path("file");
    write_file(path, "x");
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int copy = (int)compat_call(I386_DUP, fd, 0, 0, 0, 0);
    cr_assert_geq(copy, 0);
    cr_assert_eq(compat_call(I386_DUP2, fd, TARGET, 0, 0, 0), TARGET);
    cr_assert_eq(compat_call(I386_DUP3, fd, TARGET + 1, O_CLOEXEC, 0, 0), TARGET + 1);
    cr_assert_eq(compat_call(I386_DUP, -1, 0, 0, 0, 0), -EBADF);
    agent_wait_alert(agent, "copied", "evt.type", "dup", "evt.arg.fd", number(fd), "fd.num", number(copy),
                     "fd.name", path, NULL);
    agent_wait_alert(agent, "copied", "evt.type", "dup2", "evt.arg.oldfd", number(fd), "evt.arg.newfd", "333",
                     "fd.name", path, NULL);
    agent_wait_alert(agent, "copied", "evt.type", "dup3", "evt.arg.newfd", "334", "evt.arg.flags",
                     "O_CLOEXEC", "fd.name", path, NULL);
    agent_wait_alert(agent, "copied", "evt.type", "dup", "evt.arg.fd", "-1", "evt.res", "EBADF", NULL);
}

TestSuite(dup_alone, TEST_SUITE);

Test(dup_alone, is_not_loaded_where_no_rule_wants_it)
{
    _cleanup_agent_ struct agent *other =
        agent_start("- rule: quiet\n"
                    "  desc: d\n"
                    "  condition: evt.type = openat and fd.name = /nowhere\n"
                    "  output: x\n"
                    "  priority: NOTICE\n",
                    NULL);
    cr_expect(isnan(agent_metric(other, "inferscope_source_up", "source", "dup", NULL)));
    cr_expect(isnan(agent_metric(other, "inferscope_source_up", "source", "control", NULL)));
}
