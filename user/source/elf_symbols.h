// Where functions lie in a program or library, by its symbol tables. Reads in small pieces and believes
// nothing: the file is any container's.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    ELF_NAMES_MAX = 32,               // symbols that are looked for at once
    ELF_NAME_MAX = 128,               // bytes of a name and its end
    ELF_TABLE_MAX = 64 * 1024 * 1024, // bytes of a table of symbols or of their names
};

// Looks for functions in .dynsym, and in .symtab where the first of them is not there. Sets the offset of
// each one's code in the file, 0 where the file does not have it, and adds to *in_out_read how many bytes
// were read. The number that was found, or -ENOEXEC: no ELF file of this machine, -EBADMSG: it does not hold
// together, -EFBIG: a table is larger than ELF_TABLE_MAX, or what read() gives.
int elf_symbols_find(int fd, const char *const *names, size_t count, uint64_t *ret_offsets,
                     uint64_t *in_out_read);

// The offset of a program's first instruction. The same errors; -EBADMSG where it has none.
int elf_entry_find(int fd, uint64_t *ret_offset);
