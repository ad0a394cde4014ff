// A small library with symbols, as bytes.
#pragma once

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { ELF_FILE_SYMBOLS = 4, ELF_FILE_STRINGS = 64 };

struct elf_file {
    Elf64_Ehdr head;
    Elf64_Phdr segments[2];
    Elf64_Shdr sections[3]; // none, symbols, their names
    Elf64_Sym symbols[ELF_FILE_SYMBOLS];
    char strings[ELF_FILE_STRINGS];
};

// It has SSL_read and, as the end of my_SSL_write, SSL_write; SSL_free is another library's.
static inline void elf_file_make(struct elf_file *file)
{
    static const char strings[ELF_FILE_STRINGS] = "\0SSL_read\0my_SSL_write\0SSL_free\0SSL_readable";
    memset(file, 0, sizeof(*file));
    memcpy(file->head.e_ident, ELFMAG, SELFMAG);
    file->head.e_ident[EI_CLASS] = ELFCLASS64;
    file->head.e_ident[EI_DATA] = ELFDATA2LSB;
    file->head.e_type = ET_DYN;
#if defined(__aarch64__)
    file->head.e_machine = EM_AARCH64;
#else
    file->head.e_machine = EM_X86_64;
#endif
    file->head.e_phoff = offsetof(struct elf_file, segments);
    file->head.e_phentsize = sizeof(Elf64_Phdr);
    file->head.e_phnum = 2;
    file->head.e_shoff = offsetof(struct elf_file, sections);
    file->head.e_shentsize = sizeof(Elf64_Shdr);
    file->head.e_shnum = 3;
    file->segments[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = 0, .p_filesz = 0x1000};
    file->segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                     .p_flags = PF_R | PF_X,
                                     .p_offset = 0x1000,
                                     .p_vaddr = 0x401000,
                                     .p_filesz = 0x1000};
    file->sections[1] = (Elf64_Shdr){.sh_type = SHT_DYNSYM,
                                     .sh_offset = offsetof(struct elf_file, symbols),
                                     .sh_size = sizeof(file->symbols),
                                     .sh_entsize = sizeof(Elf64_Sym),
                                     .sh_link = 2};
    file->sections[2] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
                                     .sh_offset = offsetof(struct elf_file, strings),
                                     .sh_size = sizeof(file->strings)};
    const unsigned char function = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    file->symbols[1] =
        (Elf64_Sym){.st_name = 1, .st_info = function, .st_shndx = 1, .st_value = 0x401010, .st_size = 4};
    file->symbols[2] =
        (Elf64_Sym){.st_name = 13, .st_info = function, .st_shndx = 1, .st_value = 0x401020, .st_size = 4};
    file->symbols[3] = (Elf64_Sym){.st_name = 23, .st_info = function};
    memcpy(file->strings, strings, sizeof(strings));
}
