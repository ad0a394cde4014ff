#include "noise.h"

#include "base/cleanup.h"
#include "base/series.h"
#include "noise_alert.h"

#include <errno.h>
#include <string.h>
#include <uthash.h>

// Alerts equal to one that was told.
struct window {
    char digest[NOISE_DIGEST + 1];
    struct noise_alert first;
    uint64_t opened_ms, folded, last_ns;
    UT_hash_handle hh; // in the order of opening, in which they close
};

// What a rule may say.
struct bucket {
    char *rule;
    double tokens;
    uint64_t filled_ms;
    uint64_t opened_ms, folded, last_ns; // since it was exceeded
    struct noise_alert first;            // that was folded; there is one where `folded` is not 0
    UT_hash_handle hh;
};

struct kind {
    char digest[NOISE_DIGEST + 1];
    uint64_t seen_ms;
    UT_hash_handle hh; // in the order of having been seen
};

struct noise {
    struct config_noise options;
    noise_tell_fn tell;
    void *context;
    struct window *windows;
    size_t bytes;
    struct bucket *buckets;
    struct kind *kinds;
};

static struct counter duplicates = {
    .name = "inferscope_alerts_folded_total",
    .help = "Alerts that are only told by a summary, by why",
    .label = "reason",
    .label_value = "duplicate",
};
static struct counter beyond_rate = {
    .name = "inferscope_alerts_folded_total",
    .help = "Alerts that are only told by a summary, by why",
    .label = "reason",
    .label_value = "rate",
};
static struct counter early = {
    .name = "inferscope_alerts_folding_evicted_total",
    .help = "Windows of equal alerts that were closed early, because more than 4096 or 8 MiB would have been "
            "open",
};

// --- Summaries ---

static void tell(struct noise *noise, struct noise_alert *of, uint64_t folded, uint64_t last_ns,
                 uint64_t open_ms)
{
    of->seconds = (open_ms + 999) / 1000;
    const struct noise_summary summary = {
        .rule = of->rule, .priority = of->priority, .time_ns = last_ns, .folded = folded, .of = of};
    noise->tell(&summary, noise->context);
}

// --- Equal alerts ---

static void close_window(struct noise *noise, struct window *window, uint64_t now_ms)
{
    HASH_DEL(noise->windows, window);
    noise->bytes -= noise_alert_bytes(&window->first);
    if (window->folded)
        tell(noise, &window->first, window->folded, window->last_ns, now_ms - window->opened_ms);
    noise_alert_free(&window->first);
    free(window);
}

static void close_windows(struct noise *noise, uint64_t now_ms)
{
    while (noise->windows && now_ms - noise->windows->opened_ms >= noise->options.window_s * UINT64_C(1000))
        close_window(noise, noise->windows, now_ms);
}

// An alert that nothing can be kept of is told each time.
static void open_window(struct noise *noise, const struct alert *alert, const char *digest, uint64_t now_ms)
{
    struct window *window = calloc(1, sizeof(*window));
    if (!window || noise_alert_keep(alert, &window->first)) {
        free(window);
        return;
    }
    window->first.reason = duplicates.label_value;
    strcpy(window->digest, digest);
    window->opened_ms = now_ms;
    noise->bytes += noise_alert_bytes(&window->first);
    HASH_ADD_STR(noise->windows, digest, window);
    while (noise->windows != window &&
           (HASH_COUNT(noise->windows) > NOISE_WINDOWS_MAX || noise->bytes > NOISE_BYTES_MAX)) {
        early.value++;
        close_window(noise, noise->windows, now_ms);
    }
}

static struct window *find_window(struct noise *noise, const char *digest)
{
    struct window *window;
    HASH_FIND_STR(noise->windows, digest, window);
    return window;
}

// --- The rate of a rule ---

static struct bucket *find_bucket(struct noise *noise, const char *rule, uint64_t now_ms)
{
    struct bucket *bucket;
    HASH_FIND_STR(noise->buckets, rule, bucket);
    if (bucket || HASH_COUNT(noise->buckets) >= NOISE_RULES_MAX)
        return bucket;
    bucket = calloc(1, sizeof(*bucket));
    if (!bucket)
        return NULL;
    bucket->rule = strdup(rule);
    if (!bucket->rule) {
        free(bucket);
        return NULL;
    }
    bucket->tokens = noise->options.burst;
    bucket->filled_ms = now_ms;
    HASH_ADD_KEYPTR(hh, noise->buckets, bucket->rule, strlen(bucket->rule), bucket);
    return bucket;
}

static void fill(const struct noise *noise, struct bucket *bucket, uint64_t now_ms)
{
    bucket->tokens += noise->options.rate * (double)(now_ms - bucket->filled_ms) / 1000;
    if (bucket->tokens > noise->options.burst)
        bucket->tokens = noise->options.burst;
    bucket->filled_ms = now_ms;
}

