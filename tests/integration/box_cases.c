// What holds of a container whichever runtime made it.
#include "box.h"

#include <stdio.h>
#include <string.h>

#define IMAGE BOX_IMAGE ":" BOX_TAG

struct agent *box_agent(const char *rules)
{
    return agent_start(rules, "--host-root", box_root(), NULL);
}

void box_case_four_rules(box_command_fn command, const char *run)
{
    const char *name = box_name("rules");
    _cleanup_free_ char *rules = read_whole_file("tests/data/user-rules.yaml");
    cr_assert(rules);
    _cleanup_agent_ struct agent *agent = box_agent(rules);
    command("%s --rm --name %s " IMAGE " /python3 open /etc/secrets/key connect 127.0.0.1 4444 spawn /sh x",
            run, name);
    agent_wait_alert(agent, "Sensitive File Access", "fd.name", "/etc/secrets/key", "container.name", name,
                     "user.name", "root", NULL);
    agent_wait_alert(agent, "Unexpected Network Connection", "fd.sip", "127.0.0.1", "fd.sport", "4444",
                     "container.name", name, NULL);
    agent_wait_alert(agent, "Shell Spawned in Container", "proc.name", "sh", "proc.pname", "python3",
                     "container.name", name, NULL);
    command("%s --rm --name %s-2 " IMAGE " /stranger x", run, name);
    agent_wait_alert(agent, "Unauthorized Process in Container", "proc.cmdline", "stranger x",
                     "container.name", format_text("%s-2", name), "container.image.repository", BOX_IMAGE,
                     NULL);
}

void box_case_running(box_command_fn command, const char *run, const char *rule)
{
    const char *name = box_name("runs"), *renamed = box_name("renamed");
    command("%s -d --name %s " IMAGE " /python3 stay", run, name);
    // Begun before the agent.
    _cleanup_agent_ struct agent *agent = box_agent(rule);
    command("exec %s /stranger first", name);
    agent_wait_alert(agent, "started", "proc.cmdline", "stranger first", "container.name", name,
                     "container.image.repository", BOX_IMAGE, NULL);
    command("pause %s", name);
    command("unpause %s", name);
    command("exec %s /stranger again", name);
    agent_wait_alert(agent, "started", "proc.cmdline", "stranger again", "container.name", name, NULL);

    // The new name is looked for once a second.
    command("rename %s %s", name, renamed);
    json_t *alert = NULL;
    for (int i = 0; !alert && i < 100; i++) {
        command("exec %s /stranger renamed-%d", renamed, i);
        alert =
            agent_wait_alert(agent, "started", "proc.cmdline", format_text("stranger renamed-%d", i), NULL);
        if (strcmp(alert_field(alert, "container.name"), renamed) != 0)
            alert = NULL;
    }
    cr_assert(alert, "the container's new name did not come");
}
