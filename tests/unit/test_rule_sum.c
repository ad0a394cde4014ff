// What rules add up: net.egress.sum[10m].
#include "container.h"
#include "rule_fixture.h"

#include "rule/rule_set.h"
#include "rule/sum.h"

#include <errno.h>

#define S UINT64_C(1000000000)
#define SUM "evt.type = egress and net.egress.sum[10m]"

TestSuite(rule_sum, .init = fixture_register);

static struct container container;

struct sent {
    struct rule_set *set;
    uint64_t cgroup_id;
    const struct container *container;
    bool adds_only;
    enum rule_matching matching;
    char told[64]; // the latest rule that was told, and its output
};

static void tell(const struct rule *rule, const struct event *event, void *context)
{
    struct sent *sent = context;
    struct text output = TEXT_INIT(64);
    rule_output_render(rule->output, event, &output);
    snprintf(sent->told, sizeof(sent->told), "%s: %s", rule->name, text_string(&output));
    text_free(&output);
}

// How many rules are told of so many bytes to that name.
static size_t send_to(struct sent *sent, const char *name, uint64_t bytes, uint64_t at_s)
{
    struct made_event made;
    char text[128];
    snprintf(text, sizeof(text), "egress; fd.sip.name=%s; net.egress.sent=%llu", name,
             (unsigned long long)bytes);
    fixture_event(&made, text);
    made.wire.time_ns = at_s * S;
    made.wire.cgroup_id = sent->cgroup_id;
    made.event.container = sent->container;
    made.event.adds_only = sent->adds_only;
    return rule_set_match(sent->set, &made.event, sent->matching, tell, sent);
}

static struct sent sent_to(const struct loaded *loaded)
{
    fixture_expect_loaded(loaded);
    return (struct sent){
        .set = loaded->set, .cgroup_id = 1, .adds_only = true, .matching = RULE_MATCHING_ALL};
}

Test(rule_sum, over_all_destinations_for_which_the_rest_holds)
{
    _cleanup_loaded_ struct loaded loaded =
        fixture_load("- rule: R\n  desc: d\n  priority: Notice\n"
                     "  output: \"%net.egress.sum %net.egress.sum[10m]\"\n"
                     "  condition: " SUM " > 100 and not fd.sip.name in (known)\n");
    struct sent sent = sent_to(&loaded);
    cr_expect_eq(send_to(&sent, "a", 40, 1000), 0);
    cr_expect_eq(send_to(&sent, "known", 1000, 1000), 0);
    cr_expect_eq(send_to(&sent, "b", 60, 1001), 0);
    cr_expect_eq(send_to(&sent, "c", 1, 1002), 1);
    cr_expect_str_eq(sent.told, "R: 101 101");
    cr_expect_eq(send_to(&sent, "a", 500, 1003), 0);
    cr_expect_eq(send_to(&sent, "known", 1000, 1004), 0);
}

Test(rule_sum, told_again_once_it_has_fallen)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(RULE_WITH(SUM " >= 100"));
    struct sent sent = sent_to(&loaded);
    cr_expect_eq(send_to(&sent, "a", 60, 6000), 0);
    cr_expect_eq(send_to(&sent, "a", 40, 6300), 1);
    // The first is in the sum for ten minutes, and up to ten seconds more.
    cr_expect_eq(send_to(&sent, "a", 60, 6600), 0);
    cr_expect_eq(send_to(&sent, "a", 0, 6605), 0);
    cr_expect_eq(send_to(&sent, "a", 0, 6610), 0); // 100: still
    cr_expect_eq(send_to(&sent, "a", 0, 6911), 0); // 60
    cr_expect_eq(send_to(&sent, "a", 39, 6911), 0);
    cr_expect_eq(send_to(&sent, "a", 1, 6911), 1);
    // It falls and comes back between two events.
    cr_expect_eq(send_to(&sent, "a", 100, 20000), 1);
    // A clock reading from before changes nothing.
    cr_expect_eq(send_to(&sent, "a", 100, 19000), 0);
}

