// How the source `llama` numbers what it measures (include/wire/measure.h).
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
