#include "base/yaml.h"

#include <string.h>

enum { LINE_PRINTED_MAX = 32768 };

// The line with blanks for tabs, so that the caret stands where it should.
static void add_line(struct text *text, const char *line, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t run = 0;
        while (i + run < length && line[i + run] != '\t')
            run++;
        text_add_printable(text, line + i, run);
        i += run;
        if (i < length) {
            text_add_char(text, ' ');
            i++;
        }
    }
}

static size_t count_characters(const char *string, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)string[i] & 0xc0) != 0x80;
    return count;
}

void yaml_print_line(FILE *stream, unsigned number, const char *line, unsigned column, const char *on,
                     const char *off)
{
    _cleanup_text_ struct text text = TEXT_INIT(LINE_PRINTED_MAX);
    size_t before = 0;
    for (unsigned at = 1; line[before] && at < column; at++) {
        before++;
        while (((unsigned char)line[before] & 0xc0) == 0x80)
            before++;
    }
    add_line(&text, line, before);
    size_t indent = count_characters(text_string(&text), text.length);
    add_line(&text, line + before, strlen(line + before));
    fprintf(stream, "%5u | %s\n", number, text_string(&text));
    fprintf(stream, "      | %*s%s^%s\n", (int)indent, "", on, off);
}
