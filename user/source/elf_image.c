#include "elf_image.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#define OWN_MACHINE EM_NONE
#endif

int elf_image_read_at(const struct elf_image *image, uint64_t at, void *ret_data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        if (at > INT64_MAX - size)
            return -EBADMSG;
        ssize_t count = pread(image->fd, (char *)ret_data + done, size - done, (off_t)(at + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            return -EBADMSG; // the file ends before that
        done += (size_t)count;
        *image->read += (uint64_t)count;
    }
    return 0;
}

int elf_image_open(int fd, uint64_t *in_out_read, struct elf_image *ret_image)
{
    Elf64_Ehdr head;
    ret_image->fd = fd;
    ret_image->read = in_out_read;
    int error = elf_image_read_at(ret_image, 0, &head, sizeof(head));
    if (error)
        return error == -EBADMSG ? -ENOEXEC : error;
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_ident[EI_DATA] != ELFDATA2LSB || head.e_machine != OWN_MACHINE ||
        (head.e_type != ET_EXEC && head.e_type != ET_DYN))
        return -ENOEXEC;
    if (head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phnum > ELF_SEGMENTS_MAX)
        return -EBADMSG;
    ret_image->head = head;
    ret_image->machine = head.e_machine;
    ret_image->segments_count = head.e_phnum;
    return elf_image_read_at(ret_image, head.e_phoff, ret_image->segments, head.e_phnum * sizeof(Elf64_Phdr));
}

const Elf64_Phdr *elf_image_segment(const struct elf_image *image, uint32_t type)
{
    for (size_t i = 0; i < image->segments_count; i++)
        if (image->segments[i].p_type == type)
            return &image->segments[i];
    return NULL;
}

// The part of the file that is loaded at an address; NULL: none.
static const Elf64_Phdr *loaded(const struct elf_image *image, uint64_t address)
{
    for (size_t i = 0; i < image->segments_count; i++) {
        const Elf64_Phdr *segment = &image->segments[i];
        if (segment->p_type == PT_LOAD && segment->p_offset <= INT64_MAX / 2 && address >= segment->p_vaddr &&
            address - segment->p_vaddr < segment->p_filesz)
            return segment;
    }
    return NULL;
}

uint64_t elf_image_left(const struct elf_image *image, uint64_t address)
{
    const Elf64_Phdr *segment = loaded(image, address);
    return segment ? segment->p_filesz - (address - segment->p_vaddr) : 0;
}

int elf_image_read(const struct elf_image *image, uint64_t address, void *ret_data, size_t size)
{
    const Elf64_Phdr *segment = loaded(image, address);
    if (!segment || size > elf_image_left(image, address))
        return -EBADMSG;
    return elf_image_read_at(image, segment->p_offset + (address - segment->p_vaddr), ret_data, size);
}

uint64_t elf_image_code(const struct elf_image *image, uint64_t address)
{
    const Elf64_Phdr *segment = loaded(image, address);
    return segment && segment->p_flags & PF_X ? segment->p_filesz - (address - segment->p_vaddr) : 0;
}

uint64_t elf_image_offset(const struct elf_image *image, uint64_t address)
{
    const Elf64_Phdr *segment = loaded(image, address);
    return segment && segment->p_flags & PF_X ? address - segment->p_vaddr + segment->p_offset : 0;
}

uint64_t elf_image_address(const struct elf_image *image, uint64_t offset)
{
    for (size_t i = 0; i < image->segments_count; i++) {
        const Elf64_Phdr *segment = &image->segments[i];
        if (segment->p_type == PT_LOAD && segment->p_flags & PF_X && segment->p_offset <= INT64_MAX / 2 &&
            offset >= segment->p_offset && offset - segment->p_offset < segment->p_filesz)
            return offset - segment->p_offset + segment->p_vaddr;
    }
    return 0;
}
