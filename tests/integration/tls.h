// A client's end of TLS connections, and a certificate for a server's.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Writes a key and a certificate that it has signed itself, as PEM.
void tls_make_certificate(const char *certificate_path, const char *key_path);

struct tls;

// Over a connected socket, which stays the caller's and blocking. The server's name is not checked.
struct tls *tls_new(int fd);
void tls_free(struct tls *tls);

// False where the connection has ended.
bool tls_send(struct tls *tls, const char *text, size_t length);
// What was received holds this much plaintext, and further calls with `count` 0 give more until they give 0;
// a negative number where it is broken.
ssize_t tls_decrypt(struct tls *tls, const char *received, size_t count, char *ret_text, size_t size);
