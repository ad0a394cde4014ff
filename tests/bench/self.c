// What the agent itself does and uses: one agent that lives through everything, as on a busy node.
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MILLION = 1000000,
    MILLIONS = 3, // how often it is measured
    FLOOD_PROCESSES = 8,
    STORM_OPENS = 25,
    STORM_PAUSE_MS = 200,
    LATENCY_OPENS = 200,
    LATENCY_PAUSE_US = 5000,
    PATIENCE_MS = 5000,
};

static const char watched_file[] = "/etc/shadow";

// From now on count the alerts that hold this, among those of whoever else uses the machine.
static void watch_alerts(struct agent *agent, const char *marker)
{
    agent->marker = marker;
    agent->matched = 0;
}

// Until so many have come, or none does for too long.
static int await_alerts(struct agent *agent, uint64_t count)
{
    uint64_t deadline = now_ns() + PATIENCE_MS * UINT64_C(1000000);
    int error = 0;
    while (error == 0 && agent->matched < count && now_ns() < deadline)
        error = agent_pump(agent, -1, 100);
    return error;
}

// --- Latency ---

// One open after the other, each when the alert of the one before has been read.
static int time_alerts(struct agent *agent, double *ret_delays, size_t *ret_count)
{
    size_t count = 0;
    int error = 0;
    // Our own name, as the kernel cuts it.
    char marker[64];
    snprintf(marker, sizeof(marker), "\"proc.name\":\"%.15s\"", program_invocation_short_name);
    watch_alerts(agent, marker);
    for (size_t i = 0; i < LATENCY_OPENS && !error; i++) {
        usleep(LATENCY_PAUSE_US); // lets the agent fall asleep, as it is when a lone event comes
        uint64_t expected = agent->matched + 1, begin = now_ns();
        int fd = open(watched_file, O_RDONLY | O_CLOEXEC);
        error = fd < 0 ? -errno : await_alerts(agent, expected);
        if (fd >= 0)
            close(fd);
        if (agent->matched < expected)
            break; // no rule watches it, or the alert is lost
        ret_delays[count++] = (double)(now_ns() - begin) / 1e9;
    }
    watch_alerts(agent, NULL);
    *ret_count = count;
    return error;
}

static double metric_growth(const char *before, const char *after, const char *name)
{
    return metric_sum(after, name, NULL) - metric_sum(before, name, NULL);
}

static int measure_latency(struct bench *bench)
{
    static double delays[LATENCY_OPENS];
    size_t seen = 0;
    char *before, *after;
    say("alert latency");
    int error = agent_scrape(&bench->agent, &before);
    if (error)
        return error;
    error = time_alerts(&bench->agent, delays, &seen);
    if (!error && seen == 0) {
        fprintf(stderr,
                "bench: no alert for an open of %s: the rules have to watch it, and name %%proc.name\n",
                watched_file);
        error = -ENODATA;
    }
    if (!error)
        error = agent_scrape(&bench->agent, &after);
    if (error) {
        free(before);
        return error;
    }

    double middle = median(delays, seen); // sorts them
    double own = metric_growth(before, after, "inferscope_alert_delay_seconds_sum") /
                 metric_growth(before, after, "inferscope_alert_delay_seconds_count");
    const struct figure figures[] = {
        {.key = "alerts_single",
         .name = "Alerts for 200 single opens",
         .kind = FIGURE_COUNT,
         .value = (double)seen,
         .limit = LATENCY_OPENS,
         .at_least = true},
        {.key = "latency_median",
         .name = "Open to alert read, median",
         .kind = FIGURE_SECONDS,
         .value = middle,
         .limit = 0.001,
         .falco = "15 ms"},
        {.key = "latency_p99",
         .name = "Open to alert read, 99 of 100",
         .kind = FIGURE_SECONDS,
         .value = delays[(seen - 1) * 99 / 100]},
        {.key = "latency_max",
         .name = "Open to alert read, slowest",
         .kind = FIGURE_SECONDS,
         .value = delays[seen - 1]},
        {.key = "latency_own",
         .name = "The agent's own inferscope_alert_delay_seconds, mean",
         .kind = FIGURE_SECONDS,
         .value = own},
    };
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
        add_figure(bench, &figures[i]);
    free(before);
    free(after);
    return 0;
}

// --- CPU time ---

