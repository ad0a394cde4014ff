#include "index.h"

#include "reading.h"

#include <string.h>

static void mark(uint64_t *candidates, const struct posting *posting)
{
    for (; posting; posting = posting->next)
        candidates[posting->judge / 64] |= UINT64_C(1) << posting->judge % 64;
}

static void mark_whole(const struct probe *probe, const void *data, size_t length, uint64_t *candidates)
{
    const struct table_entry *entry = table_find(&probe->whole, data, length);
    if (entry)
        mark(candidates, entry->item);
}

static void mark_address(const struct probe *probe, const struct ip *ip, uint64_t *candidates)
{
    size_t family = ip->family == 6;
    for (size_t i = 0; i < probe->bits_count[family]; i++) {
        struct network network = network_of(ip, probe->bits[family][i]);
        mark_whole(probe, &network, sizeof(network), candidates);
    }
}

// The pieces whose bytes were found at that place of the text.
static void mark_pieces(const struct probe *probe, const char *text, size_t length, size_t at,
                        uint64_t *candidates)
{
    const struct table_entry *entry = table_find(&probe->windows, text + at, WINDOW);
    for (const struct piece *piece = entry ? entry->item : NULL; piece; piece = piece->next) {
        if (at < piece->offset || length - (at - piece->offset) < piece->length)
            continue;
        size_t start = at - piece->offset;
        if ((piece->at_start && start != 0) || (piece->at_end && start + piece->length != length) ||
            memcmp(text + start, piece->data, piece->length) != 0)
            continue;
        mark(candidates, piece->postings);
    }
}

static void mark_text(const struct probe *probe, const char *text, size_t length, uint64_t *candidates)
{
    if (probe->whole.count)
        mark_whole(probe, text, length, candidates);
    for (size_t at = 0; probe->filter && at + WINDOW <= length; at++) {
        uint32_t hash = window_hash(text + at);
        if (probe->filter[hash / 64] >> hash % 64 & 1)
            mark_pieces(probe, text, length, at, candidates);
    }
}

static void mark_value(const struct probe *probe, const struct value *value, uint64_t *candidates)
{
    switch (value->type) {
    case FIELD_STRING:
        mark_text(probe, value->string.data, value->string.length, candidates);
        break;
    case FIELD_BOOL:
        mark_whole(probe, &value->b, sizeof(value->b), candidates);
        break;
    case FIELD_IP:
        mark_address(probe, &value->ip, candidates);
        break;
    default:
        mark_whole(probe, &value->u, sizeof(value->u), candidates);
        break;
    }
}

const uint64_t *index_candidates(const struct rule_set *set, const struct judges *judges,
                                 const struct event *event, uint64_t round)
{
    if (!judges->probes)
        return judges->always;
    uint64_t *candidates = set->candidates;
    memcpy(candidates, judges->always, (judges->count + 63) / 64 * sizeof(*candidates));
    for (const struct probe *probe = judges->probes; probe; probe = probe->next) {
        struct reading *reading = probe->reading;
        if (!reading_first(set, reading, event, round))
            continue;
        mark_value(probe, &reading->value, candidates);
        struct value value;
        for (size_t nth = 1; reading->many && nth < VALUES_MAX; nth++) {
            if (!reading_nth(set, reading, event, nth, &value))
                break;
            mark_value(probe, &value, candidates);
        }
    }
    return candidates;
}
