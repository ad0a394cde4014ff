// Entries that threads leave in tables of the kernel, in a real one where this process may make one.
#include "source/threads.h"

#include "base/cleanup.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int map;

static void setup(void)
{
    struct stat status;
    cr_assert_eq(stat("/proc/self/ns/pid", &status), 0);
    if (status.st_ino != 0xeffffffc)
        cr_skip_test("in a pid namespace of its own");
    map = bpf_map_create(BPF_MAP_TYPE_HASH, "threads", 8, 8, 4096, NULL);
    if (map < 0)
        cr_skip_test("may make no map: %s", strerror(errno));
}

static void teardown(void)
{
    if (map >= 0)
        close(map);
}

TestSuite(source_threads, .init = setup, .fini = teardown);

static uint64_t key_of(pid_t thread, uint32_t kind)
{
    return (uint64_t)kind << 32 | (uint32_t)thread;
}

static void enter(uint64_t key)
{
    cr_assert_eq(bpf_map_update_elem(map, &key, &(uint64_t){1}, BPF_ANY), 0);
}

static bool is_there(uint64_t key)
{
    uint64_t value;
    return bpf_map_lookup_elem(map, &key, &value) == 0;
}

static pid_t number_of_nobody(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    return child;
}

Test(source_threads, the_dead_leave_and_the_living_stay)
{
    pid_t gone = number_of_nobody(), also_gone = number_of_nobody();
    for (uint32_t kind = 0; kind < 3; kind++) {
        enter(key_of(gone, kind));
        enter(key_of(getpid(), kind));
        enter(key_of(also_gone, kind));
    }
    cr_expect_eq(threads_sweep_now(map), 6);
    for (uint32_t kind = 0; kind < 3; kind++) {
        cr_expect_not(is_there(key_of(gone, kind)));
        cr_expect_not(is_there(key_of(also_gone, kind)));
        cr_expect(is_there(key_of(getpid(), kind)));
    }
}

static void *look_at_itself(void *ret_there)
{
    uint64_t key = key_of(gettid(), 0);
    enter(key);
    threads_sweep_now(map);
    *(bool *)ret_there = is_there(key);
    return NULL;
}

Test(source_threads, a_thread_is_no_process_and_stays)
{
    pthread_t thread;
    bool there = false;
    cr_assert_eq(pthread_create(&thread, NULL, look_at_itself, &there), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect(there);
}

enum { STILL = 1000, BUSY = 256 };

// Calls that begin and end, many at a time.
static void *come_and_go(void *in_stop)
{
    uint64_t keys[BUSY], values[BUSY] = {};
    for (uint32_t i = 0; i < BUSY; i++)
        keys[i] = key_of(getpid(), STILL + i);
    while (!__atomic_load_n((bool *)in_stop, __ATOMIC_RELAXED)) {
        uint32_t count = BUSY;
        cr_assert_eq(bpf_map_update_batch(map, keys, values, &count, NULL), 0);
        cr_assert_eq(bpf_map_delete_batch(map, keys, &count, NULL), 0);
    }
    return NULL;
}

Test(source_threads, however_busy_a_table_is)
{
    pthread_t thread;
    bool stop = false;
    pid_t gone = number_of_nobody();
    for (uint32_t kind = 0; kind < STILL; kind++) {
        enter(key_of(gone, kind));
        enter(key_of(getpid(), kind));
    }
    cr_assert_eq(pthread_create(&thread, NULL, come_and_go, &stop), 0);
    cr_expect_eq(threads_sweep_now(map), STILL);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(source_threads, once_a_minute)
{
    uint64_t swept_ns = 0, key = key_of(number_of_nobody(), 0);
    enter(key);
    threads_sweep(map, &swept_ns);
    cr_expect_not(is_there(key));
    enter(key);
    threads_sweep(map, &swept_ns);
    cr_expect(is_there(key));
    threads_sweep(-1, &swept_ns);
}

Test(source_threads, nothing_to_do)
{
    cr_expect_eq(threads_sweep_now(map), 0);
    cr_expect_eq(threads_sweep_now(-1), 0);
}
