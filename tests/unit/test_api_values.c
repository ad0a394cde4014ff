// Names and numbers count only where an API puts them, however they are written; and events of a stream are
// those that the WHATWG's grammar has.
#include "api_wire.h"

#include "base/cleanup.h"

#define CHAT "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"

static void setup(void)
{
    wire_begin();
}

TestSuite(api_values, .init = setup);

// Asks with that body; the answer is empty.
static const struct wire_api_exchange *asked(const char *body)
{
    char head[256];
    wire_begin();
    snprintf(head, sizeof(head), "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %zu\r\n\r\n",
             strlen(body));
    wire_request(head);
    wire_request(body);
    wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    return wire_only();
}

static const struct wire_api_exchange *answered(const char *type, const char *body)
{
    char head[256];
    wire_begin();
    wire_request(CHAT);
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type,
             strlen(body));
    wire_answer(head);
    wire_answer(body);
    return wire_only();
}

// --- Names ---

static void expect_name(const char *written, const char *name)
{
    char body[512];
    snprintf(body, sizeof(body), "{\"model\":\"%s\"}", written);
    const struct wire_api_exchange *got = asked(body);
    const char *model = wire_model(got->request_model, got->request_model_length);
    cr_expect_str_eq(model, name, "%s gives \"%s\"", written, model);
}

Test(api_values, escapes_in_a_name_are_undone)
{
    expect_name("na\\u00efve", "na\xc3\xafve");
    expect_name("\\u901a\\u4E49", "\xe9\x80\x9a\xe4\xb9\x89");
    expect_name("\\ud83d\\ude00!", "\xf0\x9f\x98\x80!");
    expect_name("\\u0071wen\\u003a7b", "qwen:7b");
    expect_name("org\\/a\\\\b\\\"c", "org/a\\b\"c");
    expect_name("a\\tb\\n\\r\\b\\f", "a\tb\n\r\b\f");
    // Half of a pair, a NUL and what is no escape are shown as U+FFFD, as all that is no UTF-8 is.
    expect_name("a\\ud83dz", "a\xef\xbf\xbdz");
    expect_name("a\\ud83d", "a\xef\xbf\xbd");
    expect_name("a\\ude00\\ud83d\\ud83d\\ude00", "a\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80");
    expect_name("a\\ud83d\\n", "a\xef\xbf\xbd\n");
    expect_name("a\\u0000b", "a\xef\xbf\xbd"
                             "b");
    expect_name("a\\u12", "a\xef\xbf\xbd");
    expect_name("a\\u1xyz", "a\xef\xbf\xbdxyz");
    expect_name("a\\qb", "a\xef\xbf\xbd"
                         "b");
}

Test(api_values, the_bound_of_a_name_counts_what_is_shown)
{
    char body[1024] = "{\"model\":\"";
    for (int i = 0; i < WIRE_API_MODEL_MAX / 3; i++)
        strcat(body, "\\u4f60");
    strcat(body, "\"}");
    cr_expect_eq(asked(body)->request_model_length, WIRE_API_MODEL_MAX);
    cr_expect_not(wire_only()->flags & WIRE_API_LONG_MODEL);
    strcpy(body + strlen(body) - 2, "\\u0061\"}");
    cr_expect_eq(asked(body)->request_model_length, WIRE_API_MODEL_MAX);
    cr_expect(wire_only()->flags & WIRE_API_LONG_MODEL);
}

// --- What a gap hides ---

// A long text that is not looked at stands for each # of the pattern.
static const char *with_gap(const char *pattern)
{
    enum { GAP = HTTP_HEAD_SCAN + SCAN_RUN + HTTP_TAIL_SCAN };
    static char body[4 * GAP];
    size_t used = 0;
    for (const char *c = pattern; *c; c++) {
        size_t count = *c == '#' ? GAP : 1;
        memset(body + used, *c == '#' ? 'x' : *c, count);
        used += count;
    }
    body[used] = '\0';
    return body;
}

static bool asks_for_stream(const char *pattern)
{
    return asked(with_gap(pattern))->flags & WIRE_API_STREAM_ASKED;
}

Test(api_values, stream_behind_a_gap_counts_in_the_outermost_object_only)
{
    cr_expect(asks_for_stream("{\"prompt\":\"#\",\"stream\":true}"));
    cr_expect(asks_for_stream("{\"prompt\":\"#\",\"stream\":true,\"model\":\"m\"}"));
    cr_expect(asks_for_stream("{\"prompt\":\"#\",\"x\":{\"stream\":false},\"stream\":true}\n"));
    cr_expect(asks_for_stream("{\"stream\":true,\"prompt\":\"#\"}"));
    cr_expect_not(asks_for_stream("{\"m\":[{\"content\":\"#\"},{\"input\":{\"stream\":true}}]}"));
    cr_expect_not(
        asks_for_stream("{\"m\":[{\"content\":\"#\"},{\"input\":{\"stream\":true}}],\"stream\":false}"));
    cr_expect_not(
        asks_for_stream("{\"stream\":false,\"m\":[{\"content\":\"#\"},{\"input\":{\"stream\":true}}]}"));
    cr_expect_not(asks_for_stream("{\"prompt\":\"#, \\\"stream\\\": true, \"}"));
}

