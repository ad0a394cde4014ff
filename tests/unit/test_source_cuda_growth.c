// What is growth of a process's memory of GPUs, and what only looks like it.
#include "../../user/source/cuda_growth.h"

#include <criterion/criterion.h>
#include <string.h>

enum { GIGABYTE = 1 << 30, MEGABYTE = 1 << 20, TICKS = 60 };

static struct cuda_growth growth;
static uint64_t now_s;

static void setup(void)
{
    memset(&growth, 0, sizeof(growth));
    now_s = 1000 * 60;
}

TestSuite(source_cuda_growth, .init = setup);

// A minute, in which each request takes some memory for a while.
static void minute(uint64_t kept, uint64_t taken)
{
    for (unsigned i = 0; i < TICKS; i++)
        cuda_growth_add(&growth, now_s++, kept + (i % 3 ? taken : 0));
}

// Whether anything was growth at the end of any of so many minutes.
static void minutes(unsigned count, uint64_t kept, uint64_t taken, bool expected)
{
    for (unsigned i = 0; i < count; i++) {
        minute(kept, taken);
        cr_expect_eq(cuda_growth_bytes(&growth) > 0, expected, "minute %u", i);
    }
}

Test(source_cuda_growth, nothing_known)
{
    cr_expect_eq(cuda_growth_bytes(&growth), 0);
    cuda_growth_add(&growth, now_s, 1);
    cr_expect_eq(cuda_growth_bytes(&growth), 0);
}

Test(source_cuda_growth, warming_up)
{
    minutes(2, MEGABYTE, 0, false);
    minutes(5, 4ull * GIGABYTE, 0, false);
    minutes(120, 8ull * GIGABYTE, 0, false);
}

Test(source_cuda_growth, requests_that_come_and_go)
{
    for (unsigned i = 0; i < 120; i++) {
        minute(GIGABYTE, (uint64_t)MEGABYTE * (i + 1));
        cr_expect_eq(cuda_growth_bytes(&growth), 0, "minute %u", i);
    }
}

Test(source_cuda_growth, cache_that_fills_up)
{
    for (unsigned i = 0; i < 6; i++)
        minute(GIGABYTE + (uint64_t)i * 100 * MEGABYTE, MEGABYTE);
    minutes(120, (uint64_t)2 * GIGABYTE, MEGABYTE, false);
}

Test(source_cuda_growth, leak)
{
    for (unsigned i = 0; i < 30; i++) {
        minute(GIGABYTE + (uint64_t)i * MEGABYTE, 100 * MEGABYTE);
        cr_expect_eq(cuda_growth_bytes(&growth), 0, "minute %u", i);
    }
    // The minute under way does not count.
    for (unsigned i = 30; i < 90; i++) {
        minute(GIGABYTE + (uint64_t)i * MEGABYTE, 100 * MEGABYTE);
        cr_expect_eq(cuda_growth_bytes(&growth), 20 * MEGABYTE, "minute %u", i);
    }
    // It stops.
    for (unsigned i = 0; i < 20; i++)
        minute(GIGABYTE + (uint64_t)90 * MEGABYTE, 0);
    minutes(60, GIGABYTE + (uint64_t)90 * MEGABYTE, 0, false);
}

Test(source_cuda_growth, slow_leak)
{
    bool grew = true;
    for (unsigned i = 0; i < 180; i++) {
        minute(GIGABYTE + i / 5, MEGABYTE);
        grew = i < 31 || (grew && cuda_growth_bytes(&growth) > 0);
    }
    cr_expect(grew);
}

Test(source_cuda_growth, leak_with_a_reload)
{
    for (unsigned i = 0; i < 60; i++)
        minute(GIGABYTE + (uint64_t)i * MEGABYTE, 0);
    cr_expect_gt(cuda_growth_bytes(&growth), 0);
    minutes(1, MEGABYTE, 0, true); // which is not over for who asks now
    cuda_growth_add(&growth, now_s, MEGABYTE);
    cr_expect_eq(cuda_growth_bytes(&growth), 0);
}

Test(source_cuda_growth, nobody_looked_for_a_while)
{
    cuda_growth_add(&growth, now_s, GIGABYTE);
    cuda_growth_add(&growth, now_s + 86400, (uint64_t)3 * GIGABYTE);
    cr_expect_eq(cuda_growth_bytes(&growth), 0);
    now_s += 86400;
    minutes(60, (uint64_t)3 * GIGABYTE, 0, false);
}
