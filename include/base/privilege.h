// What the agent may do, and giving up what it no longer needs.
#pragma once

#include <stdbool.h>

// Whether programs can be loaded: CAP_BPF and CAP_PERFMON and CAP_NET_ADMIN, or CAP_SYS_ADMIN.
bool privilege_can_load(void);

// Keeps what reading /proc, container files and maps needs (CAP_BPF, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH) and
// drops all other capabilities for good; only with `keep_loading` what attaching needs (CAP_PERFMON,
// CAP_NET_ADMIN, and CAP_SYS_ADMIN where kernel.perf_event_paranoid is above 2) stays permitted, but without
// effect until privilege_raise(), and so does CAP_SYS_ADMIN with `keep_probing`. 0 or a negative errno.
int privilege_drop(bool keep_loading, bool keep_probing);

// Between the two, what was kept for attaching has effect. 0 or a negative errno.
int privilege_raise(void);
int privilege_lower(void);
// Whether something is permitted that has no effect.
bool privilege_is_lowered(void);

// Drops all capabilities for good, and makes sure that no core of the process is ever written and that no
// other process of the user can look into it: it holds secrets. 0 or a negative errno.
int privilege_drop_all(void);
