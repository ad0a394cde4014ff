#include "runtime.h"

#include "base/cleanup.h"
#include "threads.h"
#include "uprobe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct runtime *running;

static bool is_uprobe(const struct bpf_program *program)
{
    const char *section = bpf_program__section_name(program);
    return strncmp(section, "uprobe", 6) == 0 || strncmp(section, "uretprobe", 9) == 0;
}

// Its own hooks, and all programs for probes, so that they are loaded.
static int load(struct runtime *runtime, const struct source_env *env, struct source_report *ret_report)
{
    struct bpf_object *object = *runtime->object.skeleton->obj;
    struct bpf_program *program;
    size_t count = runtime->hooks_count;
    bpf_object__for_each_program(program, object) count += is_uprobe(program);
    _cleanup_free_ struct hook *hooks = calloc(count, sizeof(*hooks));
    if (!hooks)
        return hook_load_failed(-ENOMEM, ret_report);
    if (runtime->hooks_count)
        memcpy(hooks, runtime->hooks, runtime->hooks_count * sizeof(*hooks));
    count = runtime->hooks_count;
    bpf_object__for_each_program(program, object)
    {
        if (!is_uprobe(program))
            continue;
        uprobe_prepare(program);
        hooks[count++] = (struct hook){.name = "probe", .program = bpf_program__name(program)};
    }
    return hook_load(runtime->object.skeleton, env, hooks, count, ret_report);
}

static int map_fd(const struct runtime *runtime, const char *name)
{
    return bpf_object__find_map_fd_by_name(*runtime->object.skeleton->obj, name);
}

static int open_and_load(struct runtime *runtime, const struct source_env *env,
                         struct source_report *ret_report)
{
    runtime->object.skeleton = runtime->object.open(env->id);
    if (!runtime->object.skeleton)
        return hook_load_failed(-errno, ret_report);
    runtime->next = running;
    running = runtime;
    return load(runtime, env, ret_report);
}

// The last lines of the report: what is probed, and in how many files.
static void report_kinds(const struct runtime *runtime, struct source_report *ret_report)
{
    for (size_t i = 0; runtime->kinds[i] && ret_report->hooks_count < SOURCE_HOOKS_MAX; i++) {
        const struct probe_kind *kind = runtime->kinds[i];
        struct hook_report *report = &ret_report->hooks[ret_report->hooks_count++];
        *report = (struct hook_report){.state = HOOK_UP};
        snprintf(report->name, sizeof(report->name), "%s in %zu files", kind->name, probes_files(kind));
        snprintf(report->attach_point, sizeof(report->attach_point), "uprobe/%s%s", kind->symbols[0].name,
                 kind->symbols_count > 1 ? " and others" : "");
    }
}

static int attach(struct runtime *runtime, struct source_report *ret_report)
{
    if (runtime->hooks_count) {
        int error = object_attach(&runtime->object, runtime->hooks, runtime->hooks_count, ret_report);
        if (error)
            return error;
    }
    for (size_t i = 0; runtime->kinds[i]; i++) {
        int error = probes_add(runtime->kinds[i]);
        if (error)
            return probes_add_failed(error, ret_report);
    }
    return 0;
}

int runtime_start(struct runtime *runtime, const struct source_env *env, bool wanted,
                  struct source_report *ret_report)
{
    ret_report->needed = wanted || env->runtimes || env->everything;
    int error = 0;
    if (ret_report->needed && !runtime->object.skeleton)
        error = open_and_load(runtime, env, ret_report);
    if (ret_report->needed && !error)
        error = attach(runtime, ret_report);
    if (error || !ret_report->needed)
        runtime_stop(runtime);
    else
        report_kinds(runtime, ret_report);
    return error;
}

void runtime_stop(struct runtime *runtime)
{
    for (size_t i = 0; runtime->kinds[i]; i++)
        probes_remove(runtime->kinds[i]);
    object_stop(&runtime->object);
    for (struct runtime **link = &running; *link; link = &(*link)->next) {
        if (*link == runtime) {
            *link = runtime->next;
            break;
        }
    }
}

void runtime_tick(void)
{
    probes_tick();
    for (struct runtime *runtime = running; runtime; runtime = runtime->next)
        threads_sweep(map_fd(runtime, "calls_under_way"), &runtime->swept_ns);
}

struct bpf_program *runtime_program(const struct probe_kind *kind, const char *name)
{
    const struct runtime *runtime = kind->owner;
    const struct bpf_object_skeleton *skeleton = runtime->object.skeleton;
    return skeleton ? bpf_object__find_program_by_name(*skeleton->obj, name) : NULL;
}

int runtime_measures_fd(const struct runtime *runtime)
{
    return runtime->object.skeleton ? map_fd(runtime, "measures") : -1;
}
