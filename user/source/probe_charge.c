#include "probe_charge.h"

// Runs that nobody attached is to answer for were under way when the last one was taken away.
static size_t payer_of(const struct probe_charge *charges, size_t count, size_t index)
{
    size_t first = count;
    for (size_t i = 0; i < count; i++) {
        if (charges[i].program != charges[index].program)
            continue;
        if (charges[i].attached)
            return i;
        if (first == count)
            first = i;
    }
    return first;
}

void probe_charges_settle(struct probe_charge *charges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct probe_charge *charge = &charges[i];
        charge->spent = (struct probe_spent){};
        if (!charge->program)
            continue;
        if (charge->now.count < charge->seen.count || charge->now.ns < charge->seen.ns)
            charge->seen = (struct probe_runs){};
        if (payer_of(charges, count, i) == i) {
            charge->spent.runs = charge->now.count - charge->seen.count;
            charge->spent.seconds = (double)(charge->now.ns - charge->seen.ns) / 1e9 +
                                    (double)charge->spent.runs * charge->trap_s;
        }
        charge->seen = charge->now;
    }
}
