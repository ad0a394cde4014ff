// From what stands in a condition to a comparison that can be judged.
#include "compiler.h"
#include "operand.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

struct comparing {
    struct compiler *compiler;
    const struct expr *test;
    const struct field *field;
    const struct passage *passage;
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
                   "\"%.80s\" cannot be compared with %s: write %s", literal->text, comparing->field->name,
                   needed(comparing->field->type));
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
    if (strcmp(comparing->field->name, "evt.type") == 0 && !event_name_known(literal->text))
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

const struct comparison *compiler_compare(struct compiler *compiler, const struct expr *test,
                                          const struct passage *passage)
{
    const struct field *field = test->field;
    enum comparator comparator = test->comparator;
    if (!comparator_fits(comparator, field->type)) {
        problem_at(compiler->report, RULE_ERROR, CODE_CONDITION,
                   place_in(passage, test->comparator_name.offset),
                   "%s is of type %s, which \"%.*s\" does not compare: use %s", field->name,
                   field_type_name(field->type), (int)test->comparator_name.length,
                   test->comparator_name.text, comparators_for(field->type));
        return NULL;
    }
    struct comparison *comparison = arena_alloc(&compiler->set->arena, sizeof(*comparison));
    if (!comparison)
        return NULL;
    comparison->comparator = comparator;
    comparison->type = field->type;
    const struct comparing comparing = {.compiler = compiler,
                                        .test = test,
                                        .field = field,
                                        .passage = passage,
                                        .kind = kind_of(comparator, field->type)};
    bool ok = true;
    if (comparator == CMP_IN || comparator == CMP_INTERSECTS || comparator == CMP_PMATCH ||
        (field->type == FIELD_IP && comparator != CMP_EXISTS))
        ok = read_list(&comparing, comparison);
    else if (comparator != CMP_EXISTS)
        ok = field->type == FIELD_STRING ? read_text(&comparing, comparison)
                                         : read_number(&comparing, comparison);
    return ok ? comparison : NULL;
}
