// What rules ask of the source that sees names and permissions change.
#include "rule_fixture.h"

// For the type "rename": "any" or the paths, a star behind each that is only a beginning; then "+failed"
// where calls that failed matter.
static char *describe(const struct demand *demand)
{
    size_t type = event_type_index(event_type_find("rename"));
    struct text text = TEXT_INIT(65536);
    text_add(&text, demand->any_changed_path[type] ? "any " : "");
    for (size_t i = 0; !demand->any_changed_path[type] && i < demand->changed_paths_count; i++)
        text_addf(&text, "%s%s ", demand->changed_paths[i].text, demand->changed_paths[i].prefix ? "*" : "");
    text_add(&text, demand->failed_changes[type] ? "+failed" : "");
    while (text.length > 0 && text.data[text.length - 1] == ' ')
        text.data[--text.length] = '\0';
    return text.data ? text.data : strdup("");
}

static void expect_demand(const char *condition, const char *expected)
{
    _cleanup_free_ char *yaml = NULL;
    cr_assert_geq(asprintf(&yaml, RULE_WITH("|\n    evt.type = rename and %s"), condition), 0);
    _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    _cleanup_free_ char *found = describe(&demand);
    cr_expect_str_eq(found, expected, "\"%s\" instead of \"%s\" for: %s", found, expected, condition);
    cr_expect_eq(demand.paths_count, 0, "it asks for opens: %s", condition);
    cr_expect_not(demand.any_path);
    demand_free(&demand);
}

Test(rule_changes, paths, .init = fixture_register)
{
    static const struct {
        const char *condition;
        const char *expected;
    } cases[] = {
        {"proc.name = mv", "any +failed"},
        {"evt.arg.oldpath = /x", "/x +failed"},
        {"evt.arg.oldpath in (/x, /y)", "/x /y +failed"},
        {"evt.arg.oldpath startswith /x/", "/x/* +failed"},
        {"evt.arg.oldpath contains /x", "any +failed"},
        {"evt.arg.flags contains /x", "any +failed"},
        {"evt.arg.flags = /x", "any +failed"},
        {"not evt.arg.oldpath = /x", "any +failed"},
        {"(evt.arg.oldpath startswith /x/ or evt.arg.newpath startswith /y/)", "/x/* /y/* +failed"},
        {"(evt.arg.oldpath startswith /x/ or evt.arg.flags = 0)", "any +failed"},
        // Paths that have no element to know them by.
        {"evt.arg.oldpath = /", "any +failed"},
        {"evt.arg.oldpath in (/x, /)", "any +failed"},
        {"evt.arg.oldpath startswith /x", "any +failed"},
        {"evt.arg.oldpath = /x/", "/x/ +failed"},
        // fs.path.* are there only where the call did not fail.
        {"fs.path.source = /x", "/x"},
        {"fs.path.target startswith /x/", "/x/*"},
        {"fs.path.target contains x", "any"},
        {"(fs.path.source = /x or fs.path.target = /x)", "/x"},
        {"(fs.path.source = /x or evt.arg.newpath = /x)", "/x +failed"},
        {"not fs.path.source = /x", "any +failed"},
        {"evt.arg.oldpath = /x and evt.rawres = 0", "/x"},
        {"evt.arg.oldpath = /x and evt.failed = false", "/x"},
        {"evt.arg.oldpath = /x and evt.failed = true", "/x +failed"},
        // Another type's fields.
        {"fd.name = /x", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_demand(cases[i].condition, cases[i].expected);
}

// What one type needs does not cost another one its filter, nor the opens.
Test(rule_changes, types_are_apart, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(
        "- {rule: A, desc: d, priority: info, output: o, condition: evt.type = rename and evt.rawres = 0}\n"
        "- {rule: B, desc: d, priority: info, output: o, condition: evt.type = link and evt.arg.oldpath = "
        "/x}\n"
        "- {rule: C, desc: d, priority: info, output: o, condition: evt.type = open and fd.name = /y}\n");
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    size_t renamed = event_type_index(event_type_find("rename"));
    size_t linked = event_type_index(event_type_find("link"));
    cr_expect(demand.any_changed_path[renamed]);
    cr_expect_not(demand.failed_changes[renamed]);
    cr_expect_not(demand.any_changed_path[linked]);
    cr_expect(demand.failed_changes[linked]);
    cr_assert_eq(demand.changed_paths_count, 1);
    cr_expect_str_eq(demand.changed_paths[0].text, "/x");
    cr_expect_not(demand.any_path);
    cr_assert_eq(demand.paths_count, 1);
    cr_expect_str_eq(demand.paths[0].text, "/y");
    demand_free(&demand);
}

// More paths than a demand holds: then any path will do, so that none is missed.
Test(rule_changes, many_paths, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    text_add(&yaml, "- list: many\n  items:\n");
    for (int i = 0; i <= DEMAND_PATHS_MAX; i++)
        text_addf(&yaml, "    - /x/%d\n", i);
    text_add(&yaml, RULE_WITH("evt.arg.oldpath in (many)"));
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    cr_expect(demand.any_changed_path[event_type_index(event_type_find("rename"))]);
    demand_free(&demand);
}

Test(rule_changes, anchors)
{
    static const struct {
        const char *path;
        bool prefix;
        const char *anchor; // NULL: none
    } cases[] = {
        {"/etc/shadow", false, "shadow"},
        {"/etc/", false, "etc"},
        {"shadow", false, "shadow"},
        {"a//", false, "a"},
        {"/", false, NULL},
        {"", false, NULL},
        {"/etc/", true, "etc"},
        {"/etc/sh", true, "etc"},
        {"/etc", true, NULL},
        {"/a/b//", true, "b"},
        {"etc/x", true, "etc"},
        {"etc", true, NULL},
        {"//", true, NULL},
        {"", true, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t length = 0;
        const char *anchor =
            demand_path_anchor(cases[i].path, strlen(cases[i].path), cases[i].prefix, &length);
        if (!cases[i].anchor) {
            cr_expect_null(anchor, "%s", cases[i].path);
            continue;
        }
        cr_assert(anchor, "%s", cases[i].path);
        cr_expect_eq(length, strlen(cases[i].anchor), "%s", cases[i].path);
        cr_expect_eq(strncmp(anchor, cases[i].anchor, length), 0, "%s", cases[i].path);
    }
}
