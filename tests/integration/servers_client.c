// Asks servers over HTTP/1.1 and keeps time: one thread and poll(), so that no request waits for another's
// clock.
#include "servers.h"

#include "harness.h"
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { AT_ONCE_MAX = 256, READ_SIZE = 65536 };

// Where the reading of an answer is.
enum progress { IN_HEAD, IN_CHUNK_SIZE, IN_CHUNK, IN_CHUNK_END, IN_BODY, IN_END, COMPLETE };

struct connection {
    int fd; // -1: closed
    struct tls *tls;
    struct answer *answer;
    const char *request;
    char *raw; // what has been read of the answer and not been taken apart
    size_t raw_length;
    enum progress progress;
    bool any; // of the answer has come
    uint64_t arrived_ns;
    bool is_stream, is_chunked, is_last;
    size_t left; // of the chunk or of the body
    size_t body_length, events_at;
};

static uint64_t nanoseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return nanoseconds(time);
}

// Reads what has come, and when its last byte came: the kernel's own note of that, where it has one, so that
// it does not matter when this process was let run.
static ssize_t receive(int fd, char *buffer, size_t size, uint64_t *ret_arrived_ns)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
        struct cmsghdr aligned;
    } control;
    struct iovec piece = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t count = recvmsg(fd, &message, MSG_DONTWAIT);
    if (count <= 0)
        return count;
    *ret_arrived_ns = now(CLOCK_MONOTONIC);
    const struct cmsghdr *note = CMSG_FIRSTHDR(&message);
    if (note && note->cmsg_level == SOL_SOCKET && note->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec time;
        memcpy(&time, CMSG_DATA(note), sizeof(time));
        *ret_arrived_ns -= now(CLOCK_REALTIME) - nanoseconds(time);
    }
    return count;
}

static void append(char **text, size_t *length, const char *bytes, size_t count)
{
    char *larger = realloc(*text, *length + count + 1);
    cr_assert(larger);
    memcpy(larger + *length, bytes, count);
    *length += count;
    larger[*length] = '\0';
    *text = larger;
}

// --- What answers say ---

static bool has_text(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) > 0;
}

// A JSON document: a whole answer, or an event of a stream.
static void take_document(struct answer *answer, const char *text, size_t length, bool is_event)
{
    json_t *document = json_loadb(text, length, 0, NULL);
    cr_assert(document, "no JSON: %.*s", (int)length, text);
    json_t *choice = json_array_get(json_object_get(document, "choices"), 0);
    json_t *usage = json_object_get(document, "usage");
    // Of chats, of completions, and of llama-server's own completions.
    bool spoke = has_text(json_object_get(json_object_get(choice, "delta"), "content")) ||
                 has_text(json_object_get(choice, "text")) || has_text(json_object_get(document, "content"));
    answer->events += is_event && spoke;
    if (usage) {
        answer->prompt_tokens = (uint64_t)json_integer_value(json_object_get(usage, "prompt_tokens"));
        answer->output_tokens = (uint64_t)json_integer_value(json_object_get(usage, "completion_tokens"));
    }
    json_decref(document);
}

// Afterwards, when no clock runs any more.
static void take_values(struct answer *answer)
{
    const char *event = answer->body ? answer->body : "", *end;
    if (*event == '{' && answer->status == 200)
        take_document(answer, event, strlen(event), false);
    answer->events = 0;
    for (; (end = strstr(event, "\n\n")); event = end + 2) {
        cr_assert_eq(strncmp(event, "data: ", 6), 0, "no event: %.100s", event);
        if (strncmp(event, "data: [DONE]", 12) != 0)
            take_document(answer, event + 6, (size_t)(end - event - 6), true);
    }
}

// The same at a glance, while clocks run: servers of the tests write no blanks there, or one.
static bool looks_spoken(const char *event, const char *end)
{
    static const char *const marks[] = {"\"content\":", "\"text\":"};
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        const char *found = memmem(event, (size_t)(end - event), marks[i], strlen(marks[i]));
        const char *value = found ? found + strlen(marks[i]) : NULL;
        value += value && *value == ' ';
        if (value && value[0] == '"' && value[1] != '"')
            return true;
    }
    return false;
}

static void watch_events(struct connection *connection)
{
    struct answer *answer = connection->answer;
    const char *event = answer->body + connection->events_at, *end;
    for (; (end = strstr(event, "\n\n")); event = end + 2)
        if (looks_spoken(event, end) && answer->events++ == 0)
            answer->first_ns = connection->arrived_ns;
    connection->events_at = (size_t)(event - answer->body);
}

// --- How they are framed ---

static void complete(struct connection *connection)
{
    connection->answer->end_ns = connection->arrived_ns;
    connection->progress = COMPLETE;
}

static void take_body(struct connection *connection, const char *bytes, size_t count)
{
    append(&connection->answer->body, &connection->body_length, bytes, count);
    connection->left -= count;
    if (connection->is_stream)
        watch_events(connection);
}

