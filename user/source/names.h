// Names of addresses, as DNS answers gave them. They age with the answer's time to live.
#pragma once

#include "event.h"

enum {
    NAMES_ADDRESSES_MAX = 16384,
    NAMES_PER_ADDRESS = 4, // the latest ones: hosts of many names share addresses
    NAMES_LENGTH_MAX = 253,
};

// Times are ns of CLOCK_BOOTTIME. A name that is known for the address already lives on until the later end.
void names_learn(const struct ip *address, const char *name, uint64_t now_ns, uint64_t until_ns);
// The nth name of an address, the latest first; NULL where there is none (any more). Valid until the next is
// learnt.
const char *names_of(const struct ip *address, size_t nth, uint64_t now_ns);
void names_forget_all(void);
