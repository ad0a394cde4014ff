// What rules ask of the sources: types of event, and of those that open files the paths.
#include "rule_fixture.h"

// "any" or the paths, a star behind each that is only a beginning; then "+failed" where failed opens matter.
static char *describe(const struct demand *demand)
{
    struct text text = TEXT_INIT(65536);
    text_add(&text, demand->any_path ? "any " : "");
    for (size_t i = 0; !demand->any_path && i < demand->paths_count; i++)
        text_addf(&text, "%s%s ", demand->paths[i].text, demand->paths[i].prefix ? "*" : "");
    text_add(&text, demand->failed_opens ? "+failed" : "");
    while (text.length > 0 && text.data[text.length - 1] == ' ')
        text.data[--text.length] = '\0';
    return text.data ? text.data : strdup("");
}

static void expect_demand(const char *condition, const char *expected)
{
    _cleanup_free_ char *yaml = NULL;
    cr_assert_geq(
        asprintf(&yaml, "- list: files\n  items: [/etc/a, /etc/b]\n" RULE_WITH("|\n    %s"), condition), 0);
    _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    _cleanup_free_ char *found = describe(&demand);
    cr_expect_str_eq(found, expected, "\"%s\" instead of \"%s\" for: %s", found, expected, condition);
    demand_free(&demand);
}

