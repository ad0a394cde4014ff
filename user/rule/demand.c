// Which files a condition can be about, and whether it can be about an open that failed.
#include "bound.h"

#include <string.h>

struct path {
    const char *text;
    size_t length;
    bool prefix;
};

// The paths that some part of a condition can match. Not bounded: any.
struct paths {
    bool bounded;
    struct path *list;
    size_t count;
    size_t capacity;
};

static bool paths_add(struct paths *paths, struct arena *arena, const char *text, size_t length, bool prefix)
{
    if (prefix && (length == 0 || (length == 1 && text[0] == '/'))) {
        paths->bounded = false;
        return true;
    }
    if (paths->count == paths->capacity) {
        struct path *more = arena_grow(arena, paths->list, sizeof(*more), &paths->capacity);
        if (!more)
            return false;
        paths->list = more;
    }
    paths->list[paths->count++] = (struct path){.text = text, .length = length, .prefix = prefix};
    return true;
}

static bool add_glob(struct paths *paths, struct arena *arena, const char *text, size_t length)
{
    size_t literal = glob_literal_length(text, length);
    return paths_add(paths, arena, text, literal, literal < length);
}

// A path below the pattern's first elements; without a slash at the end, so that the path itself is among
// them.
static bool add_path_glob(struct paths *paths, struct arena *arena, const char *text)
{
    size_t literal = glob_literal_length(text, strlen(text));
    while (literal > 0 && text[literal - 1] == '/')
        literal--;
    return paths_add(paths, arena, text, literal, true);
}

static bool add_set(struct paths *paths, struct arena *arena, const struct set *set)
{
    bool ok = true;
    for (size_t i = 0; ok && i < set->table.count; i++)
        ok = paths_add(paths, arena, set->table.entries[i].data, set->table.entries[i].length,
                       set->kind == SET_PATHS);
    for (size_t i = 0; ok && i < set->globs_count; i++)
        ok = add_path_glob(paths, arena, set->globs[i]);
    return ok;
}

static bool test_paths(const struct bound *test, struct arena *arena, struct paths *paths)
{
    const struct comparison *comparison = test->comparison;
    if (strcmp(test->field->name, "fd.name") != 0)
        return true;
    paths->bounded = true;
    bool ok = true;
    switch (comparison->comparator) {
    case CMP_EQ:
        return paths_add(paths, arena, comparison->text, comparison->length, false);
    case CMP_STARTSWITH:
    case CMP_BSTARTSWITH:
        return paths_add(paths, arena, comparison->text, comparison->length, true);
    case CMP_GLOB:
        return add_glob(paths, arena, comparison->text, comparison->length);
    case CMP_IN:
    case CMP_INTERSECTS:
    case CMP_PMATCH:
        for (size_t i = 0; ok && i < comparison->sets_count; i++)
            ok = add_set(paths, arena, comparison->sets[i]);
        return ok;
    default:
        paths->bounded = false;
        return true;
    }
}

static bool bound_paths(const struct bound *bound, struct arena *arena, struct paths *ret_paths)
{
    struct paths paths = {.bounded = bound->kind == BOUND_OR || bound->kind == BOUND_FALSE};
    if (bound->kind == BOUND_TEST && !test_paths(bound, arena, &paths))
        return false;
    bool chain = bound->kind == BOUND_AND || bound->kind == BOUND_OR;
    for (const struct bound *child = bound->first; chain && child; child = child->next) {
        struct paths inner;
        if (!bound_paths(child, arena, &inner))
            return false;
        // All parts of an `and` must hold, so the one with the fewest paths will do.
        if (bound->kind == BOUND_AND) {
            if (inner.bounded && (!paths.bounded || inner.count < paths.count))
                paths = inner;
            continue;
        }
        paths.bounded = paths.bounded && inner.bounded;
        for (size_t i = 0; paths.bounded && i < inner.count; i++)
            if (!paths_add(&paths, arena, inner.list[i].text, inner.list[i].length, inner.list[i].prefix))
                return false;
    }
    *ret_paths = paths;
    return true;
}

// Whether a number that compares so is never below zero.
static bool is_from_zero(const struct comparison *comparison)
{
    if (comparison->type != FIELD_INT)
        return false;
    switch (comparison->comparator) {
    case CMP_EQ:
    case CMP_GE:
        return comparison->i >= 0;
    case CMP_GT:
        return comparison->i >= -1;
    default:
        return false;
    }
}

static bool is_bool(const struct comparison *comparison, bool truth)
{
    return comparison->type == FIELD_BOOL && ((comparison->comparator == CMP_EQ && comparison->b == truth) ||
                                              (comparison->comparator == CMP_NE && comparison->b != truth));
}

static bool test_means_success(const struct bound *test)
{
    static const char *const opened[] = {"evt.is_open_read", "evt.is_open_write", "evt.is_open_exec"};
    const char *name = test->field->name;
    for (size_t i = 0; i < sizeof(opened) / sizeof(opened[0]); i++)
        if (strcmp(name, opened[i]) == 0)
            return is_bool(test->comparison, true);
    if (strcmp(name, "evt.failed") == 0)
        return is_bool(test->comparison, false);
    return (strcmp(name, "fd.num") == 0 || strcmp(name, "evt.rawres") == 0) && is_from_zero(test->comparison);
}

// True where the condition cannot hold for an open that failed.
static bool means_success(const struct bound *bound)
{
    if (bound->kind == BOUND_TEST)
        return test_means_success(bound);
    if (bound->kind != BOUND_AND && bound->kind != BOUND_OR)
        return false;
    for (const struct bound *child = bound->first; child; child = child->next)
        if (means_success(child) == (bound->kind == BOUND_AND))
            return bound->kind == BOUND_AND;
    return bound->kind == BOUND_OR;
}

bool bound_demand(const struct bound *bound, struct arena *arena, struct demand *demand)
{
    demand->failed_opens = demand->failed_opens || !means_success(bound);
    struct paths paths;
    if (!bound_paths(bound, arena, &paths))
        return false;
    if (!paths.bounded)
        demand->any_path = true;
    for (size_t i = 0; paths.bounded && i < paths.count; i++)
        demand_add_path(demand, paths.list[i].text, paths.list[i].length, paths.list[i].prefix);
    return true;
}
