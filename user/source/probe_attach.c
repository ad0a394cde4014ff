#include "probe_attach.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "uprobe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

enum { PLACES_MAX = 256 };

struct places {
    uint64_t offsets[PLACES_MAX];
    size_t count;
};

// Two names of one function are one place.
static int add_place(struct places *places, uint64_t offset)
{
    for (size_t i = 0; i < places->count; i++)
        if (places->offsets[i] == offset)
            return 0;
    if (places->count == PLACES_MAX)
        return -ENOSPC;
    places->offsets[places->count++] = offset;
    return 0;
}

// A return probe would harm a function that exceptions pass through; functions can share a return
// instruction, where one ends by jumping to another.
static int add_places(const struct probe_kind *kind, const uint64_t *offsets,
                      const struct probe_returns *returns, size_t symbol, bool at_return,
                      struct places *places)
{
    if (!at_return || !kind->throws)
        return add_place(places, offsets[symbol]);
    int error = returns && returns[symbol].count ? 0 : -EOPNOTSUPP;
    for (size_t i = 0; !error && i < returns[symbol].count; i++)
        error = add_place(places, returns[symbol].offsets[i]);
    return error;
}

static int attach_places(struct probe_part *part, int fd, const struct bpf_program *program,
                         const struct places *places, uint8_t group, bool at_return, size_t links_max)
{
    int links[PLACES_MAX];
    size_t made = 0;
    struct probe_link *more =
        reallocarray(part->links, part->links_count + places->count, sizeof(*part->links));
    if (!more)
        return -ENOMEM;
    part->links = more;
    if (part->links_count + places->count > links_max)
        return -ENOSPC;
    int error = uprobe_attach_all(bpf_program__fd(program), fd, places->offsets, places->count, at_return,
                                  links, &made);
    for (size_t i = 0; i < made; i++)
        part->links[part->links_count++] = (struct probe_link){.fd = links[i], .group = group};
    return error;
}

// The program of one symbol, to all symbols that it is for.
static int attach_program(struct probe_part *part, int fd, const uint64_t *offsets,
                          const struct probe_returns *returns, size_t first, uint8_t group, bool at_return,
                          size_t links_max)
{
    const struct probe_kind *kind = part->kind;
    const char *name = program_of(&kind->symbols[first], at_return);
    struct places places = {};
    for (size_t i = 0; i < first; i++)
        if (same_program(name, program_of(&kind->symbols[i], at_return)))
            return 0; // with that one
    for (size_t i = first; i < kind->symbols_count; i++) {
        bool of_it = offsets[i] && same_program(name, program_of(&kind->symbols[i], at_return));
        int error = of_it ? add_places(kind, offsets, returns, i, at_return, &places) : 0;
        if (error)
            return error;
    }
    struct bpf_program *program = places.count ? kind->program(kind, name) : NULL;
    if (!places.count)
        return 0;
    if (!program)
        return -ENOENT;
    return attach_places(part, fd, program, &places, group, at_return && !kind->throws, links_max);
}

int probe_attach(const struct probe_kind *kind, int fd, const uint64_t *offsets,
                 const struct probe_returns *returns, probe_set left_out, size_t links_max,
                 struct probe_part **ret_part)
{
    uint8_t groups[ELF_NAMES_MAX];
    int error = 0;
    struct probe_part *part = calloc(1, sizeof(*part));
    if (!part)
        return -ENOMEM;
    part->kind = kind;
    probe_groups(kind, groups);
    // Returns first, so that no call is noted whose end is not seen.
    for (int at_return = 1; at_return >= 0; at_return--)
        for (size_t i = 0; !error && i < kind->symbols_count; i++)
            if (!(left_out >> groups[i] & 1))
                error = attach_program(part, fd, offsets, returns, i, groups[i], at_return, links_max);
    part->since_ns = clock_ns(CLOCK_BOOTTIME);
    if (error)
        probe_part_free(&part);
    else
        *ret_part = part;
    return error;
}

void probe_detach(struct probe_part *part, probe_set groups)
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
    if (*part) {
        probe_detach(*part, ~(probe_set)0);
        free((*part)->links);
    }
    free(*part);
    *part = NULL;
}
