// The sets of paths while demand changes: what both the old and the new one want is in them at every moment.
#include "../../user/source/file_watch.h"
#include "../../user/source/filter_set.h"
#include "source.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static __u64 leaf[PATH_FILTER_WORDS], directory[PATH_FILTER_WORDS], inode[PATH_FILTER_WORDS];
static __u64 suffix[PATH_FILTER_WORDS];
static bool suffixes;
static const struct file_watch_sets sets = {leaf, directory, inode, suffix, &suffixes};

static bool has_leaf(const char *name)
{
    __u32 bit = filter_set_name(name, strlen(name));
    return leaf[bit >> 6] >> (bit & 63) & 1;
}

// A path that any rule can match makes the sets useless, but only once the program in the kernel is told so.
Test(source_file_watch, old_paths_stay_until_all_paths_count)
{
    struct demand demand = {}, other = {.any_path = true};
    demand_add_path(&demand, "/etc/shadow", 11, false);
    cr_assert(file_watch_start(&demand, "", &sets));
    cr_assert(has_leaf("shadow"));
    demand_add(&demand, &other);
    cr_assert_not(file_watch_start(&demand, "", &sets));
    cr_expect(has_leaf("shadow"));
    demand_free(&demand);
}

// A source that stops has records in the ring that were not judged yet.
Test(source_file_watch, names_are_known_after_the_stop)
{
    char path[] = "/tmp/file-watch-XXXXXX";
    struct stat status;
    struct demand demand = {};
    int fd = mkstemp(path);
    cr_assert_eq(fstat(fd, &status), 0);
    close(fd);
    uint32_t dev = (uint32_t)(major(status.st_dev) << 20 | minor(status.st_dev));
    demand_add_path(&demand, path, strlen(path), false);
    cr_assert(file_watch_start(&demand, "", &sets));
    cr_assert_eq(file_watch_count(dev, status.st_ino), 1);
    cr_assert_str_eq(file_watch_name(dev, status.st_ino, 0, "/other"), path);
    file_watch_stop();
    file_watch_tick();
    cr_expect_str_eq(file_watch_name(dev, status.st_ino, 0, "/other"), path);
    demand_free(&demand);
    unlink(path);
}

Test(source_file_watch, demands_add_up)
{
    struct demand one = {.wanted = {[3] = true}, .any_clue = {[4] = true}}, two = {.failed_opens = true};
    const struct field fields[2] = {{.name = "fd.name"}, {.name = "evt.arg.data"}};
    demand_add_path(&one, "/a", 2, false);
    demand_add_path(&two, "/a", 2, false);
    demand_add_path(&two, "/b", 2, true);
    demand_add_read(&one, &fields[0]);
    demand_add_read(&two, &fields[1]);
    demand_add_clue(&two, &(struct demand_clue){.type = 5, .name = "sh"});
    two.wanted[6] = true;
    two.stream_data = two.repeated_sends = true;
    demand_add_changed_path(&two, 7, "/c", 2, false);
    two.any_changed_path[8] = two.failed_changes[9] = true;
    demand_add(&one, &two);
    cr_expect(one.wanted[3] && one.wanted[6] && !one.wanted[5]);
    cr_expect(one.any_clue[4] && one.failed_opens && !one.any_path && !one.reads_all);
    cr_expect_eq(one.paths_count, 2);
    cr_expect_eq(one.reads_count, 2);
    cr_expect_eq(one.clues_count, 1);
    cr_expect(one.stream_data && one.repeated_sends && !one.foreign_data);
    cr_expect(one.any_changed_path[8] && one.failed_changes[9] && !one.any_changed_path[7]);
    cr_expect_eq(one.changed_paths_count, 1);
    two.any_path = true;
    demand_add(&one, &two);
    cr_expect(one.any_path);
    cr_expect_eq(one.paths_count, 2, "they are watched by inode, too");
    demand_add_path(&one, "/exact", 6, false);
    demand_add_path(&one, "/prefix", 7, true);
    cr_expect_eq(one.paths_count, 3, "whatever the order of the rules");
    demand_free(&one);
    demand_free(&two);
}

// What programs send is not learnt without a rule that reads it, and all else must have room.
Test(source_file_watch, everything_is_all_but_payload)
{
    struct demand demand = {};
    size_t payloads = 0;
    cr_assert_eq(source_register_all(), 0);
    demand_add_everything(&demand);
    cr_expect_not(demand.reads_all);
    for (size_t i = 0; i < event_type_count(); i++) {
        const struct event_type *type = event_type_at(i);
        cr_expect(demand.wanted[i] && demand.any_changed_path[i] && demand.failed_changes[i]);
        for (size_t k = 0; k < type->fields_count; k++) {
            payloads += type->fields[k].payload;
            cr_expect_eq(demand_reads(&demand, &type->fields[k]), !type->fields[k].payload, "%s",
                         type->fields[k].name);
        }
    }
    cr_expect_gt(payloads, 0);
    demand_free(&demand);
}
