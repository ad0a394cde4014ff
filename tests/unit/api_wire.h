// Feeds bytes to the kernel's own HTTP parser and clock (bpf/lib/exchange.h), in any pieces, and keeps what
// came out.
#pragma once

#include "api.h"
#include "bpf/lib/exchange.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FINISHED_MAX = 16, WIRE_WINDOW = 4096 };
static struct wire_api_exchange finished[FINISHED_MAX];
static size_t finished_count;
static struct exchange_connection connection;
static __u64 clock_ns;
static char wire_garbage = '"'; // what lies behind the bytes at hand

static inline __u16 exchange_route(const __u64 *hashes, __u32 count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t number = 1; number <= api_route_count(); number++)
            if (api_route_hash(api_route_at(number)) == hashes[i])
                return api_route_value(number);
    return 0;
}

static inline void exchange_emit(struct exchange_connection *from, const struct wire_api_exchange *exchange)
{
    cr_assert_lt(finished_count, FINISHED_MAX);
    finished[finished_count++] = *exchange;
}

static inline void wire_begin_as(enum exchange_role role, bool values)
{
    memset(&connection, 0, sizeof(connection));
    exchange_begin(&connection, role, values);
    finished_count = 0;
    clock_ns = 1;
}

static inline void wire_begin(void)
{
    wire_begin_as(EXCHANGE_SERVER, true);
}

// One call's bytes. Each step sees a copy with garbage behind the last byte, so that what looks further finds
// that.
static inline void wire_feed(enum exchange_side side, const char *data, size_t length)
{
    struct http_message *message = &connection.messages[side];
    size_t pos = 0;
    while (pos < length && !connection.lost) {
        size_t left = length - pos;
        __u64 skip = http_skippable(message);
        if (skip) {
            skip = skip < left ? skip : left;
            http_skip(message, skip);
            pos += skip;
        } else {
            static __u8 window[WIRE_WINDOW + SCAN_AHEAD];
            left = left < WIRE_WINDOW ? left : WIRE_WINDOW;
            memset(window + left, wire_garbage, SCAN_AHEAD);
            memcpy(window, data + pos, left);
            __u32 used = http_step(message, window, (__u32)left);
            cr_assert(used >= 1 && used <= left);
            pos += used;
        }
        if (side == EXCHANGE_REQUESTS)
            exchange_requested(&connection, clock_ns);
        else
            exchange_answered(&connection, clock_ns);
    }
    clock_ns++;
}

static inline void wire_request(const char *text)
{
    wire_feed(EXCHANGE_REQUESTS, text, strlen(text));
}

static inline void wire_answer(const char *text)
{
    wire_feed(EXCHANGE_ANSWERS, text, strlen(text));
}

static inline const char *wire_model(const char *name, __u8 length)
{
    static char text[2][WIRE_API_MODEL_MAX + 1];
    static int turn;
    turn = !turn;
    snprintf(text[turn], sizeof(text[turn]), "%.*s", length, name);
    return text[turn];
}

// The one exchange that came out.
static inline const struct wire_api_exchange *wire_only(void)
{
    cr_assert_eq(finished_count, 1, "%zu exchanges", finished_count);
    return &finished[0];
}
