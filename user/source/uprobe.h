// Attaching a program to an instruction of a file, for all processes that run it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// To the function that begins at an offset of the opened file, or to its return. A descriptor that keeps it
// attached until it is closed, or a negative errno. Needs CAP_PERFMON, and CAP_SYS_ADMIN where
// kernel.perf_event_paranoid is above 2.
int uprobe_attach(int program_fd, int file_fd, uint64_t offset, bool at_return);
