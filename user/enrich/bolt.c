#include "bolt.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC 0xED0CDAEDu
enum {
    VERSION = 2,
    PAGE_SIZE_MIN = 512,
    PAGE_SIZE_MAX = 65536,
    PAGE_MAX = 4 * 1024 * 1024, // of one page and those that it flows over into
    DEPTH_MAX = 16,             // of a tree of pages
    PAGES_MAX = 8192,           // read for one walk
    IS_BRANCH = 0x01,
    IS_LEAF = 0x02,
    IS_BUCKET = 0x01, // of a leaf's element
};

// As they lie in the file; the machine that wrote it is this one.
struct page_header {
    uint64_t id;
    uint16_t flags;
    uint16_t count;
    uint32_t overflow;
};

struct meta {
    uint32_t magic;
    uint32_t version;
    uint32_t page_size;
    uint32_t flags;
    uint64_t root;
    uint64_t sequence;
    uint64_t freelist;
    uint64_t pages;
    uint64_t transaction;
    uint64_t checksum;
};

struct branch_element {
    uint32_t at; // from the element on
    uint32_t key_size;
    uint64_t page;
};

struct leaf_element {
    uint32_t flags;
    uint32_t at; // from the element on
    uint32_t key_size;
    uint32_t value_size;
};

struct bucket_header {
    uint64_t root; // 0: its only page follows
    uint64_t sequence;
};

struct bolt {
    int fd;
    struct meta meta;
    unsigned pages_read;
};

struct slice {
    const char *data;
    size_t size;
};

// --- The newest meta page ---

static uint64_t fnv1a(const void *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3ULL;
    return hash;
}

static bool meta_read(int fd, off_t at, struct meta *ret_meta)
{
    struct meta meta;
    if (pread(fd, &meta, sizeof(meta), at + (off_t)sizeof(struct page_header)) != (ssize_t)sizeof(meta))
        return false;
    bool valid = meta.magic == MAGIC && meta.version == VERSION && meta.page_size >= PAGE_SIZE_MIN &&
                 meta.page_size <= PAGE_SIZE_MAX &&
                 meta.checksum == fnv1a(&meta, offsetof(struct meta, checksum));
    if (valid)
        *ret_meta = meta;
    return valid;
}

// There are two, written in turns, so that one is whole at any time.
static bool meta_newest(int fd, struct meta *ret_meta)
{
    struct meta first, second;
    bool has_first = meta_read(fd, 0, &first);
    bool has_second = has_first && meta_read(fd, first.page_size, &second);
    for (off_t size = PAGE_SIZE_MIN; !has_first && !has_second && size <= PAGE_SIZE_MAX; size *= 2)
        has_second = meta_read(fd, size, &second) && second.page_size == size;
    if (!has_first && !has_second)
        return false;
    *ret_meta = !has_first || (has_second && second.transaction > first.transaction) ? second : first;
    return true;
}

// --- Pages ---

// A page with those that it flows over into, NUL-free and as large as it says. Owned by the caller.
static int page_read(struct bolt *bolt, uint64_t id, char **ret_page, size_t *ret_size)
{
    const uint64_t page_size = bolt->meta.page_size;
    struct page_header header;
    if (id < 2 || id >= bolt->meta.pages || id > INT64_MAX / PAGE_SIZE_MAX || bolt->pages_read++ >= PAGES_MAX)
        return -EBADMSG;
    off_t at = (off_t)(id * page_size);
    if (pread(bolt->fd, &header, sizeof(header), at) != (ssize_t)sizeof(header) || header.id != id ||
        header.overflow >= PAGE_MAX / page_size)
        return -EBADMSG;
    size_t size = (header.overflow + 1) * page_size;
    _cleanup_free_ char *page = malloc(size);
    if (!page)
        return -ENOMEM;
    // The last page may end before its size does.
    ssize_t got = pread(bolt->fd, page, size, at);
    if (got < (ssize_t)sizeof(header) || memcmp(page, &header, sizeof(header)) != 0)
        return -EBADMSG;
    *ret_page = TAKE_PTR(page);
    *ret_size = (size_t)got;
    return 0;
}

static bool slice_take(struct slice page, size_t at, size_t size, struct slice *ret_slice)
{
    if (at > page.size || size > page.size - at)
        return false;
    *ret_slice = (struct slice){page.data + at, size};
    return true;
}

static bool header_take(struct slice page, struct page_header *ret_header)
{
    struct slice bytes;
    if (!slice_take(page, 0, sizeof(*ret_header), &bytes))
        return false;
    memcpy(ret_header, bytes.data, sizeof(*ret_header));
    return true;
}

// Element `index` of a page; both kinds are of one size.
static bool element_take(struct slice page, unsigned index, void *ret_element, size_t *ret_at)
{
    struct slice bytes;
    *ret_at = sizeof(struct page_header) + index * sizeof(struct leaf_element);
    if (!slice_take(page, *ret_at, sizeof(struct leaf_element), &bytes))
        return false;
    memcpy(ret_element, bytes.data, sizeof(struct leaf_element));
    return true;
}

static int slice_compare(struct slice left, struct slice right)
{
    int order = memcmp(left.data, right.data, left.size < right.size ? left.size : right.size);
    return order ? order : left.size < right.size ? -1 : left.size > right.size;
}

