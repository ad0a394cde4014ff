// What the loader of a library is told to do with it: relocations, and the symbols that they name. Believes
// nothing: the file is any container's.
#pragma once

#include "elf_image.h"

enum { ELF_RELOCATIONS_MAX = 96 * 1024 * 1024 }; // bytes of each table

struct elf_table {
    uint64_t address, size;
};

struct elf_dynamic {
    struct elf_table relocations; // DT_RELA
    struct elf_table calls;       // DT_JMPREL: of what it calls by name
    struct elf_table packed;      // DT_RELR
    uint64_t symbols;
};

struct elf_relocation {
    uint64_t address; // of what is relocated: 8 bytes
    enum elf_relocation_kind {
        ELF_RELATIVE, // it will be `value`, wherever the library is loaded
        ELF_NAMED,    // it will be the address of the symbol with that number
        ELF_OTHER,
    } kind;
    uint64_t value;
    uint32_t symbol;
    bool in_place; // a packed one: `value` is to be read at `address`
};

// More than 0: enough, and what elf_relocations() returns.
typedef int (*elf_relocation_fn)(const struct elf_relocation *relocation, void *context);

// 0, -ENOENT where it is linked statically, -EBADMSG, or what read() gives; so do the others.
int elf_dynamic_read(const struct elf_image *image, struct elf_dynamic *ret_dynamic);

// Hands over all relocations, those of the two tables first, then the packed ones; -EFBIG: there are too
// many.
int elf_relocations(const struct elf_image *image, const struct elf_dynamic *dynamic, elf_relocation_fn fn,
                    void *context);

// The address of a function that the library itself has, by its symbol's number; -ENOENT: it is another's.
int elf_dynamic_function(const struct elf_image *image, const struct elf_dynamic *dynamic, uint32_t symbol,
                         uint64_t *ret_address);
