#include "said.h"

#include <poll.h>
#include <string.h>
#include <time.h>

void agent_wait_said(struct agent *agent, const char *words)
{
    for (time_t until = time(NULL) + DEADLINE_S; time(NULL) < until; poll(NULL, 0, 10))
        if (strstr(agent_stderr(agent), words))
            return;
    cr_assert_fail("\"%s\" is not in: %s", words, agent_stderr(agent));
}
