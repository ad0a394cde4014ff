#include "elf_returns.h"

#include "base/cleanup.h"
#include "code.h"
#include "elf_dynamic.h"
#include "elf_image.h"
#include "elf_unwind.h"

#include <errno.h>
#include <string.h>

struct search {
    struct elf_image image;
    uint64_t function;
    struct {
        uint64_t begin, end;
    } parts[ELF_PARTS_MAX];
    size_t parts_count;
    uint64_t queue[ELF_PARTS_MAX]; // addresses in parts that were not looked at
    size_t queue_count;
    uint64_t *offsets;
    size_t count;
};

static int note_return(struct search *search, uint64_t address)
{
    if (search->count == ELF_RETURNS_MAX)
        return -ENOSPC;
    search->offsets[search->count++] = elf_image_offset(&search->image, address);
    return 0;
}

static bool is_known(const struct search *search, uint64_t address)
{
    for (size_t i = 0; i < search->parts_count; i++)
        if (address >= search->parts[i].begin && address < search->parts[i].end)
            return true;
    return false;
}

// The function goes on there, or ends by what is there.
static int note_jump(struct search *search, uint64_t address)
{
    // A call that is ended by another of the same function would be seen to begin twice.
    if (address == search->function && search->parts_count)
        return -EOPNOTSUPP;
    if (is_known(search, address))
        return 0;
    for (size_t i = 0; i < search->queue_count; i++)
        if (search->queue[i] == address)
            return 0;
    if (search->queue_count == ELF_PARTS_MAX)
        return -ENOSPC;
    search->queue[search->queue_count++] = address;
    return 0;
}

// --- Jumps to where a word of memory says, which the loader fills in ---

struct slot {
    uint64_t address;
    uint32_t symbol;
};

static int match_slot(const struct elf_relocation *relocation, void *context)
{
    struct slot *slot = context;
    if (relocation->address != slot->address || relocation->kind != ELF_NAMED)
        return 0;
    slot->symbol = relocation->symbol;
    return 1;
}

// The address of such a word. False: the code there does nothing of that kind.
static bool read_slot(const struct search *search, uint64_t address, uint64_t *ret_slot)
{
    uint8_t code[16];
    uint32_t words[4];
    if (elf_image_code(&search->image, address) < sizeof(code) ||
        elf_image_read(&search->image, address, code, sizeof(code)))
        return false;
    if (search->image.machine == EM_X86_64) {
        size_t at = memcmp(code, "\xf3\x0f\x1e\xfa", 4) == 0 ? 4 : 0; // endbr64
        int32_t distance;
        at += code[at] == 0xf2;                       // bnd
        if (code[at] != 0xff || code[at + 1] != 0x25) // jmp *distance(%rip)
            return false;
        memcpy(&distance, code + at + 2, sizeof(distance));
        *ret_slot = address + at + 6 + (uint64_t)distance;
        return true;
    }
    // adrp x16, page; ldr x17, [x16, #offset]; add x16, x16, #offset; br x17
    memcpy(words, code, sizeof(words));
    if ((words[0] & 0x9f00001f) != 0x90000010 || (words[1] & 0xffc003ff) != 0xf9400211 ||
        words[3] != 0xd61f0220)
        return false;
    int64_t pages = (int32_t)((words[0] >> 5 & 0x7ffff) << 13 | (words[0] >> 29 & 3) << 11) >> 11;
    *ret_slot = (address & ~UINT64_C(4095)) + (uint64_t)(pages * 4096) + (words[1] >> 10 & 0xfff) * 8;
    return true;
}

// The function of this library whose address the loader puts there, if nobody offers another of that name.
static int follow_slot(struct search *search, uint64_t slot_address)
{
    struct elf_dynamic dynamic;
    struct slot slot = {.address = slot_address};
    uint64_t target = 0;
    int result = elf_dynamic_read(&search->image, &dynamic);
    if (!result)
        result = elf_relocations(&search->image, &dynamic, match_slot, &slot);
    if (result > 0)
        result = elf_dynamic_function(&search->image, &dynamic, slot.symbol, &target);
    else if (!result)
        result = -ENOENT;
    if (result)
        return result == -ENOENT ? -EOPNOTSUPP : result;
    return note_jump(search, target);
}

// --- One part after the other ---

static int take_jump_away(struct search *search, uint64_t address, enum unwind_depth depth)
{
    uint64_t slot;
    // With something on the stack it chooses a case of a switch.
    if (depth == UNWIND_DEEPER)
        return 0;
    return depth == UNWIND_AS_ENTERED && read_slot(search, address, &slot) ? follow_slot(search, slot)
                                                                           : -EOPNOTSUPP;
}

