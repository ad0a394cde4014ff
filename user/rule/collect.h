// What the readers of lists, macros and rules share.
#pragma once

#include "items.h"

struct collector {
    struct items *items;
    const struct file *file;
    struct arena *arena;
    struct rule_report *report;
};

// What an item does to an earlier one of the same name.
enum change { CHANGE_NONE, CHANGE_APPEND, CHANGE_REPLACE };

// Each returns false where something is wrong, which is then in the report.
__attribute__((format(printf, 3, 4))) bool item_fail(struct collector *collector, const struct node *node,
                                                     const char *format, ...);
// The same as CODE_VALIDATE: well-formed, but it makes no sense.
__attribute__((format(printf, 3, 4))) bool item_refuse(struct collector *collector, const struct node *node,
                                                       const char *format, ...);
__attribute__((format(printf, 4, 5))) void item_warn(struct collector *collector, const char *code,
                                                     const struct node *node, const char *format, ...);
// NULL where there is no such key, or where it is no scalar, which is then in the report.
const struct node *item_scalar(struct collector *collector, const struct node *item, const char *key);
bool item_bool(struct collector *collector, const struct node *item, const char *key, bool *ret_truth);
bool item_change(struct collector *collector, const struct node *item, const char *key,
                 enum change *ret_change);
// True where the item changes an earlier one instead of replacing it whole.
bool item_changes(const struct node *item);

// The item of that name, new and zeroed where there was none. NULL: memory is short.
void *item_open(struct collector *collector, struct table *table, const struct node *name, size_t size,
                bool *ret_fresh);
void definition_set(struct collector *collector, struct definition *definition, const struct node *name,
                    bool fresh);

// Reads a rule's `exceptions`.
bool exceptions_collect(struct collector *collector, const struct node *item, enum change change,
                        struct rule_item *rule);
// Checks `required_engine_version` and `required_plugin_versions`.
bool engine_version_check(struct collector *collector, const struct node *version);
bool plugin_versions_check(struct collector *collector, const struct node *plugins);

bool rule_collect(struct collector *collector, const struct node *item, const struct node *name);
