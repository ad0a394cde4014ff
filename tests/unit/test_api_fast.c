// The parser's shortcuts against the parser without them: bytes that come one by one take none.
#include "api_wire.h"

#include "base/cleanup.h"

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

static void setup(void)
{
    wire_begin();
}

TestSuite(api_fast, .init = setup);

struct turn {
    enum exchange_side side;
    const char *text;
};

struct outcome {
    struct wire_api_exchange finished[FINISHED_MAX];
    size_t count;
    __u8 lost;
};

// Everything but the times, which depend on how the bytes came; of those whether it came to that.
static struct outcome outcome_now(void)
{
    static struct outcome outcome;
    memset(&outcome, 0, sizeof(outcome));
    outcome.count = finished_count;
    outcome.lost = connection.lost;
    for (size_t i = 0; i < finished_count; i++) {
        struct wire_api_exchange *to = &outcome.finished[i];
        *to = finished[i];
        for (__u64 *time = &to->start_ns; time <= &to->end_ns; time++)
            *time = *time != 0;
        memset(to->request_model + to->request_model_length, 0,
               WIRE_API_MODEL_MAX - to->request_model_length);
        memset(to->response_model + to->response_model_length, 0,
               WIRE_API_MODEL_MAX - to->response_model_length);
    }
    return outcome;
}

static void feed_in(const struct turn *turns, size_t count, size_t first, size_t size)
{
    wire_begin();
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(turns[i].text), piece = first;
        for (size_t pos = 0; pos < length; pos += piece, piece = size) {
            if (piece == 0 || piece > length - pos)
                piece = piece == 0 ? size : length - pos;
            if (piece > length - pos)
                piece = length - pos;
            wire_feed(turns[i].side, turns[i].text + pos, piece);
        }
    }
}

static void expect_same(const struct turn *turns, size_t count, const char *what)
{
    static const char garbage[] = "\"\n\r0:}";
    feed_in(turns, count, 1, 1);
    struct outcome slow = outcome_now();
    size_t longest = 0;
    for (size_t i = 0; i < count; i++)
        longest = strlen(turns[i].text) > longest ? strlen(turns[i].text) : longest;
    for (size_t first = 0; first < longest; first++) {
        wire_garbage = garbage[first % (sizeof(garbage) - 1)];
        feed_in(turns, count, first, longest);
        struct outcome fast = outcome_now();
        cr_assert_eq(memcmp(&slow, &fast, sizeof(slow)), 0,
                     "%s, cut at %zu: %zu exchanges instead of %zu, status %u instead of %u", what, first,
                     fast.count, slow.count, fast.finished[0].status, slow.finished[0].status);
    }
    for (size_t size = 2; size < 100; size++) {
        feed_in(turns, count, size, size);
        struct outcome fast = outcome_now();
        cr_assert_eq(memcmp(&slow, &fast, sizeof(slow)), 0, "%s, in pieces of %zu", what, size);
    }
}

