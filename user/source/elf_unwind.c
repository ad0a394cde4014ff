#include "elf_unwind.h"

#include <errno.h>
#include <string.h>

// Encodings of pointers and of numbers (Linux Standard Base Core 5.0, 10.5).
enum {
    FORM_ABSOLUTE = 0x00,
    FORM_LEB = 0x01,
    FORM_U2 = 0x02,
    FORM_U4 = 0x03,
    FORM_U8 = 0x04,
    FORM_S4 = 0x0b,
    FORM_S8 = 0x0c,
    FORM_MASK = 0x0f,
    RELATIVE_PLACE = 0x10,
    RELATIVE_TABLE = 0x30,
    RELATIVE_MASK = 0x70,
    INDIRECT = 0x80,
    OMITTED = 0xff,
};

// Instructions (DWARF 5, 6.4.2).
enum {
    CFA_ADVANCE = 0x40, // in the upper two bits
    CFA_OFFSET = 0x80,
    CFA_RESTORE = 0xc0,
    CFA_NOP = 0x00,
    CFA_ADVANCE1 = 0x02,
    CFA_ADVANCE2 = 0x03,
    CFA_ADVANCE4 = 0x04,
    CFA_OFFSET_EXTENDED = 0x05,
    CFA_RESTORE_EXTENDED = 0x06,
    CFA_UNDEFINED = 0x07,
    CFA_SAME_VALUE = 0x08,
    CFA_REGISTER = 0x09,
    CFA_REMEMBER = 0x0a,
    CFA_RECALL = 0x0b,
    CFA_DEFINE = 0x0c,
    CFA_DEFINE_REGISTER = 0x0d,
    CFA_DEFINE_OFFSET = 0x0e,
    CFA_DEFINE_EXPRESSION = 0x0f,
    CFA_EXPRESSION = 0x10,
    CFA_OFFSET_EXTENDED_SIGNED = 0x11,
    CFA_VALUE_OFFSET = 0x14,
    CFA_VALUE_OFFSET_SIGNED = 0x15,
    CFA_VALUE_EXPRESSION = 0x16,
    CFA_AARCH64_NEGATE_RETURN = 0x2d,
    CFA_ARGUMENTS_SIZE = 0x2e,
};

enum { REMEMBERED_MAX = 16 };

// A piece of the file, and where in it we are. Behind its end all is 0 and `broken` is set.
struct bytes {
    const uint8_t *data;
    size_t size, at;
    uint64_t address; // of the piece
    bool broken;
};

static uint64_t take(struct bytes *bytes, size_t size)
{
    uint64_t value = 0;
    if (size > bytes->size - bytes->at) {
        bytes->broken = true;
        bytes->at = bytes->size;
        return 0;
    }
    memcpy(&value, bytes->data + bytes->at, size);
    bytes->at += size;
    return value;
}

static uint64_t take_leb(struct bytes *bytes)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        uint64_t byte = take(bytes, 1);
        value |= (byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    bytes->broken = true;
    return 0;
}

// A signed number is told from an unsigned one by nobody here, so only its length matters.
static void skip_leb(struct bytes *bytes)
{
    while (take(bytes, 1) & 0x80)
        ;
}

static void skip(struct bytes *bytes, uint64_t size)
{
    if (size > bytes->size - bytes->at) {
        bytes->broken = true;
        size = bytes->size - bytes->at;
    }
    bytes->at += (size_t)size;
}

static uint64_t take_number(struct bytes *bytes, uint8_t form)
{
    switch (form) {
    case FORM_LEB:
        return take_leb(bytes);
    case FORM_U2:
        return take(bytes, 2);
    case FORM_U4:
        return take(bytes, 4);
    case FORM_S4:
        return (uint64_t)(int32_t)take(bytes, 4);
    case FORM_ABSOLUTE:
    case FORM_U8:
    case FORM_S8:
        return take(bytes, 8);
    }
    bytes->broken = true;
    return 0;
}

