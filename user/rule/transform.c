// What transformers make of values. A value that is missing stays missing.
#include "base/series.h"
#include "base/text.h"
#include "term.h"

#include <ctype.h>
#include <string.h>

static struct counter left_out = {
    .name = "inferscope_rule_transformed_left_out_total",
    .help = "Transformed values that took too much memory for one comparison; they count as missing.",
};

// NULL: what the values of one comparison may take is used up.
static char *room(struct arena *arena, size_t size)
{
    char *data = size < TERM_BYTES_MAX - 1 && arena->total < TERM_BYTES_MAX - size - 1
                     ? arena_alloc(arena, size + 1)
                     : NULL;
    if (!data) {
        counter_register(&left_out);
        left_out.value++;
    }
    return data;
}

static bool give(struct arena *arena, const char *data, size_t length, struct value *ret_value)
{
    char *copy = room(arena, length);
    if (copy)
        memcpy(copy, data, length);
    return value_set_bytes(ret_value, copy, length);
}

// The same for what was put together; what did not fit is no value.
static bool give_text(struct arena *arena, const struct text *text, struct value *ret_value)
{
    if (text->truncated) {
        counter_register(&left_out);
        left_out.value++;
        return false;
    }
    return give(arena, text_string(text), text->length, ret_value);
}

static bool change_case(const struct value *from, int (*change)(int), struct arena *arena,
                        struct value *ret_value)
{
    char *text = room(arena, from->string.length);
    for (size_t i = 0; text && i < from->string.length; i++)
        text[i] = (char)change((unsigned char)from->string.data[i]);
    return value_set_bytes(ret_value, text, from->string.length);
}

static int b64_digit(char letter)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = letter ? strchr(digits, letter) : NULL;
    return at ? (int)(at - digits) : -1;
}