static int take_code(struct search *search, const struct code *code, uint64_t address,
                     enum unwind_depth depth)
{
    switch (code->kind) {
    case CODE_RETURN:
        return depth == UNWIND_AS_ENTERED ? note_return(search, address) : -EOPNOTSUPP;
    case CODE_JUMP:
    case CODE_BRANCH:
        return note_jump(search, code->target);
    case CODE_JUMP_AWAY:
        return take_jump_away(search, address, depth);
    case CODE_OTHER:
        break;
    }
    return 0;
}

// A part's code, and at which of its bytes an instruction begins.
struct body {
    const struct unwind_part *part;
    uint8_t *bytes, *begins;
};

static bool read_body(const struct search *search, const struct body *body, uint64_t at,
                      struct code *ret_code)
{
    return code_read(search->image.machine, body->bytes + (at - body->part->begin),
                     (size_t)(body->part->end - at), at, ret_code);
}

// From one instruction to the next, all of which must begin where a row does.
static int walk(struct search *search, const struct body *body)
{
    const struct unwind_part *part = body->part;
    size_t row = 0;
    struct code code;
    int error = 0;
    for (uint64_t at = part->begin; !error && at < part->end; at += code.size) {
        while (row + 1 < part->rows_count && part->rows[row + 1].address <= at)
            row++;
        if (!read_body(search, body, at, &code))
            return -EOPNOTSUPP;
        if (row + 1 < part->rows_count && part->rows[row + 1].address < at + code.size)
            return -EBADMSG;
        body->begins[at - part->begin] = 1;
        error = take_code(search, &code, at, part->rows[row].depth);
    }
    return error;
}

static bool begins_there(const struct body *body, uint64_t address)
{
    const struct unwind_part *part = body->part;
    return address < part->begin || address >= part->end || body->begins[address - part->begin];
}

// What jumps around inside of it must lead to instructions as we have read them, or they were read wrong.
static bool is_in_step(const struct search *search, const struct body *body, uint64_t entered)
{
    const struct unwind_part *part = body->part;
    struct code code;
    bool in_step = begins_there(body, entered);
    for (size_t i = 0; in_step && i < part->pads_count; i++)
        in_step = begins_there(body, part->pads[i]);
    for (uint64_t at = part->begin; in_step && at < part->end; at += code.size)
        in_step = read_body(search, body, at, &code) &&
                  ((code.kind != CODE_JUMP && code.kind != CODE_BRANCH) || begins_there(body, code.target));
    return in_step;
}

// The part in which a jump to that address ends.
static int search_part(struct search *search, const struct unwind_part *part, uint64_t entered)
{
    uint64_t size = part->end - part->begin;
    if (size > ELF_PART_MAX || elf_image_code(&search->image, part->begin) < size ||
        *search->image.read > ELF_RETURNS_READ_MAX)
        return -EOPNOTSUPP;
    _cleanup_free_ uint8_t *bytes = malloc(size), *begins = calloc(1, size);
    if (!bytes || !begins)
        return -ENOMEM;
    const struct body body = {.part = part, .bytes = bytes, .begins = begins};
    int error = elf_image_read(&search->image, part->begin, bytes, size);
    if (error)
        return error;
    if (search->parts_count == ELF_PARTS_MAX)
        return -ENOSPC;
    search->parts[search->parts_count].begin = part->begin;
    search->parts[search->parts_count++].end = part->end;
    for (size_t i = 0; !error && i < part->pads_count; i++)
        error = note_jump(search, part->pads[i]);
    if (!error)
        error = walk(search, &body);
    return error || is_in_step(search, &body, entered) ? error : -EBADMSG;
}

static int search_all(struct search *search)
{
    static struct unwind_part part;
    uint64_t slot;
    int error = note_jump(search, search->function);
    while (!error && search->queue_count) {
        uint64_t address = search->queue[--search->queue_count];
        if (is_known(search, address))
            continue;
        if (read_slot(search, address, &slot)) {
            error = follow_slot(search, slot);
            continue;
        }
        error = unwind_find(&search->image, address, &part);
        if (!error && search->parts_count == 0 && part.begin != search->function)
            error = -EBADMSG;
        if (!error)
            error = search_part(search, &part, address);
    }
    return error;
}

int elf_returns_find(int fd, uint64_t offset, uint64_t *ret_offsets, uint64_t *in_out_read)
{
    static struct search search;
    uint64_t offsets[ELF_RETURNS_MAX], read = 0;
    search = (struct search){.offsets = offsets};
    int error = elf_image_open(fd, &read, &search.image);
    if (!error)
        search.function = elf_image_address(&search.image, offset);
    if (!error)
        error = search.function ? search_all(&search) : -EBADMSG;
    *in_out_read += read;
    if (error)
        return error;
    memcpy(ret_offsets, offsets, search.count * sizeof(*offsets));
    return (int)search.count;
}
