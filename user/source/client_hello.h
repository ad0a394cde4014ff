// The first message of a TLS connection.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { CLIENT_HELLO_NAME_MAX = 253 };

// The name of the server that the client asks for (RFC 6066), in lower case, out of the first bytes of a
// connection. 0; -ENOMSG where it asks for none, or hides it behind what is not there yet; -EPROTO where the
// bytes are no such message.
int client_hello_name(const uint8_t *data, size_t size, char ret_name[CLIENT_HELLO_NAME_MAX + 1]);
