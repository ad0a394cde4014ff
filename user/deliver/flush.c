#include "flush.h"

#include "base/cleanup.h"
#include "loop.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

struct flush {
    struct loop *loop;
    flush_done_fn done;
    void *context;
    aio_context_t aio; // 0: refused
    int event_fd;
    struct iocb request;
    struct loop_timer timer;
    int error; // of a blocking call
};

static void on_event(uint32_t events, void *context)
{
    struct flush *flush = context;
    uint64_t count;
    struct io_event event;
    struct timespec none = {0};
    if (read(flush->event_fd, &count, sizeof(count)) < 0 ||
        syscall(SYS_io_getevents, flush->aio, 1, 1, &event, &none) != 1)
        return;
    // Some file systems have no such call; there is no more to be had from them.
    flush->done(event.res == -EINVAL ? 0 : (int)event.res, flush->context);
}

static void on_timer(void *context)
{
    struct flush *flush = context;
    flush->done(flush->error, flush->context);
}

int flush_new(struct loop *loop, flush_done_fn done, void *context, struct flush **ret_flush)
{
    struct flush *flush = calloc(1, sizeof(*flush));
    if (!flush)
        return -ENOMEM;
    *flush = (struct flush){.loop = loop, .done = done, .context = context};
    flush->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (flush->event_fd < 0 || loop_watch(loop, flush->event_fd, EPOLLIN, on_event, flush) ||
        syscall(SYS_io_setup, 1, &flush->aio))
        flush->aio = 0;
    *ret_flush = flush;
    return 0;
}

void flush_free(struct flush **flush)
{
    struct flush *freed = *flush;
    if (!freed)
        return;
    loop_timer_stop(freed->loop, &freed->timer);
    if (freed->event_fd >= 0)
        loop_unwatch(freed->loop, freed->event_fd);
    cleanup_close(&freed->event_fd);
    // This waits for a request under way, whose memory is the kernel's until then.
    if (freed->aio)
        syscall(SYS_io_destroy, freed->aio);
    free(freed);
    *flush = NULL;
}

void flush_begin(struct flush *flush, int fd)
{
    struct iocb *request = &flush->request;
    *request = (struct iocb){.aio_lio_opcode = IOCB_CMD_FDSYNC,
                             .aio_fildes = (uint32_t)fd,
                             .aio_flags = IOCB_FLAG_RESFD,
                             .aio_resfd = (uint32_t)flush->event_fd};
    if (flush->aio && syscall(SYS_io_submit, flush->aio, 1, &request) == 1)
        return;
    flush->error = fdatasync(fd) && errno != EINVAL ? -errno : 0;
    loop_timer_set(flush->loop, &flush->timer, 0, on_timer, flush);
}
