#include "names.h"

#include "base/series.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

static struct counter evicted = {
    .name = "inferscope_dns_names_evicted_total",
    .help = "Addresses whose names were forgotten before their time, because there are too many",
};

struct entry {
    struct ip address;
    struct {
        char *name; // owned
        uint64_t until_ns;
    } names[NAMES_PER_ADDRESS]; // the latest first
    UT_hash_handle hh;          // in the order in which they were learnt, the oldest first
};

static struct entry *entries;

static void forget(struct entry *entry)
{
    HASH_DEL(entries, entry);
    for (size_t i = 0; i < NAMES_PER_ADDRESS; i++)
        free(entry->names[i].name);
    free(entry);
}

void names_forget_all(void)
{
    while (entries)
        forget(entries);
}

static struct entry *find(const struct ip *address)
{
    // As a key, bytes that do not count are zero.
    struct ip key = {.family = address->family};
    memcpy(key.bytes, address->bytes, key.family == 4 ? 4 : 16);
    struct entry *entry = NULL;
    HASH_FIND(hh, entries, &key, sizeof(key), entry);
    return entry;
}

static bool is_over(const struct entry *entry, uint64_t now_ns)
{
    for (size_t i = 0; i < NAMES_PER_ADDRESS; i++)
        if (entry->names[i].name && entry->names[i].until_ns > now_ns)
            return false;
    return true;
}

static struct entry *add(const struct ip *address, uint64_t now_ns)
{
    while (HASH_COUNT(entries) >= NAMES_ADDRESSES_MAX) {
        counter_register(&evicted);
        evicted.value += !is_over(entries, now_ns);
        forget(entries);
    }
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->address.family = address->family;
    memcpy(entry->address.bytes, address->bytes, address->family == 4 ? 4 : 16);
    HASH_ADD(hh, entries, address, sizeof(entry->address), entry);
    return entry;
}

void names_learn(const struct ip *address, const char *name, uint64_t now_ns, uint64_t until_ns)
{
    struct entry *entry = find(address);
    if (entry) {
        // To the end of the order in which entries are pushed out.
        HASH_DEL(entries, entry);
        HASH_ADD(hh, entries, address, sizeof(entry->address), entry);
    } else {
        entry = add(address, now_ns);
    }
    if (!entry)
        return;

    size_t at = 0;
    while (at < NAMES_PER_ADDRESS - 1 && entry->names[at].name && strcmp(entry->names[at].name, name) != 0)
        at++;
    char *copy = entry->names[at].name;
    if (copy && strcmp(copy, name) == 0) {
        until_ns = until_ns > entry->names[at].until_ns ? until_ns : entry->names[at].until_ns;
    } else {
        free(copy); // the one learnt longest ago, or none
        entry->names[at].name = NULL;
        copy = strdup(name);
        if (!copy)
            return;
    }
    memmove(&entry->names[1], &entry->names[0], at * sizeof(entry->names[0]));
    entry->names[0].name = copy;
    entry->names[0].until_ns = until_ns;
}

const char *names_of(const struct ip *address, size_t nth, uint64_t now_ns)
{
    const struct entry *entry = entries ? find(address) : NULL;
    for (size_t i = 0; entry && i < NAMES_PER_ADDRESS; i++)
        if (entry->names[i].name && entry->names[i].until_ns > now_ns && nth-- == 0)
            return entry->names[i].name;
    return NULL;
}
