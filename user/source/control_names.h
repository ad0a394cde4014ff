// Names of what the calls of the source `control` take.
#pragma once

#include "values.h"

#include <stdint.h>

bool control_set_request(struct value *ret_value, const struct event *event, int64_t request); // ptrace
bool control_set_command(struct value *ret_value, const struct event *event, int64_t command); // bpf
bool control_set_clone_flags(struct value *ret_value, const struct event *event, uint64_t flags);

// The CLONE_NEW* flag of a kind of namespace that the kernel calls so ("mnt"), or 0.
uint64_t control_namespace_flag(const char *kind);
