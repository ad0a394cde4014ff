// Tests of rules: files of tests, and one condition on lines of JSON.
#include "rule_fixture.h"

#include "rule_test.h"

#include <errno.h>

#define RULES                                                                                                \
    "- rule: Shell\n  desc: d\n  priority: info\n  output: \"shell %proc.name %proc.aname[1]\"\n"            \
    "  condition: evt.type = execve and proc.name in (sh, bash)\n"                                           \
    "- rule: Root\n  desc: d\n  priority: info\n  output: o\n  condition: evt.type = execve and user.uid = " \
    "0\n"                                                                                                    \
    "- rule: Off\n  desc: d\n  priority: info\n  output: o\n  condition: evt.type = open\n  enabled: "       \
    "false\n"

struct run {
    int error;
    struct rule_test_result result;
    char *output;
};

static void run_free(struct run *run)
{
    free(run->output);
}

// Runs a file of tests that lies beside rules.yaml; its path is shown as "T".
static struct run run_tests(const char *tests)
{
    struct run run = {0};
    char directory[] = "/tmp/inferscope-tests-XXXXXX";
    cr_assert(mkdtemp(directory));
    fixture_write(directory, "rules.yaml", RULES);
    fixture_write(directory, "test.yaml", tests);
    _cleanup_free_ char *path = NULL, *rules = NULL;
    cr_assert_geq(asprintf(&path, "%s/test.yaml", directory), 0);
    cr_assert_geq(asprintf(&rules, "%s/rules.yaml", directory), 0);
    size_t size;
    FILE *stream = open_memstream(&run.output, &size);
    run.error = rule_test_run(path, stream, &run.result);
    fclose(stream);
    unlink(path);
    unlink(rules);
    cr_expect_eq(rmdir(directory), 0);
    for (char *at; (at = strstr(run.output, path));) {
        *at = 'T';
        memmove(at + 1, at + strlen(path), strlen(at + strlen(path)) + 1);
    }
    return run;
}

#define HEAD "rules: [rules.yaml]\ntests:\n"

Test(rule_test, passes, .init = fixture_register)
{
    static const char *const cases[] = {
        HEAD "  - name: n\n    event: {evt.type: execve, proc.name: sh}\n    expect: [Shell]\n",
        HEAD "  - name: n\n    event: {evt.type: execve, proc.name: sh}\n    not: [Root]\n",
        HEAD "  - name: n\n    event: {evt.type: execve, proc.name: zsh}\n    expect_none: true\n",
        HEAD
        "  - name: n\n    event: {evt.type: execve, proc.name: sh, user.uid: 0}\n    expect: [Shell, Root]\n",
        HEAD "  - name: n\n    event: {evt.type: execve, proc.name: sh, user.uid: 0}\n    matching: first\n"
             "    expect: [Shell]\n    not: [Root]\n",
        "rules: [rules.yaml]\nmatching: first\ntests:\n"
        "  - name: n\n    event: {evt.type: execve, proc.name: sh, user.uid: 0}\n    not: Root\n",
        HEAD
        "  - name: n\n    event:\n      evt.type: execve\n      proc.name: sh\n      proc.aname: [sh, init]\n"
        "    expect:\n      - rule: Shell\n        output: shell sh init\n",
        HEAD "  - name: n\n    event: {evt.type: execve, proc.name: sh, \"proc.aname[1]\": init}\n"
             "    expect:\n      - {rule: Shell, output: shell sh init}\n",
        HEAD "  - name: n\n    event: {evt.type: execve, proc.name: sh}\n"
             "    expect:\n      - {rule: Shell, output: shell sh <NA>}\n",
        HEAD "  - name: n\n    event: {evt.type: execve, proc.name: sh, proc.aname: null}\n"
             "    expect:\n      - {rule: Shell, output: shell sh <NA>}\n",
        "rules: rules.yaml\nenable: Off\ntests:\n  - {name: n, event: {evt.type: open}, expect: [Off]}\n",
        "rules: rules.yaml\ndisable: [Shell]\ntests:\n"
        "  - {name: n, event: {evt.type: execve, proc.name: sh}, expect_none: true}\n",
        "builtin: true\nrules: [rules.yaml]\ntests:\n"
        "  - {name: n, event: {evt.type: execve, proc.name: sh}, expect: [Shell]}\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run run _cleanup_(run_free) = run_tests(cases[i]);
        cr_expect_eq(run.error, 0, "%s", run.output);
        cr_expect_eq(run.result.passed, 1, "%s", run.output);
        cr_expect_str_eq(run.output, "T\n  SUCCESS: 1 tests\n");
    }
}

