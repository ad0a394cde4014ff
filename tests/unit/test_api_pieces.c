// What is made of the pieces that kernels before 5.17 hand over: where bytes are left out, where there is no
// room for them, and where pieces are on their way that nobody waits for any more.
#include "source/piece_feed.h"

#include "base/cleanup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { SOCK = 0x1234, FINISHED_MAX = 16, SIZE_MAX_TEXT = 65536 };

static struct wire_api finished[FINISHED_MAX];
static size_t finished_count, visited;
static bool followed, granted;
static uint8_t slot[WIRE_API_PIECE_HEAD + WIRE_API_PIECE_TAIL];
static struct wire_api_piece piece;
static uint64_t before[WIRE_API_UNFOLLOWED];

static bool server_known(const struct wire_api_server *server)
{
    return granted;
}

static bool server_add(const struct wire_api_server *server)
{
    granted = true;
    return true;
}

static bool is_followed(uint64_t sock)
{
    return followed;
}

static void unfollow(uint64_t sock)
{
    cr_assert_eq(sock, SOCK);
    followed = false;
}

static const struct piece_kernel kernel = {server_known, server_add, is_followed, unfollow};

static void setup(void)
{
    piece_feed_begin(&kernel, true);
    finished_count = visited = 0;
    granted = followed = false;
    piece = (struct wire_api_piece){
        .header = {.size = sizeof(piece), .type = WIRE_API_PIECE, .pid = 7, .time_ns = 1},
        .sock = SOCK,
        .family = 4,
        .client_port = 50000,
        .server_port = 8080};
    memcpy(before, piece_feed_unfollowed(), sizeof(before));
}

TestSuite(api_pieces, .init = setup, .fini = piece_feed_end);

static void on_event(const struct wire_header *record, size_t size, void *context)
{
    cr_assert_lt(finished_count, FINISHED_MAX);
    cr_assert_eq(size, sizeof(struct wire_api));
    memcpy(&finished[finished_count++], record, size);
}

static void on_progress(const struct wire_api_progress *progress, void *context)
{
    visited++;
}

// As the kernel does it: the first bytes and the last.
static void hand_over(enum wire_api_piece_kind kind, const char *text, size_t length, bool has_slot)
{
    piece.kind = kind;
    piece.fresh = kind == WIRE_API_PIECE_RECEIVED && !followed;
    followed = followed || piece.fresh;
    piece.count = length;
    piece.head = length < WIRE_API_PIECE_HEAD ? (uint32_t)length : WIRE_API_PIECE_HEAD;
    size_t rest = length - piece.head;
    piece.tail = rest < WIRE_API_PIECE_TAIL ? (uint32_t)rest : WIRE_API_PIECE_TAIL;
    piece.header.time_ns++;
    memset(slot, '"', sizeof(slot));
    if (length) {
        memcpy(slot, text, piece.head);
        memcpy(slot + WIRE_API_PIECE_HEAD, text + length - piece.tail, piece.tail);
    }
    if (!has_slot)
        piece.head = piece.tail = 0;
    piece_feed(&piece, has_slot ? slot : NULL, on_event, NULL);
}

static void receive(const char *text)
{
    hand_over(WIRE_API_PIECE_RECEIVED, text, strlen(text), true);
}

static void send(const char *text)
{
    hand_over(WIRE_API_PIECE_SENT, text, strlen(text), true);
}

static uint64_t unfollowed(enum wire_api_unfollowed reason)
{
    return piece_feed_unfollowed()[reason] - before[reason];
}

