#include "base/cleanup.h"
#include "deliver/loop.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define _cleanup_loop_ _cleanup_(loop_free)

// What was called, in order, a letter each.
static char story[64];
static struct loop *current;

static void tell(char letter)
{
    size_t length = strlen(story);
    cr_assert_lt(length, sizeof(story) - 1);
    story[length] = letter;
    story[length + 1] = '\0';
}

static void on_timer(void *context)
{
    tell(*(const char *)context);
}

static void on_last(void *context)
{
    tell(*(const char *)context);
    loop_stop(current);
}

static struct loop *begin(void)
{
    story[0] = '\0';
    struct loop *loop = NULL;
    cr_assert_eq(loop_new(&loop), 0);
    return current = loop;
}

Test(deliver_loop, timers_call_in_order_of_time_and_once)
{
    _cleanup_loop_ struct loop *loop = begin();
    struct loop_timer timers[4] = {};
    loop_timer_set(loop, &timers[0], 20, on_last, "d");
    loop_timer_set(loop, &timers[1], 5, on_timer, "b");
    loop_timer_set(loop, &timers[2], 0, on_timer, "a");
    loop_timer_set(loop, &timers[3], 10, on_timer, "c");
    cr_assert_eq(loop_run(loop), 0);
    cr_expect_str_eq(story, "abcd");
}

Test(deliver_loop, a_timer_is_moved_and_stopped)
{
    _cleanup_loop_ struct loop *loop = begin();
    struct loop_timer early = {}, moved = {}, stopped = {}, last = {};
    loop_timer_set(loop, &moved, 0, on_timer, "x");
    loop_timer_set(loop, &stopped, 0, on_timer, "y");
    loop_timer_set(loop, &early, 2, on_timer, "a");
    loop_timer_set(loop, &last, 20, on_last, "c");
    loop_timer_set(loop, &moved, 10, on_timer, "b");
    loop_timer_stop(loop, &stopped);
    loop_timer_stop(loop, &stopped);
    cr_assert_eq(loop_run(loop), 0);
    cr_expect_str_eq(story, "abc");
}

static struct loop_timer victim;

static void on_kill(void *context)
{
    tell('k');
    loop_timer_stop(current, &victim);
}

Test(deliver_loop, a_timer_that_is_due_can_be_stopped_by_another)
{
    _cleanup_loop_ struct loop *loop = begin();
    struct loop_timer killer = {}, last = {};
    loop_timer_set(loop, &killer, 0, on_kill, NULL);
    loop_timer_set(loop, &victim, 0, on_timer, "v");
    loop_timer_set(loop, &last, 0, on_last, "z");
    cr_assert_eq(loop_run(loop), 0);
    cr_expect_str_eq(story, "kz");
}

struct greedy {
    struct loop_timer timer;
    unsigned calls;
};

static void on_greedy(void *context)
{
    struct greedy *greedy = context;
    greedy->calls++;
    loop_timer_set(current, &greedy->timer, 0, on_greedy, greedy);
}

static void on_readable(uint32_t events, void *context)
{
    cr_expect(events & EPOLLIN);
    tell('r');
    loop_stop(current);
}

Test(deliver_loop, a_timer_that_sets_itself_for_at_once_starves_no_descriptor)
{
    _cleanup_loop_ struct loop *loop = begin();
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    struct greedy greedy = {};
    loop_timer_set(loop, &greedy.timer, 0, on_greedy, &greedy);
    cr_assert_eq(loop_watch(loop, ends[0], EPOLLIN, on_readable, NULL), 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(loop_run(loop), 0);
    cr_expect_str_eq(story, "r");
    close(ends[0]);
    close(ends[1]);
}

struct pair {
    int own, other;
    char letter;
};

// The first of two that are ready at once closes the other and opens a descriptor of the same number.
static void on_first(uint32_t events, void *context)
{
    struct pair *pair = context;
    char byte;
    cr_assert_eq(read(pair->own, &byte, 1), 1);
    tell(pair->letter);
    if (pair->other < 0)
        return;
    loop_unwatch(current, pair->other);
    int idle[2];
    cr_assert_eq(pipe2(idle, O_CLOEXEC), 0);
    cr_assert_eq(dup2(idle[0], pair->other), pair->other);
    cr_assert_eq(loop_watch(current, pair->other, EPOLLIN, on_readable, NULL), 0);
    pair->other = -1;
}

Test(deliver_loop, an_event_of_a_descriptor_that_was_closed_reaches_nobody)
{
    _cleanup_loop_ struct loop *loop = begin();
    int one[2], two[2];
    cr_assert_eq(pipe2(one, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(two, O_CLOEXEC), 0);
    struct pair first = {.own = one[0], .other = two[0], .letter = '1'};
    struct pair second = {.own = two[0], .other = one[0], .letter = '1'};
    cr_assert_eq(loop_watch(loop, one[0], EPOLLIN, on_first, &first), 0);
    cr_assert_eq(loop_watch(loop, two[0], EPOLLIN, on_first, &second), 0);
    cr_assert_eq(write(one[1], "x", 1), 1);
    cr_assert_eq(write(two[1], "x", 1), 1);
    struct loop_timer last = {};
    loop_timer_set(loop, &last, 10, on_last, "z");
    cr_assert_eq(loop_run(loop), 0);
    cr_expect_str_eq(story, "1z");
}

static void on_writable(uint32_t events, void *context)
{
    cr_expect(events & EPOLLOUT);
    tell('w');
    cr_assert_eq(loop_watch(current, *(int *)context, EPOLLIN, on_readable, NULL), 0);
}

Test(deliver_loop, a_watch_is_changed)
{
    _cleanup_loop_ struct loop *loop = begin();
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    cr_assert_eq(loop_watch(loop, ends[0], EPOLLOUT, on_writable, &ends[0]), 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(loop_run(loop), 0);
    cr_expect_str_eq(story, "wr");
    loop_unwatch(loop, ends[0]);
    loop_unwatch(loop, ends[0]);
    loop_unwatch(loop, 4000);
    cr_expect_lt(loop_watch(loop, -1, EPOLLIN, on_readable, NULL), 0);
    close(ends[0]);
    close(ends[1]);
}
