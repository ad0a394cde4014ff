// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `dns`: answers to DNS queries as they come in over UDP, so that addresses have names. Truncated
// answers, failures and answers without records are left out here.
#include "wire/dns.h"
#include "bpf/lib/common.h"

#define IPPROTO_UDP 17
#define DNS_PORT 53
#define IPV4_HEADER_MIN 20
#define IPV6_HEADER 40
#define UDP_HEADER 8
#define DNS_HEADER 12

struct dns_record {
    struct wire_dns event;
    char data[WIRE_DNS_MESSAGE_MAX];
};

SCRATCH(scratch, struct dns_record)

// Where the UDP header begins; 0: the packet is none, or a fragment.
INLINE __u32 udp_offset(struct __sk_buff *skb)
{
    __u8 ip[IPV4_HEADER_MIN];
    if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
        return 0;
    if (ip[0] >> 4 == 6)
        return ip[6] == IPPROTO_UDP ? IPV6_HEADER : 0;
    bool fragment = (ip[6] & 0x3f) | ip[7];
    return ip[0] >> 4 == 4 && ip[9] == IPPROTO_UDP && !fragment ? (ip[0] & 0xf) * 4 : 0;
}

// A good answer with at least one record in it.
INLINE bool is_answer(const __u8 *dns)
{
    bool response = dns[2] & 0x80, query = (dns[2] & 0x78) == 0, failed = dns[3] & 0x0f;
    return response && query && !failed && (dns[6] || dns[7]);
}

INLINE void answer_received(struct __sk_buff *skb)
{
    struct {
        __u8 udp[UDP_HEADER];
        __u8 dns[DNS_HEADER];
    } head;
    __u32 offset = udp_offset(skb);
    if (offset == 0 || bpf_skb_load_bytes(skb, offset, &head, sizeof(head)) ||
        (head.udp[0] << 8 | head.udp[1]) != DNS_PORT || !is_answer(head.dns))
        return;

    offset += UDP_HEADER;
    __u32 size = skb->len;
    if (size <= offset)
        return;
    size -= offset;
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_dns *event = &slot->record.event;
    event->whole_size = size > 0xffff ? 0xffff : size;
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
    answer_received(skb);
    return 1;
}
