#include "base/priority.h"

#include <errno.h>
#include <strings.h>

static const char *const names[] = {"Emergency", "Alert",  "Critical",      "Error",
                                    "Warning",   "Notice", "Informational", "Debug"};

const char *priority_name(enum priority priority)
{
    return (size_t)priority < sizeof(names) / sizeof(names[0]) ? names[priority] : "Unknown";
}

int priority_parse(const char *name, enum priority *ret_priority)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            *ret_priority = (enum priority)i;
            return 0;
        }
    }
    if (strcasecmp(name, "info") != 0)
        return -EINVAL;
    *ret_priority = PRIORITY_INFORMATIONAL;
    return 0;
}
