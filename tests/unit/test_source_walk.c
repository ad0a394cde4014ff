// Walks through tables of the kernel, real ones where this process may make them.
#include "source/walk.h"

#include "base/cleanup.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { ENTRIES = 5000, STAYING = 3000 };

static uint32_t visits[ENTRIES];

static int table(enum bpf_map_type type)
{
    memset(visits, 0, sizeof(visits));
    int fd = bpf_map_create(type, "walked", sizeof(uint32_t), sizeof(uint64_t), 2 * ENTRIES, NULL);
    if (fd < 0)
        cr_skip_test("may make no map: %s", strerror(errno));
    return fd;
}

static void enter(int fd, uint32_t key)
{
    uint64_t value = key + 1u;
    cr_assert_eq(bpf_map_update_elem(fd, &key, &value, BPF_ANY), 0);
}

static void count(int fd, const void *key, const void *value, void *context)
{
    uint32_t number = *(const uint32_t *)key;
    unsigned *all = context;
    cr_assert_lt(number, ENTRIES);
    cr_assert_eq(*(const uint64_t *)value, number + 1u);
    visits[number]++;
    (*all)++;
}

Test(source_walk, each_once)
{
    static const enum bpf_map_type types[] = {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        _cleanup_close_ int fd = table(types[i]);
        unsigned all = 0;
        cr_expect_eq(walk_table(fd, count, &all), 0);
        cr_expect_eq(all, 0);
        for (uint32_t key = 0; key < ENTRIES; key++)
            enter(fd, key);
        cr_expect_eq(walk_table(fd, count, &all), 0);
        cr_expect_eq(all, ENTRIES);
        for (uint32_t key = 0; key < ENTRIES; key++)
            cr_assert_eq(visits[key], 1);
    }
}

static void take_out(int fd, const void *key, const void *value, void *context)
{
    count(fd, key, value, context);
    cr_assert_eq(bpf_map_delete_elem(fd, key), 0);
}

Test(source_walk, what_is_visited_may_be_taken_out)
{
    _cleanup_close_ int fd = table(BPF_MAP_TYPE_HASH);
    unsigned all = 0;
    for (uint32_t key = 0; key < ENTRIES; key++)
        enter(fd, key);
    cr_expect_eq(walk_table(fd, take_out, &all), 0);
    cr_expect_eq(all, ENTRIES);
    cr_expect_eq(walk_table(fd, take_out, &all), 0);
    cr_expect_eq(all, ENTRIES);
}

static atomic_bool enough;

static void *come_and_go(void *context)
{
    const int *fd = context;
    for (uint32_t key = STAYING; !enough; key = key + 1 < ENTRIES ? key + 1 : STAYING) {
        uint64_t value = key + 1u;
        bpf_map_update_elem(*fd, &key, &value, BPF_ANY);
        bpf_map_delete_elem(*fd, &key);
    }
    return NULL;
}

Test(source_walk, who_stays_is_visited_once_while_others_come_and_go)
{
    _cleanup_close_ int fd = table(BPF_MAP_TYPE_HASH);
    pthread_t thread;
    for (uint32_t key = 0; key < STAYING; key++)
        enter(fd, key);
    cr_assert_eq(pthread_create(&thread, NULL, come_and_go, &fd), 0);
    for (unsigned round = 1; round <= 20; round++) {
        unsigned all = 0;
        cr_expect_eq(walk_table(fd, count, &all), 0);
        for (uint32_t key = 0; key < STAYING; key++)
            cr_assert_eq(visits[key], round);
    }
    enough = true;
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(source_walk, other_tables_are_refused)
{
    unsigned all = 0;
    _cleanup_close_ int fd = table(BPF_MAP_TYPE_ARRAY);
    cr_expect_eq(walk_table(fd, count, &all), -EINVAL);
    cr_expect_eq(walk_table(-1, count, &all), -EBADFD);
    cr_expect_eq(all, 0);
}
