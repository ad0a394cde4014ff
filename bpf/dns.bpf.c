// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `dns`: answers to DNS queries as they come in over UDP and TCP, so that addresses have names.
// Failures and answers without records, as most truncated ones are, are left out here.
#include "wire/dns.h"
#include "bpf/lib/common.h"
#include "bpf/lib/protocols.h"

#define DNS_PORT 53
#define DNS_HEADER 12

struct dns_record {
    struct wire_dns event;
    char data[WIRE_DNS_MESSAGE_MAX];
};

SCRATCH(scratch, struct dns_record)

// Where the header of UDP or TCP begins, and which it is; 0: the packet has none, or is a fragment.
INLINE __u32 transport_offset(struct __sk_buff *skb, __u8 *ret_protocol)
{
    __u8 ip[IPV4_HEADER_MIN];
    if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
        return 0;
    if (ip[0] >> 4 == 6) {
        *ret_protocol = ip[6];
        return IPV6_HEADER;
    }
    bool fragment = (ip[6] & 0x3f) | ip[7];
    *ret_protocol = ip[9];
    return ip[0] >> 4 == 4 && !fragment ? (ip[0] & 0xf) * 4 : 0;
}

// A socket that is connected gets nothing from another port than that; one that is not has port 0 there.
INLINE bool is_connected_elsewhere(struct __sk_buff *skb)
{
    __u32 port = __builtin_bswap32(skb->remote_port);
    return port && port != DNS_PORT;
}

// Where a DNS message begins, and how long it is; 0: there is none. Over TCP its length comes first, and it
// is read where the whole of it, or its beginning, is in one packet.
INLINE __u32 message_offset(struct __sk_buff *skb, __u32 *ret_size)
{
    __u8 protocol = 0, head[TCP_HEADER_MIN], length[2];
    __u32 offset = transport_offset(skb, &protocol), whole = skb->len;
    if (offset == 0 || (protocol != IPPROTO_UDP && protocol != IPPROTO_TCP) ||
        bpf_skb_load_bytes(skb, offset, head, UDP_HEADER) || (head[0] << 8 | head[1]) != DNS_PORT)
        return 0;
    if (protocol == IPPROTO_UDP) {
        offset += UDP_HEADER;
        *ret_size = whole > offset ? whole - offset : 0;
        return offset;
    }
    if (bpf_skb_load_bytes(skb, offset, head, TCP_HEADER_MIN))
        return 0;
    offset += (head[12] >> 4) * 4;
    // Without an answer in it, as with bare acknowledgements.
    if (whole < offset + sizeof(length) + DNS_HEADER ||
        bpf_skb_load_bytes(skb, offset, length, sizeof(length)))
        return 0;
    *ret_size = length[0] << 8 | length[1];
    return offset + sizeof(length);
}

// A good answer with at least one record in it.
INLINE bool is_answer(const __u8 *dns)
{
    bool response = dns[2] & 0x80, query = (dns[2] & 0x78) == 0, failed = dns[3] & 0x0f;
    return response && query && !failed && (dns[6] || dns[7]);
}

INLINE void answer_received(struct __sk_buff *skb)
{
    __u8 dns[DNS_HEADER];
    __u32 whole = 0, offset = message_offset(skb, &whole);
    if (offset == 0 || bpf_skb_load_bytes(skb, offset, dns, sizeof(dns)) || !is_answer(dns))
        return;
    __u32 size = skb->len;
    if (size <= offset || whole == 0)
        return;
    size -= offset;
    if (size > whole)
        size = whole;
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_dns *event = &slot->record.event;
    event->whole_size = whole > 0xffff ? 0xffff : whole;
    event->reserved = 0;
    if (size > WIRE_DNS_MESSAGE_MAX)
        size = WIRE_DNS_MESSAGE_MAX;
    // Changes nothing but what older verifiers know of it.
    barrier_var(size);
    size = ((size - 1) & (WIRE_DNS_MESSAGE_MAX - 1)) + 1;
    if (bpf_skb_load_bytes(skb, offset, slot->record.data, size) == 0) {
        event->message_size = size;
        __builtin_memset(&event->header, 0, sizeof(event->header));
        event->header.size = sizeof(*event) + size;
        event->header.source = source_id;
        event->header.time_ns = bpf_ktime_get_boot_ns();
        // The ring keeps the order, so the name is there when the connection to the address is judged.
        ring_write(event, sizeof(*event) + size, false);
    }
    scratch_give(slot);
}

// Returns 1, which lets the packet pass.
SEC("cgroup_skb/ingress")
int dns_ingress_cgroup(struct __sk_buff *skb)
{
    if (!is_connected_elsewhere(skb))
        answer_received(skb);
    return 1;
}