Test(rule_test, failures_are_told, .init = fixture_register)
{
    struct run run _cleanup_(run_free) = run_tests(
        HEAD "  - name: nothing fires\n    event: {evt.type: execve, proc.name: zsh}\n    expect: [Shell]\n"
             "  - name: too much fires\n    event: {evt.type: execve, proc.name: sh, user.uid: 0}\n"
             "    expect_none: true\n"
             "  - name: the wrong one\n    event: {evt.type: execve, proc.name: sh}\n    not: [Shell]\n"
             "  - name: other words\n    event: {evt.type: execve, proc.name: sh}\n"
             "    expect: [{rule: Shell, output: shell}]\n"
             "  - name: good\n    event: {evt.type: execve, proc.name: sh}\n    expect: [Shell]\n");
    cr_expect_eq(run.error, 0);
    cr_expect_eq(run.result.failed, 4);
    cr_expect_eq(run.result.passed, 1);
    cr_expect_str_eq(run.output, "T\n"
                                 "  FAILED: nothing fires (T:3:5)\n"
                                 "      expected: \"Shell\"\n"
                                 "      got:      no rule\n"
                                 "  FAILED: too much fires (T:6:5)\n"
                                 "      expected: no rule\n"
                                 "      got:      \"Shell\", \"Root\"\n"
                                 "  FAILED: the wrong one (T:9:5)\n"
                                 "      expected: not \"Shell\"\n"
                                 "      got:      \"Shell\"\n"
                                 "  FAILED: other words (T:12:5)\n"
                                 "      expected output of \"Shell\": shell\n"
                                 "      got: shell sh <NA>\n"
                                 "  FAILED: 4 of 5 tests\n");
}

