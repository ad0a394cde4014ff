// What the node's processes run that the sources can probe, and where they see nothing of it.
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct runtime_found {
    const char *kind;  // "openssl"
    const char *file;  // as a process sees it; any bytes but NUL
    pid_t pid;         // of that process
    size_t processes;  // that have mapped it, to be executed
    size_t functions;  // that are found in it; 0: none, it is not seen
    const char *blind; // why; NULL where it is seen
};

typedef void (*runtime_fn)(const struct runtime_found *found, void *context);

// Looks through /proc and the files themselves, without the kernel's help and without an agent that runs.
// Sees what the caller may see. 0 or -ENOMEM.
int runtimes_visit(runtime_fn visit, void *context);
