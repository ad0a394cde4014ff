// From what stands in a condition to a comparison that can be judged.
#include "compiler.h"
#include "operand.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

struct comparing {
    struct compiler *compiler;
    const struct expr *test;
    const struct term *left;
    enum set_kind kind;
};

static const char *needed(enum field_type type)
{
    switch (type) {
    case FIELD_INT:
        return "a whole number";
    case FIELD_BOOL:
        return "true or false";
    case FIELD_IP:
        return "an IP address or network such as 10.0.0.0/8";
    case FIELD_DURATION:
        return "a number of nanoseconds";
    case FIELD_TIME:
        return "a number of nanoseconds since 1970";
    default:
        return "a whole number from 0";
    }
}

static bool comparator_fits(enum comparator comparator, enum field_type type)
{
    switch (comparator) {
    case CMP_EXISTS:
    case CMP_EQ:
    case CMP_NE:
    case CMP_IN:
    case CMP_INTERSECTS:
        return true;
    case CMP_LT:
    case CMP_LE:
    case CMP_GT:
    case CMP_GE:
        return type == FIELD_INT || type == FIELD_UINT || type == FIELD_DURATION || type == FIELD_TIME;
    default:
        return type == FIELD_STRING;
    }
}

static const char *comparators_for(enum field_type type)
{
    switch (type) {
    case FIELD_STRING:
        return "=, !=, in, contains, startswith, endswith, glob, regex, pmatch or exists";
    case FIELD_BOOL:
    case FIELD_IP:
        return "=, !=, in or exists";
    default:
        return "=, !=, <, <=, >, >=, in or exists";
    }
}

static enum set_kind kind_of(enum comparator comparator, enum field_type type)
{
    switch (type) {
    case FIELD_STRING:
        return comparator == CMP_PMATCH ? SET_PATHS : SET_TEXT;
    case FIELD_INT:
        return SET_INT;
    case FIELD_BOOL:
        return SET_BOOL;
    case FIELD_IP:
        return SET_IP;
    default:
        return SET_UINT;
    }
}

static void report_literal(const struct comparing *comparing, const struct literal *literal)
{
    if (!comparing->compiler->set->arena.failed)
        problem_at(comparing->compiler->report, RULE_ERROR, CODE_CONDITION, literal->place,
                   "\"%.80s\" cannot be compared with %.*s: write %s", literal->text,
                   (int)comparing->left->name.length, comparing->left->name.text,
                   needed(comparing->left->type));
}

static struct set *set_new(const struct comparing *comparing)
{
    struct set *set = arena_alloc(&comparing->compiler->set->arena, sizeof(*set));
    if (set)
        set->kind = comparing->kind;
    return set;
}

static void check_event_name(const struct comparing *comparing, const struct literal *literal)
{
    const struct field *field = comparing->left->field;
    if (field && strcmp(field->name, "evt.type") == 0 && !event_name_known(literal->text))
        problem_at(comparing->compiler->report, RULE_WARNING, "LOAD_UNKNOWN_EVENT", literal->place,
                   "\"%.80s\" is no type of event: see `list events` for those that there are",
                   literal->text);
}

// All literals that cannot be read are reported. False if there was one.
static bool add_literal(const struct comparing *comparing, struct set *set, const struct literal *literal)
{
    check_event_name(comparing, literal);
    int error = set_add(set, &comparing->compiler->set->arena, literal->text, literal->length);
    if (error == -EINVAL)
        report_literal(comparing, literal);
    return !error;
}

// A list's set is made once for each way of comparing.
static const struct set *list_set(const struct comparing *comparing, struct list *list)
{
    list->definition.used = true;
    if (list->sets[comparing->kind] || !compiler_flatten(comparing->compiler, list))
        return list->sets[comparing->kind];
    struct set *set = set_new(comparing);
    bool ok = set;
    for (size_t i = 0; set && i < list->flat_count; i++)
        ok = add_literal(comparing, set, &list->flat[i]) && ok;
    list->sets[comparing->kind] = set;
    return ok ? set : NULL;
}

static bool add_set(const struct comparing *comparing, struct comparison *comparison, const struct set *set)
{
    for (size_t i = 0; set && i < comparison->sets_count; i++)
        if (comparison->sets[i] == set)
            return true;
    if (set)
        comparison->sets[comparison->sets_count++] = set;
    return set;
}

// The literals are one set, each list that is named another one.
static bool read_list(const struct comparing *comparing, struct comparison *comparison)
{
    struct compiler *compiler = comparing->compiler;
    const struct expr *test = comparing->test;
    comparison->sets =
        arena_alloc(&compiler->set->arena, (test->literals_count + 1) * sizeof(*comparison->sets));
    if (!comparison->sets)
        return false;
    bool ok = true;
    struct set *own = NULL;
    for (size_t i = 0; i < test->literals_count; i++) {
        const struct literal *literal = &test->literals[i];
        struct list *list = literal->quoted ? NULL : compiler_list(compiler, literal->text, literal->length);
        if (list) {
            ok = add_set(comparing, comparison, list_set(comparing, list)) && ok;
            continue;
        }
        own = own ? own : set_new(comparing);
        if (!own)
            return false;
        ok = add_literal(comparing, own, literal) && ok;
    }
    return own ? add_set(comparing, comparison, own) && ok : ok;
}

