// System calls as 32-bit programs make them, which 64-bit ones can make too.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// False where this machine's architecture or kernel has no such calls; then the test is skipped with a
// reason.
bool compat_available(void);
// `number` as in <asm/unistd_32.h>; pointers must be from compat_memory(). What the kernel returned: a
// negative errno where the call failed.
long compat_call(long number, long a, long b, long c, long d, long e);
// Memory below 4 GiB, zeroed, for as long as the test lives.
void *compat_memory(size_t size);
// A copy of a string there.
char *compat_text(const char *text);