static int measure_million(struct bench *bench, const char *path, struct figure figure)
{
    double before, after, runs[MILLIONS];
    for (size_t i = 0; i < MILLIONS; i++) {
        say("a million opens, %zu of %d", i + 1, MILLIONS);
        int error = agent_cpu_seconds(&bench->agent, &before);
        if (!error)
            error = work_open_times(path, MILLION, &bench->agent);
        if (!error)
            error = agent_cpu_seconds(&bench->agent, &after);
        if (error)
            return error;
        runs[i] = after - before;
    }
    figure.kind = FIGURE_SECONDS;
    figure.value = median(runs, MILLIONS); // sorts them
    figure.low = runs[0];
    figure.high = runs[MILLIONS - 1];
    add_figure(bench, &figure);
    return 0;
}

static int measure_millions(struct bench *bench)
{
    int error = measure_million(
        bench, bench->place.file,
        (struct figure){
            .key = "cpu_million", .name = "CPU for a million open + close", .limit = 1.0, .falco = "3.2 s"});
    if (error)
        return error;
    return measure_million(
        bench, bench->place.decoy,
        (struct figure){.key = "cpu_million_decoy", .name = "The same with another file of a watched name"});
}

// --- Storms ---

struct storm {
    const char *path; // what is opened in the loops
    struct figure alerts, rate, lost;
};

static int measure_storm(struct bench *bench, struct storm *storm)
{
    struct agent *agent = &bench->agent;
    struct flood flood;
    double lost_before, lost_after;
    say("a storm of %d loops around %d opens", FLOOD_PROCESSES, STORM_OPENS);
    watch_alerts(agent, READER_NAME);
    int error = count_lost(bench, &lost_before);
    if (!error)
        error = flood_start(&flood, storm->path, FLOOD_PROCESSES);
    if (error)
        return error;
    uint64_t begin = now_ns();
    error = work_read_slowly(&bench->place, watched_file, STORM_OPENS, STORM_PAUSE_MS, agent);
    double seconds = (double)(now_ns() - begin) / 1e9;
    uint64_t opens = flood_stop(&flood);
    if (!error)
        error = await_alerts(agent, STORM_OPENS);
    if (!error)
        error = count_lost(bench, &lost_after);
    if (error)
        return error;

    storm->alerts.kind = storm->lost.kind = FIGURE_COUNT;
    storm->alerts.value = (double)agent->matched;
    storm->alerts.limit = STORM_OPENS;
    storm->alerts.at_least = true;
    storm->rate.kind = FIGURE_RATE;
    storm->rate.value = (double)opens / seconds;
    storm->lost.value = lost_after - lost_before;
    add_figure(bench, &storm->alerts);
    add_figure(bench, &storm->rate);
    add_figure(bench, &storm->lost);
    return 0;
}

static int measure_storms(struct bench *bench)
{
    struct storm plain = {
        .path = bench->place.file,
        .alerts = {.key = "storm_alerts",
                   .name = "Alerts for 25 opens in a storm of 8 open loops",
                   .falco = "4"},
        .rate = {.key = "storm_rate", .name = "… opens in these loops"},
        .lost = {.key = "storm_lost", .name = "… records lost", .falco = "80 % of events"},
    };
    struct storm decoy = {
        .path = bench->place.decoy,
        .alerts = {.key = "decoy_alerts", .name = "The same, the loops with a file of a watched name"},
        .rate = {.key = "decoy_rate", .name = "… opens in these loops"},
        .lost = {.key = "decoy_lost", .name = "… records lost"},
    };
    int error = measure_storm(bench, &plain);
    return error ? error : measure_storm(bench, &decoy);
}

// --- All of it ---

static int measure_memory(struct bench *bench)
{
    struct figure now = {.key = "rss",
                         .name = "Resident memory at the end",
                         .kind = FIGURE_BYTES,
                         .limit = 40e6,
                         .falco = "59 MB"};
    struct figure peak = {.key = "rss_peak", .name = "… at most", .kind = FIGURE_BYTES};
    int error = agent_memory_bytes(&bench->agent, "VmRSS", &now.value);
    if (!error)
        error = agent_memory_bytes(&bench->agent, "VmHWM", &peak.value);
    if (error)
        return error;
    add_figure(bench, &now);
    add_figure(bench, &peak);
    return 0;
}

int measure_self(struct bench *bench)
{
    int error = agent_start(&bench->agent, bench->agent_path, bench->rules);
    if (!error)
        error = measure_latency(bench);
    if (!error)
        error = measure_millions(bench);
    if (!error)
        error = measure_storms(bench);
    if (!error)
        error = measure_memory(bench);
    int stopped = agent_stop(&bench->agent);
    return error ? error : stopped;
}
