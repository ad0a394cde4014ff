#include "gen_ai.h"

#include "base/text.h"
#include "histogram.h"

#include <stdbool.h>
#include <string.h>

const double gen_ai_duration_bounds[GEN_AI_DURATION_BOUNDS] = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                                               1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
const double gen_ai_first_bounds[GEN_AI_FIRST_BOUNDS] = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,
                                                         .75,  1,    2.5, 5,   7.5, 10,  20,  40, 80,  160};
const double gen_ai_token_bounds[GEN_AI_TOKEN_BOUNDS] = {
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
_Static_assert((int)GEN_AI_FIRST_BOUNDS <= (int)HISTOGRAM_BOUNDS_MAX, "more than a histogram has room for");

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