Test(rule_sum, a_window_is_as_long_as_it_says_and_up_to_one_slot_more)
{
    _cleanup_loaded_ struct loaded loaded =
        fixture_load(RULE_WITH("evt.type = egress and net.egress.sum[1h] > 1"));
    for (uint64_t begin = 36000; begin < 36060; begin += 7) {
        struct sent sent = sent_to(&loaded);
        sent.cgroup_id = begin;
        cr_expect_eq(send_to(&sent, "a", 1, begin), 0);
        cr_expect_eq(send_to(&sent, "a", 1, begin + 3599), 1, "begun at %zu", (size_t)begin);
        sent.cgroup_id = begin + 1;
        cr_expect_eq(send_to(&sent, "a", 1, begin), 0);
        cr_expect_eq(send_to(&sent, "a", 1, begin + 3660), 0, "begun at %zu", (size_t)begin);
    }
}

Test(rule_sum, by_container_or_else_by_cgroup)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(RULE_WITH(SUM " > 10"));
    struct sent sent = sent_to(&loaded);
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 0);
    sent.cgroup_id = 2;
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 0);
    sent.container = &container;
    strcpy(container.id, "abc");
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 0);
    strcpy(container.id, "abcd");
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 0);
    // Another cgroup of the same container.
    sent.cgroup_id = 1;
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 1);
}

Test(rule_sum, rules_without_one_are_not_told_of_what_is_only_added_up)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(
        "- rule: every\n  desc: d\n  priority: Notice\n  output: o\n  condition: evt.type = egress\n"
        "- rule: sum\n  desc: d\n  priority: Notice\n  output: o\n  condition: " SUM " > 10\n");
    struct sent sent = sent_to(&loaded);
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 0);
    sent.adds_only = false;
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 2);
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 1);
    _cleanup_loaded_ struct loaded without = fixture_load(RULE_WITH("evt.type = egress"));
    sent = sent_to(&without);
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 0);
}

Test(rule_sum, adds_up_what_an_earlier_rule_has_taken)
{
    _cleanup_loaded_ struct loaded loaded =
        fixture_load("- rule: new\n  desc: d\n  priority: Notice\n  output: o\n"
                     "  condition: evt.type = egress and fd.sip.name = new\n"
                     "- rule: sum\n  desc: d\n  priority: Notice\n  output: o\n  condition: " SUM " > 10\n");
    struct sent sent = sent_to(&loaded);
    sent.matching = RULE_MATCHING_FIRST;
    sent.adds_only = false;
    cr_expect_eq(send_to(&sent, "new", 6, 1000), 1);
    cr_expect_eq(send_to(&sent, "new", 6, 1000), 1);
    cr_expect_str_eq(sent.told, "new: o");
    // It is more than the number now, which the next event tells.
    cr_expect_eq(send_to(&sent, "old", 0, 1001), 1);
    cr_expect_str_eq(sent.told, "sum: o");
    cr_expect_eq(send_to(&sent, "old", 1, 1002), 0);
}

Test(rule_sum, loaded_again)
{
    static const char rule[] =
        "- rule: %s\n  desc: d\n  priority: %s\n  output: o\n  condition: " SUM " > %d\n";
    static const struct {
        const char *name, *priority;
        int limit;
        bool kept;
    } cases[] = {{"R", "Notice", 10, true},
                 {"R", "Warning", 10, true},
                 {"Q", "Notice", 10, false},
                 {"R", "Notice", 11, false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[512];
        snprintf(text, sizeof(text), rule, "R", "Notice", 10);
        _cleanup_loaded_ struct loaded before = fixture_load(text);
        struct sent sent = sent_to(&before);
        cr_expect_eq(send_to(&sent, "a", 8, 1000), 0);
        sent.cgroup_id = 2;
        cr_expect_eq(send_to(&sent, "a", 18, 1000), 1);
        snprintf(text, sizeof(text), rule, cases[i].name, cases[i].priority, cases[i].limit);
        _cleanup_loaded_ struct loaded after = fixture_load(text);
        sent = sent_to(&after);
        rule_set_inherit(after.set, before.set);
        cr_expect_eq(send_to(&sent, "b", 8, 1001), cases[i].kept, "%zu", i);
        // What was told is not told again.
        sent.cgroup_id = 2;
        cr_expect_eq(send_to(&sent, "b", 12, 1001), !cases[i].kept, "%zu", i);
    }
    _cleanup_loaded_ struct loaded with = fixture_load(RULE_WITH(SUM " > 10"));
    _cleanup_loaded_ struct loaded without = fixture_load(RULE_WITH("evt.type = egress"));
    rule_set_inherit(with.set, without.set);
    rule_set_inherit(without.set, with.set);
}

Test(rule_sum, no_more_than_there_is_room_for)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(RULE_WITH(SUM " > 10"));
    struct sent sent = sent_to(&loaded);
    for (sent.cgroup_id = 1; sent.cgroup_id <= SUMS_MAX; sent.cgroup_id++)
        send_to(&sent, "a", 6, 1000);
    // The first is used again, so the second goes.
    sent.cgroup_id = 1;
    cr_expect_eq(send_to(&sent, "a", 1, 1000), 0);
    sent.cgroup_id = SUMS_MAX + 1;
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 0);
    cr_expect_eq(sums_count(loaded.set->sums), SUMS_MAX);
    sent.cgroup_id = 1;
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 1);
    sent.cgroup_id = 2;
    cr_expect_eq(send_to(&sent, "a", 6, 1000), 0);
    cr_expect_eq(sums_count(loaded.set->sums), SUMS_MAX);
}

