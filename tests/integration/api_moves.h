// A request and its answer by any of the calls that move bytes.
#pragma once

#include "api_pair.h"

#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

// read() and write(), readv() and writev(), recv() and send(), recvmsg() and sendmsg()
enum { MOVES = 4 };

// The server receives a request with CHAT_BODY and answers with three tokens and USAGE, by so many bytes a
// call; calls that take pieces of memory have pieces of a few bytes.
void serve_stream(const struct pair *pair, size_t move, size_t piece);
