// Programs and libraries, which any container may have brought along: where the function at their entry
// returns.
#include "fuzz.h"

#include "../../user/source/elf_returns.h"
#include "../../user/source/elf_symbols.h"

FUZZ_TARGET(returns)
{
    uint64_t offset = 0, offsets[ELF_RETURNS_MAX], bytes = 0;
    _cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || elf_entry_find(fd, &offset))
        return 0;
    int count = elf_returns_find(fd, offset, offsets, &bytes);
    if (count > ELF_RETURNS_MAX)
        abort();
    for (int i = 0; i < count; i++)
        if (offsets[i] >= size)
            abort();
    return 0;
}
