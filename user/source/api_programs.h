// The programs of the source `api` that the source `tls` attaches.
#pragma once

#include "demand.h"

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Loaded programs for probes and, by number, for hooks; NULL while the source is not up, or where this kernel
// refuses them.
enum { API_TLS_HOOKS = 4 };
struct bpf_program *api_tls_program(const char *name);
struct bpf_program *api_tls_hook(size_t number);
// Why not, in some words.
const char *api_tls_reason(void);

// Calls that could not be noted.
uint64_t api_tls_calls_missed(void);

// Whether a rule asks for the source's events.
bool api_events_wanted(const struct demand *demand);
