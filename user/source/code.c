#include "code.h"

#include <elf.h>
#include <string.h>

// --- x86-64: Intel's manual, volume 2, chapter 2 and appendix A ---

enum { PREFIXES_MAX = 14, INSTRUCTION_MAX = 15 };

// What follows an opcode.
enum operands {
    NONE = 0,
    MODRM = 1 << 0,
    IMM8 = 1 << 1,
    IMM16 = 1 << 2,
    IMM32 = 1 << 3,    // 2 bytes with the prefix 66
    IMM_WIDE = 1 << 4, // 8 bytes with REX.W, else as IMM32
    MOFFS = 1 << 5,    // an address: 8 bytes
    NEAR8 = 1 << 6,    // a distance to jump
    NEAR32 = 1 << 7,
    TEST8 = 1 << 8, // IMM8 where the second part of the opcode says that it is a test
    TEST32 = 1 << 9,
    UNKNOWN = 1 << 10,
};

struct reader {
    const uint8_t *bytes;
    size_t size, at;
    bool short_operand; // 66
    bool short_address; // 67
    bool wide;          // REX.W
    uint8_t opcode;
    uint8_t map; // 0: one byte, 1: 0f, 2: 0f 38, 3: 0f 3a, and more of EVEX
    uint8_t modrm;
    bool vex;
};

static bool next(struct reader *reader, uint8_t *ret_byte)
{
    if (reader->at >= reader->size)
        return false;
    *ret_byte = reader->bytes[reader->at++];
    return true;
}

static unsigned operands_of_one_byte(uint8_t opcode)
{
    if (opcode < 0x40) { // eight operations in the same six forms each
        static const unsigned forms[] = {MODRM, MODRM, MODRM, MODRM, IMM8, IMM32, UNKNOWN, UNKNOWN};
        return forms[opcode & 7];
    }
    switch (opcode) {
    case 0x50 ... 0x5f: // push, pop
    case 0x6c ... 0x6f:
    case 0x90 ... 0x99:
    case 0x9b ... 0x9f:
    case 0xa4 ... 0xa7:
    case 0xaa ... 0xaf:
    case 0xc3: // ret
    case 0xc9: // leave
    case 0xcc:
    case 0xd7:
    case 0xf1:
    case 0xf4:
    case 0xf5:
    case 0xf8 ... 0xfd:
        return NONE;
    case 0x63:
    case 0x84 ... 0x8e:
    case 0x8f: // pop; XOP has the same byte, and other values of what follows
    case 0xd0 ... 0xd3:
    case 0xd8 ... 0xdf:
    case 0xfe:
    case 0xff:
        return MODRM;
    case 0x69:
    case 0x81:
    case 0xc7:
        return MODRM | IMM32;
    case 0x6b:
    case 0x80:
    case 0x83:
    case 0xc0:
    case 0xc1:
    case 0xc6:
        return MODRM | IMM8;
    case 0xf6:
        return MODRM | TEST8;
    case 0xf7:
        return MODRM | TEST32;
    case 0x68:
    case 0xa9:
        return IMM32;
    case 0x6a:
    case 0xa8:
    case 0xb0 ... 0xb7:
    case 0xcd:
        return IMM8;
    case 0xb8 ... 0xbf:
        return IMM_WIDE;
    case 0xa0 ... 0xa3:
        return MOFFS;
    case 0xc2: // ret and pop
        return IMM16;
    case 0xc8: // enter
        return IMM16 | IMM8;
    case 0x70 ... 0x7f:
    case 0xe0 ... 0xe3:
    case 0xeb:
        return NEAR8;
    case 0xe8:
    case 0xe9:
        return NEAR32;
    }
    return UNKNOWN;
}

static unsigned operands_of_two_bytes(uint8_t opcode)
{
    switch (opcode) {
    case 0x05: // syscall
    case 0x0b: // ud2
    case 0x31: // rdtsc
    case 0x77: // emms, vzeroupper
    case 0xa0 ... 0xa2:
    case 0xa8:
    case 0xa9:
    case 0xc8 ... 0xcf:
        return NONE;
    case 0x00 ... 0x03:
    case 0x0d:
    case 0x10 ... 0x1f: // moves, and what does nothing
    case 0x28 ... 0x2f:
    case 0x40 ... 0x6f:
    case 0x74 ... 0x76:
    case 0x7c ... 0x7f:
    case 0x90 ... 0x9f:
    case 0xa3:
    case 0xa5:
    case 0xab:
    case 0xad ... 0xb9:
    case 0xbb ... 0xc1:
    case 0xc3:
    case 0xc7:
    case 0xd0 ... 0xff:
        return MODRM;
    case 0x70 ... 0x73:
    case 0xa4:
    case 0xac:
    case 0xba:
    case 0xc2:
    case 0xc4 ... 0xc6:
        return MODRM | IMM8;
    case 0x80 ... 0x8f:
        return NEAR32;
    }
    return UNKNOWN;
}

