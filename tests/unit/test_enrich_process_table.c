#include "enrich_events.h"

#include "base/series.h"

#include <criterion/criterion.h>

static struct process_table table;

static void teardown(void)
{
    process_table_free(&table);
    cr_assert_eq(table.count, 0, "nothing is left behind");
}

TestSuite(enrich_process_table, .fini = teardown);

static struct process_entry *add(pid_t pid, struct process_entry *parent)
{
    struct process_entry *entry = process_table_add(&table, pid, (uint64_t)pid * SECOND, parent);
    cr_assert_not_null(entry);
    return entry;
}

Test(enrich_process_table, the_least_recently_used_goes_first)
{
    process_table_init(&table, 16);
    for (pid_t pid = 1; pid <= 16; pid++)
        add(pid, NULL);
    process_table_touch(&table, process_table_find(&table, 1));
    add(17, NULL);
    cr_assert_eq(table.count, 16);
    cr_assert_not_null(process_table_find(&table, 1));
    cr_assert_null(process_table_find(&table, 2));
    cr_assert_not_null(process_table_find(&table, 17));
}

Test(enrich_process_table, one_without_children_goes_before_its_parent)
{
    process_table_init(&table, 16);
    struct process_entry *parent = add(1, NULL);
    for (pid_t pid = 2; pid <= 16; pid++)
        add(pid, parent);
    add(17, parent);
    cr_assert_not_null(process_table_find(&table, 1));
    cr_assert_null(process_table_find(&table, 2));
}

Test(enrich_process_table, exited_ancestors_count_and_make_room)
{
    process_table_init(&table, 16);
    struct process_entry *last = add(1, NULL);
    for (pid_t pid = 2; pid <= 16; pid++) {
        struct process_entry *next = add(pid, last);
        process_table_remove(&table, last);
        last = next;
    }
    cr_assert_eq(table.count, 16);
    cr_assert_eq(HASH_COUNT(table.by_pid), 1);
    add(17, NULL);
    cr_assert_eq(table.count, 1, "the only entry went, and its line with it");
}

Test(enrich_process_table, a_parent_survives_the_room_made_for_its_child)
{
    process_table_init(&table, 16);
    struct process_entry *parent = NULL;
    for (pid_t pid = 1; pid <= 16; pid++) {
        struct process_entry *entry = add(pid, parent);
        if (parent)
            process_table_remove(&table, parent);
        parent = entry;
    }
    struct process_entry *child = add(17, parent);
    cr_assert_eq(child->process.parent->pid, 16, "though it was the only one to push out");
}

Test(enrich_process_table, links_never_make_a_circle)
{
    process_table_init(&table, 16);
    struct process_entry *one = process_table_add(&table, 1, 0, NULL);
    struct process_entry *two = process_table_add(&table, 2, 0, one);
    struct process_entry *three = process_table_add(&table, 3, 0, two);
    cr_assert_not(process_table_link(&table, one, one));
    cr_assert_not(process_table_link(&table, one, three));
    cr_assert_not(process_table_link(&table, three, one), "it has a parent");
    cr_assert_null(one->process.parent);
}

Test(enrich_process_table, a_parent_is_not_younger)
{
    process_table_init(&table, 16);
    struct process_entry *old = add(10, NULL);
    struct process_entry *young = add(20, NULL);
    cr_assert_not(process_table_link(&table, old, young));
    cr_assert(process_table_link(&table, young, old));
}

Test(enrich_process_table, a_long_line_is_cut_and_released_without_recursion)
{
    process_table_init(&table, 1000000);
    struct process_entry *last = add(1, NULL);
    for (pid_t pid = 2; pid <= 100000; pid++) {
        struct process_entry *next = add(pid, last);
        last->process.exited = true;
        process_table_remove(&table, last);
        last = next;
    }
    cr_assert_leq(table.count, PROCESS_ANCESTORS_MAX + 2);
    cr_assert_geq(table.count, PROCESS_ANCESTORS_MAX);

    // Living ancestors are kept, however many.
    for (pid_t pid = 100001; pid <= 300000; pid++)
        last = add(pid, last);
    cr_assert_geq(table.count, 200000);
}

Test(enrich_process_table, forks_and_exits_do_not_add_up)
{
    process_table_init(&table, 1000);
    struct process_entry *parent = add(1, NULL);
    for (pid_t pid = 2; pid <= 100000; pid++)
        process_table_remove(&table, add(pid, parent));
    cr_assert_eq(table.count, 1);
    cr_assert_eq(parent->refs, 1);

    // The same where the exits are lost.
    for (pid_t pid = 2; pid <= 100000; pid++)
        add(pid, parent);
    cr_assert_eq(table.count, 1000);
    cr_assert_not_null(process_table_find(&table, 1));
}

Test(enrich_process_table, a_pid_that_is_there_is_replaced)
{
    process_table_init(&table, 16);
    struct process_entry *old = add(5, NULL);
    struct process_entry *child = add(6, old);
    struct process_entry *new = add(5, NULL);
    cr_assert_neq(old, new);
    cr_assert_eq(process_table_find(&table, 5), new);
    cr_assert_eq(child->process.parent, &old->process);
    cr_assert(old->process.exited);
    cr_assert_eq(table.count, 3);
}

struct seen {
    double evictions, processes, containers;
    const char *family;
};

static struct seen seen;

static void seen_family(struct series_writer *writer, const struct series_family *family)
{
    seen.family = family->name;
}

static void seen_number(struct series_writer *writer, const struct label *labels, size_t count, double value)
{
    if (strcmp(seen.family, "inferscope_process_table_evictions_total") == 0)
        seen.evictions = value;
    if (strcmp(seen.family, "inferscope_processes") == 0)
        seen.processes = value;
    if (strcmp(seen.family, "inferscope_containers") == 0)
        seen.containers = value;
}

Test(enrich_process_table, what_it_exports)
{
    static struct stage stage;
    stage_start(&stage, 16);
    struct exec exec = {
        PART(cgroup, "libpod-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")};
    for (uint32_t pid = 1; pid <= 20; pid++) {
        stage_exec(&stage, (struct who){.pid = pid, .start_ns = SECOND, .comm = "x"}, exec, SECOND);
        stage_done(&stage);
    }
    struct series_writer writer = {.family = seen_family, .number = seen_number};
    series_collect(&writer);
    cr_assert_eq(seen.evictions, 4);
    cr_assert_eq(seen.processes, 16);
    cr_assert_eq(seen.containers, 1);

    stage_stop(&stage);
    seen = (struct seen){0};
    series_collect(&writer);
    cr_assert_eq(seen.processes, 0, "the collector outlives the stage and says nothing");
}
