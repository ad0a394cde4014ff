#include "base/uuid.h"

#include <errno.h>
#include <sys/random.h>

int uuid_make(uint64_t time_ns, uint8_t ret_uuid[UUID_BYTES])
{
    uint8_t bytes[UUID_BYTES];
    uint64_t milliseconds = time_ns / 1000000;
    // So few bytes come whole or not at all.
    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        return errno ? -errno : -EIO;
    for (int i = 0; i < 6; i++)
        bytes[i] = (uint8_t)(milliseconds >> (40 - 8 * i));
    bytes[6] = (uint8_t)(0x70 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    for (int i = 0; i < UUID_BYTES; i++)
        ret_uuid[i] = bytes[i];
    return 0;
}

void uuid_text(const uint8_t uuid[UUID_BYTES], char ret_text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *ret_text++ = '-';
        *ret_text++ = digits[uuid[i] >> 4];
        *ret_text++ = digits[uuid[i] & 15];
    }
    *ret_text = '\0';
}
