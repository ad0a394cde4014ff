// Which probes are taken away when all together cost too much, and for how long; and which come and go
// together.
#include "base/cleanup.h"
#include "source/probe_attach.h"
#include "source/probe_budget.h"

#include <criterion/criterion.h>

enum { ITEMS = 3 };

static struct budget_item items[ITEMS];
static struct budget budget;
static time_t now;

static void begin(void)
{
    for (size_t i = 0; i < ITEMS; i++)
        items[i] = (struct budget_item){};
    budget = (struct budget){.ceiling = 0.1, .items = items, .items_count = ITEMS};
    now = 1000;
}

TestSuite(source_probe_budget, .init = begin);

// So many seconds in which each item takes so much of one; what is shed takes nothing. The last one shed.
static int spend(double first, double second, double third, int seconds)
{
    int last = -1;
    for (int i = 0; i < seconds; i++, now++) {
        double spent[ITEMS] = {items[0].shed ? 0 : first, items[1].shed ? 0 : second,
                               items[2].shed ? 0 : third};
        int shed = budget_spend(&budget, spent, 1, now);
        last = shed >= 0 ? shed : last;
    }
    return last;
}

Test(source_probe_budget, below_the_ceiling_nothing_happens)
{
    cr_expect_eq(spend(0.05, 0.03, 0.01, 1000), -1);
}

Test(source_probe_budget, without_a_ceiling_nothing_happens)
{
    budget.ceiling = 0;
    cr_expect_eq(spend(5, 5, 5, 1000), -1);
}

Test(source_probe_budget, a_peak_is_forgiven)
{
    for (int i = 0; i < 20; i++) {
        cr_expect_eq(spend(1, 0, 0, BUDGET_OVER_S - 1), -1);
        cr_expect_eq(spend(0.1, 0, 0, 1), -1);
    }
}

Test(source_probe_budget, the_dearest_goes_first)
{
    cr_expect_eq(spend(0.05, 0.2, 0.08, BUDGET_OVER_S), 1);
    cr_expect_float_eq(budget.shed_share, 0.33, 1e-9);
    cr_expect_float_eq(budget.shed_own_share, 0.2, 1e-9);
    cr_expect(items[1].shed && !items[0].shed && !items[2].shed);
    // The rest is still too much.
    cr_expect_eq(spend(0.05, 0.2, 0.08, BUDGET_OVER_S - 1), -1);
    cr_expect_eq(spend(0.05, 0.2, 0.08, 1), 2);
    cr_expect_eq(spend(0.05, 0.2, 0.08, 100), -1);
}

Test(source_probe_budget, it_comes_back_and_stays_where_it_is_cheap)
{
    spend(1, 0, 0, BUDGET_OVER_S);
    now += BUDGET_WAIT_S - 2;
    cr_expect_eq(budget_resume(&budget, now), -1);
    now += 1;
    cr_expect_eq(budget_resume(&budget, now), 0);
    cr_expect_eq(budget_resume(&budget, now), -1);
    cr_expect_eq(spend(0.05, 0, 0, 1000), -1);
    // After so long it is as if it had never been shed.
    cr_expect_eq(spend(1, 0, 0, BUDGET_OVER_S), 0);
    cr_expect_eq(items[0].wait_s, BUDGET_WAIT_S);
}

Test(source_probe_budget, who_is_too_dear_again_stays_away_longer)
{
    static const int waits[] = {60, 120, 240, 480, 960, 1920, 3600, 3600};
    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        cr_expect_eq(spend(1, 0, 0, BUDGET_OVER_S), 0);
        cr_expect_eq(items[0].wait_s, waits[i]);
        now = items[0].changed + waits[i];
        cr_expect_eq(budget_resume(&budget, now), 0);
    }
}

static const char *const libraries[] = {"x", NULL};

static void expect_groups(const struct probe_kind *kind, const char *expected)
{
    uint8_t groups[32];
    probe_groups(kind, groups);
    for (size_t i = 0; i < kind->symbols_count; i++)
        cr_expect_eq(groups[i], expected[i] - '0', "%zu: %u", i, groups[i]);
}

Test(source_probe_budget, who_shares_a_program_goes_together)
{
    static const struct probe_symbol symbols[] = {
        {"a", "enter_a", "leave"}, {"b", "enter_b", NULL},    {"c", "enter_c", "leave_c"},
        {"d", "enter_d", "leave"}, {"e", "enter_c", "leave"}, {"f", "leave", NULL},
    };
    struct probe_kind kind = {
        .name = "x", .libraries = libraries, .symbols = symbols, .symbols_count = ARRAY_SIZE(symbols)};
    // Through e, c is with a and d; f's program has another place in its function.
    expect_groups(&kind, "010005");
    kind.whole = true;
    expect_groups(&kind, "000000");
}