Test(rule_sum, what_the_sources_are_asked_for)
{
    static const struct {
        const char *rule;
        bool sums;
    } cases[] = {{RULE_WITH(SUM " > 10"), true},
                 {RULE_WITH("evt.type = egress and net.egress.sent > 10"), false},
                 {RULE_WITH(SUM " > 10") "  enabled: false\n", false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_loaded_ struct loaded loaded = fixture_load(cases[i].rule);
        struct demand demand = {0}, sum = {0};
        fixture_expect_loaded(&loaded);
        rule_set_demand(loaded.set, &demand);
        cr_expect_eq(demand.sums, cases[i].sums, "%zu", i);
        cr_expect_eq(demand.thresholds_count, 0);
        demand_add(&sum, &demand);
        cr_expect_eq(sum.sums, cases[i].sums, "%zu", i);
        demand_free(&demand);
        demand_free(&sum);
    }
}

// --- What it may look like ---

#define MACROS                                               \
    "- macro: much\n  condition: net.egress.sum[10m] > 10\n" \
    "- macro: outside\n  condition: (evt.type = egress and much)\n"

Test(rule_sum, where_it_may_stand)
{
    static const char *const conditions[] = {
        SUM " > 10",
        "net.egress.sum[10m] > 10",
        "evt.type in (connect, egress) and (net.egress.sum[60m] >= 1 and proc.name = cat)",
        "proc.name = cat and net.egress.sum[1m] > 0 and (fd.sip.name = a or not fd.sip.name = b)",
        "outside and not fd.sip.name = a",
        "net.egress.sum[60s] > 1",
        "net.egress.sum[1h] > 1",
        "net.egress.sum[\"5m\"] > 1",
    };
    for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
        char text[1024];
        snprintf(text, sizeof(text), MACROS RULE_WITH("%s"), conditions[i]);
        _cleanup_loaded_ struct loaded loaded = fixture_load(text);
        fixture_expect_loaded(&loaded);
    }
}

