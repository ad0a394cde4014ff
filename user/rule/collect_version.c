// What a rule file says that it needs.
#include "collect.h"

#include <stdio.h>
#include <string.h>

// Falco's engine of this version understands all that is understood here, and its public rules load.
enum { ENGINE_MAJOR = 0, ENGINE_MINOR = 63, ENGINE_PATCH = 0 };

struct version {
    unsigned major, minor, patch;
};

// "1.2.3", or as it was once written the minor number alone.
static bool read_version(const struct node *node, struct version *ret_version)
{
    struct version version = {0};
    int end = 0;
    if (node->kind != NODE_SCALAR || strspn(node->text, "0123456789.") != node->length || node->length > 30)
        return false;
    if (sscanf(node->text, "%u.%u.%u%n", &version.major, &version.minor, &version.patch, &end) == 3 &&
        (size_t)end == node->length) {
        *ret_version = version;
        return true;
    }
    version = (struct version){0};
    if (sscanf(node->text, "%u%n", &version.minor, &end) != 1 || (size_t)end != node->length)
        return false;
    *ret_version = version;
    return true;
}

bool engine_version_check(struct collector *collector, const struct node *node)
{
    struct version version;
    if (!read_version(node, &version))
        return item_fail(collector, node, "a version is three numbers, such as 0.31.0");
    if (version.major == ENGINE_MAJOR &&
        (version.minor < ENGINE_MINOR || (version.minor == ENGINE_MINOR && version.patch <= ENGINE_PATCH)))
        return true;
    return item_refuse(collector, node,
                       "these rules need engine version %u.%u.%u, and this agent understands what %d.%d.%d "
                       "does: use rules of an earlier release",
                       version.major, version.minor, version.patch, ENGINE_MAJOR, ENGINE_MINOR, ENGINE_PATCH);
}

// The fields of Falco's plugin `container` are built in; there are no other plugins.
static bool is_built_in(const struct node *plugin)
{
    const struct node *name = node_get(plugin, "name");
    return name && node_is(name, "container");
}

static bool check_plugin(struct collector *collector, const struct node *plugin)
{
    struct version version;
    const struct node *name = plugin->kind == NODE_MAPPING ? node_get(plugin, "name") : NULL;
    if (!name || name->kind != NODE_SCALAR)
        return item_fail(collector, plugin, "a plugin is named by \"name\" and \"version\"");
    const struct node *wanted = node_get(plugin, "version");
    if (!wanted || !read_version(wanted, &version))
        return item_fail(collector, wanted ? wanted : name,
                         "the plugin \"%.40s\" needs a \"version\" of three numbers, such as 0.4.0",
                         name->text);
    return true;
}

bool plugin_versions_check(struct collector *collector, const struct node *plugins)
{
    if (plugins->kind != NODE_SEQUENCE)
        return item_fail(collector, plugins, "\"required_plugin_versions\" must be a list of plugins");
    bool ok = true;
    for (const struct node *plugin = plugins->first; plugin; plugin = plugin->next) {
        if (!check_plugin(collector, plugin)) {
            ok = false;
            continue;
        }
        const struct node *others = node_get(plugin, "alternatives");
        bool satisfied = is_built_in(plugin);
        for (const struct node *other = others ? others->first : NULL; other; other = other->next)
            satisfied = satisfied || (other->kind == NODE_MAPPING && is_built_in(other));
        if (!satisfied)
            ok =
                item_refuse(collector, node_get(plugin, "name"),
                            "these rules need the plugin \"%.40s\", and there are no plugins here: leave out "
                            "the rules that use its fields",
                            node_get(plugin, "name")->text);
    }
    return ok;
}
