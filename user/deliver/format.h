// One alert in the words of a receiver, made from its JSON. Whatever the JSON holds, the result is one line
// without a newline or another control character in it.
#pragma once

#include "base/text.h"
#include "receiver.h"

// Adds the alert to the text, without a newline at the end. `hostname` stands for the host where the JSON
// names none. 0; -EMSGSIZE where the text's limit is too small, -ENOMEM: then the text is as it was before.
int format_alert(enum config_format format, const struct item *item, const char *hostname, struct text *ret);

// Adds a JSON value as one line in which DEL and the control characters U+0080 to U+009F are escaped, too.
// 0, -EMSGSIZE or -ENOMEM, as above.
int format_add_json(const json_t *json, struct text *ret);

// --- RFC 5424 ---

struct format_syslog {
    unsigned facility;         // 0 … 23
    enum config_format format; // of the message
    size_t max;                // bytes; a longer message loses its end, but never half a character
};

// Adds the message without framing. ret_cut: it was longer than `max`. Errors as above.
int format_syslog(const struct format_syslog *options, const struct item *item, const char *hostname,
                  struct text *ret, bool *ret_cut);

// "daemon", "local0", … -EINVAL.
int format_facility(const char *name, unsigned *ret_facility);
