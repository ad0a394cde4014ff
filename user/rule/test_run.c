// Files of tests: events, and which rules must match them.
#include "rule_test.h"

#include "base/cleanup.h"
#include "given.h"
#include "problem.h"

#include <errno.h>
#include <string.h>

struct runner {
    const struct file *file;
    struct arena arena;
    struct rule_report report;
    struct rule_set *set;
    enum rule_matching matching;
    FILE *stream;
    struct rule_test_result result;
};

static void runner_free(struct runner *runner)
{
    rule_set_free(&runner->set);
    rule_report_free(&runner->report);
    arena_free(&runner->arena);
}

__attribute__((format(printf, 3, 4))) static bool fail(struct runner *runner, const struct node *node,
                                                       const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    problem_at(&runner->report, RULE_ERROR, CODE_ITEM, place_of(runner->file, node), "%s", message);
    return false;
}

// --- What all tests of the file share ---

static bool check_keys(struct runner *runner, const struct node *map, const char *const *known)
{
    for (const struct node *key = map->first; key; key = key->next) {
        size_t i = 0;
        while (known[i] && !node_is(key, known[i]))
            i++;
        if (!known[i])
            return fail(runner, key, "\"%.40s\" is not a known key here", key->text);
    }
    return true;
}

static bool read_bool(struct runner *runner, const struct node *map, const char *key, bool *ret_truth)
{
    const struct node *node = node_get(map, key);
    if (node && !node_is(node, "true") && !node_is(node, "false"))
        return fail(runner, node, "\"%s\" is true or false", key);
    *ret_truth = node && node_is(node, "true");
    return true;
}

static bool read_matching(struct runner *runner, const struct node *map, enum rule_matching *ret_matching)
{
    const struct node *node = node_get(map, "matching");
    if (node && !node_is(node, "first") && !node_is(node, "all"))
        return fail(runner, node, "\"matching\" is first or all");
    if (node)
        *ret_matching = node_is(node, "all") ? RULE_MATCHING_ALL : RULE_MATCHING_FIRST;
    return true;
}

// A list of texts, or one text alone; the next of them after `last`.
static const struct node *next_text(const struct node *node, const struct node *last)
{
    if (!node || node->kind == NODE_SCALAR)
        return last ? NULL : node;
    return last ? last->next : node->first;
}

static bool check_texts(struct runner *runner, const struct node *map, const char *key)
{
    const struct node *node = node_get(map, key);
    if (node && node->kind == NODE_MAPPING)
        return fail(runner, node, "\"%s\" is a list of texts", key);
    for (const struct node *text = next_text(node, NULL); text; text = next_text(node, text))
        if (text->kind != NODE_SCALAR || text->length == 0)
            return fail(runner, text, "\"%s\" is a list of texts", key);
    return true;
}

static size_t count_texts(const struct node *node)
{
    size_t count = 0;
    for (const struct node *text = next_text(node, NULL); text; text = next_text(node, text))
        count++;
    return count;
}

// The path as seen from the test file.
static const char *relative_path(struct runner *runner, const struct node *path)
{
    const char *slash = path->text[0] == '/' ? NULL : strrchr(runner->file->name, '/');
    size_t length = slash ? (size_t)(slash - runner->file->name) + 1 : 0;
    char *joined = arena_alloc(&runner->arena, length + path->length + 1);
    if (joined) {
        memcpy(joined, runner->file->name, length);
        memcpy(joined + length, path->text, path->length);
    }
    return joined;
}

static bool read_switches(struct runner *runner, const struct node *map, const char *key, bool enable,
                          struct rule_options *options)
{
    const struct node *node = node_get(map, key);
    if (!check_texts(runner, map, key))
        return false;
    for (const struct node *text = next_text(node, NULL); text; text = next_text(node, text))
        options->switches[options->switches_count++] =
            (struct rule_switch){.what = text->text, .enable = enable};
    return true;
}

static bool check_switches(struct runner *runner, const struct node *map, const struct rule_options *options)
{
    for (size_t i = 0; i < options->switches_count; i++)
        if (!options->switches[i].matched)
            return fail(runner, node_get(map, options->switches[i].enable ? "enable" : "disable"),
                        "there is no rule \"%.80s\"", options->switches[i].what);
    return true;
}

