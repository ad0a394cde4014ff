// What the agent knows of itself.
#pragma once

// When the process started, in seconds since the Unix epoch; 0 where that is not known.
double metric_start_time(void);
