#include "loop.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>

enum { EVENTS_MAX = 32 };

struct watch {
    loop_fd_fn call; // NULL: the descriptor is not watched
    void *context;
    uint32_t generation; // tells events for an earlier watch of the same number apart
};

struct loop {
    int epoll_fd;
    bool stopping;
    struct watch *watches; // by descriptor
    size_t watches_count;
    struct loop_timer timers; // the head of a ring, soonest first
    struct loop_timer due;    // of those that are called in this round
};

static void ring_init(struct loop_timer *head)
{
    head->next = head->previous = head;
}

static void ring_insert_before(struct loop_timer *place, struct loop_timer *timer)
{
    timer->next = place;
    timer->previous = place->previous;
    place->previous->next = timer;
    place->previous = timer;
}

static void ring_remove(struct loop_timer *timer)
{
    timer->previous->next = timer->next;
    timer->next->previous = timer->previous;
    timer->next = timer->previous = NULL;
}

int loop_new(struct loop **ret_loop)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return -ENOMEM;
    ring_init(&loop->timers);
    ring_init(&loop->due);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        int error = -errno;
        free(loop);
        return error;
    }
    *ret_loop = loop;
    return 0;
}

void loop_free(struct loop **loop)
{
    if (!*loop)
        return;
    close((*loop)->epoll_fd);
    free((*loop)->watches);
    free(*loop);
    *loop = NULL;
}

// --- Descriptors ---

static int make_room(struct loop *loop, int fd)
{
    if ((size_t)fd < loop->watches_count)
        return 0;
    size_t count = (size_t)fd + 16;
    struct watch *more = reallocarray(loop->watches, count, sizeof(*more));
    if (!more)
        return -ENOMEM;
    memset(more + loop->watches_count, 0, (count - loop->watches_count) * sizeof(*more));
    loop->watches = more;
    loop->watches_count = count;
    return 0;
}

int loop_watch(struct loop *loop, int fd, uint32_t events, loop_fd_fn call, void *context)
{
    if (fd < 0)
        return -EBADF;
    int error = make_room(loop, fd);
    if (error)
        return error;
    struct watch *watch = &loop->watches[fd];
    bool again = watch->call != NULL;
    uint32_t generation = again ? watch->generation : watch->generation + 1;
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)generation << 32 | (uint32_t)fd};
    if (epoll_ctl(loop->epoll_fd, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event))
        return -errno;
    *watch = (struct watch){.call = call, .context = context, .generation = generation};
    return 0;
}

void loop_unwatch(struct loop *loop, int fd)
{
    if (fd < 0 || (size_t)fd >= loop->watches_count || !loop->watches[fd].call)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    loop->watches[fd].call = NULL;
}

static void call_watch(struct loop *loop, const struct epoll_event *event)
{
    uint32_t fd = (uint32_t)event->data.u64;
    uint32_t generation = (uint32_t)(event->data.u64 >> 32);
    // Copied: the call may watch a higher descriptor, which moves the table.
    struct watch watch = loop->watches[fd];
    if (watch.call && watch.generation == generation)
        watch.call(event->events, watch.context);
}

// --- Timers ---

uint64_t loop_now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, unsigned delay_ms, loop_timer_fn call,
                    void *context)
{
    loop_timer_stop(loop, timer);
    timer->call = call;
    timer->context = context;
    timer->due_ms = loop_now_ms() + delay_ms;
    struct loop_timer *place = loop->timers.previous;
    while (place != &loop->timers && place->due_ms > timer->due_ms)
        place = place->previous;
    ring_insert_before(place->next, timer);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    if (timer->next)
        ring_remove(timer);
}

// Those that are due are set apart first: one that sets itself again, even for at once, waits for the next
// round, so that timers cannot keep descriptors from being served.
static void call_timers(struct loop *loop)
{
    uint64_t now = loop_now_ms();
    while (loop->timers.next != &loop->timers && loop->timers.next->due_ms <= now) {
        struct loop_timer *timer = loop->timers.next;
        ring_remove(timer);
        ring_insert_before(&loop->due, timer);
    }
    while (loop->due.next != &loop->due) {
        struct loop_timer *timer = loop->due.next;
        ring_remove(timer);
        timer->call(timer->context);
    }
}

static int wait_ms(const struct loop *loop)
{
    if (loop->timers.next == &loop->timers)
        return -1;
    uint64_t now = loop_now_ms(), due = loop->timers.next->due_ms;
    if (due <= now)
        return 0;
    return due - now > INT_MAX ? INT_MAX : (int)(due - now);
}

int loop_run(struct loop *loop)
{
    while (!loop->stopping) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, wait_ms(loop));
        if (count < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < count; i++)
            call_watch(loop, &events[i]);
        call_timers(loop);
    }
    loop->stopping = false;
    return 0;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}
