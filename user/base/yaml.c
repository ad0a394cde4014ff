#include "base/yaml.h"

#include <stdarg.h>
#include <string.h>
#include <yaml.h>

struct reading {
    const struct file *file;
    struct arena *arena;
    const struct yaml_reader *told;
    size_t nodes;
    size_t depth;
    struct node *open[YAML_DEPTH_MAX];  // the collections that surround the next node
    struct node **tail[YAML_DEPTH_MAX]; // where each of them takes it
    struct node *key[YAML_DEPTH_MAX];   // in a mapping: the key that waits for its value
    size_t index;                       // libyaml counts characters; these two go along in step
    size_t offset;
};

bool file_index(struct file *file, struct arena *arena)
{
    size_t count = 1;
    for (const char *at = file->data; (at = memchr(at, '\n', file->length - (size_t)(at - file->data))); at++)
        count++;
    size_t *lines = arena_alloc(arena, count * sizeof(*lines));
    if (!lines)
        return false;
    file->lines = lines;
    file->lines_count = 1;
    for (const char *at = file->data; (at = memchr(at, '\n', file->length - (size_t)(at - file->data))); at++)
        lines[file->lines_count++] = (size_t)(at - file->data) + 1;
    return true;
}

static bool starts_character(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

void file_position(const struct file *file, size_t offset, unsigned *ret_line, unsigned *ret_column)
{
    size_t low = 0, high = file->lines_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (file->lines[middle] <= offset)
            low = middle;
        else
            high = middle;
    }
    unsigned column = 1;
    for (size_t at = file->lines[low]; at < offset && at < file->length; at++)
        column += starts_character(file->data[at]);
    *ret_line = (unsigned)low + 1;
    *ret_column = column;
}

// The byte offset of libyaml's `index`-th character. Marks mostly go forwards, so this is cheap.
static size_t reader_offset(struct reading *reading, size_t index)
{
    const struct file *file = reading->file;
    while (reading->index < index && reading->offset < file->length) {
        reading->offset++;
        while (reading->offset < file->length && !starts_character(file->data[reading->offset]))
            reading->offset++;
        reading->index++;
    }
    while (reading->index > index && reading->offset > 0) {
        reading->offset--;
        while (reading->offset > 0 && !starts_character(file->data[reading->offset]))
            reading->offset--;
        reading->index--;
    }
    return reading->offset;
}

// Says what is wrong; `format` may name the kind of file once.
__attribute__((format(printf, 3, 4))) static int reader_fail(struct reading *reading, size_t offset,
                                                             const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    reading->told->problem(reading->file, offset, message, reading->told->context);
    return -1;
}

static void reader_report(struct reading *reading, const yaml_parser_t *parser)
{
    if (parser->error == YAML_READER_ERROR) {
        reader_fail(reading, parser->problem_offset,
                    "this is not UTF-8 text (%s); is it a %s? Save it as UTF-8",
                    parser->problem ? parser->problem : "byte that cannot be read", reading->told->kind);
        return;
    }
    if (parser->error == YAML_MEMORY_ERROR) {
        reading->arena->failed = true;
        return;
    }
    reader_fail(reading, reader_offset(reading, parser->problem_mark.index),
                "this is not valid YAML: %s%s%s; check the indentation, quotes and brackets up to here",
                parser->problem ? parser->problem : "unexpected text", parser->context ? ", " : "",
                parser->context ? parser->context : "");
}

static int reader_add(struct reading *reading, struct node *node)
{
    size_t top = reading->depth - 1;
    struct node *parent = reading->open[top];
    if (parent->kind != NODE_MAPPING || !reading->key[top]) {
        if (parent->kind == NODE_MAPPING) {
            if (node->kind != NODE_SCALAR)
                return reader_fail(reading, node->offset, "a key must be plain text");
            reading->key[top] = node;
        }
        *reading->tail[top] = node;
        reading->tail[top] = &node->next;
        return 0;
    }
    reading->key[top]->value = node;
    reading->key[top] = NULL;
    return 0;
}

static enum node_style style_of(yaml_scalar_style_t style)
{
    switch (style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE:
        return STYLE_SINGLE_QUOTED;
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        return STYLE_DOUBLE_QUOTED;
    case YAML_LITERAL_SCALAR_STYLE:
        return STYLE_LITERAL;
    case YAML_FOLDED_SCALAR_STYLE:
        return STYLE_FOLDED;
    default:
        return STYLE_PLAIN;
    }
}

static int reader_open(struct reading *reading, struct node *node)
{
    if (reading->depth == YAML_DEPTH_MAX)
        return reader_fail(reading, node->offset, "this is nested too deeply; a %s is flat",
                           reading->told->kind);
    reading->open[reading->depth] = node;
    reading->tail[reading->depth] = &node->first;
    reading->key[reading->depth] = NULL;
    reading->depth++;
    return 0;
}

// 1 at the end of the file, a negative number once something was wrong.
static int reader_event(struct reading *reading, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_STREAM_END_EVENT:
        return 1;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reading->depth--;
        return 0;
    case YAML_ALIAS_EVENT:
        return reader_fail(reading, reader_offset(reading, event->start_mark.index),
                           "aliases are not understood in a %s; write the value out", reading->told->kind);
    case YAML_SCALAR_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        break;
    default:
        return 0;
    }

    size_t offset = reader_offset(reading, event->start_mark.index);
    if (reading->nodes++ == YAML_NODES_MAX)
        return reader_fail(reading, offset, "this file holds too many values; split it");
    struct node *node = arena_alloc(reading->arena, sizeof(*node));
    if (!node)
        return -1;
    node->offset = offset;
    node->kind = event->type == YAML_SCALAR_EVENT           ? NODE_SCALAR
                 : event->type == YAML_SEQUENCE_START_EVENT ? NODE_SEQUENCE
                                                            : NODE_MAPPING;
    if (node->kind == NODE_SCALAR) {
        node->style = style_of(event->data.scalar.style);
        node->length = event->data.scalar.length;
        node->text = arena_copy(reading->arena, (const char *)event->data.scalar.value, node->length);
        if (!node->text)
            return -1;
    }
    if (reader_add(reading, node))
        return -1;
    return node->kind == NODE_SCALAR ? 0 : reader_open(reading, node);
}

struct node *yaml_read(const struct file *file, struct arena *arena, const struct yaml_reader *told)
{
    struct node *root = arena_alloc(arena, sizeof(*root));
    if (!root)
        return NULL;
    root->kind = NODE_SEQUENCE;
    struct reading reading = {.file = file, .arena = arena, .told = told};
    reader_open(&reading, root);

    yaml_parser_t parser __attribute__((cleanup(yaml_parser_delete)));
    if (!yaml_parser_initialize(&parser)) {
        arena->failed = true;
        return NULL;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)file->data, file->length);
    for (int done = 0; !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            reader_report(&reading, &parser);
            return NULL;
        }
        done = reader_event(&reading, &event);
        yaml_event_delete(&event);
        if (done < 0)
            return NULL;
    }
    return root;
}

bool node_is(const struct node *scalar, const char *text)
{
    return scalar->kind == NODE_SCALAR && strlen(text) == scalar->length &&
           memcmp(scalar->text, text, scalar->length) == 0;
}

const struct node *node_get(const struct node *mapping, const char *key)
{
    for (const struct node *child = mapping->first; child; child = child->next)
        if (node_is(child, key))
            return child->value;
    return NULL;
}
