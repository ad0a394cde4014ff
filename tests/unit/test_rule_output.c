// Output lines, their fields, and values as text.
#include "rule_fixture.h"

#define OUTPUT_RULE(output)                                                                          \
    "- rule: R\n  desc: d\n  priority: info\n  condition: evt.type in (openat, execve, connect)\n  " \
    "output: " output "\n"

// `expected`: NULL where the output cannot be read.
static void expect_output(const char *output, const char *event, const char *expected)
{
    _cleanup_free_ char *yaml = NULL;
    cr_assert_geq(asprintf(&yaml, OUTPUT_RULE("%s"), output), 0);
    _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
    if (!expected) {
        cr_assert_eq(loaded.report.errors, 1, "%s", output);
        cr_expect_str_eq(loaded.report.problems[0].code, "LOAD_ERR_COMPILE_OUTPUT");
        return;
    }
    fixture_expect_loaded(&loaded);
    struct made_event made;
    fixture_event(&made, event);
    _cleanup_text_ struct text text = TEXT_INIT(65536);
    rule_output_render(rule_set_at(loaded.set, 0)->output, &made.event, &text);
    cr_expect_str_eq(text_string(&text), expected, "\"%s\" instead of \"%s\" for: %s", text_string(&text),
                     expected, output);
}

