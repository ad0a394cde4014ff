// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The clock of a server's or a client's connection: pairs requests with answers and notes when each came to
// what. Who includes this says what to do with a finished one, by exchange_route() and exchange_emit().
#pragma once

#include "bpf/lib/http.h"

// Requests that a client may have sent ahead; more than that and the connection is not followed any more.
#define EXCHANGE_QUEUE 4

#define EXCHANGE_OVER (1 + WIRE_API_UNFOLLOWED) // lost, but not to be counted

enum exchange_side { EXCHANGE_REQUESTS, EXCHANGE_ANSWERS };

// Which end of the connection is looked at.
enum exchange_role { EXCHANGE_SERVER, EXCHANGE_CLIENT };

struct exchange_connection {
    struct wire_api_progress progress;
    struct http_message messages[2]; // by enum exchange_side
    struct wire_api_exchange queue[EXCHANGE_QUEUE];
    // Free-running numbers. Requests move `end`, answers `first`: two threads that read and write at the same
    // time do not meet, and the end of the connection takes what is left by compare and swap.
    __u32 first;
    __u32 end;
    __u32 latest; // number of the request that is being read
    __u8 lost;    // 1 + enum wire_api_unfollowed: no longer followed, until a new request comes
    __u8 client_gone;
    __u8 role; // enum exchange_role
    __u8 reserved[1];
};

// The number of the first of those paths' routes with the flags WIRE_API_ROUTE_…, or 0.
INLINE __u16 exchange_route(const __u64 *hashes, __u32 count);
INLINE void exchange_emit(struct exchange_connection *connection, const struct wire_api_exchange *exchange);

// What the server computes for a request that has begun, sent its first text, ended or been lost sight of.
#ifdef __bpf__
#include "bpf/lib/exchange_work.h"
#else // where it is followed in user space, that is too late to be known
INLINE void exchange_work_begin(struct wire_api_exchange *exchange)
{
}

INLINE void exchange_work_first(struct wire_api_exchange *exchange)
{
}

INLINE void exchange_work_end(struct wire_api_exchange *exchange)
{
}
#endif

INLINE struct wire_api_exchange *exchange_at(struct exchange_connection *connection, __u32 number)
{
    return &connection->queue[number & (EXCHANGE_QUEUE - 1)];
}

// What was under way will not be seen to end. Verified by itself, too.
#ifdef __bpf__
__noinline
#else
INLINE
#endif
    int
    exchange_drop(struct exchange_connection *connection)
{
    if (!connection)
        return 0;
    for (__u32 i = 0; i < EXCHANGE_QUEUE && connection->first != connection->end; i++) {
        exchange_work_end(exchange_at(connection, connection->first));
        connection->first += 1;
    }
    connection->first = connection->end;
    return 0;
}

INLINE void exchange_begin(struct exchange_connection *connection, enum exchange_role role, bool values)
{
    connection->role = role;
    connection->progress.client = role;
    connection->messages[EXCHANGE_REQUESTS].client = role;
    connection->messages[EXCHANGE_ANSWERS].client = role;
    connection->messages[EXCHANGE_ANSWERS].answer = 1;
    connection->messages[EXCHANGE_REQUESTS].values = values;
    connection->messages[EXCHANGE_ANSWERS].values = values;
    connection->messages[EXCHANGE_REQUESTS].state = HTTP_START;
    connection->messages[EXCHANGE_ANSWERS].state = HTTP_START;
    exchange_drop(connection);
    connection->lost = 0;
    connection->client_gone = 0;
}

// What a server receives are requests, what a client receives are answers.
INLINE enum exchange_side exchange_side(const struct exchange_connection *connection, bool received)
{
    return received == (connection->role == EXCHANGE_SERVER) ? EXCHANGE_REQUESTS : EXCHANGE_ANSWERS;
}

INLINE void exchange_clear(struct wire_api_exchange *exchange)
{
    __builtin_memset(exchange, 0, offsetof(struct wire_api_exchange, request_model));
    __builtin_memset(exchange->request_model, 0, sizeof(exchange->request_model));
    __builtin_memset(exchange->response_model, 0, sizeof(exchange->response_model));
    __builtin_memset(exchange->traceparent, 0, sizeof(exchange->traceparent) + sizeof(exchange->server));
}

