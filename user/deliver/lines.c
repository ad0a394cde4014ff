#include "lines.h"

#include "base/cleanup.h"
#include "format.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BATCH_BYTES_MAX = 32 << 20 };

int lines_init(struct lines *lines, const struct receiver_env *env, size_t capacity)
{
    *lines =
        (struct lines){.bytes = TEXT_INIT(BATCH_BYTES_MAX), .rest = TEXT_INIT(BATCH_BYTES_MAX), .env = env};
    lines->ends = calloc(capacity, sizeof(*lines->ends));
    lines->verdicts = calloc(capacity, sizeof(*lines->verdicts));
    lines->sequences = calloc(capacity, sizeof(*lines->sequences));
    return lines->ends && lines->verdicts && lines->sequences ? 0 : -ENOMEM;
}

void lines_free(struct lines *lines)
{
    loop_timer_stop(lines->env->loop, &lines->timer);
    text_free(&lines->bytes);
    text_free(&lines->rest);
    free(lines->sequences);
    free(lines->ends);
    free(lines->verdicts);
    *lines = (struct lines){.env = lines->env};
}

int lines_write_alert(const struct item *item, struct text *bytes, void *context)
{
    const struct lines_alert *alert = context;
    size_t before = bytes->length;
    int error = format_alert(alert->format, item, alert->hostname, bytes);
    if (error)
        return error;
    text_add_char(bytes, '\n');
    if (!bytes->truncated)
        return 0;
    bytes->length = before;
    bytes->truncated = false;
    return -EMSGSIZE;
}

void lines_fill(struct lines *lines, const struct item *items, size_t count, lines_write_fn write,
                void *context)
{
    text_reset(&lines->bytes);
    lines->why[0] = '\0';
    lines->count = count;
    text_add_bytes(&lines->bytes, text_string(&lines->rest), lines->rest.length);
    bool is_full = lines->bytes.truncated;
    if (is_full)
        text_reset(&lines->bytes);
    lines->rest_end = lines->bytes.length;
    for (size_t i = 0; i < count; i++) {
        lines->sequences[i] = items[i].record.sequence;
        bool is_rest = lines->rest_end > 0 && lines->sequences[i] == lines->rest_sequence;
        int error = is_full ? -ENOMEM : is_rest ? 0 : write(&items[i], &lines->bytes, context);
        // What is too long for the rest of the room may fit into the next batch.
        is_full |= error == -ENOMEM || (error == -EMSGSIZE && lines->bytes.length > BATCH_BYTES_MAX / 2);
        lines->ends[i] = lines->bytes.length;
        lines->verdicts[i] = !error ? VERDICT_DELIVERED : is_full ? VERDICT_RETRY : VERDICT_REJECTED;
        if (error)
            snprintf(lines->why, sizeof(lines->why), "%s",
                     is_full ? "memory is short" : "an alert is too long to be written");
    }
}

static void keep(struct lines *lines, size_t from, size_t to)
{
    _cleanup_text_ struct text rest = TEXT_INIT(BATCH_BYTES_MAX);
    text_add_bytes(&rest, lines->bytes.data + from, to - from);
    text_reset(&lines->rest);
    text_add_bytes(&lines->rest, text_string(&rest), rest.length);
}

void lines_keep_rest(struct lines *lines, size_t end)
{
    if (lines->bytes.length == 0)
        return;
    if (end < lines->rest_end) {
        keep(lines, end, lines->rest_end);
        return;
    }
    text_reset(&lines->rest);
    size_t begin = lines->rest_end;
    for (size_t i = 0; i < lines->count; i++) {
        if (begin < end && end < lines->ends[i]) {
            keep(lines, end, lines->ends[i]);
            lines->rest_sequence = lines->sequences[i];
        }
        begin = lines->ends[i];
    }
}

static void on_settled(void *context)
{
    struct lines *lines = context;
    // Whoever is told may close the receiver, or fill the lines again.
    struct outcome outcome = {.verdicts = lines->verdicts, .why = lines->why[0] ? lines->why : NULL};
    lines->env->done(&outcome, lines->env->context);
}

void lines_settle(struct lines *lines, size_t end, const char *why)
{
    for (size_t i = 0; i < lines->count; i++)
        if (lines->verdicts[i] == VERDICT_DELIVERED && lines->ends[i] > end)
            lines->verdicts[i] = VERDICT_RETRY;
    if (why)
        snprintf(lines->why, sizeof(lines->why), "%s", why);
    loop_timer_set(lines->env->loop, &lines->timer, 0, on_settled, lines);
}

void lines_settlef(struct lines *lines, size_t end, const char *format, ...)
{
    char why[LINES_WHY_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    lines_settle(lines, end, why);
}
