// How often the kernel skipped a source's programs: it runs none twice at once on a CPU, and counts the
// second (since Linux 5.12). On kernels whose tracepoints can be preempted another task's event is missed so.
#pragma once

#include <bpf/libbpf.h>

// Exports what the object's programs miss, by source, whose name the object has. Doing so twice is harmless.
void skipped_watch(const struct bpf_object *object);
// Before the object goes; its count stays.
void skipped_unwatch(const struct bpf_object *object);
