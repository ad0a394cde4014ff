#include "model_fields.h"

#include "caller_path.h"

static const struct wire_model_load *load_of(const struct event *event)
{
    return (const struct wire_model_load *)event->wire;
}

static const char *name_of(const struct wire_model_load *load)
{
    return load->raw_size ? (const char *)(load + 1) : NULL;
}

bool model_get_path(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    const struct wire_model_load *load = load_of(event);
    const char *name = name_of(load);
    if (!name || !(load->flags & WIRE_MODEL_BASED))
        return false;
    const char *base = name + load->raw_size;
    return value_set_string(
        ret_value, caller_path(event, name, base, load->path_size, load->flags & WIRE_MODEL_TRUNCATED));
}

bool model_get_raw_path(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    return value_set_string(ret_value, name_of(load_of(event)));
}

bool model_get_loaded(const struct event *event, const struct field_arg *arg, size_t nth,
                      struct value *ret_value)
{
    return value_set_bool(ret_value, load_of(event)->flags & WIRE_MODEL_LOADED);
}

bool model_get_took(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    ret_value->type = FIELD_DURATION;
    ret_value->u = load_of(event)->took_ns;
    return true;
}

size_t model_record_size(uint16_t type)
{
    return sizeof(struct wire_model_load);
}

bool model_record_valid(const struct wire_header *wire)
{
    const struct wire_model_load *load = (const struct wire_model_load *)wire;
    const char *name = name_of(load);
    return sizeof(*load) + load->raw_size + load->path_size <= wire->size &&
           load->raw_size <= WIRE_MODEL_RAW_MAX && load->path_size <= CALLER_PATH_WIRE_MAX &&
           (!name || (name[0] && name[load->raw_size - 1] == '\0'));
}
