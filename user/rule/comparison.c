#include "comparison.h"

#include <fnmatch.h>
#include <string.h>

static bool in_sets(const struct comparison *comparison, const struct value *value)
{
    for (size_t i = 0; i < comparison->sets_count; i++)
        if (set_holds(comparison->sets[i], value))
            return true;
    return false;
}

// Most patterns are a path and a star, so the path is compared first.
static bool glob_holds(const struct comparison *comparison, const char *text, size_t length)
{
    size_t literal = comparison->literal_length;
    if (length < literal || memcmp(text, comparison->text, literal) != 0)
        return false;
    return fnmatch(comparison->text + literal, text + literal, 0) == 0;
}

static bool string_holds(const struct comparison *comparison, const char *text, size_t length)
{
    const char *wanted = comparison->text;
    size_t size = comparison->length;
    switch (comparison->comparator) {
    case CMP_EQ:
        return length == size && memcmp(text, wanted, size) == 0;
    case CMP_NE:
        return length != size || memcmp(text, wanted, size) != 0;
    case CMP_CONTAINS:
    case CMP_BCONTAINS:
        return memmem(text, length, wanted, size);
    case CMP_ICONTAINS:
        return strcasestr(text, wanted);
    case CMP_STARTSWITH:
    case CMP_BSTARTSWITH:
        return length >= size && memcmp(text, wanted, size) == 0;
    case CMP_ENDSWITH:
        return length >= size && memcmp(text + length - size, wanted, size) == 0;
    case CMP_GLOB:
        return glob_holds(comparison, text, length);
    case CMP_IGLOB:
        return fnmatch(wanted, text, FNM_CASEFOLD) == 0;
    case CMP_REGEX:
        return regex_holds(comparison->regex, text, length);
    default:
        return false;
    }
}

#define NUMBER_HOLDS(comparator, left, right)     \
    ((comparator) == CMP_EQ   ? (left) == (right) \
     : (comparator) == CMP_NE ? (left) != (right) \
     : (comparator) == CMP_LT ? (left) < (right)  \
     : (comparator) == CMP_LE ? (left) <= (right) \
     : (comparator) == CMP_GT ? (left) > (right)  \
                              : (left) >= (right))

static bool parts_hold(const struct comparison *comparison, const struct value *value)
{
    size_t held = 0;
    for (size_t i = 0; i < comparison->parts_count; i++) {
        bool holds = comparison_holds(comparison->parts[i], value);
        if (holds && comparison->comparator == CMP_ANYOF)
            return true;
        if (!holds && comparison->comparator == CMP_ALLOF)
            return false;
        held += holds;
    }
    return comparison->comparator == CMP_ONEOF   ? held == 1
           : comparison->comparator == CMP_ALLOF ? held > 0
                                                 : false;
}

bool comparison_holds(const struct comparison *comparison, const struct value *value)
{
    enum comparator comparator = comparison->comparator;
    if (comparator == CMP_EXISTS)
        return true;
    if (comparator == CMP_IN || comparator == CMP_INTERSECTS || comparator == CMP_PMATCH)
        return in_sets(comparison, value);
    if (comparator >= CMP_ONEOF)
        return parts_hold(comparison, value);
    switch (comparison->type) {
    case FIELD_STRING:
        return string_holds(comparison, value->string.data, value->string.length);
    case FIELD_INT:
        return NUMBER_HOLDS(comparator, value->i, comparison->i);
    case FIELD_UINT:
    case FIELD_DURATION:
    case FIELD_TIME:
        return NUMBER_HOLDS(comparator, value->u, comparison->u);
    case FIELD_BOOL:
        return (value->b == comparison->b) == (comparator == CMP_EQ);
    case FIELD_IP:
        return in_sets(comparison, value) == (comparator == CMP_EQ);
    default:
        return false;
    }
}

static __int128 number_of(const struct value *value)
{
    return value->type == FIELD_INT ? (__int128)value->i : (__int128)value->u;
}

bool comparison_pair_holds(const struct comparison *comparison, const struct value *left,
                           const struct value *right)
{
    enum comparator comparator = comparison->comparator;
    if (comparator == CMP_IN || comparator == CMP_INTERSECTS)
        comparator = CMP_EQ;
    if (comparison->type == FIELD_BOOL)
        return (left->b == right->b) == (comparator == CMP_EQ);
    if (comparison->type != FIELD_STRING)
        return NUMBER_HOLDS(comparator, number_of(left), number_of(right));
    const struct comparison with = {.comparator = comparator,
                                    .type = FIELD_STRING,
                                    .text = right->string.data,
                                    .length = right->string.length,
                                    .literal_length =
                                        glob_literal_length(right->string.data, right->string.length)};
    return comparison_holds(&with, left);
}
