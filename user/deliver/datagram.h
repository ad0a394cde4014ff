// Syslog over UDP (RFC 5426): a datagram for each message. Nobody acknowledges them; what can be known is
// that nobody listens at the address, and then they are sent again.
#pragma once

#include "format.h"
#include "receiver.h"

struct datagram;

// The format is borrowed. 0, -EINVAL: the address is none, or -ENOMEM.
int datagram_open(const struct config_output *output, const struct receiver_env *env,
                  const struct format_syslog *format, struct datagram **ret_datagram);
void datagram_close(struct datagram **datagram);
void datagram_send(struct datagram *datagram, const struct item *items, size_t count);
