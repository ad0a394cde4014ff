#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum log_level log_max = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    log_max = level;
}

bool log_enabled(enum log_level level)
{
    return level <= log_max;
}

void log_write(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    if (!log_enabled(level))
        return;

    // One write a line, so that lines of several processes do not mix.
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fprintf(stderr, "agent: %s%s\n", names[level], line);
}
