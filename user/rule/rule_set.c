#include "index.h"
#include "reading.h"
#include "sum.h"

#include <stdlib.h>
#include <string.h>

void rule_set_free(struct rule_set **set)
{
    if (!*set)
        return;
    regex_free_all((*set)->regexes);
    sums_free(&(*set)->sums);
    demand_free(&(*set)->demand);
    if ((*set)->composed)
        arena_free((*set)->composed);
    if ((*set)->kept)
        arena_free((*set)->kept);
    arena_free(&(*set)->arena);
    free(*set);
    *set = NULL;
}

size_t rule_set_count(const struct rule_set *set)
{
    return set->count;
}

const struct rule *rule_set_at(const struct rule_set *set, size_t index)
{
    return index < set->count ? &set->rules[index] : NULL;
}

void rule_set_inherit(struct rule_set *set, struct rule_set *from)
{
    for (size_t i = 0; set->sums && from->sums && i < from->count; i++) {
        const struct sum *before = from->adding[i];
        for (size_t k = 0; before && k < set->count; k++) {
            const struct sum *sum = set->rules[k].enabled ? set->adding[k] : NULL;
            if (sum && strcmp(sum->rule, before->rule) == 0 &&
                strcmp(sum->condition, before->condition) == 0 && sum->window_s == before->window_s)
                sums_move(set->sums, sum, from->sums, before);
        }
    }
}

void rule_set_demand(const struct rule_set *set, struct demand *ret_demand)
{
    demand_add(ret_demand, &set->demand);
}

// A value that is long is made anew for each comparison.
bool reading_compose(const struct rule_set *set, struct reading *reading, const struct event *event,
                     uint64_t round)
{
    struct value *value = &reading->value;
    reading->present = term_get(reading->term, event, 0, set->composed, value);
    bool is_text = reading->present && value->type == FIELD_STRING;
    if (is_text && value->string.length > KEPT_MAX)
        return true;
    char *copy = is_text ? arena_copy(set->kept, value->string.data, value->string.length) : NULL;
    if (copy)
        value->string.data = copy;
    if (copy || !is_text)
        reading->round = round;
    return reading->present;
}

// One value on the left, and on the right one, or for `in` and `intersects` any.
static bool value_holds(const struct rule_set *set, const struct step *step, const struct event *event,
                        const struct value *left)
{
    const struct reading *right = step->right;
    if (!right)
        return comparison_holds(step->comparison, left);
    struct value value = right->value;
    bool holds = comparison_pair_holds(step->comparison, left, &value);
    for (size_t nth = 1; !holds && right->many && nth < VALUES_MAX; nth++) {
        if (!reading_nth(set, right, event, nth, &value))
            break;
        holds = comparison_pair_holds(step->comparison, left, &value);
    }
    return holds;
}

// Of a field with several values, one that compares as asked will do; only `!=` asks it of all, and so does
// `in` of a list. Kept out of the way of the usual case, which is one value on each side.
__attribute__((noinline)) static bool holds_for_more(const struct rule_set *set, const struct step *step,
                                                     const struct event *event, uint64_t round, bool holds)
{
    const struct reading *reading = step->reading;
    enum comparator comparator = step->comparison->comparator;
    bool every = comparator == CMP_NE || (comparator == CMP_IN && reading->list);
    struct value value;
    // Nothing is left in the room of the comparison but what the right-hand side may have there.
    bool room_is_free = !step->right || step->right->round == round;
    for (size_t nth = 1; holds == every && nth < VALUES_MAX; nth++) {
        if (room_is_free && set->composed->total)
            arena_reset(set->composed);
        if (!reading_nth(set, reading, event, nth, &value))
            break;
        holds = value_holds(set, step, event, &value);
    }
    return holds;
}

static bool step_holds(const struct rule_set *set, const struct step *step, const struct event *event,
                       uint64_t round)
{
    struct reading *reading = step->reading;
    if (set->composed->total)
        arena_reset(set->composed);
    if (!reading_first(set, reading, event, round))
        return false;
    if (!step->right && !reading->many)
        return comparison_holds(step->comparison, &reading->value);
    if (step->right && !reading_first(set, step->right, event, round))
        return false;
    bool holds = value_holds(set, step, event, &reading->value);
    return reading->many ? holds_for_more(set, step, event, round, holds) : holds;
}

static bool judge_holds(const struct rule_set *set, const struct judge *judge, const struct event *event,
                        uint64_t round)
{
    uint32_t at = judge->entry;
    while (at < STEP_FAILS) {
        const struct step *step = &judge->steps[at];
        at = step_holds(set, step, event, round) ? step->on_true : step->on_false;
    }
    return at == STEP_HOLDS;
}

// The judge's part of it; `taken`: an earlier rule has the event, which is then only added up.
static bool judge_tells(const struct rule_set *set, const struct judge *judge, struct event *event,
                        uint64_t round, bool taken, uint64_t *sum)
{
    if (!judge->sum)
        return !event->adds_only && !taken && judge_holds(set, judge, event, round);
    return judge_holds(set, judge, event, round) && sums_add(set->sums, judge->sum, event, taken, sum);
}

size_t rule_set_match(const struct rule_set *set, struct event *event, enum rule_matching matching,
                      rule_match_fn on_match, void *context)
{
    const struct judges *judges = &set->types[event_type_index(event->type)];
    if (event->adds_only && !judges->sums)
        return 0;
    uint64_t round = ++*set->round;
    if (set->kept->total)
        arena_reset(set->kept);
    size_t count = 0;
    uint64_t sum;
    const uint64_t *candidates = index_candidates(set, judges, event, round);
    for (size_t word = 0; word < (judges->count + 63) / 64; word++) {
        for (uint64_t bits = candidates[word]; bits; bits &= bits - 1) {
            size_t at = word * 64 + (size_t)__builtin_ctzll(bits);
            const struct judge *judge = &judges->list[at];
            bool taken = count > 0 && matching == RULE_MATCHING_FIRST;
            if (!judge_tells(set, judge, event, round, taken, &sum))
                continue;
            event->sum = judge->sum ? &sum : NULL;
            on_match(judge->rule, event, context);
            event->sum = NULL;
            count++;
            if (matching == RULE_MATCHING_FIRST && !judges->sums)
                return count;
        }
    }
    return count;
}
