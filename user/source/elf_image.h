// A program or library by the addresses that it has once it is loaded, which is how its own tables name what
// is in it: no section headers are needed. Believes nothing: the file is any container's.
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ELF_SEGMENTS_MAX = 256 };

struct elf_image {
    int fd; // borrowed
    Elf64_Ehdr head;
    uint16_t machine;
    size_t segments_count;
    Elf64_Phdr segments[ELF_SEGMENTS_MAX];
    uint64_t *read; // borrowed: bytes of the file that were read, which is added to
};

// 0, -ENOEXEC: no ELF file of this machine, -EBADMSG: it does not hold together, or what read() gives.
int elf_image_open(int fd, uint64_t *in_out_read, struct elf_image *ret_image);

// All of it or an error; -EBADMSG where a part of it is not in the file. By an offset in the file, or by an
// address.
int elf_image_read_at(const struct elf_image *image, uint64_t at, void *ret_data, size_t size);
int elf_image_read(const struct elf_image *image, uint64_t address, void *ret_data, size_t size);

// The first segment of a type; NULL: none.
const Elf64_Phdr *elf_image_segment(const struct elf_image *image, uint32_t type);

// How many bytes of the file are loaded behind each other from an address on; 0: none.
uint64_t elf_image_left(const struct elf_image *image, uint64_t address);
// The same where they are code.
uint64_t elf_image_code(const struct elf_image *image, uint64_t address);

// Between the address of code and its offset in the file; 0: there is none.
uint64_t elf_image_offset(const struct elf_image *image, uint64_t address);
uint64_t elf_image_address(const struct elf_image *image, uint64_t offset);