static void take_head(struct connection *connection, const char *head)
{
    unsigned status = 0;
    cr_assert_eq(sscanf(head, "HTTP/1.1 %u ", &status), 1, "no answer: %.100s", head);
    const char *length = strcasestr(head, "\r\nContent-Length:");
    connection->answer->status = status;
    connection->is_stream = strcasestr(head, "\r\nContent-Type: text/event-stream");
    connection->is_chunked = strcasestr(head, "\r\nTransfer-Encoding: chunked");
    connection->is_last = strcasestr(head, "\r\nConnection: close");
    connection->left = length ? strtoul(length + strlen("\r\nContent-Length:"), NULL, 10) : 0;
    cr_assert(length || connection->is_chunked, "an answer of unknown length: %s", head);
    connection->progress = connection->is_chunked ? IN_CHUNK_SIZE : IN_BODY;
    if (!connection->is_chunked && !connection->left)
        complete(connection);
}

// The head, or a line of the framing, once its end has been read. Its length, 0: not yet.
static size_t take_line(struct connection *connection, char *raw)
{
    const char *ending = connection->progress == IN_HEAD ? "\r\n\r\n" : "\r\n";
    char *end = strstr(raw, ending);
    if (!end)
        return 0;
    switch (connection->progress) {
    case IN_HEAD:
        end[2] = '\0'; // each line has its own ending
        take_head(connection, raw);
        break;
    case IN_CHUNK_SIZE:
        connection->left = strtoul(raw, NULL, 16);
        connection->progress = connection->left ? IN_CHUNK : IN_END;
        break;
    case IN_CHUNK_END:
        connection->progress = IN_CHUNK_SIZE;
        break;
    default:
        complete(connection);
    }
    return (size_t)(end - raw) + strlen(ending);
}

// Takes the next part of the answer; how long it was, 0 where more has to be read first.
static size_t take_part(struct connection *connection, char *raw, size_t length)
{
    if (connection->progress != IN_CHUNK && connection->progress != IN_BODY)
        return take_line(connection, raw);
    size_t count = connection->left < length ? connection->left : length;
    take_body(connection, raw, count);
    if (!connection->left && connection->progress == IN_BODY)
        complete(connection);
    else if (!connection->left)
        connection->progress = IN_CHUNK_END;
    return count;
}

static void take_raw(struct connection *connection)
{
    size_t at = 0, part = 1;
    while (connection->progress != COMPLETE && at < connection->raw_length && part) {
        part = take_part(connection, connection->raw + at, connection->raw_length - at);
        at += part;
    }
    connection->raw_length -= at;
    memmove(connection->raw, connection->raw + at, connection->raw_length + 1);
}

// --- Requests ---

struct run {
    const struct load *load;
    struct answer *answers;
    size_t begun, ended;
    size_t bodies;
    char **requests; // one for each body
    struct connection connections[AT_ONCE_MAX];
};

static char *compose(const struct load *load, const char *body)
{
    char *request;
    if (!*body) {
        cr_assert_geq(asprintf(&request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", load->route), 0);
        return request;
    }
    cr_assert_geq(asprintf(&request,
                           "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/json\r\n"
                           "Content-Length: %zu\r\n%s\r\n%s",
                           load->route, load->port, strlen(body), load->head ? load->head : "", body),
                  0);
    return request;
}

static void disconnect(struct connection *connection)
{
    tls_free(connection->tls);
    connection->tls = NULL;
    close(connection->fd);
    connection->fd = -1;
}

// Who is going to leave takes a few KB at a time, so that he is in the middle of the answer then, and not at
// its end, if he runs only when all of it has come.
static void take_little(int fd)
{
    int segment = 536, room = 4096;
    setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
}

static void connect_anew(struct connection *connection, const struct load *load)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)load->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(connection->fd, 0);
    if (load->leave_after)
        take_little(connection->fd);
    cr_assert_eq(connect(connection->fd, (struct sockaddr *)&address, sizeof(address)), 0, "port %u: %s",
                 load->port, strerror(errno));
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(connection->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
    connection->tls = load->tls ? tls_new(connection->fd) : NULL;
}

static bool send_all(int fd, const char *text)
{
    size_t length = strlen(text);
    while (length) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent < 0)
            return false;
        text += sent;
        length -= (size_t)sent;
    }
    return true;
}

