#include "source.h"

#include "hook.h"
#include "source_list.h"

#include <string.h>

#define SOURCE_DECLARE(name) extern const struct source source_##name;
#define SOURCE_POINTER(name) &source_##name,

SOURCE_LIST(SOURCE_DECLARE)

static const struct source *const sources[] = {SOURCE_LIST(SOURCE_POINTER)};

_Static_assert(sizeof(sources) / sizeof(sources[0]) <= WIRE_SOURCES_MAX,
               "more sources than counters of losses");

size_t source_count(void)
{
    return sizeof(sources) / sizeof(sources[0]);
}

const struct source *source_at(size_t index)
{
    return index < source_count() ? sources[index] : NULL;
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

void source_start_all(const struct source_env *base, struct source_report *ret_reports)
{
    hook_capture_libbpf();
    for (size_t i = 0; i < source_count(); i++) {
        struct source_env env = *base;
        env.id = (uint16_t)i;
        ret_reports[i] = (struct source_report){.needed = true};
        ret_reports[i].up = sources[i]->start(&env, &ret_reports[i]) == 0 && ret_reports[i].needed;
    }
}

void source_stop_all(void)
{
    for (size_t i = 0; i < source_count(); i++)
        sources[i]->stop();
}
