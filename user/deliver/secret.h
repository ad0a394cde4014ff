// What configuration refers to as secret: read here and nowhere else, and wiped when it is let go.
#pragma once

#include "config.h"

#include <stddef.h>

enum { SECRET_MAX = 16384 };

// 0 and an owned text, which is "" where the secret is not configured; -ENOENT, -EACCES, … of the file;
// -EINVAL: the variable is not set, or the secret has a control character or is too long. Nothing is logged.
int secret_read(const struct config_secret *secret, char **ret_text);
void secret_free(char **text);
#define _cleanup_secret_ __attribute__((cleanup(secret_free)))

// Where it is kept, for messages: "the file /etc/token", "the variable TOKEN".
void secret_describe(const struct config_secret *secret, char *ret_text, size_t size);
