#include "base/text.h"
#include "event.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <time.h>

static void render_time(uint64_t time_ns, struct text *text)
{
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm tm;
    char date[64];
    if (!gmtime_r(&seconds, &tm) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return;
    text_addf(text, "%s.%09" PRIu64 "Z", date, time_ns % 1000000000);
}

void value_render(const struct value *value, struct text *text)
{
    char address[INET6_ADDRSTRLEN] = "";
    switch (value->type) {
    case FIELD_STRING:
        text_add_printable(text, value->string.data, value->string.length);
        break;
    case FIELD_INT:
        text_addf(text, "%" PRId64, value->i);
        break;
    case FIELD_UINT:
    case FIELD_DURATION:
        text_addf(text, "%" PRIu64, value->u);
        break;
    case FIELD_BOOL:
        text_add(text, value->b ? "true" : "false");
        break;
    case FIELD_IP:
        if (inet_ntop(value->ip.family == 6 ? AF_INET6 : AF_INET, value->ip.bytes, address, sizeof(address)))
            text_add(text, address);
        break;
    case FIELD_TIME:
        render_time(value->u, text);
        break;
    }
}