Test(rule_demand, paths, .init = fixture_register)
{
    static const struct {
        const char *condition;
        const char *expected;
    } cases[] = {
        {"evt.type = execve", ""},
        {"evt.type = open", "any +failed"},
        {"evt.type = open and fd.name = /x", "/x +failed"},
        {"fd.name = /x", "/x +failed"},
        {"fd.name != /x", "any +failed"},
        {"not fd.name = /x", "any +failed"},
        {"fd.name in (/x, /y)", "/x /y +failed"},
        {"fd.name in (files)", "/etc/a /etc/b +failed"},
        {"fd.name startswith /x", "/x* +failed"},
        {"fd.name startswith /", "any +failed"},
        {"fd.name startswith \"\"", "any +failed"},
        {"fd.name contains /x", "any +failed"},
        {"fd.name endswith /x", "any +failed"},
        {"fd.name glob /x", "/x +failed"},
        {"fd.name glob /x/*", "/x/* +failed"},
        {"fd.name glob /x/?b", "/x/* +failed"},
        {"fd.name glob \"/x/[ab]\"", "/x/* +failed"},
        {"fd.name glob \"/x\\*\"", "/x* +failed"},
        {"fd.name glob /*", "any +failed"},
        {"fd.name glob *x", "any +failed"},
        {"fd.name pmatch (/x, /y/z/)", "/x* /y/z* +failed"},
        {"fd.name pmatch (/home/*/x)", "/home* +failed"},
        {"fd.name pmatch (/*/x)", "any +failed"},
        {"fd.name pmatch (/)", "any +failed"},
        {"fd.name in ()", ""},
        {"fd.filename = x", "any +failed"},
        // Of an `and` the part with the fewest paths, of an `or` all.
        {"fd.name startswith /x and fd.name endswith y", "/x* +failed"},
        {"fd.name in (/a, /b) and fd.name startswith /", "/a /b +failed"},
        {"fd.name in (/a, /b) and fd.name startswith /a", "/a* +failed"},
        {"fd.name = /x or fd.name = /y", "/x /y +failed"},
        {"fd.name = /x or proc.name = y", "any +failed"},
        {"proc.name = y and (fd.name = /x or fd.name startswith /y)", "/x /y* +failed"},
        {"(fd.name = /x and proc.name = a) or (fd.name = /x and proc.name = b)", "/x +failed"},
        {"not (fd.name = /x or fd.name = /y)", "any +failed"},
        {"not not fd.name = /x", "/x +failed"},
        // What folds away does not count.
        {"fd.name = /x or evt.type = execve", "/x +failed"},
        {"fd.name = /x and evt.type = connect", ""},
        {"fd.name = /x or fd.sip exists", "/x +failed"},
        {"fd.name startswith anyof (/x, /y)", "/x* /y* +failed"},
        {"fd.name startswith oneof (/x, /y)", "/x* /y* +failed"},
        {"fd.name startswith allof (/x, /y)", "any +failed"},
        {"fd.name = anyof (/x, files)", "/etc/a /etc/b /x +failed"},
        {"fd.name glob anyof (/x/*, /y)", "/x/* /y +failed"},
        {"fd.name endswith anyof (/x, /y)", "any +failed"},
        {"fd.name != allof (/x, /y)", "any +failed"},
        {"fd.name = val(proc.exepath)", "any +failed"},
        {"tolower(fd.name) = /x", "any +failed"},
        {"fd.name = /x and tolower(fd.name) = /x", "/x +failed"},
        {"fd.name = /x and fd.num >= val(proc.pid)", "/x +failed"},
        // Conditions that an open that failed cannot meet.
        {"fd.name = /x and fd.num >= 0", "/x"},
        {"fd.name = /x and fd.num > -1", "/x"},
        {"fd.name = /x and fd.num > -2", "/x +failed"},
        {"fd.name = /x and fd.num = 3", "/x"},
        {"fd.name = /x and evt.rawres >= 0", "/x"},
        {"fd.name = /x and evt.rawres < 0", "/x +failed"},
        {"fd.name = /x and evt.failed = false", "/x"},
        {"fd.name = /x and evt.failed != true", "/x"},
        {"fd.name = /x and evt.failed = true", "/x +failed"},
        {"fd.name = /x and evt.is_open_read = true", "/x"},
        {"fd.name = /x and evt.is_open_write = true", "/x"},
        {"fd.name = /x and evt.is_open_write = false", "/x +failed"},
        {"fd.name = /x and (evt.is_open_write = true or evt.is_open_read = true)", "/x"},
        {"fd.name = /x and (evt.is_open_write = true or proc.name = a)", "/x +failed"},
        {"fd.name = /x and not evt.is_open_write = true", "/x +failed"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_demand(cases[i].condition, cases[i].expected);
}

static bool wants(const struct demand *demand, const char *type)
{
    return demand->wanted[event_type_index(event_type_find(type))];
}

Test(rule_demand, types, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(
        "- {rule: A, desc: d, priority: info, output: o, condition: proc.name = sh}\n"
        "- {rule: B, desc: d, priority: info, output: o, condition: fd.sip = 10.0.0.1}\n"
        "- {rule: C, desc: d, priority: info, output: o, condition: evt.type = open, enabled: false}\n"
        "- {rule: D, desc: d, priority: info, output: o, condition: evt.type = creat and fd.name = /x}\n");
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    cr_expect(wants(&demand, "execve"));
    cr_expect(wants(&demand, "connect"));
    cr_expect(wants(&demand, "creat"));
    cr_expect_not(wants(&demand, "clone"));
    cr_expect_not(wants(&demand, "procexit"));
    cr_expect_not(wants(&demand, "open")); // only a rule that is switched off asks for it
    cr_expect_not(demand.any_path);
    demand_free(&demand);
}

// More paths than a demand holds: then any path will do, so that none is missed.
Test(rule_demand, many_paths, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    text_add(&yaml, "- list: many\n  items:\n");
    for (int i = 0; i <= DEMAND_PATHS_MAX; i++)
        text_addf(&yaml, "    - /x/%d\n", i);
    text_add(&yaml, RULE_WITH("fd.name in (many)"));
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    cr_expect(demand.any_path);
    demand_free(&demand);
}

// What costs extra to learn is learnt only where a condition or an output reads it.
Test(rule_demand, fields_that_are_read, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(
        "- {rule: A, desc: d, priority: info, output: \"%user.name\", condition: 'proc.env[HOME] = /'}\n"
        "- {rule: B, desc: d, priority: info, output: o, enabled: false, condition: proc.tty > 0}\n");
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    cr_expect(demand_reads(&demand, field_find_any("proc.env", 8)));
    cr_expect(demand_reads(&demand, field_find_any("user.name", 9)));
    cr_expect_not(demand_reads(&demand, field_find_any("proc.tty", 8)));

    static const struct field whole = {.name = "evt.args"}, one = {.name = "evt.arg.name"},
                              other = {.name = "evt.rawres"};
    cr_expect_not(demand_reads(&demand, &one));
    demand_add_read(&demand, &whole);
    cr_expect(demand_reads(&demand, &one));
    cr_expect_not(demand_reads(&demand, &other));
    demand_free(&demand);
}
