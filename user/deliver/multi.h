// libcurl's transfers in the deliverer's loop, and what all of them have in common.
#pragma once

#include "config.h"
#include "loop.h"

#include <curl/curl.h>
#include <stdbool.h>

// A transfer has ended. From the loop; it may be removed and added again, but the multi may not be freed.
typedef void (*multi_done_fn)(CURL *easy, CURLcode code, void *context);

struct multi {
    CURLM *handle; // what transfers are added to and removed from
    struct loop *loop;
    struct loop_timer timer;
    multi_done_fn done;
    void *context;
};

// It stays where it is until multi_close(). 0 or -ENOMEM.
int multi_init(struct multi *multi, struct loop *loop, multi_done_fn done, void *context);
// After its transfers were removed. May be called for one that is all zero or that could not be initialised.
void multi_close(struct multi *multi);

// False: libcurl refuses. The strings are copied.
bool multi_set_tls(CURL *easy, const struct config_tls *tls);
// What libcurl says may quote what the other side has written, such as the names in its certificate.
void multi_make_printable(char *why);
