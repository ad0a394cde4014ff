// Programs that the kernel runs over all of something when they are asked to.
#pragma once

#include <bpf/libbpf.h>

// For a program of "iter/bpf_map_elem" the map's descriptor, for others -1. 0 or a negative errno.
int iterator_attach(struct bpf_program *program, int map_fd, struct bpf_link **ret_link);
// Runs it over all there is now. 0 or a negative errno.
int iterator_run(const struct bpf_link *link);
