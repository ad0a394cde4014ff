#include "rule.h"

extern const char default_rules[];
extern const size_t default_rules_size;

const char *rule_builtin(size_t *ret_length)
{
    *ret_length = default_rules_size;
    return default_rules;
}
