#include "base/traceparent.h"

#include <errno.h>
#include <string.h>

enum { VERSION = 0, TRACE = 3, SPAN = 36, FLAGS = 53, LENGTH = 55 };

static int hex_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

// Copies an id; all zeroes is none.
static bool copy_id(const char *from, size_t length, char *ret_id)
{
    bool any = false;
    for (size_t i = 0; i < length; i++) {
        if (hex_digit(from[i]) < 0)
            return false;
        any |= from[i] != '0';
    }
    memcpy(ret_id, from, length);
    ret_id[length] = '\0';
    return any;
}

static int hex_byte(const char *digits)
{
    int high = hex_digit(digits[0]), low = hex_digit(digits[1]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

int traceparent_parse(const char *text, size_t length, struct traceparent *ret_traceparent)
{
    struct traceparent found;
    if (length < LENGTH || text[TRACE - 1] != '-' || text[SPAN - 1] != '-' || text[FLAGS - 1] != '-')
        return -EINVAL;
    int version = hex_byte(text + VERSION), flags = hex_byte(text + FLAGS);
    // Later versions may add something behind another dash.
    bool fits = length == LENGTH || (version > 0 && text[LENGTH] == '-');
    if (version < 0 || version == 0xff || flags < 0 || !fits)
        return -EINVAL;
    if (!copy_id(text + TRACE, 32, found.trace_id) || !copy_id(text + SPAN, 16, found.span_id))
        return -EINVAL;
    found.flags = (unsigned)flags;
    *ret_traceparent = found;
    return 0;
}
