// What a DNS answer says about addresses.
#pragma once

#include "event.h"

// `name` is the one that was asked for, in lower case and without a dot at the end, also where the answer
// leads there by aliases (CNAME). The pointers are valid during the call.
typedef void (*dns_address_fn)(const char *name, const struct ip *address, uint32_t ttl_s, void *context);

// Calls on_address for each address in the answer, at most DNS_ADDRESSES_MAX. 0, or -EPROTO where the message
// does not hold together; addresses before that place have been told.
enum { DNS_ADDRESSES_MAX = 64 };
int dns_answer_read(const uint8_t *message, size_t size, dns_address_fn on_address, void *context);
