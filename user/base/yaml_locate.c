// A scalar's value and the file's bytes differ in blanks, line breaks, indentation, quotes and escapes. All
// that is not blank is the same in both and in the same order, so walking both in step finds a byte again.
#include "base/yaml.h"

#include <string.h>

struct walk {
    const char *data;
    size_t length;
    size_t at;
    enum node_style style;
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static size_t skip_line(const struct file *file, size_t at)
{
    const char *end = memchr(file->data + at, '\n', file->length - at);
    return end ? (size_t)(end - file->data) + 1 : file->length;
}

// The first byte of the value's own text.
static size_t text_start(const struct file *file, const struct node *scalar)
{
    size_t at = scalar->offset;
    // A tag or an anchor may come first.
    while (at < file->length && (file->data[at] == '!' || file->data[at] == '&')) {
        while (at < file->length && !is_blank(file->data[at]))
            at++;
        while (at < file->length && is_blank(file->data[at]))
            at++;
    }
    switch (scalar->style) {
    case STYLE_LITERAL:
    case STYLE_FOLDED:
        return skip_line(file, at);
    case STYLE_SINGLE_QUOTED:
    case STYLE_DOUBLE_QUOTED:
        return at + 1;
    default:
        return at;
    }
}

static size_t character_size(const char *data, size_t left)
{
    size_t size = 1;
    while (size < left && ((unsigned char)data[size] & 0xc0) == 0x80)
        size++;
    return size;
}

// Bytes of the escape at `data`, in double quotes. A blank one (and a line break that is escaped) stands for
// nothing but blanks in the value.
static size_t escape_size(const char *data, size_t left, bool *ret_blank)
{
    char kind = left > 1 ? data[1] : '\0';
    *ret_blank = is_blank(kind) || kind == 'n' || kind == 't' || kind == 'r';
    size_t size = kind == 'x' ? 4 : kind == 'u' ? 6 : kind == 'U' ? 10 : 2;
    return size < left ? size : left;
}

// Goes to the next character that is not blank; returns its size in the file.
static size_t walk_next(struct walk *walk)
{
    while (walk->at < walk->length) {
        const char *data = walk->data + walk->at;
        size_t left = walk->length - walk->at;
        if (is_blank(*data)) {
            walk->at++;
        } else if (walk->style == STYLE_DOUBLE_QUOTED && *data == '\\') {
            bool blank;
            size_t size = escape_size(data, left, &blank);
            if (!blank)
                return size;
            walk->at += size;
        } else if (walk->style == STYLE_SINGLE_QUOTED && left > 1 && data[0] == '\'' && data[1] == '\'') {
            return 2;
        } else {
            return character_size(data, left);
        }
    }
    return 0;
}

size_t node_locate(const struct file *file, const struct node *scalar, size_t offset)
{
    if (scalar->style == STYLE_RAW)
        return scalar->offset + (offset < scalar->length ? offset : scalar->length);
    struct walk walk = {
        .data = file->data, .length = file->length, .at = text_start(file, scalar), .style = scalar->style};
    size_t behind = walk.at;
    for (size_t at = 0; at < scalar->length && at <= offset;) {
        if (is_blank(scalar->text[at])) {
            at++;
            continue;
        }
        size_t raw_size = walk_next(&walk);
        size_t size = character_size(scalar->text + at, scalar->length - at);
        if (offset < at + size)
            return walk.at;
        at += size;
        walk.at += raw_size;
        behind = walk.at;
    }
    return behind;
}
