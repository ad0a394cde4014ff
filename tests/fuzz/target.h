// A fuzz target is a file fuzz_<name>.c with one FUZZ_TARGET(name); its seeds are in corpus/<name>/, its
// words in <name>.dict. `make fuzz` builds each with libFuzzer; the unit tests only feed it its seeds.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct fuzz_target {
    const char *name;
    int (*run)(const uint8_t *data, size_t size);
    struct fuzz_target *next;
};

// Those that are linked into the unit tests (test_fuzz.c).
void fuzz_add(struct fuzz_target *target);

#ifdef FUZZ_ENGINE
#define FUZZ_TARGET(name)                                         \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
#else
#define FUZZ_TARGET(target)                                                       \
    static int fuzz_##target(const uint8_t *data, size_t size);                   \
    __attribute__((constructor)) static void add_##target(void)                   \
    {                                                                             \
        static struct fuzz_target this = {.name = #target, .run = fuzz_##target}; \
        fuzz_add(&this);                                                          \
    }                                                                             \
    static int fuzz_##target(const uint8_t *data, size_t size)
#endif
