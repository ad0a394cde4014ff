// DNS answers as a resolver sends them.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { ANSWER_MAX = 512 };

// One for "<label>.inferscope.example" with one A record; `rcode` 0 is a good one. Its size.
size_t answer_make(uint8_t *message, const char *label, const char *address, int rcode);
// A resolver at that address sends it to somebody on this machine, who gets it.
void answer_send(const char *resolver, unsigned port, const uint8_t *message, size_t size);
