// The probes of agent.yaml: what is understood, what is refused, and where.
#include "config_texts.h"

Test(config_probes, probes_of_each_measure)
{
    struct config *config _cleanup_(config_free) =
        accept("probes_budget: 2.5%\n"
               "probes:\n"
               "  - {name: a, files: [libx.so*, /opt/x], symbol: f, measure: count}\n"
               "  - {name: b, files: [x], symbol: f, measure: latency, throws: true, help: what it is}\n"
               "  - {name: c, files: [x], symbol: f, measure: amount, argument: 2, bits: 32, unit: bytes}\n"
               "  - {name: d_2, files: [x], symbol: f, measure: amounts, argument: 6}\n");
    static const char *const metrics[] = {"inferscope_probe_a", "inferscope_probe_b_seconds",
                                          "inferscope_probe_c_bytes", "inferscope_probe_d_2"};
    cr_assert_eq(config->probes_count, 4);
    cr_expect_float_eq(config->probes_budget, 2.5, 1e-12);
    for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
        char metric[CONFIG_METRIC_MAX];
        config_probe_metric(&config->probes[i], metric);
        cr_expect_str_eq(metric, metrics[i]);
    }
    cr_expect_str_eq(config->probes[0].files.items[1], "/opt/x");
    cr_expect(config->probes[1].throws && !config->probes[0].throws);
    cr_expect_eq(config->probes[2].argument, 2);
    cr_expect(config->probes[2].bits == 1 && config->probes[3].bits == 0);
}

Test(config_probes, probes_are_shown_and_compared)
{
    struct config *config _cleanup_(config_free) =
        accept("probes:\n"
               "  - {name: a, files: ['*/x'], symbol: f, measure: amount, argument: 1}\n");
    _cleanup_free_ char *shown = show(config);
    struct config *again _cleanup_(config_free) = accept(shown);
    _cleanup_free_ char *twice = show(again);
    cr_expect_str_eq(shown, twice);
    cr_expect_eq(again->probes[0].measure, MEASURED_AMOUNT);
    char changes[1024] = "";
    config_compare(config, again, note_change, changes);
    cr_expect_str_eq(changes, "");
    again->probes[0].argument = 2;
    config_compare(config, again, note_change, changes);
    cr_expect(strstr(changes, "probes"), "%s", changes);
}

#define PROBE(rest) "probes:\n  - {name: a, files: [x], symbol: f, " rest "}\n"

Test(config_probes, probes_that_are_refused)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"probes: {name: a}\n", "T:1:9: error: probes is a list"},
        {"probes:\n  - x\n", "T:2:5: error: a probe is a mapping"},
        {"probes:\n  - {name: a}\n", "T:2:5: error: a probe needs files"},
        {PROBE("measure: time"), "T:2:47: error: probes[0].measure"},
        {PROBE("measure: amount"), "which argument is the amount?"},
        {PROBE("measure: count, argument: 1"), "argument is for measure: amount"},
        {PROBE("measure: amount, argument: 7"), "from 1 to 6"},
        {PROBE("measure: count, throws: true"), "throws is for measure: latency"},
        {PROBE("measure: count, path: /x"), "a probe has no path; outputs of type file and unix have it"},
        {PROBE("measure: count, symbl: g"), "did you mean \"symbol\"?"},
        {"probes:\n  - {name: a-b, files: [x], symbol: f, measure: count}\n", "T:2:6: error: a probe's name"},
        {"probes:\n  - {name: files, files: [x], symbol: f, measure: count}\n",
         "the agent itself has a metric"},
        {"probes:\n  - {name: a_sum, files: [x], symbol: f, measure: count}\n", "_sum is what"},
        {"probes:\n  - {name: a, files: [], symbol: f, measure: count}\n", "needs the names of some files"},
        {PROBE("measure: count") "  - {name: a, files: [y], symbol: g, measure: count}\n",
         "T:3:6: error: the probe in line 2 gives the metric inferscope_probe_a, too"},
        {"probes_budget: 5\n", "a percentage from 0% to 100%"},
        {"probes_budget: 101%\n", "a percentage from 0% to 100%"},
        {"outputs:\n  - {type: stdout, symbol: f}\n", "there is no key \"symbol\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_problem(cases[i].text, cases[i].words);
}
