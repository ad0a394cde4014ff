#include "elf_dynamic.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

enum { PIECE = 65536, DYNAMIC_MAX = 1024 };

// Where an entry's value or address belongs; NULL: it is not looked at.
static uint64_t *place_of(struct elf_dynamic *dynamic, Elf64_Sxword tag)
{
    switch (tag) {
    case DT_RELA:
        return &dynamic->relocations.address;
    case DT_RELASZ:
        return &dynamic->relocations.size;
    case DT_JMPREL:
        return &dynamic->calls.address;
    case DT_PLTRELSZ:
        return &dynamic->calls.size;
    case DT_RELR:
        return &dynamic->packed.address;
    case DT_RELRSZ:
        return &dynamic->packed.size;
    case DT_SYMTAB:
        return &dynamic->symbols;
    }
    return NULL;
}

int elf_dynamic_read(const struct elf_image *image, struct elf_dynamic *ret_dynamic)
{
    const Elf64_Phdr *segment = elf_image_segment(image, PT_DYNAMIC);
    if (!segment)
        return -ENOENT;
    uint64_t count = segment->p_filesz / sizeof(Elf64_Dyn);
    struct elf_dynamic found = {};
    for (uint64_t i = 0; i < count && i < DYNAMIC_MAX; i++) {
        Elf64_Dyn entry;
        int error = elf_image_read(image, segment->p_vaddr + i * sizeof(entry), &entry, sizeof(entry));
        if (error)
            return error;
        if (entry.d_tag == DT_NULL)
            break;
        uint64_t *place = place_of(&found, entry.d_tag);
        if (place)
            *place = entry.d_un.d_val;
    }
    *ret_dynamic = found;
    return 0;
}

// --- Relocations ---

static enum elf_relocation_kind kind_of(uint16_t machine, uint64_t info)
{
    uint32_t type = ELF64_R_TYPE(info);
    bool arm64 = machine == EM_AARCH64;
    if (type == (arm64 ? R_AARCH64_RELATIVE : R_X86_64_RELATIVE))
        return ELF_RELATIVE;
    if (type == (arm64 ? R_AARCH64_JUMP_SLOT : R_X86_64_JUMP_SLOT) ||
        type == (arm64 ? R_AARCH64_GLOB_DAT : R_X86_64_GLOB_DAT))
        return ELF_NAMED;
    return ELF_OTHER;
}

static int hand_over(const struct elf_image *image, const Elf64_Rela *entry, elf_relocation_fn fn,
                     void *context)
{
    const struct elf_relocation relocation = {.address = entry->r_offset,
                                              .kind = kind_of(image->machine, entry->r_info),
                                              .value = (uint64_t)entry->r_addend,
                                              .symbol = ELF64_R_SYM(entry->r_info)};
    return fn(&relocation, context);
}

static int each(const struct elf_image *image, const struct elf_table *table, elf_relocation_fn fn,
                void *context)
{
    static Elf64_Rela piece[PIECE / sizeof(Elf64_Rela)];
    uint64_t count = table->size / sizeof(*piece);
    if (table->size > ELF_RELOCATIONS_MAX)
        return -EFBIG;
    for (uint64_t at = 0; at < count; at += ARRAY_SIZE(piece)) {
        size_t part = count - at < ARRAY_SIZE(piece) ? (size_t)(count - at) : ARRAY_SIZE(piece);
        int result =
            elf_image_read(image, table->address + at * sizeof(*piece), piece, part * sizeof(*piece));
        for (size_t i = 0; !result && i < part; i++)
            result = hand_over(image, &piece[i], fn, context);
        if (result)
            return result;
    }
    return 0;
}

// An even word is the address of one; an odd word says which of the next 63 words are some (generic ABI,
// "Relative relocations").
static int each_packed(const struct elf_image *image, const struct elf_table *table, elf_relocation_fn fn,
                       void *context)
{
    static uint64_t piece[PIECE / sizeof(uint64_t)];
    struct elf_relocation relocation = {.kind = ELF_RELATIVE, .in_place = true};
    uint64_t count = table->size / sizeof(*piece), next = 0;
    if (table->size > ELF_RELOCATIONS_MAX)
        return -EFBIG;
    for (uint64_t at = 0; at < count; at++) {
        size_t i = at % ARRAY_SIZE(piece), part = ARRAY_SIZE(piece);
        if (count - at < part)
            part = (size_t)(count - at);
        int result =
            i ? 0 : elf_image_read(image, table->address + at * sizeof(*piece), piece, part * sizeof(*piece));
        if (!result && !(piece[i] & 1)) {
            relocation.address = piece[i];
            result = fn(&relocation, context);
            next = piece[i] + sizeof(uint64_t);
        } else if (!result) {
            for (unsigned bit = 1; !result && bit < 64; bit++) {
                relocation.address = next + (bit - 1) * sizeof(uint64_t);
                result = piece[i] >> bit & 1 ? fn(&relocation, context) : 0;
            }
            next += 63 * sizeof(uint64_t);
        }
        if (result)
            return result;
    }
    return 0;
}

int elf_relocations(const struct elf_image *image, const struct elf_dynamic *dynamic, elf_relocation_fn fn,
                    void *context)
{
    int result = each(image, &dynamic->calls, fn, context);
    if (!result)
        result = each(image, &dynamic->relocations, fn, context);
    return result ? result : each_packed(image, &dynamic->packed, fn, context);
}

int elf_dynamic_function(const struct elf_image *image, const struct elf_dynamic *dynamic, uint32_t symbol,
                         uint64_t *ret_address)
{
    Elf64_Sym entry;
    int error = elf_image_read(image, dynamic->symbols + symbol * sizeof(entry), &entry, sizeof(entry));
    if (error)
        return error;
    if (entry.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(entry.st_info) != STT_FUNC)
        return -ENOENT;
    *ret_address = entry.st_value;
    return 0;
}
