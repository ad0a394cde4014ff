// How grave an alert is, in Falco's words.
#pragma once

enum priority {
    PRIORITY_EMERGENCY,
    PRIORITY_ALERT,
    PRIORITY_CRITICAL,
    PRIORITY_ERROR,
    PRIORITY_WARNING,
    PRIORITY_NOTICE,
    PRIORITY_INFORMATIONAL,
    PRIORITY_DEBUG,
};

// "Critical", "Warning", … as Falco prints it.
const char *priority_name(enum priority priority);
// Case-insensitive; "info" is Informational. -EINVAL.
int priority_parse(const char *name, enum priority *ret_priority);
