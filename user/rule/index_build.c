// Which keys of a condition are looked up: those that the fewest other rules ask for, too, because what many
// rules share (`container.id = host`) tells least about one of them.
#include "index_build.h"

#include "base/cleanup.h"
#include "index.h"
#include "keys.h"

#include <string.h>

// Of one rule, and of all rules of one type of event; a rule with more is judged each time.
enum { KEYS_MAX = 1024, KEYS_OF_TYPE_MAX = 65536 };

// How many rules of the type ask for a key.
struct usage {
    struct reading *reading;
    struct table counts[KEY_PART + 1]; // by kind; the items are numbers
    struct usage *next;
};

struct indexer {
    struct key_chooser chooser; // first, so that its function finds the rest
    struct compiler *compiler;
    struct table *readings;
    const struct event_type *type;
    struct judges *judges;
    struct arena scratch; // for one judge
    struct arena counted; // for one type
    struct usage *usages;
    size_t keys_count;        // that were added
    const struct bound *test; // the latest, and what it reads
    struct reading *reading;
    bool failed;
};

static bool is_usable(const struct key *key)
{
    return key->kind == KEY_WHOLE || key->length >= WINDOW;
}

// A list gives many keys of one test.
static struct reading *reading_of(struct indexer *indexer, const struct key *key)
{
    if (indexer->test != key->test)
        indexer->reading =
            bound_reading(key->test->left, indexer->type, indexer->compiler, indexer->readings);
    indexer->test = key->test;
    return indexer->reading;
}

static struct usage *usage_of(struct indexer *indexer, const struct key *key)
{
    struct reading *reading = reading_of(indexer, key);
    for (struct usage *usage = indexer->usages; usage; usage = usage->next)
        if (usage->reading == reading)
            return usage;
    struct usage *usage = reading ? arena_alloc(&indexer->counted, sizeof(*usage)) : NULL;
    if (usage) {
        usage->reading = reading;
        usage->next = indexer->usages;
        indexer->usages = usage;
    }
    return usage;
}

static struct table_entry *count_of(struct indexer *indexer, const struct key *key)
{
    struct usage *usage = usage_of(indexer, key);
    struct table_entry *entry =
        usage ? table_add(&usage->counts[key->kind], &indexer->counted, key->data, key->length) : NULL;
    indexer->failed = indexer->failed || !entry;
    return entry;
}

static size_t count_key(const struct key_chooser *chooser, const struct key *key)
{
    struct table_entry *entry = is_usable(key) ? count_of((struct indexer *)chooser, key) : NULL;
    if (entry)
        entry->item = (void *)((uintptr_t)entry->item + 1);
    return entry != NULL;
}

// Looking through a value takes longer than looking it up.
static size_t cost_of_key(const struct key_chooser *chooser, const struct key *key)
{
    struct table_entry *entry = is_usable(key) ? count_of((struct indexer *)chooser, key) : NULL;
    return entry ? (uintptr_t)entry->item * (key->kind == KEY_WHOLE ? 1 : 4) : 0;
}

static struct probe *probe_of(struct indexer *indexer, const struct key *key)
{
    struct reading *reading = reading_of(indexer, key);
    struct probe **at = &indexer->judges->probes;
    for (; *at; at = &(*at)->next)
        if ((*at)->reading == reading)
            return *at;
    *at = reading ? arena_alloc(&indexer->compiler->set->arena, sizeof(**at)) : NULL;
    if (*at)
        (*at)->reading = reading;
    return *at;
}

static bool post(struct indexer *indexer, struct posting **postings, uint32_t judge)
{
    struct posting *posting = arena_alloc(&indexer->compiler->set->arena, sizeof(*posting));
    if (!posting)
        return false;
    *posting = (struct posting){.judge = judge, .next = *postings};
    *postings = posting;
    return true;
}

static bool add_whole(struct indexer *indexer, struct probe *probe, const struct key *key, uint32_t judge)
{
    struct table_entry *entry =
        table_add(&probe->whole, &indexer->compiler->set->arena, key->data, key->length);
    if (!entry)
        return false;
    if (key->test->field->type == FIELD_IP) {
        const struct network *network = (const struct network *)key->data;
        size_t family = network->family == 6;
        if (!memchr(probe->bits[family], network->bits, probe->bits_count[family]))
            probe->bits[family][probe->bits_count[family]++] = network->bits;
    }
    struct posting *postings = entry->item;
    if (!post(indexer, &postings, judge))
        return false;
    entry->item = postings;
    return true;
}