static void expect_tokens(const struct wire_api_exchange *got, int input, int output, const char *text)
{
    cr_expect_eq(got->flags & WIRE_API_HAS_INPUT ? (int)got->input_tokens : -1, input, "%s", text);
    cr_expect_eq(got->flags & WIRE_API_HAS_OUTPUT ? (int)got->output_tokens : -1, output, "%s", text);
}

#define USED(input, output) "\"usage\":{\"prompt_tokens\":" #input ",\"completion_tokens\":" #output "}"

Test(api_values, tokens_behind_a_gap_count_in_the_outermost_object_only)
{
    static const struct {
        const char *pattern;
        int input, output;
    } cases[] = {
        {"{\"x\":[{\"text\":\"#\"}]," USED(1, 2) "}", 1, 2},
        {"{\"x\":[{\"text\":\"#\"}]," USED(1, 2) ",\"y\":{" USED(3, 4) "}}\n", 1, 2},
        {"{\"x\":[{\"text\":\"#\"},{" USED(3, 4) "}]," USED(1, 2) "}", 1, 2},
        {"{\"x\":[{\"text\":\"#\"},{" USED(3, 4) "}]}", -1, -1},
        {"{" USED(1, 2) ",\"x\":[{\"text\":\"#\"},{" USED(3, 4) "}]}", 1, 2},
        {"{" USED(1, 2) ",\"x\":[{\"text\":\"#\"}]," USED(5, 6) "}", 5, 6},
        {"{\"message\":{\"content\":\"#\",\"calls\":[{\"arguments\":{\"eval_count\":9}}]}}", -1, -1},
        {"{\"message\":{\"content\":\"#\"},\"prompt_eval_count\":7,\"eval_count\":8}", 7, 8},
        {"{\"content\":\"#\",\"tokens_evaluated\":7,\"tokens_predicted\":8}", 7, 8},
        {"{\"content\":\"#\",\"timings\":{\"tokens_evaluated\":7,\"tokens_predicted\":8}}", -1, -1},
        {"{\"text\":\"#\",\"meta_info\":{\"prompt_tokens\":7,\"completion_tokens\":8}}", 7, 8},
        {"{\"text\":\"#\\\"usage\\\":{\\\"completion_tokens\\\":9}\"}", -1, -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_tokens(answered("application/json", with_gap(cases[i].pattern)), cases[i].input,
                      cases[i].output, cases[i].pattern);
}

// Where there was no gap: a usage of the outermost object, or of the one that the event is about.
Test(api_values, tokens_count_where_an_api_puts_them)
{
    static const struct {
        const char *body;
        int input, output;
    } cases[] = {
        {"{" USED(1, 2) "}", 1, 2},
        {"{\"response\":{" USED(1, 2) "}}", 1, 2},
        {"{\"x\":[{\"arguments\":{" USED(1, 2) "}}]}", -1, -1},
        {"{\"message\":{\"tool_calls\":[{\"function\":{\"arguments\":{" USED(1, 2) "}}}]}," USED(3, 4) "}", 3,
         4},
        {"{" USED(3, 4) ",\"message\":{\"tool_calls\":[{\"function\":{\"arguments\":{" USED(1, 2) "}}}]}}", 3,
         4},
        {"{\"usage\":{\"prompt_tokens\":1,\"details\":{\"completion_tokens\":9}}}", 1, -1},
        {"{\"usage\":[{\"prompt_tokens\":1}]}", -1, -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_tokens(answered("application/json", cases[i].body), cases[i].input, cases[i].output,
                      cases[i].body);
}

// A record's bytes leave the kernel, also those behind the name.
Test(api_values, nothing_of_another_name_stays_behind_a_name)
{
    static const char *const patterns[] = {
        "{\"x\":\"#\",\"y\":{\"model\":\"SECRET-SECRET\"},\"model\":\"m\"}",
        "{\"model\":\"SECRET-SECRET\",\"model\":\"m\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
        const struct wire_api_exchange *got = asked(with_gap(patterns[i]));
        cr_expect_str_eq(wire_model(got->request_model, got->request_model_length), "m");
        cr_expect_not(memmem(got, sizeof(*got), "SECRET", 6));
    }
}

// --- The grammar of event streams ---

static void expect_events(const char *body, unsigned events, unsigned contents)
{
    const struct wire_api_exchange *got = answered("text/event-stream", body);
    cr_expect_eq(got->events, events, "%s: %u events", body, got->events);
    cr_expect_eq(got->content_events, contents, "%s: %u with content", body, got->content_events);
}

#define TEXT "data: {\"content\":\"a\"}"

Test(api_values, lines_of_events_end_in_any_way)
{
    expect_events(TEXT "\n\n" TEXT "\n\n", 2, 2);
    expect_events(TEXT "\r\n\r\n" TEXT "\r\n\r\n", 2, 2);
    expect_events(TEXT "\r\r" TEXT "\r\r", 2, 2);
    expect_events(TEXT "\r\n\n" TEXT "\n\r", 2, 2);
    expect_events(TEXT "\r\n\r" TEXT "\r\r\n", 2, 2);
    expect_events(TEXT "\n\r\n" TEXT "\r\n\r\n\r\n\r\n", 2, 2);
    expect_events("event: a\r" TEXT "\rid: 7\r\r: comment\r\r" TEXT "\r", 2, 2);
    expect_events("event: a\r\n" TEXT "\r\n\r\n: comment\r\n\r\n" TEXT "\r\n", 2, 2);
}

Test(api_values, lines_that_are_no_data_make_no_event)
{
    expect_events(": comment\n\n: another\r\n\r\n", 0, 0);
    expect_events("event: ping\n\nid: 1\n\nretry: 5\n\n", 0, 0);
    expect_events("Data: {\"content\":\"a\"}\n\ndata : x\n\n data: x\n\n", 0, 0);
    expect_events("data\n\ndata:\n\n", 2, 0);
    expect_events("\xef\xbb\xbf" TEXT "\n\n" TEXT "\n\n", 2, 2);
    expect_events(TEXT "\n\n\xef\xbb\xbf" TEXT "\n\n", 1, 1);
    expect_events("data:{\"content\":\n:comment\nevent: x\ndata: \"a\"\ndata:}\n\n", 1, 1);
}

// A line that ends ends a number, and no text goes over two lines.
Test(api_values, values_in_data_of_several_lines)
{
    expect_tokens(answered("text/event-stream", "data: {\"usage\":\ndata:{\"prompt_tokens\":12\ndata:,"
                                                "\"completion_tokens\":34\rdata:}}\n\n"),
                  12, 34, "lines");
    expect_tokens(answered("text/event-stream", "data: {\"usage\":{\"prompt_tokens\":1\ndata:2,\"completion_"
                                                "tokens\":3\r\ndata:4}}\n\n"),
                  1, 3, "digits");
    expect_tokens(
        answered("text/event-stream", "data: {\"x\":\"\ndata: ,\"usage\":{\"prompt_tokens\":12}}\n\n"), -1,
        -1, "broken text");
}

Test(api_values, lines_of_json_end_in_any_way)
{
    const struct wire_api_exchange *got =
        answered("application/x-ndjson",
                 "{\"message\":{\"content\":\"a\"}}\r\n\r\n{\"message\":{\"content\":\"b\"}}\r\n\n");
    cr_expect_eq(got->events, 2);
    cr_expect_eq(got->content_events, 2);
    cr_expect_eq(answered("application/x-ndjson", "  {\"content\":\"a\"}\r\n")->events, 1);
}

// Only the end of the connection tells that it was whole.
Test(api_values, an_event_that_ends_with_the_connection)
{
    wire_begin();
    wire_request(CHAT);
    wire_answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" TEXT);
    exchange_closed(&connection, 9, true);
    cr_expect_eq(wire_only()->content_events, 1);
    cr_expect_eq(wire_only()->first_content_ns, 9);
    cr_expect_eq(wire_only()->last_content_ns, 9);
}

// --- Bytes that could not be read ---

static void unread(enum exchange_side side, size_t count)
{
    struct http_message *message = &connection.messages[side];
    message->unseen = 1;
    http_skip(message, count);
    exchange_answered(&connection, clock_ns);
}

// What follows could be the next event, or the middle of a text.
Test(api_values, an_event_with_a_hole_gives_nothing_behind_it)
{
    static const char *const types[] = {"text/event-stream", "application/x-ndjson"};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        char head[128];
        const char *data = i ? "" : "data: ";
        wire_begin();
        wire_request(CHAT);
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n%s{\"x\":\"", types[i],
                 data);
        wire_answer(head);
        unread(EXCHANGE_ANSWERS, 100);
        wire_answer(",\"model\":\"SECRET\",\"usage\":{\"completion_tokens\":5}}\n\n");
        wire_answer(data);
        wire_answer("{\"model\":\"real\",\"content\":\"a\"}\n\n");
        exchange_closed(&connection, 9, true);
        cr_expect_str_eq(wire_model(wire_only()->response_model, wire_only()->response_model_length), "real");
        cr_expect_eq(wire_only()->content_events, 1);
        cr_expect_eq(wire_only()->flags, WIRE_API_INFERENCE | WIRE_API_STREAMED | WIRE_API_MIDDLE_UNSEEN);
    }
}
