// Posts to one receiver over HTTP or HTTPS, by libcurl in the deliverer's loop: connections are kept, answers
// are read up to a limit, redirects are not followed, and a proxy is used where the environment names one
// (http_proxy, https_proxy, no_proxy), as people expect of curl.
#pragma once

#include "config.h"

#include <stddef.h>

struct http;
struct loop;

enum { HTTP_AT_ONCE = 8 }; // posts under way, at most

struct http_options {
    struct loop *loop;
    const struct config_output *output; // url, tls, token, user, password, headers, timeout
    const char *path;                   // of the receiver's interface: added where the URL does not end in it
    const char *query;                  // added to the URL's; NULL: none
    const char *content_type;
    const char *token_scheme; // in front of the token; NULL: "Bearer"
};

// 0, or a negative errno after having logged why.
int http_open(const struct http_options *options, struct http **ret_http);
// Whoever waits for an answer is not called any more.
void http_close(struct http **http);
// Has the secrets be read again before the next post, as is done by itself after an answer of 401 or 403.
void http_reopen(struct http *http);

struct http_answer {
    unsigned status;      // 0: there is no whole answer
    const char *body;     // NUL-terminated
    size_t length;        // at most HTTP_ANSWER_MAX; what is longer was cut off there
    unsigned retry_after; // ms; 0: the receiver did not say
    const char *why;      // a sentence that has no secrets, where the status is not 2xx
};

enum { HTTP_ANSWER_MAX = 4 << 20 };

typedef void (*http_done_fn)(const struct http_answer *answer, void *context);

struct http_post {
    const char *path; // instead of that of the options; NULL: that one
    const char *body; // borrowed until the answer
    size_t length;
    const char *idempotency_key; // NULL: none
    http_done_fn done;           // from the loop, never from within http_post()
    void *context;
};

// 0; -EBUSY: HTTP_AT_ONCE are under way; -ENOMEM.
int http_post(struct http *http, const struct http_post *post);
