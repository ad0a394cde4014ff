// How alerts are written, in pieces.
#pragma once

#include "sink.h"

#include <stdint.h>

// 14:05:09.123456789, local time.
void format_time_of_day(struct text *text, uint64_t time_ns);
// The rule's message for the event, without time and priority.
void format_message(const struct alert *alert, struct text *text);
// The line of JSON around it: `fields` are the output fields without evt.time, each with a comma in front.
void format_json_begin(const char *hostname, const struct text *output, uint64_t time_ns, struct text *text);
void format_json_fields(const struct alert *alert, struct text *text);
// From "priority" to the tags.
void format_json_rule(const struct rule *rule, struct text *text);
void format_json_end(uint64_t time_ns, struct text *text);
