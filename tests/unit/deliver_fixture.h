// A receiver in a loop of its own, to which a test sends batches, and the other side of it in the same loop.
#pragma once

#include "deliver/loop.h"
#include "deliver/receiver.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ITEMS_MAX = 512, DEADLINE_MS = 20000 };

struct rig {
    struct loop *loop;
    const struct receiver_type *type;
    void *receiver;
    struct item items[ITEMS_MAX];
    size_t count;
    enum verdict verdicts[ITEMS_MAX];
    char why[256];
    bool done;
    uint64_t cut;
    struct loop_timer deadline;
};

static inline void rig_on_done(const struct outcome *outcome, void *context)
{
    struct rig *rig = context;
    cr_assert(!rig->done, "told twice");
    memcpy(rig->verdicts, outcome->verdicts, rig->count * sizeof(rig->verdicts[0]));
    snprintf(rig->why, sizeof(rig->why), "%s", outcome->why ? outcome->why : "");
    rig->done = true;
    loop_stop(rig->loop);
}

static inline void rig_open(struct rig *rig, const struct receiver_type *type, struct config_output *output)
{
    memset(rig, 0, sizeof(*rig));
    rig->type = type;
    output->type = type->type;
    output->batch = ITEMS_MAX;
    output->tls.verify = true;
    if (!output->timeout)
        output->timeout = 5000;
    cr_assert_eq(loop_new(&rig->loop), 0);
    struct receiver_env env = {
        .loop = rig->loop, .hostname = "node1", .cut = &rig->cut, .done = rig_on_done, .context = rig};
    cr_assert_eq(type->open(output, &env, &rig->receiver), 0);
}

static inline void rig_close(struct rig *rig)
{
    rig->type->close(rig->receiver);
    for (size_t i = 0; i < rig->count; i++)
        json_decref(rig->items[i].json);
    loop_timer_stop(rig->loop, &rig->deadline);
    loop_free(&rig->loop);
}

// Alerts numbered from `first` on; of each, the message has `length` bytes more.
static inline void rig_make(struct rig *rig, uint64_t first, size_t count, size_t length)
{
    for (size_t i = 0; i < rig->count; i++)
        json_decref(rig->items[i].json);
    _cleanup_text_ struct text filler = TEXT_INIT(1 << 20);
    for (size_t i = 0; i < length; i++)
        text_add_char(&filler, 'x');
    rig->count = count;
    for (size_t i = 0; i < count; i++) {
        struct item *item = &rig->items[i];
        *item = (struct item){.record = {.kind = SPOOL_ALERT,
                                         .priority = PRIORITY_WARNING,
                                         .sequence = first + i,
                                         .time_ns = UINT64_C(1763712479000000000)}};
        snprintf(item->record.uuid, sizeof(item->record.uuid), "01932b5e-7c1a-7abc-8def-%012llu",
                 (unsigned long long)(first + i));
        item->json = json_pack("{s:s+, s:s, s:{}, s:[]}", "output", "alert ", text_string(&filler), "rule",
                               "R", "output_fields", "tags");
        cr_assert(item->json);
    }
}

static inline void rig_give_up(void *context)
{
    struct rig *rig = context;
    loop_stop(rig->loop);
}

// Sends what was made, and returns when it is known what became of it.
static inline void rig_begin(struct rig *rig)
{
    rig->done = false;
    rig->type->send(rig->receiver, rig->items, rig->count);
    cr_assert(!rig->done, "told from within send()");
}

static inline void rig_wait(struct rig *rig)
{
    loop_timer_set(rig->loop, &rig->deadline, DEADLINE_MS, rig_give_up, rig);
    cr_assert_eq(loop_run(rig->loop), 0);
    cr_assert(rig->done, "nothing was told");
}

static inline void rig_send(struct rig *rig, uint64_t first, size_t count, size_t length)
{
    rig_make(rig, first, count, length);
    rig_begin(rig);
    rig_wait(rig);
}

static inline size_t rig_count(const struct rig *rig, enum verdict verdict)
{
    size_t count = 0;
    for (size_t i = 0; i < rig->count; i++)
        count += rig->verdicts[i] == verdict;
    return count;
}

static inline void rig_expect(const struct rig *rig, enum verdict verdict)
{
    cr_assert_eq(rig_count(rig, verdict), rig->count, "%zu of %zu: %s", rig_count(rig, verdict), rig->count,
                 rig->why);
}

// --- The other side ---

struct peer {
    struct rig *rig;
    int listener, fd; // fd -1: nobody is connected
    bool reads;
    struct text received;
    size_t close_after; // bytes; 0: never
    struct loop_timer later;
};

static inline void peer_hang_up(struct peer *peer)
{
    loop_unwatch(peer->rig->loop, peer->fd);
    cleanup_close(&peer->fd);
    peer->fd = -1;
}

static inline void peer_read(uint32_t events, void *context)
{
    struct peer *peer = context;
    char bytes[4096];
    size_t wanted = sizeof(bytes);
    if (peer->close_after && peer->close_after - peer->received.length < wanted)
        wanted = peer->close_after - peer->received.length;
    ssize_t length = recv(peer->fd, bytes, wanted, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length > 0)
        text_add_bytes(&peer->received, bytes, (size_t)length);
    if (length <= 0 || (peer->close_after && peer->received.length == peer->close_after))
        peer_hang_up(peer);
}

static inline void peer_accept(uint32_t events, void *context)
{
    struct peer *peer = context;
    if (peer->fd >= 0)
        peer_hang_up(peer);
    peer->fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    cr_assert_geq(peer->fd, 0);
    if (peer->reads)
        cr_assert_eq(loop_watch(peer->rig->loop, peer->fd, EPOLLIN, peer_read, peer), 0);
}

static inline void peer_start_reading(void *context)
{
    struct peer *peer = context;
    peer->reads = true;
    if (peer->fd >= 0)
        cr_assert_eq(loop_watch(peer->rig->loop, peer->fd, EPOLLIN, peer_read, peer), 0);
}

static inline void peer_listen(struct peer *peer, struct rig *rig, const struct sockaddr *address,
                               socklen_t size)
{
    peer->rig = rig;
    peer->received = (struct text)TEXT_INIT(64 << 20);
    peer->fd = -1;
    peer->listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_geq(peer->listener, 0);
    cr_assert_eq(bind(peer->listener, address, size), 0, "%s", strerror(errno));
    cr_assert_eq(listen(peer->listener, 8), 0);
    cr_assert_eq(loop_watch(rig->loop, peer->listener, EPOLLIN, peer_accept, peer), 0);
}

static inline void peer_stop(struct peer *peer)
{
    if (peer->fd >= 0)
        peer_hang_up(peer);
    loop_unwatch(peer->rig->loop, peer->listener);
    cleanup_close(&peer->listener);
    loop_timer_stop(peer->rig->loop, &peer->later);
    text_free(&peer->received);
}

// A free port of 127.0.0.1, as an address for bind() and as text.
static inline struct sockaddr_in rig_port(int type, char *ret_address, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    _cleanup_close_ int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(ret_address, size, "127.0.0.1:%u", ntohs(address.sin_port));
    return address;
}