// Some that exist in the newer encodings only.
static unsigned operands_of_vex(uint8_t map, uint8_t opcode)
{
    if (map == 3)
        return MODRM | IMM8;
    if (map == 1 && opcode == 0x77)
        return NONE;
    if (map == 1 &&
        ((opcode >= 0x70 && opcode <= 0x73) || opcode == 0xc2 || (opcode >= 0xc4 && opcode <= 0xc6)))
        return MODRM | IMM8;
    return map >= 1 && map <= 6 && map != 4 ? MODRM : UNKNOWN;
}

static bool read_prefixes(struct reader *reader, uint8_t *ret_opcode)
{
    uint8_t byte = 0;
    for (int i = 0; i <= PREFIXES_MAX; i++) {
        if (!next(reader, &byte))
            return false;
        switch (byte) {
        case 0x66:
            reader->short_operand = true;
            break;
        case 0x67:
            reader->short_address = true;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0xf0:
        case 0xf2:
        case 0xf3:
            break;
        case 0x40 ... 0x4f: // REX: the last of them
            reader->wide = byte & 8;
            return next(reader, ret_opcode) && (*ret_opcode & 0xf0) != 0x40;
        default:
            *ret_opcode = byte;
            return true;
        }
    }
    return false;
}

// The maps behind the byte 0f, and the prefixes VEX and EVEX that say which map in a few bits.
static bool read_opcode(struct reader *reader)
{
    uint8_t byte, payload = 0, rest;
    if (!read_prefixes(reader, &byte))
        return false;
    switch (byte) {
    case 0x0f:
        if (!next(reader, &byte))
            return false;
        reader->map = byte == 0x38 ? 2 : byte == 0x3a ? 3 : 1;
        reader->opcode = byte;
        return reader->map == 1 || next(reader, &reader->opcode);
    case 0xc5:
        reader->vex = true;
        reader->map = 1;
        return next(reader, &rest) && next(reader, &reader->opcode);
    case 0xc4:
        reader->vex = next(reader, &payload);
        reader->map = payload & 0x1f;
        return next(reader, &rest) && next(reader, &reader->opcode);
    case 0x62:
        reader->vex = next(reader, &payload);
        reader->map = payload & 7;
        // A bit that is 0 in EVEX alone; APX uses it, which we do not know.
        return !(payload & 8) && next(reader, &rest) && rest & 4 && next(reader, &rest) &&
               next(reader, &reader->opcode);
    }
    reader->opcode = byte;
    return true;
}

static bool skip_address(struct reader *reader)
{
    uint8_t sib = 0;
    if (!next(reader, &reader->modrm))
        return false;
    uint8_t mode = reader->modrm >> 6, base = reader->modrm & 7;
    if (mode == 3)
        return true;
    if (base == 4) {
        if (!next(reader, &sib))
            return false;
        base = sib & 7;
    }
    if (mode == 2 || (mode == 0 && base == 5))
        reader->at += 4;
    else if (mode == 1)
        reader->at += 1;
    return true;
}

static size_t immediate_size(const struct reader *reader, unsigned operands)
{
    size_t size = 0, half = reader->short_operand && !reader->wide ? 2 : 4;
    bool tests = (reader->modrm >> 3 & 7) < 2;
    if (operands & (IMM8 | NEAR8) || (operands & TEST8 && tests))
        size += 1;
    if (operands & IMM16)
        size += 2;
    if (operands & NEAR32)
        size += 4;
    if (operands & IMM32 || (operands & TEST32 && tests))
        size += half;
    if (operands & IMM_WIDE)
        size += reader->wide ? 8 : half;
    if (operands & MOFFS)
        size += reader->short_address ? 4 : 8;
    return size;
}

