#include "fields.h"
#include "base/cleanup.h"
#include "enrich_private.h"

#include <string.h>

// --- user, group ---

GETTER(get_user_uid)
{
    return nth == 0 && event->process && value_set_uint(ret_value, event->process->uid);
}

static const char *user_name(const struct event *event, uint32_t uid)
{
    struct enrich *enrich = enrich_active();
    return enrich ? users_user(&enrich->users, uid, event->wire->time_ns) : NULL;
}

static bool user_name_of(const struct event *event, uint32_t uid, struct value *ret_value)
{
    return value_set_string(ret_value, user_name(event, uid));
}

GETTER(get_user_home)
{
    struct enrich *enrich = enrich_active();
    return nth == 0 && event->process && enrich &&
           value_set_string(ret_value, users_home(&enrich->users, event->process->uid, event->wire->time_ns));
}

GETTER(get_user_shell)
{
    struct enrich *enrich = enrich_active();
    return nth == 0 && event->process && enrich &&
           value_set_string(ret_value,
                            users_shell(&enrich->users, event->process->uid, event->wire->time_ns));
}

GETTER(get_user_name)
{
    return nth == 0 && event->process && user_name_of(event, event->process->uid, ret_value);
}

GETTER(get_user_loginuid)
{
    if (nth > 0 || !event->process)
        return false;
    uint32_t loginuid = event->process->loginuid;
    return value_set_int(ret_value, loginuid == LOGINUID_NONE ? -1 : (int64_t)loginuid);
}

GETTER(get_user_loginname)
{
    return nth == 0 && event->process && event->process->loginuid != LOGINUID_NONE &&
           user_name_of(event, event->process->loginuid, ret_value);
}

GETTER(get_group_gid)
{
    return nth == 0 && event->process && value_set_uint(ret_value, event->process->gid);
}

GETTER(get_group_name)
{
    struct enrich *enrich = enrich_active();
    return nth == 0 && event->process && enrich &&
           value_set_string(ret_value,
                            users_group(&enrich->users, event->process->gid, event->wire->time_ns));
}

static const struct field user_fields[] = {
    {.name = "user.uid",
     .type = FIELD_UINT,
     .help = "Effective user id of the process, as the node counts",
     .get = get_user_uid},
    {.name = "user.name",
     .type = FIELD_STRING,
     .help = "Name of that user in the node's /etc/passwd",
     .get = get_user_name},
    {.name = "user.homedir",
     .type = FIELD_STRING,
     .help = "That user's home directory, from the same file",
     .get = get_user_home},
    {.name = "user.shell",
     .type = FIELD_STRING,
     .help = "That user's login shell, from the same file",
     .get = get_user_shell},
    {.name = "user.loginuid",
     .type = FIELD_INT,
     .help = "User id of the login that the process goes back to; -1 for none",
     .get = get_user_loginuid},
    {.name = "user.loginname",
     .type = FIELD_STRING,
     .help = "Name of the user who logged in",
     .get = get_user_loginname},
};

static const struct field group_fields[] = {
    {.name = "group.gid",
     .type = FIELD_UINT,
     .help = "Effective group id of the process",
     .get = get_group_gid},
    {.name = "group.name",
     .type = FIELD_STRING,
     .help = "Name of that group in the node's /etc/group",
     .get = get_group_name},
};

int enrich_register_fields(void)
{
    event_set_user_names(user_name);
    int err = enrich_register_event_fields();
    if (!err)
        err = enrich_register_process_fields();
    if (!err)
        err = enrich_register_program_fields();
    if (!err)
        err = enrich_register_session_fields();
    if (!err)
        err = field_register_context("user", user_fields, ARRAY_SIZE(user_fields));
    if (!err)
        err = field_register_context("group", group_fields, ARRAY_SIZE(group_fields));
    if (!err)
        err = enrich_register_container_fields();
    if (!err)
        err = enrich_register_mount_fields();
    if (!err)
        err = enrich_register_pod_fields();
    return err;
}
