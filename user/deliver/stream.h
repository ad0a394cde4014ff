// A receiver at the other end of a stream of bytes. A batch is delivered when all of it has been written and
// acknowledged by the other side's kernel (TCP, TLS) or read (UNIX). A connection that breaks before that, or
// takes nothing for as long as the timeout, sends all of the batch once more.
#pragma once

#include "lines.h"
#include "link.h"

struct stream;

// `write` and its context are as for lines_fill(). 0 or a negative errno, as link_new().
int stream_open(const struct link_options *options, const struct receiver_env *env, size_t batch,
                lines_write_fn write, void *context, struct stream **ret_stream);
void stream_close(struct stream **stream);
void stream_send(struct stream *stream, const struct item *items, size_t count);