// Under which page of a branch a key would be: the last that begins at it or before it.
static int branch_find(struct slice page, const struct page_header *header, struct slice key,
                       uint64_t *ret_page)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < header->count; i++) {
        struct branch_element element;
        struct slice first;
        size_t at;
        if (!element_take(page, i, &element, &at) ||
            !slice_take(page, at + element.at, element.key_size, &first))
            return -EBADMSG;
        if (i > 0 && slice_compare(first, key) > 0)
            break;
        found = element.page;
    }
    *ret_page = found;
    return 0;
}

static int leaf_at(struct slice page, unsigned index, struct slice *ret_key, struct slice *ret_value,
                   bool *ret_bucket)
{
    struct leaf_element element;
    size_t at;
    if (!element_take(page, index, &element, &at) ||
        !slice_take(page, at + element.at, element.key_size, ret_key) ||
        !slice_take(page, at + element.at + element.key_size, element.value_size, ret_value))
        return -EBADMSG;
    *ret_bucket = element.flags & IS_BUCKET;
    return 0;
}

// --- Buckets ---

// Finds a key below a page. `ret_page` holds what the value lies in; owned by the caller.
static int find(struct bolt *bolt, struct slice page, struct slice key, char **ret_page,
                struct slice *ret_value, bool *ret_bucket)
{
    _cleanup_free_ char *owned = NULL;
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        struct page_header header;
        if (!header_take(page, &header))
            return -EBADMSG;
        if (header.flags & IS_LEAF) {
            for (unsigned i = 0; i < header.count; i++) {
                struct slice found;
                int error = leaf_at(page, i, &found, ret_value, ret_bucket);
                if (error)
                    return error;
                if (slice_compare(found, key) == 0) {
                    *ret_page = TAKE_PTR(owned);
                    return 0;
                }
            }
            return -ENOENT;
        }
        uint64_t id = 0;
        int error = header.flags & IS_BRANCH ? branch_find(page, &header, key, &id) : -EBADMSG;
        char *next = NULL;
        size_t size = 0;
        if (!error)
            error = page_read(bolt, id, &next, &size);
        if (error)
            return error;
        free(owned);
        owned = next;
        page = (struct slice){next, size};
    }
    return -EBADMSG;
}

struct walk {
    bolt_visit_fn visit;
    void *context;
    unsigned values;
    bool ended;
};

static int visit_below(struct bolt *bolt, struct slice page, int depth, struct walk *walk)
{
    struct page_header header;
    if (depth >= DEPTH_MAX || !header_take(page, &header) || !(header.flags & (IS_LEAF | IS_BRANCH)))
        return -EBADMSG;
    for (unsigned i = 0; i < header.count && !walk->ended; i++) {
        if (header.flags & IS_LEAF) {
            struct slice key, value;
            bool bucket;
            int error = leaf_at(page, i, &key, &value, &bucket);
            if (error)
                return error;
            walk->ended =
                (!bucket && !walk->visit(walk->context, key.data, key.size, value.data, value.size)) ||
                ++walk->values >= BOLT_VALUES_MAX;
            continue;
        }
        struct branch_element element;
        size_t at, size;
        _cleanup_free_ char *below = NULL;
        int error =
            element_take(page, i, &element, &at) ? page_read(bolt, element.page, &below, &size) : -EBADMSG;
        if (!error)
            error = visit_below(bolt, (struct slice){below, size}, depth + 1, walk);
        if (error)
            return error;
    }
    return 0;
}

// The first page of the bucket whose header is at `value`. `ret_owned` is NULL where it lies in the value.
static int bucket_open(struct bolt *bolt, struct slice value, char **ret_owned, struct slice *ret_page)
{
    struct bucket_header header;
    if (value.size < sizeof(header))
        return -EBADMSG;
    memcpy(&header, value.data, sizeof(header));
    *ret_owned = NULL;
    if (header.root == 0) {
        *ret_page = (struct slice){value.data + sizeof(header), value.size - sizeof(header)};
        return 0;
    }
    size_t size;
    int error = page_read(bolt, header.root, ret_owned, &size);
    if (!error)
        *ret_page = (struct slice){*ret_owned, size};
    return error;
}

static int walk_from(struct bolt *bolt, struct slice page, const char *const *keys, struct walk *walk)
{
    if (!*keys)
        return visit_below(bolt, page, 0, walk);
    struct slice key = {*keys, strlen(*keys)}, value, inner;
    _cleanup_free_ char *holder = NULL, *owned = NULL;
    bool bucket = false;
    int error = find(bolt, page, key, &holder, &value, &bucket);
    if (error)
        return error;
    if (!bucket) {
        if (keys[1])
            return -ENOENT;
        walk->visit(walk->context, key.data, key.size, value.data, value.size);
        return 0;
    }
    error = bucket_open(bolt, value, &owned, &inner);
    return error ? error : walk_from(bolt, inner, keys + 1, walk);
}

int bolt_walk(const char *path, const char *const *keys, bolt_visit_fn visit, void *context)
{
    // Not a device, nor a pipe that waits for a writer.
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct bolt bolt = {.fd = fd};
    struct walk walk = {.visit = visit, .context = context};
    struct stat status;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) || !S_ISREG(status.st_mode) || !meta_newest(fd, &bolt.meta))
        return -EBADMSG;

    _cleanup_free_ char *page = NULL;
    size_t size = 0;
    int error = page_read(&bolt, bolt.meta.root, &page, &size);
    if (!error)
        error = walk_from(&bolt, (struct slice){page, size}, keys, &walk);
    // A page that one transaction gives up is written over by the one after the next at the earliest.
    struct meta now;
    if (!meta_newest(fd, &now) || now.transaction > bolt.meta.transaction + 1)
        return -EAGAIN;
    return error;
}
