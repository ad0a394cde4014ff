// Which files a condition can be about, whether it can be about an open that failed or a TCP socket, and what
// gives an event away that it can match.
#include "keys.h"

#include "base/cleanup.h"

#include <string.h>

static bool is_field(const struct key *key, const char *name)
{
    return strcmp(key->test->field->name, name) == 0;
}

// Whole paths and their beginnings. Every path begins with a slash.
static bool bounds_path(const struct key *key)
{
    bool says_nothing = key->length == 0 || (key->length == 1 && key->data[0] == '/');
    return key->kind == KEY_WHOLE || (key->kind == KEY_PREFIX && !says_nothing);
}

static size_t path_cost(const struct key_chooser *chooser, const struct key *key)
{
    return (is_field(key, "fd.name") || is_field(key, "fs.path.name")) &&
           (bounds_path(key) || (key->kind == KEY_SUFFIX && demand_suffix_counts(key->data, key->length)));
}

// Fields that are a name in a call, or what that name leads to.
static size_t changed_path_cost(const struct key_chooser *chooser, const struct key *key)
{
    static const char *const fields[] = {
        "evt.arg.filename", "evt.arg.linkpath",  "evt.arg.name",   "evt.arg.newpath",   "evt.arg.oldpath",
        "evt.arg.path",     "evt.arg.target",    "fd.name",        "fs.path.name",      "fs.path.nameraw",
        "fs.path.source",   "fs.path.sourceraw", "fs.path.target", "fs.path.targetraw",
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (is_field(key, fields[i]))
            return bounds_path(key);
    return 0;
}

static bool is_address(const struct key *key)
{
    return is_field(key, "fd.sip") || is_field(key, "fd.rip");
}

// Clues are names of processes, and single addresses.
static size_t clue_cost(const struct key_chooser *chooser, const struct key *key)
{
    const struct network *network = (const struct network *)key->data;
    return (is_field(key, "proc.name") && key->kind == KEY_WHOLE) ||
           (is_address(key) && network->bits == (network->family == 4 ? 32 : 128));
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
    // These are missing where a call failed, and what is missing compares with nothing.
    if (strncmp(name, "fs.path.", strlen("fs.path.")) == 0)
        return true;
    return (strcmp(name, "fd.num") == 0 || strcmp(name, "evt.rawres") == 0) && is_from_zero(test->comparison);
}

// True where the condition cannot hold for a call that failed.
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
    const struct key_chooser chooser = {.cost = path_cost, .arena = arena, .max = DEMAND_PATHS_MAX};
    struct keys paths;
    demand->failed_opens = demand->failed_opens || !means_success(bound);
    if (!keys_of(bound, &chooser, &paths))
        return false;
    if (!paths.bounded)
        demand->any_path = true;
    for (size_t i = 0; paths.bounded && i < paths.count; i++) {
        const struct key *key = &paths.list[i];
        if (key->kind == KEY_SUFFIX)
            demand_add_suffix(demand, key->data, key->length);
        else
            demand_add_path(demand, key->data, key->length, key->kind == KEY_PREFIX);
    }
    return true;
}

bool bound_changes(const struct bound *bound, size_t type, struct arena *arena, struct demand *demand)
{
    const struct key_chooser chooser = {.cost = changed_path_cost, .arena = arena, .max = DEMAND_PATHS_MAX};
    struct keys paths;
    demand->failed_changes[type] = demand->failed_changes[type] || !means_success(bound);
    if (!keys_of(bound, &chooser, &paths))
        return false;
    if (!paths.bounded)
        demand->any_changed_path[type] = true;
    for (size_t i = 0; paths.bounded && i < paths.count; i++)
        demand_add_changed_path(demand, type, paths.list[i].data, paths.list[i].length,
                                paths.list[i].kind == KEY_PREFIX);
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
    const struct key_chooser chooser = {.cost = clue_cost, .arena = arena, .max = DEMAND_CLUES_MAX};
    struct keys clues;
    if (!keys_of(bound, &chooser, &clues))
        return false;
    if (!clues.bounded)
        demand->any_clue[type] = true;
    for (size_t i = 0; clues.bounded && i < clues.count; i++) {
        const struct key *key = &clues.list[i];
        struct demand_clue clue = {.type = type};
        if (is_address(key)) {
            const struct network *network = (const struct network *)key->data;
            clue.address.family = network->family;
            memcpy(clue.address.bytes, network->bytes, sizeof(clue.address.bytes));
        } else if (key->length > 0 && key->length < sizeof(clue.name)) {
            memcpy(clue.name, key->data, key->length);
        } else {
            continue; // no process has such a name
        }
        demand_add_clue(demand, &clue);
    }
    return true;
}

// The fields whose sums an event is told of when they come to what a rule compares them with.
static bool is_sum(const struct field *field)
{
    return field && strncmp(field->name, "net.egress.bytes", strlen("net.egress.bytes")) == 0;
}

void bound_thresholds(const struct bound *bound, struct demand *demand)
{
    for (const struct bound *child = bound->kind == BOUND_TEST ? NULL : bound->first; child;
         child = child->next)
        bound_thresholds(child, demand);
    if (bound->kind != BOUND_TEST || !is_sum(bound->field))
        return;
    const struct comparison *comparison = bound->comparison;
    if (!bound->right && comparison->comparator >= CMP_LT && comparison->comparator <= CMP_GE)
        demand_add_threshold(demand, bound->field, comparison->u);
    else if (!bound->right && comparison->comparator == CMP_EXISTS)
        return;
    else
        demand->thresholds_all = true;
}
