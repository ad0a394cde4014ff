// Rule files as they come: the user's, odd ones, large ones, several at once.
#include "rule_fixture.h"

#include <errno.h>
#include <sys/stat.h>

static const struct rule_problem *only_problem(const struct loaded *loaded)
{
    if (loaded->report.problems_count != 1)
        rule_report_print(&loaded->report, stderr, false);
    cr_assert_eq(loaded->report.problems_count, 1);
    return &loaded->report.problems[0];
}

static void record_name(const struct rule *rule, const struct event *event, void *context)
{
    (void)event;
    struct text *text = context;
    text_addf(text, "%s;", rule->name);
}

static void expect_match(const struct rule_set *set, enum rule_matching matching, const char *description,
                         const char *expected)
{
    struct made_event made;
    fixture_event(&made, description);
    _cleanup_text_ struct text names = TEXT_INIT(4096);
    rule_set_match(set, &made.event, matching, record_name, &names);
    cr_expect_str_eq(text_string(&names), expected, "\"%s\" on \"%s\"", text_string(&names), description);
}

// --- The user's rules, unmodified ---

Test(rule_files, user_rules, .init = fixture_register)
{
    struct rule_input input = {.path = "tests/data/user-rules.yaml"};
    _cleanup_loaded_ struct loaded loaded = {0};
    loaded.error = rule_set_load(&input, 1, &loaded.report, &loaded.set);
    fixture_expect_loaded(&loaded);
    cr_expect_eq(rule_set_count(loaded.set), 4);
    cr_expect_eq(loaded.report.errors, 0);
    // Two of them are about processes alone.
    cr_assert_eq(loaded.report.problems_count, 2);
    for (size_t i = 0; i < 2; i++)
        cr_expect_str_eq(loaded.report.problems[i].code, "LOAD_NO_EVTTYPE");
    cr_expect_eq(rule_set_at(loaded.set, 1)->priority, PRIORITY_CRITICAL);
    cr_expect_str_eq(rule_set_at(loaded.set, 1)->tags[0], "file");
    cr_expect_str_eq(rule_set_at(loaded.set, 1)->tags[2], "security");
    cr_expect_null(rule_set_at(loaded.set, 1)->tags[3]);
    cr_expect_null(rule_set_at(loaded.set, 4));

    static const struct {
        const char *event;
        const char *rules;
    } cases[] = {
        {"execve; container.name=llm-research-lab-1; proc.name=nc; proc.pname=python2",
         "Unauthorized Process in Container;"},
        {"execve; container.name=llm-research-lab-1; proc.name=nc; proc.pname=python3", ""},
        {"execve; container.name=llm-research-lab-1; proc.name=node; proc.pname=sh", ""},
        {"execve; container.name=llm-research-lab-1; proc.name=bash; proc.pname=python3",
         "Shell Spawned in Container;"},
        {"execve; container.name=llm-research-lab-1; proc.name=bash", "Unauthorized Process in Container;"},
        {"execve; container.name=other; proc.name=bash; proc.pname=runc", ""},
        {"execve; proc.name=bash; proc.pname=sshd", ""},
        // What a process is counts when it starts, not at each of its calls.
        {"openat; container.name=llm-research-lab-1; proc.name=bash; proc.pname=sshd; fd.name=/x", ""},
        {"openat; container.name=llm-research-lab-1; fd.name=/etc/secrets/a/b", "Sensitive File Access;"},
        {"open; container.name=llm-research-lab-1; fd.name=/app/.env", "Sensitive File Access;"},
        {"openat2; container.name=llm-research-lab-1; fd.name=/app/.env", ""},
        {"openat; container.name=llm-research-lab-1; fd.name=/app/.envx", ""},
        {"openat; container.name=host; fd.name=/root/.ssh/id_rsa", ""},
        {"connect; container.name=llm-research-lab; fd.sip=10.0.0.12; fd.sport=8080",
         "Unexpected Network Connection;"},
        {"connect; container.name=llm-research-lab; fd.sip=10.0.0.10; fd.sport=8080", ""},
        {"connect; container.name=llm-research-lab; fd.sip=1.1.1.1; fd.sport=443", ""},
        {"connect; container.name=llm-research-lab; fd.sip=fe80::1; fd.sport=81",
         "Unexpected Network Connection;"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_match(loaded.set, RULE_MATCHING_ALL, cases[i].event, cases[i].rules);
}

// --- Which rules are judged ---

Test(rule_files, first_and_all, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(
        "- {rule: A, desc: d, priority: info, output: o, condition: evt.type = open}\n"
        "- {rule: Off, desc: d, priority: info, output: o, condition: evt.type = open, enabled: "
        "false}\n"
        "- {rule: B, desc: d, priority: info, output: o, condition: \"evt.type in (open, connect)\"}\n");
    fixture_expect_loaded(&loaded);
    expect_match(loaded.set, RULE_MATCHING_FIRST, "open", "A;");
    expect_match(loaded.set, RULE_MATCHING_ALL, "open", "A;B;");
    expect_match(loaded.set, RULE_MATCHING_FIRST, "connect", "B;");
    expect_match(loaded.set, RULE_MATCHING_ALL, "execve", "");
    cr_expect_not(rule_set_at(loaded.set, 1)->enabled);
}

// A value is read once an event, however many rules compare it; and not kept for the next one.
Test(rule_files, reads_once, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    for (int i = 0; i < 50; i++)
        text_addf(&yaml, "- {rule: R%d, desc: d, priority: info, output: o, condition: proc.name = n%d}\n", i,
                  i);
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    fixture_expect_loaded(&loaded);
    struct made_event made;
    fixture_event(&made, "execve; proc.name=n49");
    cr_expect_eq(rule_set_match(loaded.set, &made.event, RULE_MATCHING_ALL, fixture_ignore, NULL), 1);
    cr_expect_eq(made.reads, 1);
    expect_match(loaded.set, RULE_MATCHING_ALL, "execve; proc.name=n48", "R48;");
}

// What transformers make takes room for one event only, and no more than a bound.
Test(rule_files, transformed_values_go_away, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20), event = TEXT_INIT(1 << 20);
    text_add(&yaml, RULE_WITH("tolower(proc.cmdline) endswith z and toupper(proc.cmdline) endswith Z"));
    text_add(&event, "execve; proc.cmdline=");
    for (int i = 0; i < 3000; i++)
        text_add_char(&event, 'a');
    text_add_char(&event, 'Z');
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    fixture_expect_loaded(&loaded);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(fixture_match(loaded.set, text_string(&event)), 1, "event %d", i);

    // Each rule has room of its own, so that those behind many others still find their values.
    text_reset(&yaml);
    for (int i = 0; i < 400; i++)
        text_addf(
            &yaml,
            "- {rule: R%d, desc: d, priority: info, output: o, condition: tolower(proc.cmdline) exists}\n",
            i);
    _cleanup_loaded_ struct loaded many = fixture_load(text_string(&yaml));
    fixture_expect_loaded(&many);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(fixture_match(many.set, text_string(&event)), 400);
}

// --- Values that are larger in all than what may be transformed for one comparison ---

enum { LONG_VALUES = 300, LONG_LENGTH = 8000 };

static bool get_long(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    static char text[LONG_LENGTH + 1];
    memset(text, 'a', LONG_LENGTH);
    text[LONG_LENGTH - 1] = nth + 1 == LONG_VALUES ? 'z' : 'y';
    return nth < LONG_VALUES && value_set_bytes(ret_value, text, LONG_LENGTH);
}

static const struct field long_fields[] = {
    {.name = "evt.arg.long", .type = FIELD_STRING, .many = true, .help = "", .get = get_long}};
static const struct event_type long_types[] = {
    {.name = "long", .fields = long_fields, .fields_count = ARRAY_SIZE(long_fields)}};

Test(rule_files, a_rule_has_its_own_room, .init = fixture_register)
{
    cr_assert_eq(event_type_register("long", long_types, 1), 0);
    _cleanup_loaded_ struct loaded loaded = fixture_load(
        "- {rule: A, desc: d, priority: info, output: o, condition: toupper(evt.arg.long) endswith X}\n"
        "- {rule: B, desc: d, priority: info, output: o, condition: toupper(evt.arg.long) endswith Z}\n"
        "- {rule: C, desc: d, priority: info, output: o,"
        " condition: toupper(evt.arg.long) != val(toupper(proc.name))}\n"
        "- {rule: D, desc: d, priority: info, output: o, condition: evt.type = long and tolower(proc.name) = "
        "n}\n");
    fixture_expect_loaded(&loaded);
    for (int i = 0; i < 3; i++)
        expect_match(loaded.set, RULE_MATCHING_ALL, "long; proc.name=N", "B;C;D;");
}

Test(rule_files, definitions_again, .init = fixture_register)
{
    static const char base[] =
        "- list: names\n  items: [a]\n"
        "- macro: named\n  condition: proc.name in (names)\n"
        "- {rule: R, desc: d, priority: info, output: o, condition: evt.type = execve and named, tags: [x]}\n"
        "- {rule: S, desc: d, priority: info, output: o, condition: evt.type = open}\n";
    static const struct {
        const char *more;
        const char *event;
        const char *rules;
    } cases[] = {
        {"", "execve; proc.name=a", "R;"},
        {"", "execve; proc.name=b", ""},
        {"- list: names\n  items: [b]\n", "execve; proc.name=b", "R;"},
        {"- list: names\n  items: [b]\n", "execve; proc.name=a", ""},
        {"- list: names\n  items: [b]\n  append: true\n", "execve; proc.name=a", "R;"},
        {"- list: names\n  items: [b]\n  override: {items: append}\n", "execve; proc.name=b", "R;"},
        {"- macro: named\n  condition: proc.pid = 1\n", "execve; proc.pid=1", "R;"},
        {"- macro: named\n  condition: or proc.pid = 1\n  append: true\n", "execve; proc.pid=1", "R;"},
        {"- rule: R\n  condition: or proc.pid = 1\n  override: {condition: append}\n", "execve; proc.pid=1",
         "R;"},
        {"- rule: R\n  condition: evt.type = open\n  override: {condition: replace}\n", "open", "R;S;"},
        {"- rule: S\n  enabled: false\n", "open", ""},
        {"- rule: S\n  enabled: false\n  override: {enabled: replace}\n", "open", ""},
        {"- {rule: S, desc: d, priority: info, output: o, condition: evt.type = connect}\n", "connect", "S;"},
        {"- {rule: S, desc: d, priority: info, output: o, condition: evt.type = connect}\n", "open", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *yaml = NULL;
        cr_assert_geq(asprintf(&yaml, "%s%s", base, cases[i].more), 0);
        _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
        fixture_expect_loaded(&loaded);
        cr_expect_eq(rule_set_count(loaded.set), 2);
        expect_match(loaded.set, RULE_MATCHING_ALL, cases[i].event, cases[i].rules);
    }
}

// --- Warnings: the rules load, and something is said ---

Test(rule_files, warnings, .init = fixture_register)
{
    static const struct {
        const char *yaml;
        const char *code; // NULL: nothing to say
    } cases[] = {
        {RULE_WITH("evt.type = open"), NULL},
        {RULE_WITH("fd.name = /x"), NULL},
        {RULE_WITH("proc.name = sh"), "LOAD_NO_EVTTYPE"},
        {RULE_WITH("not fd.name = /x"), "LOAD_NO_EVTTYPE"},
        {RULE_WITH("proc.name = sh") "  warn_evttypes: false\n", NULL},
        {RULE_WITH("evt.type = opne or evt.type = open"), "LOAD_UNKNOWN_EVENT"},
        {RULE_WITH("evt.type in (opne, open)"), "LOAD_UNKNOWN_EVENT"},
        {RULE_WITH("evt.type in (execve, execveat, fork)"), NULL},
        {RULE_WITH("evt.type = quotactl"), "LOAD_NEVER_MATCHES"},
        {RULE_WITH("evt.type = execve and fd.name = x"), "LOAD_NEVER_MATCHES"},
        {RULE_WITH("evt.type = open") "  colour: red\n", "LOAD_UNKNOWN_KEY"},
        {RULE_WITH("evt.type = open") "  capture: true\n", "LOAD_UNKNOWN_ITEM"},
        {RULE_WITH("evt.type = open") "  priority: info\n", "LOAD_DUPLICATE_KEY"},
        {RULE_WITH("evt.type = open") "  source: k8s_audit\n", "LOAD_UNKNOWN_SOURCE"},
        {RULE_WITH("evt.type = open") "- macro: m\n  condition: proc.pid = 1\n", "LOAD_UNUSED_MACRO"},
        {RULE_WITH("evt.type = open") "- list: l\n  items: [a]\n", "LOAD_UNUSED_LIST"},
        {"- required_engine_version: 0.31.0\n", NULL},
        {"- required_plugin_versions:\n    - name: container\n      version: 0.4.0\n", NULL},
        {"", "LOAD_NO_ITEMS"},
        {"# only a comment\n", "LOAD_NO_ITEMS"},
        {"---\n", "LOAD_NO_ITEMS"},
        {RULE_WITH("evt.type = open") "---\n- required_engine_version: 1\n", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_loaded_ struct loaded loaded = fixture_load(cases[i].yaml);
        fixture_expect_loaded(&loaded);
        cr_expect_eq(loaded.report.warnings, cases[i].code ? 1 : 0, "%zu warnings for:\n%s",
                     loaded.report.warnings, cases[i].yaml);
        if (cases[i].code && loaded.report.problems_count)
            cr_expect_str_eq(loaded.report.problems[0].code, cases[i].code);
    }
}

// --- Files that are no rule files ---

Test(rule_files, not_text, .init = fixture_register)
{
    char random[4096];
    unsigned state = 1;
    for (size_t i = 0; i < sizeof(random); i++) {
        state = state * 1103515245 + 12345;
        random[i] = (char)(state >> 16);
    }
    static const char elf[] = "\x7f"
                              "ELF\2\1\1\0\0\0\0";
    static const char utf16[] = "\xff\xfe-\0 \0r\0u\0l\0e\0";
    static const char latin[] = "- rule: \xe4\n";
    static const char null[] = "- rule: a\0b\n";
    static const struct {
        const char *data;
        size_t length;
    } cases[] = {{elf, sizeof(elf) - 1},
                 {utf16, sizeof(utf16) - 1},
                 {latin, sizeof(latin) - 1},
                 {null, sizeof(null) - 1}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_loaded_ struct loaded loaded = fixture_load_bytes(cases[i].data, cases[i].length);
        cr_expect_eq(loaded.error, -EINVAL);
        const struct rule_problem *problem = only_problem(&loaded);
        cr_expect_str_eq(problem->code, "LOAD_ERR_YAML_PARSE");
        cr_expect(strstr(problem->message, "UTF-8"), "%s", problem->message);
    }
    _cleanup_loaded_ struct loaded loaded = fixture_load_bytes(random, sizeof(random));
    cr_expect_eq(loaded.error, -EINVAL);
    only_problem(&loaded);
}

Test(rule_files, broken_yaml, .init = fixture_register)
{
    static const char *const cases[] = {"- rule: \"R\n",  "- {rule: R\n",    "- [\n",
                                        "\t- a\n",        "- rule: R\n x\n", "- a: b: c\n",
                                        "- %\n- @x: 1\n", "- &a [*a]\n",     "- *x\n"};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_loaded_ struct loaded loaded = fixture_load(cases[i]);
        cr_expect_eq(loaded.error, -EINVAL, "%s", cases[i]);
        cr_expect_neq(only_problem(&loaded)->line, 0);
    }
}

Test(rule_files, deep_nesting, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    for (int i = 0; i < 100000; i++)
        text_add(&yaml, "[");
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    cr_expect_eq(loaded.error, -EINVAL);
    cr_expect(strstr(only_problem(&loaded)->message, "nested too deeply"));
}

static struct loaded load_brackets(size_t depth)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    text_add(&yaml, "- rule: R\n  desc: d\n  priority: info\n  output: o\n  condition: ");
    for (size_t i = 0; i < depth; i++)
        text_add_char(&yaml, '(');
    text_add(&yaml, "evt.type = open");
    for (size_t i = 0; i < depth; i++)
        text_add_char(&yaml, ')');
    text_add_char(&yaml, '\n');
    return fixture_load(text_string(&yaml));
}

Test(rule_files, deep_brackets, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded good = load_brackets(150);
    fixture_expect_loaded(&good);
    expect_match(good.set, RULE_MATCHING_ALL, "open", "R;");
    _cleanup_loaded_ struct loaded bad = load_brackets(100000);
    cr_expect_eq(bad.error, -EINVAL);
    cr_expect(strstr(only_problem(&bad)->message, "brackets within each other"));
}

// Macros that double each other would grow without bounds.
Test(rule_files, macro_bomb, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    text_add(&yaml, "- macro: m0\n  condition: proc.pid = 1\n");
    for (int i = 1; i < 64; i++)
        text_addf(&yaml, "- macro: m%d\n  condition: m%d or m%d\n", i, i - 1, i - 1);
    text_add(&yaml, RULE_WITH("m63"));
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    cr_expect_eq(loaded.error, -EINVAL);
    cr_expect(strstr(only_problem(&loaded)->message, "too large"));
}

Test(rule_files, list_bomb, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    text_add(&yaml, "- list: l0\n  items: [a, b, c, d, e, f, g, h]\n");
    for (int i = 1; i < 30; i++)
        text_addf(&yaml, "- list: l%d\n  items: [l%d, l%d, l%d, l%d]\n", i, i - 1, i - 1, i - 1, i - 1);
    text_add(&yaml, RULE_WITH("proc.name in (l29)"));
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    cr_expect_eq(loaded.error, -EINVAL);
    cr_assert_geq(loaded.report.problems_count, 1);
    cr_expect(strstr(loaded.report.problems[0].message, "more than 1000000 items"));
}

// --- Large ones ---

Test(rule_files, large_list, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(4 << 20);
    text_add(&yaml, "- list: many\n  items:\n");
    for (int i = 0; i < 10000; i++)
        text_addf(&yaml, "    - name-%d\n", i);
    text_add(&yaml, "- list: networks\n  items:\n");
    for (int i = 0; i < 10000; i++)
        text_addf(&yaml, "    - 10.%d.%d.0/24\n", i / 256, i % 256);
    text_add(&yaml, "- {rule: Name, desc: d, priority: info, output: o, condition: proc.name in (many)}\n"
                    "- {rule: Net, desc: d, priority: info, output: o, condition: fd.sip in (networks)}\n");
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    fixture_expect_loaded(&loaded);
    expect_match(loaded.set, RULE_MATCHING_ALL, "execve; proc.name=name-0", "Name;");
    expect_match(loaded.set, RULE_MATCHING_ALL, "execve; proc.name=name-9999", "Name;");
    expect_match(loaded.set, RULE_MATCHING_ALL, "execve; proc.name=name-10000", "");
    expect_match(loaded.set, RULE_MATCHING_ALL, "connect; fd.sip=10.39.15.200", "Net;");
    expect_match(loaded.set, RULE_MATCHING_ALL, "connect; fd.sip=10.39.16.1", "");
}

Test(rule_files, large_file, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(16 << 20);
    size_t count = 0;
    for (; yaml.length < 10 << 20; count++)
        text_addf(
            &yaml,
            "- rule: Rule number %zu\n  desc: A rule among many others, to make the file large\n"
            "  condition: >\n    evt.type in (open, openat) and proc.name = program-%zu and\n"
            "    not proc.pname in (sh, bash, zsh) and (fd.name startswith /data/%zu/ or user.uid = 0)\n"
            "  output: >\n    Something was opened (file=%%fd.name user=%%user.name command=%%proc.cmdline)\n"
            "  priority: NOTICE\n  tags: [one, two]\n",
            count, count, count);
    _cleanup_loaded_ struct loaded loaded = fixture_load_bytes(yaml.data, yaml.length);
    fixture_expect_loaded(&loaded);
    cr_expect_eq(rule_set_count(loaded.set), count);
    expect_match(loaded.set, RULE_MATCHING_ALL, "open; proc.name=program-17; fd.name=/data/17/x",
                 "Rule number 17;");
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    cr_expect(demand.any_path);
    demand_free(&demand);
}

Test(rule_files, too_large, .init = fixture_register)
{
    size_t length = (32 << 20) + 1;
    _cleanup_free_ char *data = malloc(length);
    cr_assert(data);
    memset(data, '#', length);
    _cleanup_loaded_ struct loaded loaded = fixture_load_bytes(data, length);
    cr_expect_eq(loaded.error, -EINVAL);
    cr_expect(strstr(only_problem(&loaded)->message, "larger than 32 MiB"));
    cr_expect_eq(loaded.report.problems[0].line, 0);
}

// --- Several files ---

static void remove_directory(const char *directory, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_free_ char *path = NULL;
        cr_assert_geq(asprintf(&path, "%s/%s", directory, names[i]), 0);
        unlink(path);
    }
    cr_expect_eq(rmdir(directory), 0);
}

