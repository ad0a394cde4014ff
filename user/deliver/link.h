// A connection to one receiver that takes a stream of bytes: a UNIX socket, TCP or TLS. The latter two are
// libcurl's, which finds addresses and shakes hands without blocking the loop.
#pragma once

#include "config.h"

#include <stddef.h>

struct link;
struct loop;

enum link_kind { LINK_UNIX, LINK_TCP, LINK_TLS };

struct link_options {
    struct loop *loop;
    enum link_kind kind;
    const char *address; // HOST:PORT, or the socket's path
    const struct config_tls *tls;
    unsigned timeout; // ms, of connecting
};

// Called from the loop, never from within link_connect(). `why` is NULL when it is connected; else a sentence
// without secrets.
typedef void (*link_connected_fn)(const char *why, void *context);

// 0; -EINVAL: that is no address; or -ENOMEM.
int link_new(const struct link_options *options, link_connected_fn connected, void *context,
             struct link **ret_link);
void link_free(struct link **link);

void link_connect(struct link *link);
// Closes the connection, or gives up making one; it can be made anew.
void link_disconnect(struct link *link);

// Of a connection that stands. The descriptor may be watched until it is disconnected.
int link_fd(const struct link *link);
// 0; -EAGAIN: when the descriptor is ready again; -EPIPE: the connection is broken.
int link_send(struct link *link, const char *bytes, size_t length, size_t *ret_sent);
// Throws away what the receiver says. -EAGAIN: the connection stands; -EPIPE: it is closed or broken; -EBUSY:
// there is more of it than one call reads, so that nobody talks the others to death.
int link_drain(struct link *link);
// Bytes that the other side's kernel has not acknowledged; of a UNIX socket, that nobody has read.
size_t link_unacknowledged(const struct link *link);
