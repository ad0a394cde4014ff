#include "base/cleanup.h"
#include "compiler.h"
#include "lexer.h"

#include <ctype.h>
#include <string.h>

enum { WIDTH_MAX = 1000, VALUE_MAX = 65536 };

// A field, after the text before it.
struct piece {
    const char *before;
    size_t before_length;
    const struct field *field; // NULL at the end of the output
    bool context;              // then `field` is the same for all types of event
    struct field_arg arg;
    const char *key; // as written
    size_t width;    // 0: as long as it is
    bool first;      // not used earlier in the output
};

struct rule_output {
    struct piece *pieces;
    size_t count;
    size_t capacity;
};

struct maker {
    struct compiler *compiler;
    const struct passage *passage;
    struct rule_output *output;
    struct table keys;
    struct text literal;
};

static bool maker_fail(struct maker *maker, size_t offset, const char *message)
{
    problem_at(maker->compiler->report, RULE_ERROR, CODE_OUTPUT, place_in(maker->passage, offset), "%s",
               message);
    return false;
}

static bool maker_add(struct maker *maker, struct piece *piece)
{
    struct arena *arena = &maker->compiler->set->arena;
    struct rule_output *output = maker->output;
    if (output->count == output->capacity) {
        struct piece *more = arena_grow(arena, output->pieces, sizeof(*more), &output->capacity);
        if (!more)
            return false;
        output->pieces = more;
    }
    piece->before_length = maker->literal.length;
    piece->before = arena_copy(arena, text_string(&maker->literal), maker->literal.length);
    text_reset(&maker->literal);
    if (piece->before)
        output->pieces[output->count++] = *piece;
    return piece->before;
}

static bool look_up(struct maker *maker, const struct word *name, const struct word *arg, struct piece *piece)
{
    struct arena *arena = &maker->compiler->set->arena;
    piece->field = compiler_look_up(maker->compiler, name, maker->passage, CODE_OUTPUT);
    if (!piece->field)
        return false;
    const char *wrong = compiler_arg(piece->field, arg, arena, &piece->arg);
    if (wrong)
        return maker_fail(maker, arg ? arg->offset : name->offset, wrong);
    size_t end = arg ? arg->offset + arg->length : name->offset + name->length;
    // A quoted argument keeps its quote, which stands between it and the bracket.
    while (arg && maker->passage->text[end] != ']')
        end++;
    end += arg ? 1 : 0;
    piece->key = arena_copy(arena, name->text, end - name->offset);
    struct table_entry *entry =
        piece->key ? table_add(&maker->keys, &maker->compiler->load, piece->key, end - name->offset) : NULL;
    if (!entry)
        return false;
    piece->first = !entry->item;
    entry->item = (void *)piece->key;
    piece->context = field_is_context(piece->field) || !field_find_any(name->text, name->length);
    return true;
}

// Reads [width]field[argument]; the percent sign was taken.
static bool read_field(struct maker *maker, struct lexer *lexer)
{
    struct piece piece = {0};
    struct word name, arg;
    size_t start = lexer->at;
    if (lexer->at < lexer->length && lexer->text[lexer->at] == '[') {
        uint64_t width = 0;
        lexer->at++;
        while (lexer->at < lexer->length && isdigit((unsigned char)lexer->text[lexer->at]) &&
               width <= WIDTH_MAX)
            width = width * 10 + (uint64_t)(lexer->text[lexer->at++] - '0');
        if (width == 0 || width > WIDTH_MAX || lexer->at == lexer->length || lexer->text[lexer->at] != ']')
            return maker_fail(maker, start,
                              "a width is a number from 1 to 1000 in brackets, as in %[20]proc.name");
        lexer->at++;
        piece.width = width;
    }
    bool blank = lexer->at < lexer->length && !isalpha((unsigned char)lexer->text[lexer->at]);
    if (blank || !lexer_name(lexer, &name))
        return maker_fail(maker, start - 1,
                          "there is no field behind this percent sign: write %% for the sign itself");
    bool has_arg = lexer->at < lexer->length && lexer->text[lexer->at] == '[';
    if (has_arg) {
        lexer->at++;
        if (!lexer_arg(lexer, &arg))
            return maker_fail(maker, lexer->at,
                              "the argument of the field cannot be read: write it as [name] or [2]");
    }
    return look_up(maker, &name, has_arg ? &arg : NULL, &piece) && maker_add(maker, &piece);
}