Test(rule_files, directory, .init = fixture_register)
{
    static const char *const names[] = {"20-b.yml", "10-a.yaml", "30-c.txt", ".hidden.yaml"};
    char directory[] = "/tmp/inferscope-rules-XXXXXX";
    cr_assert(mkdtemp(directory));
    // In order of their names: the second one appends to what the first one defines.
    fixture_write(
        directory, "10-a.yaml",
        "- list: names\n  items: [a]\n" RULE_WITH("proc.name in (names)") "  warn_evttypes: false\n");
    fixture_write(directory, "20-b.yml", "- list: names\n  items: [b]\n  append: true\n");
    fixture_write(directory, "30-c.txt", "this is no rule file");
    fixture_write(directory, ".hidden.yaml", "nor is this");
    _cleanup_free_ char *file = NULL;
    cr_assert_geq(asprintf(&file, "%s/10-a.yaml", directory), 0);

    // A file that is named twice is loaded once; otherwise it would undo what was appended.
    struct rule_input inputs[] = {{.path = directory}, {.path = file}};
    _cleanup_loaded_ struct loaded loaded = {0};
    loaded.error = rule_set_load(inputs, 2, &loaded.report, &loaded.set);
    remove_directory(directory, names, ARRAY_SIZE(names));
    fixture_expect_loaded(&loaded);
    cr_expect_eq(loaded.report.problems_count, 0);
    expect_match(loaded.set, RULE_MATCHING_ALL, "execve; proc.name=a", "R;");
    expect_match(loaded.set, RULE_MATCHING_ALL, "execve; proc.name=b", "R;");
}