static int digit(char letter)
{
    return isdigit((unsigned char)letter) ? letter - '0' : tolower((unsigned char)letter) - 'a' + 10;
}

// bcontains and bstartswith compare with bytes that are written in hexadecimal.
static bool read_bytes(const struct comparing *comparing, struct comparison *comparison)
{
    const struct literal *literal = &comparing->test->literals[0];
    char *bytes = arena_alloc(&comparing->compiler->set->arena, literal->length / 2 + 1);
    bool ok = bytes && literal->length > 0 && literal->length % 2 == 0;
    for (size_t i = 0; ok && i < literal->length; i++)
        ok = isxdigit((unsigned char)literal->text[i]);
    if (!ok) {
        problem_at(comparing->compiler->report, RULE_ERROR, CODE_CONDITION, literal->place,
                   "\"%.80s\" is not a row of bytes: write two hexadecimal digits for each, such as cafe",
                   literal->text);
        return false;
    }
    for (size_t i = 0; i < literal->length / 2; i++)
        bytes[i] = (char)(digit(literal->text[2 * i]) << 4 | digit(literal->text[2 * i + 1]));
    comparison->text = bytes;
    comparison->length = literal->length / 2;
    return true;
}

static bool read_regex(const struct comparing *comparing, struct comparison *comparison)
{
    struct rule_set *set = comparing->compiler->set;
    const struct literal *literal = &comparing->test->literals[0];
    char message[200] = "";
    size_t offset = 0;
    struct regex *regex;
    int error =
        regex_new(literal->text, literal->length, &set->arena, &regex, message, sizeof(message), &offset);
    if (error == -EINVAL)
        problem_at(comparing->compiler->report, RULE_ERROR, CODE_CONDITION, literal->place,
                   "this regular expression cannot be read: %s after %zu characters; correct it there",
                   message, offset);
    if (error)
        return false;
    regex->next = set->regexes;
    set->regexes = regex;
    comparison->regex = regex;
    return true;
}

static bool read_text(const struct comparing *comparing, struct comparison *comparison)
{
    const struct literal *literal = &comparing->test->literals[0];
    switch (comparison->comparator) {
    case CMP_BCONTAINS:
    case CMP_BSTARTSWITH:
        return read_bytes(comparing, comparison);
    case CMP_REGEX:
        return read_regex(comparing, comparison);
    default:
        break;
    }
    if (comparison->comparator == CMP_EQ || comparison->comparator == CMP_NE)
        check_event_name(comparing, literal);
    comparison->text = arena_copy(&comparing->compiler->set->arena, literal->text, literal->length);
    comparison->length = literal->length;
    comparison->literal_length = glob_literal_length(literal->text, literal->length);
    return comparison->text;
}

static bool read_number(const struct comparing *comparing, struct comparison *comparison)
{
    const struct literal *literal = &comparing->test->literals[0];
    int error;
    switch (comparison->type) {
    case FIELD_INT:
        error = operand_int(literal->text, &comparison->i);
        break;
    case FIELD_BOOL:
        error = operand_bool(literal->text, &comparison->b);
        break;
    default:
        error = operand_uint(literal->text, &comparison->u);
        break;
    }
    if (error)
        report_literal(comparing, literal);
    return !error;
}

__attribute__((format(printf, 4, 5))) static const struct comparison *
fail(struct compiler *compiler, const struct expr *test, size_t offset, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    problem_at(compiler->report, RULE_ERROR, CODE_CONDITION, place_in(test->passage, offset), "%s", message);
    return NULL;
}

static bool is_number(enum field_type type)
{
    return type == FIELD_INT || type == FIELD_UINT || type == FIELD_DURATION || type == FIELD_TIME;
}

// A field that may not stand on the right-hand side, or NULL.
static const struct term *refused_right(const struct term *term)
{
    if (term->field && (term->field->many || term->field->arg == FIELD_ARG_INDEX || term->type == FIELD_IP))
        return term;
    for (const struct term *child = term->first; child; child = child->next) {
        const struct term *refused = refused_right(child);
        if (refused)
            return refused;
    }
    return NULL;
}

