// A rule file: YAML, lists, macros, rules, exceptions, conditions, outputs; then judging by what it says.
#include "fuzz.h"

FUZZ_TARGET(rules)
{
    fuzz_load((const char *)data, size);
    return 0;
}
