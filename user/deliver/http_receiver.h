// What the receivers that speak HTTP have in common: a batch becomes one or more posts, each is built and its
// answer judged by the kind of receiver, and the verdicts go back to the queue together. All of them are the
// one receiver_type `http_receiver` (receiver.h).
#pragma once

#include "base/text.h"
#include "http.h"
#include "receiver.h"

#include <stdbool.h>

// The items of one post.
struct http_batch {
    const struct config_output *output;
    const char *hostname;
    const struct item *const *items;
    size_t count;
    unsigned group;   // as http_kind.group() says
    unsigned *memory; // what the kind remembers from answer to answer; 0 at first
};

struct http_judgement {
    enum verdict *verdicts; // one for each item
    unsigned retry_after;   // ms
    char why[256];
};

struct http_kind {
    const char *path; // of its interface, see struct http_options
    const char *query;
    const char *content_type;
    const char *text_type; // instead, where the output's format is no JSON; NULL: the same
    const char *token_scheme;
    // A post for each item, HTTP_AT_ONCE of them under way, with its uuid as Idempotency-Key. The first
    // failure ends the round.
    bool alone;
    // Otherwise items of one group go into one post, and one post is under way. NULL: all are one group.
    unsigned (*group)(const struct item *item);
    // Another path for a group. May be NULL.
    const char *(*path_of)(unsigned group);
    // The body. 0 or a negative errno.
    int (*build)(const struct http_batch *batch, struct text *body);
    // What the answer says of the items. By its status alone it is judged already, see http_judge_status().
    // May be NULL.
    void (*judge)(const struct http_batch *batch, const struct http_answer *answer,
                  struct http_judgement *judgement);
};

// The kinds, each in a file of its own.
extern const struct http_kind webhook_kind, splunk_kind, elasticsearch_kind, loki_kind, alertmanager_kind,
    otlp_kind;
// NULL: a receiver of that type speaks no HTTP.
const struct http_kind *http_kind_of(enum config_output_type type);

// 2xx: delivered. 400, 413, 422: the content is at fault, so several items are split and a single one is
// refused. All else can be mended on the other side or in the configuration, and is tried again; what a
// person has to mend (401, 403, 404, 405 and redirects) no more often than the output's longest wait.
void http_judge_status(const struct http_batch *batch, const struct http_answer *answer,
                       struct http_judgement *judgement);
void http_judge_all(const struct http_batch *batch, struct http_judgement *judgement, enum verdict verdict);
