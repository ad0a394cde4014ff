#include "source.h"

#include "hook.h"
#include "sched.h"
#include "source_list.h"
#include "weights.h"
#include "wire/call.h"
#include "wire/work.h"

#include <bpf/bpf.h>
#include <string.h>

#define SOURCE_DECLARE(name) extern const struct source source_##name;
#define SOURCE_POINTER(name) &source_##name,

SOURCE_LIST(SOURCE_DECLARE)

static const struct source *const sources[] = {SOURCE_LIST(SOURCE_POINTER)};

_Static_assert(sizeof(sources) / sizeof(sources[0]) <= WIRE_SOURCES_MAX,
               "more sources than counters of losses");

static bool learns_weights; // some rule asks for them

size_t source_count(void)
{
    return sizeof(sources) / sizeof(sources[0]);
}

const struct source *source_at(size_t index)
{
    return index < source_count() ? sources[index] : NULL;
}

size_t source_record_types(const struct source *source)
{
    return source->learn ? 1 : source->types_count;
}

const char *source_record_name(const struct source *source, size_t type)
{
    return source->learn ? "learnt" : source->types[type].name;
}

bool source_refine(const struct wire_header *record, size_t size, source_emit_fn emit, void *context)
{
    const struct source *source = size >= sizeof(*record) ? source_at(record->source) : NULL;
    if (!source || !source->refine || record->type != source_record_types(source))
        return false;
    source->refine(record, size, emit, context);
    return true;
}

void source_add_demand(struct demand *demand)
{
    learns_weights = weights_demand(demand);
}

void source_learn_event(const struct event *event)
{
    if (learns_weights)
        weights_event(event);
    sched_event(event);
}

int source_register_all(void)
{
    for (size_t i = 0; i < source_count(); i++) {
        int error = event_type_register(sources[i]->name, sources[i]->types, sources[i]->types_count);
        if (error)
            return error;
    }
    return 0;
}

// By number of the call, those of socketcall() included, its program; made once and kept, since sources come
// and go.
static int compat_map(void)
{
    static int fd = -1;
    if (fd < 0)
        fd = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "compat_calls", sizeof(__u32), sizeof(__u32),
                            WIRE_CALL_COMPAT_MAX, NULL);
    return fd;
}

// What processes compute, and which requests they answer; made once and kept, too.
static int work_map(void)
{
    static int fd = -1;
    if (fd < 0)
        fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "work", sizeof(__u32), sizeof(struct wire_work),
                            WIRE_WORK_PROCESSES, NULL);
    return fd;
}

void source_start_all(const struct source_env *base, struct source_report *ret_reports)
{
    hook_capture_libbpf();
    for (size_t i = 0; i < source_count(); i++) {
        struct source_env env = *base;
        env.id = (uint16_t)i;
        env.compat_fd = compat_map();
        env.work_fd = work_map();
        ret_reports[i] = (struct source_report){.needed = true};
        ret_reports[i].up = sources[i]->start(&env, &ret_reports[i]) == 0 && ret_reports[i].needed;
    }
}

void source_keep_startable(void)
{
    hook_keep_attaching();
}

void source_replay_all(const struct source_env *env)
{
    for (size_t i = 0; i < source_count(); i++)
        if (sources[i]->replay)
            sources[i]->replay(env);
}

void source_stop_all(void)
{
    for (size_t i = 0; i < source_count(); i++)
        sources[i]->stop();
}
