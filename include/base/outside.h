// What the agent learns of the node beside the kernel's records: files under /proc, names of users, what
// container runtimes write. Whoever asks does so through here, so that a recording can keep every answer and
// a replay can give it again, in the place of the node that the replay runs on.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum outside_life {
    OUTSIDE_ONCE,    // holds at the moment of asking: a file of /proc
    OUTSIDE_LASTING, // holds until another answer is given: /etc/passwd. Asked at most once an event
};

enum {
    OUTSIDE_QUESTION_MAX = 4096, // bytes, without the NUL
    OUTSIDE_ANSWER_MAX = 8 * 1024 * 1024,
};

// Asks the node. At most `capacity` bytes; the number, or a negative errno.
typedef ssize_t (*outside_fn)(void *context, void *ret_data, size_t capacity);

// The answer to a question, which is named so that no other has the name: by asking the node through `now`,
// or, while a recording is replayed, what was answered then (-ENODATA: it was not asked). Never more than
// `capacity` and OUTSIDE_ANSWER_MAX. An answer of a recording comes from a file: check it like one.
ssize_t outside_ask(enum outside_life life, const char *question, outside_fn now, void *context,
                    void *ret_data, size_t capacity);

// The name of the host that asks, NUL-terminated, empty where there is none.
void outside_host_name(char *ret_name, size_t capacity);

// Who listens to all that is asked, or answers it; one at a time.
struct outside_tap {
    void *context;
    // NULL: the node answers.
    ssize_t (*answer)(void *context, enum outside_life life, const char *question, void *ret_data,
                      size_t capacity);
    // NULL: nobody listens. `result` bytes of `data`, or a negative errno.
    void (*answered)(void *context, enum outside_life life, const char *question, const void *data,
                     ssize_t result);
};

// Whether answers are recorded: then only what a replay does, too, may ask.
bool outside_is_recorded(void);

// Borrowed; NULL: none.
void outside_set_tap(const struct outside_tap *tap);
