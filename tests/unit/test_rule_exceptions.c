// Exceptions of rules, what rule files say that they need, and rules that may be left out.
#include "rule_fixture.h"

#include <errno.h>

#define RULE "- rule: R\n  desc: d\n  priority: info\n  output: o\n  condition: evt.type = openat\n"
#define PAIRS                                                                                              \
    "  exceptions:\n    - name: pairs\n      fields: [proc.name, fd.name]\n      comps: [=, startswith]\n" \
    "      values:\n        - [cat, /etc/]\n        - [ls, /tmp/]\n"

static void expect_match(const char *yaml, const char *event, bool expected)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
    fixture_expect_loaded(&loaded);
    cr_expect_eq(fixture_match(loaded.set, event), expected ? 1 : 0, "\"%s\" on:\n%s", event, yaml);
}

Test(rule_exceptions, what_they_leave_out, .init = fixture_register)
{
    static const char *const list = "- list: readers\n  items: [cat, head]\n";
    static const struct {
        const char *exceptions;
        const char *event;
        bool matches;
    } cases[] = {
        {"", "openat; proc.name=cat", true},
        {"  exceptions: []\n", "openat; proc.name=cat", true},
        {"  exceptions:\n    - name: open\n      fields: [proc.name]\n", "openat; proc.name=cat", true},
        {PAIRS, "openat; proc.name=cat; fd.name=/etc/x", false},
        {PAIRS, "openat; proc.name=ls; fd.name=/tmp/x", false},
        {PAIRS, "openat; proc.name=cat; fd.name=/tmp/x", true},
        {PAIRS, "openat; proc.name=cat", true},
        {PAIRS, "openat", true},
        // The usual comparisons: `=` for a list of fields, `in` for a single one.
        {"  exceptions:\n    - name: e\n      fields: [proc.name]\n      values:\n        - [cat]\n",
         "openat; proc.name=cat", false},
        {"  exceptions:\n    - name: e\n      fields: proc.name\n      values: [cat, ls]\n",
         "openat; proc.name=ls", false},
        {"  exceptions:\n    - name: e\n      fields: proc.name\n      values: [cat, ls]\n",
         "openat; proc.name=sh", true},
        {"  exceptions:\n    - name: e\n      fields: fd.name\n      comps: pmatch\n      values: [/etc]\n",
         "openat; fd.name=/etc/x", false},
        {"  exceptions:\n    - name: e\n      fields: proc.name\n      comps: startswith anyof\n"
         "      values: [kube-, etcd-]\n",
         "openat; proc.name=etcd-1", false},
        {"  exceptions:\n    - name: e\n      fields: proc.name\n      values: [readers, ls]\n",
         "openat; proc.name=head", false},
        {"  exceptions:\n    - name: e\n      fields: [proc.name, fd.name]\n      comps: [in, =]\n"
         "      values:\n        - [[cat, ls], /x]\n",
         "openat; proc.name=ls; fd.name=/x", false},
        {"  exceptions:\n    - name: e\n      fields: [proc.name, fd.name]\n      comps: [in, =]\n"
         "      values:\n        - [readers, /x]\n",
         "openat; proc.name=head; fd.name=/x", false},
        {"  exceptions:\n    - name: e\n      fields: [proc.name, fd.name]\n      comps: [in, =]\n"
         "      values:\n        - [\"(cat, ls)\", /x]\n",
         "openat; proc.name=ls; fd.name=/x", false},
        {"  exceptions:\n    - name: e\n      fields: [proc.cmdline]\n      values:\n        - [cat a b]\n",
         "openat; proc.cmdline=cat a b", false},
        {"  exceptions:\n    - name: e\n      fields: ['proc.aname[2]']\n      values:\n        - [init]\n",
         "openat; proc.aname=a,b,init", false},
        {"  exceptions:\n    - name: e\n      fields: [proc.name]\n      values: [[cat]]\n"
         "    - name: f\n      fields: [proc.name]\n      values: [[ls]]\n",
         "openat; proc.name=ls", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *yaml = NULL;
        cr_assert_geq(asprintf(&yaml, "%s" RULE "%s", list, cases[i].exceptions), 0);
        expect_match(yaml, cases[i].event, cases[i].matches);
    }
    // They belong to the whole condition, not to its last part.
    expect_match("- rule: R\n  desc: d\n  priority: info\n  output: o\n"
                 "  condition: evt.type = openat or evt.type = open\n" PAIRS,
                 "openat; proc.name=cat; fd.name=/etc/x", false);
}

Test(rule_exceptions, changed_later, .init = fixture_register)
{
    static const char cat[] = "openat; proc.name=cat; fd.name=/etc/x";
    static const char vi[] = "openat; proc.name=vi; fd.name=/home";
#define MORE(how) \
    RULE PAIRS "- rule: R\n" how "  exceptions:\n    - name: pairs\n      values: [[vi, /home]]\n"
#define OTHER(how)               \
    RULE PAIRS "- rule: R\n" how \
               "  exceptions:\n    - name: other\n      fields: proc.name\n      values: [vi]\n"
    expect_match(RULE PAIRS, vi, true);
    expect_match(MORE("  append: true\n"), vi, false);
    expect_match(MORE("  override: {exceptions: append}\n"), vi, false);
    expect_match(MORE("  override: {exceptions: append}\n"), cat, false);
    expect_match(OTHER("  append: true\n"), vi, false);
    expect_match(OTHER("  override: {exceptions: append}\n"), cat, false);
    expect_match(OTHER("  override: {exceptions: replace}\n"), vi, false);
    expect_match(OTHER("  override: {exceptions: replace}\n"), cat, true);
    expect_match(RULE PAIRS "- rule: R\n  condition: and proc.pid = 1\n  override: {condition: append}\n",
                 cat, false);
}

struct mistake {
    const char *yaml;
    const char *code;
    unsigned line, column;
    const char *says;
};

static void expect_mistake(const struct mistake *mistake, int error)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(mistake->yaml);
    cr_expect_eq(loaded.error, error, "%s", mistake->yaml);
    cr_assert_geq(loaded.report.problems_count, 1, "no problem in:\n%s", mistake->yaml);
    const struct rule_problem *problem = &loaded.report.problems[0];
    cr_expect_str_eq(problem->code, mistake->code, "%s in:\n%s", problem->message, mistake->yaml);
    cr_expect(problem->line == mistake->line && problem->column == mistake->column,
              "%u:%u for \"%s\" in:\n%s", problem->line, problem->column, problem->message, mistake->yaml);
    cr_expect(strstr(problem->message, mistake->says), "\"%s\" lacks \"%s\"", problem->message,
              mistake->says);
}

