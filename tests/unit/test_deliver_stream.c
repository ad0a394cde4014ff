// Alerts over sockets, to stand-ins in the same loop.
#include "deliver_fixture.h"
#include "format_parse.h"

#include <signal.h>
#include <sys/wait.h>

extern const struct receiver_type unix_receiver, syslog_receiver;

// --- UNIX sockets ---

static char socket_path[64];

static struct sockaddr_un unix_address(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(socket_path, sizeof(socket_path), "build/test-stream-%d", getpid());
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    unlink(socket_path);
    return address;
}

static size_t lines_in(const struct text *text)
{
    size_t lines = 0;
    for (size_t i = 0; i < text->length; i++)
        lines += text->data[i] == '\n';
    return lines;
}

Test(deliver_stream, unix_is_delivered_when_it_is_read)
{
    struct sockaddr_un address = unix_address();
    struct config_output output = {.name = "u", .path = socket_path};
    struct rig rig;
    struct peer peer = {};
    rig_open(&rig, &unix_receiver, &output);
    peer_listen(&peer, &rig, (struct sockaddr *)&address, sizeof(address));
    rig_make(&rig, 0, 10, 0);
    rig_begin(&rig);
    loop_timer_set(rig.loop, &peer.later, 50, peer_start_reading, &peer);
    rig_wait(&rig);
    rig_expect(&rig, VERDICT_DELIVERED);
    cr_assert(peer.reads, "nobody had read it");
    cr_assert_eq(lines_in(&peer.received), 10);
    // The connection stays.
    rig_send(&rig, 10, 10, 0);
    rig_expect(&rig, VERDICT_DELIVERED);
    cr_assert_eq(lines_in(&peer.received), 20);
    peer_stop(&peer);
    rig_close(&rig);
    unlink(socket_path);
}

Test(deliver_stream, unix_that_is_hung_up_sends_all_of_the_batch_again)
{
    struct sockaddr_un address = unix_address();
    struct config_output output = {.name = "u", .path = socket_path};
    struct rig rig;
    struct peer peer = {.reads = true, .close_after = 1000};
    rig_open(&rig, &unix_receiver, &output);
    peer_listen(&peer, &rig, (struct sockaddr *)&address, sizeof(address));
    rig_send(&rig, 0, 100, 0);
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert(strstr(rig.why, "closed") || strstr(rig.why, "broke"), "%s", rig.why);
    peer.close_after = 0;
    text_reset(&peer.received);
    rig_begin(&rig);
    rig_wait(&rig);
    rig_expect(&rig, VERDICT_DELIVERED);
    cr_assert_eq(lines_in(&peer.received), 100);
    peer_stop(&peer);
    rig_close(&rig);
    unlink(socket_path);
}

Test(deliver_stream, unix_that_takes_nothing_is_given_up)
{
    struct sockaddr_un address = unix_address();
    struct config_output output = {.name = "u", .path = socket_path, .timeout = 100};
    struct rig rig;
    struct peer peer = {};
    rig_open(&rig, &unix_receiver, &output);
    peer_listen(&peer, &rig, (struct sockaddr *)&address, sizeof(address));
    rig_send(&rig, 0, 1, 0); // it fits into the socket's buffer
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert_str_eq(rig.why, "it takes nothing more");
    rig_send(&rig, 0, 500, 2000); // it does not
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert_str_eq(rig.why, "it takes nothing more");
    peer_stop(&peer);
    rig_close(&rig);
    unlink(socket_path);
}

// Says something without end, as fast as it can.
static void babble(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static char words[65536];
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1))
        _exit(1);
    int fd = accept(listener, NULL, NULL);
    for (pid_t parent = getppid(); getppid() == parent;)
        if (send(fd, words, sizeof(words), MSG_NOSIGNAL) < 0)
            break;
    _exit(0);
}

Test(deliver_stream, one_that_talks_without_end_holds_up_nobody, .timeout = 60)
{
    unix_address();
    pid_t child = fork();
    if (child == 0)
        babble(socket_path);
    struct config_output output = {.name = "u", .path = socket_path, .timeout = 300};
    struct rig rig;
    rig_open(&rig, &unix_receiver, &output);
    do
        rig_send(&rig, 0, 2, 0);
    while (strstr(rig.why, "No such file") || strstr(rig.why, "refused"));
    // It reads nothing, and that is found out all the same.
    rig_expect(&rig, VERDICT_RETRY);
    cr_expect_str_eq(rig.why, "it takes nothing more");
    rig_close(&rig);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    unlink(socket_path);
}

