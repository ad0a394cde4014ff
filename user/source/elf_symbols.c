#include "elf_symbols.h"

#include "elf_image.h"

#include <errno.h>
#include <string.h>

enum {
    PIECE = 65536,
    SECTIONS_MAX = 65535,
    PLACES_MAX = 256,   // of names in a table of names; linkers store a name once
    SYMBOLS_MAX = 1024, // that have one of the names
};

// Where one of the names stands in a table of names.
struct place {
    uint64_t at;
    size_t name;
};

struct search {
    struct elf_image image;
    const char *const *names;
    size_t count;
    size_t prefix; // bytes that all names begin with
    uint64_t *offsets;
    size_t symbols; // that had one of the names
    struct place places[PLACES_MAX];
    size_t places_count;
    unsigned char piece[PIECE];
};

static int read_section(struct search *search, uint64_t index, Elf64_Shdr *ret_section)
{
    if (search->image.head.e_shoff > INT64_MAX / 2)
        return -EBADMSG;
    return elf_image_read_at(&search->image, search->image.head.e_shoff + index * sizeof(Elf64_Shdr),
                             ret_section, sizeof(*ret_section));
}

// --- The table of names ---

static size_t common_prefix(const char *const *names, size_t count)
{
    size_t length = strlen(names[0]);
    for (size_t i = 1; i < count; i++)
        for (size_t k = 0; k < length; k++)
            if (names[i][k] != names[0][k])
                length = k;
    return length;
}

static void note_place(struct search *search, const unsigned char *text, size_t left, uint64_t at)
{
    for (size_t i = 0; i < search->count; i++) {
        size_t size = strlen(search->names[i]) + 1;
        if (size <= left && memcmp(text, search->names[i], size) == 0 && search->places_count < PLACES_MAX)
            search->places[search->places_count++] = (struct place){.at = at, .name = i};
    }
}

// A name can also be the end of a longer one, whose bytes it then shares.
static void find_in_piece(struct search *search, size_t size, size_t fresh, uint64_t at)
{
    const unsigned char *from = search->piece, *end = from + size;
    while (from < end && search->places_count < PLACES_MAX) {
        const unsigned char *found =
            search->prefix ? memmem(from, (size_t)(end - from), search->names[0], search->prefix) : from;
        // One that begins behind that is in the next piece as well.
        if (!found || (size_t)(found - search->piece) >= fresh)
            return;
        note_place(search, found, (size_t)(end - found), at + (uint64_t)(found - search->piece));
        from = found + 1;
    }
}

static int find_names(struct search *search, const Elf64_Shdr *table)
{
    search->places_count = 0;
    for (uint64_t at = 0; at < table->sh_size;) {
        uint64_t left = table->sh_size - at;
        size_t size = left < PIECE ? (size_t)left : PIECE;
        size_t fresh = left <= PIECE ? size : PIECE - ELF_NAME_MAX;
        int error = elf_image_read_at(&search->image, table->sh_offset + at, search->piece, size);
        if (error)
            return error;
        find_in_piece(search, size, fresh, at);
        at += fresh;
    }
    return 0;
}

// --- The table of symbols ---

static void take_symbol(struct search *search, const Elf64_Sym *symbol)
{
    if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF || !symbol->st_value)
        return;
    for (size_t i = 0; i < search->places_count; i++) {
        uint64_t *offset = &search->offsets[search->places[i].name];
        if (search->places[i].at != symbol->st_name)
            continue;
        search->symbols++;
        if (!*offset)
            *offset = elf_image_offset(&search->image, symbol->st_value);
    }
}

static int scan_symbols(struct search *search, const Elf64_Shdr *table)
{
    const size_t size = PIECE / sizeof(Elf64_Sym) * sizeof(Elf64_Sym);
    uint64_t whole = table->sh_size / sizeof(Elf64_Sym) * sizeof(Elf64_Sym);
    for (uint64_t at = 0; at < whole; at += size) {
        size_t part = whole - at < size ? (size_t)(whole - at) : size;
        int error = elf_image_read_at(&search->image, table->sh_offset + at, search->piece, part);
        if (error)
            return error;
        for (size_t i = 0; i < part; i += sizeof(Elf64_Sym)) {
            Elf64_Sym symbol;
            memcpy(&symbol, search->piece + i, sizeof(symbol));
            take_symbol(search, &symbol);
            if (search->symbols > SYMBOLS_MAX)
                return -EBADMSG;
        }
    }
    return 0;
}

static int search_table(struct search *search, const Elf64_Shdr *table)
{
    Elf64_Shdr strings;
    int error = read_section(search, table->sh_link, &strings);
    if (error)
        return error;
    if (table->sh_entsize != sizeof(Elf64_Sym) || strings.sh_type != SHT_STRTAB)
        return -EBADMSG;
    if (table->sh_size > ELF_TABLE_MAX || strings.sh_size > ELF_TABLE_MAX)
        return -EFBIG;
    if (table->sh_offset > INT64_MAX / 2 || strings.sh_offset > INT64_MAX / 2)
        return -EBADMSG;
    error = find_names(search, &strings);
    return error || !search->places_count ? error : scan_symbols(search, table);
}

// The first section of a type; -ENOENT where there is none.
static int search_type(struct search *search, uint32_t type)
{
    const Elf64_Ehdr *head = &search->image.head;
    uint64_t count = head->e_shnum;
    Elf64_Shdr section;
    int error = 0;
    if (!head->e_shoff)
        return -ENOENT;
    if (head->e_shentsize != sizeof(Elf64_Shdr))
        return -EBADMSG;
    if (count == 0) {
        error = read_section(search, 0, &section); // of more than 65279 the first tells
        count = error ? 0 : section.sh_size;
    }
    if (count > SECTIONS_MAX)
        return -EBADMSG;
    for (uint64_t i = 0; !error && i < count; i++) {
        error = read_section(search, i, &section);
        if (!error && section.sh_type == type)
            return search_table(search, &section);
    }
    return error ? error : -ENOENT;
}

int elf_symbols_find(int fd, const char *const *names, size_t count, uint64_t *ret_offsets,
                     uint64_t *in_out_read)
{
    uint64_t offsets[ELF_NAMES_MAX] = {};
    static struct search search;
    search = (struct search){
        .names = names, .count = count, .prefix = common_prefix(names, count), .offsets = offsets};
    int error = count > ELF_NAMES_MAX ? -EINVAL : elf_image_open(fd, in_out_read, &search.image);
    if (error)
        return error;
    error = search_type(&search, SHT_DYNSYM);
    if ((error == 0 || error == -ENOENT) && !offsets[0])
        error = search_type(&search, SHT_SYMTAB);
    if (error && error != -ENOENT)
        return error;
    int found = 0;
    for (size_t i = 0; i < count; i++)
        found += offsets[i] != 0;
    memcpy(ret_offsets, offsets, count * sizeof(*offsets));
    return found;
}

int elf_entry_find(int fd, uint64_t *ret_offset)
{
    uint64_t bytes = 0;
    static struct elf_image image;
    int error = elf_image_open(fd, &bytes, &image);
    uint64_t offset = error ? 0 : elf_image_offset(&image, image.head.e_entry);
    if (!error && !offset)
        error = -EBADMSG;
    if (!error)
        *ret_offset = offset;
    return error;
}
