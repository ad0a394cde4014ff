// What leaves the node: sums over windows, and the names in TLS connections.
#include "base/series.h"
#include "source/client_hello.h"
#include "source/egress_flows.h"
#include "source/names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- client_hello ---

static size_t read_seed(const char *name, uint8_t *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "tests/fuzz/corpus/hello/%s", name);
    FILE *file = fopen(path, "re");
    cr_assert(file, "no %s", path);
    size_t count = fread(data, 1, size, file);
    fclose(file);
    return count;
}

Test(source_egress, name_in_a_hello)
{
    uint8_t data[2048];
    char name[CLIENT_HELLO_NAME_MAX + 1];
    size_t size = read_seed("python", data, sizeof(data));
    cr_assert_eq(client_hello_name(data, size, name), 0);
    cr_expect_str_eq(name, "models.example.com");
    // However early it breaks off, nothing is read behind its end, and no other name is found.
    for (size_t i = 0; i < size; i++) {
        uint8_t part[2048];
        memcpy(part, data, i);
        strcpy(name, "");
        int error = client_hello_name(part, i, name);
        cr_expect(error ? !name[0] : strcmp(name, "models.example.com") == 0, "%zu bytes: %s", i, name);
    }
}

Test(source_egress, hello_without_a_name)
{
    uint8_t data[2048];
    char name[CLIENT_HELLO_NAME_MAX + 1];
    size_t size = read_seed("nameless", data, sizeof(data));
    cr_expect_eq(client_hello_name(data, size, name), -ENOMSG);
    data[0] = 23;
    cr_expect_eq(client_hello_name(data, size, name), -EPROTO);
}

Test(source_egress, name_of_other_bytes_is_none)
{
    uint8_t data[2048];
    char name[CLIENT_HELLO_NAME_MAX + 1] = "";
    size_t size = read_seed("python", data, sizeof(data));
    uint8_t *at = memmem(data, size, "Models", 6);
    cr_assert(at);
    at[2] = '\n';
    cr_expect_eq(client_hello_name(data, size, name), -EPROTO);
    cr_expect_str_eq(name, "");
}

// --- Sums ---

static struct wire_egress_key key;
static const struct wire_header owner = {.pid = 7};
static uint64_t sums[WIRE_EGRESS_WINDOWS];

#define S UINT64_C(1000000000)

static void setup(void)
{
    egress_flows_clear();
    key = (struct wire_egress_key){.cgroup_id = 1, .family = 4, .addr = {192, 0, 2, 1}};
}

TestSuite(egress_flows, .init = setup, .fini = egress_flows_clear);

static struct egress_destination *add(const char *name, uint64_t bytes, uint64_t at_s)
{
    return egress_flows_add(&key, &owner, name, bytes, 1, at_s * S);
}

Test(egress_flows, sums_age)
{
    struct egress_destination *to = add("a.example", 100, 5000);
    cr_assert_eq(add("a.example", 10, 5030), to);
    egress_flows_sums(to, 5030 * S, sums);
    cr_expect_eq(sums[WIRE_EGRESS_MINUTE], 110);
    cr_expect_eq(sums[WIRE_EGRESS_HOUR], 110);
    egress_flows_sums(to, 5070 * S, sums);
    cr_expect_eq(sums[WIRE_EGRESS_MINUTE], 10);
    cr_expect_eq(sums[WIRE_EGRESS_TEN_MINUTES], 110);
    egress_flows_sums(to, 5620 * S, sums);
    cr_expect_eq(sums[WIRE_EGRESS_MINUTE], 0);
    cr_expect_eq(sums[WIRE_EGRESS_TEN_MINUTES], 10);
    cr_expect_eq(sums[WIRE_EGRESS_HOUR], 110);
    egress_flows_sums(to, 5000 * S, sums); // a clock reading from before
    cr_expect_eq(sums[WIRE_EGRESS_HOUR], 110);
    egress_flows_sums(to, 9000 * S, sums);
    cr_expect_eq(sums[WIRE_EGRESS_HOUR], 0);
}

