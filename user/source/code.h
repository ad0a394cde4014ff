// Machine code, as far as one must read it to know where a function ends: how long an instruction is, and
// whether it returns or jumps. A probe in the middle of an instruction would change what the program does, so
// what is not known for sure is said to be unknown.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum code_kind {
    CODE_OTHER, // goes on behind itself, calls included
    CODE_RETURN,
    CODE_JUMP,      // to `target`, always
    CODE_BRANCH,    // to `target`, or goes on
    CODE_JUMP_AWAY, // to where a register or memory says
};

struct code {
    size_t size; // bytes
    enum code_kind kind;
    uint64_t target;
};

// Reads the instruction at an address, of which `size` bytes are there. `machine` is ELF's EM_X86_64 or
// EM_AARCH64. False where it is not known, or does not end within them.
bool code_read(uint16_t machine, const uint8_t *bytes, size_t size, uint64_t address, struct code *ret_code);
