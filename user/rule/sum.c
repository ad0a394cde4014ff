#include "sum.h"

#include "base/series.h"
#include "container.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

// Zero-filled.
struct key {
    const struct sum *sum;
    uint64_t cgroup_id; // 0 of a container
    char container[72];
};

struct slots {
    struct key key;
    UT_hash_handle hh; // the one to which nothing was added for longest first
    bool told;         // that the sum is more than the limit
    uint64_t latest;   // slot, since boot
    uint64_t bytes[SUM_SLOTS + 1];
};

struct sums {
    struct slots *first;
};

static struct counter evicted = {
    .name = "inferscope_rule_sums_evicted_total",
    .help = "Sums of what a rule adds up for a container that gave their place to others before the rule's "
            "time was over",
};

int sums_new(struct sums **ret_sums)
{
    *ret_sums = calloc(1, sizeof(**ret_sums));
    counter_register(&evicted);
    return *ret_sums ? 0 : -ENOMEM;
}

static void forget(struct sums *sums, struct slots *slots)
{
    HASH_DEL(sums->first, slots);
    free(slots);
}

void sums_free(struct sums **sums)
{
    while (*sums && (*sums)->first)
        forget(*sums, (*sums)->first);
    free(*sums);
    *sums = NULL;
}

size_t sums_count(const struct sums *sums)
{
    return HASH_COUNT(sums->first);
}

// Empties the slots that have passed since something was last added.
static void move_on(struct slots *slots, uint64_t time_ns)
{
    uint64_t slot = time_ns / 1000000000 / (slots->key.sum->window_s / SUM_SLOTS);
    if (slot <= slots->latest)
        return;
    uint64_t passed = slot - slots->latest;
    for (uint64_t i = 1; i <= passed && i <= SUM_SLOTS + 1; i++)
        slots->bytes[(slots->latest + i) % (SUM_SLOTS + 1)] = 0;
    slots->latest = slot;
}

static uint64_t total_of(const struct slots *slots)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= SUM_SLOTS; i++)
        total += slots->bytes[i];
    return total;
}

static void make_room(struct sums *sums, uint64_t time_ns)
{
    while (HASH_COUNT(sums->first) >= SUMS_MAX) {
        move_on(sums->first, time_ns);
        evicted.value += total_of(sums->first) > 0;
        forget(sums, sums->first);
    }
}

static struct slots *slots_of(struct sums *sums, const struct sum *sum, const struct event *event)
{
    struct slots *slots;
    struct key key;
    memset(&key, 0, sizeof(key));
    key.sum = sum;
    if (event->container)
        snprintf(key.container, sizeof(key.container), "%s", event->container->id);
    else
        key.cgroup_id = event->wire->cgroup_id;
    HASH_FIND(hh, sums->first, &key, sizeof(key), slots);
    if (slots) {
        // To the end of the order in which they are pushed out.
        HASH_DEL(sums->first, slots);
    } else {
        make_room(sums, event->wire->time_ns);
        slots = calloc(1, sizeof(*slots));
        if (!slots)
            return NULL;
        slots->key = key;
    }
    HASH_ADD(hh, sums->first, key, sizeof(slots->key), slots);
    return slots;
}

static bool is_over(const struct sum *sum, uint64_t total)
{
    return sum->or_equal ? total >= sum->limit : total > sum->limit;
}

bool sums_add(struct sums *sums, const struct sum *sum, const struct event *event, bool taken,
              uint64_t *ret_sum)
{
    static const struct field_arg none = {};
    struct value value;
    if (!field_get(sum->field, event, &none, 0, &value))
        return false;
    *ret_sum = value.u;
    if (event->given)
        return !taken && is_over(sum, value.u);
    struct slots *slots = slots_of(sums, sum, event);
    if (!slots) {
        evicted.value++;
        return false;
    }
    move_on(slots, event->wire->time_ns);
    slots->told = slots->told && is_over(sum, total_of(slots));
    slots->bytes[slots->latest % (SUM_SLOTS + 1)] += value.u;
    *ret_sum = total_of(slots);
    if (taken || slots->told || !is_over(sum, *ret_sum))
        return false;
    slots->told = true;
    return true;
}

void sums_move(struct sums *sums, const struct sum *sum, struct sums *from, const struct sum *from_sum)
{
    for (struct slots *slots = from->first, *next; slots; slots = next) {
        next = slots->hh.next;
        if (slots->key.sum != from_sum || HASH_COUNT(sums->first) >= SUMS_MAX)
            continue;
        HASH_DEL(from->first, slots);
        slots->key.sum = sum;
        HASH_ADD(hh, sums->first, key, sizeof(slots->key), slots);
    }
}