static const char *message(const char *head, const char *body)
{
    static char text[SIZE_MAX_TEXT + 256];
    snprintf(text, sizeof(text), "%s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             head, strlen(body), body);
    return text;
}

static const char *request(const char *body)
{
    return message("POST /v1/completions HTTP/1.1", body);
}

static const char *answer(void)
{
    return message("HTTP/1.1 200 OK", "{\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}");
}

// So many bytes of a prompt before the name.
static const char *prompt_before(size_t size, const char *model)
{
    static char body[SIZE_MAX_TEXT];
    snprintf(body, sizeof(body), "{\"prompt\":\"%0*d\",\"model\":\"%s\"}", (int)size, 0, model);
    return body;
}

static void expect_model(size_t number, const char *model)
{
    cr_assert_lt(number, finished_count);
    const struct wire_api_exchange *exchange = &finished[number].exchange;
    cr_expect_eq(exchange->request_model_length, strlen(model));
    cr_expect_eq(memcmp(exchange->request_model, model, strlen(model)), 0, "%.96s", exchange->request_model);
    cr_expect_eq(exchange->status, 200);
    cr_expect_eq(exchange->input_tokens, 2);
}

Test(api_pieces, what_lies_between_head_and_tail_is_passed_over)
{
    static const size_t sizes[] = {10, 8000, 8192, 12000, 12288, 12289, 20000, 60000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        receive(request(prompt_before(sizes[i], "behind")));
        send(answer());
        cr_assert_eq(finished_count, i + 1, "%zu", sizes[i]);
        expect_model(i, "behind");
        cr_expect_eq(finished[i].exchange.request_bytes, strlen(request(prompt_before(sizes[i], "behind"))));
    }
    for (size_t i = 0; i < WIRE_API_UNFOLLOWED; i++)
        cr_expect_eq(unfollowed(i), 0);
}

// As a server reads it that looks for the end of the head first.
Test(api_pieces, cut_anywhere)
{
    _cleanup_free_ char *text = strdup(request(prompt_before(500, "cut")));
    _cleanup_free_ char *said = strdup(answer());
    for (size_t size = 1; size < 600; size += 37) {
        finished_count = 0;
        for (size_t at = 0; at < strlen(text); at += size)
            hand_over(WIRE_API_PIECE_RECEIVED, text + at, strnlen(text + at, size), true);
        for (size_t at = 0; at < strlen(said); at += size)
            hand_over(WIRE_API_PIECE_SENT, said + at, strnlen(said + at, size), true);
        cr_assert_eq(finished_count, 1, "%zu", size);
        expect_model(0, "cut");
    }
}

Test(api_pieces, a_gap_where_only_a_length_is_needed)
{
    receive(request("{\"model\":\"first\"}"));
    // An answer whose body nobody could hold, and its own head.
    char head[128];
    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", 5000);
    send(head);
    hand_over(WIRE_API_PIECE_SENT, NULL, 0, false);
    piece.count = 5000;
    piece.kind = WIRE_API_PIECE_SENT;
    piece_feed(&piece, NULL, on_event, NULL);
    cr_assert_eq(finished_count, 1);
    cr_expect_eq(finished[0].exchange.flags & WIRE_API_HAS_INPUT, 0);
    cr_expect(finished[0].exchange.flags & WIRE_API_MIDDLE_UNSEEN);
    cr_expect_eq(unfollowed(WIRE_API_UNREAD), 0);
    receive(request("{\"model\":\"next\"}"));
    send(answer());
    cr_assert_eq(finished_count, 2);
    expect_model(1, "next");
}

Test(api_pieces, a_gap_where_a_message_ends_is_counted)
{
    static char stream[SIZE_MAX_TEXT];
    receive(request("{\"model\":\"m\"}"));
    size_t at =
        (size_t)snprintf(stream, sizeof(stream), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (at < 30000)
        at += (size_t)snprintf(stream + at, sizeof(stream) - at, "5\r\nhello\r\n");
    send(stream);
    cr_expect_eq(finished_count, 0);
    cr_expect_eq(unfollowed(WIRE_API_UNREAD), 1);
    receive(request("{\"model\":\"next\"}"));
    send(answer());
    cr_assert_eq(finished_count, 1);
    expect_model(0, "next");
}

// Each request is either told or counted, once.
Test(api_pieces, without_room_for_their_bytes_requests_are_counted)
{
    enum { REQUESTS = 12 };
    for (int i = 0; i < REQUESTS; i++) {
        const char *text = request("{\"model\":\"m\"}");
        hand_over(WIRE_API_PIECE_RECEIVED, text, strlen(text), i % 3 != 1);
        // What the kernel no longer follows, it does not hand over.
        if (followed)
            hand_over(WIRE_API_PIECE_SENT, answer(), strlen(answer()), i % 4 != 2);
    }
    cr_expect_gt(finished_count, 0);
    cr_expect_eq(finished_count + unfollowed(WIRE_API_UNREAD), REQUESTS, "%zu", finished_count);
    cr_expect_eq(unfollowed(WIRE_API_NOT_HTTP), 0);
}

// They were handed over before the kernel heard that it need not. What follows them is not.
Test(api_pieces, pieces_behind_an_unfollowed_one)
{
    hand_over(WIRE_API_PIECE_RECEIVED, request("{}"), strlen(request("{}")), false);
    cr_expect_not(followed);
    followed = true; // as it was when these were sent
    send(answer());
    receive(request("{\"model\":\"half\"}"));
    followed = false;
    piece_feed_visit(on_progress, NULL);
    cr_expect_eq(visited, 0);
    cr_expect_eq(unfollowed(WIRE_API_UNREAD), 2);
    receive(request("{\"model\":\"whole\"}"));
    send(answer());
    cr_assert_eq(finished_count, 1);
    expect_model(0, "whole");
}

// What is no inference is nobody's business, however it comes.
Test(api_pieces, other_requests_are_not_counted)
{
    static const char other[] = "POST /v1/orders HTTP/1.1";
    receive(message(other, "{}"));
    cr_expect_not(followed);
    followed = true; // as above
    send(answer());
    receive(message(other, "{}"));
    followed = false;
    for (size_t i = 0; i < WIRE_API_UNFOLLOWED; i++)
        cr_expect_eq(unfollowed(i), 0);
    cr_expect_eq(finished_count, 0);
}

// Where pieces found no room in the ring, those behind them tell.
Test(api_pieces, pieces_that_never_came)
{
    receive(request("{\"model\":\"m\"}"));
    piece.lost++; // the answer, and the next request
    send(answer());
    cr_expect_eq(finished_count, 0);
    cr_expect_eq(unfollowed(WIRE_API_UNREAD), 1);
    receive(request("{\"model\":\"next\"}"));
    send(answer());
    cr_assert_eq(finished_count, 1);
    expect_model(0, "next");
}

Test(api_pieces, a_beginning_that_never_came)
{
    followed = true; // the kernel does, and will say so again
    piece.lost = 1;
    send(answer());
    followed = false;
    receive(request("{\"model\":\"next\"}"));
    send(answer());
    cr_assert_eq(finished_count, 1);
    expect_model(0, "next");
    cr_expect_eq(unfollowed(WIRE_API_UNREAD), 1);
}

Test(api_pieces, an_end_that_never_came)
{
    receive(request("{\"model\":\"m\"}"));
    piece_feed_visit(on_progress, NULL);
    cr_expect_eq(visited, 1);
    followed = false;
    piece_feed_visit(on_progress, NULL);
    cr_expect_eq(visited, 1, "nothing is under way on what is gone");
    // Its address is another socket's now.
    piece.client_port++;
    receive(request("{\"model\":\"other\"}"));
    send(answer());
    cr_assert_eq(finished_count, 1);
    expect_model(0, "other");
    cr_expect_eq(finished[0].client_port, 50001);
    cr_expect_eq(unfollowed(WIRE_API_UNREAD), 1);
}

Test(api_pieces, ends)
{
    receive(request("{\"model\":\"m\"}"));
    hand_over(WIRE_API_PIECE_CLIENT_DONE, NULL, 0, false);
    hand_over(WIRE_API_PIECE_CLOSED_SERVER, NULL, 0, false);
    hand_over(WIRE_API_PIECE_GONE, NULL, 0, false);
    cr_assert_eq(finished_count, 1);
    cr_expect_eq(finished[0].exchange.end, WIRE_API_CLIENT_GONE);
    cr_expect_eq(unfollowed(WIRE_API_UNREAD), 0);
}
