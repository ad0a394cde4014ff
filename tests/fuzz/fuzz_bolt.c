// A database of a container runtime's, of which the next page may be half written.
#include "fuzz.h"

#include "../../user/enrich/bolt.h"

static bool on_value(void *context, const char *key, size_t key_size, const char *value, size_t value_size)
{
    // Read all of it: it must be there.
    size_t *sum = context;
    for (size_t i = 0; i < key_size; i++)
        *sum += (unsigned char)key[i];
    for (size_t i = 0; i < value_size; i++)
        *sum += (unsigned char)value[i];
    return true;
}

FUZZ_TARGET(bolt)
{
    static const char *const ways[][4] = {
        {NULL}, {"ctr", NULL}, {"ctr", "alpha", "config", NULL}, {"inline", NULL}};
    size_t sum = 0;
    char path[32];
    _cleanup_close_ int fd = memfd_create("bolt", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
        if (bolt_walk(path, ways[i], on_value, &sum) > 0)
            abort();
    return 0;
}
