// What real servers said, cut at every byte: the result must always be the same.
#include "api_wire.h"

#include "base/cleanup.h"

struct transcript {
    char *data;
    size_t length;
};

static struct transcript transcript_read(const char *name, const char *suffix)
{
    char path[256];
    snprintf(path, sizeof(path), "tests/data/api/%s.%s", name, suffix);
    _cleanup_fclose_ FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    struct transcript transcript = {.data = malloc(65536)};
    transcript.length = fread(transcript.data, 1, 65536, file);
    return transcript;
}

static const struct expected {
    const char *name;
    const char *route;
    unsigned status, events, contents, input, output, flags;
    const char *asked, *answered;
} transcripts[] = {
    {"chat", "/v1/chat/completions", 200, 0, 0, 24, 4, WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT, "tiny",
     "tiny"},
    {"chat-error", "/v1/chat/completions", 400, 0, 0, 0, 0, 0, "", ""},
    {"chat-stream", "/v1/chat/completions", 200, 6, 3, 0, 0, WIRE_API_STREAM_ASKED | WIRE_API_STREAMED,
     "tiny", "tiny"},
    {"chat-stream-usage", "/v1/chat/completions", 200, 8, 4, 24, 4,
     WIRE_API_STREAM_ASKED | WIRE_API_STREAMED | WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT, "tiny", "tiny"},
    {"completion-stream", "/completion", 200, 4, 3, 7, 3,
     WIRE_API_STREAM_ASKED | WIRE_API_STREAMED | WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT, "", "tiny"},
    {"completions-stream", "/v1/completions", 200, 5, 3, 7, 3,
     WIRE_API_STREAM_ASKED | WIRE_API_STREAMED | WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT, "tiny", "tiny"},
};

static void expect(const struct expected *expected, const char *how, size_t where)
{
    cr_assert_eq(finished_count, 1, "%s %s %zu: %zu exchanges", expected->name, how, where, finished_count);
    const struct wire_api_exchange *got = &finished[0];
    bool same = strcmp(api_route_at(got->route)->pattern, expected->route) == 0 &&
                got->status == expected->status && got->events == expected->events &&
                got->content_events == expected->contents && got->input_tokens == expected->input &&
                got->output_tokens == expected->output &&
                got->flags == (expected->flags | WIRE_API_INFERENCE) && got->method == WIRE_API_POST &&
                got->end == WIRE_API_COMPLETE && strcmp(got->server, "llama.cpp") == 0 &&
                (got->first_content_ns != 0) == (expected->contents != 0) &&
                strcmp(wire_model(got->request_model, got->request_model_length), expected->asked) == 0 &&
                strcmp(wire_model(got->response_model, got->response_model_length), expected->answered) == 0;
    cr_assert(same,
              "%s %s %zu: route %u status %u events %u contents %u input %u output %u flags %x models "
              "\"%s\" \"%s\" server \"%s\"",
              expected->name, how, where, got->route, got->status, got->events, got->content_events,
              got->input_tokens, got->output_tokens, got->flags,
              wire_model(got->request_model, got->request_model_length),
              wire_model(got->response_model, got->response_model_length), got->server);
}

static void in_two(const struct expected *expected, const struct transcript *request,
                   const struct transcript *answer, size_t cut_request, size_t cut_answer)
{
    wire_begin();
    wire_feed(EXCHANGE_REQUESTS, request->data, cut_request);
    wire_feed(EXCHANGE_REQUESTS, request->data + cut_request, request->length - cut_request);
    wire_feed(EXCHANGE_ANSWERS, answer->data, cut_answer);
    cr_assert(finished_count == 0 || cut_answer == answer->length, "%s: an early end at %zu", expected->name,
              cut_answer);
    wire_feed(EXCHANGE_ANSWERS, answer->data + cut_answer, answer->length - cut_answer);
}

static void in_pieces(const struct transcript *transcript, enum exchange_side side, size_t size)
{
    for (size_t pos = 0; pos < transcript->length; pos += size) {
        size_t left = transcript->length - pos;
        wire_feed(side, transcript->data + pos, left < size ? left : size);
    }
}

Test(api_transcripts, any_cut_gives_the_same)
{
    for (size_t i = 0; i < ARRAY_SIZE(transcripts); i++) {
        const struct expected *expected = &transcripts[i];
        struct transcript request = transcript_read(expected->name, "request");
        struct transcript answer = transcript_read(expected->name, "response");
        for (size_t cut = 0; cut <= request.length; cut++) {
            in_two(expected, &request, &answer, cut, answer.length);
            expect(expected, "request cut at", cut);
        }
        for (size_t cut = 0; cut <= answer.length; cut++) {
            in_two(expected, &request, &answer, request.length, cut);
            expect(expected, "answer cut at", cut);
        }
        for (size_t size = 1; size <= 70; size++) {
            wire_begin();
            in_pieces(&request, EXCHANGE_REQUESTS, size);
            in_pieces(&answer, EXCHANGE_ANSWERS, size);
            expect(expected, "in pieces of", size);
        }
        free(request.data);
        free(answer.data);
    }
}

// All of them on one connection, sent ahead two at a time.
Test(api_transcripts, pipelined)
{
    for (size_t i = 0; i + 1 < ARRAY_SIZE(transcripts); i++) {
        wire_begin();
        for (size_t k = i; k <= i + 1; k++) {
            struct transcript request = transcript_read(transcripts[k].name, "request");
            in_pieces(&request, EXCHANGE_REQUESTS, 1000);
            free(request.data);
        }
        for (size_t k = i; k <= i + 1; k++) {
            struct transcript answer = transcript_read(transcripts[k].name, "response");
            in_pieces(&answer, EXCHANGE_ANSWERS, 1000);
            free(answer.data);
            expect(&transcripts[k], "pipelined behind", i);
            finished_count = 0;
        }
    }
}