Test(egress_flows, a_window_is_as_long_as_it_says_and_up_to_one_slot_more)
{
    static const uint64_t lengths[] = {60, 600, 3600};
    for (uint64_t begin = 36000; begin < 36010; begin++)
        for (size_t i = 0; i < WIRE_EGRESS_WINDOWS; i++) {
            key.cgroup_id++;
            struct egress_destination *to = add("a.example", 1, begin);
            egress_flows_sums(to, (begin + lengths[i] - 1) * S, sums);
            cr_expect_eq(sums[i], 1, "%zu s, begun at %zu", (size_t)lengths[i], (size_t)begin);
            egress_flows_sums(to, (begin + lengths[i] + 10) * S, sums);
            cr_expect_eq(sums[i], 0, "%zu s, begun at %zu", (size_t)lengths[i], (size_t)begin);
        }
}

Test(egress_flows, names_stand_together_and_addresses_alone)
{
    struct egress_destination *named = add("a.example", 1, 100);
    struct egress_destination *bare = add("", 1, 100);
    cr_expect_neq(named, bare);
    key.addr[3] = 2;
    cr_expect_eq(add("a.example", 1, 100), named);
    cr_expect_neq(add("", 1, 100), bare);
    key.cgroup_id = 2;
    cr_expect_neq(add("a.example", 1, 100), named);
}

static size_t told;
static uint64_t told_before, told_after;
static struct wire_header told_owner;
static struct wire_egress_key told_to;

static void tell(struct egress_destination *destination, const struct wire_header *who,
                 const struct wire_egress_key *where, const uint64_t *before, const uint64_t *after)
{
    told++;
    told_before = before[WIRE_EGRESS_TEN_MINUTES];
    told_after = after[WIRE_EGRESS_TEN_MINUTES];
    told_owner = *who;
    told_to = *where;
}

Test(egress_flows, only_what_changed_is_told)
{
    told = 0;
    egress_flows_start(tell);
    add("a.example", 5, 100);
    egress_flows_changed(100 * S);
    cr_expect_eq(told, 1);
    cr_expect_eq(told_before, 0);
    cr_expect_eq(told_after, 5);
    cr_expect_eq(told_owner.pid, 7);
    egress_flows_changed(101 * S);
    cr_expect_eq(told, 1);
    add("a.example", 6, 102);
    egress_flows_changed(102 * S);
    cr_expect_eq(told, 2);
    cr_expect_eq(told_before, 5);
    cr_expect_eq(told_after, 11);
    // What has left the window is no part of what was there before.
    egress_flows_changed(900 * S);
    add("a.example", 1, 901);
    egress_flows_changed(901 * S);
    cr_expect_eq(told_before, 0);
    cr_expect_eq(told_after, 1);
}

// Else one byte by somebody else hides who sends the others.
Test(egress_flows, it_is_told_of_who_sent_most)
{
    const struct wire_header other = {.pid = 8};
    struct wire_egress_key to_other = key;
    to_other.addr[3] = 2;
    egress_flows_start(tell);
    add("a.example", 100, 100);
    egress_flows_add(&to_other, &other, "a.example", 1, 1, 100 * S);
    egress_flows_changed(100 * S);
    cr_expect_eq(told_owner.pid, 7);
    cr_expect_eq(told_to.addr[3], 1);
    // Anew each time.
    egress_flows_add(&to_other, &other, "a.example", 1, 1, 101 * S);
    egress_flows_changed(101 * S);
    cr_expect_eq(told_owner.pid, 8);
    cr_expect_eq(told_to.addr[3], 2);
}

static uint64_t taken;

static void take(struct egress_destination *destination, const struct wire_header *who,
                 const struct wire_egress_key *where, const uint64_t *before, const uint64_t *after)
{
    told++;
    taken += egress_flows_take(destination);
}

Test(egress_flows, each_byte_is_taken_once)
{
    told = taken = 0;
    egress_flows_start(tell);
    add("a.example", 5, 100);
    egress_flows_changed(100 * S);
    egress_flows_start(take);
    add("a.example", 6, 101);
    add("a.example", 7, 101);
    egress_flows_changed(101 * S);
    cr_expect_eq(taken, 18);
    egress_flows_changed(102 * S);
    cr_expect_eq(taken, 18);
    add("a.example", 100, 103);
    egress_flows_forgo();
    add("a.example", 1, 103);
    egress_flows_changed(103 * S);
    cr_expect_eq(taken, 19);
}

