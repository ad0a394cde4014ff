#include "under_way.h"

#include "api.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

enum { SERVERS_MAX = 256 };
static const uint64_t forgotten_after_ns = UINT64_C(3600) * 1000000000;

// A process that serves. One that was only seen at work has no more than a port, until it has answered.
struct server {
    uint32_t pid;
    uint64_t start_time_ns;
    uint64_t seen_ns; // CLOCK_BOOTTIME
    struct served_by served_by;
    unsigned in_flight;
    uint64_t silent_since_ns; // UINT64_MAX: nothing is under way
};

static struct server servers[SERVERS_MAX];
static size_t servers_count;

static struct counter left_out = {
    .name = "inferscope_inference_servers_left_out_total",
    .help = "Times that a server was not shown among those with requests in flight: too many servers",
};

// The one that has had nothing to do for longest, or NULL.
static struct server *longest_idle(void)
{
    struct server *found = NULL;
    for (size_t i = 0; i < servers_count; i++)
        if (servers[i].in_flight == 0 && (!found || servers[i].seen_ns < found->seen_ns))
            found = &servers[i];
    return found;
}

static struct server *server_of(uint32_t pid, uint64_t start_time_ns, uint16_t port)
{
    char text[sizeof(servers->served_by.port)] = "";
    if (port)
        snprintf(text, sizeof(text), "%u", port);
    for (size_t i = 0; i < servers_count; i++)
        if (servers[i].pid == pid && servers[i].start_time_ns == start_time_ns &&
            strcmp(servers[i].served_by.port, text) == 0)
            return &servers[i];
    struct server *server = servers_count < SERVERS_MAX ? &servers[servers_count++] : longest_idle();
    if (!server) {
        counter_register(&left_out);
        left_out.value++;
        return NULL;
    }
    *server = (struct server){.pid = pid, .start_time_ns = start_time_ns, .silent_since_ns = UINT64_MAX};
    memcpy(server->served_by.port, text, sizeof(text));
    return server;
}

void under_way_learn(const struct wire_api *record, const struct served_by *served_by)
{
    const struct wire_header *header = &record->header;
    struct server *server = server_of(header->pid, header->start_time_ns, record->server_port);
    if (!server)
        return;
    server->served_by = *served_by;
    server->seen_ns = header->time_ns;
}

static void add_progress(const struct wire_api_progress *progress, void *context)
{
    struct server *server = server_of(progress->pid, progress->start_time_ns, progress->server_port);
    if (!server)
        return;
    server->seen_ns = *(const uint64_t *)context;
    server->in_flight += progress->in_flight;
    if (progress->silent_since_ns < server->silent_since_ns)
        server->silent_since_ns = progress->silent_since_ns;
}

// Servers that have had nothing to do for long, and may be gone, are no longer shown.
static void look(uint64_t now)
{
    size_t kept = 0;
    for (size_t i = 0; i < servers_count; i++) {
        servers[i].in_flight = 0;
        servers[i].silent_since_ns = UINT64_MAX;
        if (servers[i].seen_ns + forgotten_after_ns > now)
            servers[kept++] = servers[i];
    }
    servers_count = kept;
    api_visit_progress(add_progress, &now);
}

// Processes that share a port and a container are one server. False where an earlier one has stood for it.
static bool sum_up(size_t index, struct server *ret_sum)
{
    *ret_sum = servers[index];
    for (size_t i = 0; i < servers_count; i++) {
        if (i == index || memcmp(&servers[i].served_by, &ret_sum->served_by, sizeof(ret_sum->served_by)) != 0)
            continue;
        if (i < index)
            return false;
        ret_sum->in_flight += servers[i].in_flight;
        if (servers[i].silent_since_ns < ret_sum->silent_since_ns)
            ret_sum->silent_since_ns = servers[i].silent_since_ns;
    }
    return true;
}

void under_way_collect(struct series_writer *writer)
{
    static const struct series_family in_flight = {.name = "inferscope_inference_requests_in_flight",
                                                   .labels = "server_port " SERVED_BY_LABEL_NAMES,
                                                   .type = SERIES_GAUGE,
                                                   .help =
                                                       "Inference requests that have no whole answer yet"};
    static const struct series_family silence = {
        .name = "inferscope_inference_silence_seconds",
        .labels = "server_port " SERVED_BY_LABEL_NAMES,
        .type = SERIES_GAUGE,
        .unit = "seconds",
        .help = "For how long the request under way that waits longest has had no answer, or no more of it"};
    uint64_t now = clock_ns(CLOCK_BOOTTIME);
    look(now);
    for (int pass = 0; pass < 2; pass++) {
        writer->family(writer, pass == 0 ? &in_flight : &silence);
        for (size_t i = 0; i < servers_count; i++) {
            struct server sum;
            struct label labels[SERVED_BY_LABELS];
            if (!sum_up(i, &sum))
                continue;
            double silent = now > sum.silent_since_ns ? (double)(now - sum.silent_since_ns) / 1e9 : 0;
            writer->number(writer, labels, served_by_labels(&sum.served_by, labels),
                           pass == 0 ? sum.in_flight : silent);
        }
    }
}

void under_way_stop(void)
{
    servers_count = 0;
}
