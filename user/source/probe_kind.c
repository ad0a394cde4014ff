// Which files a kind of probes is for, by their names.
#include "probes.h"

#include <fnmatch.h>
#include <string.h>

static const char *file_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

bool probe_kind_matches(const struct probe_kind *kind, const char *path)
{
    const char *name = file_name(path);
    if (!strstr(name, ".so") && !kind->by_name)
        return kind->executables;
    for (size_t i = 0; kind->libraries[i]; i++) {
        const char *pattern = kind->libraries[i];
        if (fnmatch(pattern, kind->by_name && strchr(pattern, '/') ? path : name, 0) == 0)
            return true;
    }
    return false;
}

bool probe_kind_expects(const struct probe_kind *kind, const char *path)
{
    return fnmatch(kind->libraries[0], file_name(path), 0) == 0;
}

const struct probe_blind *probe_kind_blind(const struct probe_kind *kind, const char *path)
{
    for (const struct probe_blind *blind = kind->blind; blind && blind->pattern; blind++)
        if (fnmatch(blind->pattern, file_name(path), 0) == 0)
            return blind;
    return NULL;
}
