// One condition: parsed alone, and compiled and judged by.
#include "fuzz.h"

FUZZ_TARGET(condition)
{
    struct rule_report report;
    struct rule_set *set = NULL;
    fuzz_register();
    rule_condition_parse((const char *)data, size, &report);
    fuzz_print(&report);
    rule_report_free(&report);
    if (rule_set_load_condition((const char *)data, size, &report, &set) == 0)
        fuzz_judge(set);
    fuzz_print(&report);
    rule_report_free(&report);
    rule_set_free(&set);
    return 0;
}
