// Which functions of CUDA are probed, by which programs of bpf/cuda.bpf.c.
#pragma once

#include "probes.h"

// NULL-terminated. Their .program is cuda_program(), which the source defines.
extern const struct probe_kind *const cuda_kinds[];

struct bpf_program *cuda_program(const struct probe_kind *kind, const char *name);
