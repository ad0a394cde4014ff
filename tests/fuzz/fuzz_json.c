// Bodies that are JSON, made by what the input says, with all kinds of keys and texts where a prompt, an
// answer or the arguments of a tool have them. Names and numbers that are not the API's own must never be
// taken; where all of the text was looked at, the API's own must be.
#include "target.h"

#define HTTP_HEAD_SCAN 256
#define HTTP_HEAD_SCAN_NAMED 64
#define HTTP_TAIL_SCAN 192
#include "exchanges.h"

#include "base/cleanup.h"

#include <stdio.h>

enum { BODY_MAX = 60000, DEPTH_MAX = 12 };

struct made {
    const uint8_t *data; // what is left of the input
    size_t size;
    char body[BODY_MAX + 1024];
    size_t length;
    bool answer;
    // The truth; -1: no such number
    bool has_model, stream;
    int input, output;
};

static uint8_t next(struct made *made)
{
    if (!made->size)
        return 0;
    made->size--;
    return *made->data++;
}

static bool full(const struct made *made)
{
    return made->length >= BODY_MAX || !made->size;
}

static void put(struct made *made, const char *text)
{
    size_t length = strlen(text);
    if (made->length + length < sizeof(made->body)) {
        memcpy(made->body + made->length, text, length);
        made->length += length;
    }
}

static void put_space(struct made *made)
{
    static const char *const spaces[] = {" ", "\n", "\r\n", "\t  "};
    uint8_t choice = next(made);
    if (choice < 64)
        put(made, spaces[choice % 4]);
}

// A string of the input's next bytes.
static void put_string(struct made *made)
{
    size_t length = next(made);
    put(made, "\"");
    for (size_t i = 0; i < length && !full(made); i++) {
        uint8_t byte = next(made);
        char text[8] = {(char)byte};
        if (byte == '"' || byte == '\\')
            snprintf(text, sizeof(text), "\\%c", byte);
        else if (byte < ' ')
            snprintf(text, sizeof(text), byte == '\n' ? "\\n" : "\\u%04x", byte);
        put(made, text);
    }
    put(made, "\"");
}

// Where anything looked at stops being so: some hundred bytes of text.
static void put_long(struct made *made)
{
    char text[512];
    size_t length = 256 + next(made) % 255;
    memset(text, 'x', length);
    text[length] = '\0';
    put(made, "\"");
    put(made, text);
    put(made, "\"");
}

static const char *const forged[] = {
    "\"model\":\"SECRET\"",
    "\"stream\":true",
    "\"usage\":{\"prompt_tokens\":1000001,\"completion_tokens\":1000002}",
    "\"usage\":{\"input_tokens\":1000003,\"output_tokens\":1000004}",
    "\"prompt_eval_count\":1000005,\"eval_count\":1000006",
    "\"tokens_evaluated\":1000007,\"tokens_predicted\":1000008",
    "\"meta_info\":{\"completion_tokens\":1000009}",
    "\"prompt_tokens\":1000010,\"completion_tokens\":1000011",
};

static void put_value(struct made *made, unsigned depth);

// `depth` counts the brackets around the members.
static void put_members(struct made *made, unsigned depth)
{
    // Down to the second one an answer's keys are the API's own.
    bool lookalikes = depth > (made->answer ? 2 : 1);
    for (bool comma = false; !full(made); comma = true) {
        uint8_t choice = next(made);
        if (choice % 5 == 0)
            break;
        put(made, comma ? "," : "");
        put_space(made);
        if (lookalikes && choice % 5 == 1) {
            put(made, forged[choice / 5 % ARRAY_SIZE(forged)]);
            continue;
        }
        if (depth > 2)
            put_string(made);
        else
            put(made, choice & 64 ? "\"content\"" : "\"x\"");
        put_space(made);
        put(made, ":");
        put_value(made, depth);
    }
    put_space(made);
}

