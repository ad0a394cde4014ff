#include "format.h"

#include "base/cleanup.h"
#include "format_map.h"

#include <errno.h>
#include <string.h>

// Falco's own members stay as they are and where they are; what is added comes behind them.
static int format_falco(const struct item *item, json_t *document)
{
    int error = json_object_update(document, item->json);
    error |= json_object_set_new(document, "uuid", json_string(item->record.uuid));
    error |= json_object_set_new(document, "sequence", json_integer((json_int_t)item->record.sequence));
    return error ? -ENOMEM : 0;
}

// For formats that are JSON. 0, -EINVAL for any other, or -ENOMEM.
static int make_object(enum config_format format, const struct item *item, const char *hostname,
                       json_t **ret_object)
{
    json_t *object = json_object();
    int error = !object                 ? -ENOMEM
                : format == FORMAT_JSON ? format_falco(item, object)
                : format == FORMAT_ECS  ? format_ecs(item, hostname, object)
                : format == FORMAT_OCSF ? format_ocsf(item, hostname, object)
                                        : -EINVAL;
    if (error)
        json_decref(object);
    else
        *ret_object = object;
    return error;
}

int format_undo(struct text *text, size_t length)
{
    // A text that could not grow holds less than its limit.
    int error = text->length < text->max ? -ENOMEM : -EMSGSIZE;
    text->length = length;
    if (text->data)
        text->data[length] = '\0';
    text->truncated = false;
    return error;
}

void format_trim(struct text *text)
{
    if (!text->truncated || text->length == 0)
        return;
    size_t last = text->length - 1;
    while (last > 0 && ((unsigned char)text->data[last] & 0xc0) == 0x80)
        last--;
    if (text_utf8_length(text->data + last, text->length - last) == 0)
        text->length = last;
    text->data[text->length] = '\0';
}

// Characters of this kind occur in JSON only within strings; those of ASCII are escaped already, but for DEL.
static void add_escaped(const char *line, size_t length, struct text *text)
{
    size_t begin = 0, sequence;
    for (size_t i = 0; i < length; i += sequence) {
        unsigned character;
        unsigned char byte = (unsigned char)line[i];
        sequence = byte < 0x7f ? 1 : text_utf8_length(line + i, length - i);
        sequence = sequence ? sequence : 1;
        if (byte < 0x7f || !text_is_special(line + i, sequence, &character))
            continue;
        text_add_bytes(text, line + begin, i - begin);
        text_addf(text, "\\u%04x", character);
        begin = i + sequence;
    }
    text_add_bytes(text, line + begin, length - begin);
}

int format_add_json(const json_t *json, struct text *ret)
{
    _cleanup_free_ char *line = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!line)
        return -ENOMEM;
    size_t before = ret->length;
    add_escaped(line, strlen(line), ret);
    return ret->truncated ? format_undo(ret, before) : 0;
}

int format_alert(enum config_format format, const struct item *item, const char *hostname, struct text *ret)
{
    size_t before = ret->length;
    if (format == FORMAT_TEXT) {
        const json_t *output = json_object_get(item->json, "output");
        text_add_printable(ret, format_string(item->json, "output"), json_string_length(output));
    } else if (format == FORMAT_CEF) {
        format_cef(item, hostname, ret);
    } else {
        json_t *object = NULL;
        int error = make_object(format, item, hostname, &object);
        if (!error)
            error = format_add_json(object, ret);
        json_decref(object);
        return error;
    }
    return ret->truncated ? format_undo(ret, before) : 0;
}
