// Records of the source `api`: one for each HTTP request to an inference server, as that server saw it or as
// its client did, when it has ended.
#pragma once

#include "wire/header.h"

enum wire_api_type {
    WIRE_API_INFER, // to an inference route
    WIRE_API_HTTP,  // to another route of a server that has such
    WIRE_API_CALL,  // to an inference route, seen at the client's end
    WIRE_API_TYPES,
};

#define WIRE_API_MODEL_MAX 96
#define WIRE_API_TRACEPARENT_MAX 56 // 55 in W3C Trace Context, version 00
#define WIRE_API_SERVER_MAX 24
#define WIRE_API_HOST_MAX 96

enum wire_api_method {
    WIRE_API_METHOD_OTHER,
    WIRE_API_GET,
    WIRE_API_POST,
    WIRE_API_PUT,
    WIRE_API_DELETE,
    WIRE_API_HEAD,
    WIRE_API_OPTIONS,
    WIRE_API_PATCH,
    WIRE_API_METHODS,
};

enum wire_api_end {
    WIRE_API_COMPLETE,      // the whole answer was sent
    WIRE_API_CLIENT_GONE,   // the client closed or reset the connection before that
    WIRE_API_SERVER_CLOSED, // the server did
    WIRE_API_ENDS,
};

enum wire_api_flag {
    WIRE_API_STREAM_ASKED = 1 << 0,  // "stream": true in the request
    WIRE_API_STREAMED = 1 << 1,      // the answer was a stream of events
    WIRE_API_HAS_INPUT = 1 << 2,     // input_tokens is what the server said
    WIRE_API_HAS_OUTPUT = 1 << 3,    // output_tokens is
    WIRE_API_ERROR_EVENT = 1 << 4,   // the stream held an error
    WIRE_API_LONG_MODEL = 1 << 5,    // a model's name was cut
    WIRE_API_MIDDLE_UNSEEN = 1 << 6, // some bytes could not be read, so values can be missing
    WIRE_API_INFERENCE = 1 << 7,     // to an inference route
    WIRE_API_CLIENT = 1 << 9,        // seen at the client's end
    WIRE_API_PACKED = 1 << 10,       // the answer was compressed, so nothing was found in it
};

enum wire_api_work_flag {
    WIRE_API_WORK_COUNTED = 1 << 0,     // among the requests that the process answers, until it has ended
    WIRE_API_WORK_ALONE = 1 << 1,       // it answered no other when this one began
    WIRE_API_WORK_NONE_WAITED = 1 << 2, // none of those waited for its first text
    WIRE_API_WORK_FIRST = 1 << 3,       // its own first text was sent
    // When it has ended: which of the numbers are the request's.
    WIRE_API_WORK_PREFILL = 1 << 4,
    WIRE_API_WORK_DECODE = 1 << 5,
    WIRE_API_WORK_RUN = 1 << 6,
    WIRE_API_WORK_RUN_QUEUE = 1 << 7, // run_queue_us; until it has ended: it was known when it began
};

// What the process computed meanwhile (include/wire/work.h). Until it is known what of that was for the
// request, the sums as they were when it began.
struct wire_api_work {
    __u64 prefill_ns; // in batches that held prompts
    __u64 decode_ns;  // in batches that held sequences that were being generated
    __u64 run_ns;
    __u64 sequences; // in those batches of decode_ns together
    __u32 prefills;  // batches
    __u32 decodes;
    __u32 runs;
    __u32 begun; // the number of this request among those of the process
    __u32 pid;
    __u32 flags; // enum wire_api_work_flag
};
WIRE_SIZE(struct wire_api_work, 56);

// All times are CLOCK_BOOTTIME in ns, 0 where it did not come to that. They are the server's; at a client's
// end, what the server reads is what the client wrote, and the other way round.
struct wire_api_exchange {
    __u64 start_ns;         // the server has read the first byte of the request
    __u64 request_end_ns;   // … the last
    __u64 head_ns;          // the head of the answer was sent
    __u64 first_event_ns;   // the first event of a stream was sent, whatever it held
    __u64 first_content_ns; // the first event with generated text was sent
    __u64 last_content_ns;
    __u64 end_ns; // the last byte was sent, or the connection ended
    __u64 request_bytes;
    __u64 response_bytes;
    __u32 events;         // server-sent events (lines of JSON, where that is the format)
    __u32 content_events; // those with generated text
    __u32 input_tokens;   // as the server said
    __u32 output_tokens;
    __u32 flags; // enum wire_api_flag
    __u16 status;
    __u16 route; // position in the table of routes, 0: none of them
    __u8 method; // enum wire_api_method
    __u8 end;    // enum wire_api_end
    __u8 request_model_length;
    __u8 response_model_length;
    __u32 run_queue_us; // as `work`: so long the process's threads waited for a CPU meanwhile; may overflow
    struct wire_api_work work;
    char request_model[WIRE_API_MODEL_MAX];
    char response_model[WIRE_API_MODEL_MAX];
    char traceparent[WIRE_API_TRACEPARENT_MAX]; // zero-filled
    char server[WIRE_API_SERVER_MAX];           // the answer's Server header in lower case, zero-filled
};
WIRE_SIZE(struct wire_api_exchange, 432);

