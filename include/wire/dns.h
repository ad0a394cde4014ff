// Records of the source `dns`: they are no events, names are learnt from them.
#pragma once

#include "wire/header.h"

// Answers over UDP are at most 1232 bytes long where resolvers follow the advice of 2020, which all do by
// now.
#define WIRE_DNS_MESSAGE_MAX 2048

// A DNS answer that came in; message_size bytes of it follow. It was received in an interrupt, so the header
// names no process.
struct wire_dns {
    struct wire_header header;
    __u16 message_size;
    __u16 whole_size; // larger where the message was longer than a record holds
    __u32 reserved;
};
WIRE_SIZE(struct wire_dns, 96);