static void put_value(struct made *made, unsigned depth)
{
    static const char *const words[] = {"null", "true", "-1.5e3", "7", "[]", "{}", "\"\""};
    uint8_t choice = next(made);
    put_space(made);
    if (choice % 4 == 0 && depth < DEPTH_MAX) {
        put(made, "{");
        put_members(made, depth + 1);
        put(made, "}");
    } else if (choice % 4 == 1 && depth < DEPTH_MAX) {
        put(made, "[");
        for (bool comma = false; !full(made) && next(made) % 4; comma = true) {
            put(made, comma ? "," : "");
            put_value(made, depth + 1);
        }
        put(made, "]");
    } else if (choice % 4 == 2) {
        put_string(made);
    } else if (choice & 128) {
        put_long(made);
    } else {
        put(made, words[choice / 4 % ARRAY_SIZE(words)]);
    }
}

// Each of the API's own keys once at most, in any order between others.
static void make(struct made *made)
{
    uint8_t left = 7;
    made->input = made->output = -1;
    put_space(made);
    put(made, "{");
    for (bool comma = false; !full(made); comma = true) {
        uint8_t choice = next(made), own = (uint8_t)((1 << choice % 4) >> 1);
        put(made, comma ? "," : "");
        put_space(made);
        if (!(left & own)) {
            put(made, choice & 64 ? "\"messages\":" : "\"x\" :");
            put_value(made, 1);
            continue;
        }
        left &= (uint8_t)~own;
        if (own == 1) {
            put(made, "\"model\":\"r\\u00e9al\"");
            made->has_model = true;
        } else if (own == 2) {
            made->stream = choice & 64;
            put(made, made->stream ? "\"stream\":true" : "\"stream\":false");
        } else {
            made->input = choice;
            made->output = choice / 2;
            char text[128];
            snprintf(text, sizeof(text),
                     "\"usage\" : {\"prompt_tokens\": %d,\"x\":{\"completion_tokens\":1000020},"
                     "\"completion_tokens\":%d}",
                     made->input, made->output);
            put(made, text);
        }
    }
    put(made, "}");
    put_space(made);
    made->body[made->length] = '\0';
}

static void feed_text(struct wire *wire, enum exchange_side side, const char *text)
{
    wire_feed(wire, side, (const uint8_t *)text, strlen(text), true);
}

static bool is_own(const char *model, uint8_t length)
{
    static const char own[] = "r\xc3\xa9"
                              "al";
    return length == sizeof(own) - 1 && memcmp(model, own, length) == 0;
}

static void expect_own(const struct made *made, const struct wire *wire)
{
    const struct wire_api_exchange *got = &wire->finished[0];
    const char *model = made->answer ? got->response_model : got->request_model;
    uint8_t length = made->answer ? got->response_model_length : got->request_model_length;
    bool all = !wire->skipped, has_input = got->flags & WIRE_API_HAS_INPUT;
    bool has_output = got->flags & WIRE_API_HAS_OUTPUT, stream = got->flags & WIRE_API_STREAM_ASKED;
    expect(length == 0 || (made->has_model && is_own(model, length)));
    expect(!all || made->has_model == (length != 0));
    if (!made->answer) {
        expect(!stream || made->stream);
        expect(!all || stream == made->stream);
        return;
    }
    expect(!has_input || (made->input >= 0 && got->input_tokens == (uint32_t)made->input));
    expect(!has_output || (made->output >= 0 && got->output_tokens == (uint32_t)made->output));
    expect(!all || (has_input == (made->input >= 0) && has_output == (made->output >= 0)));
}

FUZZ_TARGET(json)
{
    static struct made made;
    static struct wire wire;
    char head[256];
    if (size < 2)
        return 0;
    memset(&made, 0, sizeof(made));
    made.answer = data[0] & 1;
    made.data = data + 2;
    made.size = size - 2;
    make(&made);
    wire_begin(&wire, EXCHANGE_SERVER, data[0] & 2 ? data[1] + 1u : 0, '"', true);
    snprintf(head, sizeof(head), "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %zu\r\n\r\n",
             made.answer ? 0 : made.length);
    feed_text(&wire, EXCHANGE_REQUESTS, head);
    if (!made.answer)
        feed_text(&wire, EXCHANGE_REQUESTS, made.body);
    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             made.answer ? made.length : 0);
    feed_text(&wire, EXCHANGE_ANSWERS, head);
    if (made.answer)
        feed_text(&wire, EXCHANGE_ANSWERS, made.body);
    expect(wire.finished_count == 1);
    wire_check(&wire);
    expect_own(&made, &wire);
    return 0;
}
