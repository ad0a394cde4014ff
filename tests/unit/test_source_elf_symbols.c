// Looking for functions in files that anybody may have made.
#include "../../user/source/elf_symbols.h"
#include "base/cleanup.h"
#include "elf_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const names[] = {"SSL_read", "SSL_write", "SSL_free"};

static uint64_t offsets[ARRAY_SIZE(names)], bytes;

static int find(const void *data, size_t size, uint64_t length)
{
    _cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
    cr_assert_eq(write(fd, data, size), (ssize_t)size);
    cr_assert_eq(ftruncate(fd, (off_t)(length > size ? length : size)), 0);
    memset(offsets, 0, sizeof(offsets));
    bytes = 0;
    return elf_symbols_find(fd, names, ARRAY_SIZE(names), offsets, &bytes);
}

static int find_in(const struct elf_file *file)
{
    return find(file, sizeof(*file), 0);
}

Test(source_elf_symbols, offsets_of_functions)
{
    struct elf_file file;
    elf_file_make(&file);
    cr_assert_eq(find_in(&file), 2);
    cr_expect_eq(offsets[0], 0x1010);
    cr_expect_eq(offsets[1], 0x1020);
    cr_expect_eq(offsets[2], 0);
    cr_expect_gt(bytes, sizeof(Elf64_Ehdr));
}

Test(source_elf_symbols, the_other_table_where_the_first_has_none)
{
    struct elf_file file;
    elf_file_make(&file);
    file.sections[1].sh_type = SHT_SYMTAB;
    cr_expect_eq(find_in(&file), 2);
}

Test(source_elf_symbols, entry)
{
    struct elf_file file;
    uint64_t offset = 7;
    elf_file_make(&file);
    file.head.e_entry = 0x401004;
    _cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
    cr_assert_eq(write(fd, &file, sizeof(file)), (ssize_t)sizeof(file));
    cr_assert_eq(elf_entry_find(fd, &offset), 0);
    cr_expect_eq(offset, 0x1004);
    file.head.e_entry = 0;
    cr_assert_eq(pwrite(fd, &file, sizeof(file), 0), (ssize_t)sizeof(file));
    cr_expect_eq(elf_entry_find(fd, &offset), -EBADMSG);
    cr_expect_eq(offset, 0x1004);
}

Test(source_elf_symbols, stripped)
{
    struct elf_file file;
    elf_file_make(&file);
    file.head.e_shoff = 0;
    cr_expect_eq(find_in(&file), 0);
    elf_file_make(&file);
    file.head.e_shnum = 1;
    cr_expect_eq(find_in(&file), 0);
}

Test(source_elf_symbols, not_of_this_machine)
{
    struct elf_file file;
    elf_file_make(&file);
    file.head.e_machine = EM_S390;
    cr_expect_eq(find_in(&file), -ENOEXEC);
    elf_file_make(&file);
    file.head.e_ident[EI_CLASS] = ELFCLASS32;
    cr_expect_eq(find_in(&file), -ENOEXEC);
    cr_expect_eq(find("#!/bin/sh\n", 10, 0), -ENOEXEC);
    cr_expect_eq(find("", 0, 0), -ENOEXEC);
}

// What is data, or lies outside of what is loaded, is no function to probe.
Test(source_elf_symbols, only_code)
{
    struct elf_file file;
    elf_file_make(&file);
    file.symbols[1].st_value = 0x10;
    file.symbols[2].st_value = 0x402000;
    cr_expect_eq(find_in(&file), 0);
    elf_file_make(&file);
    file.symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
    cr_expect_eq(find_in(&file), 1);
}

Test(source_elf_symbols, broken)
{
    struct elf_file file;
    elf_file_make(&file);
    file.sections[1].sh_offset = UINT64_MAX - 8;
    cr_expect_eq(find_in(&file), -EBADMSG);
    elf_file_make(&file);
    file.sections[1].sh_link = 77;
    cr_expect_eq(find_in(&file), -EBADMSG);
    elf_file_make(&file);
    file.sections[1].sh_entsize = 0;
    cr_expect_eq(find_in(&file), -EBADMSG);
    elf_file_make(&file);
    file.sections[2].sh_size = 1 << 20;
    cr_expect_eq(find_in(&file), -EBADMSG);
    elf_file_make(&file);
    file.head.e_shoff = UINT64_MAX - 64;
    cr_expect_eq(find_in(&file), -EBADMSG);
    elf_file_make(&file);
    file.head.e_phnum = UINT16_MAX;
    cr_expect_eq(find_in(&file), -EBADMSG);
    for (size_t size = 0; size < sizeof(file); size++) {
        elf_file_make(&file);
        cr_expect_leq(find(&file, size, 0), 2);
    }
}

// Tables as large as they may be, in a file of holes: read once, in pieces.
Test(source_elf_symbols, huge)
{
    struct elf_file file;
    elf_file_make(&file);
    file.sections[1].sh_size = ELF_TABLE_MAX + 1;
    cr_expect_eq(find(&file, sizeof(file), UINT64_C(1) << 32), -EFBIG);
    elf_file_make(&file);
    file.sections[1].sh_size = file.sections[2].sh_size = ELF_TABLE_MAX;
    cr_expect_eq(find(&file, sizeof(file), UINT64_C(1) << 32), 2);
    cr_expect_leq(bytes, UINT64_C(3) * ELF_TABLE_MAX);
}

// A table of names that is full of them, and symbols that all have them.
Test(source_elf_symbols, many_of_a_name)
{
    enum { NAMES = 100000, SYMBOLS = 100000 };
    static struct {
        struct elf_file file;
        char strings[NAMES][9];
        Elf64_Sym symbols[SYMBOLS];
    } many;
    elf_file_make(&many.file);
    for (size_t i = 0; i < NAMES; i++)
        memcpy(many.strings[i], "SSL_read", 9);
    for (size_t i = 0; i < SYMBOLS; i++)
        many.symbols[i] = many.file.symbols[1];
    for (size_t i = 0; i < SYMBOLS; i++)
        many.symbols[i].st_name = 0;
    many.file.sections[1].sh_offset = (size_t)((char *)many.symbols - (char *)&many);
    many.file.sections[1].sh_size = sizeof(many.symbols);
    many.file.sections[2].sh_offset = (size_t)((char *)many.strings - (char *)&many);
    many.file.sections[2].sh_size = sizeof(many.strings);
    cr_expect_eq(find(&many, sizeof(many), 0), -EBADMSG);
}

// A name that lies across two pieces of what is read.
Test(source_elf_symbols, pieces)
{
    static struct {
        struct elf_file file;
        char strings[3 * 65536];
    } wide;
    for (uint32_t at = 65536 - 80; at < 65536 + 4; at++) {
        elf_file_make(&wide.file);
        memset(wide.strings, 0, sizeof(wide.strings));
        memcpy(wide.strings + at, "SSL_read", 9);
        wide.file.symbols[1].st_name = at;
        wide.file.sections[2].sh_offset = sizeof(wide.file);
        wide.file.sections[2].sh_size = sizeof(wide.strings);
        cr_expect_eq(find(&wide, sizeof(wide), 0), 1, "at %u", at);
    }
}
