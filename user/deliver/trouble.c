#include "trouble.h"

#include "base/log.h"
#include "loop.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { SILENCE_MS = 60000 };

// Whether it is time for another message; it counts as said then. Never said: 0.
static bool may_say(uint64_t *said_ms)
{
    uint64_t now = loop_now_ms();
    if (*said_ms && now - *said_ms < SILENCE_MS)
        return false;
    *said_ms = now ? now : 1;
    return true;
}

void trouble_failed(struct trouble *trouble, const char *why)
{
    if (!trouble->failing) {
        trouble->failing = true;
        trouble->since_ms = loop_now_ms();
    }
    uint64_t before = trouble->said_ms;
    if (!may_say(&trouble->said_ms))
        return;
    if (before < trouble->since_ms)
        log_warning("output %s: %s; what it does not take waits in the spool", trouble->name, why);
    else
        log_warning("output %s fails for %" PRIu64 " s by now: %s", trouble->name,
                    (loop_now_ms() - trouble->since_ms) / 1000, why);
}

void trouble_over(struct trouble *trouble)
{
    if (!trouble->failing)
        return;
    trouble->failing = false;
    // A failure that nobody was told of needs no end either.
    if (trouble->said_ms >= trouble->since_ms)
        log_info("output %s takes everything again, after %" PRIu64 " s", trouble->name,
                 (loop_now_ms() - trouble->since_ms) / 1000);
}

void trouble_lost(struct trouble *trouble, size_t records, const char *why)
{
    trouble->lost += records;
    if (!may_say(&trouble->lost_said_ms))
        return;
    log_error("output %s: %" PRIu64 " given up: %s", trouble->name, trouble->lost, why);
    trouble->lost = 0;
}

void trouble_say(struct trouble *trouble, const char *format, ...)
{
    if (!may_say(&trouble->own_said_ms))
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_warning("output %s: %s", trouble->name, text);
}

void trouble_end(struct trouble *trouble)
{
    if (trouble->lost)
        log_error("output %s: %" PRIu64 " more given up since then", trouble->name, trouble->lost);
    trouble->lost = 0;
}