Test(rule_test, mistakes, .init = fixture_register)
{
#define EVENT(map) HEAD "  - name: n\n    expect_none: true\n    event: {evt.type: openat, " map "}\n"
    static const struct {
        const char *tests;
        const char *says; // where and what
    } cases[] = {
        {EVENT("fd.nam: x"), "T:5:31: error: unknown field \"fd.nam\"; did you mean \"fd.name\"?"},
        {EVENT("fd.sip: 1.2.3.4"), "T:5:31: error: events of type openat have no field \"fd.sip\""},
        {EVENT("proc.pid: x"), "T:5:41: error: \"x\" is no value of proc.pid: write a whole number"},
        {EVENT("evt.failed: yes"), "T:5:43: error: \"yes\" is no value of evt.failed: write true or false"},
        {EVENT("user.uid: -1"), "T:5:41: error: \"-1\" is no value of user.uid"},
        {EVENT("proc.name: [a, b]"), "T:5:42: error: proc.name has one value"},
        {EVENT("proc.name: {a: b}"), "T:5:42: error: proc.name is a text"},
        {EVENT("\"proc.name[1]\": a"), "T:5:31: error: this field takes no argument"},
        {EVENT("proc.env: a"), "T:5:31: error: this field needs an argument"},
        {EVENT("\"proc.env[HOME\": a"), "T:5:31: error: the argument of the field cannot be read"},
        {EVENT("proc.name: a, proc.name: b"), "T:5:45: error: \"proc.name\" is given twice"},
        {HEAD "  - {name: n, expect_none: true, event: {proc.name: a}}\n",
         "T:3:41: error: the event needs evt.type"},
        {HEAD "  - {name: n, expect_none: true, event: {evt.type: opn}}\n",
         "T:3:52: error: \"opn\" is no type"},
        {HEAD "  - {name: n, expect_none: true, event: x}\n", "T:3:41: error: an event is a map"},
        {HEAD "  - {name: n, expect_none: true}\n", "T:3:5: error: the test has no \"event\""},
        {HEAD "  - {name: n, event: {evt.type: open}}\n", "T:3:5: error: the test expects nothing"},
        {HEAD "  - {event: {evt.type: open}}\n", "T:3:5: error: the test needs a \"name\""},
        {HEAD "  - {name: n, event: {evt.type: open}, expect: [Shel]}\n", "error: there is no rule \"Shel\""},
        {HEAD "  - {name: n, event: {evt.type: open}, expect: [Off]}\n", "error: the rule \"Off\" is off"},
        {HEAD "  - {name: n, event: {evt.type: open}, expects: [Off]}\n",
         "error: \"expects\" is not a known key"},
        {HEAD "  - {name: n, event: {evt.type: open}, not: [{a: b}]}\n", "error: \"not\" is a list of texts"},
        {"rules: [rules.yaml]\n", "T:1:1: error: the file has no \"tests\""},
        {"tests: [{name: n}]\n", "T:1:1: error: the file names no rules"},
        {"- a\n", "T:1:1: error: a test file is one map"},
        {"rules: [other.yaml]\ntests: [{name: n}]\n", "other.yaml: error: this cannot be read"},
        {"rules: rules.yaml\nenable: [Nobody]\ntests: [{name: n}]\n", "error: there is no rule \"Nobody\""},
        {"rules: [\n", "T:2:1: error: this is not valid YAML"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run run _cleanup_(run_free) = run_tests(cases[i].tests);
        cr_expect_eq(run.error, -EINVAL, "%s", cases[i].tests);
        cr_expect(strstr(run.output, cases[i].says), "\"%s\" is not in:\n%s", cases[i].says, run.output);
    }
}

static void expect_lines(const char *condition, const char *lines, int error, const char *expected)
{
    FILE *events = fmemopen((void *)lines, strlen(lines), "r");
    char *output;
    size_t size;
    FILE *stream = open_memstream(&output, &size);
    cr_expect_eq(rule_test_condition(condition, events, stream), error);
    fclose(stream);
    fclose(events);
    cr_expect_str_eq(output, expected);
    free(output);
}

Test(rule_test, condition, .init = fixture_register)
{
    expect_lines("proc.name = sh and fd.sip in (10.0.0.0/8)",
                 "{\"evt.type\": \"connect\", \"proc.name\": \"sh\", \"fd.sip\": \"10.1.1.1\"}\n"
                 "{\"evt.type\":\"connect\",\"proc.name\":\"sh\",\"fd.sip\":\"11.1.1.1\"}\n"
                 "{\"evt.type\":\"execve\",\"proc.name\":\"sh\"}\n",
                 0, "true\nfalse\nfalse\n");
    // Other than a rule, a condition about a process alone is judged on each type of event.
    expect_lines("proc.name = sh", "{\"evt.type\":\"openat\",\"proc.name\":\"sh\"}", 0, "true\n");
    expect_lines("proc.pid > 1 and not proc.name exists",
                 "{\"evt.type\":\"openat\",\"proc.pid\":2}\n"
                 "{\"evt.type\":\"openat\",\"proc.pid\":2,\"proc.name\":null}\n"
                 "{\"evt.type\":\"openat\",\"proc.pid\":2,\"proc.name\":\"\"}\n",
                 0, "true\ntrue\nfalse\n");
    expect_lines("proc.name = \"a\\\"b\"", "{\"evt.type\":\"openat\",\"proc.name\":\"a\\\"b\"}", 0, "true\n");
    expect_lines(
        "evt.type = open",
        "{\"evt.type\":\"open\"\nnonsense\n\n{\"evt.type\":\"open\",\"a.b\":1}\n{\"evt.type\":\"open\"}\n",
        -EINVAL,
        "error: column 1: this is not valid YAML: did not find expected ',' or '}', while parsing a "
        "flow mapping; check the indentation, quotes and brackets up to here\n"
        "error: column 1: an event is a map of field to value\n"
        "error: column 1: a line is one map of field to value\n"
        "error: column 20: unknown field \"a.b\"\n"
        "true\n");
    expect_lines("proc.nam = x", "{}", -EINVAL,
                 "condition:1:1: error: unknown field \"proc.nam\"; did you mean \"proc.name\"? "
                 "[LOAD_ERR_COMPILE_CONDITION]\n"
                 "    1 | proc.nam = x\n"
                 "      | ^\n");
}
