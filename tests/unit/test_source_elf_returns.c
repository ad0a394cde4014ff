// Where functions return: in known code, and in files that anybody may have made.
#include "../../user/source/elf_returns.h"
#include "../../user/source/elf_symbols.h"
#include "seed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static uint64_t offsets[ELF_RETURNS_MAX], bytes;

static int find(int fd, uint64_t offset)
{
    memset(offsets, 0, sizeof(offsets));
    bytes = 0;
    return elf_returns_find(fd, offset, offsets, &bytes);
}

#if defined(__x86_64__)

// --- Functions of this program ---

extern const char returns_first[], returns_second[], returns_tail[], returns_tail_end[], returns_away[],
    returns_again[], returns_bare[], returns_odd[], returns_skewed[], returns_split[], returns_part_end[];

// Each with what compilers say of the stack. The byte of a return also stands where it is none.
asm(".text\n"
    ".type returns_plain, @function\n"
    "returns_plain:\n"
    "    .cfi_startproc\n"
    "    test %edi, %edi\n"
    "    je 1f\n"
    "    push %rbx\n"
    "    .cfi_adjust_cfa_offset 8\n"
    "    mov $0xc3c3c3c3, %ebx\n"
    "    pop %rbx\n"
    "    .cfi_remember_state\n"
    "    .cfi_adjust_cfa_offset -8\n"
    "returns_first:\n"
    "    ret\n"
    "1:  .cfi_restore_state\n"
    "    .cfi_adjust_cfa_offset -8\n"
    "    mov $0xc3, %eax\n"
    "returns_second:\n"
    "    ret\n"
    "    .cfi_endproc\n"
    ".type returns_tail, @function\n" // ends by a jump to another
    "returns_tail:\n"
    "    .cfi_startproc\n"
    "    sub $8, %rsp\n"
    "    .cfi_adjust_cfa_offset 8\n"
    "    add $8, %rsp\n"
    "    .cfi_adjust_cfa_offset -8\n"
    "    jmp returns_tailed\n"
    "    .cfi_endproc\n"
    "returns_tailed:\n"
    "    .cfi_startproc\n"
    "    nop\n"
    "returns_tail_end:\n"
    "    rep ret\n"
    "    .cfi_endproc\n"
    "returns_away:\n" // ends nobody knows where
    "    .cfi_startproc\n"
    "    test %edi, %edi\n"
    "    je 1f\n"
    "    jmp *%rdi\n"
    "1:  ret\n"
    "    .cfi_endproc\n"
    "returns_again:\n" // ends by itself
    "    .cfi_startproc\n"
    "    dec %edi\n"
    "    jne returns_again\n"
    "    ret\n"
    "    .cfi_endproc\n"
    "returns_bare:\n" // nothing is said of it
    "    ret\n"
    "    nop\n"
    "returns_odd:\n" // what is said of it is wrong
    "    .cfi_startproc\n"
    "    push %rbx\n"
    "    .cfi_adjust_cfa_offset 8\n"
    "    ret\n"
    "    .cfi_endproc\n"
    "returns_skewed:\n" // jumps into an instruction
    "    .cfi_startproc\n"
    "    test %edi, %edi\n"
    "    je 1f + 1\n"
    "1:  mov $0xc3c3c3c3, %eax\n"
    "    ret\n"
    "    .cfi_endproc\n"
    "returns_split:\n" // a part of it lies elsewhere
    "    .cfi_startproc\n"
    "    push %rbx\n"
    "    .cfi_adjust_cfa_offset 8\n"
    "    test %edi, %edi\n"
    "    jne returns_part\n"
    "    ud2\n"
    "    .cfi_endproc\n"
    "    .zero 64, 0xc3\n"
    "returns_part:\n"
    "    .cfi_startproc\n"
    "    .cfi_def_cfa_offset 16\n"
    "    lea 0xc3(%rdi), %rax\n"
    "    pop %rbx\n"
    "    .cfi_adjust_cfa_offset -8\n"
    "returns_part_end:\n"
    "    ret\n"
    "    .cfi_endproc\n");
extern const char returns_plain[];

// The offset of code of this program in its file.
static uint64_t offset_of(const char *code)
{
    _cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
    char line[4096];
    unsigned long start, end, offset;
    while (fgets(line, sizeof(line), maps))
        if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && (uintptr_t)code >= start &&
            (uintptr_t)code < end)
            return (uintptr_t)code - start + offset;
    cr_assert_fail("not mapped");
    return 0;
}

static int find_own(const char *function)
{
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    return find(fd, offset_of(function));
}

Test(source_elf_returns, several_returns)
{
    cr_assert_eq(find_own(returns_plain), 2);
    cr_expect_eq(offsets[0], offset_of(returns_first));
    cr_expect_eq(offsets[1], offset_of(returns_second));
}

Test(source_elf_returns, what_it_jumps_to)
{
    cr_assert_eq(find_own(returns_tail), 1);
    cr_expect_eq(offsets[0], offset_of(returns_tail_end));
    cr_assert_eq(find_own(returns_split), 1);
    cr_expect_eq(offsets[0], offset_of(returns_part_end));
}

Test(source_elf_returns, not_understood)
{
    cr_expect_eq(find_own(returns_away), -EOPNOTSUPP);
    cr_expect_eq(find_own(returns_again), -EOPNOTSUPP);
    cr_expect_eq(find_own(returns_bare), -ENOENT);
    cr_expect_eq(find_own(returns_odd), -EOPNOTSUPP);
    cr_expect_eq(find_own(returns_skewed), -EBADMSG);
    cr_expect_eq(find_own(returns_first), -EBADMSG, "no function begins there");
}

// --- A library, by a compiler ---

enum { OWN_FIRST = 0x4b2, OWN_SECOND = 0x4da, HELPER_FIRST = 0x44b, HELPER_SECOND = 0x452 };

// It has a switch, an exception that it catches, a part elsewhere, and ends by a jump to another function
// that the loader finds by name.
Test(source_elf_returns, library)
{
    struct seed_file seed;
    uint64_t function;
    seed_file_read("tests/fuzz/corpus/returns/library", &seed);
    _cleanup_close_ int fd = seed_file_open(&seed, seed.size);
    cr_assert_eq(elf_entry_find(fd, &function), 0);
    cr_assert_eq(find(fd, function), 4);
    static const uint64_t wanted[] = {OWN_FIRST, OWN_SECOND, HELPER_FIRST, HELPER_SECOND};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        cr_expect_eq(offsets[i], wanted[i]);
    cr_expect_leq(bytes, 4 * seed.size);
}
#endif

// --- Any file ---

// Whatever byte is wrong, what is found lies in the file, if anything is; a wrong byte of the code itself may
// make another return of it.
Test(source_elf_returns, broken)
{
    struct seed_file seed;
    seed_file_read("tests/fuzz/corpus/returns/library", &seed);
    for (size_t i = 0; i < seed.size; i++) {
        uint8_t was = seed.data[i];
        seed.data[i] ^= 0xa5;
        _cleanup_close_ int fd = seed_file_open(&seed, seed.size);
        int count = find(fd, 0x460);
        for (int k = 0; k < count; k++)
            cr_assert_lt(offsets[k], seed.size, "with byte %zu changed", i);
        seed.data[i] = was;
    }
    for (size_t size = 0; size < seed.size; size += 16) {
        _cleanup_close_ int fd = seed_file_open(&seed, size);
        cr_expect_leq(find(fd, 0x460), 4);
    }
}
