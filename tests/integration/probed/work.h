// What the tests of probes measure.
#pragma once

// Sleeps for so many microseconds, or ends the process in the middle where they are negative.
long work_sleep(long microseconds);
// Does next to nothing with a number of bytes.
long work_bytes(const void *data, long bytes, int sign);
