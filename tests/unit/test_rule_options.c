// Which rules are on, conditions without fields, and the report as JSON.
#include "rule_fixture.h"

#include <errno.h>
#include <jansson.h>

static const char rules[] =
    "- {rule: Grave, desc: d, priority: critical, output: o, condition: evt.type = open, tags: [a, b]}\n"
    "- {rule: Slight, desc: d, priority: notice, output: o, condition: evt.type = open, tags: [b]}\n"
    "- {rule: Off, desc: d, priority: debug, output: o, condition: evt.type = open, enabled: false}\n";

static void names_on(struct rule_options *options, const char *expected)
{
    struct loaded with _cleanup_(loaded_free) = {.path = "/tmp/inferscope-rules-XXXXXX"};
    int fd = mkstemp(with.path);
    cr_assert_eq(write(fd, rules, sizeof(rules) - 1), (ssize_t)sizeof(rules) - 1);
    close(fd);
    struct rule_input input = {.path = with.path};
    with.error = rule_set_load_with(options, &input, 1, &with.report, &with.set);
    fixture_expect_loaded(&with);
    _cleanup_text_ struct text names = TEXT_INIT(4096);
    for (size_t i = 0; i < rule_set_count(with.set); i++)
        text_addf(&names, "%s", rule_set_at(with.set, i)->enabled ? rule_set_at(with.set, i)->name : "-");
    cr_expect_str_eq(text_string(&names), expected);
    struct demand demand = {0};
    rule_set_demand(with.set, &demand);
    cr_expect_eq(demand.wanted[event_type_index(event_type_find("open"))], strcmp(expected, "---") != 0);
    demand_free(&demand);
}

Test(rule_options, which_are_on, .init = fixture_register)
{
    static const struct {
        enum priority priority;
        struct rule_switch switches[3];
        size_t count;
        const char *on;
    } cases[] = {
        {PRIORITY_DEBUG, {{0}}, 0, "GraveSlight-"},
        {PRIORITY_NOTICE, {{0}}, 0, "GraveSlight-"},
        {PRIORITY_WARNING, {{0}}, 0, "Grave--"},
        {PRIORITY_ALERT, {{0}}, 0, "---"},
        {PRIORITY_DEBUG, {{.what = "Off", .enable = true}}, 1, "GraveSlightOff"},
        {PRIORITY_NOTICE, {{.what = "Off", .enable = true}}, 1, "GraveSlight-"},
        {PRIORITY_DEBUG, {{.what = "li"}}, 1, "Grave--"},
        {PRIORITY_DEBUG, {{.what = "tag:b"}}, 1, "---"},
        {PRIORITY_DEBUG, {{.what = ""}, {.what = "tag:a", .enable = true}}, 2, "Grave--"},
        {PRIORITY_DEBUG, {{.what = "tag:a", .enable = true}, {.what = ""}}, 2, "---"},
        {PRIORITY_DEBUG, {{.what = "tag:c"}}, 1, "GraveSlight-"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rule_switch switches[3];
        memcpy(switches, cases[i].switches, sizeof(switches));
        struct rule_options options = {
            .priority = cases[i].priority, .switches = switches, .switches_count = cases[i].count};
        names_on(&options, cases[i].on);
        for (size_t k = 0; k < cases[i].count; k++)
            cr_expect_eq(switches[k].matched, strcmp(switches[k].what, "tag:c") != 0);
    }
}

static void expect_condition(const char *condition, unsigned column, const char *says)
{
    struct rule_report report _cleanup_(rule_report_free) = {0};
    int error = rule_condition_parse(condition, strlen(condition), &report);
    cr_expect_eq(error, says ? -EINVAL : 0, "%s", condition);
    if (!says)
        return;
    cr_assert_eq(report.problems_count, 1);
    cr_expect_eq(report.problems[0].column, column, "%u for: %s", report.problems[0].column, condition);
    cr_expect(strstr(report.problems[0].message, says), "%s", report.problems[0].message);
}

// Nothing is known of fields, macros and lists, and so nothing is asked of them.
Test(rule_options, conditions_alone)
{
    expect_condition("any.field = x and a_macro", 0, NULL);
    expect_condition("tolower(any.field[1]) startswith anyof (a, \"b c\", a_list)", 0, NULL);
    expect_condition("any.field in (val, b) and not x.y = val(z.w)", 0, NULL);
    expect_condition("é.a = x", 1, "expected a field");
    expect_condition("a.b = \"é\" && c", 11, "write \"and\"");
    expect_condition("! a.b exists", 1, "write \"not\"");
    expect_condition("  (a.b exists", 3, "never closed");
    expect_condition("", 1, "empty");
}

Test(rule_options, syntax_only, .init = fixture_register)
{
    struct rule_options options = RULE_OPTIONS_INIT;
    options.syntax_only = true;
    static const char *const files[] = {RULE_WITH("any.field = x and some_macro"), RULE_WITH("any.field x")};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        struct loaded loaded _cleanup_(loaded_free) = {.path = "/tmp/inferscope-rules-XXXXXX"};
        int fd = mkstemp(loaded.path);
        dprintf(fd, "%s", files[i]);
        close(fd);
        struct rule_input input = {.path = loaded.path};
        loaded.error = rule_set_load_with(&options, &input, 1, &loaded.report, &loaded.set);
        cr_expect_eq(loaded.error, i == 0 ? 0 : -EINVAL);
        cr_expect_eq(loaded.report.problems_count, i);
    }
}