Test(rule_sum, where_it_may_not)
{
    static const char and[] = "joined to the rest by `and`", time[] = "a time in whole minutes",
                      shape[] = "compared by > or >=, with a number";
    static const struct {
        const char *condition;
        const char *at; // the last of its kind in the condition, or in the macros
        const char *says;
    } cases[] = {
        {"evt.type = egress or net.egress.sum[10m] > 5", "net.egress.sum[10m] > 5", and},
        {"evt.type = egress and not net.egress.sum[10m] > 5", "net.egress.sum[10m] > 5", and},
        {"evt.type = egress and (proc.name = a or net.egress.sum[10m] > 5)", "net.egress.sum[10m] > 5", and},
        {"evt.type = egress and not much", "net.egress.sum[10m] > 10", and},
        {"not outside", "net.egress.sum[10m] > 10", and},
        {SUM " = 5", "net.egress.sum", shape},
        {SUM " < 5", "net.egress.sum", shape},
        {SUM " exists", "net.egress.sum", shape},
        {SUM " in (5)", "net.egress.sum", shape},
        {SUM " > val(net.egress.bytes)", "net.egress.sum", shape},
        {"evt.type = egress and net.egress.bytes > val(net.egress.sum[10m])", "net.egress.sum", shape},
        {SUM " >= 0", "net.egress.sum", "0 or more"},
        {"evt.type = egress and net.egress.sum > 5", "net.egress.sum", "needs an argument"},
        {SUM " > 5 and net.egress.sum[1m] > 7", "net.egress.sum[1m]", "can have one"},
        {"outside and net.egress.sum[1m] > 7", "net.egress.sum[1m]", "can have one"},
        {"evt.type = connect and net.egress.sum[1m] > 7", "net.egress.sum[1m]",
         "only events of the type egress"},
        {"not evt.type = egress and net.egress.sum[1m] > 7", "net.egress.sum[1m]", "of the type egress"},
        {"evt.type = egress and net.egress.sum[0m] > 7", "0m]", time},
        {"evt.type = egress and net.egress.sum[61m] > 7", "61m]", time},
        {"evt.type = egress and net.egress.sum[2h] > 7", "2h]", time},
        {"evt.type = egress and net.egress.sum[90s] > 7", "90s]", time},
        {"evt.type = egress and net.egress.sum[10] > 7", "10] > 7", time},
        {"evt.type = egress and net.egress.sum[m] > 7", "m] > 7", time},
        {"evt.type = egress and net.egress.sum[1m30s] > 7", "1m30s]", time},
        {"evt.type = egress and net.egress.sum[-1m] > 7", "-1m]", time},
        {"evt.type = egress and net.egress.sum[18446744073709551617m] > 7", "18446744073709551617m]", time},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[1024];
        snprintf(text, sizeof(text), MACROS RULE_WITH("%s"), cases[i].condition);
        _cleanup_loaded_ struct loaded loaded = fixture_load(text);
        cr_expect_eq(loaded.error, -EINVAL, "%s", cases[i].condition);
        cr_expect_eq(loaded.report.errors, 1, "%zu errors in: %s", loaded.report.errors, cases[i].condition);
        for (size_t k = 0; k < loaded.report.problems_count; k++) {
            const struct rule_problem *problem = &loaded.report.problems[k];
            if (problem->severity != RULE_ERROR)
                continue;
            cr_expect(strstr(problem->message, cases[i].says), "\"%s\" lacks \"%s\"", problem->message,
                      cases[i].says);
            cr_expect_eq(strncmp(text + problem->offset, cases[i].at, strlen(cases[i].at)), 0,
                         "at \"%.30s\" instead of \"%s\" in: %s", text + problem->offset, cases[i].at,
                         cases[i].condition);
        }
    }
}

Test(rule_sum, not_in_an_exception)
{
    _cleanup_loaded_ struct loaded loaded =
        fixture_load(RULE_WITH("evt.type = egress") "  exceptions:\n    - name: e\n"
                                                    "      fields: ['net.egress.sum[10m]']\n"
                                                    "      comps: ['>']\n"
                                                    "      values:\n        - [5]\n");
    cr_expect_eq(loaded.error, -EINVAL);
    cr_assert_eq(loaded.report.errors, 1);
    cr_expect(strstr(loaded.report.problems[0].message, "an exception"), "%s",
              loaded.report.problems[0].message);
    cr_expect_eq(loaded.report.problems[0].line, 8);
}

Test(rule_sum, in_an_output)
{
    static const struct {
        const char *output, *condition, *says; // NULL: nothing is wrong
    } cases[] = {
        {"%net.egress.sum", SUM " > 5", NULL},
        {"%net.egress.sum[600s]", SUM " > 5", NULL},
        {"%net.egress.sum[5m]", SUM " > 5", "over another time"},
        {"%net.egress.sum[10m]", "evt.type = egress", "adds up nothing"},
        {"%net.egress.sum[soon]", SUM " > 5", "a time in whole minutes"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "- rule: R\n  desc: d\n  priority: Notice\n  output: a \"%s\"\n  condition: %s\n",
                 cases[i].output, cases[i].condition);
        _cleanup_loaded_ struct loaded loaded = fixture_load(text);
        cr_expect_eq(loaded.error, cases[i].says ? -EINVAL : 0, "%s", cases[i].output);
        cr_expect_eq(loaded.report.errors, cases[i].says ? 1 : 0, "%s", cases[i].output);
        if (cases[i].says && loaded.report.errors == 1)
            cr_expect(strstr(loaded.report.problems[0].message, cases[i].says), "%s",
                      loaded.report.problems[0].message);
    }
}
