#include "base/cleanup.h"
#include "bound.h"
#include "index_build.h"
#include "sum.h"

#include <stdlib.h>
#include <string.h>

struct binder {
    struct compiler *compiler;
    struct table readings;
    struct arena scratch; // for one rule and one type of event
};

// Types of event that open files; their source filters by path in the kernel.
static bool opens_files(const struct event_type *type)
{
    return strcmp(event_type_source(type), "file") == 0 && field_find(type, "fd.name", strlen("fd.name"));
}

static bool is_one_of(const struct event_type *type, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(type->name, names[i]) == 0)
            return true;
    return false;
}

// Types of event that happen for each piece of data: which of them a source may leave out.
static void data_demand(const struct event_type *type, const struct bound *bound, struct demand *demand)
{
    static const char *const sends[] = {"sendto", "sendmsg", "sendmmsg"};
    static const char *const receives[] = {"recvfrom", "recvmsg", "recvmmsg"};
    bool is_send = is_one_of(type, sends, ARRAY_SIZE(sends));
    if (!is_send && !is_one_of(type, receives, ARRAY_SIZE(receives)))
        return;
    demand->stream_data = demand->stream_data || bound_matches_tcp(bound);
    demand->foreign_data = demand->foreign_data || bound_matches_foreign(bound);
    demand->repeated_sends = demand->repeated_sends || (is_send && bound_matches_repeated(bound));
}

// Types that change names or permissions of files; the same.
static bool changes_files(const struct event_type *type)
{
    return strcmp(event_type_source(type), "inode") == 0;
}

static bool judges_add(struct rule_set *set, size_t type, const struct judge *judge)
{
    struct judges *judges = &set->types[type];
    if (judges->count == judges->capacity) {
        struct judge *list = arena_grow(&set->arena, judges->list, sizeof(*list), &judges->capacity);
        if (!list)
            return false;
        judges->list = list;
    }
    judges->list[judges->count++] = *judge;
    return true;
}

static bool bind_type(struct binder *binder, const struct rule_item *item, const struct rule *rule,
                      const struct event_type *type, bool *ret_applies)
{
    struct rule_set *set = binder->compiler->set;
    arena_reset(&binder->scratch);
    const struct bound *bound = bound_new(item->expr, type, &binder->scratch);
    if (!bound)
        return false;
    *ret_applies = bound->kind != BOUND_FALSE;
    if (!*ret_applies || !rule->enabled)
        return true;
    struct judge judge = {.rule = rule, .sum = set->adding[rule->index]};
    size_t index = event_type_index(type);
    set->demand.sums |= judge.sum != NULL;
    set->types[index].sums += judge.sum != NULL;
    set->demand.wanted[index] = true;
    output_demand(rule->output, type, &set->demand);
    data_demand(type, bound, &set->demand);
    bound_thresholds(bound, &set->demand);
    return bound_emit(bound, type, binder->compiler, &binder->readings, &judge) &&
           judges_add(set, index, &judge) && bound_clues(bound, index, &binder->scratch, &set->demand) &&
           (!opens_files(type) || bound_demand(bound, &binder->scratch, &set->demand)) &&
           (!changes_files(type) || bound_changes(bound, index, &binder->scratch, &set->demand));
}

static void warn_types(struct compiler *compiler, const struct rule_item *item, size_t applies)
{
    struct place place = place_of(item->definition.file, item->definition.node);
    if (applies == 0)
        problem_at(
            compiler->report, RULE_WARNING, "LOAD_NEVER_MATCHES", place,
            "this rule can never match: no type of event that is watched has what its condition asks for");
    else if (!item->measure.specific && !item->quiet)
        problem_at(compiler->report, RULE_WARNING, "LOAD_NO_EVTTYPE", place,
                   "rule names no event type: it is judged once, when a program starts; add evt.type to say "
                   "otherwise");
    else if (!item->measure.names_type && applies == event_type_count() && !item->quiet)
        problem_at(compiler->report, RULE_WARNING, "LOAD_NO_EVTTYPE", place,
                   "rule names no event type: it is judged on every event of every type; add evt.type to say "
                   "which");
}

static bool bind_rule(struct binder *binder, const struct rule_item *item, const struct rule *rule)
{
    size_t count = 0;
    for (size_t i = 0; i < event_type_count(); i++) {
        const struct event_type *type = event_type_at(i);
        bool applies = false;
        // What is said of a process and of nothing else changes only when it starts a program.
        if (!item->measure.specific && !binder->compiler->every_type && strcmp(type->name, "execve") != 0)
            continue;
        if (!bind_type(binder, item, rule, type, &applies))
            return false;
        count += applies;
    }
    if (!binder->compiler->every_type)
        warn_types(binder->compiler, item, count);
    return true;
}

