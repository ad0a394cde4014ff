// Mistakes are reported at the exact line and column, whatever the style of the YAML scalar.
#include "rule_fixture.h"

#include <errno.h>

#define HEAD "- rule: R\n  desc: d\n  priority: Notice\n"
#define OUTPUT "  output: o\n"

struct mistake {
    const char *yaml;
    const char *at; // the text that the place must show; the last one of its kind in the file
    const char *says;
};

// The line and column of the last `needle`, counted in the plainest way.
static void position_of(const char *yaml, const char *needle, unsigned *ret_line, unsigned *ret_column)
{
    const char *found = NULL;
    for (const char *at = yaml; (at = strstr(at, needle)); at++)
        found = at;
    cr_assert(found, "no \"%s\" in:\n%s", needle, yaml);
    *ret_line = *ret_column = 1;
    for (const char *at = yaml; at < found; at++) {
        if (*at == '\n') {
            ++*ret_line;
            *ret_column = 1;
        } else if (((unsigned char)*at & 0xc0) != 0x80) {
            ++*ret_column;
        }
    }
}

static void check(const struct mistake *mistake)
{
    unsigned line, column;
    position_of(mistake->yaml, mistake->at, &line, &column);
    _cleanup_loaded_ struct loaded loaded = fixture_load(mistake->yaml);
    cr_expect_eq(loaded.error, -EINVAL);
    cr_expect_null(loaded.set);
    cr_expect_eq(loaded.report.errors, 1, "%zu errors in:\n%s", loaded.report.errors, mistake->yaml);
    const struct rule_problem *problem = NULL;
    for (size_t i = 0; i < loaded.report.problems_count && !problem; i++)
        if (loaded.report.problems[i].severity == RULE_ERROR)
            problem = &loaded.report.problems[i];
    cr_assert(problem);
    cr_expect(problem->line == line && problem->column == column, "%u:%u instead of %u:%u in:\n%s",
              problem->line, problem->column, line, column, mistake->yaml);
    cr_expect(strstr(problem->message, mistake->says), "\"%s\" lacks \"%s\"", problem->message,
              mistake->says);
    cr_expect_str_eq(problem->file, loaded.path);
}

static void check_all(const struct mistake *mistakes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(&mistakes[i]);
}

Test(rule_positions, scalar_styles, .init = fixture_register)
{
    static const char says[] = "unknown field \"proc.nam\"; did you mean \"proc.name\"?";
    static const struct mistake mistakes[] = {
        {HEAD OUTPUT "  condition: proc.nam = x\n", "proc.nam", says},
        {HEAD OUTPUT "  condition:    proc.pid = 1 and\n      proc.nam = x\n", "proc.nam", says},
        {HEAD OUTPUT "  condition: proc.pid = 1 and\n\n\n     proc.pid = 2 and   proc.nam = x\n", "proc.nam",
         says},
        {HEAD OUTPUT "  condition: \"proc.pid = 1 and proc.nam = x\"\n", "proc.nam", says},
        {HEAD OUTPUT "  condition: \"proc.name = \\\"\\x41\\u00e9\\\" and proc.nam = x\"\n", "proc.nam",
         says},
        {HEAD OUTPUT "  condition: \"proc.name = \\\"é\\\" and\n    \\\n    proc.nam = x\"\n", "proc.nam",
         says},
        {HEAD OUTPUT "  condition: \"proc.pid = 1\\nand\\tproc.nam = x\"\n", "proc.nam", says},
        {HEAD OUTPUT "  condition: 'proc.pid = 1 and proc.nam = x'\n", "proc.nam", says},
        {HEAD OUTPUT "  condition: 'proc.name = ''it'' and\n     proc.nam = x'\n", "proc.nam", says},
        {HEAD OUTPUT "  condition: >\n    proc.pid = 1 and\n    proc.nam = x\n", "proc.nam", says},
        {HEAD OUTPUT "  condition: >-\n    proc.pid = 1 and\n\n       proc.pid = 2 and\n    proc.nam = x\n",
         "proc.nam", says},
        {HEAD OUTPUT "  condition: |\n    proc.pid = 1 and\n      proc.nam = x\n", "proc.nam", says},
        {HEAD OUTPUT "  condition: |2+  # why\n     proc.pid = 1\n\n    and  proc.nam = x\n\n", "proc.nam",
         says},
        {HEAD OUTPUT "  condition: >\n    proc.name = \"äöü\" and proc.nam = x\n", "proc.nam", says},
        {HEAD OUTPUT "  condition: !!str 'proc.pid = 1 and proc.nam = x'\n", "proc.nam", says},
        {"- {rule: R, desc: d, priority: Notice, output: o, condition: proc.pid = 1 and proc.nam = x}\n",
         "proc.nam", says},
        {"- rule: R\r\n  desc: d\r\n  priority: Notice\r\n  output: o\r\n  condition: >\r\n    proc.pid = 1 "
         "and\r\n    proc.nam = x\r\n",
         "proc.nam", says},
    };
    check_all(mistakes, ARRAY_SIZE(mistakes));
}

