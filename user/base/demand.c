#include "demand.h"

#include <stdlib.h>
#include <string.h>

// False: there is no room.
static bool paths_add(struct demand_path **paths, size_t *count, const char *text, size_t length, bool prefix)
{
    for (size_t i = 0; i < *count; i++) {
        const struct demand_path *path = &(*paths)[i];
        if (path->prefix == prefix && strlen(path->text) == length && memcmp(path->text, text, length) == 0)
            return true;
    }
    if (*count == DEMAND_PATHS_MAX)
        return false;
    if (!*paths)
        *paths = calloc(DEMAND_PATHS_MAX, sizeof(**paths));
    char *copy = *paths ? strndup(text, length) : NULL;
    if (!copy)
        return false;
    (*paths)[(*count)++] = (struct demand_path){.text = copy, .prefix = prefix};
    return true;
}

bool demand_suffix_counts(const char *text, size_t length)
{
    return length >= DEMAND_SUFFIX_SIZE &&
           !memchr(text + length - DEMAND_SUFFIX_SIZE, '/', DEMAND_SUFFIX_SIZE);
}

void demand_add_path(struct demand *demand, const char *text, size_t length, bool prefix)
{
    // An exact path is known by its inode, too, whatever other rules ask for.
    if (demand->any_path && prefix)
        return;
    if (!paths_add(&demand->paths, &demand->paths_count, text, length, prefix))
        demand->any_path = true;
}

void demand_add_suffix(struct demand *demand, const char *text, size_t length)
{
    uint32_t suffix;
    if (demand->any_path)
        return;
    if (!demand_suffix_counts(text, length)) {
        demand->any_path = true;
        return;
    }
    memcpy(&suffix, text + length - DEMAND_SUFFIX_SIZE, sizeof(suffix));
    for (size_t i = 0; i < demand->suffixes_count; i++)
        if (demand->suffixes[i] == suffix)
            return;
    if (demand->suffixes_count < DEMAND_SUFFIXES_MAX)
        demand->suffixes[demand->suffixes_count++] = suffix;
    else
        demand->any_path = true;
}

void demand_add_changed_path(struct demand *demand, size_t type, const char *text, size_t length, bool prefix)
{
    size_t anchor_length;
    if (!demand->any_changed_path[type] &&
        (!demand_path_anchor(text, length, prefix, &anchor_length) ||
         !paths_add(&demand->changed_paths, &demand->changed_paths_count, text, length, prefix)))
        demand->any_changed_path[type] = true;
}

void demand_add_changes(struct demand *demand, const struct demand *other)
{
    bool room = true;
    for (size_t i = 0; i < other->changed_paths_count; i++) {
        const struct demand_path *path = &other->changed_paths[i];
        room = room && paths_add(&demand->changed_paths, &demand->changed_paths_count, path->text,
                                 strlen(path->text), path->prefix);
    }
    for (size_t i = 0; i < EVENT_TYPES_MAX; i++) {
        demand->any_changed_path[i] = demand->any_changed_path[i] || other->any_changed_path[i] || !room;
        demand->failed_changes[i] = demand->failed_changes[i] || other->failed_changes[i];
    }
}

const char *demand_path_anchor(const char *text, size_t length, bool prefix, size_t *ret_length)
{
    // Behind the last slash of a prefix the name may go on.
    while (prefix && length > 0 && text[length - 1] != '/')
        length--;
    while (length > 0 && text[length - 1] == '/')
        length--;
    size_t begin = length;
    while (begin > 0 && text[begin - 1] != '/')
        begin--;
    if (begin == length)
        return NULL;
    *ret_length = length - begin;
    return text + begin;
}

// Fields that are put together of an event's arguments (evt.args) read all of those.
static bool reads_arguments(const struct field *field)
{
    static const char *const names[] = {"evt.args", "evt.arg", "evt.info"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(field->name, names[i]) == 0)
            return true;
    return false;
}