Test(deliver_stream, unix_without_a_listener)
{
    unix_address();
    struct config_output output = {.name = "u", .path = socket_path};
    struct rig rig;
    rig_open(&rig, &unix_receiver, &output);
    rig_send(&rig, 0, 2, 0);
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert(strstr(rig.why, "No such file"), "%s", rig.why);
    rig_close(&rig);
}

// --- TCP ---

static void expect_frames(const struct text *received, size_t count)
{
    const char *at = text_string(received);
    for (size_t i = 0; i < count; i++) {
        char *end;
        size_t length = strtoul(at, &end, 10);
        cr_assert(end > at && *end == ' ' && (size_t)(end - received->data) + length <= received->length);
        _cleanup_free_ char *message = strndup(end + 1, length);
        struct syslog_message parsed;
        cr_assert(parse_syslog(message, &parsed), "%s", message);
        cr_assert_eq(json_integer_value(json_object_get(parsed.data, "x")), 0);
        cr_assert_eq(parsed.priority, 3 * 8 + PRIORITY_WARNING);
        json_decref(parsed.data);
        at = end + 1 + length;
    }
    cr_assert_eq(at, received->data + received->length);
}

Test(deliver_stream, tcp_frames_count_octets)
{
    char where[32];
    struct sockaddr_in address = rig_port(SOCK_STREAM, where, sizeof(where));
    struct config_output output = {.name = "s", .address = where, .protocol = PROTOCOL_TCP};
    struct rig rig;
    struct peer peer = {.reads = true};
    rig_open(&rig, &syslog_receiver, &output);
    peer_listen(&peer, &rig, (struct sockaddr *)&address, sizeof(address));
    rig_send(&rig, 0, 500, 3000);
    rig_expect(&rig, VERDICT_DELIVERED);
    rig_send(&rig, 500, 1, 0);
    rig_expect(&rig, VERDICT_DELIVERED);
    // Acknowledged is not read.
    peer_read(0, &peer);
    for (size_t before = 0; before != peer.received.length;) {
        before = peer.received.length;
        peer_read(0, &peer);
    }
    expect_frames(&peer.received, 501);
    peer_stop(&peer);
    rig_close(&rig);
}

Test(deliver_stream, tcp_that_breaks_before_all_is_acknowledged_sends_it_again)
{
    char where[32];
    struct sockaddr_in address = rig_port(SOCK_STREAM, where, sizeof(where));
    struct config_output output = {.name = "s", .address = where, .protocol = PROTOCOL_TCP};
    struct rig rig;
    struct peer peer = {.reads = true, .close_after = 5000};
    rig_open(&rig, &syslog_receiver, &output);
    peer_listen(&peer, &rig, (struct sockaddr *)&address, sizeof(address));
    int small = 4096;
    setsockopt(peer.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    rig_send(&rig, 0, 500, 10000);
    rig_expect(&rig, VERDICT_RETRY);
    peer_stop(&peer);
    rig_close(&rig);
}

Test(deliver_stream, tcp_that_was_closed_while_idle_connects_again)
{
    char where[32];
    struct sockaddr_in address = rig_port(SOCK_STREAM, where, sizeof(where));
    struct config_output output = {.name = "s", .address = where, .protocol = PROTOCOL_TCP};
    struct rig rig;
    struct peer peer = {.reads = true};
    rig_open(&rig, &syslog_receiver, &output);
    peer_listen(&peer, &rig, (struct sockaddr *)&address, sizeof(address));
    rig_send(&rig, 0, 1, 0);
    rig_expect(&rig, VERDICT_DELIVERED);
    while (peer.received.length == 0)
        peer_read(0, &peer);
    peer_hang_up(&peer);
    text_reset(&peer.received);
    // The loop learns of it first; then the next batch finds a new connection.
    loop_timer_set(rig.loop, &rig.deadline, 50, rig_give_up, &rig);
    cr_assert_eq(loop_run(rig.loop), 0);
    rig_send(&rig, 1, 1, 0);
    rig_expect(&rig, VERDICT_DELIVERED);
    peer_stop(&peer);
    rig_close(&rig);
}

Test(deliver_stream, tcp_without_a_listener_or_a_name)
{
    char where[32];
    rig_port(SOCK_STREAM, where, sizeof(where));
    struct config_output output = {.name = "s", .address = where, .protocol = PROTOCOL_TCP};
    struct rig rig;
    rig_open(&rig, &syslog_receiver, &output);
    rig_send(&rig, 0, 2, 0);
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert(strstr(rig.why, "refused") || strstr(rig.why, "connect"), "%s", rig.why);
    rig_close(&rig);

    output.address = "no-such-name.invalid:514";
    rig_open(&rig, &syslog_receiver, &output);
    rig_send(&rig, 0, 2, 0);
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert(strstr(rig.why, "resolve"), "%s", rig.why);
    rig_close(&rig);
}

Test(deliver_stream, what_is_no_address_is_refused)
{
    static const char *const addresses[] = {"host:1/path", "user@host:1", "host:port", "",
                                            ":1",          "a b:1",       "host:99999"};
    struct loop *loop = NULL;
    cr_assert_eq(loop_new(&loop), 0);
    struct receiver_env env = {.loop = loop, .hostname = "node1"};
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct config_output output = {
            .name = "s", .address = (char *)addresses[i], .protocol = PROTOCOL_TCP, .batch = 1};
        void *receiver = NULL;
        cr_expect_eq(syslog_receiver.open(&output, &env, &receiver), -EINVAL, "%s", addresses[i]);
    }
    loop_free(&loop);
}

