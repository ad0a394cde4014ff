#include "egress_flows.h"

#include "base/series.h"
#include "names.h"
#include "peer.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

// An hour in slots of ten seconds. As the latest is not over yet, a window has one more than its time: it is
// as long as it says, and up to one slot more.
enum { SLOT_S = 10, SLOTS = 3600 / SLOT_S + 1, RESTS_MAX = 1024, NAME_STAYS_S = 60, EVICTED_OF = 64 };
static const unsigned window_slots[WIRE_EGRESS_WINDOWS] = {60 / SLOT_S + 1, 600 / SLOT_S + 1, SLOTS};

// Zero-filled.
struct key {
    uint64_t cgroup_id;
    char name[EGRESS_NAME_MAX]; // "" where it has none
    uint8_t family;             // then, by address
    uint8_t addr[16];
};

struct egress_destination {
    struct key key;
    UT_hash_handle hh; // the one to which nothing was sent for longest first
    // Of who sent most of what is in no sum yet, or was in the last ones.
    struct wire_header owner;
    struct wire_egress_key to;
    enum wire_peer class;
    uint64_t owner_bytes;        // of these
    uint64_t bytes, connections; // ever
    uint64_t latest_slot;        // since boot
    uint64_t slots[SLOTS];
    uint64_t before[WIRE_EGRESS_WINDOWS]; // the last sums
    uint64_t added;                       // bytes since then
    uint64_t untold;                      // bytes that are in no event yet
    bool changed;
    bool shown; // by its name in metrics
};

// What was sent to addresses without names that are forgotten: the metrics show such only together.
struct rest {
    struct {
        uint64_t cgroup_id;
        uint64_t class;
    } key;
    UT_hash_handle hh;
    pid_t pid;
    uint64_t bytes, connections;
};

static struct egress_destination *destinations;
static struct rest *rests;
static size_t shown_count;
static egress_changed_fn visit_changed;

static struct counter evicted = {
    .name = "inferscope_egress_destinations_evicted_total",
    .help = "Destinations of what leaves the node that gave their place to others within the hour for which "
            "bytes are added up",
};
static struct counter folded = {
    .name = "inferscope_egress_destinations_folded_total",
    .help = "Destinations that metrics show among those without a name, as too many have one",
};

const char *egress_flows_name(const struct wire_egress_key *key, char **name_kept, uint64_t now_ns)
{
    struct ip address = {.family = key->family};
    memcpy(address.bytes, key->addr, sizeof(address.bytes));
    const char *name = names_of(&address, 0, now_ns);
    if (name && (!*name_kept || strcmp(*name_kept, name) != 0)) {
        free(*name_kept);
        *name_kept = strdup(name);
    } else if (!name && *name_kept) {
        names_learn(&address, *name_kept, now_ns, now_ns + NAME_STAYS_S * UINT64_C(1000000000));
        name = names_of(&address, 0, now_ns);
    }
    return name ? name : "";
}

// Empties the slots that have passed since something was last added.
static void move_on(struct egress_destination *destination, uint64_t now_ns)
{
    uint64_t slot = now_ns / 1000000000 / SLOT_S;
    if (slot <= destination->latest_slot)
        return;
    uint64_t passed = slot - destination->latest_slot;
    for (uint64_t i = 1; i <= passed && i <= SLOTS; i++)
        destination->slots[(destination->latest_slot + i) % SLOTS] = 0;
    destination->latest_slot = slot;
}

void egress_flows_sums(struct egress_destination *destination, uint64_t now_ns,
                       uint64_t ret_bytes[WIRE_EGRESS_WINDOWS])
{
    uint64_t sum = 0;
    move_on(destination, now_ns);
    for (unsigned back = 0, window = 0; window < WIRE_EGRESS_WINDOWS; back++) {
        if (back == window_slots[window])
            ret_bytes[window++] = sum;
        if (back < SLOTS)
            sum += destination->slots[(destination->latest_slot + SLOTS - back) % SLOTS];
    }
}

static void forget_rest(struct rest *rest)
{
    HASH_DEL(rests, rest);
    free(rest);
}

static void keep_rest(const struct egress_destination *destination)
{
    struct rest *rest, wanted = {.key = {destination->key.cgroup_id, destination->class}};
    HASH_FIND(hh, rests, &wanted.key, sizeof(wanted.key), rest);
    if (!rest) {
        while (HASH_COUNT(rests) >= RESTS_MAX)
            forget_rest(rests);
        rest = calloc(1, sizeof(*rest));
        if (!rest)
            return;
        rest->key = wanted.key;
        HASH_ADD(hh, rests, key, sizeof(rest->key), rest);
    }
    rest->pid = (pid_t)destination->owner.pid;
    rest->bytes += destination->bytes;
    rest->connections += destination->connections;
}

void egress_flows_start(egress_changed_fn visit)
{
    visit_changed = visit;
    counter_register(&evicted);
    counter_register(&folded);
}

static void forget(struct egress_destination *destination)
{
    if (!destination->shown)
        keep_rest(destination);
    shown_count -= destination->shown;
    HASH_DEL(destinations, destination);
    free(destination);
}