Test(rule_positions, conditions, .init = fixture_register)
{
#define WRONG(condition) HEAD OUTPUT "  condition: >\n    " condition "\n"
    static const struct mistake mistakes[] = {
        {WRONG("proc.pid = 1 and is_shel"), "is_shel", "no macro \"is_shel\""},
        {WRONG("proc.pid = 1 and (proc.pid = 2"), "(", "never closed"},
        {WRONG("proc.pid = 1)"), ")", "closes nothing"},
        {WRONG("proc.pid = 1 proc.pid = 2"), "proc.pid = 2", "\"and\", \"or\" or the end"},
        {WRONG("proc.pid = 1 && proc.pid = 2"), "&&", "write \"and\""},
        {WRONG("! proc.pid = 1"), "!", "write \"not\""},
        {WRONG("proc.name is x"), "is x", "expected a comparison"},
        {WRONG("proc.name = \"x"), "\"x", "never closed"},
        {WRONG("proc.name in sh"), "sh", "list in brackets"},
        {WRONG("proc.name in (sh bash)"), "bash", "comma"},
        {WRONG("proc.name in (sh, bash"), "(", "never closed"},
        {WRONG("proc.name in (sh,)"), ")", "a value of the list"},
        {WRONG("proc.name = (sh)"), "(", "takes one value"},
        {WRONG("proc.name < x"), "<", "is of type string"},
        {WRONG("proc.pid contains 1"), "contains", "is of type int"},
        {WRONG("proc.pid = one"), "one", "a whole number"},
        {WRONG("proc.pid in (1, two)"), "two", "a whole number"},
        {WRONG("user.uid = -1"), "-1", "from 0"},
        {WRONG("user.uid = 99999999999999999999"), "99999999999999999999", "from 0"},
        {WRONG("evt.failed = yes"), "yes", "true or false"},
        {WRONG("fd.sip = 10.0.0.256"), "10.0.0.256", "IP address"},
        {WRONG("fd.sip in (10.0.0.0/33)"), "10.0.0.0/33", "IP address"},
        {WRONG("fd.sip = 10.0.0.0/"), "10.0.0.0/", "IP address"},
        {WRONG("proc.name regex \"a(b\""), "\"a(b\"", "regular expression"},
        {WRONG("proc.name bcontains caf"), "caf", "hexadecimal"},
        {WRONG("proc.name[1] = x"), "1] = x", "takes no argument"},
        {WRONG("proc.aname[x] = x"), "x] = x", "a number"},
        {WRONG("proc.env = x"), "proc.env", "needs an argument"},
        {WRONG("lower(proc.name) = x"), "lower", "no transformer \"lower\""},
        {WRONG("tolower(proc.pid) = x"), "proc.pid", "takes a string, and this is int"},
        {WRONG("tolower(proc.name, proc.exe) = x"), "tolower", "write tolower(FIELD)"},
        {WRONG("tolower(proc.nam) = x"), "proc.nam", "unknown field"},
        {WRONG("tolower(proc.name = x"), "= x", "a comma or a )"},
        {WRONG("tolower(val(proc.name)) = x"), "val", "stands alone"},
        {WRONG("tolower() = x"), "tolower", "write tolower(FIELD)"},
        {WRONG("len(proc.name) = x"), "x", "compared with len: write a whole number"},
        {WRONG("len(proc.name) startswith 1"), "startswith", "is of type uint"},
        {WRONG("concat(proc.name) = x"), "concat", "write concat("},
        {WRONG("concat(proc.aname, a) = x"), "proc.aname", "a single value"},
        {WRONG("join(\"-\", proc.name) = x"), "proc.name", "is a list"},
        {WRONG("join(\"-\", (proc.name, fd.ip)) = x"), "fd.ip", "a single value"},
        {WRONG("getopt(proc.args, \"ab\") = a"), "getopt", "gives a list"},
        {WRONG("getopt(proc.args, \"ab\")[ab] = a"), "getopt", "one letter"},
        {WRONG("len(proc.args)[1] = 1"), "1] = 1", "only getopt()"},
        {WRONG("val(proc.name) = proc.pname"), "val", "stands alone"},
        {WRONG("proc.name = val(pname)"), "pname", "takes a field"},
        {WRONG("proc.name = val(proc.pname"), "(proc.pname", "never closed"},
        {WRONG("proc.name = val(proc.pid)"), "proc.pid", "of type int"},
        {WRONG("proc.name = val(proc.aname[1])"), "proc.aname", "put it on the left"},
        {WRONG("fd.sport = val(fd.port)"), "fd.port", "put it on the left"},
        {WRONG("fd.sip = val(fd.cip)"), "fd.cip", "put it on the left"},
        {WRONG("fd.ip = val(proc.name)"), "proc.name", "takes no field"},
        {WRONG("proc.exepath pmatch val(proc.exe)"), "proc.exe)", "takes no field"},
        {WRONG("proc.exepath regex val(proc.exe)"), "proc.exe)", "takes no field"},
        {WRONG("proc.exepath = getopt(proc.args, \"a\")"), "getopt", "several values"},
        {WRONG("proc.pid < anyof (1, 2)"), "anyof", "does not go with"},
        {WRONG("proc.name in anyof (a, b)"), "anyof", "list in brackets"},
        {WRONG("proc.name startswith anyof a"), "a\n", "\"and\", \"or\""},
        {WRONG("proc.name startswith anyof (a, b"), "(", "never closed"},
        {WRONG("proc.aname startswith anyof (a, b)"), "proc.aname", "has several values"},
        {WRONG("proc.pid = oneof (1, b)"), "b)", "a whole number"},
        {WRONG("proc.name regex anyof (a, \"(b\")"), "\"(b\"", "regular expression"},
        {WRONG("and proc.pid = 1"), "and proc.pid", "before \"and\""},
        {WRONG("not"), "t\n", "ends too early"},
    };
    check_all(mistakes, ARRAY_SIZE(mistakes) - 1);

    // What ends too early is reported just behind its last character.
    _cleanup_loaded_ struct loaded loaded = fixture_load(mistakes[ARRAY_SIZE(mistakes) - 1].yaml);
    cr_assert_eq(loaded.report.problems_count, 1);
    cr_expect_eq(loaded.report.problems[0].line, 6);
    cr_expect_eq(loaded.report.problems[0].column, 8);
    cr_expect(strstr(loaded.report.problems[0].message, "ends too early"));
}

