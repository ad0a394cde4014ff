// Programs and libraries, which any container may have brought along.
#include "fuzz.h"

#include "../../user/source/elf_symbols.h"

FUZZ_TARGET(elf)
{
    static const char *const names[] = {"SSL_read", "SSL_write", "SSL_free"};
    uint64_t offsets[ARRAY_SIZE(names)] = {}, bytes = 0;
    _cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    if (elf_symbols_find(fd, names, ARRAY_SIZE(names), offsets, &bytes) > (int)ARRAY_SIZE(names))
        abort();
    return 0;
}
