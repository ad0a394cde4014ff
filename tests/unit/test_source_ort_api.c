// Finding ONNX Runtime's table of functions in files that anybody may have made.
#include "../../user/source/ort_api.h"
#include "seed_file.h"

#include <errno.h>
#include <string.h>

static uint64_t offsets[ORT_FUNCTIONS], bytes;

static int find(const struct seed_file *seed, size_t size)
{
    _cleanup_close_ int fd = seed_file_open(seed, size);
    memset(offsets, 0, sizeof(offsets));
    bytes = 0;
    return ort_api_find(fd, offsets, &bytes);
}

#if defined(__x86_64__)
// The libraries have functions of nop and ret alone, at some places of the table longer ones: 3 bytes for
// CreateSession, then one more each; 6 for RunWithBinding.
static void expect_table(const char *path)
{
    struct seed_file seed;
    seed_file_read(path, &seed);
    cr_assert_eq(find(&seed, seed.size), 4);
    static const struct {
        enum ort_function function;
        size_t length;
    } wanted[] = {
        {ORT_CREATE_SESSION, 3}, {ORT_CREATE_SESSION_FROM_ARRAY, 4}, {ORT_RUN, 5}, {ORT_RUN_WITH_BINDING, 6}};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        const uint8_t *code = seed.data + offsets[wanted[i].function];
        cr_expect_eq(strspn((const char *)code, "\x90"), wanted[i].length - 1);
        cr_expect_eq(code[wanted[i].length - 1], 0xc3);
    }
    cr_expect_eq(offsets[ORT_RUN_ASYNC], 0, "its table is that of an old version");
    cr_expect_leq(bytes, 4 * seed.size);
}

Test(source_ort_api, table)
{
    expect_table("tests/fuzz/corpus/ort_api/library");
}

Test(source_ort_api, table_with_packed_relocations)
{
    expect_table("tests/fuzz/corpus/ort_api/packed");
}
#endif

Test(source_ort_api, other_files)
{
    struct seed_file seed;
    seed_file_read("tests/fuzz/corpus/returns/library", &seed);
    cr_expect_leq(find(&seed, seed.size), 0);
    cr_expect_eq(find(&seed, 0), -ENOEXEC);
}

// Whatever byte is wrong, what is found lies in the file, if anything is.
Test(source_ort_api, broken)
{
    struct seed_file seed;
    seed_file_read("tests/fuzz/corpus/ort_api/packed", &seed);
    for (size_t i = 0; i < seed.size; i++) {
        uint8_t was = seed.data[i];
        seed.data[i] ^= 0x5a;
        find(&seed, seed.size);
        for (size_t k = 0; k < ORT_FUNCTIONS; k++)
            cr_assert_lt(offsets[k], seed.size, "with byte %zu changed", i);
        seed.data[i] = was;
    }
    for (size_t size = 0; size < seed.size; size += 16)
        cr_expect_leq(find(&seed, size), ORT_FUNCTIONS);
}
