// A detection finding (class 2004) of the Open Cybersecurity Schema Framework, 1.5.0. What it has no
// attribute for is in `unmapped`, by Falco's names.
#include "format_map.h"

#include "base/cleanup.h"
#include "version.h"

#include <errno.h>
#include <string.h>

// Members of one evidence.
static const struct format_mapping mappings[] = {
    {"proc.name", "actor.process.name", FORMAT_KEYWORD},
    {"proc.pid", "actor.process.pid", FORMAT_NUMBER},
    {"thread.tid", "actor.process.tid", FORMAT_NUMBER},
    {"proc.cmdline", "actor.process.cmd_line", FORMAT_KEYWORD},
    {"proc.cwd", "actor.process.working_directory", FORMAT_KEYWORD},
    {"proc.exepath", "actor.process.file.path", FORMAT_KEYWORD},
    {"proc.pid.ts", "actor.process.created_time", FORMAT_TIME_MS},
    {"proc.pname", "actor.process.parent_process.name", FORMAT_KEYWORD},
    {"proc.ppid", "actor.process.parent_process.pid", FORMAT_NUMBER},
    {"proc.pcmdline", "actor.process.parent_process.cmd_line", FORMAT_KEYWORD},
    {"proc.pexepath", "actor.process.parent_process.file.path", FORMAT_KEYWORD},
    {"proc.ppid.ts", "actor.process.parent_process.created_time", FORMAT_TIME_MS},
    {"user.uid", "actor.user.uid", FORMAT_KEYWORD},
    {"user.name", "actor.user.name", FORMAT_KEYWORD},
    {"fd.name", "file.path", FORMAT_PATH},
    {"fs.path.name", "file.path", FORMAT_PATH},
    {"fd.directory", "file.parent_folder", FORMAT_PATH},
    {"fd.filename", "file.name", FORMAT_KEYWORD},
    {"fd.cip", "src_endpoint.ip", FORMAT_ADDRESS},
    {"fd.cport", "src_endpoint.port", FORMAT_NUMBER},
    {"fd.cip.name", "src_endpoint.hostname", FORMAT_KEYWORD},
    {"fd.sip", "dst_endpoint.ip", FORMAT_ADDRESS},
    {"fd.sport", "dst_endpoint.port", FORMAT_NUMBER},
    {"fd.sip.name", "dst_endpoint.hostname", FORMAT_KEYWORD},
    {"fd.l4proto", "connection_info.protocol_name", FORMAT_LOWERCASE},
    {"container.full_id", "actor.process.container.uid", FORMAT_KEYWORD},
    {"container.id", "actor.process.container.uid", FORMAT_KEYWORD},
    {"container.name", "actor.process.container.name", FORMAT_KEYWORD},
    {"container.type", "actor.process.container.runtime", FORMAT_KEYWORD},
    {"container.image", "actor.process.container.image.uid", FORMAT_KEYWORD},
    {"container.image.repository", "actor.process.container.image.name", FORMAT_KEYWORD},
    {"container.image.tag", "actor.process.container.image.tag", FORMAT_KEYWORD},
};

static const struct {
    int id;
    const char *name;
} severities[] = {
    [PRIORITY_EMERGENCY] = {6, "Fatal"},
    [PRIORITY_ALERT] = {5, "Critical"},
    [PRIORITY_CRITICAL] = {5, "Critical"},
    [PRIORITY_ERROR] = {4, "High"},
    [PRIORITY_WARNING] = {3, "Medium"},
    [PRIORITY_NOTICE] = {2, "Low"},
    [PRIORITY_INFORMATIONAL] = {1, "Informational"},
    [PRIORITY_DEBUG] = {1, "Informational"},
};

enum { FILE_UNKNOWN = 0, FILE_REGULAR = 1, DIRECTION_UNKNOWN = 0, DEVICE_UNKNOWN = 0, ANALYTIC_RULE = 1 };

