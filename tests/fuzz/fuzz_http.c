// Both directions of a connection, any bytes: the same exchanges must come out however the bytes are cut.
#include "target.h"

#define HTTP_HEAD_SCAN 512
#define HTTP_HEAD_SCAN_NAMED 128
#define HTTP_TAIL_SCAN 256
#include "exchanges.h"

// Such bytes say what happens to those that follow.
enum {
    TO_SERVER = 1,
    TO_CLIENT,
    UNREADABLE, // until the next of these
    LONG,       // so many times 64 bytes of text, by the byte that follows
    CLIENT_CLOSES,
    SERVER_CLOSES,
};

static bool is_mark(uint8_t byte)
{
    return byte >= TO_SERVER && byte <= SERVER_CLOSES;
}

static void feed(struct wire *wire, enum exchange_side side, const uint8_t *data, size_t size, bool readable)
{
    static const char post[] = "POST /";
    if (wire->connection.lost && side == EXCHANGE_REQUESTS && size >= sizeof(post) - 1 &&
        memcmp(data, post, sizeof(post) - 1) == 0)
        exchange_begin(&wire->connection, wire->connection.role, wire->connection.messages[0].values);
    wire_feed(wire, side, data, size, readable);
    wire->now_ns++;
}

static void run(struct wire *wire, const uint8_t *data, size_t size)
{
    static uint8_t text[255 * 64];
    memset(text, 'x', sizeof(text));
    enum exchange_side side = EXCHANGE_REQUESTS;
    bool readable = true;
    for (size_t at = 0; at < size;) {
        uint8_t mark = data[at];
        if (!is_mark(mark)) {
            size_t end = at;
            while (end < size && !is_mark(data[end]))
                end++;
            feed(wire, side, data + at, end - at, readable);
            at = end;
            continue;
        }
        at++;
        readable = mark != UNREADABLE;
        if (mark == TO_SERVER || mark == TO_CLIENT)
            side = mark == TO_SERVER ? EXCHANGE_REQUESTS : EXCHANGE_ANSWERS;
        if (mark == LONG && at < size)
            feed(wire, side, text, (size_t)data[at++] * 64, true);
        if (mark == CLIENT_CLOSES || mark == SERVER_CLOSES)
            exchange_closed(&wire->connection, wire->now_ns, mark == SERVER_CLOSES);
    }
    exchange_closed(&wire->connection, wire->now_ns, true);
    wire_check(wire);
}

// Where the looking stops in a long body depends on how it is cut, so what was found there may differ.
static void forget_values(struct wire_api_exchange *exchange)
{
    exchange->request_model_length = exchange->response_model_length = 0;
    memset(exchange->request_model, 0, sizeof(exchange->request_model));
    memset(exchange->response_model, 0, sizeof(exchange->response_model));
    exchange->input_tokens = exchange->output_tokens = 0;
    exchange->flags &= ~(uint32_t)(WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT | WIRE_API_STREAM_ASKED |
                                   WIRE_API_LONG_MODEL | WIRE_API_MIDDLE_UNSEEN | WIRE_API_ERROR_EVENT);
    exchange->events = exchange->content_events = 0;
    exchange->first_content_ns = exchange->last_content_ns = exchange->first_event_ns = 0;
}

static void expect_same(struct wire *one, struct wire *other)
{
    expect(one->told == other->told && one->begun == other->begun);
    expect(one->connection.lost == other->connection.lost);
    for (size_t i = 0; i < one->finished_count; i++) {
        if (one->skipped || other->skipped) {
            forget_values(&one->finished[i]);
            forget_values(&other->finished[i]);
        }
        expect(memcmp(&one->finished[i], &other->finished[i], sizeof(one->finished[i])) == 0);
    }
}

FUZZ_TARGET(http)
{
    static struct wire whole, cut;
    if (size < 2)
        return 0;
    bool values = !(data[0] & 1);
    enum exchange_role role = data[0] & 2 ? EXCHANGE_CLIENT : EXCHANGE_SERVER;
    wire_begin(&whole, role, 0, '"', values);
    run(&whole, data + 1, size - 1);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct wire *first = &whole, copy = whole;
        wire_begin(&cut, role, seed << 32 | data[0], seed == 1 ? '\n' : seed == 2 ? '"' : 0, values);
        run(&cut, data + 1, size - 1);
        expect_same(first, &cut);
        whole = copy;
    }
    return 0;
}
