// The header `traceparent` of W3C Trace Context, level 1: https://www.w3.org/TR/trace-context/
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct traceparent {
    char trace_id[33]; // lower-case hexadecimal, NUL-terminated
    char span_id[17];  // of the caller
    unsigned flags;    // TRACEPARENT_SAMPLED
};

enum { TRACEPARENT_SAMPLED = 1 };

// -EINVAL where the text is none that the standard lets anybody use.
int traceparent_parse(const char *text, size_t length, struct traceparent *ret_traceparent);
