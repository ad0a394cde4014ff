// Where in the rule files something stands, and saying that it is wrong.
#pragma once

#include "base/yaml.h"
#include "rule.h"

#include <stdarg.h>

#define CODE_FILE "LOAD_ERR_FILE_READ"
#define CODE_YAML "LOAD_ERR_YAML_PARSE"
#define CODE_ITEM "LOAD_ERR_YAML_VALIDATE"
#define CODE_CONDITION "LOAD_ERR_COMPILE_CONDITION"
#define CODE_OUTPUT "LOAD_ERR_COMPILE_OUTPUT"
#define CODE_VALIDATE "LOAD_ERR_VALIDATE"

// One scalar of a passage.
struct part {
    const struct file *file;
    const struct node *node;
    size_t start; // in the passage's text, once that is joined
    struct part *next;
};

// A text that a rule and what was appended to it later make up together: conditions and outputs.
struct passage {
    struct part *first;
    struct part *last;
    const char *text;
    size_t length;
};

// A place in a passage, or, without one, a node.
struct place {
    const struct passage *passage;
    size_t offset; // in the passage
    const struct file *file;
    const struct node *node; // NULL: the whole file
};

bool passage_add(struct passage *passage, struct arena *arena, const struct file *file,
                 const struct node *node);
// Makes `text`, the parts with a blank between them.
bool passage_join(struct passage *passage, struct arena *arena);

struct place place_in(const struct passage *passage, size_t offset);
struct place place_of(const struct file *file, const struct node *node);

__attribute__((format(printf, 5, 6))) void problem_at(struct rule_report *report, enum rule_severity severity,
                                                      const char *code, struct place place,
                                                      const char *format, ...);
// The same at an offset in a file.
__attribute__((format(printf, 6, 7))) void problem_in_file(struct rule_report *report,
                                                           enum rule_severity severity, const char *code,
                                                           const struct file *file, size_t offset,
                                                           const char *format, ...);

// yaml_read() of a rule file; what is wrong goes into the report.
struct node *rule_yaml_read(const struct file *file, struct arena *arena, struct rule_report *report);

// Orders what was found in several passes as a reader of the files meets it.
void report_sort(struct rule_report *report);
