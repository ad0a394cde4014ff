#include "probe_returns.h"

#include "base/log.h"

#include <string.h>

size_t probe_returns_find(const struct probe_kind *kind, int fd, uint64_t *in_out_offsets,
                          struct probe_returns *ret_returns, uint64_t *in_out_read)
{
    size_t left_out = 0;
    for (size_t i = 0; i < kind->symbols_count; i++) {
        ret_returns[i].count = 0;
        if (!kind->symbols[i].leave || !in_out_offsets[i])
            continue;
        int count = elf_returns_find(fd, in_out_offsets[i], ret_returns[i].offsets, in_out_read);
        if (count > 0) {
            ret_returns[i].count = (size_t)count;
            continue;
        }
        log_debug("%s: where %s returns is not known: %s", kind->name, kind->symbols[i].name,
                  count ? strerror(-count) : "it never does");
        in_out_offsets[i] = 0;
        left_out++;
    }
    return left_out;
}
