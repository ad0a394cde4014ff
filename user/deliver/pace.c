#include "pace.h"

static double spent_at(const struct bucket *bucket, uint64_t now_ms)
{
    double regained =
        now_ms > bucket->since_ms ? (double)(now_ms - bucket->since_ms) * bucket->rate / 1000 : 0;
    return bucket->spent > regained ? bucket->spent - regained : 0;
}

size_t bucket_take(struct bucket *bucket, uint64_t now_ms, size_t wanted)
{
    if (bucket->rate == 0)
        return wanted;
    bucket->spent = spent_at(bucket, now_ms);
    bucket->since_ms = now_ms;
    size_t left = (size_t)(bucket->rate - bucket->spent);
    if (wanted > left)
        wanted = left;
    bucket->spent += (double)wanted;
    return wanted;
}

unsigned bucket_wait(const struct bucket *bucket, uint64_t now_ms)
{
    double left = bucket->rate - spent_at(bucket, now_ms);
    if (bucket->rate == 0 || left >= 1)
        return 0;
    return (unsigned)((1 - left) * 1000 / bucket->rate) + 1;
}

unsigned backoff_ms(unsigned initial, unsigned max, unsigned failures, uint32_t random)
{
    uint64_t span = initial;
    for (unsigned i = 1; i < failures && span < max; i++)
        span *= 2;
    if (span > max)
        span = max;
    return (unsigned)(random % (span + 1));
}
