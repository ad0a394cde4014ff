#include "caller_path.h"

#include "base/path.h"
#include "base/series.h"

#include <stdio.h>

enum { DIRECTORY_MAX = CALLER_PATH_WIRE_MAX + 1, JOINED_MAX = DIRECTORY_MAX + CALLER_PATH_NAME_MAX };

static struct counter unknown = {
    .name = "inferscope_paths_unknown_total",
    .help = "Paths in events that were deeper or longer than a record holds, so that rules found none",
};

void caller_path_register(void)
{
    counter_register(&unknown);
}

const char *caller_path_join(const struct event *event, const char *directory, const char *name)
{
    char joined[JOINED_MAX];
    // An absolute name begins at the caller's root, above which no ".." leads.
    if (path_join(name[0] == '/' ? "/" : directory, name, joined, sizeof(joined)) < 0)
        return NULL;
    bool below = name[0] == '/' && directory[1];
    bool at = below && !joined[1]; // the root itself
    return event_printf(event, "%s%s", below ? directory : "", at ? "" : joined);
}

const char *caller_path(const struct event *event, const char *name, const char *wire, size_t wire_size,
                        bool truncated)
{
    char directory[DIRECTORY_MAX];
    const char *path = NULL;
    // The front of a truncated path is missing: worse than none.
    if (!truncated && path_decode(wire, wire_size, directory, sizeof(directory)) >= 0)
        path = name ? caller_path_join(event, directory, name) : event_printf(event, "%s", directory);
    unknown.value += !path;
    return path;
}
