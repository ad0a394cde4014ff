// Ranges of addresses, as a person writes them.
#include "source/tcp_peer.h"

#include <criterion/criterion.h>

static void expect(const char *text, unsigned bits)
{
    struct wire_tcp_prefix prefix = {.bits = 999};
    cr_expect(tcp_prefix_read(text, &prefix), "%s", text);
    cr_expect_eq(prefix.bits, bits, "%s: %u", text, prefix.bits);
}

static void refuse(const char *text)
{
    struct wire_tcp_prefix prefix = {.bits = 999};
    cr_expect_not(tcp_prefix_read(text, &prefix), "%s", text);
    cr_expect_eq(prefix.bits, 999);
}

Test(source_tcp_peer, ranges_of_both_families)
{
    expect("10.0.0.0/8", 96 + 8);
    expect("0.0.0.0/0", 96);
    expect("192.0.2.7", 128);
    expect("192.0.2.7/32", 128);
    expect("fd00:10::/64", 64);
    expect("::/0", 0);
    expect("2001:db8::1", 128);
}

Test(source_tcp_peer, what_is_no_range)
{
    static const char *const texts[] = {"",
                                        "/",
                                        "10.0.0.0/",
                                        "10.0.0.0/33",
                                        "10.0.0/8",
                                        "10.0.0.1/8",
                                        "10.0.0.0/+8",
                                        "10.0.0.0/8x",
                                        "fd00::/129",
                                        "fd00::1/64",
                                        "name/8",
                                        "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222/8"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        refuse(texts[i]);
}

Test(source_tcp_peer, address_bytes)
{
    struct wire_tcp_prefix prefix;
    cr_assert(tcp_prefix_read("192.0.2.0/24", &prefix));
    static const __u8 expected[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 0};
    cr_expect_arr_eq(prefix.addr, expected, 16);
}