// 0 is no address, whatever it is relative to. What is to be looked up in memory is not known.
static uint64_t take_pointer(struct bytes *bytes, uint8_t encoding, uint64_t table)
{
    uint64_t place = bytes->address + bytes->at, relative = 0;
    if ((encoding & RELATIVE_MASK) == RELATIVE_PLACE)
        relative = place;
    else if ((encoding & RELATIVE_MASK) == RELATIVE_TABLE)
        relative = table;
    else if (encoding & RELATIVE_MASK)
        bytes->broken = true;
    uint64_t value = take_number(bytes, encoding & FORM_MASK);
    return value ? value + relative : 0;
}

static int read_bytes(const struct elf_image *image, uint64_t address, uint8_t *buffer, size_t size,
                      struct bytes *ret_bytes)
{
    int error = elf_image_read(image, address, buffer, size);
    *ret_bytes = (struct bytes){.data = buffer, .size = size, .address = address};
    return error;
}

// A record of .eh_frame, without its length.
static int read_record(const struct elf_image *image, uint64_t address, uint8_t *buffer,
                       struct bytes *ret_bytes)
{
    uint32_t size = 0;
    int error = elf_image_read(image, address, &size, sizeof(size));
    if (error)
        return error;
    if (size < 4 || size > UNWIND_RECORD_MAX) // 0xffffffff: of a length that needs 64 bits
        return size == UINT32_MAX ? -EOPNOTSUPP : -EBADMSG;
    return read_bytes(image, address + sizeof(size), buffer, size, ret_bytes);
}

// --- Which record is about an address ---