Test(api_fast, heads)
{
    static const char *const headers[] = {
        "Content-Length: 2\r\n",
        "CONTENT-LENGTH: 2\r\n",
        "content-length:2\r\n",
        "Content-Length:  2\r\n",
        "Content-Length: 2 \r\n",
        "Content-Length: 2\n",
        "Content-Length: 0000002\r\n",
        "Content-Length: 00000002\r\n",
        "Content-Length: 2, 2\r\n",
        "Content-Length: 2x\r\n",
        "Content-Length: \r\nContent-Length: 2\r\n",
        "Content-Length: 7\r\nContent-Length: 2\r\n",
        "Content-Lengthy: 7\r\nContent-Length: 2\r\n",
        "xContent-Length: 7\r\nContent-Length: 2\r\n",
        "Content-Type: application/json\r\nContent-Length: 2\r\n",
        "Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n",
        "content-type: Application/JSON\nContent-Length: 2\r\n",
        "Content-Type: application/x-ndjson\r\nContent-Length: 2\r\n",
        "Content-Type: text/plain\r\nContent-Length: 2\r\n",
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 2\r\n",
        "Content-Encoding: gzip\r\nContent-Length: 2\r\n",
        "Server: llama.cpp\r\nContent-Length: 2\r\n",
        "Server: a\n: b\r\nContent-Length: 2\r\n",
        "server: A\r\nContent-Length: 2\r\n",
        "SERVER: nginx/1.22.1 [Z@`_]\r\nContent-Length: 2\r\n",
        "Server: twenty-three-bytes-long\r\nContent-Length: 2\r\n",
        "Server: of-more-than-twenty-four-bytes\r\nContent-Length: 2\r\n",
        "Server:  blank\r\nContent-Length: 2\r\n",
        "Server: \r\nContent-Length: 2\r\n",
        "Server-Timing: 5\r\nContent-Length: 2\r\n",
        "Date: Sat, 21 Nov 2026 07:51:56 GMT\r\nConnection: keep-alive\r\nContent-Length: 2\r\n",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nContent-Length: 2\r\n",
        "Cookie: 0123456789012345678901234567890123456789012345678901234567890\r\nContent-Length: 2\r\n",
        ("Accept: 01234567890123456789012345678901234567890123456789012345678901234567890123456789012345\r\n"
         "Content-Length: 2\r\n"),
        "c\r\nt\r\ns\r\na\r\nContent-Length: 2\r\n",
        "t:\r\nContent-Length: 2\r\n",
        " Content-Length: 7\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        static char request[1024], answer[1024];
        bool chunked = strstr(headers[i], "chunked");
        const char *body = chunked ? "2\r\n{}\r\n0\r\n\r\n" : "{}";
        snprintf(request, sizeof(request), "POST /v1/completions HTTP/1.1\r\n%s\r\n%s", headers[i], body);
        snprintf(answer, sizeof(answer), "HTTP/1.1 404 Not Found\r\n%s\r\n%s", headers[i], body);
        const struct turn turns[] = {{EXCHANGE_REQUESTS, request},
                                     {EXCHANGE_ANSWERS, answer},
                                     {EXCHANGE_REQUESTS, request},
                                     {EXCHANGE_ANSWERS, answer}};
        expect_same(turns, ARRAY_SIZE(turns), headers[i]);
    }
}

Test(api_fast, first_lines)
{
#define REQUEST(line)                                            \
    {EXCHANGE_REQUESTS, line "\r\nContent-Length: 2\r\n\r\n{}"}, \
    {                                                            \
        EXCHANGE_ANSWERS, OK_2                                   \
    }
    static const struct turn turns[] = {
        REQUEST("POST /v1/completions HTTP/1.1"),
        REQUEST("POST /v1/completions HTTP/1.1"),
        REQUEST("POST /v1/embeddings HTTP/1.1"),
        REQUEST("POST /v1/embeddings?key=1 HTTP/1.1"),
        REQUEST("POST /v1/embeddings?key=2 HTTP/1.1"),
        REQUEST("GET /v1/models HTTP/1.0"),
        REQUEST("\r\nGET /v1/models HTTP/1.0"),
        REQUEST("POST /v2/models/a/infer HTTP/1.1"),
        REQUEST("POST /v2/models/a/infer HTTP/1.1"),
        REQUEST("POST /v2/models/a-name-so-long-that-the-line-is-no-longer-taken-at-once/infer HTTP/1.1"),
        REQUEST("POST /v2/models/a-name-so-long-that-the-line-is-no-longer-taken-at-once/infer HTTP/1.1"),
        REQUEST("POST /v2/models/b/infer HTTP/1.1"),
    };
    expect_same(turns, ARRAY_SIZE(turns), "first lines");
    feed_in(turns, ARRAY_SIZE(turns), 0, 1024);
    cr_expect_eq(finished_count, 12);
    cr_expect_eq(finished[0].route, finished[1].route);
    cr_expect_neq(finished[1].route, finished[2].route);
    cr_expect_eq(finished[2].route, finished[3].route);
    cr_expect_eq(finished[5].method, WIRE_API_GET);
    cr_expect_eq(finished[9].route, finished[11].route);
}

