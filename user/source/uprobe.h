// Attaching a program to an instruction of a file, for all processes that run it.
#pragma once

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>

// Before a program is loaded that is to be attached so.
void uprobe_prepare(struct bpf_program *program);

// To the function that begins at an offset of the opened file, or to its return. A descriptor that keeps it
// attached until it is closed, or a negative errno.
int uprobe_attach(int program_fd, int file_fd, uint64_t offset, bool at_return);

// Before 6.6 that takes CAP_SYS_ADMIN ("perf: Revert to requiring CAP_SYS_ADMIN for uprobes", 2025, also in
// older stable series), else no more than CAP_BPF.
bool uprobe_is_privileged(void);