Test(rule_files, unreadable, .init = fixture_register)
{
    char directory[] = "/tmp/inferscope-rules-XXXXXX";
    cr_assert(mkdtemp(directory));
    _cleanup_free_ char *pipe = NULL;
    cr_assert_geq(asprintf(&pipe, "%s/pipe", directory), 0);
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    const char *const paths[] = {"/nonexistent/rules.yaml", "/dev/null", "", pipe};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct rule_input input = {.path = paths[i]};
        _cleanup_loaded_ struct loaded loaded = {0};
        loaded.error = rule_set_load(&input, 1, &loaded.report, &loaded.set);
        cr_expect_eq(loaded.error, -EINVAL);
        cr_expect_eq(only_problem(&loaded)->line, 0);
        cr_expect_str_eq(loaded.report.problems[0].code, "LOAD_ERR_FILE_READ");
        cr_expect_str_eq(loaded.report.problems[0].file, paths[i]);
        cr_expect_null(loaded.report.problems[0].line_text);
    }
    unlink(pipe);
    // A directory without rule files is a mistake too.
    struct rule_input input = {.path = directory};
    _cleanup_loaded_ struct loaded loaded = {0};
    loaded.error = rule_set_load(&input, 1, &loaded.report, &loaded.set);
    rmdir(directory);
    cr_expect_eq(loaded.error, -EINVAL);
    cr_expect_eq(only_problem(&loaded)->line, 0);
}

// One broken file stops all: rules are loaded whole or not at all, and both files' mistakes are told.
Test(rule_files, all_or_nothing, .init = fixture_register)
{
    struct rule_input inputs[] = {
        {.path = "/nonexistent/a.yaml"}, {.path = NULL}, {.path = "/nonexistent/b.yaml"}};
    _cleanup_loaded_ struct loaded loaded = {0};
    loaded.error = rule_set_load(inputs, 3, &loaded.report, &loaded.set);
    cr_expect_eq(loaded.error, -EINVAL);
    cr_expect_null(loaded.set);
    cr_expect_eq(loaded.report.errors, 2);
}
