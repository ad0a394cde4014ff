// Just enough of io_uring to have one request done, without a library.
#pragma once

#include <linux/io_uring.h>

// Submits the request and waits for it. Its result, or INT_MIN where this kernel has or allows no io_uring.
int uring_do(const struct io_uring_sqe *request);