Test(egress_flows, what_is_pushed_out_between_two_looks_is_told_before)
{
    told = taken = 0;
    egress_flows_start(take);
    for (unsigned i = 0; i < EGRESS_DESTINATIONS_MAX + 100; i++) {
        memcpy(key.addr + 1, &i, 3);
        add("", 1, 100);
    }
    cr_expect_eq(taken, 100);
    egress_flows_changed(100 * S);
    cr_expect_eq(taken, EGRESS_DESTINATIONS_MAX + 100);
    cr_expect_eq(told, EGRESS_DESTINATIONS_MAX + 100);
}

Test(egress_flows, what_got_much_is_not_pushed_out_by_many_that_got_little)
{
    egress_flows_start(tell);
    struct egress_destination *much = add("a.example", 1000, 100);
    egress_flows_changed(100 * S);
    struct egress_destination *more = add("b.example", 1000, 101); // not looked at yet
    for (unsigned i = 0; i < 2 * EGRESS_DESTINATIONS_MAX; i++) {
        memcpy(key.addr + 1, &i, 3);
        add("", 1, 101);
    }
    cr_assert_eq(add("a.example", 1, 102), much);
    cr_assert_eq(add("b.example", 1, 102), more);
    egress_flows_sums(much, 102 * S, sums);
    cr_expect_eq(sums[WIRE_EGRESS_HOUR], 1001);
    egress_flows_sums(more, 102 * S, sums);
    cr_expect_eq(sums[WIRE_EGRESS_HOUR], 1001);
}

static uint64_t total_bytes;

static void sum_up(const struct egress_total *total, void *context)
{
    total_bytes += total->bytes;
}

Test(egress_flows, what_is_pushed_out_stays_in_the_total)
{
    for (unsigned i = 0; i < EGRESS_DESTINATIONS_MAX + 100; i++) {
        memcpy(key.addr + 1, &i, 3);
        add("", 1, 100);
    }
    total_bytes = 0;
    egress_visit(sum_up, NULL);
    cr_expect_eq(total_bytes, EGRESS_DESTINATIONS_MAX + 100);
}

Test(egress_flows, a_name_lives_as_long_as_something_is_sent_there)
{
    const struct ip address = {.family = 4, .bytes = {192, 0, 2, 1}};
    char *kept = NULL;
    cr_expect_str_eq(egress_flows_name(&key, &kept, 100 * S), "");
    names_learn(&address, "a.example", 100 * S, 160 * S);
    cr_expect_str_eq(egress_flows_name(&key, &kept, 110 * S), "a.example");
    cr_expect_str_eq(egress_flows_name(&key, &kept, 170 * S), "a.example");
    // For rules, too, and then on.
    cr_expect_str_eq(names_of(&address, 0, 220 * S), "a.example");
    cr_expect_str_eq(egress_flows_name(&key, &kept, 1000 * S), "a.example");
    // What DNS says now is what the address is called.
    names_learn(&address, "b.example", 1200 * S, 1300 * S);
    cr_expect_str_eq(egress_flows_name(&key, &kept, 1200 * S), "b.example");
    cr_expect_str_eq(egress_flows_name(&key, &kept, 1400 * S), "b.example");
    free(kept);
    names_forget_all();
}

static size_t names_shown;

static void count_names(const struct egress_total *total, void *context)
{
    names_shown += total->name != NULL;
    total_bytes += total->bytes;
}

Test(egress_flows, names_shown_stay_the_same_ones)
{
    char name[32];
    total_bytes = 0;
    for (unsigned i = 0; i <= EGRESS_NAMES_SHOWN_MAX; i++) {
        snprintf(name, sizeof(name), "n%u.example", i);
        add(name, 1, 100);
    }
    // Used again, an early one has its name still, and the last one none.
    add("n0.example", 1, 100);
    add(name, 1, 100);
    egress_visit(count_names, NULL);
    cr_expect_eq(names_shown, EGRESS_NAMES_SHOWN_MAX);
    cr_expect_eq(total_bytes, EGRESS_NAMES_SHOWN_MAX + 3);
}
