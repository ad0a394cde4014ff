// Records as the kernel side would write them, one behind the other, each at a multiple of 8 bytes: decoded,
// enriched, every field read, and judged by the built-in rules.
#include "fuzz.h"

#include "../../user/enrich/enrich_private.h"
#include "decode.h"

struct reader {
    const struct event *event;
};

static void read_field(const char *group, const struct event_type *type, const struct field *field,
                       void *context)
{
    static const struct field_arg args[] = {{0},
                                            {.set = true, .key = "HOME"},
                                            {.set = true, .index = 1, .key = "PATH"},
                                            {.set = true, .index = UINT32_MAX, .key = ""}};
    struct reader *reader = context;
    if (type && type != reader->event->type)
        return;
    for (size_t i = 0; i < (field->arg == FIELD_ARG_NONE ? 1 : ARRAY_SIZE(args)); i++) {
        // A key is never missing where a field needs one.
        const struct field_arg *arg = field->arg == FIELD_ARG_KEY && i == 0 ? &args[1] : &args[i];
        struct value value;
        size_t most = field->many ? 300 : 1;
        for (size_t nth = 0; nth < most && field_get(field, reader->event, arg, nth, &value); nth++) {
            _cleanup_text_ struct text text = TEXT_INIT(65536);
            value_render(&value, &text);
            if (value.type != field->type ||
                (value.type == FIELD_STRING && value.string.data[value.string.length]))
                abort(); // a value of another type, or one that does not end where it says
        }
    }
}

// In memory of its own, so that reading behind it shows.
static void run_record(struct enrich *enrich, const struct rule_set *set, const uint8_t *data, size_t size)
{
    static struct scratch scratch;
    _cleanup_free_ struct wire_header *record = malloc(size);
    struct event event;
    if (!record)
        return;
    memcpy(record, data, size);
    if (decode_record(record, size, &scratch, &event))
        return;
    enrich_event(enrich, &event);
    for (event.name = 0; event.name < event.names; event.name++) {
        struct reader reader = {.event = &event};
        field_visit(read_field, &reader);
        rule_set_match(set, &event, RULE_MATCHING_ALL, fuzz_render, NULL);
    }
    enrich_event_done(enrich, &event);
}

static const struct rule_set *builtin_rules(void)
{
    static struct rule_set *set;
    struct rule_input input = {.path = NULL};
    struct rule_report report;
    if (set)
        return set;
    if (rule_set_load(&input, 1, &report, &set))
        abort();
    rule_report_free(&report);
    return set;
}

static void free_enrich(struct enrich **enrich)
{
    enrich_free(enrich);
}

FUZZ_TARGET(record)
{
    // No directory of that name: nothing is learnt from this machine.
    struct enrich_options options = {.processes_max = 16, .containers_max = 4, .host_root = "/nowhere"};
    struct enrich *enrich _cleanup_(free_enrich) = NULL;
    fuzz_register();
    const struct rule_set *set = builtin_rules();
    if (enrich_new(&options, &enrich))
        return 0;
    enrich->proc_root = "/nowhere";
    while (size >= sizeof(struct wire_header)) {
        uint32_t length;
        memcpy(&length, data, sizeof(length));
        length = length < sizeof(struct wire_header) || length > size ? (uint32_t)size : length;
        run_record(enrich, set, data, length);
        size_t step = ((size_t)length + 7) / 8 * 8;
        if (step >= size)
            break;
        data += step;
        size -= step;
    }
    return 0;
}