// What came behind a gap is the message's own.
INLINE bool exchange_has_late(const struct http_message *message)
{
    return message->state == HTTP_START && json_late_is_outermost(&message->json);
}

INLINE __u8 exchange_model(struct wire_api_exchange *exchange, const struct http_message *message,
                           char ret_model[WIRE_API_MODEL_MAX])
{
    const struct json *json = &message->json;
    if (json->late_length && exchange_has_late(message)) {
        __builtin_memcpy(ret_model, json->late_model, WIRE_API_MODEL_MAX);
        exchange->flags |= json->late_long ? WIRE_API_LONG_MODEL : 0;
        return json->late_length;
    }
    if (json->model_length)
        __builtin_memcpy(ret_model, json->model, WIRE_API_MODEL_MAX);
    exchange->flags |= json->found & JSON_FOUND_LONG_MODEL ? WIRE_API_LONG_MODEL : 0;
    return json->model_length;
}

INLINE void exchange_values(struct wire_api_exchange *exchange, const struct http_message *message)
{
    const struct json *json = &message->json;
    __u8 found = json->found | (exchange_has_late(message) ? json->late_found : 0);
    exchange->flags |= message->unseen ? WIRE_API_MIDDLE_UNSEEN : 0;
    if (!message->answer) {
        exchange->request_bytes = message->bytes;
        __u8 length = exchange_model(exchange, message, exchange->request_model);
        if (length) // else it is that of the path, if there is one
            exchange->request_model_length = length;
        exchange->flags |= found & JSON_FOUND_STREAM ? WIRE_API_STREAM_ASKED : 0;
        return;
    }
    exchange->response_bytes = message->bytes;
    exchange->response_model_length = exchange_model(exchange, message, exchange->response_model);
    exchange->events = message->events;
    exchange->content_events = message->content_events;
    __u8 late_told = exchange_has_late(message) ? json->late_told : 0;
    exchange->flags |= json_input(json, late_told, &exchange->input_tokens) ? WIRE_API_HAS_INPUT : 0;
    exchange->flags |= json_output(json, late_told, &exchange->output_tokens) ? WIRE_API_HAS_OUTPUT : 0;
    exchange->flags |= message->packed ? WIRE_API_PACKED : 0;
    exchange->flags |= message->errors ? WIRE_API_ERROR_EVENT : 0;
    exchange->flags |= message->format >= HTTP_EVENTS ? WIRE_API_STREAMED : 0;
}

// After a step over received bytes.
INLINE void exchange_requested(struct exchange_connection *connection, __u64 now_ns)
{
    struct http_message *message = &connection->messages[EXCHANGE_REQUESTS];
    __u8 happened = message->happened;
    message->happened = 0;
    if (happened & HTTP_BEGUN) {
        if (connection->end - connection->first >= EXCHANGE_QUEUE) {
            connection->lost = 1 + WIRE_API_PIPELINED;
            return;
        }
        struct wire_api_exchange *begun = exchange_at(connection, connection->end);
        exchange_clear(begun);
        begun->start_ns = now_ns;
        begun->flags = message->client ? WIRE_API_CLIENT : 0;
        connection->latest = connection->end;
        connection->end += 1;
    }
    if (happened & HTTP_FAILED)
        connection->lost = 1 + (happened & HTTP_UNREAD ? WIRE_API_UNREAD : WIRE_API_NOT_HTTP);
    // An answer can end before its request: then there is nothing left to note.
    if (connection->latest - connection->first >= EXCHANGE_QUEUE)
        return;
    struct wire_api_exchange *exchange = exchange_at(connection, connection->latest);
    if (happened & HTTP_PATH) {
        __u16 route = exchange_route(message->hashes, message->client ? HTTP_HASHES : HTTP_HASHES_SERVER);
        exchange->route = route & WIRE_API_ROUTE_NUMBER;
        exchange->flags |= route & WIRE_API_ROUTE_INFERENCE ? WIRE_API_INFERENCE : 0;
        exchange->method = message->method;
        if (!message->client && exchange->flags & WIRE_API_INFERENCE)
            exchange_work_begin(exchange);
        if (route & WIRE_API_ROUTE_NAMES && message->values) {
            __builtin_memcpy(exchange->request_model, message->json.model, WIRE_API_MODEL_MAX);
            exchange->request_model_length = message->name_length;
        } else {
            message->json.found &= ~JSON_FOUND_LONG_MODEL;
        }
    }
    if (happened & HTTP_HEAD)
        __builtin_memcpy(exchange->traceparent, message->traceparent, sizeof(exchange->traceparent));
    if (happened & HTTP_ENDED) {
        exchange->request_end_ns = now_ns;
        exchange_values(exchange, message);
    }
}

