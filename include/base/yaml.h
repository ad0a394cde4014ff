// A YAML file as a small tree that remembers where in the file everything stands: rule files, tests of rules
// and the configuration. Aliases and merge keys are refused; anchors and tags are passed over.
#pragma once

#include "arena.h"
#include "text.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

struct node;

// The bytes of one file.
struct file {
    const char *name; // as the user named it
    const char *data; // NUL-terminated
    size_t length;
    size_t *lines; // offset of the start of each line
    size_t lines_count;
    const struct node *documents; // once read
};

enum node_kind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING };
// STYLE_RAW: the value is the bytes of the file, from `offset` on.
enum node_style {
    STYLE_PLAIN,
    STYLE_SINGLE_QUOTED,
    STYLE_DOUBLE_QUOTED,
    STYLE_LITERAL,
    STYLE_FOLDED,
    STYLE_RAW,
};

struct node {
    enum node_kind kind;
    enum node_style style;
    size_t offset;    // where it starts in the file, in bytes
    const char *text; // NODE_SCALAR: its value
    size_t length;
    struct node *first; // items, or keys
    struct node *next;
    struct node *value; // of a key
};

enum {
    YAML_FILE_MAX = 32 << 20, // bytes
    YAML_DEPTH_MAX = 32,
    YAML_NODES_MAX = 2000000,
};

// A descriptor of a regular file, or a negative errno that file_error() explains.
int file_open(const char *path, struct stat *ret_status);
// 0 or the same; at most YAML_FILE_MAX bytes.
int file_read(int fd, struct arena *arena, const char **ret_data, size_t *ret_length);
const char *file_error(int error);

// Fills `lines`. False: memory is short.
bool file_index(struct file *file, struct arena *arena);
// Line and column, both from 1; the column counts characters.
void file_position(const struct file *file, size_t offset, unsigned *ret_line, unsigned *ret_column);

// Whoever reads: what such files are called in sentences ("rule file"), and who is told what is wrong.
struct yaml_reader {
    const char *kind;
    void (*problem)(const struct file *file, size_t offset, const char *message, void *context);
    void *context;
};

// The documents of a file, as items of a sequence. NULL: what is wrong was told, or memory is short.
struct node *yaml_read(const struct file *file, struct arena *arena, const struct yaml_reader *reader);

// The line of a file as "   12 | its text" and, below it, a caret at the column. Tabs become blanks. `on` and
// `off` begin and end the caret's colour.
void yaml_print_line(FILE *stream, unsigned number, const char *line, unsigned column, const char *on,
                     const char *off);

// The value of a key, or NULL.
const struct node *node_get(const struct node *mapping, const char *key);
bool node_is(const struct node *scalar, const char *text);
// Where in the file that byte of a scalar's value stands. Of a blank, and of the end: just behind the last
// character before it.
size_t node_locate(const struct file *file, const struct node *scalar, size_t offset);
