// Waits for a file's data to be on the disk without waiting: by the kernel's asynchronous input and output
// (Linux 4.18), which tells an eventfd. Where that is refused, the call blocks instead.
#pragma once

#include <stdint.h>

struct flush;
struct loop;

// `error` is 0 or negative.
typedef void (*flush_done_fn)(int error, void *context);

int flush_new(struct loop *loop, flush_done_fn done, void *context, struct flush **ret_flush);
// Of what is under way nothing is told.
void flush_free(struct flush **flush);

// One at a time. done() is called from the loop, never from within here.
void flush_begin(struct flush *flush, int fd);
