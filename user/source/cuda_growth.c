#include "cuda_growth.h"

#include <stdbool.h>

enum { PART_MINUTES = CUDA_GROWTH_MINUTES / CUDA_GROWTH_PARTS };

static void minute_over(struct cuda_growth *growth)
{
    growth->lows[growth->count++ % CUDA_GROWTH_MINUTES] = growth->low;
}

void cuda_growth_add(struct cuda_growth *growth, uint64_t seconds, uint64_t in_use)
{
    uint64_t minute = seconds / 60 + 1; // never 0, which is before the beginning
    bool another = growth->minute != minute;
    // Nobody has looked for a while: what was in use then is the best guess for all of it.
    for (size_t i = 0; growth->minute && growth->minute < minute && i < CUDA_GROWTH_MINUTES; i++) {
        minute_over(growth);
        growth->minute++;
    }
    if (another || growth->low > in_use)
        growth->low = in_use;
    growth->minute = minute;
}

// The least of one part, the oldest first.
static uint64_t least(const struct cuda_growth *growth, size_t part)
{
    uint64_t low = UINT64_MAX;
    for (size_t i = 0; i < PART_MINUTES; i++) {
        uint64_t value = growth->lows[(growth->count + part * PART_MINUTES + i) % CUDA_GROWTH_MINUTES];
        low = value < low ? value : low;
    }
    return low;
}

uint64_t cuda_growth_bytes(const struct cuda_growth *growth)
{
    if (growth->count < CUDA_GROWTH_MINUTES)
        return 0;
    uint64_t first = least(growth, 0), second = least(growth, 1), third = least(growth, 2);
    if (second <= first || third <= second)
        return 0;
    uint64_t rise = third - first;
    return second - first >= rise / 4 && third - second >= rise / 4 ? rise : 0;
}