// Hands over the oldest exchange, unless somebody else just did.
INLINE void exchange_finish(struct exchange_connection *connection, __u32 number, __u64 now_ns,
                            enum wire_api_end how)
{
    struct wire_api_exchange *exchange = exchange_at(connection, number);
    exchange->end_ns = now_ns;
    exchange->end = how;
    if (__sync_val_compare_and_swap(&connection->first, number, number + 1) != number)
        return;
    exchange_work_end(exchange);
    // Whatever else a client asks of whomever is nobody's business.
    if ((exchange->flags & (WIRE_API_CLIENT | WIRE_API_INFERENCE)) != WIRE_API_CLIENT)
        exchange_emit(connection, exchange);
}

INLINE void exchange_content(struct wire_api_exchange *exchange, __u64 now_ns)
{
    exchange->last_content_ns = now_ns;
    if (exchange->first_content_ns)
        return;
    exchange->first_content_ns = now_ns;
    exchange_work_first(exchange);
}

// After a step over sent bytes.
INLINE void exchange_answered(struct exchange_connection *connection, __u64 now_ns)
{
    struct http_message *message = &connection->messages[EXCHANGE_ANSWERS];
    __u8 happened = message->happened;
    __u32 number = connection->first;
    message->happened = 0;
    if (happened & HTTP_FAILED || number == connection->end) {
        connection->lost = 1 + (happened & HTTP_UNREAD ? WIRE_API_UNREAD : WIRE_API_NOT_HTTP);
        return;
    }
    struct wire_api_exchange *exchange = exchange_at(connection, number);
    if (happened & HTTP_BEGUN)
        message->bodiless = exchange->method == WIRE_API_HEAD;
    if (happened & HTTP_HEAD) {
        exchange->head_ns = now_ns;
        exchange->status = message->status;
        __builtin_memcpy(exchange->server, message->server, sizeof(exchange->server));
    }
    if (happened & HTTP_EVENT && !exchange->first_event_ns)
        exchange->first_event_ns = now_ns;
    if (happened & HTTP_CONTENT)
        exchange_content(exchange, now_ns);
    if (happened & HTTP_ENDED) {
        exchange_values(exchange, message);
        exchange_finish(connection, number, now_ns, WIRE_API_COMPLETE);
    }
}

// The connection is over: `server_first` where the server closed it before the client did.
INLINE void exchange_closed(struct exchange_connection *connection, __u64 now_ns, bool server_first)
{
    struct http_message *message = &connection->messages[EXCHANGE_ANSWERS];
    __u32 number = connection->first;
    enum wire_api_end how = server_first ? WIRE_API_SERVER_CLOSED : WIRE_API_CLIENT_GONE;
    for (__u32 i = 0; i < EXCHANGE_QUEUE; i++) {
        if (number == connection->end)
            break;
        bool complete = false;
        if (i == 0 && message->state != HTTP_START) {
            if (message->state == HTTP_UNTIL_CLOSE && server_first) {
                http_end(message);
                complete = true;
            }
            struct wire_api_exchange *exchange = exchange_at(connection, number);
            if (message->happened & HTTP_CONTENT)
                exchange_content(exchange, now_ns);
            message->happened = 0;
            exchange_values(exchange, message);
        }
        exchange_finish(connection, number, now_ns, complete ? WIRE_API_COMPLETE : how);
        number++;
    }
    connection->lost = EXCHANGE_OVER;
}

// After each call's bytes, for who looks from outside.
INLINE void exchange_note(struct exchange_connection *connection, enum exchange_side side, __u64 now_ns)
{
    struct wire_api_progress *progress = &connection->progress;
    if (connection->lost)
        exchange_drop(connection);
    __u32 in_flight = connection->end - connection->first;
    const struct wire_api_exchange *oldest = exchange_at(connection, connection->first);
    if (side == EXCHANGE_ANSWERS || in_flight <= 1)
        progress->silent_since_ns = now_ns;
    progress->inference = (oldest->flags & WIRE_API_INFERENCE) != 0;
    progress->in_flight = in_flight;
}
