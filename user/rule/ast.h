// A condition as it was written, before it is bound to fields.
#pragma once

#include "comparison.h"
#include "term.h"

struct macro;

// A value to compare with.
struct literal {
    const char *text; // without quotes and escapes
    size_t length;
    bool quoted; // then it never names a list
    struct place place;
};

enum expr_kind { EXPR_AND, EXPR_OR, EXPR_NOT, EXPR_MACRO, EXPR_TEST };

// What stands between a comparator and its list: how many of the list must compare.
enum quantifier { QUANTIFIER_NONE, QUANTIFIER_ONE, QUANTIFIER_ANY, QUANTIFIER_ALL };

struct expr {
    enum expr_kind kind;
    const struct passage *passage; // where it was written
    struct expr *first;            // EXPR_AND, EXPR_OR, EXPR_NOT
    struct expr *next;             // what stands beside this one in the one above
    struct word name;              // of the macro
    struct macro *macro;           // EXPR_MACRO, once resolved

    // EXPR_TEST
    struct term *left;
    enum comparator comparator;
    struct word comparator_name;
    enum quantifier quantifier;
    struct literal *literals;
    size_t literals_count;
    struct term *right;                  // instead of literals; or NULL
    const struct comparison *comparison; // once resolved
};

enum { CONDITION_DEPTH_MAX = 200 }; // brackets and `not` within each other

// FIELD or transformer(…), then the comparator, with a quantifier or not. What is compared with is not yet
// there. NULL: what is wrong is in the report, or memory is short.
struct term *left_parse(const struct passage *passage, struct arena *arena, struct rule_report *report);
bool comparator_parse(const char *text, size_t length, enum comparator *ret_comparator,
                      enum quantifier *ret_quantifier);
bool comparator_takes_list(enum comparator comparator);
// (a, b) alone.
bool list_parse(const struct passage *passage, struct arena *arena, struct rule_report *report,
                struct expr *test);
// NULL: what is wrong is in the report, or memory is short.
struct expr *condition_parse(const struct passage *passage, struct arena *arena, struct rule_report *report);