static void tell_changed(struct egress_destination *destination, uint64_t now_ns)
{
    uint64_t after[WIRE_EGRESS_WINDOWS];
    egress_flows_sums(destination, now_ns, after);
    if (destination->changed && visit_changed)
        visit_changed(destination, &destination->owner, &destination->to, destination->before, after);
    // What has left a window can be crossed again.
    memcpy(destination->before, after, sizeof(after));
    destination->changed = false;
    destination->added = destination->owner_bytes = 0;
}

// Of those that wait longest the one with the fewest bytes. Else who sends a byte to each of many addresses
// would have forgotten what he sent to one.
static struct egress_destination *find_least(void)
{
    uint64_t least_bytes = UINT64_MAX;
    struct egress_destination *least = NULL, *next = destinations;
    for (size_t i = 0; i < EVICTED_OF && next; i++, next = next->hh.next) {
        uint64_t bytes = next->before[WIRE_EGRESS_HOUR] + next->added;
        if (bytes < least_bytes) {
            least_bytes = bytes;
            least = next;
        }
    }
    return least;
}

static struct egress_destination *add(const struct key *key, uint64_t now_ns)
{
    struct egress_destination *destination;
    while (HASH_COUNT(destinations) >= EGRESS_DESTINATIONS_MAX) {
        struct egress_destination *least = find_least();
        // What was added since the last look would be lost to rules.
        tell_changed(least, now_ns);
        evicted.value += least->before[WIRE_EGRESS_HOUR] > 0;
        forget(least);
    }
    destination = calloc(1, sizeof(*destination));
    if (!destination)
        return NULL;
    destination->key = *key;
    // As long as it is there, or sums would change their place.
    destination->shown = key->name[0] && shown_count < EGRESS_NAMES_SHOWN_MAX;
    shown_count += destination->shown;
    folded.value += key->name[0] && !destination->shown;
    HASH_ADD(hh, destinations, key, sizeof(destination->key), destination);
    return destination;
}

struct egress_destination *egress_flows_add(const struct wire_egress_key *key,
                                            const struct wire_header *owner, const char *name, uint64_t bytes,
                                            uint64_t connections, uint64_t now_ns)
{
    struct key wanted;
    struct egress_destination *destination;
    memset(&wanted, 0, sizeof(wanted));
    wanted.cgroup_id = key->cgroup_id;
    strncpy(wanted.name, name, sizeof(wanted.name) - 1);
    if (!wanted.name[0]) {
        wanted.family = key->family;
        memcpy(wanted.addr, key->addr, sizeof(wanted.addr));
    }
    HASH_FIND(hh, destinations, &wanted, sizeof(wanted), destination);
    if (destination) {
        // To the end of the order in which they are pushed out.
        HASH_DEL(destinations, destination);
        HASH_ADD(hh, destinations, key, sizeof(destination->key), destination);
    } else {
        destination = add(&wanted, now_ns);
    }
    if (!destination)
        return NULL;
    move_on(destination, now_ns);
    if (bytes >= destination->owner_bytes) {
        destination->owner = *owner;
        if (destination->class == WIRE_PEER_NONE || destination->to.family != key->family ||
            memcmp(destination->to.addr, key->addr, sizeof(key->addr)) != 0)
            destination->class = peer_of(key->family, key->addr);
        destination->to = *key;
        destination->owner_bytes = bytes;
    }
    destination->bytes += bytes;
    destination->connections += connections;
    destination->slots[destination->latest_slot % SLOTS] += bytes;
    destination->added += bytes;
    destination->untold += bytes;
    destination->changed = true;
    return destination;
}

void egress_flows_changed(uint64_t now_ns)
{
    for (struct egress_destination *destination = destinations; destination;
         destination = destination->hh.next)
        tell_changed(destination, now_ns);
}

uint64_t egress_flows_take(struct egress_destination *destination)
{
    uint64_t untold = destination->untold;
    destination->untold = 0;
    return untold;
}

void egress_flows_forgo(void)
{
    for (struct egress_destination *destination = destinations; destination;
         destination = destination->hh.next)
        destination->untold = 0;
}

void egress_flows_clear(void)
{
    while (destinations)
        forget(destinations);
    while (rests)
        forget_rest(rests);
}

void egress_visit(egress_visit_fn visit, void *context)
{
    for (const struct egress_destination *destination = destinations; destination;
         destination = destination->hh.next) {
        struct egress_total total = {.cgroup_id = destination->key.cgroup_id,
                                     .pid = (pid_t)destination->owner.pid,
                                     .name = destination->shown ? destination->key.name : NULL,
                                     .peer_class = peer_name(destination->class),
                                     .bytes = destination->bytes,
                                     .connections = destination->connections};
        visit(&total, context);
    }
    for (const struct rest *rest = rests; rest; rest = rest->hh.next) {
        struct egress_total total = {.cgroup_id = rest->key.cgroup_id,
                                     .pid = rest->pid,
                                     .peer_class = peer_name((enum wire_peer)rest->key.class),
                                     .bytes = rest->bytes,
                                     .connections = rest->connections};
        visit(&total, context);
    }
}
