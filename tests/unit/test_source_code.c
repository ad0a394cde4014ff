// How long instructions are, and where they lead.
#include "../../user/source/code.h"
#include "base/cleanup.h"

#include <criterion/criterion.h>
#include <elf.h>

enum { AT = 0x1000 };

struct sample {
    uint8_t bytes[15];
    size_t size;
    enum code_kind kind;
    uint64_t target;
};

static void expect(uint16_t machine, const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct sample *sample = &samples[i];
        struct code code = {};
        cr_assert(code_read(machine, sample->bytes, sizeof(sample->bytes), AT, &code), "sample %zu", i);
        cr_expect_eq(code.size, sample->size, "sample %zu is of %zu bytes", i, code.size);
        cr_expect_eq(code.kind, sample->kind, "sample %zu", i);
        cr_expect_eq(code.target, sample->target, "sample %zu leads to %lx", i, (unsigned long)code.target);
        // Not one byte behind its end is read.
        cr_expect(code_read(machine, sample->bytes, sample->size, AT, &code));
        cr_expect_not(code_read(machine, sample->bytes, sample->size - 1, AT, &code));
    }
}

Test(source_code, x86)
{
    static const struct sample samples[] = {
        {{0xc3}, 1, CODE_RETURN, 0},
        {{0xf3, 0xc3}, 2, CODE_RETURN, 0},
        {{0xc2, 0x08, 0x00}, 3, CODE_RETURN, 0},
        {{0xf3, 0x0f, 0x1e, 0xfa}, 4, CODE_OTHER, 0},                 // endbr64
        {{0xeb, 0xfe}, 2, CODE_JUMP, AT},                             // jmp to itself
        {{0xe9, 0x00, 0x01, 0x00, 0x00}, 5, CODE_JUMP, AT + 0x105},   // jmp
        {{0x74, 0x10}, 2, CODE_BRANCH, AT + 0x12},                    // je
        {{0x0f, 0x85, 0xfa, 0xff, 0xff, 0xff}, 6, CODE_BRANCH, AT},   // jne
        {{0xe3, 0x02}, 2, CODE_BRANCH, AT + 4},                       // jrcxz
        {{0xff, 0xe0}, 2, CODE_JUMP_AWAY, 0},                         // jmp *%rax
        {{0x3e, 0xff, 0xe0}, 3, CODE_JUMP_AWAY, 0},                   // notrack jmp *%rax
        {{0xff, 0x25, 0xc3, 0xc3, 0xc3, 0xc3}, 6, CODE_JUMP_AWAY, 0}, // jmp *…(%rip)
        {{0xff, 0x15, 0xc3, 0xc3, 0xc3, 0xc3}, 6, CODE_OTHER, 0},     // call *…(%rip)
        {{0xe8, 0xc3, 0xc3, 0xc3, 0xc3}, 5, CODE_OTHER, 0},           // call
        {{0x66, 0x66, 0x48, 0xe8, 0xc3, 0, 0, 0}, 8, CODE_OTHER, 0},  // call, with padding
        {{0x48, 0xb8, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3}, 10, CODE_OTHER, 0}, // movabs
        {{0xb8, 0xc3, 0xc3, 0xc3, 0xc3}, 5, CODE_OTHER, 0},                                // mov
        {{0x66, 0xb8, 0xc3, 0xc3}, 4, CODE_OTHER, 0},                                      // mov, 16 bits
        {{0x48, 0x8d, 0x05, 0xc3, 0xc3, 0xc3, 0xc3}, 7, CODE_OTHER, 0},                    // lea …(%rip)
        {{0x48, 0x8b, 0x44, 0x24, 0xc3}, 5, CODE_OTHER, 0},                                // mov …(%rsp)
        {{0x8b, 0x04, 0x25, 0xc3, 0, 0, 0}, 7, CODE_OTHER, 0},                 // mov of an address
        {{0xf7, 0x00, 0xc3, 0xc3, 0xc3, 0xc3}, 6, CODE_OTHER, 0},              // test
        {{0xf7, 0x10}, 2, CODE_OTHER, 0},                                      // not
        {{0xf6, 0x40, 0x08, 0xc3}, 4, CODE_OTHER, 0},                          // test, 8 bits
        {{0xa0, 0xc3, 0, 0, 0, 0, 0, 0, 0}, 9, CODE_OTHER, 0},                 // mov of an address
        {{0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0}, 10, CODE_OTHER, 0}, // nop
        {{0x0f, 0xba, 0xe0, 0xc3}, 4, CODE_OTHER, 0},                          // bt
        {{0x66, 0x0f, 0x3a, 0x0f, 0xc1, 0xc3}, 6, CODE_OTHER, 0},              // palignr
        {{0x66, 0x0f, 0x38, 0x00, 0xc3}, 5, CODE_OTHER, 0},                    // pshufb
        {{0xc5, 0xf8, 0x77}, 3, CODE_OTHER, 0},                                // vzeroupper
        {{0xc4, 0xe3, 0x7d, 0x39, 0xc1, 0xc3}, 6, CODE_OTHER, 0},              // vextracti128
        {{0x62, 0xf1, 0x7c, 0x48, 0x10, 0x40, 0xc3}, 7, CODE_OTHER, 0},        // vmovups, 512 bits
        {{0xc8, 0xc3, 0xc3, 0x00}, 4, CODE_OTHER, 0},                          // enter
    };
    expect(EM_X86_64, samples, ARRAY_SIZE(samples));
}

Test(source_code, x86_unknown)
{
    static const uint8_t unknown[][15] = {
        {0x06},
        {0x82},
        {0xd6},
        {0x0f, 0x0f},
        {0x66, 0xe9},
        {0x8f, 0xe8},
        {0x48, 0x48, 0x90},
        {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66}};
    struct code code;
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        cr_expect_not(code_read(EM_X86_64, unknown[i], sizeof(unknown[i]), AT, &code), "sample %zu", i);
}

Test(source_code, arm64)
{
    static const struct sample samples[] = {
        {{0xc0, 0x03, 0x5f, 0xd6}, 4, CODE_RETURN, 0},      // ret
        {{0xff, 0x0b, 0x5f, 0xd6}, 4, CODE_RETURN, 0},      // retaa
        {{0x20, 0x02, 0x1f, 0xd6}, 4, CODE_JUMP_AWAY, 0},   // br x17
        {{0x20, 0x02, 0x3f, 0xd6}, 4, CODE_OTHER, 0},       // blr x17
        {{0x02, 0x00, 0x00, 0x14}, 4, CODE_JUMP, AT + 8},   // b
        {{0xff, 0xff, 0xff, 0x17}, 4, CODE_JUMP, AT - 4},   // b
        {{0x02, 0x00, 0x00, 0x94}, 4, CODE_OTHER, 0},       // bl
        {{0x41, 0x00, 0x00, 0x54}, 4, CODE_BRANCH, AT + 8}, // b.ne
        {{0x40, 0x00, 0x00, 0xb4}, 4, CODE_BRANCH, AT + 8}, // cbz
        {{0xe0, 0xff, 0x07, 0x36}, 4, CODE_BRANCH, AT - 4}, // tbz
        {{0xfd, 0x7b, 0xbf, 0xa9}, 4, CODE_OTHER, 0},       // stp
    };
    expect(EM_AARCH64, samples, ARRAY_SIZE(samples));
}

Test(source_code, other_machines)
{
    struct code code;
    cr_expect_not(code_read(EM_S390, (const uint8_t[]){0xc3, 0, 0, 0}, 4, AT, &code));
}
