// What is kept of an alert, so that another can be told in its words when the event has long gone.
#pragma once

#include "noise.h"

struct noise_alert {
    char *hostname, *rule;
    enum priority priority;
    struct text message; // as the rule puts it
    struct text fields;  // of the output, as JSON
    struct text about;   // the rule, as JSON
    uint64_t seconds;    // how long it stands for
    const char *reason;  // why the others were folded; static
};

// 0 or -ENOMEM.
int noise_alert_keep(const struct alert *alert, struct noise_alert *ret_kept);
void noise_alert_free(struct noise_alert *kept);
size_t noise_alert_bytes(const struct noise_alert *kept);

// Digests of what is compared, in hexadecimal. 0 or a negative errno.
enum { NOISE_DIGEST = 64 };
int noise_alert_digest(const struct alert *alert, char ret_digest[NOISE_DIGEST + 1]);
int noise_kind_digest(const struct alert *alert, char ret_digest[NOISE_DIGEST + 1]);
