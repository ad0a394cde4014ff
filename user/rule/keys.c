#include "keys.h"

#include <string.h>

struct collecting {
    const struct key_chooser *chooser;
    const struct bound *test;
    struct keys *keys;
};

static bool push(const struct key_chooser *chooser, struct keys *keys, const struct key *key)
{
    keys->bounded = keys->bounded && keys->count < chooser->max;
    if (!keys->bounded)
        return true;
    if (keys->count == keys->capacity) {
        struct key *more = arena_grow(chooser->arena, keys->list, sizeof(*more), &keys->capacity);
        if (!more)
            return false;
        keys->list = more;
    }
    keys->list[keys->count++] = *key;
    return true;
}

static bool add(const struct collecting *to, enum key_kind kind, const void *data, size_t length)
{
    const struct key key = {.test = to->test, .kind = kind, .data = data, .length = length};
    size_t cost = to->chooser->cost(to->chooser, &key);
    to->keys->bounded = to->keys->bounded && cost > 0;
    to->keys->cost += cost;
    return push(to->chooser, to->keys, &key);
}

// A path below the pattern's first elements; without a slash at the end, so that the path itself is among
// them.
static bool add_path_glob(const struct collecting *to, const char *text)
{
    size_t literal = glob_literal_length(text, strlen(text));
    while (literal > 0 && text[literal - 1] == '/')
        literal--;
    return add(to, KEY_PREFIX, text, literal);
}

static bool add_sets(const struct collecting *to, const struct comparison *comparison)
{
    bool ok = true;
    for (size_t i = 0; i < comparison->sets_count; i++) {
        const struct set *set = comparison->sets[i];
        enum key_kind kind = set->kind == SET_PATHS ? KEY_PREFIX : KEY_WHOLE;
        for (size_t k = 0; ok && to->keys->bounded && k < set->table.count; k++)
            ok = add(to, kind, set->table.entries[k].data, set->table.entries[k].length);
        for (size_t k = 0; ok && to->keys->bounded && k < set->globs_count; k++)
            ok = add_path_glob(to, set->globs[k]);
    }
    return ok;
}

static bool add_equal(const struct collecting *to, const struct comparison *comparison)
{
    switch (comparison->type) {
    case FIELD_STRING:
        return add(to, KEY_WHOLE, comparison->text, comparison->length);
    case FIELD_BOOL:
        return add(to, KEY_WHOLE, &comparison->b, sizeof(comparison->b));
    case FIELD_IP:
        return add_sets(to, comparison);
    default:
        return add(to, KEY_WHOLE, &comparison->u, sizeof(comparison->u));
    }
}

static bool add_comparison(const struct collecting *to, const struct comparison *comparison)
{
    const char *text = comparison->text;
    bool ok = true;
    switch (comparison->comparator) {
    case CMP_EQ:
        return add_equal(to, comparison);
    case CMP_STARTSWITH:
    case CMP_BSTARTSWITH:
        return add(to, KEY_PREFIX, text, comparison->length);
    case CMP_ENDSWITH:
        return add(to, KEY_SUFFIX, text, comparison->length);
    case CMP_CONTAINS:
    case CMP_BCONTAINS:
        return add(to, KEY_PART, text, comparison->length);
    case CMP_GLOB:
        return add(to, comparison->literal_length < comparison->length ? KEY_PREFIX : KEY_WHOLE, text,
                   comparison->literal_length);
    case CMP_IN:
    case CMP_INTERSECTS:
    case CMP_PMATCH:
        return add_sets(to, comparison);
    case CMP_ONEOF:
    case CMP_ANYOF:
        for (size_t i = 0; ok && to->keys->bounded && i < comparison->parts_count; i++)
            ok = add_comparison(to, comparison->parts[i]);
        return ok;
    default:
        to->keys->bounded = false;
        return true;
    }
}

static bool test_keys(const struct bound *test, const struct key_chooser *chooser, struct keys *keys)
{
    if (!test->field || test->right)
        return true;
    keys->bounded = true;
    const struct collecting to = {.chooser = chooser, .test = test, .keys = keys};
    return add_comparison(&to, test->comparison);
}

bool keys_of(const struct bound *bound, const struct key_chooser *chooser, struct keys *ret_keys)
{
    struct keys keys = {.bounded = bound->kind == BOUND_OR || bound->kind == BOUND_FALSE};
    if (bound->kind == BOUND_TEST && !test_keys(bound, chooser, &keys))
        return false;
    bool chain = bound->kind == BOUND_AND || bound->kind == BOUND_OR;
    for (const struct bound *child = bound->first; chain && child; child = child->next) {
        struct keys inner;
        if (!keys_of(child, chooser, &inner))
            return false;
        // All parts of an `and` must hold, so the one with the cheapest keys will do.
        if (bound->kind == BOUND_AND) {
            if (inner.bounded && (!keys.bounded || inner.cost < keys.cost))
                keys = inner;
            continue;
        }
        keys.bounded = keys.bounded && inner.bounded;
        for (size_t i = 0; keys.bounded && i < inner.count; i++)
            if (!push(chooser, &keys, &inner.list[i]))
                return false;
        keys.cost += inner.cost;
    }
    *ret_keys = keys;
    return true;
}
