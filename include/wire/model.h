// A model that was loaded, as the sources of runtimes send it.
#pragma once

#include "wire/header.h"

#define WIRE_MODEL_RAW_MAX 4096
#define WIRE_MODEL_PATH_MAX 16384

enum wire_model_flag {
    WIRE_MODEL_LOADED = 1 << 0,    // else it failed
    WIRE_MODEL_BASED = 1 << 1,     // it is known where the name begins
    WIRE_MODEL_TRUNCATED = 1 << 2, // … but not all of that path
};

// A model was loaded, or that was tried. After the struct follow raw_size bytes: the file's name as the
// caller gave it, with NUL; and path_size bytes, a wire path (include/wire/path.h): where that name begins.
struct wire_model_load {
    struct wire_header header;
    __u64 took_ns;
    __u16 raw_size; // 0: not known, or there was no file
    __u16 path_size;
    __u32 flags; // enum wire_model_flag
};
WIRE_SIZE(struct wire_model_load, 104);