// A file has to have a name and a type.
static int complete_file(json_t *file, int type)
{
    if (!file)
        return 0;
    const char *path = json_string_value(json_object_get(file, "path"));
    const char *slash = path ? strrchr(path, '/') : NULL;
    int error = 0;
    if (!json_object_get(file, "name"))
        error |= format_put(file, "name", json_string(slash && slash[1] ? slash + 1 : path ? path : ""));
    error |= format_put(file, "type_id", json_integer(type));
    return error;
}

// A process has to have a pid or an id of ours. Where the rule's output names no pid, that of the alert says
// that nothing else is known to be about the same process.
static int complete_process(json_t *process, const char *uid, const char *which)
{
    if (!process)
        return 0;
    int error =
        json_object_get(process, "pid") ? 0 : format_put(process, "uid", json_sprintf("%s%s", uid, which));
    return error | complete_file(json_object_get(process, "file"), FILE_REGULAR);
}

// What found its place in an object that cannot stand by itself goes to the unmapped ones after all.
static int keep_unmapped(const json_t *fields, const char *prefix, json_t *left)
{
    int error = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)fields, name, value) if (strncmp(name, prefix, strlen(prefix)) == 0)
        error |= json_object_set(left, name, value);
    return error;
}

// An endpoint with nothing but a port is none.
static int complete_endpoint(json_t *evidence, const char *name, const json_t *fields, const char *port,
                             json_t *left)
{
    const json_t *endpoint = json_object_get(evidence, name);
    if (!endpoint || json_object_get(endpoint, "ip") || json_object_get(endpoint, "hostname"))
        return 0;
    json_object_del(evidence, name);
    return keep_unmapped(fields, port, left);
}

// A container has to have an id or a name, and its image an id, for which the image's full name stands.
static int complete_container(json_t *process, const json_t *fields, json_t *left)
{
    json_t *container = json_object_get(process, "container"), *image = json_object_get(container, "image");
    const char *name = json_string_value(json_object_get(image, "name"));
    const char *tag = json_string_value(json_object_get(image, "tag"));
    int error = 0;
    if (image && !json_object_get(image, "uid"))
        error |= format_put(image, "uid",
                            json_sprintf("%s%s%s", name ? name : "", tag ? ":" : "", tag ? tag : ""));
    if (!container || json_object_get(container, "uid") || json_object_get(container, "name"))
        return error;
    json_object_del(process, "container");
    return error | keep_unmapped(fields, "container.", left);
}

// What is left of the actor where nothing was known of it but half of a container.
static void remove_empty(json_t *evidence)
{
    json_t *actor = json_object_get(evidence, "actor"), *process = json_object_get(actor, "process");
    if (process && json_object_size(process) == 0)
        json_object_del(actor, "process");
    if (actor && json_object_size(actor) == 0)
        json_object_del(evidence, "actor");
}

static int put_evidence(const struct item *item, json_t *document)
{
    json_t *evidence = json_object(), *left = json_object();
    const json_t *fields = format_fields(item);
    int error =
        evidence && left ? format_map(fields, mappings, ARRAY_SIZE(mappings), evidence, left) : -ENOMEM;
    error |= complete_container(format_get(evidence, "actor.process"), fields, left);
    remove_empty(evidence);
    json_t *process = format_get(evidence, "actor.process");
    error |= complete_process(process, item->record.uuid, "");
    json_t *parent = json_object_get(process, "parent_process");
    error |= complete_process(parent, item->record.uuid, "/parent");
    error |= complete_file(json_object_get(evidence, "file"), FILE_UNKNOWN);
    error |= complete_endpoint(evidence, "src_endpoint", fields, "fd.cport", left);
    error |= complete_endpoint(evidence, "dst_endpoint", fields, "fd.sport", left);
    if (json_object_get(evidence, "connection_info"))
        error |= format_put(evidence, "connection_info.direction_id", json_integer(DIRECTION_UNKNOWN));

    if (json_object_get(process, "container"))
        error |= json_array_append_new(format_get(document, "metadata.profiles"), json_string("container"));
    json_object_del(left, "evt.time");
    if (!error && json_object_size(evidence) > 0)
        error |= format_put(document, "evidences", json_pack("[O]", evidence));
    if (!error && json_object_size(left) > 0)
        error |= format_put(document, "unmapped", json_incref(left));
    json_decref(evidence);
    json_decref(left);
    return error;
}