Test(rule_exceptions, mistakes, .init = fixture_register)
{
#define EXCEPTION(rest) RULE "  exceptions:\n    - name: e\n" rest
    static const struct mistake mistakes[] = {
        {RULE "  exceptions: x\n", "LOAD_ERR_YAML_VALIDATE", 6, 15, "must be a list"},
        {RULE "  exceptions:\n    - fields: a\n", "LOAD_ERR_YAML_VALIDATE", 7, 7, "needs a \"name\""},
        {EXCEPTION(""), "LOAD_ERR_VALIDATE", 7, 13, "needs \"fields\""},
        {EXCEPTION("      fields: [proc.name]\n      comps: =\n"), "LOAD_ERR_VALIDATE", 9, 14, "as long as"},
        {EXCEPTION("      fields: [proc.name]\n      comps: [=, =]\n"), "LOAD_ERR_VALIDATE", 9, 14,
         "as long as"},
        {EXCEPTION("      fields: [proc.name]\n      comps: [is]\n"), "LOAD_ERR_VALIDATE", 9, 15,
         "no comparison"},
        {EXCEPTION("      fields: proc.name\n      comps: startswith\n"), "LOAD_ERR_VALIDATE", 9, 14,
         "in, pmatch or intersects"},
        {EXCEPTION("      fields: proc.name\n      comps: [in]\n"), "LOAD_ERR_VALIDATE", 9, 14, "single"},
        {EXCEPTION("      fields: [proc.name]\n      values: [[a, b]]\n"), "LOAD_ERR_VALIDATE", 9, 16,
         "as long as"},
        {EXCEPTION("      fields: [proc.name]\n      values: [a]\n"), "LOAD_ERR_VALIDATE", 9, 16,
         "as long as"},
        {EXCEPTION("      fields: proc.name\n      values: [[a]]\n"), "LOAD_ERR_VALIDATE", 9, 16, "texts"},
        {EXCEPTION("      fields: [proc.name]\n      values: [[[a, b]]]\n"), "LOAD_ERR_VALIDATE", 9, 17,
         "takes one value"},
        {EXCEPTION("      fields: [proc.nam]\n      values: [[a]]\n"), "LOAD_ERR_COMPILE_CONDITION", 8, 16,
         "unknown field"},
        {EXCEPTION("      fields: [proc.pid]\n      values: [[a]]\n"), "LOAD_ERR_COMPILE_CONDITION", 9, 17,
         "whole number"},
        {RULE PAIRS "- rule: R\n  append: true\n  exceptions:\n    - name: pairs\n      fields: [a]\n",
         "LOAD_ERR_VALIDATE", 17, 15, "only values"},
        {RULE "- rule: R\n  append: true\n  exceptions:\n    - name: n\n      fields: proc.name\n",
         "LOAD_ERR_VALIDATE", 9, 13, "needs \"values\""},
        {"- required_engine_version: 99.0.0\n", "LOAD_ERR_VALIDATE", 1, 28, "need engine version 99.0.0"},
        {"- required_engine_version: 999\n", "LOAD_ERR_VALIDATE", 1, 28, "need engine version 0.999.0"},
        {"- required_engine_version: new\n", "LOAD_ERR_YAML_VALIDATE", 1, 28, "three numbers"},
        {"- required_plugin_versions:\n    - name: k8saudit\n      version: 0.7.0\n", "LOAD_ERR_VALIDATE", 2,
         13, "the plugin \"k8saudit\""},
        {"- required_plugin_versions:\n    - name: json\n", "LOAD_ERR_YAML_VALIDATE", 2, 13,
         "needs a \"version\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++)
        expect_mistake(&mistakes[i], -EINVAL);
    static const struct mistake warnings[] = {
        {RULE "  exceptions:\n    - {name: e, fields: proc.name}\n    - {name: e, fields: proc.name}\n",
         "LOAD_EXCEPTION_NAME_NOT_UNIQUE", 8, 14, "two exceptions"},
        {RULE PAIRS "- rule: R\n  append: true\n  exceptions:\n    - name: pairs\n", "LOAD_APPEND_NO_VALUES",
         16, 13, "nothing is appended"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(warnings); i++)
        expect_mistake(&warnings[i], 0);
}

Test(rule_exceptions, versions, .init = fixture_register)
{
    static const char *const good[] = {
        "- required_engine_version: 0\n", "- required_engine_version: 26\n",
        "- required_engine_version: 0.50.0\n", "- required_engine_version: 0.63.0\n",
        ("- required_plugin_versions:\n  - name: k8smeta\n    version: 0.1.0\n    alternatives:\n"
         "      - name: container\n        version: 0.2.0\n")};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_loaded_ struct loaded loaded = fixture_load(good[i]);
        fixture_expect_loaded(&loaded);
    }
}

// A rule that says so is left out where it names a field that nobody knows; the others stay.
Test(rule_exceptions, left_out, .init = fixture_register)
{
    static const char *const unknown[] = {
        "- {rule: U, desc: d, priority: info, output: o, condition: proc.new = 1, skip-if-unknown-filter: "
        "true}\n",
        "- {rule: U, desc: d, priority: info, output: \"%proc.new\", condition: evt.type = open, "
        "skip-if-unknown-filter: true}\n"};
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        _cleanup_free_ char *yaml = NULL;
        cr_assert_geq(asprintf(&yaml, "%s" RULE, unknown[i]), 0);
        _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
        fixture_expect_loaded(&loaded);
        cr_assert_eq(rule_set_count(loaded.set), 1);
        cr_expect_str_eq(rule_set_at(loaded.set, 0)->name, "R");
        cr_expect_eq(rule_set_at(loaded.set, 0)->index, 0);
        cr_assert_eq(loaded.report.problems_count, 1);
        cr_expect_str_eq(loaded.report.problems[0].code, "LOAD_UNKNOWN_FILTER");
        cr_expect_eq(fixture_match(loaded.set, "openat"), 1);
        cr_expect_eq(fixture_match(loaded.set, "open"), 0);
    }
}