static bool load_rules(struct runner *runner, const struct node *map)
{
    bool builtin;
    const struct node *paths = node_get(map, "rules");
    struct rule_options options = RULE_OPTIONS_INIT;
    if (!read_bool(runner, map, "builtin", &builtin) || !check_texts(runner, map, "rules"))
        return false;
    struct rule_input *inputs = arena_alloc(&runner->arena, (count_texts(paths) + 1) * sizeof(*inputs));
    options.switches = arena_alloc(
        &runner->arena, (count_texts(node_get(map, "enable")) + count_texts(node_get(map, "disable")) + 1) *
                            sizeof(*options.switches));
    if (!inputs || !options.switches)
        return false;
    size_t count = builtin ? 1 : 0;
    for (const struct node *path = next_text(paths, NULL); path; path = next_text(paths, path)) {
        inputs[count].path = relative_path(runner, path);
        if (!inputs[count++].path)
            return false;
    }
    if (count == 0)
        return fail(runner, map, "the file names no rules: write builtin: true, or rules: [FILE]");
    if (!read_switches(runner, map, "disable", false, &options) ||
        !read_switches(runner, map, "enable", true, &options))
        return false;

    struct rule_report report;
    int error = rule_set_load_with(&options, inputs, count, &report, &runner->set);
    if (error)
        rule_report_print(&report, runner->stream, false);
    if (error == -EINVAL)
        fail(runner, paths ? paths : map, "the rules have %zu errors", report.errors);
    rule_report_free(&report);
    return !error && check_switches(runner, map, &options);
}

// --- One test ---

struct fired {
    const struct rule **rules;
    size_t count;
};

static void add_fired(const struct rule *rule, const struct event *event, void *context)
{
    (void)event;
    struct fired *fired = context;
    fired->rules[fired->count++] = rule;
}

static bool has_fired(const struct fired *fired, const struct rule *rule)
{
    for (size_t i = 0; i < fired->count; i++)
        if (fired->rules[i] == rule)
            return true;
    return false;
}

// NULL: there is no such rule, or it could never fire, which was said.
static const struct rule *find_rule(struct runner *runner, const struct node *name)
{
    for (size_t i = 0; name->kind == NODE_SCALAR && i < rule_set_count(runner->set); i++) {
        const struct rule *rule = rule_set_at(runner->set, i);
        if (strcmp(rule->name, name->text) != 0)
            continue;
        if (!rule->enabled)
            fail(runner, name, "the rule \"%.80s\" is off: add enable: [\"%.80s\"] to the file", rule->name,
                 rule->name);
        return rule->enabled ? rule : NULL;
    }
    if (name->kind == NODE_SCALAR)
        fail(runner, name, "there is no rule \"%.80s\"", name->text);
    else
        fail(runner, name, "this is the name of a rule");
    return NULL;
}

static void add_got(struct text *text, const struct fired *fired)
{
    text_add(text, "      got:      ");
    for (size_t i = 0; i < fired->count; i++)
        text_addf(text, "%s\"%s\"", i ? ", " : "", fired->rules[i]->name);
    text_add(text, fired->count ? "\n" : "no rule\n");
}

static bool check_output(struct runner *runner, const struct rule *rule, const struct given *given,
                         const struct node *wanted, struct text *text)
{
    _cleanup_text_ struct text output = TEXT_INIT(1 << 20);
    size_t length = wanted->length;
    if (wanted->kind != NODE_SCALAR)
        return fail(runner, wanted, "\"output\" is a text");
    // A folded scalar ends with a line break.
    while (length > 0 && wanted->text[length - 1] == '\n')
        length--;
    rule_output_render(rule->output, &given->event, &output);
    if (output.length != length || memcmp(text_string(&output), wanted->text, length) != 0)
        text_addf(text, "      expected output of \"%s\": %.*s\n      got: %s\n", rule->name, (int)length,
                  wanted->text, text_string(&output));
    return true;
}

static bool check_expected(struct runner *runner, const struct node *expect, const struct given *given,
                           const struct fired *fired, struct text *text)
{
    static const char *const known[] = {"rule", "output", NULL};
    for (const struct node *item = expect->first; item; item = item->next) {
        bool map = item->kind == NODE_MAPPING;
        if (map && !check_keys(runner, item, known))
            return false;
        const struct node *name = map ? node_get(item, "rule") : item;
        const struct node *output = map ? node_get(item, "output") : NULL;
        if (!name)
            return fail(runner, item, "this names no \"rule\"");
        const struct rule *rule = find_rule(runner, name);
        if (!rule)
            return false;
        if (!has_fired(fired, rule)) {
            text_addf(text, "      expected: \"%s\"\n", rule->name);
            add_got(text, fired);
        } else if (output && !check_output(runner, rule, given, output, text)) {
            return false;
        }
    }
    return true;
}

static bool check_not(struct runner *runner, const struct node *names, const struct fired *fired,
                      struct text *text)
{
    for (const struct node *name = next_text(names, NULL); name; name = next_text(names, name)) {
        const struct rule *rule = find_rule(runner, name);
        if (!rule)
            return false;
        if (!has_fired(fired, rule))
            continue;
        text_addf(text, "      expected: not \"%s\"\n", rule->name);
        add_got(text, fired);
    }
    return true;
}

