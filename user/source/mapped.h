// Which files the node's processes run: those of processes that are there already, from /proc, and each that
// is mapped to be executed later, from the kernel's own notes of that. What is loaded by dlopen() is among
// them.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mapped_file {
    pid_t pid;        // as the agent counts
    const char *path; // as that process sees it; " (deleted)" is a part of it where it is
    uint64_t start;   // where it lies in the process
    uint64_t end;
    uint32_t major; // that and the next two: as the kernel names it, not always as stat() does
    uint32_t minor;
    uint64_t inode;
};

typedef void (*mapped_fn)(const struct mapped_file *file);

// Begins to note what is mapped; needs CAP_PERFMON. 0 or a negative errno.
int mapped_start(mapped_fn on_file);
void mapped_stop(void);
// Hands over what was mapped since the last call. False: some of it was lost, so that mapped_scan() is called
// for.
bool mapped_poll(void);
// Hands over what all processes have mapped now, from /proc.
void mapped_scan(mapped_fn on_file);
// Whether a process still has a file.
bool mapped_has(pid_t pid, uint32_t major, uint32_t minor, uint64_t inode);