// The piece where another rule asks for the same, or else a new one at the bytes that find the fewest others.
static struct piece *piece_of(struct indexer *indexer, struct probe *probe, const struct key *key)
{
    struct arena *arena = &indexer->compiler->set->arena;
    bool at_start = key->kind == KEY_PREFIX, at_end = key->kind == KEY_SUFFIX;
    size_t fewest = SIZE_MAX, best = 0;
    // What stands at the end of a path is rarer than what stands at its beginning.
    for (size_t offset = key->length - WINDOW + 1; offset-- > 0;) {
        const struct table_entry *entry = table_find(&probe->windows, key->data + offset, WINDOW);
        size_t others = 0;
        for (struct piece *piece = entry ? entry->item : NULL; piece; piece = piece->next, others++)
            if (piece->length == key->length && piece->at_start == at_start && piece->at_end == at_end &&
                memcmp(piece->data, key->data, key->length) == 0)
                return piece;
        if (others < fewest) {
            fewest = others;
            best = offset;
        }
    }
    struct table_entry *entry = table_add(&probe->windows, arena, key->data + best, WINDOW);
    struct piece *piece = arena_alloc(arena, sizeof(*piece));
    if (!probe->filter)
        probe->filter = arena_alloc(arena, (1 << FILTER_BITS) / 8);
    if (!entry || !piece || !probe->filter)
        return NULL;
    uint32_t hash = window_hash(key->data + best);
    probe->filter[hash / 64] |= UINT64_C(1) << hash % 64;
    *piece = (struct piece){.data = key->data,
                            .length = key->length,
                            .offset = best,
                            .at_start = at_start,
                            .at_end = at_end,
                            .next = entry->item};
    entry->item = piece;
    return piece;
}

static bool add_key(struct indexer *indexer, const struct key *key, uint32_t judge)
{
    struct probe *probe = probe_of(indexer, key);
    if (!probe)
        return false;
    if (key->kind == KEY_WHOLE)
        return add_whole(indexer, probe, key, judge);
    struct piece *piece = piece_of(indexer, probe, key);
    return piece && post(indexer, &piece->postings, judge);
}

static bool keys_of_judge(struct indexer *indexer, const struct expr *expr, struct keys *ret_keys)
{
    arena_reset(&indexer->scratch);
    indexer->test = NULL;
    const struct bound *bound = bound_new(expr, indexer->type, &indexer->scratch);
    return bound && keys_of(bound, &indexer->chooser, ret_keys) && !indexer->failed;
}

static bool add_judge(struct indexer *indexer, const struct expr *expr, uint32_t judge)
{
    struct keys keys;
    if (!keys_of_judge(indexer, expr, &keys))
        return false;
    if (!keys.bounded || keys.count > KEYS_OF_TYPE_MAX - indexer->keys_count) {
        indexer->judges->always[judge / 64] |= UINT64_C(1) << judge % 64;
        return true;
    }
    indexer->keys_count += keys.count;
    for (size_t i = 0; i < keys.count; i++)
        if (!add_key(indexer, &keys.list[i], judge))
            return false;
    return true;
}

static void indexer_free(struct indexer *indexer)
{
    arena_free(&indexer->scratch);
    arena_free(&indexer->counted);
}

bool index_build(struct compiler *compiler, const struct event_type *type, struct table *readings,
                 const struct rule_item *const *items)
{
    struct judges *judges = &compiler->set->types[event_type_index(type)];
    size_t words = (judges->count + 63) / 64;
    judges->always = arena_alloc(&compiler->set->arena, words * sizeof(*judges->always));
    if (!judges->always)
        return false;
    struct indexer indexer _cleanup_(indexer_free) = {
        .chooser = {.cost = count_key, .max = KEYS_MAX},
        .compiler = compiler,
        .type = type,
        .readings = readings,
        .judges = judges,
    };
    indexer.chooser.arena = &indexer.scratch;
    for (uint32_t i = 0; i < judges->count; i++) {
        struct keys ignored;
        if (!keys_of_judge(&indexer, items[judges->list[i].rule->index]->expr, &ignored))
            return false;
    }
    indexer.chooser.cost = cost_of_key;
    for (uint32_t i = 0; i < judges->count; i++)
        if (!add_judge(&indexer, items[judges->list[i].rule->index]->expr, i))
            return false;
    return true;
}
