#include "probe_attach.h"

#include "base/cleanup.h"
#include "elf_symbols.h"
#include "uprobe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// A symbol that several functions of a file share an address with is probed once.
static size_t add_offset(uint64_t *offsets, size_t count, uint64_t offset)
{
    for (size_t i = 0; i < count; i++)
        if (offsets[i] == offset)
            return count;
    offsets[count] = offset;
    return count + 1;
}

static bool same_program(const char *left, const char *right)
{
    return left && right && strcmp(left, right) == 0;
}

void probe_groups(const struct probe_kind *kind, uint8_t *ret_groups)
{
    const struct probe_symbol *symbols = kind->symbols;
    for (size_t i = 0; i < kind->symbols_count; i++)
        ret_groups[i] = kind->whole ? 0 : (uint8_t)i;
    // To the lower number each, until nothing changes.
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < kind->symbols_count; i++)
            for (size_t k = 0; k < i; k++) {
                if (ret_groups[i] == ret_groups[k] || (!same_program(symbols[i].enter, symbols[k].enter) &&
                                                       !same_program(symbols[i].leave, symbols[k].leave)))
                    continue;
                uint8_t least = ret_groups[i] < ret_groups[k] ? ret_groups[i] : ret_groups[k];
                ret_groups[i] = ret_groups[k] = least;
                changed = true;
            }
    }
}

static const char *program_of(const struct probe_symbol *symbol, bool at_return)
{
    return at_return ? symbol->leave : symbol->enter;
}

// The program of one symbol, to all symbols that it is for.
static int attach_program(struct probe_part *part, int fd, const uint64_t *offsets, size_t first,
                          uint8_t group, bool at_return)
{
    const struct probe_kind *kind = part->kind;
    const char *name = program_of(&kind->symbols[first], at_return);
    uint64_t at[ELF_NAMES_MAX];
    int links[ELF_NAMES_MAX];
    size_t count = 0, made = 0;
    for (size_t i = 0; i < first; i++)
        if (same_program(name, program_of(&kind->symbols[i], at_return)))
            return 0; // with that one
    for (size_t i = first; i < kind->symbols_count; i++)
        if (offsets[i] && same_program(name, program_of(&kind->symbols[i], at_return)))
            count = add_offset(at, count, offsets[i]);
    struct bpf_program *program = name && count ? kind->program(name) : NULL;
    if (!name || !count)
        return 0;
    if (!program)
        return -ENOENT;
    int error = uprobe_attach_all(bpf_program__fd(program), fd, at, count, at_return, links, &made);
    for (size_t i = 0; i < made; i++)
        part->links[part->links_count++] = (struct probe_link){.fd = links[i], .group = group};
    return error;
}

int probe_attach(const struct probe_kind *kind, int fd, const uint64_t *offsets, uint32_t left_out,
                 size_t links_max, struct probe_part **ret_part)
{
    uint8_t groups[ELF_NAMES_MAX];
    int error = 0;
    size_t count = 0;
    probe_groups(kind, groups);
    for (size_t i = 0; i < kind->symbols_count; i++)
        count += offsets[i] ? (kind->symbols[i].leave != NULL) + (kind->symbols[i].enter != NULL) : 0;
    if (count > links_max)
        return -ENOSPC;
    struct probe_part *part = calloc(1, sizeof(*part) + count * sizeof(part->links[0]));
    if (!part)
        return -ENOMEM;
    part->kind = kind;
    // Returns first, so that no call is noted whose end is not seen.
    for (int at_return = 1; at_return >= 0; at_return--)
        for (size_t i = 0; !error && i < kind->symbols_count; i++)
            if (!(left_out >> groups[i] & 1))
                error = attach_program(part, fd, offsets, i, groups[i], at_return);
    if (error)
        probe_part_free(&part);
    else
        *ret_part = part;
    return error;
}

void probe_detach(struct probe_part *part, uint32_t groups)
{
    size_t kept = 0;
    // Beginnings before returns, for the same reason: they were attached last.
    for (size_t i = part->links_count; i > 0; i--)
        if (groups >> part->links[i - 1].group & 1)
            cleanup_close(&part->links[i - 1].fd);
    for (size_t i = 0; i < part->links_count; i++)
        if (!(groups >> part->links[i].group & 1))
            part->links[kept++] = part->links[i];
    part->links_count = kept;
}

void probe_part_free(struct probe_part **part)
{
    if (*part)
        probe_detach(*part, UINT32_MAX);
    free(*part);
    *part = NULL;
}
