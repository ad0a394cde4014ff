#include "metric.h"

#include <string.h>
#include <strings.h>

enum { QUALITY_NONE = -1, QUALITY_MAX = 1000 };

static const struct {
    const char *type;
    const char *version;
    const char *content_type;
} formats[] = {
    [METRIC_PROMETHEUS] = {"text/plain", "0.0.4", "text/plain; version=0.0.4; charset=utf-8"},
    [METRIC_OPENMETRICS] = {"application/openmetrics-text", "1.0.0",
                            "application/openmetrics-text; version=1.0.0; charset=utf-8"},
};

const char *metric_content_type(enum metric_format format)
{
    return formats[format].content_type;
}

struct slice {
    const char *data;
    size_t length;
};

static struct slice trim(struct slice slice)
{
    while (slice.length && strchr(" \t", slice.data[0])) {
        slice.data++;
        slice.length--;
    }
    while (slice.length && strchr(" \t", slice.data[slice.length - 1]))
        slice.length--;
    return slice;
}

// Takes what stands before the next separator off the front.
static struct slice take(struct slice *rest, char separator)
{
    const char *end = rest->length ? memchr(rest->data, separator, rest->length) : NULL;
    struct slice part = {rest->data, end ? (size_t)(end - rest->data) : rest->length};
    size_t taken = part.length + (end ? 1 : 0);
    rest->data += taken;
    rest->length -= taken;
    return trim(part);
}

static bool slice_is(struct slice slice, const char *string)
{
    return slice.length == strlen(string) && strncasecmp(slice.data, string, slice.length) == 0;
}

// "0", "1", "0.5", "1.000" in thousandths; QUALITY_NONE for anything else.
static int parse_quality(struct slice slice)
{
    if (slice.length == 0 || slice.length > 5 || slice.data[0] < '0' || slice.data[0] > '1')
        return QUALITY_NONE;
    int quality = (slice.data[0] - '0') * 1000;
    if (slice.length > 1 && slice.data[1] != '.')
        return QUALITY_NONE;
    int scale = 100;
    for (size_t i = 2; i < slice.length; i++, scale /= 10) {
        if (slice.data[i] < '0' || slice.data[i] > '9')
            return QUALITY_NONE;
        quality += (slice.data[i] - '0') * scale;
    }
    return quality <= QUALITY_MAX ? quality : QUALITY_NONE;
}

// One entry of the header, taken apart.
struct range {
    struct slice type;
    struct slice version; // length 0 where none is asked for
    int quality;          // thousandths, or QUALITY_NONE for an entry that cannot be read
};

static struct range parse_range(struct slice entry)
{
    struct range range = {.type = take(&entry, ';'), .quality = QUALITY_MAX};
    while (entry.length) {
        struct slice value = take(&entry, ';');
        struct slice name = take(&value, '=');
        value = trim(value);
        if (value.length >= 2 && value.data[0] == '"' && value.data[value.length - 1] == '"') {
            value.data++;
            value.length -= 2;
        }
        if (slice_is(name, "q"))
            range.quality = parse_quality(value);
        else if (slice_is(name, "version"))
            range.version = value;
    }
    return range;
}

// How exactly a range names a format: 3 by its type, 2 by "text/*", 1 by "*/*", 0 not at all.
static int specificity(const struct range *range, enum metric_format format)
{
    const char *type = formats[format].type;
    if (range->version.length && !slice_is(range->version, formats[format].version))
        return 0;
    if (slice_is(range->type, type))
        return 3;
    // OpenMetrics is only for those who name it.
    if (format == METRIC_OPENMETRICS)
        return 0;
    return slice_is(range->type, "text/*") ? 2 : slice_is(range->type, "*/*") ? 1 : 0;
}

enum metric_format metric_negotiate(const char *accept)
{
    struct {
        int specificity, quality;
    } best[2] = {{0, 0}, {0, 0}};
    struct slice rest = {accept, accept ? strlen(accept) : 0};
    while (rest.length) {
        struct range range = parse_range(take(&rest, ','));
        if (range.quality == QUALITY_NONE)
            continue;
        for (int format = METRIC_PROMETHEUS; format <= METRIC_OPENMETRICS; format++) {
            int exact = specificity(&range, format);
            bool same = exact && exact == best[format].specificity;
            if (exact > best[format].specificity || (same && range.quality > best[format].quality)) {
                best[format].specificity = exact;
                best[format].quality = range.quality;
            }
        }
    }
    // Naming OpenMetrics at all is deliberate, so it wins a tie.
    bool openmetrics = best[METRIC_OPENMETRICS].quality > 0 &&
                       best[METRIC_OPENMETRICS].quality >= best[METRIC_PROMETHEUS].quality;
    return openmetrics ? METRIC_OPENMETRICS : METRIC_PROMETHEUS;
}
