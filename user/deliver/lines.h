// A batch as bytes that are written one after the other, for the receivers that write lines, and what became
// of each of its items.
#pragma once

#include "base/text.h"
#include "loop.h"
#include "receiver.h"

enum { LINES_WHY_SIZE = 256 };

struct lines {
    struct text bytes; // the lines, with their newlines or in their frames
    size_t count;      // items
    size_t *ends;      // of each item, in `bytes`; as the one before where it is not in there
    enum verdict *verdicts;
    uint64_t *sequences;
    // What is missing of a line that was begun: it comes in front of the next batch.
    struct text rest;
    uint64_t rest_sequence;  // of its item, which is not written anew
    size_t rest_end;         // in `bytes`; 0: there is none
    struct loop_timer timer; // done() is never called from within send()
    const struct receiver_env *env;
    char why[LINES_WHY_SIZE];
};

// Adds one item to `bytes`. 0 or a negative errno: that item is rejected, and adds nothing.
typedef int (*lines_write_fn)(const struct item *item, struct text *bytes, void *context);

// For batches of so many items, at most. 0 or -ENOMEM; lines_free() is good in both cases.
int lines_init(struct lines *lines, const struct receiver_env *env, size_t capacity);
void lines_free(struct lines *lines);

// Writes a batch. What finds no room is to be sent again.
void lines_fill(struct lines *lines, const struct item *items, size_t count, lines_write_fn write,
                void *context);

// Of all items whose bytes end at `end` at the latest, and were not rejected: they are delivered; the others
// are to be sent again, because of `why`. Tells the receiver's owner at the loop's next turn.
void lines_settle(struct lines *lines, size_t end, const char *why);
__attribute__((format(printf, 3, 4))) void lines_settlef(struct lines *lines, size_t end, const char *format,
                                                         ...);
// For lines_settle(), where what was written stays: keeps what is missing of the line in which `end` lies.
void lines_keep_rest(struct lines *lines, size_t end);

// The usual line: the alert in the output's format, and a newline. The context is a struct lines_alert.
struct lines_alert {
    enum config_format format;
    const char *hostname;
};
int lines_write_alert(const struct item *item, struct text *bytes, void *context);
