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

// To several at once: one descriptor for all from 6.6 on, else one for each. How many there are is set on
// failure, too; `ret_links` has room for `count`.
int uprobe_attach_all(int program_fd, int file_fd, const uint64_t *offsets, size_t count, bool at_return,
                      int *ret_links, size_t *ret_links_count);

// To an instruction of this process only.
int uprobe_attach_own(int program_fd, int file_fd, uint64_t offset, bool at_return);

// A program for uprobes that does nothing: its descriptor, or a negative errno.
int uprobe_load_nothing(void);

// Whether the kernel has to run the instruction there step by step, which takes several times as long.
bool uprobe_is_stepped(int file_fd, uint64_t offset);

// Before 6.6 that takes CAP_SYS_ADMIN ("perf: Revert to requiring CAP_SYS_ADMIN for uprobes", 2025, also in
// older stable series), else no more than CAP_BPF.
bool uprobe_is_privileged(void);
