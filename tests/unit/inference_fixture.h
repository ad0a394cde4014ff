// Requests and calls as the kernel reports them, and the metrics that they give.
#pragma once

#include "../../user/source/api_fields.h"
#include "base/cleanup.h"
#include "container.h"
#include "inference.h"
#include "metric.h"
#include "process.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct process process;
static struct container container; // the process's, where it is `contained`
static bool contained;

static inline uint16_t route_of(const char *pattern)
{
    for (size_t i = 1; i <= api_route_count(); i++)
        if (strcmp(api_route_at(i)->pattern, pattern) == 0)
            return (uint16_t)i;
    cr_assert(false, "no route %s", pattern);
    return 0;
}

static inline void exchange_set_models(struct wire_api_exchange *exchange, const char *asked,
                                       const char *answered)
{
    memset(exchange->request_model, 0, sizeof(exchange->request_model));
    memset(exchange->response_model, 0, sizeof(exchange->response_model));
    exchange->request_model_length = (uint8_t)strlen(asked);
    exchange->response_model_length = (uint8_t)strlen(answered);
    memcpy(exchange->request_model, asked, strlen(asked));
    memcpy(exchange->response_model, answered, strlen(answered));
}

static inline void count_record(const struct wire_header *header)
{
    static struct scratch scratch;
    struct event event = {.type = &api_types[header->type],
                          .wire = header,
                          .scratch = &scratch,
                          .process = &process,
                          .container = contained ? &container : NULL};
    inference_event(&event);
}

static inline bool page_has(const char *line)
{
    static struct text page = TEXT_INIT(16 << 20);
    text_reset(&page);
    metric_render(METRIC_PROMETHEUS, &page);
    return strstr(text_string(&page), line) != NULL;
}