static const struct comparison *compare_terms(struct compiler *compiler, const struct expr *test,
                                              struct comparison *comparison)
{
    const struct term *left = test->left, *right = test->right;
    if (!term_resolve(compiler, test->right, test->passage, CODE_CONDITION))
        return NULL;
    const struct term *refused = refused_right(right);
    if (refused)
        return fail(compiler, test, refused->name.offset,
                    "%.*s cannot stand on the right-hand side: put it on the left", (int)refused->name.length,
                    refused->name.text);
    if (test->comparator == CMP_PMATCH || test->comparator == CMP_REGEX || left->type == FIELD_IP)
        return fail(compiler, test, right->name.offset, "%.*s takes no field on its right-hand side",
                    (int)test->comparator_name.length, test->comparator_name.text);
    if (left->type != right->type && !(is_number(left->type) && is_number(right->type)))
        return fail(compiler, test, right->name.offset, "this is of type %s, the left-hand side of type %s",
                    field_type_name(right->type), field_type_name(left->type));
    if (right->many && !comparator_takes_list(test->comparator))
        return fail(compiler, test, right->name.offset, "this has several values: compare with in");
    return comparison;
}

static const struct comparison *add_part(struct compiler *compiler, const struct expr *test,
                                         struct literal *literal)
{
    struct expr part = *test;
    part.quantifier = QUANTIFIER_NONE;
    part.literals = literal;
    part.literals_count = 1;
    return compiler_compare(compiler, &part);
}

static bool add_parts(struct compiler *compiler, const struct expr *test, struct comparison *comparison,
                      size_t *capacity, struct literal *literals, size_t count)
{
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        if (comparison->parts_count == *capacity) {
            const struct comparison **more =
                arena_grow(&compiler->set->arena, comparison->parts, sizeof(*more), capacity);
            if (!more)
                return false;
            comparison->parts = more;
        }
        const struct comparison *part = add_part(compiler, test, &literals[i]);
        ok = part && ok;
        comparison->parts[comparison->parts_count++] = part;
    }
    return ok;
}

// `startswith anyof (a, b)` is `startswith a` or `startswith b`, but reads the field once.
static const struct comparison *compare_quantified(struct compiler *compiler, const struct expr *test,
                                                   struct comparison *comparison)
{
    static const enum comparator comparators[] = {
        [QUANTIFIER_ONE] = CMP_ONEOF, [QUANTIFIER_ANY] = CMP_ANYOF, [QUANTIFIER_ALL] = CMP_ALLOF};
    size_t capacity = 0;
    bool ok = true;
    if (test->left->many)
        return fail(compiler, test, test->left->name.offset,
                    "%.*s has several values, which oneof, anyof and allof do not compare",
                    (int)test->left->name.length, test->left->name.text);
    comparison->comparator = comparators[test->quantifier];
    for (size_t i = 0; i < test->literals_count; i++) {
        struct literal *literal = &test->literals[i];
        struct list *list = literal->quoted ? NULL : compiler_list(compiler, literal->text, literal->length);
        if (list) {
            list->definition.used = true;
            ok = compiler_flatten(compiler, list) &&
                 add_parts(compiler, test, comparison, &capacity, list->flat, list->flat_count) && ok;
        } else {
            ok = add_parts(compiler, test, comparison, &capacity, literal, 1) && ok;
        }
    }
    return ok ? comparison : NULL;
}

const struct comparison *compiler_compare(struct compiler *compiler, const struct expr *test)
{
    const struct term *left = test->left;
    enum comparator comparator = test->comparator;
    if (!comparator_fits(comparator, left->type))
        return fail(compiler, test, test->comparator_name.offset,
                    "%.*s is of type %s, which \"%.*s\" does not compare: use %s", (int)left->name.length,
                    left->name.text, field_type_name(left->type), (int)test->comparator_name.length,
                    test->comparator_name.text, comparators_for(left->type));
    if (left->many && left->kind == TERM_CALL && left->transformer == TRANSFORM_GETOPT &&
        comparator != CMP_IN && comparator != CMP_INTERSECTS && comparator != CMP_EXISTS)
        return fail(compiler, test, left->name.offset,
                    "getopt() gives a list: compare it with in or intersects, or ask for one option, as in "
                    "getopt(…)[b]");
    struct comparison *comparison = arena_alloc(&compiler->set->arena, sizeof(*comparison));
    if (!comparison)
        return NULL;
    comparison->comparator = comparator;
    comparison->type = left->type;
    if (test->right)
        return compare_terms(compiler, test, comparison);
    if (test->quantifier == QUANTIFIER_ANY && comparator == CMP_EQ)
        comparison->comparator = comparator = CMP_IN; // the same, and it is looked up
    else if (test->quantifier != QUANTIFIER_NONE)
        return compare_quantified(compiler, test, comparison);
    const struct comparing comparing = {
        .compiler = compiler, .test = test, .left = left, .kind = kind_of(comparator, left->type)};
    bool ok = true;
    if (comparator_takes_list(comparator) || (left->type == FIELD_IP && comparator != CMP_EXISTS))
        ok = read_list(&comparing, comparison);
    else if (comparator != CMP_EXISTS)
        ok = left->type == FIELD_STRING ? read_text(&comparing, comparison)
                                        : read_number(&comparing, comparison);
    return ok ? comparison : NULL;
}
