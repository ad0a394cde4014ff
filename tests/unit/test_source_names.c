// Names of addresses: what is read from DNS answers, and how long it is kept.
#include "../../user/source/dns_answer.h"
#include "../../user/source/names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct ip v4(unsigned a, unsigned b, unsigned c, unsigned d)
{
    return (struct ip){.family = 4, .bytes = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d}};
}

TestSuite(source_names, .fini = names_forget_all);

// Question www.Example.org; an alias to a.example.net; its A record twice over and an AAAA record.
static const uint8_t answer[] = "\x12\x34\x81\x80\0\1\0\4\0\0\0\0"
                                "\3www\7Example\3org\0\0\1\0\1"
                                "\xc0\x0c\0\5\0\1\0\0\1\x2c\0\x0f\1a\7example\3net\0"
                                "\xc0\x2d\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
                                "\xc0\x2d\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\2"
                                "\xc0\x2d\0\x1c\0\1\0\0\0\x1e\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1";

struct told {
    char text[512];
};

static void tell(const char *name, const struct ip *address, uint32_t ttl_s, void *context)
{
    struct told *told = context;
    size_t used = strlen(told->text);
    snprintf(told->text + used, sizeof(told->text) - used, "%s %u:%u.%u.%u.%u %u;", name, address->family,
             address->bytes[0], address->bytes[1], address->bytes[2], address->bytes[3], ttl_s);
}

Test(source_names, answer_with_an_alias)
{
    struct told told = {};
    cr_assert_eq(dns_answer_read(answer, sizeof(answer) - 1, tell, &told), 0);
    cr_expect_str_eq(told.text, "www.example.org 4:192.0.2.1 60;www.example.org 4:192.0.2.2 60;"
                                "www.example.org 6:32.1.13.184 30;");
}

Test(source_names, answer_that_ends_early_is_refused)
{
    for (size_t size = 0; size < sizeof(answer) - 1; size++) {
        uint8_t *exact = malloc(size + 1); // so that a sanitizer sees reads beyond the end
        memcpy(exact, answer, size);
        struct told told = {};
        cr_expect_eq(dns_answer_read(exact, size, tell, &told), -EPROTO, "of %zu bytes", size);
        free(exact);
    }
}

Test(source_names, compressed_name_that_points_at_itself_is_refused)
{
    uint8_t loop[] = "\x12\x34\x81\x80\0\1\0\1\0\0\0\0"
                     "\xc0\x0c\0\1\0\1"
                     "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4";
    struct told told = {};
    cr_expect_eq(dns_answer_read(loop, sizeof(loop) - 1, tell, &told), -EPROTO);
    cr_expect_str_eq(told.text, "");
}

Test(source_names, latest_name_is_the_first)
{
    struct ip address = v4(192, 0, 2, 1);
    names_learn(&address, "one.example", 0, 100);
    names_learn(&address, "two.example", 0, 100);
    cr_expect_str_eq(names_of(&address, 0, 50), "two.example");
    cr_expect_str_eq(names_of(&address, 1, 50), "one.example");
    cr_expect_null(names_of(&address, 2, 50));
    names_learn(&address, "one.example", 0, 100);
    cr_expect_str_eq(names_of(&address, 0, 50), "one.example");
    cr_expect_null(names_of(&address, 2, 50));
    struct ip other = v4(192, 0, 2, 2);
    cr_expect_null(names_of(&other, 0, 50));
}

Test(source_names, names_age)
{
    struct ip address = v4(192, 0, 2, 1);
    names_learn(&address, "short.example", 0, 100);
    names_learn(&address, "long.example", 0, 1000);
    names_learn(&address, "long.example", 0, 500); // does not make its life shorter
    cr_expect_str_eq(names_of(&address, 0, 100), "long.example");
    cr_expect_null(names_of(&address, 1, 100));
    cr_expect_not_null(names_of(&address, 0, 999));
    cr_expect_null(names_of(&address, 0, 1000));
}

Test(source_names, address_keeps_the_latest_names)
{
    struct ip address = v4(192, 0, 2, 1);
    for (int i = 0; i < NAMES_PER_ADDRESS + 2; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%d.example", i);
        names_learn(&address, name, 0, 100);
    }
    char latest[32], oldest[32];
    snprintf(latest, sizeof(latest), "n%d.example", NAMES_PER_ADDRESS + 1);
    snprintf(oldest, sizeof(oldest), "n%d.example", 2);
    cr_expect_str_eq(names_of(&address, 0, 0), latest);
    cr_expect_str_eq(names_of(&address, NAMES_PER_ADDRESS - 1, 0), oldest);
    cr_expect_null(names_of(&address, NAMES_PER_ADDRESS, 0));
}

Test(source_names, addresses_are_capped)
{
    struct ip first = v4(10, 0, 0, 0);
    for (unsigned i = 0; i <= NAMES_ADDRESSES_MAX; i++) {
        struct ip address = v4(10, i >> 16, i >> 8 & 255, i & 255);
        names_learn(&address, "many.example", 0, 100);
    }
    struct ip last =
        v4(10, NAMES_ADDRESSES_MAX >> 16, NAMES_ADDRESSES_MAX >> 8 & 255, NAMES_ADDRESSES_MAX & 255);
    cr_expect_null(names_of(&first, 0, 0));
    cr_expect_not_null(names_of(&last, 0, 0));
}