static void maker_free(struct maker *maker)
{
    text_free(&maker->literal);
}

struct rule_output *output_new(struct compiler *compiler, const struct passage *passage)
{
    struct maker maker _cleanup_(maker_free) = {.compiler = compiler, .passage = passage};
    maker.literal.max = passage->length;
    maker.output = arena_alloc(&compiler->set->arena, sizeof(*maker.output));
    if (!maker.output)
        return NULL;
    struct lexer lexer = {.text = passage->text, .length = passage->length};
    // Blanks at the end come from how YAML folds lines; a star at the start is a habit without meaning.
    while (lexer.length > 0 && isspace((unsigned char)lexer.text[lexer.length - 1]))
        lexer.length--;
    lexer_skip_blanks(&lexer);
    if (lexer.at < lexer.length && lexer.text[lexer.at] == '*')
        lexer.at++;
    bool ok = true;
    while (lexer.at < lexer.length) {
        char letter = lexer.text[lexer.at++];
        if (letter == '%' && !(lexer.at < lexer.length && lexer.text[lexer.at] == '%')) {
            ok = read_field(&maker, &lexer) && ok;
            continue;
        }
        lexer.at += letter == '%';
        // An alert is one line.
        text_add_char(&maker.literal, letter == '\n' || letter == '\r' ? ' ' : letter);
    }
    struct piece end = {0};
    return maker_add(&maker, &end) && ok ? maker.output : NULL;
}

static bool piece_get(const struct piece *piece, const struct event *event, struct value *ret_value)
{
    const struct field *field = piece->field;
    if (!piece->context)
        field = field_find(event->type, field->name, strlen(field->name));
    if (!field || !field_get(field, event, &piece->arg, 0, ret_value))
        return false;
    // Times and durations are often set as the plain numbers that they are.
    if (field->type == FIELD_TIME || field->type == FIELD_DURATION)
        ret_value->type = field->type;
    return true;
}

// Cuts or fills up to the width, in characters.
static void add_padded(struct text *text, const char *value, size_t length, size_t width)
{
    size_t at = 0;
    for (; at < length && width > 0; width--)
        at += text_utf8_length(value + at, length - at);
    text_add_bytes(text, value, at);
    while (width-- > 0)
        text_add_char(text, ' ');
}

static void piece_render(const struct piece *piece, const struct event *event, struct text *text)
{
    struct value value;
    if (piece->width == 0) {
        if (piece_get(piece, event, &value))
            value_render(&value, text);
        else
            text_add(text, "<NA>");
        return;
    }
    _cleanup_text_ struct text plain = TEXT_INIT(VALUE_MAX);
    if (piece_get(piece, event, &value))
        value_render(&value, &plain);
    else
        text_add(&plain, "<NA>");
    add_padded(text, text_string(&plain), plain.length, piece->width);
}

void rule_output_render(const struct rule_output *output, const struct event *event, struct text *text)
{
    for (size_t i = 0; i < output->count; i++) {
        const struct piece *piece = &output->pieces[i];
        text_add_bytes(text, piece->before, piece->before_length);
        if (piece->field)
            piece_render(piece, event, text);
    }
}

void rule_output_visit(const struct rule_output *output, const struct event *event,
                       rule_output_field_fn visit, void *context)
{
    for (size_t i = 0; i < output->count; i++) {
        const struct piece *piece = &output->pieces[i];
        struct value value;
        if (piece->first)
            visit(piece->key, piece_get(piece, event, &value) ? &value : NULL, context);
    }
}
