// The deliverer's event loop: descriptors and timers that call back.
#pragma once

#include <stdint.h>

struct loop;

int loop_new(struct loop **ret_loop);
void loop_free(struct loop **loop);

typedef void (*loop_fd_fn)(uint32_t events, void *context);
// Watches a descriptor for EPOLLIN, EPOLLOUT; again: with other events. 0 or a negative errno.
int loop_watch(struct loop *loop, int fd, uint32_t events, loop_fd_fn call, void *context);
// Before the descriptor is closed.
void loop_unwatch(struct loop *loop, int fd);

// CLOCK_MONOTONIC.
uint64_t loop_now_ms(void);

typedef void (*loop_timer_fn)(void *context);
// Owned by whoever sets it; zeroed at first, stopped before its memory goes.
struct loop_timer {
    loop_timer_fn call;
    void *context;
    uint64_t due_ms; // as loop_now_ms()
    struct loop_timer *next, *previous;
};
// Calls once, in `delay_ms`; set again before that, it is moved.
void loop_timer_set(struct loop *loop, struct loop_timer *timer, unsigned delay_ms, loop_timer_fn call,
                    void *context);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

// Until loop_stop(), which may have been called before. 0 or a negative errno.
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
