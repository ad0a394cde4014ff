// Ranges of addresses, as a person writes them, and what an address in them is.
#include "source/peer.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void expect(const char *text, unsigned bits)
{
    struct wire_peer_prefix prefix = {.bits = 999};
    cr_expect(peer_prefix_read(text, &prefix), "%s", text);
    cr_expect_eq(prefix.bits, bits, "%s: %u", text, prefix.bits);
}

static void refuse(const char *text)
{
    struct wire_peer_prefix prefix = {.bits = 999};
    cr_expect_not(peer_prefix_read(text, &prefix), "%s", text);
    cr_expect_eq(prefix.bits, 999);
}

Test(source_peer, ranges_of_both_families)
{
    expect("10.0.0.0/8", 96 + 8);
    expect("0.0.0.0/0", 96);
    expect("192.0.2.7", 128);
    expect("192.0.2.7/32", 128);
    expect("fd00:10::/64", 64);
    expect("::/0", 0);
    expect("2001:db8::1", 128);
}

Test(source_peer, what_is_no_range)
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

Test(source_peer, address_bytes)
{
    struct wire_peer_prefix prefix;
    cr_assert(peer_prefix_read("192.0.2.0/24", &prefix));
    static const __u8 expected[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 0};
    cr_expect_arr_eq(prefix.addr, expected, 16);
}

static const char *class_of(const char *text)
{
    uint8_t addr[16] = {};
    bool v6 = strchr(text, ':');
    cr_assert_eq(inet_pton(v6 ? AF_INET6 : AF_INET, text, addr), 1, "%s", text);
    return peer_name(peer_of(v6 ? 6 : 4, addr));
}

static void expect_class(const char *class, const char *const *texts)
{
    for (; *texts; texts++)
        cr_expect_str_eq(class_of(*texts), class, "%s: %s", *texts, class_of(*texts));
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(source_peer, classes_without_a_cluster)
{
    cr_assert_eq(peer_ranges_set(NULL), 0);
    expect_class("loopback", LIST("127.0.0.1", "127.255.255.255", "::1"));
    expect_class("private", LIST("10.1.2.3", "172.16.0.0", "172.31.255.255", "192.168.0.1", "100.64.0.1",
                                 "100.127.255.255", "169.254.169.254", "fd00::1", "fe80::1", "febf::1",
                                 "224.0.0.251", "239.255.255.250", "255.255.255.255", "ff02::fb"));
    expect_class("public", LIST("8.8.8.8", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0",
                                "100.63.255.255", "100.128.0.0", "192.0.2.1", "2001:db8::1", "::2", "fec0::1",
                                "255.255.255.254", "126.255.255.255", "128.0.0.0"));
}

Test(source_peer, longest_range_decides)
{
    static char *const cluster[] = {"10.244.0.0/16", "fd00::/8", "100.64.0.0/10", "0.0.0.0/0", NULL};
    cr_assert_eq(peer_ranges_set(cluster), 0);
    // Private ranges are parts of the last range, but for loopback.
    expect_class("cluster", LIST("10.244.1.2", "10.1.2.3", "fd00::1", "100.64.1.1", "8.8.8.8"));
    expect_class("loopback", LIST("127.0.0.1"));
    expect_class("private", LIST("fc00::1", "fe80::1"));
    expect_class("public", LIST("2001:db8::1"));

    static char *const part[] = {"10.244.0.0/16", NULL};
    cr_assert_eq(peer_ranges_set(part), 0);
    expect_class("cluster", LIST("10.244.1.2", "10.244.255.255"));
    expect_class("private", LIST("10.243.255.255", "10.245.0.0"));
}

Test(source_peer, more_ranges_than_there_is_room)
{
    static char *many[WIRE_PEER_PREFIXES_MAX + 1];
    for (size_t i = 0; i < WIRE_PEER_PREFIXES_MAX; i++)
        many[i] = "10.244.0.0/16";
    cr_expect_eq(peer_ranges_set(many), -E2BIG);
}
