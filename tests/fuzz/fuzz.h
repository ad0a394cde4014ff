// What the fuzz targets of rules and records share.
#pragma once

#include "target.h"

#include "base/cleanup.h"
#include "enrich.h"
#include "rule.h"
#include "source.h"

#include "../../user/rule/rule_set.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// The agent's own tables of events and fields.
static inline void fuzz_register(void)
{
    if (event_type_count() == 0 && (enrich_register_fields() || source_register_all()))
        abort();
}

// An event of that type whose fields hold something of each kind, some several values, some none.
struct fuzz_event {
    struct field_source source; // first, so that its getter finds the rest
    struct event event;
    struct wire_header wire;
    struct scratch scratch;
};

static inline bool fuzz_get(const struct field_source *source, const struct event *event,
                            const struct field *field, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    static const char *const texts[] = {"",           "sh",          "/etc/shadow", "a b -c d",
                                        "\xff\x01\"", "caf\xc3\xa9", "aGVsbG8=",    "/"};
    size_t chance =
        strlen(field->name) + (unsigned char)field->name[strlen(field->name) - 1] + nth + arg->index;
    if (nth > (field->many && !arg->set ? 3 : 0) || chance % 5 == 0)
        return false;
    ret_value->type = field->type;
    if (field->type == FIELD_STRING)
        return value_set_string(ret_value, texts[chance % ARRAY_SIZE(texts)]);
    if (field->type == FIELD_BOOL)
        return value_set_bool(ret_value, chance % 2);
    if (field->type == FIELD_IP)
        ret_value->ip = (struct ip){.family = chance % 2 ? 4 : 6, .bytes = {10, [15] = (uint8_t)chance}};
    else
        ret_value->u = chance % 3 ? chance : UINT64_MAX;
    return true;
}

static inline void fuzz_event(struct fuzz_event *made, const struct event_type *type)
{
    memset(made, 0, offsetof(struct fuzz_event, scratch));
    made->scratch.used = 0;
    made->source.get = fuzz_get;
    made->event = (struct event){.type = type,
                                 .wire = &made->wire,
                                 .num = 1,
                                 .scratch = &made->scratch,
                                 .names = 1,
                                 .given = &made->source};
}

static inline void fuzz_ignore_field(const char *key, const struct value *value, void *context)
{
}

static inline void fuzz_render(const struct rule *rule, const struct event *event, void *context)
{
    _cleanup_text_ struct text text = TEXT_INIT(65536);
    rule_output_render(rule->output, event, &text);
    rule_output_visit(rule->output, event, fuzz_ignore_field, NULL);
}

static inline size_t fuzz_match(const struct rule_set *set, const struct event_type *type)
{
    static struct fuzz_event made;
    fuzz_event(&made, type);
    return rule_set_match(set, &made.event, RULE_MATCHING_ALL, fuzz_render, NULL);
}

// Judges an event of each type, and writes the output of each rule that holds. Rules that are looked up must
// be those that hold where each is judged.
static inline void fuzz_judge(struct rule_set *set)
{
    for (size_t i = 0; i < event_type_count(); i++) {
        const struct event_type *type = event_type_at(i);
        struct judges *judges = &set->types[event_type_index(type)], kept = *judges;
        size_t found = fuzz_match(set, type);
        judges->probes = NULL;
        judges->always = calloc(judges->count / 64 + 1, sizeof(*judges->always));
        for (size_t k = 0; judges->always && k < judges->count; k++)
            judges->always[k / 64] |= UINT64_C(1) << k % 64;
        if (judges->always && fuzz_match(set, type) != found)
            abort();
        free(judges->always);
        *judges = kept;
    }
}

// What a person would see of the problems.
static inline void fuzz_print(const struct rule_report *report)
{
    char *text = NULL;
    size_t length;
    _cleanup_fclose_ FILE *stream = open_memstream(&text, &length);
    if (!stream)
        return;
    rule_report_print(report, stream, true);
    rule_report_print_json(report, stream);
    cleanup_fclose(&stream);
    stream = NULL;
    free(text);
}

// Loads a rule file with that content, judges by it and throws it away.
static inline void fuzz_load(const char *data, size_t size)
{
    fuzz_register();
    _cleanup_close_ int fd = memfd_create("rules", MFD_CLOEXEC);
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return;
    struct rule_input input = {.path = path};
    struct rule_report report = {0};
    struct rule_set *set = NULL;
    if (rule_set_load(&input, 1, &report, &set) == 0)
        fuzz_judge(set);
    fuzz_print(&report);
    rule_report_free(&report);
    rule_set_free(&set);
}
