// The source `mapping`, which has the agent look at new programs and libraries as soon as they are run.
#pragma once

// Files that were let go of are news again when somebody runs them.
void mapping_renew(void);
