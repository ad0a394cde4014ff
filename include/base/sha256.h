// SHA-256 by OpenSSL's libcrypto, which libcurl brings along: it is looked after, and uses what the processor
// has for it. The kernel's own (AF_ALG) is left out of many kernels and forbidden in many containers.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_TEXT_SIZE = 65 };

// In lower case hexadecimal, NUL-terminated. 0, or -EIO where the library does not do it.
int sha256_text(const void *data, size_t size, char ret_text[SHA256_TEXT_SIZE]);
// Of a whole file. 0 or a negative errno.
int sha256_file(const char *path, char ret_text[SHA256_TEXT_SIZE]);