static void close_bucket(struct noise *noise, struct bucket *bucket, uint64_t now_ms)
{
    if (bucket->folded)
        tell(noise, &bucket->first, bucket->folded, bucket->last_ns, now_ms - bucket->opened_ms);
    bucket->folded = 0;
    noise_alert_free(&bucket->first);
}

static uint64_t rate_window_ms(const struct noise *noise)
{
    return (noise->options.window_s ? noise->options.window_s : NOISE_RATE_WINDOW_S) * UINT64_C(1000);
}

static void close_buckets(struct noise *noise, uint64_t now_ms)
{
    for (struct bucket *bucket = noise->buckets; bucket; bucket = bucket->hh.next)
        if (bucket->folded && now_ms - bucket->opened_ms >= rate_window_ms(noise))
            close_bucket(noise, bucket, now_ms);
}

// Whether it is the first of its kind, which is remembered.
static bool is_first(struct noise *noise, const struct alert *alert, uint64_t now_ms)
{
    char digest[NOISE_DIGEST + 1];
    if (noise_kind_digest(alert, digest))
        return true;
    struct kind *kind, *oldest = noise->kinds;
    HASH_FIND_STR(noise->kinds, digest, kind);
    bool is_new = !kind;
    if (kind) {
        HASH_DEL(noise->kinds, kind);
    } else if (HASH_COUNT(noise->kinds) >= NOISE_KINDS_MAX) {
        if (now_ms - oldest->seen_ms < NOISE_KIND_S * UINT64_C(1000))
            return false;
        HASH_DEL(noise->kinds, oldest);
        kind = oldest;
    } else {
        kind = calloc(1, sizeof(*kind));
        if (!kind)
            return true;
    }
    is_new |= now_ms - kind->seen_ms >= NOISE_KIND_S * UINT64_C(1000);
    strcpy(kind->digest, digest);
    kind->seen_ms = now_ms;
    HASH_ADD_STR(noise->kinds, digest, kind);
    return is_new;
}

static bool exceeds_rate(struct noise *noise, const struct alert *alert, uint64_t now_ms)
{
    struct bucket *bucket = find_bucket(noise, alert->rule->name, now_ms);
    bool first = is_first(noise, alert, now_ms);
    if (!bucket)
        return false;
    fill(noise, bucket, now_ms);
    if (bucket->tokens >= 1) {
        bucket->tokens -= 1;
        return false;
    }
    if (first)
        return false;
    if (bucket->folded == 0) {
        if (noise_alert_keep(alert, &bucket->first))
            return false;
        bucket->first.reason = beyond_rate.label_value;
        bucket->opened_ms = now_ms;
    }
    bucket->folded++;
    bucket->last_ns = alert->event->time_ns;
    return true;
}

// --- Outside ---

bool noise_folds(struct noise *noise, const struct alert *alert, uint64_t now_ms)
{
    char digest[NOISE_DIGEST + 1];
    bool compares = noise->options.window_s && noise_alert_digest(alert, digest) == 0;
    close_windows(noise, now_ms);
    struct window *window = compares ? find_window(noise, digest) : NULL;
    if (window) {
        window->folded++;
        window->last_ns = alert->event->time_ns;
        duplicates.value++;
        return true;
    }
    if (noise->options.rate > 0 && exceeds_rate(noise, alert, now_ms)) {
        beyond_rate.value++;
        return true;
    }
    // Only what was told can stand for others.
    if (compares)
        open_window(noise, alert, digest, now_ms);
    return false;
}

void noise_tick(struct noise *noise, uint64_t now_ms)
{
    close_windows(noise, now_ms);
    close_buckets(noise, now_ms);
}

int noise_new(const struct config_noise *options, noise_tell_fn tell_fn, void *context,
              struct noise **ret_noise)
{
    if (!options->window_s && options->rate <= 0)
        return -EINVAL;
    struct noise *noise = calloc(1, sizeof(*noise));
    if (!noise)
        return -ENOMEM;
    noise->options = *options;
    if (noise->options.burst < 1)
        noise->options.burst = 1;
    noise->tell = tell_fn;
    noise->context = context;
    counter_register(&duplicates);
    counter_register(&beyond_rate);
    counter_register(&early);
    *ret_noise = noise;
    return 0;
}

void noise_free(struct noise **noise, uint64_t now_ms)
{
    struct noise *freed = *noise;
    if (!freed)
        return;
    while (freed->windows)
        close_window(freed, freed->windows, now_ms);
    while (freed->buckets) {
        struct bucket *bucket = freed->buckets;
        close_bucket(freed, bucket, now_ms);
        HASH_DEL(freed->buckets, bucket);
        free(bucket->rule);
        free(bucket);
    }
    while (freed->kinds) {
        struct kind *kind = freed->kinds;
        HASH_DEL(freed->kinds, kind);
        free(kind);
    }
    free(freed);
    *noise = NULL;
}
