// Finds the addresses of a name in a thread of the C library's, so that the loop does not wait.
#pragma once

#include <netdb.h>

struct resolve;
struct loop;

// `error` as of getaddrinfo(); the addresses are the caller's, to be freed by freeaddrinfo().
typedef void (*resolve_done_fn)(int error, struct addrinfo *addresses, void *context);

// Of datagram sockets. done() is called from the loop, never from within here. 0 or -ENOMEM.
int resolve_begin(struct loop *loop, const char *host, const char *port, resolve_done_fn done, void *context,
                  struct resolve **ret_resolve);
// Also before done() was called; then it is not.
void resolve_free(struct resolve **resolve);
