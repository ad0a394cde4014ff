// A condition as it was written, before it is bound to fields.
#pragma once

#include "comparison.h"
#include "problem.h"

struct macro;

struct word {
    const char *text;
    size_t length;
    size_t offset; // in the passage
};

// A value to compare with.
struct literal {
    const char *text; // without quotes and escapes
    size_t length;
    bool quoted; // then it never names a list
    struct place place;
};

enum expr_kind { EXPR_AND, EXPR_OR, EXPR_NOT, EXPR_MACRO, EXPR_TEST };

struct expr {
    enum expr_kind kind;
    struct expr *first;  // EXPR_AND, EXPR_OR, EXPR_NOT
    struct expr *next;   // what stands beside this one in the one above
    struct word name;    // of the macro or the field
    struct macro *macro; // EXPR_MACRO, once resolved

    // EXPR_TEST
    bool has_arg;
    struct word arg;
    enum comparator comparator;
    struct word comparator_name;
    struct literal *literals;
    size_t literals_count;
    // Once resolved:
    const struct field *field;
    struct field_arg field_arg;
    const struct comparison *comparison;
};

enum { CONDITION_DEPTH_MAX = 200 }; // brackets and `not` within each other

// NULL: what is wrong is in the report, or memory is short.
struct expr *condition_parse(const struct passage *passage, struct arena *arena, struct rule_report *report);
