// What the source `onnx` sends, and how it numbers what it measures (include/wire/measure.h).
#pragma once

#include "wire/header.h"

enum wire_onnx_measure {
    WIRE_ONNX_RUN,     // by call
    WIRE_ONNX_SESSION, // by what it was made from
};

enum wire_onnx_call {
    WIRE_ONNX_CALL_RUN,
    WIRE_ONNX_CALL_RUN_WITH_BINDING,
    WIRE_ONNX_CALL_RUN_ASYNC, // only whether it was begun
    WIRE_ONNX_CALLS,
};

enum wire_onnx_from {
    WIRE_ONNX_FROM_FILE,
    WIRE_ONNX_FROM_MEMORY,
};

#define WIRE_ONNX_RAW_MAX 4096
#define WIRE_ONNX_PATH_MAX 16384

enum wire_onnx_session_flag {
    WIRE_ONNX_LOADED = 1 << 0,    // else it failed
    WIRE_ONNX_BASED = 1 << 1,     // it is known where the name begins
    WIRE_ONNX_TRUNCATED = 1 << 2, // … but not all of that path
};

// A session was made, or that was tried. After the struct follow raw_size bytes: the file's name as the
// caller gave it, with NUL; and path_size bytes, a wire path (include/wire/path.h): where that name begins.
struct wire_onnx_session {
    struct wire_header header;
    __u64 took_ns;
    __u16 raw_size; // 0: not known, or it was made from memory
    __u16 path_size;
    __u32 flags; // enum wire_onnx_session_flag
};
WIRE_SIZE(struct wire_onnx_session, 104);