Test(rule_positions, items, .init = fixture_register)
{
#define GOOD "  condition: evt.type = open\n"
    static const struct mistake mistakes[] = {
        {"- macro: m\n  condition: proc.nam = x\n" HEAD OUTPUT "  condition: m and m\n", "proc.nam",
         "unknown field"},
        {"- macro: m\n  condition: (proc.pid = 1\n" HEAD OUTPUT "  condition: m\n", "(", "never closed"},
        {"- macro: m\n  condition: n\n- macro: n\n  condition: proc.pid = 1\n", "n\n- macro: n",
         "defined later"},
        {"- macro: a\n  condition: proc.pid = 1\n- macro: b\n  condition: a\n- macro: a\n  condition: b\n",
         "a\n- macro: a", "contains itself"},
        {"- list: ports\n  items: [80,\n   http]\n" HEAD OUTPUT "  condition: fd.sport in (ports)\n", "http",
         "a whole number"},
        {"- list: l\n  items: [a]\n" HEAD OUTPUT "  condition: evt.type = open and l\n", "l\n", "is a list"},
        {HEAD GOOD "  output: a %proc.nam b\n", "proc.nam", "did you mean \"proc.name\""},
        {HEAD GOOD "  output: >\n    a\n    b %proc.pid %proc.aname[x] b\n", "x]", "a number"},
        {HEAD GOOD "  output: 100% sure\n", "% sure", "write %%"},
        {HEAD GOOD "  output: \"%[0]proc.name\"\n", "[0]", "a width"},
        {"- rule: R\n  desc: d\n  output: o\n  priority: Loud\n" GOOD, "Loud", "unknown priority"},
        {"- rule: R\n  desc: d\n  output: o\n" GOOD, "R\n", "no \"priority\""},
        {HEAD GOOD OUTPUT "  enabled: maybe\n", "maybe", "true or false"},
        {HEAD GOOD OUTPUT "  tags: one\n", "one", "must be a list"},
        {HEAD GOOD OUTPUT "  exceptions:\n    - name: x\n", "x\n", "needs \"fields\""},
        {HEAD OUTPUT "  condition: [a]\n", "[a]", "must be a text"},
        {"- list: l\n", "l\n", "needs \"items\""},
        {"- list: l\n  items: [[a]]\n", "[a]", "an item of a list"},
        {"- list: l\n  items: [a]\n  append: true\n", "l\n", "no list \"l\" to append to"},
        {"- macro: m\n", "m\n", "needs a \"condition\""},
        {"- macro: m\n  condition: evt.type = open\n- macro: m\n  condition: or x\n  override: {condition: "
         "add}\n",
         "add", "append"},
        {"- rule: Q\n  enabled: false\n", "Q", "no rule \"Q\" to change"},
        {"- rules: Q\n", "rules", "not a rule, macro or list"},
        {"rule: Q\n", "rule", "sequence of items"},
        {"- a\n", "a", "expected an item"},
        {"- macro: m\n  condition: &x evt.type = open\n- macro: n\n  condition: *x\n", "*x", "aliases"},
        {"- {[a]: b}\n", "[a]", "a key must be plain text"},
        {"- rule: R\n   desc: d\n", ": d", "not valid YAML"},
    };
    check_all(mistakes, ARRAY_SIZE(mistakes));
}

