#include "ort_api.h"

#include "base/cleanup.h"
#include "code.h"
#include "elf_dynamic.h"
#include "elf_image.h"
#include "elf_symbols.h"

#include <errno.h>
#include <string.h>

enum {
    CODE_MAX = 512,    // bytes of a function that are looked through
    MENTIONS_MAX = 32, // addresses that it names
    TABLE_LEAST = 100, // functions: the first version had 118
    TABLE_MAX = 512,   // of which we look at so many
};

static const uint16_t places[ORT_FUNCTIONS] = {
    [ORT_RUN] = 9,
    [ORT_RUN_WITH_BINDING] = 133,
    [ORT_RUN_ASYNC] = 260,
    [ORT_CREATE_SESSION] = 7,
    [ORT_CREATE_SESSION_FROM_ARRAY] = 8,
    [ORT_CREATE_SESSION_SHARING] = 168,
    [ORT_CREATE_SESSION_FROM_ARRAY_SHARING] = 169,
};

// The addresses of data that a function names, and what the loader puts there and in the words behind.
struct mentions {
    const struct elf_image *image;
    size_t count;
    uint64_t addresses[MENTIONS_MAX];
    size_t words; // of each that are of interest
    uint64_t values[MENTIONS_MAX][TABLE_MAX];
};

// --- Which addresses a function names ---

static void mention(struct mentions *mentions, uint64_t address)
{
    for (size_t i = 0; i < mentions->count; i++)
        if (mentions->addresses[i] == address)
            return;
    if (mentions->count < MENTIONS_MAX && elf_image_left(mentions->image, address))
        mentions->addresses[mentions->count++] = address;
}

// lea distance(%rip), register
static void read_x86(struct mentions *mentions, const uint8_t *bytes, const struct code *code,
                     uint64_t address)
{
    int32_t distance;
    if (code->size != 7 || (bytes[0] & 0xf8) != 0x48 || bytes[1] != 0x8d || (bytes[2] & 0xc7) != 5)
        return;
    memcpy(&distance, bytes + 3, sizeof(distance));
    mention(mentions, address + code->size + (uint64_t)distance);
}

// adrp register, page; add register, register, offset
static void read_arm64(struct mentions *mentions, const uint8_t *bytes, uint64_t address, uint64_t *pages)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof(word));
    if ((word & 0x9f000000) == 0x90000000) {
        int64_t distance = (int32_t)((word >> 5 & 0x7ffff) << 13 | (word >> 29 & 3) << 11) >> 11;
        pages[word & 31] = (address & ~UINT64_C(4095)) + (uint64_t)(distance * 4096);
    } else if ((word & 0xffc00000) == 0x91000000 && pages[word >> 5 & 31]) {
        mention(mentions, pages[word >> 5 & 31] + (word >> 10 & 0xfff));
    }
}

static int read_function(struct mentions *mentions, uint64_t address)
{
    const struct elf_image *image = mentions->image;
    uint8_t bytes[CODE_MAX];
    uint64_t left = elf_image_code(image, address), pages[32] = {};
    size_t size = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
    int error = elf_image_read(image, address, bytes, size);
    struct code code;
    mentions->count = 0;
    for (size_t at = 0; !error && at < size; at += code.size) {
        if (!code_read(image->machine, bytes + at, size - at, address + at, &code))
            break;
        if (image->machine == EM_X86_64)
            read_x86(mentions, bytes + at, &code, address + at);
        else
            read_arm64(mentions, bytes + at, address + at, pages);
    }
    return error;
}

// --- What the loader puts there ---

static int note_value(const struct elf_relocation *relocation, void *context)
{
    struct mentions *mentions = context;
    if (relocation->kind != ELF_RELATIVE)
        return 0;
    for (size_t i = 0; i < mentions->count; i++) {
        uint64_t distance = relocation->address - mentions->addresses[i], value = relocation->value;
        if (distance / sizeof(uint64_t) >= mentions->words || distance % sizeof(uint64_t))
            continue;
        int error = relocation->in_place
                        ? elf_image_read(mentions->image, relocation->address, &value, sizeof(value))
                        : 0;
        if (error)
            return error;
        mentions->values[i][distance / sizeof(uint64_t)] = value;
    }
    return 0;
}

static int read_values(struct mentions *mentions, const struct elf_dynamic *dynamic, size_t words)
{
    mentions->words = words;
    memset(mentions->values, 0, sizeof(mentions->values));
    return elf_relocations(mentions->image, dynamic, note_value, mentions);
}

// How many addresses of code are there behind each other.
static size_t run_length(const struct mentions *mentions, size_t which)
{
    size_t length = 0;
    while (length < TABLE_MAX && mentions->values[which][length] &&
           elf_image_code(mentions->image, mentions->values[which][length]))
        length++;
    return length;
}

// OrtGetApiBase() returns a pair of functions, of which the first returns the table.
static int find_table(struct mentions *mentions, uint64_t get_base, const uint64_t **ret_table,
                      size_t *ret_length)
{
    struct elf_dynamic dynamic;
    size_t longest = 0, best = 0;
    int error = elf_dynamic_read(mentions->image, &dynamic);
    if (!error)
        error = read_function(mentions, get_base);
    if (!error)
        error = read_values(mentions, &dynamic, 2);
    size_t pair = 0;
    while (!error && pair < mentions->count && run_length(mentions, pair) < 2)
        pair++;
    if (error || pair == mentions->count)
        return error ? error : -ENOENT;
    error = read_function(mentions, mentions->values[pair][0]);
    if (!error)
        error = read_values(mentions, &dynamic, TABLE_MAX);
    for (size_t i = 0; !error && i < mentions->count; i++) {
        size_t length = run_length(mentions, i);
        if (length > longest) {
            longest = length;
            best = i;
        }
    }
    if (error || longest < TABLE_LEAST)
        return error ? error : -ENOENT;
    *ret_table = mentions->values[best];
    *ret_length = longest;
    return 0;
}

int ort_api_find(int fd, uint64_t *ret_offsets, uint64_t *in_out_read)
{
    static const char *const names[] = {"OrtGetApiBase"};
    static struct elf_image image;
    static struct mentions mentions;
    uint64_t offset = 0, bytes = 0;
    const uint64_t *table;
    size_t length;
    mentions.image = &image;
    int found = elf_symbols_find(fd, names, ARRAY_SIZE(names), &offset, in_out_read);
    if (found <= 0)
        return found;
    int error = elf_image_open(fd, &bytes, &image);
    if (!error)
        error = find_table(&mentions, elf_image_address(&image, offset), &table, &length);
    *in_out_read += bytes;
    if (error)
        return error == -ENOENT ? 0 : error;
    found = 0;
    for (size_t i = 0; i < ORT_FUNCTIONS; i++) {
        ret_offsets[i] = places[i] < length ? elf_image_offset(&image, table[places[i]]) : 0;
        found += ret_offsets[i] != 0;
    }
    return found;
}
