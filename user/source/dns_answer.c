#include "dns_answer.h"

#include <arpa/nameser.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

// The reading itself, with its bounds and compressed names, is the C library's.
static int read_address(ns_msg *handle, int index, struct ip *ret_address, uint32_t *ret_ttl_s)
{
    ns_rr record;
    if (ns_parserr(handle, ns_s_an, index, &record))
        return -EPROTO;
    bool v4 = ns_rr_type(record) == ns_t_a && ns_rr_rdlen(record) == 4;
    bool v6 = ns_rr_type(record) == ns_t_aaaa && ns_rr_rdlen(record) == 16;
    if (ns_rr_class(record) != ns_c_in || (!v4 && !v6))
        return -ENOMSG;
    *ret_address = (struct ip){.family = v4 ? 4 : 6};
    memcpy(ret_address->bytes, ns_rr_rdata(record), v4 ? 4 : 16);
    *ret_ttl_s = ns_rr_ttl(record);
    return 0;
}

int dns_answer_read(const uint8_t *message, size_t size, dns_address_fn on_address, void *context)
{
    ns_msg handle;
    ns_rr question;
    if (size > NS_MAXMSG || ns_initparse(message, (int)size, &handle) || ns_msg_count(handle, ns_s_qd) != 1 ||
        ns_parserr(&handle, ns_s_qd, 0, &question))
        return -EPROTO;
    char name[NS_MAXDNAME];
    size_t length = 0;
    for (const char *at = ns_rr_name(question); *at && length < sizeof(name) - 1; at++)
        name[length++] = (char)tolower((unsigned char)*at);
    while (length > 0 && name[length - 1] == '.')
        length--;
    name[length] = '\0';
    if (length == 0)
        return 0; // the root has no address

    int told = 0;
    for (int i = 0; i < ns_msg_count(handle, ns_s_an) && told < DNS_ADDRESSES_MAX; i++) {
        struct ip address;
        uint32_t ttl_s;
        int error = read_address(&handle, i, &address, &ttl_s);
        if (error == -EPROTO)
            return error;
        if (error)
            continue;
        on_address(name, &address, ttl_s, context);
        told++;
    }
    return 0;
}