// --- UDP ---

Test(deliver_stream, udp_is_a_datagram_for_each_message)
{
    char where[32];
    struct sockaddr_in address = rig_port(SOCK_DGRAM, where, sizeof(where));
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    struct config_output output = {
        .name = "s", .address = where, .protocol = PROTOCOL_UDP, .facility = "local4"};
    struct rig rig;
    rig_open(&rig, &syslog_receiver, &output);
    rig_make(&rig, 0, 20, 0);
    json_object_set_new(rig.items[7].json, "output", json_sprintf("%0*d", 20000, 1));
    rig_begin(&rig);
    rig_wait(&rig);
    rig_expect(&rig, VERDICT_DELIVERED);
    for (size_t i = 0; i < 20; i++) {
        char message[10000];
        ssize_t length = recv(fd, message, sizeof(message) - 1, 0);
        cr_assert_gt(length, 0);
        message[length] = '\0';
        struct syslog_message parsed;
        cr_assert(parse_syslog(message, &parsed), "%s", message);
        cr_assert_eq(parsed.priority, 20 * 8 + PRIORITY_WARNING);
        if (i == 7)
            cr_assert_eq(length, 8192);
        json_decref(parsed.data);
    }
    cr_assert_lt(recv(fd, where, sizeof(where), 0), 0);
    cr_assert_eq(rig.cut, 1);
    rig_close(&rig);
}

Test(deliver_stream, udp_that_nobody_receives_is_sent_again)
{
    char where[32];
    struct sockaddr_in address = rig_port(SOCK_DGRAM, where, sizeof(where));
    struct config_output output = {.name = "s", .address = where, .protocol = PROTOCOL_UDP};
    struct rig rig;
    rig_open(&rig, &syslog_receiver, &output);
    rig_send(&rig, 0, 1, 0);
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert(strstr(rig.why, "nobody listens"), "%s", rig.why);
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    rig_send(&rig, 0, 1, 0);
    rig_expect(&rig, VERDICT_DELIVERED);
    rig_close(&rig);
}

Test(deliver_stream, udp_to_a_name_that_is_none)
{
    struct config_output output = {
        .name = "s", .address = "no-such-name.invalid:514", .protocol = PROTOCOL_UDP};
    struct rig rig;
    rig_open(&rig, &syslog_receiver, &output);
    rig_send(&rig, 0, 1, 0);
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert(strstr(rig.why, "no-such-name"), "%s", rig.why);
    // One that is closed while a name is looked for.
    rig_begin(&rig);
    rig_close(&rig);
}
