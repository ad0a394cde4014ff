// Libraries that say that they are ONNX Runtime, which any container may have brought along.
#include "fuzz.h"

#include "../../user/source/ort_api.h"

FUZZ_TARGET(ort_api)
{
    uint64_t offsets[ORT_FUNCTIONS] = {}, bytes = 0;
    _cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    if (ort_api_find(fd, offsets, &bytes) > ORT_FUNCTIONS)
        abort();
    for (size_t i = 0; i < ORT_FUNCTIONS; i++)
        if (offsets[i] && offsets[i] >= size)
            abort();
    return 0;
}
