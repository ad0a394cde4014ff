// Runs the kernel's HTTP parser and clock (bpf/lib/exchange.h) over bytes in pieces of any size, as
// bpf/api.bpf.c does over what passes a socket, and keeps what came out. Whoever includes this may have
// chosen how much of a body is looked at.
#pragma once

#include "api.h"
#include "bpf/lib/exchange.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FINISHED_MAX = 64 };

struct wire {
    struct exchange_connection connection; // first
    struct wire_api_exchange finished[FINISHED_MAX];
    size_t finished_count;
    size_t told; // with those for which there was no room
    uint64_t now_ns;
    uint64_t bytes[2]; // that were fed, by enum exchange_side
    uint64_t windows;  // 0: each piece as far as a window goes, else the state of a random number
    uint64_t skipped;  // bytes of bodies that were not looked at
    uint32_t begun;    // requests
    uint8_t behind;    // what lies behind the last byte of a window
};

#define expect(holds) ((holds) ? (void)0 : expect_failed(#holds, __LINE__))

static inline void expect_failed(const char *what, int line)
{
    fprintf(stderr, "line %d: %s\n", line, what);
    abort();
}

static inline __u16 exchange_route(const __u64 *hashes, __u32 hashes_count)
{
    static uint64_t known[API_ROUTES_MAX + 1];
    size_t count = api_route_count();
    for (size_t number = 1; !known[count] && number <= count; number++)
        known[number] = api_route_hash(api_route_at(number));
    for (size_t i = 0; i < hashes_count; i++)
        for (size_t number = 1; number <= count; number++)
            if (known[number] == hashes[i])
                return api_route_value(number);
    return 0;
}

static inline void exchange_emit(struct exchange_connection *connection,
                                 const struct wire_api_exchange *exchange)
{
    struct wire *wire = (struct wire *)connection;
    wire->told++;
    if (wire->finished_count < FINISHED_MAX)
        wire->finished[wire->finished_count++] = *exchange;
}

static inline void wire_begin(struct wire *wire, enum exchange_role role, uint64_t windows, uint8_t behind,
                              bool values)
{
    memset(wire, 0, sizeof(*wire));
    wire->windows = windows;
    wire->behind = behind;
    wire->now_ns = 1;
    exchange_begin(&wire->connection, role, values);
}

// How many of the bytes come next.
static inline size_t wire_cut(struct wire *wire, size_t left)
{
    if (wire->windows) {
        wire->windows = wire->windows * 6364136223846793005u + 1442695040888963407u;
        size_t most = 1 + (wire->windows >> 33) % (wire->windows >> 60 ? 40 : 3);
        return left < most ? left : most;
    }
    return left < 4096 ? left : 4096;
}

static inline void wire_happened(struct wire *wire, enum exchange_side side)
{
    uint8_t happened = wire->connection.messages[side].happened;
    if (!happened)
        return;
    wire->begun += side == EXCHANGE_REQUESTS && (happened & HTTP_BEGUN);
    if (side == EXCHANGE_REQUESTS)
        exchange_requested(&wire->connection, wire->now_ns);
    else
        exchange_answered(&wire->connection, wire->now_ns);
    expect(wire->connection.messages[side].happened == 0);
}

static inline void wire_skip(struct wire *wire, enum exchange_side side, size_t count)
{
    struct http_message *message = &wire->connection.messages[side];
    expect(message->state == HTTP_UNTIL_CLOSE || count <= message->left);
    http_skip(message, count);
    wire->skipped += message->format == HTTP_OPAQUE ? 0 : count;
    wire_happened(wire, side);
}

// In memory of its own, with as much behind it as may be read.
static inline void wire_look(struct wire *wire, enum exchange_side side, const uint8_t *data, size_t size)
{
    struct http_message *message = &wire->connection.messages[side];
    uint8_t *window = malloc(size + SCAN_AHEAD);
    expect(window);
    memcpy(window, data, size);
    memset(window + size, wire->behind, SCAN_AHEAD);
    for (size_t at = 0; at < size && !wire->connection.lost;) {
        uint32_t used = http_step(message, window + at, (uint32_t)(size - at));
        expect(used >= 1 && used <= size - at);
        at += used;
        wire_happened(wire, side);
    }
    free(window);
}

