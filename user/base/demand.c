#include "demand.h"

#include <stdlib.h>
#include <string.h>

void demand_add_path(struct demand *demand, const char *text, size_t length, bool prefix)
{
    // An exact path is known by its inode, too, whatever other rules ask for.
    if (demand->any_path && prefix)
        return;
    for (size_t i = 0; i < demand->paths_count; i++) {
        const struct demand_path *path = &demand->paths[i];
        if (path->prefix == prefix && strlen(path->text) == length && memcmp(path->text, text, length) == 0)
            return;
    }
    if (demand->paths_count == DEMAND_PATHS_MAX) {
        demand->any_path = true;
        return;
    }
    if (!demand->paths)
        demand->paths = calloc(DEMAND_PATHS_MAX, sizeof(*demand->paths));
    char *copy = demand->paths ? strndup(text, length) : NULL;
    if (!copy) {
        demand->any_path = true;
        return;
    }
    demand->paths[demand->paths_count++] = (struct demand_path){.text = copy, .prefix = prefix};
}

bool demand_reads(const struct demand *demand, const struct field *field)
{
    for (size_t i = 0; i < demand->reads_count; i++)
        if (demand->reads[i] == field)
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

void demand_add(struct demand *demand, const struct demand *other)
{
    for (size_t i = 0; i < EVENT_TYPES_MAX; i++) {
        demand->wanted[i] = demand->wanted[i] || other->wanted[i];
        demand->any_clue[i] = demand->any_clue[i] || other->any_clue[i];
    }
    demand->failed_opens = demand->failed_opens || other->failed_opens;
    for (size_t i = 0; i < other->paths_count; i++)
        demand_add_path(demand, other->paths[i].text, strlen(other->paths[i].text), other->paths[i].prefix);
    // After the paths: those are kept where there is room, because they are watched by inode, too.
    demand->any_path = demand->any_path || other->any_path;
    for (size_t i = 0; i < other->reads_count; i++)
        demand_add_read(demand, other->reads[i]);
    demand->reads_all = demand->reads_all || other->reads_all;
    for (size_t i = 0; i < other->clues_count; i++)
        demand_add_clue(demand, &other->clues[i]);
}

static void add_read(const char *group, const struct event_type *type, const struct field *field,
                     void *context)
{
    if (type)
        demand_add_read(context, field);
}

void demand_add_everything(struct demand *demand)
{
    for (size_t i = 0; i < event_type_count(); i++)
        demand->wanted[i] = true;
    demand->any_path = true;
    demand->failed_opens = true;
    field_visit(add_read, demand);
}

void demand_free(struct demand *demand)
{
    for (size_t i = 0; i < demand->paths_count; i++)
        free(demand->paths[i].text);
    free(demand->paths);
    memset(demand, 0, sizeof(*demand));
}
