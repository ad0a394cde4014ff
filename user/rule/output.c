#include "base/cleanup.h"
#include "compiler.h"
#include "parser.h"
#include "sum.h"

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
    const struct term *
        *terms;      // instead: what transformers make, by event_type_index(); NULL where it lacks a field
    const char *key; // as written
    size_t width;    // 0: as long as it is
    bool first;      // not used earlier in the output
    size_t offset;   // of the field's name, in the passage
    bool silent;     // only for who visits the fields: a transformer reads it
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
    piece->offset = name->offset;
    piece->context = field_is_context(piece->field) || !field_find_any(name->text, name->length);
    return true;
}

static void term_key(const struct term *term, struct text *text)
{
    text_add_bytes(text, term->name.text, term->kind == TERM_LIST ? 0 : term->name.length);
    if (term->kind == TERM_CALL || term->kind == TERM_LIST)
        text_add_char(text, '(');
    for (const struct term *child = term->first; child; child = child->next) {
        term_key(child, text);
        text_add(text, child->next ? "," : "");
    }
    if (term->kind == TERM_CALL || term->kind == TERM_LIST)
        text_add_char(text, ')');
    if (term->has_arg)
        text_addf(text, "[%.*s]", (int)term->arg.length, term->arg.text);
}

static bool bind_call(struct maker *maker, const struct term *term, struct piece *piece)
{
    struct arena *arena = &maker->compiler->set->arena;
    piece->terms = arena_alloc(arena, EVENT_TYPES_MAX * sizeof(*piece->terms));
    for (size_t i = 0; piece->terms && i < event_type_count(); i++) {
        if (!term_exists(term, event_type_at(i)))
            continue;
        piece->terms[i] = term_bind(term, event_type_at(i), arena);
        if (!piece->terms[i])
            return false;
    }
    return piece->terms;
}

// The fields within are told to who visits the output, too.
static bool add_inner(struct maker *maker, const struct term *term)
{
    bool ok = true;
    for (const struct term *child = term->first; ok && child; child = child->next) {
        struct piece piece = {.silent = true};
        ok = child->kind != TERM_FIELD
                 ? add_inner(maker, child)
                 : look_up(maker, &child->name, child->has_arg ? &child->arg : NULL, &piece) &&
                       maker_add(maker, &piece);
    }
    return ok;
}

// Reads transformer(…), whose name was taken.
static bool read_call(struct maker *maker, struct lexer *lexer, const struct word *name, struct piece *piece)
{
    struct compiler *compiler = maker->compiler;
    struct parser parser = {.lexer = *lexer,
                            .passage = maker->passage,
                            .arena = &compiler->load,
                            .report = compiler->report,
                            .code = CODE_OUTPUT};
    struct term *term = parse_call(&parser, name);
    *lexer = parser.lexer;
    if (!term || !term_resolve(compiler, term, maker->passage, CODE_OUTPUT))
        return false;
    _cleanup_text_ struct text key = TEXT_INIT(VALUE_MAX);
    term_key(term, &key);
    piece->key = arena_copy(&compiler->set->arena, text_string(&key), key.length);
    struct table_entry *entry =
        piece->key ? table_add(&maker->keys, &compiler->load, piece->key, key.length) : NULL;
    if (!entry || !bind_call(maker, term, piece))
        return false;
    piece->first = !entry->item;
    entry->item = (void *)piece->key;
    return maker_add(maker, piece) && add_inner(maker, term);
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
    enum transformer transformer;
    if (lexer->at < lexer->length && lexer->text[lexer->at] == '(' && transformer_find(&name, &transformer))
        return read_call(maker, lexer, &name, &piece);
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

void output_check_sum(const struct rule_output *output, const struct passage *passage, const struct sum *sum,
                      struct rule_report *report)
{
    for (size_t i = 0; i < output->count; i++) {
        const struct piece *piece = &output->pieces[i];
        if (!piece->field || piece->field->arg != FIELD_ARG_WINDOW)
            continue;
        if (!sum)
            problem_at(report, RULE_ERROR, CODE_OUTPUT, place_in(passage, piece->offset),
                       "the condition adds up nothing: compare %s[10m] there, or remove this",
                       piece->field->name);
        else if (piece->arg.set && piece->arg.index != sum->window_s)
            problem_at(report, RULE_ERROR, CODE_OUTPUT, place_in(passage, piece->offset),
                       "the condition adds up over another time: write %s, which is the sum over that",
                       piece->field->name);
    }
}

static void add_reads(const struct term *term, struct demand *demand)
{
    if (term->kind == TERM_FIELD && term->field)
        demand_add_read(demand, term->field);
    for (const struct term *child = term->first; child; child = child->next)
        add_reads(child, demand);
}

void output_demand(const struct rule_output *output, const struct event_type *type, struct demand *demand)
{
    for (size_t i = 0; i < output->count; i++) {
        const struct piece *piece = &output->pieces[i];
        const struct term *term = piece->terms ? piece->terms[event_type_index(type)] : NULL;
        if (term)
            add_reads(term, demand);
        if (!piece->field)
            continue;
        const struct field *field = field_find(type, piece->field->name, strlen(piece->field->name));
        if (field)
            demand_add_read(demand, field);
    }
}

static bool piece_get(const struct piece *piece, const struct event *event, struct arena *arena,
                      struct value *ret_value)
{
    if (piece->terms) {
        const struct term *term = piece->terms[event_type_index(event->type)];
        return term && term_get(term, event, 0, arena, ret_value);
    }
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
    _cleanup_arena_ struct arena arena = {0};
    if (piece->width == 0) {
        if (piece_get(piece, event, &arena, &value))
            value_render(&value, text);
        else
            text_add(text, "<NA>");
        return;
    }
    _cleanup_text_ struct text plain = TEXT_INIT(VALUE_MAX);
    if (piece_get(piece, event, &arena, &value))
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
        if ((piece->field || piece->terms) && !piece->silent)
            piece_render(piece, event, text);
    }
}

void rule_output_visit(const struct rule_output *output, const struct event *event,
                       rule_output_field_fn visit, void *context)
{
    for (size_t i = 0; i < output->count; i++) {
        const struct piece *piece = &output->pieces[i];
        struct value value;
        _cleanup_arena_ struct arena arena = {0};
        if (piece->first)
            visit(piece->key, piece_get(piece, event, &arena, &value) ? &value : NULL, context);
    }
}
