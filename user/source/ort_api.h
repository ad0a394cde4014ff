// Where ONNX Runtime's functions lie in its library. It exports one function that leads to a table of all
// others, OrtApi; a library without symbols has that table, too. The table is found by reading the file,
// never by running it, and nothing in it is believed: the file is any container's.
#pragma once

#include <stddef.h>
#include <stdint.h>

// What is looked for; places in the table never change (onnxruntime_c_api.h).
enum ort_function {
    ORT_RUN,
    ORT_RUN_WITH_BINDING, // since 1.5
    ORT_RUN_ASYNC,        // since 1.16
    ORT_CREATE_SESSION,
    ORT_CREATE_SESSION_FROM_ARRAY,
    ORT_CREATE_SESSION_SHARING,            // CreateSessionWithPrepackedWeightsContainer, since 1.10
    ORT_CREATE_SESSION_FROM_ARRAY_SHARING, // CreateSessionFromArrayWithPrepackedWeightsContainer, since 1.10
    ORT_FUNCTIONS,
};

// As elf_symbols_find(), in the order of enum ort_function: 0 where the library has no such function.
int ort_api_find(int fd, uint64_t *ret_offsets, uint64_t *in_out_read);