static json_t *make_attack(const struct format_attack *attack)
{
    if (attack->tactic)
        return json_pack("{s:{s:s, s:s}}", "tactic", "uid", attack->tactic, "name", attack->tactic_name);
    if (*attack->sub_technique)
        return json_pack("{s:{s:s}, s:{s:s}}", "technique", "uid", attack->technique, "sub_technique", "uid",
                         attack->sub_technique);
    return json_pack("{s:{s:s}}", "technique", "uid", attack->technique);
}

static int put_tags(const json_t *tags, json_t *document)
{
    json_t *labels = json_array(), *attacks = json_array();
    int error = 0;
    size_t i;
    json_t *tag;
    json_array_foreach((json_t *)tags, i, tag)
    {
        struct format_attack attack;
        if (!json_is_string(tag))
            continue;
        error |= json_array_append(labels, tag);
        if (format_attack(json_string_value(tag), &attack))
            error |= json_array_append_new(attacks, make_attack(&attack));
    }
    if (json_array_size(labels) > 0)
        error |= format_put(document, "metadata.labels", json_incref(labels));
    if (json_array_size(attacks) > 0)
        error |= format_put(document, "finding_info.attacks", json_incref(attacks));
    error |= !labels || !attacks;
    json_decref(labels);
    json_decref(attacks);
    return error;
}

int format_ocsf(const struct item *item, const char *hostname, json_t *document)
{
    const struct spool_record *record = &item->record;
    const json_t *json = item->json;
    uint64_t time_ns = format_time_ns(item);
    json_int_t time = (json_int_t)(time_ns / NS_PER_MS);
    char text[FORMAT_TIME_SIZE];
    const char *rule = format_string(json, "rule"), *output = format_string(json, "output");
    const char *source = format_string(json, "source");

    json_t *fixed = json_pack(
        "{s:i, s:s, s:i, s:s, s:i, s:s, s:i, s:s, s:i, s:s, s:i, s:s, s:b, s:I, s:s}", "activity_id", 1,
        "activity_name", "Create", "category_uid", 2, "category_name", "Findings", "class_uid", 2004,
        "class_name", "Detection Finding", "type_uid", 200401, "type_name", "Detection Finding: Create",
        "severity_id", severities[record->priority].id, "severity", severities[record->priority].name,
        "status_id", 1, "status", "New", "is_alert", 1, "time", time, "message", output);
    json_t *metadata =
        json_pack("{s:s, s:{s:s, s:s, s:s}, s:s, s:I, s:s, s:[s]}", "version", "1.5.0", "product", "name",
                  "Inferscope", "vendor_name", "Inferscope", "version", INFERSCOPE_VERSION, "uid",
                  record->uuid, "sequence", (json_int_t)record->sequence, "original_time",
                  format_timestamp(time_ns, 9, text), "profiles", "host");
    json_t *info = json_pack("{s:s, s:s, s:s, s:I, s:[s], s:{s:i, s:s, s:s}}", "uid", record->uuid, "title",
                             rule, "desc", output, "created_time", time, "data_sources", source, "analytic",
                             "type_id", ANALYTIC_RULE, "type", "Rule", "name", rule);
    int error = !fixed || json_object_update(document, fixed);
    json_decref(fixed);
    error |= format_put(document, "metadata", metadata);
    error |= format_put(document, "finding_info", info);
    error |= format_put(
        document, "device",
        json_pack("{s:s, s:i}", "hostname", format_hostname(item, hostname), "type_id", DEVICE_UNKNOWN));
    error |= put_tags(json_object_get(json, "tags"), document);
    error |= put_evidence(item, document);
    return error ? -ENOMEM : 0;
}