static int compare_tags(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static const char *const *copy_tags(struct arena *arena, const struct rule_item *item)
{
    const char **tags = arena_alloc(arena, (item->tags_count + 1) * sizeof(*tags));
    for (size_t i = 0; tags && i < item->tags_count; i++) {
        tags[i] = arena_copy(arena, item->tags[i], strlen(item->tags[i]));
        if (!tags[i])
            return NULL;
    }
    if (tags)
        qsort(tags, item->tags_count, sizeof(*tags), compare_tags);
    return tags;
}

// Blanks at the end come from how YAML folds lines.
static const char *copy_text(struct arena *arena, const struct passage *passage)
{
    size_t length = passage->length;
    while (length > 0 && strchr(" \t\r\n", passage->text[length - 1]))
        length--;
    return arena_copy(arena, passage->text, length);
}

static bool is_meant(const struct rule_switch *rule_switch, const struct rule *rule)
{
    const char *what = rule_switch->what;
    if (strncmp(what, "tag:", 4) != 0)
        return strstr(rule->name, what);
    for (const char *const *tag = rule->tags; *tag; tag++)
        if (strcmp(*tag, what + 4) == 0)
            return true;
    return false;
}

static void apply_options(const struct rule_options *options, struct rule *rule)
{
    for (size_t i = 0; i < options->switches_count; i++) {
        struct rule_switch *rule_switch = &options->switches[i];
        if (!is_meant(rule_switch, rule))
            continue;
        rule_switch->matched = true;
        rule->enabled = rule_switch->enable;
    }
    rule->enabled = rule->enabled && rule->priority <= options->priority;
}

static bool make_rule(struct compiler *compiler, struct rule_item *item, struct rule *rule)
{
    struct arena *arena = &compiler->set->arena;
    if (!passage_join(&item->description, &compiler->load) || !passage_join(&item->output, &compiler->load))
        return false;
    rule->name = arena_copy(arena, item->definition.name, strlen(item->definition.name));
    rule->description = copy_text(arena, &item->description);
    rule->priority = item->priority;
    rule->tags = copy_tags(arena, item);
    rule->source = "syscall";
    rule->enabled = item->enabled;
    rule->output = output_new(compiler, &item->output);
    if (!rule->name || !rule->description || !rule->tags)
        return false;
    apply_options(compiler->options, rule);
    return true;
}

static void binder_free(struct binder *binder)
{
    arena_free(&binder->scratch);
}

static void add_term_reads(struct demand *demand, const struct term *term)
{
    if (term->kind == TERM_FIELD)
        demand_add_read(demand, term->field);
    for (const struct term *part = term->first; part; part = part->next)
        add_term_reads(demand, part);
}

// What the rules add up. False: memory is short.
static bool find_sums(struct compiler *compiler, const struct rule_item *const *items)
{
    struct rule_set *set = compiler->set;
    set->adding = arena_alloc(&set->arena, (set->count + 1) * sizeof(*set->adding));
    for (size_t i = 0; set->adding && i < set->count; i++) {
        const struct sum **sum = &set->adding[i];
        if (!compiler_find_sum(compiler, items[i], sum))
            return false;
        // Where the condition's is wrong, that is enough.
        if (*sum || !items[i]->measure.sums)
            output_check_sum(set->rules[i].output, &items[i]->output, *sum, compiler->report);
        if (*sum && !set->sums && sums_new(&set->sums))
            return false;
    }
    return set->adding;
}

bool compiler_bind(struct compiler *compiler)
{
    const struct table *items = &compiler->items.rules;
    struct rule_set *set = compiler->set;
    struct binder binder _cleanup_(binder_free) = {.compiler = compiler};
    set->rules = arena_alloc(&set->arena, (items->count + 1) * sizeof(*set->rules));
    set->round = arena_alloc(&set->arena, sizeof(*set->round));
    set->composed = arena_alloc(&set->arena, sizeof(*set->composed));
    set->candidates = arena_alloc(&set->arena, (items->count + 63) / 64 * sizeof(*set->candidates));
    set->kept = arena_alloc(&set->arena, sizeof(*set->kept));
    if (!set->rules || !set->round || !set->composed || !set->kept || !set->candidates)
        return false;
    const struct rule_item **kept = arena_alloc(&compiler->load, (items->count + 1) * sizeof(*kept));
    if (!kept)
        return false;
    for (size_t i = 0; i < items->count; i++) {
        struct rule_item *item = items->entries[i].item;
        struct rule *rule = &set->rules[set->count];
        *rule = (struct rule){.index = set->count};
        compiler->lenient = item->lenient ? item : NULL;
        bool ok = item->left_out || make_rule(compiler, item, rule);
        compiler->lenient = NULL;
        if (!ok)
            return false;
        if (!item->left_out)
            kept[set->count++] = item;
    }
    if (compiler->report->errors || !compiler_measure(compiler))
        return true;
    if (!find_sums(compiler, kept))
        return false;
    if (compiler->report->errors)
        return true;
    for (size_t i = 0; i < set->count; i++)
        if (!bind_rule(&binder, kept[i], &set->rules[i]))
            return false;
    for (size_t i = 0; i < event_type_count(); i++)
        if (!index_build(compiler, event_type_at(i), &binder.readings, kept))
            return false;
    for (size_t i = 0; i < binder.readings.count; i++) {
        const struct reading *reading = binder.readings.entries[i].item;
        if (reading->field)
            demand_add_read(&set->demand, reading->field);
        if (reading->term)
            add_term_reads(&set->demand, reading->term);
    }
    return true;
}
