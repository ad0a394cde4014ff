#include "rule_choice.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_switch(const char *what, bool enable, struct rule_options *options)
{
    struct rule_switch *more =
        reallocarray(options->switches, options->switches_count + 1, sizeof(*options->switches));
    if (!more)
        return -ENOMEM;
    options->switches = more;
    more[options->switches_count++] = (struct rule_switch){.what = what, .enable = enable};
    return 0;
}

int rule_choice_option(int option, const char *value, struct rule_options *options)
{
    switch (option) {
    case OPT_PRIORITY:
        if (priority_parse(value, &options->priority) == 0)
            return 0;
        log_error("--priority is Emergency, Alert, Critical, Error, Warning, Notice, Informational or Debug, "
                  "not \"%s\"",
                  value);
        return -EINVAL;
    case OPT_ENABLE:
    case OPT_DISABLE:
        return add_switch(value, option == OPT_ENABLE, options);
    default:
        return -ENOENT;
    }
}

void rule_choice_check(const struct rule_options *options)
{
    for (size_t i = 0; i < options->switches_count; i++)
        if (!options->switches[i].matched)
            log_warning("%s %s: there is no such rule", options->switches[i].enable ? "enable" : "disable",
                        options->switches[i].what);
}

int rule_choice_matching(const char *text, enum rule_matching *ret_matching)
{
    if (strcmp(text, "first") != 0 && strcmp(text, "all") != 0) {
        log_error("--rule-matching is first or all, not \"%s\"", text);
        return -EINVAL;
    }
    *ret_matching = text[0] == 'a' ? RULE_MATCHING_ALL : RULE_MATCHING_FIRST;
    return 0;
}

void rule_choice_free(struct rule_options *options)
{
    free(options->switches);
    options->switches = NULL;
    options->switches_count = 0;
}
