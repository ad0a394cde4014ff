#include "api_pieces.h"

#include "api_pieces.skel.h"
#include "base/cleanup.h"
#include "object.h"
#include "piece_feed.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

OBJECT_SKELETON(api_pieces);
static struct wire_api_slots *slots; // mapped
static bool stopped;

// --- What the feeding of the parser asks of the kernel ---

static bool server_known(const struct wire_api_server *server)
{
    __u8 one;
    return bpf_map_lookup_elem(bpf_map__fd(skeleton->maps.servers), server, &one) == 0;
}

static bool server_add(const struct wire_api_server *server)
{
    __u8 one = 1;
    return bpf_map_update_elem(bpf_map__fd(skeleton->maps.servers), server, &one, BPF_ANY) == 0;
}

static bool is_followed(uint64_t sock)
{
    struct wire_api_followed followed;
    return bpf_map_lookup_elem(bpf_map__fd(skeleton->maps.followed), &sock, &followed) == 0;
}

static void unfollow(uint64_t sock)
{
    bpf_map_delete_elem(bpf_map__fd(skeleton->maps.followed), &sock);
}

static const struct piece_kernel kernel = {server_known, server_add, is_followed, unfollow};

// --- Pieces ---

static int put_back(uint32_t slot)
{
    bool small = slot >= WIRE_API_PIECE_SMALL_FIRST;
    int fd = bpf_map__fd(small ? skeleton->maps.free_small : skeleton->maps.free_large);
    return bpf_map_update_elem(fd, NULL, &slot, BPF_ANY);
}

static bool has_slot(const struct wire_api_piece *piece)
{
    if (piece->slot >= WIRE_API_PIECE_BLOCKS)
        return false;
    return piece->slot < WIRE_API_PIECE_SMALL_FIRST ||
           (piece->head <= WIRE_API_PIECE_BLOCK && piece->tail == 0);
}

void api_pieces_refine(const struct wire_header *raw, size_t size, source_emit_fn emit, void *context)
{
    const struct wire_api_piece *piece = (const struct wire_api_piece *)raw;
    if (!skeleton || size < sizeof(*piece) || piece->kind >= WIRE_API_PIECE_KINDS ||
        piece->head > WIRE_API_PIECE_HEAD || piece->tail > WIRE_API_PIECE_TAIL ||
        (uint64_t)piece->head + piece->tail > piece->count)
        return;
    uint8_t *data = has_slot(piece) ? &slots->data[piece->slot * WIRE_API_PIECE_BLOCK] : NULL;
    piece_feed(piece, data, emit, context);
    if (!data)
        return;
    // No byte of a prompt stays behind.
    explicit_bzero(data, piece->head);
    explicit_bzero(data + WIRE_API_PIECE_HEAD, piece->tail);
    put_back(piece->slot);
}

void api_pieces_visit(api_progress_fn visit, void *context)
{
    if (skeleton)
        piece_feed_visit(visit, context);
}

bool api_pieces_unfollowed(uint64_t ret_counts[WIRE_API_UNFOLLOWED])
{
    if (!skeleton)
        return false;
    memcpy(ret_counts, piece_feed_unfollowed(), WIRE_API_UNFOLLOWED * sizeof(*ret_counts));
    ret_counts[WIRE_API_TOO_MANY] += skeleton->bss->too_many;
    return true;
}

// --- Start and stop ---

#define PIECES_HOOK(what, with, where)                                       \
    {                                                                        \
        .name = what, .program = with, .attach_point = where, .wanted = true \
    }

// Sending before receiving: a request that is seen has its answer seen, too.
static const struct hook hooks[] = {
    PIECES_HOOK("connection gone", "pieces_destroy_btf", "tp_btf/tcp_destroy_sock"),
    PIECES_HOOK("connection closed", "pieces_state_btf", "tp_btf/inet_sock_set_state"),
    PIECES_HOOK("send", "pieces_send_fexit", "fexit/tcp_sendmsg"),
    PIECES_HOOK("receive", "pieces_receive_fexit", "fexit/tcp_recvmsg"),
};

static int set_tables(void)
{
    void *mapped =
        mmap(NULL, sizeof(*slots), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(skeleton->maps.slots), 0);
    if (mapped == MAP_FAILED)
        return -errno;
    slots = mapped;
    for (uint32_t slot = 0; slot < WIRE_API_PIECE_BLOCKS;) {
        if (put_back(slot))
            return -errno;
        slot += slot < WIRE_API_PIECE_SMALL_FIRST ? WIRE_API_PIECE_LARGE_BLOCKS : 1;
    }
    api_route_starts(skeleton->bss->route_starts);
    return 0;
}

static void prepare(const struct source_env *env)
{
    piece_feed_begin(&kernel, !env->no_body_values);
}

static void forget(void)
{
    if (skeleton)
        piece_feed_end();
    if (slots)
        munmap(slots, sizeof(*slots));
    slots = NULL;
}

static struct object object = {
    .open = open_skeleton, .close = close_skeleton, .prepare = prepare, .stopping = forget};

static int load(const struct source_env *env, struct source_report *ret_report)
{
    int error = object_load(&object, env, hooks, ARRAY_SIZE(hooks), ret_report);
    if (error)
        return error;
    error = set_tables();
    if (!error)
        return 0;
    object_stop(&object);
    return hook_load_failed(error, ret_report);
}

int api_pieces_start(const struct source_env *env, bool wake, struct source_report *ret_report)
{
    int error = skeleton ? 0 : load(env, ret_report);
    // What became of connections meanwhile is not known.
    if (stopped)
        piece_feed_end();
    stopped = false;
    if (error)
        return error;
    skeleton->bss->wake_always = wake;
    return object_attach(&object, hooks, ARRAY_SIZE(hooks), ret_report);
}

// What is in the ring by now is still parsed, so all but the hooks stays, until the process ends.
void api_pieces_stop(void)
{
    hook_detach_all(&object.attached);
    stopped = skeleton != NULL;
}
