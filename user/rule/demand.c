// Which files a condition can be about, whether it can be about an open that failed or a TCP socket, and what
// gives an event away that it can match.
#include "bound.h"

#include <string.h>

struct path {
    const char *text; // of an address: struct network
    size_t length;
    bool prefix;
};

// The paths (or clues) of which any event has one that some part of a condition matches. Not bounded: any.
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

static bool comparison_paths(const struct comparison *comparison, struct arena *arena, struct paths *paths)
{
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
    case CMP_ONEOF:
    case CMP_ANYOF:
        for (size_t i = 0; ok && paths->bounded && i < comparison->parts_count; i++)
            ok = comparison_paths(comparison->parts[i], arena, paths);
        return ok;
    default:
        paths->bounded = false;
        return true;
    }
}

static bool test_paths(const struct bound *test, struct arena *arena, struct paths *paths)
{
    if (!test->field || test->right || strcmp(test->field->name, "fd.name") != 0)
        return true;
    paths->bounded = true;
    return comparison_paths(test->comparison, arena, paths);
}

// The same for clues: names of processes, and single addresses, which are told apart by `prefix`.
static bool test_clues(const struct bound *test, struct arena *arena, struct paths *paths)
{
    const struct comparison *comparison = test->comparison;
    const char *field = test->field && !test->right ? test->field->name : "";
    bool is_name = strcmp(field, "proc.name") == 0;
    bool is_address = strcmp(field, "fd.sip") == 0 || strcmp(field, "fd.rip") == 0;
    if ((!is_name && !is_address) || (comparison->comparator != CMP_EQ && comparison->comparator != CMP_IN))
        return true;
    paths->bounded = true;
    if (is_name && comparison->comparator == CMP_EQ)
        return paths_add(paths, arena, comparison->text, comparison->length, false);
    bool ok = true;
    for (size_t i = 0; ok && i < comparison->sets_count; i++) {
        const struct table *members = &comparison->sets[i]->table;
        for (size_t k = 0; ok && k < members->count; k++) {
            const struct network *network = (const struct network *)members->entries[k].data;
            if (is_address && network->bits != (network->family == 4 ? 32 : 128))
                paths->bounded = false;
            ok = paths_add(paths, arena, members->entries[k].data, members->entries[k].length, is_address);
        }
    }
    return ok;
}

typedef bool (*test_fn)(const struct bound *test, struct arena *arena, struct paths *paths);

static bool bound_paths(const struct bound *bound, struct arena *arena, test_fn test, struct paths *ret_paths)
{
    struct paths paths = {.bounded = bound->kind == BOUND_OR || bound->kind == BOUND_FALSE};
    if (bound->kind == BOUND_TEST && !test(bound, arena, &paths))
        return false;
    bool chain = bound->kind == BOUND_AND || bound->kind == BOUND_OR;
    for (const struct bound *child = bound->first; chain && child; child = child->next) {
        struct paths inner;
        if (!bound_paths(child, arena, test, &inner))
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
    if (!test->field || test->right)
        return false;
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
    if (!bound_paths(bound, arena, test_paths, &paths))
        return false;
    if (!paths.bounded)
        demand->any_path = true;
    for (size_t i = 0; paths.bounded && i < paths.count; i++)
        demand_add_path(demand, paths.list[i].text, paths.list[i].length, paths.list[i].prefix);
    return true;
}

// What is known of a field in a certain kind of event.
struct fact {
    const char *field; // NULL behind the last one
    enum { FACT_MISSING, FACT_TEXT, FACT_FALSE } is;
    const char *text;
};

// Whether a test can be true, or false, of an event of which only these facts are known.
static bool test_can_be(const struct bound *test, bool truth, const struct fact *facts)
{
    const struct fact *fact = facts;
    while (fact->field && (!test->field || strcmp(test->field->name, fact->field) != 0))
        fact++;
    if (!fact->field || test->right)
        return true;
    struct value known = {.type = FIELD_BOOL, .b = false};
    if (fact->is == FACT_TEXT)
        value_set_string(&known, fact->text);
    return (fact->is != FACT_MISSING && comparison_holds(test->comparison, &known)) == truth;
}

static bool can_be(const struct bound *bound, bool truth, const struct fact *facts)
{
    switch (bound->kind) {
    case BOUND_FALSE:
    case BOUND_TRUE:
        return (bound->kind == BOUND_TRUE) == truth;
    case BOUND_TEST:
        return test_can_be(bound, truth, facts);
    case BOUND_NOT:
        return can_be(bound->first, !truth, facts);
    default:
        break;
    }
    // A true `and` and a false `or` ask it of all parts, the others of one.
    bool all = (bound->kind == BOUND_AND) == truth;
    for (const struct bound *child = bound->first; child; child = child->next)
        if (can_be(child, truth, facts) != all)
            return !all;
    return all;
}

bool bound_matches_tcp(const struct bound *bound)
{
    static const struct fact tcp[] = {{"fd.l4proto", FACT_TEXT, "tcp"}, {}};
    return can_be(bound, true, tcp);
}

bool bound_matches_foreign(const struct bound *bound)
{
    // UNIX sockets have a family, the others none; the rest is the same.
    static const struct fact local[] = {
        {"fd.type", FACT_TEXT, "unix"},       {"fd.typechar", FACT_TEXT, "u"},
        {"fd.sockfamily", FACT_TEXT, "unix"}, {"fd.l4proto", FACT_MISSING, NULL},
        {"fd.connected", FACT_MISSING, NULL}, {}};
    static const struct fact other[] = {
        {"fd.type", FACT_MISSING, NULL},       {"fd.typechar", FACT_MISSING, NULL},
        {"fd.sockfamily", FACT_MISSING, NULL}, {"fd.l4proto", FACT_MISSING, NULL},
        {"fd.connected", FACT_MISSING, NULL},  {}};
    return can_be(bound, true, local) || can_be(bound, true, other);
}

bool bound_matches_repeated(const struct bound *bound)
{
    static const struct fact repeated[] = {{"fd.name_changed", FACT_FALSE, NULL}, {}};
    return can_be(bound, true, repeated);
}

bool bound_clues(const struct bound *bound, size_t type, struct arena *arena, struct demand *demand)
{
    struct paths clues;
    if (!bound_paths(bound, arena, test_clues, &clues))
        return false;
    if (!clues.bounded)
        demand->any_clue[type] = true;
    for (size_t i = 0; clues.bounded && i < clues.count; i++) {
        const struct path *found = &clues.list[i];
        struct demand_clue clue = {.type = type};
        if (found->prefix) {
            const struct network *network = (const struct network *)found->text;
            clue.address.family = network->family;
            memcpy(clue.address.bytes, network->bytes, sizeof(clue.address.bytes));
        } else if (found->length > 0 && found->length < sizeof(clue.name)) {
            memcpy(clue.name, found->text, found->length);
        } else {
            continue; // no process has such a name
        }
        demand_add_clue(demand, &clue);
    }
    return true;
}
