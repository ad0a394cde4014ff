#include "demand.h"

#include <stdlib.h>
#include <string.h>

void demand_add_path(struct demand *demand, const char *text, size_t length, bool prefix)
{
    if (demand->any_path)
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

void demand_free(struct demand *demand)
{
    for (size_t i = 0; i < demand->paths_count; i++)
        free(demand->paths[i].text);
    free(demand->paths);
    memset(demand, 0, sizeof(*demand));
}
