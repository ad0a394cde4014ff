// The least chat server there is: a thread for each connection, every part of an answer a send() of its own.
// Fast, and with no library or file that a guest would have to have. A prompt has as many tokens as its
// request has bytes; /metrics names the server's own account as llama-server does.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 65536, ANSWER_MAX = 65536, TOKENS_MAX = 4096 };

static unsigned long long prompt_total, output_total;

struct connection {
    int fd;
    size_t length; // of what has been read and not been answered
    char text[REQUEST_MAX + 1];
};

static bool send_all(struct connection *connection, const char *text, size_t length)
{
    while (length) {
        ssize_t sent = send(connection->fd, text, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        text += sent;
        length -= (size_t)sent;
    }
    return true;
}

// With the head that says how long the text is.
static bool send_whole(struct connection *connection, const char *kind, const char *text)
{
    char answer[ANSWER_MAX];
    int length = snprintf(answer, sizeof(answer),
                          "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", kind,
                          strlen(text), text);
    return send_all(connection, answer, (size_t)length);
}

__attribute__((format(printf, 2, 3))) static bool send_event(struct connection *connection,
                                                             const char *format, ...)
{
    char event[1024], chunk[1100];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(event, sizeof(event), format, args);
    va_end(args);
    length = snprintf(chunk, sizeof(chunk), "%x\r\ndata: %s\n\n\r\n", (unsigned)length + 8, event);
    return send_all(connection, chunk, (size_t)length);
}

static bool send_stream(struct connection *connection, unsigned prompt, unsigned tokens)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    bool good =
        send_all(connection, head, sizeof(head) - 1) &&
        send_event(
            connection,
            "{\"model\":\"tiny\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}");
    for (unsigned i = 0; good && i < tokens; i++)
        good =
            send_event(connection, "{\"model\":\"tiny\",\"choices\":[{\"delta\":{\"content\":\" word\"}}]}");
    return good &&
           send_event(connection,
                      "{\"model\":\"tiny\",\"choices\":[],\"usage\":{\"prompt_tokens\":%u,"
                      "\"completion_tokens\":%u,\"total_tokens\":%u}}",
                      prompt, tokens, prompt + tokens) &&
           send_event(connection, "[DONE]") && send_all(connection, "0\r\n\r\n", 5);
}

static bool send_answer(struct connection *connection, unsigned prompt, unsigned tokens)
{
    char answer[ANSWER_MAX - 256];
    int length = snprintf(answer, sizeof(answer),
                          "{\"object\":\"chat.completion\",\"model\":\"tiny\",\"choices\":[{\"index\":0,"
                          "\"message\":{\"role\":\"assistant\",\"content\":\"");
    for (unsigned i = 0; i < tokens; i++)
        length += snprintf(answer + length, sizeof(answer) - (size_t)length, " word");
    snprintf(answer + length, sizeof(answer) - (size_t)length,
             "\"}}],\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u}}", prompt,
             tokens, prompt + tokens);
    return send_whole(connection, "application/json", answer);
}

static bool send_account(struct connection *connection)
{
    char text[256];
    snprintf(text, sizeof(text),
             "llamacpp:prompt_tokens_total %llu\nllamacpp:prompt_tokens_cached_total 0\n"
             "llamacpp:tokens_predicted_total %llu\n",
             __atomic_load_n(&prompt_total, __ATOMIC_RELAXED),
             __atomic_load_n(&output_total, __ATOMIC_RELAXED));
    send_whole(connection, "text/plain", text);
    return false;
}

static bool answer_request(struct connection *connection, const char *body, size_t length)
{
    if (strncmp(connection->text, "GET /metrics ", 13) == 0)
        return send_account(connection);
    const char *wanted = strstr(body, "\"max_tokens\":");
    unsigned prompt = (unsigned)length;
    unsigned tokens = wanted ? (unsigned)strtoul(wanted + strlen("\"max_tokens\":"), NULL, 10) : 1;
    if (tokens > TOKENS_MAX)
        tokens = TOKENS_MAX;
    __atomic_add_fetch(&prompt_total, prompt, __ATOMIC_RELAXED);
    __atomic_add_fetch(&output_total, tokens, __ATOMIC_RELAXED);
    return strstr(body, "\"stream\":true") ? send_stream(connection, prompt, tokens)
                                           : send_answer(connection, prompt, tokens);
}

// Answers the first request of those that have been read, if it is complete. False: the connection is over.
static bool serve_one(struct connection *connection, bool *ret_served)
{
    connection->text[connection->length] = '\0';
    char *end = strstr(connection->text, "\r\n\r\n");
    *ret_served = false;
    if (!end)
        return connection->length < REQUEST_MAX;
    const char *announced = strcasestr(connection->text, "\r\nContent-Length:");
    size_t head = (size_t)(end + 4 - connection->text), body = 0;
    if (announced && announced < end)
        body = strtoul(announced + strlen("\r\nContent-Length:"), NULL, 10);
    if (body > REQUEST_MAX - head)
        return false;
    if (connection->length < head + body)
        return true;
    *ret_served = true;
    // What follows the request is the next one's and not the body's.
    char next = connection->text[head + body];
    connection->text[head + body] = '\0';
    if (!answer_request(connection, connection->text + head, body))
        return false;
    connection->text[head + body] = next;
    connection->length -= head + body;
    memmove(connection->text, connection->text + head + body, connection->length);
    return true;
}

static void *serve(void *context)
{
    struct connection *connection = context;
    bool good = true, served = false;
    while (good) {
        if (!served || !connection->length) {
            ssize_t length = recv(connection->fd, connection->text + connection->length,
                                  REQUEST_MAX - connection->length, 0);
            if (length <= 0)
                break;
            connection->length += (size_t)length;
        }
        good = serve_one(connection, &served);
    }
    close(connection->fd);
    free(connection);
    return NULL;
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 128) ||
        getsockname(listener, (struct sockaddr *)&address, &length)) {
        perror("plain-server");
        return 1;
    }
    printf("listening on http://127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct connection *connection = calloc(1, sizeof(*connection));
        pthread_t thread;
        if (!connection)
            return 1;
        connection->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (connection->fd < 0 || pthread_create(&thread, NULL, serve, connection))
            free(connection);
        else
            pthread_detach(thread);
    }
}