// A server may close a connection that waits for the next request, even while that is on its way; whoever
// keeps connections has to ask once more then.
static void send_request(struct run *run, struct connection *connection)
{
    struct answer *answer = connection->answer;
    char byte;
    if (connection->fd >= 0 && recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        disconnect(connection);
    for (bool sent = false; !sent;) {
        bool is_new = connection->fd < 0;
        if (is_new)
            connect_anew(connection, run->load);
        answer->sent_ns = now(CLOCK_MONOTONIC);
        sent = connection->tls ? tls_send(connection->tls, connection->request, strlen(connection->request))
                               : send_all(connection->fd, connection->request);
        cr_assert(sent || !is_new, "cannot send to port %u: %s", run->load->port, strerror(errno));
        if (!sent)
            disconnect(connection);
    }
    struct sockaddr_in own;
    socklen_t length = sizeof(own);
    cr_assert_eq(getsockname(connection->fd, (struct sockaddr *)&own, &length), 0);
    answer->client_port = ntohs(own.sin_port);
}

static void begin_next(struct run *run, struct connection *connection)
{
    size_t index = run->begun++;
    free(connection->raw);
    *connection = (struct connection){.fd = connection->fd,
                                      .tls = connection->tls,
                                      .answer = &run->answers[index],
                                      .request = run->requests[index % run->bodies]};
    send_request(run, connection);
}

static void end_one(struct run *run, struct connection *connection)
{
    run->ended++;
    connection->answer = NULL;
    if (run->begun < run->load->requests)
        begin_next(run, connection);
}

// Of TLS, what comes is not always a piece of an answer.
static void take_received(struct connection *connection, const char *buffer, size_t count)
{
    char plain[READ_SIZE];
    ssize_t length = (ssize_t)count;
    while (connection->tls &&
           (length = tls_decrypt(connection->tls, buffer, count, plain, sizeof(plain))) > 0) {
        append(&connection->raw, &connection->raw_length, plain, (size_t)length);
        connection->any = true;
        count = 0;
    }
    cr_assert_geq(length, 0, "what came cannot be decrypted");
    if (!connection->tls) {
        append(&connection->raw, &connection->raw_length, buffer, count);
        connection->any = true;
    }
    if (connection->raw)
        take_raw(connection);
}

static void read_more(struct run *run, struct connection *connection)
{
    char buffer[READ_SIZE];
    ssize_t count = receive(connection->fd, buffer, sizeof(buffer), &connection->arrived_ns);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        cr_assert_not(connection->any, "port %u ended in the middle of an answer: %s", run->load->port,
                      connection->answer->body);
        disconnect(connection);
        send_request(run, connection);
        return;
    }
    take_received(connection, buffer, (size_t)count);
    bool leaves = run->load->leave_after && connection->answer->events >= run->load->leave_after;
    if (leaves)
        connection->answer->end_ns = connection->arrived_ns;
    if (leaves || (connection->progress == COMPLETE && connection->is_last))
        disconnect(connection);
    if (leaves || connection->progress == COMPLETE)
        end_one(run, connection);
}

static void wait_and_read(struct run *run, size_t at_once)
{
    struct pollfd polled[AT_ONCE_MAX];
    for (size_t i = 0; i < at_once; i++)
        polled[i] =
            (struct pollfd){.fd = run->connections[i].answer ? run->connections[i].fd : -1, .events = POLLIN};
    int ready = poll(polled, at_once, DEADLINE_S * 1000);
    cr_assert_gt(ready, 0, "port %u: %zu of %zu answers came, then nothing", run->load->port, run->ended,
                 run->load->requests);
    for (size_t i = 0; i < at_once; i++)
        if (polled[i].revents)
            read_more(run, &run->connections[i]);
}

struct answer *load_run(const struct load *load)
{
    struct run *run = calloc(1, sizeof(*run));
    struct answer *answers = calloc(load->requests, sizeof(*answers));
    cr_assert(run && answers);
    cr_assert_leq(load->at_once, (size_t)AT_ONCE_MAX);
    run->load = load;
    run->answers = answers;
    while (load->bodies[run->bodies])
        run->bodies++;
    run->requests = calloc(run->bodies, sizeof(*run->requests));
    for (size_t i = 0; i < run->bodies; i++)
        run->requests[i] = compose(load, load->bodies[i]);
    for (size_t i = 0; i < load->at_once; i++) {
        run->connections[i].fd = -1;
        if (run->begun < load->requests)
            begin_next(run, &run->connections[i]);
    }
    while (run->ended < load->requests)
        wait_and_read(run, load->at_once);
    for (size_t i = 0; i < load->requests; i++)
        take_values(&answers[i]);
    for (size_t i = 0; i < load->at_once; i++) {
        if (run->connections[i].fd >= 0)
            disconnect(&run->connections[i]);
        free(run->connections[i].raw);
    }
    for (size_t i = 0; i < run->bodies; i++)
        free(run->requests[i]);
    free(run->requests);
    free(run);
    return answers;
}

void answers_free(struct answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(answers[i].body);
    free(answers);
}

struct tally answers_tally(const struct answer *answers, size_t count)
{
    struct tally tally = {};
    for (size_t i = 0; i < count; i++) {
        tally.prompt_tokens += answers[i].prompt_tokens;
        tally.output_tokens += answers[i].output_tokens;
    }
    return tally;
}

// The model comes last, as OpenAI's Python client has it behind the messages. llama-server would end early
// without `ignore_eos`.
static const char *compose_body(const char *prompt, bool stream, unsigned tokens)
{
    return format_text("{%s,\"max_tokens\":%u,%s\"ignore_eos\":true,\"model\":\"tiny\"}", prompt, tokens,
                       stream ? "\"stream\":true,\"stream_options\":{\"include_usage\":true}," : "");
}

const char *chat_body(bool stream, const char *words, unsigned tokens)
{
    const char *prompt = format_text("\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]", words);
    return compose_body(prompt, stream, tokens);
}

const char *completion_body(bool stream, const char *words, unsigned tokens)
{
    return compose_body(format_text("\"prompt\":\"%s\"", words), stream, tokens);
}