// With or without the `=` at the end; what is not Base64 has no value.
static bool decode_b64(const struct value *from, struct arena *arena, struct value *ret_value)
{
    const char *data = from->string.data;
    size_t length = from->string.length, used = 0;
    for (int i = 0; i < 2 && length > 0 && data[length - 1] == '='; i++)
        length--;
    char *text = length % 4 == 1 ? NULL : room(arena, length);
    unsigned bits = 0;
    for (size_t i = 0; text && i < length; i++) {
        int digit = b64_digit(data[i]);
        if (digit < 0)
            return false;
        bits = (bits << 6 | (unsigned)digit) & 0xffffff;
        if (i % 4 > 0)
            text[used++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    if (text)
        text[used] = '\0';
    return value_set_bytes(ret_value, text, used);
}

static bool take_basename(const struct value *from, struct value *ret_value)
{
    const char *data = from->string.data, *slash = memrchr(data, '/', from->string.length);
    size_t skip = slash ? (size_t)(slash - data) + 1 : 0;
    return value_set_bytes(ret_value, data + skip, from->string.length - skip);
}

static bool count(const struct term *argument, const struct event *event, struct arena *arena,
                  struct value *ret_value)
{
    struct value value;
    size_t length = 0;
    if (!term_get(argument, event, 0, arena, &value))
        return false;
    if (!argument->many && argument->kind != TERM_LIST)
        return value_set_uint(ret_value, value.string.length);
    while (length < TERM_VALUES_MAX && term_get(argument, event, length, arena, &value))
        length++;
    return value_set_uint(ret_value, length);
}

static void add_value(struct text *text, const struct value *value)
{
    if (value->type == FIELD_STRING)
        text_add_bytes(text, value->string.data, value->string.length);
    else
        value_render(value, text);
}

static bool join(const struct term *call, const struct event *event, struct arena *arena,
                 struct value *ret_value)
{
    const struct term *list = call->first->next;
    _cleanup_text_ struct text text = TEXT_INIT(TERM_BYTES_MAX / 4);
    struct value separator, value;
    size_t found = 0, elements = 0;
    if (!term_get(call->first, event, 0, arena, &separator))
        return false;
    for (const struct term *child = list->first; list->kind == TERM_LIST && child; child = child->next)
        elements++;
    for (; found < TERM_VALUES_MAX && term_get(list, event, found, arena, &value); found++) {
        if (found > 0)
            add_value(&text, &separator);
        add_value(&text, &value);
    }
    // Of a list that is written out, all must be there.
    if (found == 0 || (list->kind == TERM_LIST && found < elements))
        return false;
    return give_text(arena, &text, ret_value);
}

static bool concat(const struct term *call, const struct event *event, struct arena *arena,
                   struct value *ret_value)
{
    _cleanup_text_ struct text text = TEXT_INIT(TERM_BYTES_MAX / 4);
    for (const struct term *child = call->first; child; child = child->next) {
        struct value value;
        if (!term_get(child, event, 0, arena, &value))
            return false;
        add_value(&text, &value);
    }
    return give_text(arena, &text, ret_value);
}

// --- getopt ---

struct words {
    const struct term *term;
    const struct event *event;
    struct arena *arena;
    size_t next;
    struct value rest; // of a single string: what is not yet taken
    bool single;
};

// The next word of the command line; a single string is taken apart at its blanks.
static bool next_word(struct words *words, struct value *ret_word)
{
    if (!words->single)
        return words->next < TERM_VALUES_MAX &&
               term_get(words->term, words->event, words->next++, words->arena, ret_word) &&
               ret_word->type == FIELD_STRING;
    const char *data = words->rest.string.data;
    size_t length = words->rest.string.length, skip = 0, end;
    while (skip < length && data[skip] == ' ')
        skip++;
    if (skip == length)
        return false;
    for (end = skip; end < length && data[end] != ' '; end++)
        ;
    value_set_bytes(&words->rest, data + end, length - end);
    return value_set_bytes(ret_word, data + skip, end - skip);
}

struct options {
    const struct value *known; // as in getopt(3)
    char selector;             // '\0': all are asked for
    size_t nth;                // which result is wanted
    size_t found;
    bool taken;
    struct value value;
};

static void take_result(struct options *options, const char *data, size_t length)
{
    // Of an option that is asked for, the last one counts.
    if (options->selector || options->found == options->nth) {
        value_set_bytes(&options->value, data, length);
        options->taken = true;
    }
    options->found++;
}

static const char *find_option(const struct options *options, char letter)
{
    const char *known = options->known->string.data;
    return letter == ':' ? NULL : memchr(known, letter, options->known->string.length);
}

// One word such as -ntvalue.
static void read_cluster(struct options *options, struct words *words, const struct value *word)
{
    const char *data = word->string.data, *end = data + word->string.length;
    const char *known_end = options->known->string.data + options->known->string.length;
    for (const char *at = data + 1; at < end; at++) {
        const char *option = find_option(options, *at);
        bool wanted = !options->selector || *at == options->selector;
        if (!option) {
            if (!options->selector)
                take_result(options, "?", 1);
            continue;
        }
        if (option + 1 == known_end || option[1] != ':') {
            if (wanted)
                take_result(options, at, 1);
            continue;
        }
        struct value argument;
        bool has_argument = at + 1 < end ? value_set_bytes(&argument, at + 1, (size_t)(end - at) - 1)
                                         : next_word(words, &argument);
        if (wanted && !(options->selector && has_argument))
            take_result(options, at, options->selector ? 0 : 1);
        if (wanted && has_argument)
            take_result(options, argument.string.data, argument.string.length);
        return;
    }
}

static bool get_option(const struct term *call, const struct event *event, size_t nth, struct arena *arena,
                       struct value *ret_value)
{
    struct words words = {.term = call->first, .event = event, .arena = arena};
    struct value known, word;
    words.single = words.term->kind != TERM_LIST && !words.term->many;
    if (!term_get(call->first->next, event, 0, arena, &known) ||
        (words.single && !term_get(words.term, event, 0, arena, &words.rest)))
        return false;
    struct options options = {
        .known = &known, .selector = call->has_arg ? *call->arg.text : '\0', .nth = nth};
    if ((options.selector && nth > 0) || nth >= TERM_VALUES_MAX)
        return false;
    while (next_word(&words, &word)) {
        const char *data = word.string.data;
        size_t length = word.string.length;
        // The first word that is no option ends them, as does a double dash; long options are passed over.
        if (length < 2 || data[0] != '-' || (length == 2 && data[1] == '-'))
            break;
        if (data[1] != '-')
            read_cluster(&options, &words, &word);
    }
    return options.taken && give(arena, options.value.string.data, options.value.string.length, ret_value);
}

bool transform(const struct term *call, const struct event *event, size_t nth, struct arena *arena,
               struct value *ret_value)
{
    struct value from;
    if (nth > 0 && !call->many)
        return false;
    switch (call->transformer) {
    case TRANSFORM_LEN:
        return count(call->first, event, arena, ret_value);
    case TRANSFORM_JOIN:
        return join(call, event, arena, ret_value);
    case TRANSFORM_CONCAT:
        return concat(call, event, arena, ret_value);
    case TRANSFORM_GETOPT:
        return get_option(call, event, nth, arena, ret_value);
    default:
        break;
    }
    if (!term_get(call->first, event, nth, arena, &from))
        return false;
    switch (call->transformer) {
    case TRANSFORM_TOLOWER:
        return change_case(&from, tolower, arena, ret_value);
    case TRANSFORM_TOUPPER:
        return change_case(&from, toupper, arena, ret_value);
    case TRANSFORM_B64:
        return decode_b64(&from, arena, ret_value);
    default:
        return take_basename(&from, ret_value);
    }
}
