// Reads tests/data/conditions.txt: what each condition makes of an event.
#include "rule_fixture.h"

static const char prelude[] = "- list: shells\n  items: [sh, bash]\n"
                              "- list: nested\n  items: [shells, zsh]\n"
                              "- list: nothing\n  items: []\n"
                              "- macro: is_shell\n  condition: proc.name in (shells)\n"
                              "- macro: never\n  condition: evt.num < 0\n"
                              "- macro: opened\n  condition: evt.type in (open, openat, openat2)\n";

// The part of a line before the next bar with blanks around it.
static char *next_part(char **rest)
{
    char *part = *rest;
    char *bar = strstr(part, " | ");
    if (bar) {
        *bar = '\0';
        *rest = bar + 3;
    }
    return part;
}

static void check(char *line, unsigned number)
{
    char *rest = line;
    const char *condition = next_part(&rest);
    const char *event = next_part(&rest);
    bool expected = strcmp(rest, "true") == 0;
    cr_assert(expected || strcmp(rest, "false") == 0, "line %u: neither true nor false: \"%s\"", number,
              rest);

    _cleanup_free_ char *yaml = NULL;
    cr_assert_geq(asprintf(&yaml, "%s" RULE_WITH("|\n    %s"), prelude, condition), 0);
    _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
    if (loaded.error)
        rule_report_print(&loaded.report, stderr, false);
    cr_expect_eq(loaded.error, 0, "line %u: \"%s\" does not load", number, condition);
    if (loaded.error)
        return;
    cr_expect_eq(fixture_match(loaded.set, event) == 1, expected, "line %u: \"%s\" on \"%s\" is not %s",
                 number, condition, event, rest);
}

Test(rule_conditions, table, .init = fixture_register)
{
    _cleanup_fclose_ FILE *file = fopen("tests/data/conditions.txt", "r");
    cr_assert(file, "run the tests from the repository's root");
    char line[1024];
    unsigned number = 0, cases = 0;
    while (fgets(line, sizeof(line), file)) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        check(line, number);
        cases++;
    }
    cr_assert_geq(cases, 300);
}
