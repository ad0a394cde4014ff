// How the source `onnx` numbers what it measures (include/wire/measure.h).
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
