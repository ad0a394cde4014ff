// Who pays for what the programs of probes took.
#include "base/cleanup.h"
#include "source/probe_charge.h"

#include <criterion/criterion.h>

enum { FIRST, SECOND, OWN, COUNT };

// Two kinds share a program, and the second has one of its own.
static const char shared, own;
static struct probe_charge charges[COUNT];

static void begin(void)
{
    charges[FIRST] = (struct probe_charge){.program = &shared, .attached = true, .trap_s = 0.5};
    charges[SECOND] = (struct probe_charge){.program = &shared, .attached = true, .trap_s = 0.25};
    charges[OWN] = (struct probe_charge){.program = &own, .attached = true, .trap_s = 1};
}

TestSuite(source_probe_charge, .init = begin);

static void account(uint64_t of_shared, uint64_t of_own)
{
    charges[FIRST].now = charges[SECOND].now = (struct probe_runs){of_shared, of_shared * 1000000000};
    charges[OWN].now = (struct probe_runs){of_own, of_own * 1000000000};
    probe_charges_settle(charges, COUNT);
}

static void expect(uint64_t first, uint64_t second, uint64_t of_own)
{
    cr_expect_eq(charges[FIRST].spent.runs, first);
    cr_expect_float_eq(charges[FIRST].spent.seconds, (double)first * 1.5, 1e-9);
    cr_expect_eq(charges[SECOND].spent.runs, second);
    cr_expect_float_eq(charges[SECOND].spent.seconds, (double)second * 1.25, 1e-9);
    cr_expect_eq(charges[OWN].spent.runs, of_own);
    cr_expect_float_eq(charges[OWN].spent.seconds, (double)of_own * 2, 1e-9);
}

Test(source_probe_charge, a_run_is_charged_once)
{
    account(10, 3);
    expect(10, 0, 3);
    account(30, 3);
    expect(20, 0, 0);
}

Test(source_probe_charge, who_has_no_probes_pays_nothing)
{
    charges[FIRST].attached = false;
    account(10, 3);
    expect(0, 10, 3);
}

Test(source_probe_charge, the_next_pays_from_when_the_first_is_shed)
{
    account(10, 0);
    charges[FIRST].attached = false;
    account(16, 0);
    expect(0, 6, 0);
    charges[FIRST].attached = true;
    account(20, 0);
    expect(4, 0, 0);
}

Test(source_probe_charge, the_last_calls_are_charged_when_nobody_is_left)
{
    charges[FIRST].attached = charges[SECOND].attached = false;
    account(2, 0);
    expect(2, 0, 0);
}

Test(source_probe_charge, what_is_loaded_anew_begins_at_zero)
{
    account(10, 5);
    account(4, 6);
    expect(4, 0, 1);
}

Test(source_probe_charge, what_ran_before_a_kind_came_is_not_its_own)
{
    charges[OWN].seen = (struct probe_runs){100, 100000000000};
    account(0, 101);
    expect(0, 0, 1);
}

Test(source_probe_charge, what_is_not_loaded_costs_nothing)
{
    for (size_t i = 0; i < ARRAY_SIZE(charges); i++)
        charges[i].program = NULL;
    account(10, 5);
    expect(0, 0, 0);
}