Test(api_fast, a_line_that_was_refused_is_refused_again)
{
#define BAD "POST /v1/completions HTTP/2.0\r\nContent-Length: 2\r\n\r\n{}"
    wire_request(BAD);
    cr_expect_eq(connection.lost, 1 + WIRE_API_NOT_HTTP);
    exchange_begin(&connection, EXCHANGE_SERVER, true);
    wire_request(BAD);
    cr_expect_eq(connection.lost, 1 + WIRE_API_NOT_HTTP);
}

Test(api_fast, status_lines)
{
    static const char *const lines[] = {
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 200\r\n",
        "HTTP/1.1 200 \r\n",
        "HTTP/1.1 404 Not Found\n",
        "HTTP/1.1 2000 X\r\n",
        "HTTP/1.1 20 X\r\n",
        "HTTP/1.1 099 X\r\n",
        "HTTP/1.2 200 OK\r\n",
        "HTTP/1.1  200 X\r\n",
        "HTTP/1.1 2x0 X\r\n",
        "HTTP/1.1 500 A reason that is so long that the line does not end among the bytes ahead\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        static char answer[512];
        snprintf(answer, sizeof(answer), "%sContent-Length: 2\r\n\r\n{}", lines[i]);
        const struct turn turns[] = {
            {EXCHANGE_REQUESTS, "POST /v1/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"},
            {EXCHANGE_ANSWERS, answer}};
        expect_same(turns, ARRAY_SIZE(turns), lines[i]);
    }
}

Test(api_fast, chunks)
{
    static const char *const chunks[] = {
        "2\r\n{}\r\n0\r\n\r\n",
        "02\r\n{}\r\n0\r\n\r\n",
        "000002\r\n{}\r\n000\r\n\r\n",
        "0000002\r\n{}\r\n0\r\n\r\n",
        "2;x=y\r\n{}\r\n0;z\r\n\r\n",
        "2\n{}\n0\n\n",
        "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\nA: b\r\n\r\n",
        "g\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}x\r\n0\r\n\r\n",
        "2 \r\n{}\r\n0\r\n\r\n",
        "1A\r\n{\"model\":\"abcdefghijklm\"}  \r\n0\r\n\r\n",
        "1a\r\n{\"model\":\"abcdefghijklm\"}  \r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
        static char answer[512];
        snprintf(answer, sizeof(answer),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%s",
                 chunks[i]);
        const struct turn turns[] = {
            {EXCHANGE_REQUESTS, "POST /v1/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"},
            {EXCHANGE_ANSWERS, answer}};
        expect_same(turns, ARRAY_SIZE(turns), chunks[i]);
    }
}