Test(rule_output, render, .init = fixture_register)
{
    static const char event[] = "openat; proc.name=sh; proc.pid=7; fd.name=/x; evt.failed=true; "
                                "proc.aname=sh,bash,init; proc.env=/root; user.name=grüße";
    static const struct {
        const char *output;
        const char *expected;
    } cases[] = {
        {"nothing", "nothing"},
        {"\"%proc.name\"", "sh"},
        {"a (user=%user.uid file=%fd.name)", "a (user=<NA> file=/x)"},
        {"\"%proc.name%proc.pid%proc.name\"", "sh7sh"},
        {"\"%proc.name:%proc.pid.\"", "sh:7."},
        {"\"*%proc.name\"", "sh"},
        {"\"100%% %proc.name %%proc.name\"", "100% sh %proc.name"},
        {"\"%[5]proc.name|\"", "sh   |"},
        {"\"%[1]proc.name|\"", "s|"},
        {"\"%[4]user.name|\"", "grüß|"},
        {"\"%[8]user.name|\"", "grüße   |"},
        {"\"%[6]user.uid|\"", "<NA>  |"},
        {"\"%proc.aname[2] %proc.aname[9] %proc.aname\"", "init <NA> sh"},
        {"\"%proc.env[HOME] %proc.env[USER]\"", "/root <NA>"},
        {"failed=%evt.failed type=%evt.type", "failed=true type=openat"},
        {"\"%evt.dir %evt.source\"", "< syscall"},
        {">\n    two\n    lines %proc.name\n", "two lines sh"},
        {"|\n    two\n    lines %proc.name\n", "two lines sh"},
        {"\"%fd.sip is not a field of openat\"", "<NA> is not a field of openat"},
        {"\"%toupper(proc.name)\"", "SH"},
        {"\"%toupper(fd.name)%proc.pid\"", "/X7"},
        {"\"%toupper( tolower(proc.name) ).\"", "SH."},
        {"\"%[4]toupper(proc.name)|\"", "SH  |"},
        {"\"%toupper(user.loginuid)\"", NULL},
        {"\"%len(proc.name) %len(proc.aname)\"", "2 3"},
        {"\"%toupper(proc.cmdline) %concat(proc.name, proc.cmdline)\"", "<NA> <NA>"},
        {"'%concat(proc.name, \":\", proc.pid)'", "sh:7"},
        {"'%join(\"->\", (proc.name, fd.name)) %join(\"<-\", proc.aname)'", "sh->/x sh<-bash<-init"},
        {"\"%lower(proc.name)\"", NULL},
        {"\"%toupper(proc.name\"", NULL},
        {"\"%toupper(val(proc.name))\"", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_output(cases[i].output, event, cases[i].expected);
    expect_output("\"%fd.name\"", "execve; proc.name=sh", "<NA>");
    expect_output("\"%fd.sip:%fd.sport\"", "connect; fd.sip=::1; fd.sport=443", "::1:443");
    // What an attacker names must not write to the terminal or begin a new line.
    expect_output("\"%proc.name\"", "execve; proc.name=a\033[2J\nb\xff", "a\\x1b[2J\\x0ab\\xff");
}

static void record_field(const char *key, const struct value *value, void *context)
{
    struct text *text = context;
    text_addf(text, "%s=", key);
    if (value)
        value_render(value, text);
    text_add(text, value ? ";" : "null;");
}

Test(rule_output, visit, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(
        OUTPUT_RULE("\"%proc.pid %proc.name %[3]proc.pid %proc.aname[1] %proc.aname['2'] %proc.aname[1] "
                    "%fd.sip %evt.time\""));
    fixture_expect_loaded(&loaded);
    struct made_event made;
    fixture_event(&made, "execve; proc.name=sh; proc.pid=7; proc.aname=sh,bash,init; evt.time=1500000000");
    _cleanup_text_ struct text text = TEXT_INIT(65536);
    rule_output_visit(rule_set_at(loaded.set, 0)->output, &made.event, record_field, &text);
    cr_expect_str_eq(text_string(&text),
                     "proc.pid=7;proc.name=sh;proc.aname[1]=bash;proc.aname['2']=init;fd.sip=null;"
                     "evt.time=1970-01-01T00:00:01.500000000Z;");
}

Test(rule_output, visit_transformed, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded =
        fixture_load(OUTPUT_RULE("'%toupper(proc.name) %join(\"->\", (proc.name, fd.sip))'"));
    fixture_expect_loaded(&loaded);
    struct made_event made;
    fixture_event(&made, "connect; proc.name=sh; fd.sip=::1");
    _cleanup_text_ struct text text = TEXT_INIT(65536);
    rule_output_visit(rule_set_at(loaded.set, 0)->output, &made.event, record_field, &text);
    cr_expect_str_eq(text_string(&text),
                     "toupper(proc.name)=SH;proc.name=sh;join(->,(proc.name,fd.sip))=sh->::1;fd.sip=::1;");
}

static void expect_value(struct value value, const char *expected)
{
    _cleanup_text_ struct text text = TEXT_INIT(4096);
    value_render(&value, &text);
    cr_expect_str_eq(text_string(&text), expected);
}

Test(rule_output, values)
{
    expect_value((struct value){.type = FIELD_STRING, .string = {"a\tb", 3}}, "a\\x09b");
    expect_value((struct value){.type = FIELD_INT, .i = INT64_MIN}, "-9223372036854775808");
    expect_value((struct value){.type = FIELD_UINT, .u = UINT64_MAX}, "18446744073709551615");
    expect_value((struct value){.type = FIELD_DURATION, .u = 1500}, "1500");
    expect_value((struct value){.type = FIELD_BOOL, .b = true}, "true");
    expect_value((struct value){.type = FIELD_BOOL, .b = false}, "false");
    expect_value((struct value){.type = FIELD_IP, .ip = {4, {10, 0, 0, 1}}}, "10.0.0.1");
    expect_value((struct value){.type = FIELD_IP, .ip = {6, {[0] = 0xfe, [1] = 0x80, [15] = 1}}}, "fe80::1");
    expect_value((struct value){.type = FIELD_TIME, .u = 1700000000000000007},
                 "2023-11-14T22:13:20.000000007Z");
}

Test(rule_output, priorities)
{
    enum priority priority = PRIORITY_DEBUG;
    cr_expect_eq(priority_parse("WARNING", &priority), 0);
    cr_expect_eq(priority, PRIORITY_WARNING);
    cr_expect_eq(priority_parse("info", &priority), 0);
    cr_expect_eq(priority, PRIORITY_INFORMATIONAL);
    cr_expect_neq(priority_parse("warn", &priority), 0);
    cr_expect_eq(priority, PRIORITY_INFORMATIONAL);
    cr_expect_str_eq(priority_name(PRIORITY_INFORMATIONAL), "Informational");
    for (int i = PRIORITY_EMERGENCY; i <= PRIORITY_DEBUG; i++) {
        cr_expect_eq(priority_parse(priority_name((enum priority)i), &priority), 0);
        cr_expect_eq((int)priority, i);
    }
}