static int64_t distance(const struct reader *reader, size_t size)
{
    int32_t far;
    if (size == 1)
        return (int8_t)reader->bytes[reader->at - 1];
    memcpy(&far, reader->bytes + reader->at - sizeof(far), sizeof(far));
    return far;
}

static enum code_kind x86_kind(const struct reader *reader, unsigned operands)
{
    if (reader->vex || reader->map > 1)
        return CODE_OTHER;
    if (reader->map == 1)
        return operands & NEAR32 ? CODE_BRANCH : CODE_OTHER;
    if (reader->opcode == 0xc3 || reader->opcode == 0xc2)
        return CODE_RETURN;
    if (reader->opcode == 0xe9 || reader->opcode == 0xeb)
        return CODE_JUMP;
    if (operands & NEAR8)
        return CODE_BRANCH;
    uint8_t which = reader->modrm >> 3 & 7;
    return reader->opcode == 0xff && (which == 4 || which == 5) ? CODE_JUMP_AWAY : CODE_OTHER;
}

static bool x86_read(const uint8_t *bytes, size_t size, uint64_t address, struct code *ret_code)
{
    struct reader reader = {.bytes = bytes, .size = size < INSTRUCTION_MAX ? size : INSTRUCTION_MAX};
    if (!read_opcode(&reader))
        return false;
    unsigned operands = reader.vex        ? operands_of_vex(reader.map, reader.opcode)
                        : reader.map == 0 ? operands_of_one_byte(reader.opcode)
                        : reader.map == 1 ? operands_of_two_bytes(reader.opcode)
                        : reader.map == 2 ? MODRM
                                          : MODRM | IMM8;
    if (operands & UNKNOWN || (operands & MODRM && !skip_address(&reader)))
        return false;
    if (!reader.vex && reader.map == 0 && reader.opcode == 0x8f && reader.modrm & 0x38)
        return false;
    // Intel's processors and AMD's disagree on a jump with the prefix 66.
    if (operands & NEAR32 && reader.short_operand && !reader.wide)
        return false;
    size_t immediate = immediate_size(&reader, operands);
    reader.at += immediate;
    if (reader.at > reader.size)
        return false;
    *ret_code = (struct code){.size = reader.at, .kind = x86_kind(&reader, operands)};
    if (ret_code->kind == CODE_JUMP || ret_code->kind == CODE_BRANCH)
        ret_code->target = address + reader.at + (uint64_t)distance(&reader, immediate);
    return true;
}

// --- arm64: Arm's manual, C4.1 ---

static uint64_t arm64_target(uint64_t address, uint32_t word, int low, int bits)
{
    int64_t words = (int32_t)(word << (32 - low - bits)) >> (32 - bits);
    return address + (uint64_t)(words * 4);
}

static bool arm64_read(const uint8_t *bytes, size_t size, uint64_t address, struct code *ret_code)
{
    uint32_t word;
    if (size < sizeof(word))
        return false;
    memcpy(&word, bytes, sizeof(word));
    *ret_code = (struct code){.size = sizeof(word)};
    if ((word & 0xfffffc1f) == 0xd65f0000 || (word & 0xfffffbff) == 0xd65f0bff) { // ret, retaa, retab
        ret_code->kind = CODE_RETURN;
    } else if ((word & 0xfe000000) == 0xd6000000 && !(word & 0x00200000)) { // br and its kin, not blr
        ret_code->kind = CODE_JUMP_AWAY;
    } else if ((word & 0xfc000000) == 0x14000000) { // b
        ret_code->kind = CODE_JUMP;
        ret_code->target = arm64_target(address, word, 0, 26);
    } else if ((word & 0xff000000) == 0x54000000 || (word & 0x7e000000) == 0x34000000) { // b.cond, cbz, cbnz
        ret_code->kind = CODE_BRANCH;
        ret_code->target = arm64_target(address, word, 5, 19);
    } else if ((word & 0x7e000000) == 0x36000000) { // tbz, tbnz
        ret_code->kind = CODE_BRANCH;
        ret_code->target = arm64_target(address, word, 5, 14);
    }
    return true;
}

bool code_read(uint16_t machine, const uint8_t *bytes, size_t size, uint64_t address, struct code *ret_code)
{
    if (machine == EM_X86_64)
        return x86_read(bytes, size, address, ret_code);
    return machine == EM_AARCH64 && arm64_read(bytes, size, address, ret_code);
}
