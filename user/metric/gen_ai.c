#include "gen_ai.h"

#include "api.h"
#include "base/text.h"
#include "served_by.h"

#include <stdbool.h>
#include <string.h>

const double gen_ai_duration_bounds[GEN_AI_DURATION_BOUNDS] = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                                               1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
const double gen_ai_first_bounds[GEN_AI_FIRST_BOUNDS] = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,
                                                         .75,  1,    2.5, 5,   7.5, 10,  20,  40, 80,  160};
const double gen_ai_token_bounds[GEN_AI_TOKEN_BOUNDS] = {
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
_Static_assert((int)GEN_AI_FIRST_BOUNDS <= (int)HISTOGRAM_BOUNDS_MAX, "more than a histogram has room for");

const char *const gen_ai_source_names[GEN_AI_SOURCES] = {"usage", "events"};

double gen_ai_seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

void gen_ai_usage_add(struct gen_ai_usage *usage, const struct wire_api *record, uint64_t first_ns)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    enum api_token_source source = api_output_source(record);
    if (first_ns)
        histogram_add(&usage->first, gen_ai_first_bounds, GEN_AI_FIRST_BOUNDS,
                      gen_ai_seconds(exchange->start_ns, first_ns));
    if (exchange->flags & WIRE_API_HAS_INPUT)
        histogram_add(&usage->input, gen_ai_token_bounds, GEN_AI_TOKEN_BOUNDS, exchange->input_tokens);
    if (source != API_TOKENS_UNKNOWN)
        histogram_add(&usage->output[source - 1], gen_ai_token_bounds, GEN_AI_TOKEN_BOUNDS,
                      api_output_tokens(record));
}

void gen_ai_first_write(const struct gen_ai_usage *usage, struct series_writer *writer,
                        const struct label *labels, size_t count)
{
    histogram_write(&usage->first, gen_ai_first_bounds, GEN_AI_FIRST_BOUNDS, writer, labels, count);
}

void gen_ai_usage_write(const struct gen_ai_usage *usage, struct series_writer *writer, struct label *labels,
                        size_t count)
{
    size_t typed = label_append(labels, count, "gen_ai_token_type", "input");
    histogram_write(&usage->input, gen_ai_token_bounds, GEN_AI_TOKEN_BOUNDS, writer, labels,
                    label_append(labels, typed, "token_source", gen_ai_source_names[0]));
    typed = label_append(labels, count, "gen_ai_token_type", "output");
    for (size_t i = 0; i < GEN_AI_SOURCES; i++)
        histogram_write(&usage->output[i], gen_ai_token_bounds, GEN_AI_TOKEN_BOUNDS, writer, labels,
                        label_append(labels, typed, "token_source", gen_ai_source_names[i]));
}

void gen_ai_name_fill(const char *bytes, size_t length, char *ret_name)
{
    size_t used = 0;
    length = strnlen(bytes, length);
    for (size_t i = 0; i < length;) {
        size_t sequence = text_utf8_length(bytes + i, length - i);
        const char *from = sequence ? bytes + i : "\xef\xbf\xbd";
        size_t size = sequence ? sequence : 3;
        bool cut =
            !sequence && length == WIRE_API_MODEL_MAX && length - i < 4 && (unsigned char)bytes[i] >= 0xc2;
        if (cut || used + size > WIRE_API_MODEL_MAX)
            break;
        memcpy(ret_name + used, from, size);
        used += size;
        i += sequence ? sequence : 1;
    }
}
