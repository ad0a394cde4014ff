// Names that no other thing in the world has (RFC 9562).
#pragma once

#include <stdint.h>

enum { UUID_BYTES = 16, UUID_TEXT_SIZE = 37 };

// A UUID of version 7: the time in milliseconds and 74 random bits, so that later ones sort behind. 0, or a
// negative errno where the kernel has no random bytes.
int uuid_make(uint64_t time_ns, uint8_t ret_uuid[UUID_BYTES]);

// In lower case, NUL-terminated.
void uuid_text(const uint8_t uuid[UUID_BYTES], char ret_text[UUID_TEXT_SIZE]);
