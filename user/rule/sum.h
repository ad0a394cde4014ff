// What rules add up over several events: net.egress.sum[10m] > 100000000.
#pragma once

#include "event.h"

// A window is divided into slots; it is as long as it says, and up to one slot more.
enum { SUM_SLOTS = 60, SUMS_MAX = 4096 };

// Of one rule.
struct sum {
    const struct field *field; // whose values are added
    uint32_t window_s;         // whole minutes, from 1 to 60
    bool or_equal;             // >= instead of >
    uint64_t limit;
    const char *rule; // by this and the next a set that is loaded later knows it again
    const char *condition;
};

// The sums of a rule set's rules, each by container, or by cgroup where there is none; at most SUMS_MAX, then
// the one to which nothing was added for longest gives its place, which is counted.
struct sums;

// 0 or -ENOMEM.
int sums_new(struct sums **ret_sums);
void sums_free(struct sums **sums);

// Adds what an event tells. True where the rule is to be told: the sum is more than the limit, and that was
// not told since it became so. Not where `taken`; then it will be with a later event. An event that is given
// is judged by itself.
bool sums_add(struct sums *sums, const struct sum *sum, const struct event *event, bool taken,
              uint64_t *ret_sum);

// Moves the sums of one to another one, as far as there is room.
void sums_move(struct sums *sums, const struct sum *sum, struct sums *from, const struct sum *from_sum);

size_t sums_count(const struct sums *sums);