Test(api_fast, names)
{
    static char body[256], request[512];
    static const char name[] = "org/Name-of_a.model:7b-with-more-than-forty-bytes\\\"\\n";
    for (size_t length = 0; length < sizeof(name); length++) {
        if (length && name[length - 1] == '\\')
            continue;
        snprintf(body, sizeof(body), "{\"stream\":true,\"model\":\"%.*s\"}", (int)length, name);
        snprintf(request, sizeof(request), "POST /v1/completions HTTP/1.1\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
        const struct turn turns[] = {{EXCHANGE_REQUESTS, request}, {EXCHANGE_ANSWERS, OK_2}};
        expect_same(turns, ARRAY_SIZE(turns), body);
        feed_in(turns, ARRAY_SIZE(turns), 0, 512);
        for (size_t i = finished[0].request_model_length; i < WIRE_API_MODEL_MAX; i++)
            cr_expect_eq(finished[0].request_model[i], 0, "%s: something behind the name", body);
    }
}

// --- Parts of events ---

static const char *const heads[] = {
    "{\"id\":\"a\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":",
    "{\"id\":\"b\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":",
    "{\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":",
    "{\"choices\":[{\"finish_reason\":null,\"delta\":{\"reasoning_content\":",
    "{\"type\":\"response.output_text.delta\",\"delta\":",
    "{\"type\":\"response.output_text.done_\",\"text\":",
    "{\"usage\":{\"prompt_tokens\":3},\"choices\":[{\"text\":",
    "{\"usage\":{\"prompt_tokens\":4},\"choices\":[{\"text\":",
    "{\"error\":\"no\",\"choices\":[{\"text\":",
    "{\"error\":\"\",\"choices\":[{\"text\":",
    "{\"model\":\"another\",\"long\":\"0123456789012345678901234567890123456789012345678901234567890123456789"
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
    "456789012345678901234567890123456789012345678901234567890123456789\",\"choices\":[{\"text\":",
    "[[{\"delta\":{\"text\":",
    "[DONE]",
};
static const char *const texts[] = {"\" word\"", "\" a\"",    "\"\"",
                                    "null",      "\"\\\"\"",  "\" a text that is longer than a key can be\"",
                                    "[\"x\"]",   "\"\\n\\n\""};
static const char *const tails[] = {
    "},\"finish_reason\":null}]}",
    "},\"finish_reason\":\"x\"}]}",
    "}}]}",
    "}],\"usage\":{\"completion_tokens\":7}}",
    "}],\"usage\":{\"completion_tokens\":8}}",
    "}],\"error\":{\"code\":1}}",
    "}],\"error\":{\"code\"  }}",
    ",\"text\":\"more\"}}",
    ",\"text\":\"\"    }}",
    "}",
    "",
    "}]}\ndata: {\"text\":\"second line\"}",
    "}}]} ",
};
static const char *const ends[] = {"\n\n", "\n\n", "\n\n", "\r\n\r\n", "\n: comment\n\n", "\nid: 7\n\n"};

static unsigned draw(unsigned *state, unsigned below)
{
    *state = *state * 1103515245 + 12345;
    return (*state >> 16) % below;
}

// Few kinds in each stream, so that most are met again.
static void write_stream(char *text, size_t size, unsigned *state)
{
    unsigned kinds[3][3];
    for (size_t i = 0; i < 3; i++) {
        kinds[i][0] = draw(state, ARRAY_SIZE(heads));
        kinds[i][1] = draw(state, ARRAY_SIZE(tails));
        kinds[i][2] = draw(state, ARRAY_SIZE(ends));
    }
    size_t length = (size_t)snprintf(text, size, "%s", STREAM);
    for (size_t i = 0; i < 14; i++) {
        const unsigned *kind = kinds[draw(state, 8) ? 0 : draw(state, 3)];
        unsigned tail = draw(state, 8) ? kind[1] : draw(state, ARRAY_SIZE(tails));
        length += (size_t)snprintf(text + length, size - length, "data: %s%s%s%s", heads[kind[0]],
                                   texts[draw(state, ARRAY_SIZE(texts))], tails[tail], ends[kind[2]]);
    }
}

Test(api_fast, events_that_are_met_again)
{
    static char text[16384];
    unsigned state = 1;
    for (size_t i = 0; i < 5000; i++) {
        write_stream(text, sizeof(text), &state);
        const struct turn turns[] = {
            {EXCHANGE_REQUESTS, "POST /v1/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"},
            {EXCHANGE_ANSWERS, text}};
        size_t first = draw(&state, 600), size = i % 2 ? 8192 : 1 + draw(&state, 600);
        feed_in(turns, 2, 1, 1);
        exchange_closed(&connection, clock_ns, true);
        struct outcome slow = outcome_now();
        feed_in(turns, 2, first, size);
        exchange_closed(&connection, clock_ns, true);
        struct outcome fast = outcome_now();
        cr_assert_eq(memcmp(&slow, &fast, sizeof(slow)), 0,
                     "events %u and %u, with text %u and %u, in pieces of %zu and %zu of: %s",
                     slow.finished[0].events, fast.finished[0].events, slow.finished[0].content_events,
                     fast.finished[0].content_events, first, size, text);
    }
}

Test(api_fast, a_stream_of_like_events_is_passed_over)
{
    wire_request("POST /v1/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
    wire_answer(STREAM);
    const struct http_message *message = &connection.messages[EXCHANGE_ANSWERS];
    for (unsigned i = 0; i < 6; i++) {
        char event[256];
        snprintf(event, sizeof(event), "data: %s\" word %u\"%s\n\n", heads[0], i, tails[0]);
        wire_answer(event);
        cr_expect_eq(message->content_events, i + 1);
        if (i >= 3)
            cr_expect(message->parts[0].known && message->parts[1].known, "event %u", i);
    }
}