static bool judge(struct runner *runner, const struct node *test, struct arena *arena, struct text *text)
{
    const struct node *map = node_get(test, "event"), *expect = node_get(test, "expect");
    const struct node *names = node_get(test, "not");
    enum rule_matching matching = runner->matching;
    bool none;
    if (!map)
        return fail(runner, test, "the test has no \"event\"");
    if (!read_bool(runner, test, "expect_none", &none) || !read_matching(runner, test, &matching) ||
        !check_texts(runner, test, "not"))
        return false;
    if (expect && (expect->kind != NODE_SEQUENCE || !expect->first))
        return fail(runner, expect, "\"expect\" is a list of rules");
    if (!expect && !count_texts(names) && !none)
        return fail(runner, test, "the test expects nothing: add expect, not, or expect_none: true");
    struct given *given = given_read(runner->file, map, arena, &runner->report);
    struct fired fired = {.rules =
                              arena_alloc(arena, (rule_set_count(runner->set) + 1) * sizeof(*fired.rules))};
    if (!given || !fired.rules)
        return false;
    rule_set_match(runner->set, &given->event, matching, add_fired, &fired);
    if (none && fired.count) {
        text_add(text, "      expected: no rule\n");
        add_got(text, &fired);
    }
    return (!expect || check_expected(runner, expect, given, &fired, text)) &&
           check_not(runner, names, &fired, text);
}

// False: the test makes no sense, which is in the report.
static bool run_test(struct runner *runner, const struct node *test)
{
    static const char *const known[] = {"name", "event", "expect", "not", "expect_none", "matching", NULL};
    _cleanup_text_ struct text text = TEXT_INIT(1 << 20);
    _cleanup_arena_ struct arena arena = {0};
    if (test->kind != NODE_MAPPING)
        return fail(runner, test, "a test is a map with name, event and expect");
    const struct node *name = node_get(test, "name");
    if (!name || name->kind != NODE_SCALAR)
        return fail(runner, name ? name : test, "the test needs a \"name\"");
    if (!check_keys(runner, test, known) || !judge(runner, test, &arena, &text))
        return false;
    if (text.length == 0) {
        runner->result.passed++;
        return true;
    }
    unsigned line, column;
    file_position(runner->file, test->offset, &line, &column);
    runner->result.failed++;
    fprintf(runner->stream, "  FAILED: %s (%s:%u:%u)\n%s", name->text, runner->file->name, line, column,
            text_string(&text));
    return true;
}

static bool run_tests(struct runner *runner, const struct node *documents)
{
    static const char *const known[] = {"rules", "builtin", "enable", "disable", "matching", "tests", NULL};
    const struct node *map = documents->first;
    if (!map || map->kind != NODE_MAPPING || map->next)
        return fail(runner, map, "a test file is one map with rules and tests");
    const struct node *tests = node_get(map, "tests");
    if (!check_keys(runner, map, known) || !read_matching(runner, map, &runner->matching))
        return false;
    if (!tests || tests->kind != NODE_SEQUENCE || !tests->first)
        return fail(runner, tests ? tests : map, "the file has no \"tests\": write them as a list");
    if (!load_rules(runner, map))
        return false;
    bool ok = true;
    for (const struct node *test = tests->first; test; test = test->next)
        ok = run_test(runner, test) && ok;
    return ok;
}

static int read_file(struct runner *runner, const char *path)
{
    struct stat status;
    struct file *file = arena_alloc(&runner->arena, sizeof(*file));
    _cleanup_close_ int fd = file_open(path, &status);
    int error = fd < 0 ? fd : file ? file_read(fd, &runner->arena, &file->data, &file->length) : -ENOMEM;
    if (error == -ENOMEM)
        return error;
    if (error) {
        fprintf(runner->stream, "  FAILED: %s\n", file_error(error));
        return -EINVAL;
    }
    file->name = path;
    runner->file = file;
    return file_index(file, &runner->arena) ? 0 : -ENOMEM;
}

int rule_test_run(const char *path, FILE *stream, struct rule_test_result *ret_result)
{
    struct runner runner _cleanup_(runner_free) = {.matching = RULE_MATCHING_ALL, .stream = stream};
    fprintf(stream, "%s\n", path);
    int error = read_file(&runner, path);
    if (error)
        return error;
    const struct node *documents = rule_yaml_read(runner.file, &runner.arena, &runner.report);
    bool ok = documents && run_tests(&runner, documents);
    if (!ok && !runner.report.errors)
        return -ENOMEM;
    rule_report_print(&runner.report, stream, false);
    size_t count = runner.result.passed + runner.result.failed;
    if (ok && runner.result.failed == 0)
        fprintf(stream, "  SUCCESS: %zu tests\n", count);
    else
        fprintf(stream, "  FAILED: %zu of %zu tests%s\n", runner.result.failed, count,
                ok ? "" : "; the file has errors");
    *ret_result = runner.result;
    return ok ? 0 : -EINVAL;
}
