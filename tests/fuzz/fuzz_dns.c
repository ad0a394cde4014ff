// The answers of a DNS server, which anybody may have written.
#include "fuzz.h"

#include "../../user/source/dns_answer.h"

#include <stdlib.h>
#include <string.h>

static void on_address(const char *name, const struct ip *address, uint32_t ttl_s, void *context)
{
    size_t *told = context;
    if (++*told > DNS_ADDRESSES_MAX || strlen(name) == 0 || (address->family != 4 && address->family != 6))
        abort();
}

FUZZ_TARGET(dns)
{
    size_t told = 0;
    dns_answer_read(data, size, on_address, &told);
    return 0;
}
