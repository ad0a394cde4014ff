// Where alerts go.
#pragma once

#include "alert.h"

#include <stdbool.h>

struct sink;

enum sink_format { SINK_TEXT, SINK_JSON };

struct sink_options {
    int fd; // borrowed; -1: alerts are put together and thrown away
    enum sink_format format;
    bool color;   // SINK_TEXT: the priority in colour
    bool patient; // a reader that stands still is waited for, however long
};

int sink_new(const struct sink_options *options, struct sink **ret_sink);
void sink_free(struct sink **sink);

// Writes one line. The process ignores SIGPIPE, so that a reader that has gone is an error here. 0, or a
// negative errno; a lost alert is also counted as inferscope_alerts_lost_total and said on standard error:
// the first at once, others at most once a minute, and all of them at the end.
int sink_alert(struct sink *sink, const struct alert *alert);
struct noise_summary;
// The same for one alert that stands for several (user/sink/noise.h), without colour.
int sink_summary(struct sink *sink, const struct noise_summary *summary);

// The line that sink_alert() writes, newline included, without colour.
void sink_format_text(const struct alert *alert, bool color, struct text *text);
void sink_format_json(const struct alert *alert, struct text *text);