// A condition that was appended to is one text, but each part is reported where it stands.
Test(rule_positions, appended_parts, .init = fixture_register)
{
    static const struct mistake mistakes[] = {
        {HEAD OUTPUT GOOD "- rule: R\n  append: true\n  condition: >\n    and proc.nam = x\n", "proc.nam",
         "unknown field"},
        {HEAD OUTPUT GOOD "- rule: R\n  condition: and proc.nam = x\n  override: {condition: append}\n",
         "proc.nam", "unknown field"},
    };
    check_all(mistakes, ARRAY_SIZE(mistakes));
}

// All mistakes of a file are reported, and the line that each is on is shown with a caret.
Test(rule_positions, print, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded =
        fixture_load("- macro: m\n  condition:\tproc.nam = x\n" HEAD
                     "  output: \"é %fd.namee\"\n  condition: evt.typ = open\n");
    cr_assert_eq(loaded.report.errors, 3);
    char *printed = NULL;
    size_t size;
    FILE *stream = open_memstream(&printed, &size);
    rule_report_print(&loaded.report, stream, false);
    fclose(stream);
    _cleanup_free_ char *expected = NULL;
    cr_assert_geq(asprintf(&expected,
                           "%s:2:14: error: unknown field \"proc.nam\"; did you mean \"proc.name\"? "
                           "[LOAD_ERR_COMPILE_CONDITION]\n"
                           "    2 |   condition: proc.nam = x\n"
                           "      |              ^\n"
                           "%s:6:15: error: unknown field \"fd.namee\"; did you mean \"fd.name\"? "
                           "[LOAD_ERR_COMPILE_OUTPUT]\n"
                           "    6 |   output: \"é %%fd.namee\"\n"
                           "      |               ^\n"
                           "%s:7:14: error: unknown field \"evt.typ\"; did you mean \"evt.type\"? "
                           "[LOAD_ERR_COMPILE_CONDITION]\n"
                           "    7 |   condition: evt.typ = open\n"
                           "      |              ^\n",
                           loaded.path, loaded.path, loaded.path),
                  0);
    cr_expect_str_eq(printed, expected);
    free(printed);

    stream = open_memstream(&printed, &size);
    rule_report_print(&loaded.report, stream, true);
    fclose(stream);
    cr_expect(strstr(printed, "\033[1;31merror"));
    free(printed);
}

// More problems than are kept are still counted.
Test(rule_positions, many_problems, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    for (int i = 0; i < RULE_PROBLEMS_MAX + 50; i++)
        text_addf(&yaml, "- macro: m%d\n  condition: proc.nam = x\n", i);
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    cr_expect_eq(loaded.error, -EINVAL);
    cr_expect_eq(loaded.report.problems_count, RULE_PROBLEMS_MAX);
    cr_expect_eq(loaded.report.problems_left_out, 50);
    cr_expect_eq(loaded.report.errors, RULE_PROBLEMS_MAX + 50);
}