// The table of .eh_frame_hdr, sorted by address: pairs of a function's and its record's, of 4 bytes each.
static int find_record(const struct elf_image *image, uint64_t address, uint64_t *ret_record)
{
    const Elf64_Phdr *segment = elf_image_segment(image, PT_GNU_EH_FRAME);
    uint8_t buffer[20];
    struct bytes head;
    int32_t pair[2];
    if (!segment)
        return -ENOENT;
    int error = read_bytes(image, segment->p_vaddr, buffer, sizeof(buffer), &head);
    if (error)
        return error;
    uint8_t version = (uint8_t)take(&head, 1), frame = (uint8_t)take(&head, 1);
    uint8_t number = (uint8_t)take(&head, 1), table = (uint8_t)take(&head, 1);
    take_pointer(&head, frame, segment->p_vaddr);
    uint64_t count = take_number(&head, number), first = head.address + head.at;
    if (version != 1 || head.broken || table != (RELATIVE_TABLE | FORM_S4))
        return -EOPNOTSUPP;
    if (count > UINT32_MAX)
        return -EBADMSG;
    uint64_t low = 0, high = count; // the first that begins behind the address
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        error = elf_image_read(image, first + middle * sizeof(pair), pair, sizeof(pair));
        if (error)
            return error;
        if (segment->p_vaddr + (uint64_t)pair[0] <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return -ENOENT;
    error = elf_image_read(image, first + (low - 1) * sizeof(pair), pair, sizeof(pair));
    if (!error)
        *ret_record = segment->p_vaddr + (uint64_t)pair[1];
    return error;
}

// --- What functions have in common ---

struct common {
    uint64_t code_unit;
    uint8_t pointers, exceptions; // encodings
    bool augmented;
    struct bytes program;
};

static int read_common(struct bytes *record, struct common *ret_common)
{
    char words[8] = {};
    take(record, 4); // that it is such a record was said by who points to it
    uint8_t version = (uint8_t)take(record, 1);
    for (size_t i = 0; i < sizeof(words); i++)
        if (!(words[i] = (char)take(record, 1)))
            break;
    *ret_common = (struct common){.exceptions = OMITTED};
    ret_common->code_unit = take_leb(record);
    skip_leb(record); // the unit of data
    if (version == 1)
        take(record, 1); // the register of the return address
    else
        take_leb(record);
    ret_common->augmented = words[0] == 'z';
    if ((version != 1 && version != 3) || words[sizeof(words) - 1] || (words[0] && words[0] != 'z'))
        return -EOPNOTSUPP;
    uint64_t size = words[0] ? take_leb(record) : 0, begin = record->at;
    for (size_t i = 1; words[0] && words[i]; i++) {
        if (words[i] == 'R')
            ret_common->pointers = (uint8_t)take(record, 1);
        else if (words[i] == 'L')
            ret_common->exceptions = (uint8_t)take(record, 1);
        else if (words[i] == 'P')
            take_pointer(record, (uint8_t)take(record, 1) & ~INDIRECT, 0);
        else if (words[i] != 'B') // arm64: return addresses are signed by another key
            return -EOPNOTSUPP;   // among them S: no function, but where signals return to
    }
    if (record->broken || record->at - begin > size)
        return -EBADMSG;
    skip(record, size - (record->at - begin));
    ret_common->program = *record;
    return record->broken ? -EBADMSG : 0;
}

// --- The program that says how deep the stack is ---

struct machine {
    uint64_t stack_register, entry_depth;
};

struct rule {
    uint64_t register_number, offset;
    bool known;
};

struct state {
    const struct machine *machine;
    const struct common *common;
    struct unwind_part *part; // NULL in what functions have in common
    uint64_t address;
    struct rule rule, remembered[REMEMBERED_MAX];
    size_t remembered_count;
};

static enum unwind_depth depth(const struct state *state)
{
    if (!state->rule.known)
        return UNWIND_UNKNOWN;
    bool as_entered = state->rule.register_number == state->machine->stack_register &&
                      state->rule.offset == state->machine->entry_depth;
    return as_entered ? UNWIND_AS_ENTERED : UNWIND_DEEPER;
}

// What has been said until now holds from here to where the next row begins.
static int advance(struct state *state, uint64_t units)
{
    struct unwind_part *part = state->part;
    if (!part || units > UINT32_MAX || state->common->code_unit > 16)
        return -EBADMSG;
    if (units == 0)
        return 0;
    if (part->rows_count == UNWIND_ROWS_MAX)
        return -EOPNOTSUPP;
    part->rows[part->rows_count++] = (struct unwind_row){.address = state->address, .depth = depth(state)};
    state->address += units * state->common->code_unit;
    return state->address <= part->end ? 0 : -EBADMSG;
}

static int step_extended(struct state *state, struct bytes *program, uint8_t code)
{
    switch (code) {
    case CFA_NOP:
    case CFA_AARCH64_NEGATE_RETURN:
        break;
    case CFA_ADVANCE1:
        return advance(state, take(program, 1));
    case CFA_ADVANCE2:
        return advance(state, take(program, 2));
    case CFA_ADVANCE4:
        return advance(state, take(program, 4));
    case CFA_OFFSET_EXTENDED:
    case CFA_OFFSET_EXTENDED_SIGNED:
    case CFA_REGISTER:
    case CFA_VALUE_OFFSET:
    case CFA_VALUE_OFFSET_SIGNED:
        skip_leb(program);
        skip_leb(program);
        break;
    case CFA_RESTORE_EXTENDED:
    case CFA_UNDEFINED:
    case CFA_SAME_VALUE:
    case CFA_ARGUMENTS_SIZE:
        skip_leb(program);
        break;
    case CFA_REMEMBER:
        if (state->remembered_count == REMEMBERED_MAX)
            return -EOPNOTSUPP;
        state->remembered[state->remembered_count++] = state->rule;
        break;
    case CFA_RECALL:
        if (state->remembered_count == 0)
            return -EBADMSG;
        state->rule = state->remembered[--state->remembered_count];
        break;
    case CFA_DEFINE:
        state->rule.register_number = take_leb(program);
        state->rule.offset = take_leb(program);
        state->rule.known = true;
        break;
    case CFA_DEFINE_REGISTER:
        state->rule.register_number = take_leb(program);
        break;
    case CFA_DEFINE_OFFSET:
        state->rule.offset = take_leb(program);
        break;
    case CFA_DEFINE_EXPRESSION:
        state->rule.known = false;
        skip(program, take_leb(program));
        break;
    case CFA_EXPRESSION:
    case CFA_VALUE_EXPRESSION:
        skip_leb(program);
        skip(program, take_leb(program));
        break;
    default:
        return -EOPNOTSUPP;
    }
    return 0;
}

static int run(struct state *state, struct bytes program)
{
    int error = 0;
    while (!error && program.at < program.size) {
        uint8_t code = (uint8_t)take(&program, 1), kind = code & 0xc0;
        if (kind == CFA_ADVANCE)
            error = advance(state, code & 0x3f);
        else if (kind == CFA_OFFSET)
            skip_leb(&program);
        else if (kind != CFA_RESTORE)
            error = step_extended(state, &program, code);
    }
    return error ? error : program.broken ? -EBADMSG : 0;
}

static int fill_rows(const struct elf_image *image, const struct common *common, const struct bytes *program,
                     struct unwind_part *part)
{
    static const struct machine x86 = {.stack_register = 7, .entry_depth = 8}, arm64 = {.stack_register = 31};
    struct state state = {
        .machine = image->machine == EM_X86_64 ? &x86 : &arm64, .common = common, .address = part->begin};
    int error = run(&state, common->program);
    state.part = part;
    if (!error)
        error = run(&state, *program);
    if (!error && part->rows_count == UNWIND_ROWS_MAX)
        error = -EOPNOTSUPP;
    if (!error)
        part->rows[part->rows_count++] =
            (struct unwind_row){.address = state.address, .depth = depth(&state)};
    return error;
}

// --- Where caught exceptions go on ---

static int fill_pads(const struct elf_image *image, uint64_t address, struct unwind_part *part)
{
    static uint8_t buffer[UNWIND_RECORD_MAX];
    struct bytes bytes;
    // How long it is stands in its head.
    uint64_t left = elf_image_left(image, address);
    int error = read_bytes(image, address, buffer, left < 32 ? (size_t)left : 32, &bytes);
    if (error)
        return error;
    uint8_t encoding = (uint8_t)take(&bytes, 1);
    uint64_t base = encoding == OMITTED ? part->begin : take_pointer(&bytes, encoding, 0);
    if (take(&bytes, 1) != OMITTED)
        skip_leb(&bytes); // to the table of types
    uint8_t form = (uint8_t)take(&bytes, 1);
    uint64_t size = take_leb(&bytes), begin = bytes.at;
    if (bytes.broken || size > sizeof(buffer))
        return bytes.broken ? -EBADMSG : -EOPNOTSUPP;
    error = read_bytes(image, address + begin, buffer, (size_t)size, &bytes);
    while (!error && bytes.at < bytes.size) {
        take_number(&bytes, form); // the calls that may throw
        take_number(&bytes, form);
        uint64_t pad = take_number(&bytes, form);
        take_leb(&bytes);
        if (bytes.broken)
            return -EBADMSG;
        if (pad && part->pads_count == UNWIND_PADS_MAX)
            return -EOPNOTSUPP;
        if (pad)
            part->pads[part->pads_count++] = base + pad;
    }
    return error;
}

// --- All of it ---

int unwind_find(const struct elf_image *image, uint64_t address, struct unwind_part *ret_part)
{
    static uint8_t own[UNWIND_RECORD_MAX], shared[UNWIND_RECORD_MAX];
    uint64_t at = 0, exceptions = 0;
    struct bytes record, common_record;
    struct common common;
    int error = find_record(image, address, &at);
    if (!error)
        error = read_record(image, at, own, &record);
    if (error)
        return error;
    uint64_t back = take(&record, 4); // to the one in common, from here
    if (back == 0 || back > at + 4)
        return -EBADMSG;
    error = read_record(image, at + 4 - back, shared, &common_record);
    if (!error)
        error = read_common(&common_record, &common);
    if (error)
        return error;
    ret_part->begin = take_pointer(&record, common.pointers, 0);
    uint64_t size = take_number(&record, common.pointers & FORM_MASK);
    ret_part->end = ret_part->begin + size;
    ret_part->rows_count = ret_part->pads_count = 0;
    if (common.augmented) {
        uint64_t length = take_leb(&record), begin = record.at;
        if (common.exceptions != OMITTED && length)
            exceptions = take_pointer(&record, common.exceptions, 0);
        if (record.at - begin > length)
            return -EBADMSG;
        skip(&record, length - (record.at - begin));
    }
    if (record.broken || ret_part->end < ret_part->begin)
        return -EBADMSG;
    if (address < ret_part->begin || address >= ret_part->end)
        return -ENOENT;
    error = fill_rows(image, &common, &record, ret_part);
    return error || !exceptions ? error : fill_pads(image, exceptions, ret_part);
}
