#include "walk.h"

#include "base/cleanup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>

enum {
    AT_ONCE = 256,      // entries; more than fall into one bucket of a table
    BATCHES_MAX = 4096, // more than any table has: entries may come as fast as they are looked at
};

int walk_table(int map_fd, walk_fn visit, void *context)
{
    struct bpf_map_info map = {};
    uint32_t size = sizeof(map);
    if (bpf_obj_get_info_by_fd(map_fd, &map, &size))
        return -errno;
    if (map.type != BPF_MAP_TYPE_HASH && map.type != BPF_MAP_TYPE_LRU_HASH)
        return -EINVAL;
    _cleanup_free_ char *keys = calloc(AT_ONCE, map.key_size);
    _cleanup_free_ char *values = calloc(AT_ONCE, map.value_size);
    if (!keys || !values)
        return -ENOMEM;
    uint32_t place = 0;
    for (unsigned i = 0; i < BATCHES_MAX; i++) {
        uint32_t count = AT_ONCE;
        int error = bpf_map_lookup_batch(map_fd, i ? &place : NULL, &place, keys, values, &count, NULL);
        // The last one comes with ENOENT. Of others it is not known what they have written.
        if (error && errno != ENOENT)
            return -errno;
        for (uint32_t k = 0; k < count; k++)
            visit(map_fd, keys + (size_t)k * map.key_size, values + (size_t)k * map.value_size, context);
        if (error)
            return 0;
    }
    return -E2BIG;
}
