#include "replay.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "decode.h"
#include "enrich.h"
#include "event_path.h"
#include "record.h"
#include "source.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { LOSSES_MAX = WIRE_SOURCES_MAX * WIRE_LOST_COUNT };

struct loss {
    char source[32], reason[32];
    uint64_t total;
};

struct replay {
    struct record_player *player;
    struct event_path path;
    struct demand demand;
    struct loss losses[LOSSES_MAX];
    size_t losses_count;
    int32_t utc_offset_s;
    bool has_zone;
};

// Alerts are written in the recorder's local time.
static void set_zone(struct replay *replay, int32_t offset_s)
{
    if (replay->has_zone && replay->utc_offset_s == offset_s)
        return;
    replay->has_zone = true;
    replay->utc_offset_s = offset_s;
    // From a file, so it may be any number.
    unsigned seconds = (offset_s < 0 ? 0u - (unsigned)offset_s : (unsigned)offset_s) % 86400;
    char zone[64];
    // What TZ names is the way from local time to UTC.
    snprintf(zone, sizeof(zone), "<recorded>%c%02u:%02u:%02u", offset_s < 0 ? '+' : '-', seconds / 3600,
             seconds / 60 % 60, seconds % 60);
    setenv("TZ", zone, 1);
    tzset();
}

static void on_clock(struct replay *replay, const struct record_tick *tick)
{
    decode_set_distance(tick->boot_to_epoch_ns);
    set_zone(replay, tick->utc_offset_s);
}

static void on_tick(struct replay *replay, const struct record_tick *tick)
{
    on_clock(replay, tick);
    for (size_t i = 0; i < source_count(); i++)
        if (source_at(i)->replay && source_at(i)->tick)
            source_at(i)->tick();
}

static void on_lost(struct replay *replay, const struct record_lost *lost)
{
    struct loss *loss = replay->losses;
    struct loss *end = loss + replay->losses_count;
    while (loss < end && (strcmp(loss->source, lost->source) != 0 || strcmp(loss->reason, lost->reason) != 0))
        loss++;
    if (loss == replay->losses + LOSSES_MAX)
        return;
    replay->losses_count += loss == end;
    snprintf(loss->source, sizeof(loss->source), "%s", lost->source);
    snprintf(loss->reason, sizeof(loss->reason), "%s", lost->reason);
    loss->total = lost->total;
}

static bool has_name(const struct record_types *types, const char *name)
{
    for (const char *at = types->names; at < types->names + types->size; at += strlen(at) + 1)
        if (strcmp(at, name) == 0)
            return true;
    return false;
}

// Silence of a rule whose events are not in the recording says nothing.
static void on_types(const struct replay *replay, const struct record_types *types)
{
    _cleanup_text_ struct text missing = TEXT_INIT(1024);
    for (size_t i = 0; i < event_type_count(); i++)
        if (replay->demand.wanted[i] && !has_name(types, event_type_at(i)->name))
            text_addf(&missing, "%s%s", missing.length ? ", " : "", event_type_at(i)->name);
    if (missing.length)
        log_warning(
            "these rules ask for types of events that were not recorded: %s%s (record with these rules, "
            "or with --everything)",
            text_string(&missing), missing.truncated ? "…" : "");
}

static void play(struct replay *replay, const struct record_entry *entry)
{
    switch (entry->kind) {
    case RECORD_EVENT:
        event_path_record(entry->event, entry->size, &replay->path);
        return;
    case RECORD_TICK:
        on_tick(replay, &entry->tick);
        return;
    case RECORD_SCAN:
        enrich_scan(replay->path.enrich);
        return;
    case RECORD_LOST:
        on_lost(replay, &entry->lost);
        return;
    case RECORD_TYPES:
        on_types(replay, &entry->types);
        return;
    case RECORD_ANSWER:
    case RECORD_END:
        return;
    }
}

// In the order in which the agent starts. 0 or a negative errno.
static int start(struct replay *replay, const struct replay_options *options)
{
    struct record_entry entry;
    int result = record_player_next(replay->player, &entry);
    if (result != 1 || entry.kind != RECORD_TICK)
        return result < 0 ? result : -EBADMSG;
    on_clock(replay, &entry.tick);
    const struct event_path_options path = {.rules = options->rules,
                                            .matching = options->matching,
                                            .alerts_fd = STDOUT_FILENO,
                                            .json = options->json,
                                            .color = options->color,
                                            .patient = true,
                                            .host_root = ""};
    int error = event_path_start(&replay->path, &path);
    if (error)
        return error;
    rule_set_demand(options->rules, &replay->demand);
    source_add_demand(&replay->demand);
    const struct source_env env = {.demand = &replay->demand, .host_root = ""};
    source_replay_all(&env);
    return 0;
}

static int run(struct replay *replay, const struct replay_options *options)
{
    int result = start(replay, options);
    if (result)
        return result;
    struct record_entry entry;
    while ((result = record_player_next(replay->player, &entry)) == 1)
        play(replay, &entry);
    return result;
}

static void say_end(const struct replay *replay, const struct replay_options *options, int error)
{
    for (size_t i = 0; i < replay->losses_count; i++)
        log_warning("%" PRIu64 " records of the source %s were lost while recording (%s): %s is incomplete",
                    replay->losses[i].total, replay->losses[i].source, replay->losses[i].reason,
                    options->path);
    size_t unanswered = record_player_unanswered(replay->player);
    if (unanswered)
        log_warning(
            "these rules ask %zu things about the node that were not asked while recording; their values "
            "are missing",
            unanswered);
    if (error) {
        const char *words = record_player_error(replay->player);
        log_error("%s: %s", options->path,
                  words[0]            ? words
                  : error == -EBADMSG ? "offset 0: the recording does not begin as one does"
                                      : strerror(-error));
    }
    if (replay->path.malformed)
        log_warning("%" PRIu64 " records did not hold together and were left out", replay->path.malformed);
    log_info("replayed %s%" PRIu64 " events: %" PRIu64 " alerts", error ? "what comes before that, " : "",
             replay->path.events, replay->path.alerts);
}

int replay_run(const struct replay_options *options)
{
    static struct replay replay;
    bool standard = strcmp(options->path, "-") == 0;
    _cleanup_fclose_ FILE *stream = standard ? fdopen(dup(STDIN_FILENO), "r") : fopen(options->path, "re");
    if (!stream) {
        log_error("%s: %s", options->path, strerror(errno));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    int error = record_player_new(stream, &replay.player);
    if (error) {
        log_error("cannot replay: %s", strerror(-error));
        return 1;
    }
    error = run(&replay, options);
    say_end(&replay, options, error);
    source_stop_all();
    event_path_stop(&replay.path);
    record_player_free(&replay.player);
    demand_free(&replay.demand);
    return error || replay.path.unwritten ? 1 : 0;
}
