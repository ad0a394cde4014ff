// Tests of rules, on events that are written down as fields and values.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct rule_test_result {
    size_t passed;
    size_t failed;
};

// Runs the tests of a file and says what failed. 0, also where tests failed; -EINVAL where the file or its
// rules cannot be read, which was said; -ENOMEM.
int rule_test_run(const char *path, FILE *stream, struct rule_test_result *ret_result);

// Judges each line of `events`, a JSON map of field to value with evt.type among them, by one condition;
// writes "true", "false" or what is wrong with the line. 0; -EINVAL where the condition, which was said, or a
// line is wrong; -ENOMEM.
int rule_test_condition(const char *condition, FILE *events, FILE *stream);
