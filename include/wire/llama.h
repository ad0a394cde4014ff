// What the source `llama` sends, and how it numbers what it measures (include/wire/measure.h).
#pragma once

#include "wire/header.h"

// What a batch was of, by how many tokens each of its sequences had in it.
enum wire_llama_phase {
    WIRE_LLAMA_PREFILL, // several each: prompts, or drafts to be checked
    WIRE_LLAMA_DECODE,  // one each
    WIRE_LLAMA_MIXED,   // some several, some one
    WIRE_LLAMA_ENCODE,  // for the model's encoder, whatever it held
    WIRE_LLAMA_UNKNOWN, // filled before the probes were there, or it could not be read
    WIRE_LLAMA_PHASES,
};

enum wire_llama_measure {
    WIRE_LLAMA_BATCH,     // by phase; the amount: tokens
    WIRE_LLAMA_TOKENS,    // the same tokens, those of a mixed batch told apart
    WIRE_LLAMA_GENERATED, // tokens whose logits were fetched
    WIRE_LLAMA_WAIT,      // by call
    WIRE_LLAMA_LOAD,
};

enum wire_llama_wait {
    WIRE_LLAMA_SYNCHRONIZE, // llama_synchronize()
    WIRE_LLAMA_LOGITS,      // the first llama_get_logits_ith() after a batch
};

#define WIRE_LLAMA_RAW_MAX 4096
#define WIRE_LLAMA_PATH_MAX 16384

enum wire_llama_load_flag {
    WIRE_LLAMA_LOADED = 1 << 0,    // else it failed
    WIRE_LLAMA_BASED = 1 << 1,     // it is known where the name begins
    WIRE_LLAMA_TRUNCATED = 1 << 2, // … but not all of that path
};

// A model was loaded, or that was tried. After the struct follow raw_size bytes: the file's name as the
// caller gave it, with NUL; and path_size bytes, a wire path (include/wire/path.h): where that name begins.
struct wire_llama_load {
    struct wire_header header;
    __u64 took_ns;
    __u16 raw_size; // 0: not known
    __u16 path_size;
    __u32 flags; // enum wire_llama_load_flag
};
WIRE_SIZE(struct wire_llama_load, 104);