// The header is that of the process that read the request, of a call that wrote it; its time is the end of
// the exchange.
struct wire_api {
    struct wire_header header;
    struct wire_api_exchange exchange;
    __u8 client_addr[16]; // network order; IPv4 in the first four bytes
    __u8 server_addr[16];
    __u16 client_port; // host order
    __u16 server_port;
    __u8 family; // 4 or 6; an IPv4-mapped IPv6 address is given as IPv4; 0: the socket is not known
    __u8 reserved[3];
};
WIRE_SIZE(struct wire_api, 560);

// Of type WIRE_API_CALL.
struct wire_api_call {
    struct wire_api api;
    char host[WIRE_API_HOST_MAX]; // the Host header in lower case, without the port; zero-filled
    __u16 host_port;              // in it; 0: none
    __u8 reserved[6];
};
WIRE_SIZE(struct wire_api_call, 664);

// --- Before Linux 5.17 ---
// There a program cannot loop over a message, so user space does (user/source/api_pieces.c): the first and
// the last bytes of each call wait in a slot that both sides map, and are wiped there once they are read.
// Calls of a few bytes, as the events of a stream are, have small slots, and large ones where those are out.

#define WIRE_API_PIECE WIRE_API_TYPES // a record that is no event
#define WIRE_API_PIECE_HEAD 8192
#define WIRE_API_PIECE_TAIL 4096
#define WIRE_API_PIECE_BLOCK 512 // bytes of a small slot; a slot's number is that of its first block
#define WIRE_API_PIECE_LARGE 128 // slots of HEAD and TAIL bytes; those come first
#define WIRE_API_PIECE_LARGE_BLOCKS ((WIRE_API_PIECE_HEAD + WIRE_API_PIECE_TAIL) / WIRE_API_PIECE_BLOCK)
#define WIRE_API_PIECE_SMALL_FIRST (WIRE_API_PIECE_LARGE * WIRE_API_PIECE_LARGE_BLOCKS)
#define WIRE_API_PIECE_SMALL 4096 // slots
#define WIRE_API_PIECE_BLOCKS (WIRE_API_PIECE_SMALL_FIRST + WIRE_API_PIECE_SMALL)
#define WIRE_API_PIECE_NO_SLOT 0xffffffff

enum wire_api_piece_kind {
    WIRE_API_PIECE_RECEIVED,
    WIRE_API_PIECE_SENT,
    WIRE_API_PIECE_CLIENT_DONE,   // the client sends no more
    WIRE_API_PIECE_CLOSED,        // the connection is over
    WIRE_API_PIECE_CLOSED_SERVER, // the same, and the server closed it first
    WIRE_API_PIECE_GONE,          // its address may be another socket's from now on
    WIRE_API_PIECE_KINDS,
};

// The header is the caller's.
struct wire_api_piece {
    struct wire_header header;
    __u64 sock;  // by which a connection is known
    __u64 count; // bytes that were moved; only `head` first and `tail` last ones are in the slot
    __u32 slot;
    __u32 head;
    __u32 tail; // they begin at WIRE_API_PIECE_HEAD; a small slot has none
    __u8 kind;
    __u8 family; // that and the next: as in struct wire_api
    __u16 client_port;
    __u16 server_port;
    __u8 fresh; // the connection is followed from here on
    __u8 reserved;
    __u32 lost; // pieces of the connection that found no room in the ring
    __u64 net;  // the network namespace, by which servers are told apart
    __u8 client_addr[16];
    __u8 server_addr[16];
};
WIRE_SIZE(struct wire_api_piece, 168);

// What the kernel knows of a connection that is followed.
struct wire_api_followed {
    __u16 client_port; // network order; a socket's memory can be used again
    __u8 fresh;        // no piece was handed over yet
    __u8 reserved;
    __u32 lost; // as in struct wire_api_piece
};
WIRE_SIZE(struct wire_api_followed, 8);

struct wire_api_slots {
    __u8 data[WIRE_API_PIECE_BLOCKS * WIRE_API_PIECE_BLOCK];
    __u8 ahead[2 * WIRE_API_PIECE_HEAD]; // never written: a bound that a verifier can see
};

struct wire_api_server {
    __u64 net;
    __u64 port;
};
WIRE_SIZE(struct wire_api_server, 16);

// What the kernel knows of a path: the number of its route, WIRE_API_ROUTE_INFERENCE where it is one, and
// WIRE_API_ROUTE_NAMES where the path names the model.
#define WIRE_API_ROUTE_INFERENCE 0x8000
#define WIRE_API_ROUTE_NAMES 0x4000
#define WIRE_API_ROUTE_NUMBER 0x3fff

// What a connection is at, at the head of each value in the map of connections.
struct wire_api_progress {
    __u64 silent_since_ns; // CLOCK_BOOTTIME; the oldest request came then, or more of its answer was sent
    __u64 start_time_ns;   // that and the next: the process that reads the requests, as in struct wire_header
    __u32 pid;
    __u32 in_flight;   // requests that have no whole answer yet, those to other routes included
    __u16 server_port; // host order; 0: not known
    __u8 inference;    // the oldest request is to an inference route
    __u8 client;       // it is a client's connection
    __u8 reserved[4];
};
WIRE_SIZE(struct wire_api_progress, 32);

// Why connections are not followed.
enum wire_api_unfollowed {
    WIRE_API_TOO_MANY,  // the table of connections was full
    WIRE_API_NOT_HTTP,  // a connection was followed until something came that is no HTTP/1.x
    WIRE_API_PIPELINED, // more requests were sent ahead than there is room for
    WIRE_API_UNREAD,    // the head of a message could not be read (io_uring)
    WIRE_API_UNFOLLOWED,
};