static const char *string_at(json_t *object, const char *key)
{
    const char *string = json_string_value(json_object_get(object, key));
    return string ? string : "(none)";
}

static void expect_location(json_t *location, const char *type, const char *name, const char *file, int line,
                            int column, int offset)
{
    json_t *position = json_object_get(location, "position");
    cr_expect_str_eq(string_at(location, "item_type"), type);
    cr_expect_str_eq(string_at(location, "item_name"), name);
    cr_expect_str_eq(string_at(position, "name"), file);
    cr_expect_eq(json_integer_value(json_object_get(position, "line")), line);
    cr_expect_eq(json_integer_value(json_object_get(position, "column")), column);
    cr_expect_eq(json_integer_value(json_object_get(position, "offset")), offset);
}

Test(rule_options, json, .init = fixture_register)
{
    struct loaded loaded _cleanup_(loaded_free) = {.path = "/tmp/inferscope-rules-XXXXXX"};
    int fd = mkstemp(loaded.path);
    dprintf(fd,
            "# é\n- rule: \"R\\\"\"\n  desc: d\n  priority: info\n  output: o\n  condition: proc.nam = x\n");
    close(fd);
    struct rule_input inputs[] = {
        {.path = loaded.path}, {.path = "tests/data/user-rules.yaml"}, {.path = "/nowhere"}};
    loaded.error = rule_set_load(inputs, 3, &loaded.report, &loaded.set);
    cr_expect_eq(loaded.error, -EINVAL);
    char *output;
    size_t size;
    FILE *stream = open_memstream(&output, &size);
    rule_report_print_json(&loaded.report, stream);
    fclose(stream);
    json_t *root = json_loads(output, 0, NULL), *results = json_object_get(root, "falco_load_results");
    cr_assert_eq(json_array_size(results), 3, "%s", output);
    free(output);

    json_t *broken = json_array_get(results, 0),
           *error = json_array_get(json_object_get(broken, "errors"), 0);
    cr_expect_str_eq(string_at(broken, "name"), loaded.path);
    cr_expect(json_is_false(json_object_get(broken, "successful")));
    cr_expect_eq(json_array_size(json_object_get(broken, "warnings")), 0);
    cr_expect_str_eq(string_at(error, "code"), "LOAD_ERR_COMPILE_CONDITION");
    cr_expect_str_eq(string_at(error, "codedesc"), "Error compiling condition");
    cr_expect(strstr(string_at(error, "message"), "unknown field"));
    json_t *context = json_object_get(error, "context"), *locations = json_object_get(context, "locations");
    cr_assert_eq(json_array_size(locations), 3);
    expect_location(json_array_get(locations, 0), "rules content", "", loaded.path, 0, 0, 0);
    expect_location(json_array_get(locations, 1), "rule", "R\"", loaded.path, 1, 2, 7);
    expect_location(json_array_get(locations, 2), "condition expression", "", loaded.path, 5, 13, 71);
    cr_expect_str_eq(string_at(context, "snippet"), "  condition: proc.nam = x\n             ^\n");

    json_t *good = json_array_get(results, 1);
    cr_expect(json_is_true(json_object_get(good, "successful")));
    cr_expect_eq(json_array_size(json_object_get(good, "errors")), 0);
    json_t *missing = json_array_get(results, 2);
    cr_expect_str_eq(string_at(missing, "name"), "/nowhere");
    error = json_array_get(json_object_get(missing, "errors"), 0);
    cr_expect_str_eq(string_at(error, "code"), "LOAD_ERR_FILE_READ");
    json_decref(root);
}