bool demand_reads(const struct demand *demand, const struct field *field)
{
    bool is_argument = strncmp(field->name, "evt.arg.", 8) == 0;
    for (size_t i = 0; i < demand->reads_count; i++)
        if (demand->reads[i] == field || (is_argument && reads_arguments(demand->reads[i])))
            return true;
    return demand->reads_all;
}

void demand_add_read(struct demand *demand, const struct field *field)
{
    if (demand_reads(demand, field))
        return;
    if (demand->reads_count < DEMAND_READS_MAX)
        demand->reads[demand->reads_count++] = field;
    else
        demand->reads_all = true;
}

void demand_add_clue(struct demand *demand, const struct demand_clue *clue)
{
    if (demand->clues_count < DEMAND_CLUES_MAX)
        demand->clues[demand->clues_count++] = *clue;
    else
        demand->any_clue[clue->type] = true;
}

void demand_add_threshold(struct demand *demand, const struct field *field, uint64_t value)
{
    for (size_t i = 0; i < demand->thresholds_count; i++)
        if (demand->thresholds[i].field == field && demand->thresholds[i].value == value)
            return;
    if (demand->thresholds_count < DEMAND_THRESHOLDS_MAX)
        demand->thresholds[demand->thresholds_count++] =
            (struct demand_threshold){.field = field, .value = value};
    else
        demand->thresholds_all = true;
}

void demand_add(struct demand *demand, const struct demand *other)
{
    for (size_t i = 0; i < EVENT_TYPES_MAX; i++) {
        demand->wanted[i] = demand->wanted[i] || other->wanted[i];
        demand->any_clue[i] = demand->any_clue[i] || other->any_clue[i];
    }
    demand->failed_opens = demand->failed_opens || other->failed_opens;
    demand->stream_data = demand->stream_data || other->stream_data;
    demand->foreign_data = demand->foreign_data || other->foreign_data;
    demand->repeated_sends = demand->repeated_sends || other->repeated_sends;
    for (size_t i = 0; i < other->paths_count; i++)
        demand_add_path(demand, other->paths[i].text, strlen(other->paths[i].text), other->paths[i].prefix);
    for (size_t i = 0; i < other->suffixes_count; i++)
        demand_add_suffix(demand, (const char *)&other->suffixes[i], DEMAND_SUFFIX_SIZE);
    // After the paths: those are kept where there is room, because they are watched by inode, too.
    demand->any_path = demand->any_path || other->any_path;
    demand_add_changes(demand, other);
    for (size_t i = 0; i < other->reads_count; i++)
        demand_add_read(demand, other->reads[i]);
    demand->reads_all = demand->reads_all || other->reads_all;
    for (size_t i = 0; i < other->clues_count; i++)
        demand_add_clue(demand, &other->clues[i]);
    for (size_t i = 0; i < other->thresholds_count; i++)
        demand_add_threshold(demand, other->thresholds[i].field, other->thresholds[i].value);
    demand->thresholds_all = demand->thresholds_all || other->thresholds_all;
    demand->sums = demand->sums || other->sums;
}

static void add_read(const char *group, const struct event_type *type, const struct field *field,
                     void *context)
{
    if (type && !field->payload)
        demand_add_read(context, field);
}

void demand_add_everything(struct demand *demand)
{
    for (size_t i = 0; i < event_type_count(); i++)
        demand->wanted[i] = demand->any_changed_path[i] = demand->failed_changes[i] = true;
    demand->any_path = true;
    demand->failed_opens = true;
    demand->stream_data = demand->foreign_data = demand->repeated_sends = true;
    demand->sums = true;
    field_visit(add_read, demand);
}

void demand_free(struct demand *demand)
{
    for (size_t i = 0; i < demand->paths_count; i++)
        free(demand->paths[i].text);
    free(demand->paths);
    for (size_t i = 0; i < demand->changed_paths_count; i++)
        free(demand->changed_paths[i].text);
    free(demand->changed_paths);
    memset(demand, 0, sizeof(*demand));
}
