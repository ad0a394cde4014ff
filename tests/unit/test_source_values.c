#include "source/values.h"

#include <criterion/criterion.h>
#include <string.h>

static struct scratch scratch;
static const struct event event = {.scratch = &scratch};

static const struct named_number names[] = {{0, "NONE"}, {1, "ONE"}, {2, "TWO"}, {12, "BOTH"}, {4, "FOUR"}};

static void expect_flags(uint64_t flags, const char *expected)
{
    struct value value;
    cr_assert(value_set_flags(&value, &event, names, 5, flags));
    cr_assert_str_eq(value.string.data, expected);
}

Test(source_values, flags)
{
    expect_flags(0, "0");
    expect_flags(1, "ONE");
    expect_flags(3, "ONE|TWO");
    expect_flags(12, "BOTH");
    expect_flags(4, "FOUR");
    expect_flags(0x101, "ONE|0x100");
    expect_flags(UINT64_MAX & ~15ull, "0xfffffffffffffff0");
}

Test(source_values, more_flags_than_fit)
{
    static char long_name[300];
    memset(long_name, 'x', sizeof(long_name) - 1);
    const struct named_number many[] = {{1, long_name}, {2, long_name}, {4, long_name}};
    struct value value;
    cr_assert(value_set_flags(&value, &event, many, 3, UINT64_MAX));
    cr_assert_lt(value.string.length, 512);
}

static void expect_name(int64_t number, const char *expected)
{
    struct value value;
    cr_assert(value_set_name(&value, &event, names, 5, number));
    cr_assert_str_eq(value.string.data, expected);
}

Test(source_values, names)
{
    expect_name(0, "NONE");
    expect_name(4, "FOUR");
    expect_name(99, "99");
    expect_name(-1, "-1");
}

Test(source_values, parts_of_a_path)
{
    struct value value;
    cr_assert(value_set_directory(&value, &event, "/etc/shadow"));
    cr_assert_str_eq(value.string.data, "/etc");
    cr_assert(value_set_directory(&value, &event, "/etc"));
    cr_assert_str_eq(value.string.data, "/");
    cr_assert(value_set_filename(&value, "/etc/shadow"));
    cr_assert_str_eq(value.string.data, "shadow");
    cr_assert_not(value_set_directory(&value, &event, NULL));
    cr_assert_not(value_set_filename(&value, "@abstract"));
}