// The bytes of one call.
static inline void wire_feed(struct wire *wire, enum exchange_side side, const uint8_t *data, size_t size,
                             bool readable)
{
    struct http_message *message = &wire->connection.messages[side];
    for (size_t at = 0; at < size && !wire->connection.lost;) {
        size_t count = wire_cut(wire, size - at);
        uint64_t skip = http_skippable(message);
        if (!skip && !readable) {
            message->unseen = 1;
            skip = message->state == HTTP_UNTIL_CLOSE ? count : message->left;
            if (message->state < HTTP_BODY || message->state > HTTP_UNTIL_CLOSE) {
                message->happened |= HTTP_FAILED | HTTP_UNREAD;
                wire_happened(wire, side);
                break;
            }
        }
        if (skip) {
            count = skip < size - at ? (size_t)skip : size - at;
            wire_skip(wire, side, count);
        } else {
            wire_look(wire, side, data + at, count);
        }
        at += count;
        wire->bytes[side] += count;
    }
    exchange_note(&wire->connection, side, wire->now_ns);
}

static inline bool is_zero(const char *bytes, size_t from, size_t to)
{
    while (from < to && !bytes[from])
        from++;
    return from >= to;
}

static inline void wire_check_times(const struct wire_api_exchange *exchange)
{
    expect(exchange->start_ns && exchange->start_ns <= exchange->end_ns);
    expect(exchange->request_end_ns <= exchange->end_ns && exchange->head_ns <= exchange->end_ns);
    expect(!exchange->request_end_ns || exchange->request_end_ns >= exchange->start_ns);
    expect(!exchange->head_ns == !exchange->status);
    expect(exchange->last_content_ns <= exchange->end_ns);
    expect(!exchange->first_content_ns == !exchange->content_events || exchange->end == WIRE_API_CLIENT_GONE);
    expect(!exchange->first_content_ns || (exchange->first_content_ns >= exchange->head_ns &&
                                           exchange->first_content_ns <= exchange->last_content_ns));
}

// What must hold for each exchange, whatever was sent.
static inline void wire_check(const struct wire *wire)
{
    uint64_t bytes[2] = {0};
    expect(wire->told <= wire->begun);
    for (size_t i = 0; i < wire->finished_count; i++) {
        const struct wire_api_exchange *exchange = &wire->finished[i];
        bytes[EXCHANGE_REQUESTS] += exchange->request_bytes;
        bytes[EXCHANGE_ANSWERS] += exchange->response_bytes;
        wire_check_times(exchange);
        expect(exchange->content_events <= exchange->events && exchange->events <= exchange->response_bytes);
        expect(exchange->end < WIRE_API_ENDS && exchange->method < WIRE_API_METHODS);
        expect(exchange->route <= api_route_count());
        expect(exchange->status == 0 || (exchange->status >= 200 && exchange->status <= 999));
        expect(exchange->request_model_length <= WIRE_API_MODEL_MAX &&
               exchange->response_model_length <= WIRE_API_MODEL_MAX);
        // Nothing of another name is left behind one that is shorter.
        expect(is_zero(exchange->request_model, exchange->request_model_length, WIRE_API_MODEL_MAX) &&
               is_zero(exchange->response_model, exchange->response_model_length, WIRE_API_MODEL_MAX));
        expect(memchr(exchange->server, '\0', WIRE_API_SERVER_MAX) &&
               memchr(exchange->traceparent, '\0', WIRE_API_TRACEPARENT_MAX));
    }
    for (size_t side = 0; side < 2; side++)
        expect(wire->told != wire->finished_count || bytes[side] <= wire->bytes[side]);
}
