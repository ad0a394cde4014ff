// What the agent says on its standard error comes by another way than its metrics and alerts: perhaps a
// moment after them.
#pragma once

#include "harness.h"

// Waits until these words are among what it has said.
void agent_wait_said(struct agent *agent, const char *words);
