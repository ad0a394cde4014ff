// Sources that watch system calls by their return (bpf/lib/call.h): from a table of calls to hooks.
#pragma once

#include "hook.h"
#include "wire/call.h"

// One call. Several may be of the same wire type, and calls that this architecture does not have are left
// out.
struct call_watch {
    const char *name;         // as in <asm/unistd.h>: "openat"
    const char *attach_point; // "tracepoint/syscalls/sys_exit_openat"; NULL: only 32-bit callers have it
    uint16_t type;            // the source's own numbering
    bool mandatory;           // the source is not up without it
    uint8_t socketcall;       // not 0: the call of that number which 32-bit callers make by socketcall()
};

#define CALL_WATCH(call, wire_type, ...)                                                           \
    {                                                                                              \
        .name = #call, .attach_point = "tracepoint/syscalls/sys_exit_" #call, .type = (wire_type), \
        __VA_ARGS__                                                                                \
    }
// A call that only 32-bit callers have, or that has another name there.
#define CALL_WATCH_COMPAT(call, wire_type) \
    {                                      \
        .name = #call, .type = (wire_type) \
    }
// What 32-bit callers can also ask of socketcall(), by its number there: SYS_CONNECT is 3.
#define CALL_WATCH_SOCKETCALL(number, wire_type)                          \
    {                                                                     \
        .name = "socketcall", .type = (wire_type), .socketcall = (number) \
    }

// The hooks of a table of calls. The numbers must live as long as the hooks are used.
struct call_hooks {
    struct hook hooks[SOURCE_HOOKS_MAX];
    size_t count;
    uint16_t compat[SOURCE_COMPAT_MAX];
};

// Fills the hooks, one for each call that this architecture has and one for all 32-bit callers; wanted is
// what demand wants of `types`, the source's own event types.
void calls_hooks(const struct call_watch *calls, size_t count, const struct event_type *types,
                 const struct source_env *env, struct call_hooks *ret_hooks);
// Fills the tables by which the programs know a call, WIRE_CALL_NUMBERS_MAX and WIRE_CALL_COMPAT_MAX. Before
// loading.
void calls_number(const struct call_watch *calls, size_t count, uint8_t *types, uint8_t *types_compat);
bool calls_wanted(const struct call_hooks *hooks);

// The number of a call, or -ENOENT. `compat`: for 32-bit callers.
int call_number(const char *name, bool compat);
