// A webhook as Falcosidekick is one: each alert is a request of its own, whose uuid is also its
// Idempotency-Key. Several are under way at once, so their order may change.
#include "format.h"
#include "http_receiver.h"

static int build(const struct http_batch *batch, struct text *body)
{
    return format_alert(batch->output->format, batch->items[0], batch->hostname, body);
}

const struct http_kind webhook_kind = {
    .content_type = "application/json",
    .text_type = "text/plain; charset=utf-8",
    .alone = true,
    .build = build,
};
