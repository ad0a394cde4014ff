// Tables in the kernel by thread, from one hook to the next: a thread that dies in between leaves its entry
// behind.
#pragma once

#include <stdint.h>

// About once a minute, however often it is called: takes the entries of threads that are gone out of a table,
// so that it is full only where as many are alive. Its keys are 8 bytes of which the first 4 are the thread,
// in the node's own numbers. `in_out_swept_ns`: the table's, 0 at first. Harmless for a negative descriptor.
void threads_sweep(int map_fd, uint64_t *in_out_swept_ns);
// The same at once. How many it took out.
unsigned threads_sweep_now(int map_fd);
