// The Elastic Common Schema, 8.17. What it has no field for is kept as inferscope.<name>, with '_' for each
// character that is no letter or digit: the fields' own dots would make objects of them, and the same name
// cannot be an object in one document and a value in another.
#include "format_map.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static const struct format_mapping mappings[] = {
    {"proc.name", "process.name", FORMAT_KEYWORD},
    {"proc.pid", "process.pid", FORMAT_NUMBER},
    {"proc.vpid", "process.vpid", FORMAT_NUMBER},
    {"proc.exepath", "process.executable", FORMAT_KEYWORD},
    {"proc.cmdline", "process.command_line", FORMAT_KEYWORD},
    {"proc.cwd", "process.working_directory", FORMAT_KEYWORD},
    {"proc.pid.ts", "process.start", FORMAT_TIME},
    {"thread.tid", "process.thread.id", FORMAT_NUMBER},
    {"proc.pname", "process.parent.name", FORMAT_KEYWORD},
    {"proc.ppid", "process.parent.pid", FORMAT_NUMBER},
    {"proc.pexepath", "process.parent.executable", FORMAT_KEYWORD},
    {"proc.pcmdline", "process.parent.command_line", FORMAT_KEYWORD},
    {"proc.ppid.ts", "process.parent.start", FORMAT_TIME},
    {"proc.sid", "process.session_leader.pid", FORMAT_NUMBER},
    {"proc.sname", "process.session_leader.name", FORMAT_KEYWORD},
    {"proc.sid.exepath", "process.session_leader.executable", FORMAT_KEYWORD},
    {"proc.pgid", "process.group_leader.pid", FORMAT_NUMBER},
    {"proc.pgid.name", "process.group_leader.name", FORMAT_KEYWORD},
    {"proc.pgid.exepath", "process.group_leader.executable", FORMAT_KEYWORD},
    {"user.uid", "user.id", FORMAT_KEYWORD},
    {"user.name", "user.name", FORMAT_KEYWORD},
    {"group.gid", "user.group.id", FORMAT_KEYWORD},
    {"group.name", "user.group.name", FORMAT_KEYWORD},
    {"fd.name", "file.path", FORMAT_PATH},
    {"fs.path.name", "file.path", FORMAT_PATH},
    {"fd.filename", "file.name", FORMAT_KEYWORD},
    {"fd.directory", "file.directory", FORMAT_PATH},
    {"fd.ino", "file.inode", FORMAT_KEYWORD},
    {"fs.path.target", "file.target_path", FORMAT_PATH},
    {"fd.cip", "source.ip", FORMAT_ADDRESS},
    {"fd.cport", "source.port", FORMAT_NUMBER},
    {"fd.cip.name", "source.domain", FORMAT_KEYWORD},
    {"fd.sip", "destination.ip", FORMAT_ADDRESS},
    {"fd.sport", "destination.port", FORMAT_NUMBER},
    {"fd.sip.name", "destination.domain", FORMAT_KEYWORD},
    {"fd.l4proto", "network.transport", FORMAT_LOWERCASE},
    {"container.full_id", "container.id", FORMAT_KEYWORD},
    {"container.id", "container.id", FORMAT_KEYWORD},
    {"container.name", "container.name", FORMAT_KEYWORD},
    {"container.image.repository", "container.image.name", FORMAT_KEYWORD},
    {"container.image", "container.image.name", FORMAT_KEYWORD},
    {"container.image.tag", "container.image.tag", FORMAT_KEYWORDS},
    {"container.type", "container.runtime", FORMAT_KEYWORD},
    {"k8s.ns.name", "orchestrator.namespace", FORMAT_KEYWORD},
    {"k8s.pod.name", "orchestrator.resource.name", FORMAT_KEYWORD},
    {"infer.method", "http.request.method", FORMAT_KEYWORD},
    {"http.method", "http.request.method", FORMAT_KEYWORD},
    {"infer.status", "http.response.status_code", FORMAT_NUMBER},
    {"http.status", "http.response.status_code", FORMAT_NUMBER},
    {"infer.route", "url.path", FORMAT_KEYWORD},
    {"http.route", "url.path", FORMAT_KEYWORD},
    {"evt.type", "event.action", FORMAT_KEYWORD},
};

static const char *const levels[] = {"emergency", "alert",  "critical",      "error",
                                     "warning",   "notice", "informational", "debug"};

// What the documents' categories are called, by the call that raised the alert.
static const struct {
    const char *call, *category, *type;
} calls[] = {
    {"execve", "process", "start"},      {"execveat", "process", "start"},
    {"clone", "process", "start"},       {"clone3", "process", "start"},
    {"fork", "process", "start"},        {"vfork", "process", "start"},
    {"procexit", "process", "end"},      {"ptrace", "process", "access"},
    {"open", "file", "access"},          {"openat", "file", "access"},
    {"openat2", "file", "access"},       {"open_by_handle_at", "file", "access"},
    {"creat", "file", "creation"},       {"mkdir", "file", "creation"},
    {"mkdirat", "file", "creation"},     {"link", "file", "creation"},
    {"linkat", "file", "creation"},      {"symlink", "file", "creation"},
    {"symlinkat", "file", "creation"},   {"unlink", "file", "deletion"},
    {"unlinkat", "file", "deletion"},    {"rmdir", "file", "deletion"},
    {"rename", "file", "change"},        {"renameat", "file", "change"},
    {"renameat2", "file", "change"},     {"chmod", "file", "change"},
    {"fchmod", "file", "change"},        {"fchmodat", "file", "change"},
    {"fchmodat2", "file", "change"},     {"connect", "network", "connection"},
    {"accept", "network", "connection"}, {"accept4", "network", "connection"},
    {"init_module", "driver", "start"},  {"finit_module", "driver", "start"},
};

static int put_category(json_t *document)
{
    const char *call = json_string_value(format_get(document, "event.action"));
    const char *category = NULL, *type = "info";
    for (size_t i = 0; call && i < ARRAY_SIZE(calls); i++)
        if (strcmp(calls[i].call, call) == 0) {
            category = calls[i].category;
            type = calls[i].type;
        }
    if (!category && (format_get(document, "destination.ip") || format_get(document, "source.ip")))
        category = "network";
    else if (!category && format_get(document, "file.path"))
        category = "file";
    else if (!category && json_object_get(document, "process"))
        category = "process";
    json_t *categories = category ? json_pack("[s, s]", "intrusion_detection", category)
                                  : json_pack("[s]", "intrusion_detection");
    json_t *types = strcmp(type, "info") == 0 ? json_pack("[s]", type) : json_pack("[s, s]", "info", type);
    int error = format_put(document, "event.category", categories);
    error |= format_put(document, "event.type", types);
    return error;
}

// Elastic's own agents say so, too, and their dashboards ask for it.
static int put_kubernetes(json_t *document)
{
    json_t *namespace = format_get(document, "orchestrator.namespace");
    json_t *pod = format_get(document, "orchestrator.resource.name");
    int error = 0;
    if (namespace)
        error |= format_put(document, "kubernetes.namespace", json_incref(namespace));
    if (pod) {
        error |= format_put(document, "kubernetes.pod.name", json_incref(pod));
        error |= format_put(document, "orchestrator.resource.type", json_string("pod"));
    }
    if (namespace || pod)
        error |= format_put(document, "orchestrator.type", json_string("kubernetes"));
    return error;
}

static int append(json_t *document, const char *path, const char *value)
{
    json_t *array = format_get(document, path);
    if (!array) {
        array = json_array();
        if (format_put(document, path, array))
            return -ENOMEM;
    }
    return json_array_append_new(array, json_string(value)) ? -ENOMEM : 0;
}

static int put_tags(const json_t *tags, json_t *document)
{
    int error = 0;
    size_t i;
    json_t *tag;
    json_array_foreach((json_t *)tags, i, tag)
    {
        struct format_attack attack;
        if (!json_is_string(tag))
            continue;
        error |= append(document, "tags", json_string_value(tag));
        if (!format_attack(json_string_value(tag), &attack))
            continue;
        error |= format_put(document, "threat.framework", json_string("MITRE ATT&CK"));
        if (*attack.technique)
            error |= append(document, "threat.technique.id", attack.technique);
        if (*attack.sub_technique)
            error |= append(document, "threat.technique.subtechnique.id", attack.sub_technique);
        if (attack.tactic) {
            error |= append(document, "threat.tactic.id", attack.tactic);
            error |= append(document, "threat.tactic.name", attack.tactic_name);
        }
    }
    return error;
}

// Only plain values: Elasticsearch makes a mapping of every name that it meets.
static int put_left(const json_t *left, json_t *document)
{
    int error = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)left, name, value)
    {
        if (json_is_null(value) || json_is_object(value) || json_is_array(value) ||
            strcmp(name, "evt.time") == 0)
            continue;
        char path[128] = "inferscope.";
        size_t length = strlen(path);
        for (const char *at = name; *at && length + 1 < sizeof(path); at++)
            path[length++] = isalnum((unsigned char)*at) ? *at : '_';
        if (path[length - 1] == '_') // the bracket of proc.aname[2]
            length--;
        path[length] = '\0';
        if (length > strlen("inferscope."))
            error |= format_put(document, path, json_incref(value));
    }
    return error;
}

int format_ecs(const struct item *item, const char *hostname, json_t *document)
{
    char time[FORMAT_TIME_SIZE];
    const struct spool_record *record = &item->record;
    const json_t *json = item->json;
    int error = 0;
    error |= format_put(document, "@timestamp", json_string(format_timestamp(format_time_ns(item), 9, time)));
    error |= format_put(document, "ecs.version", json_string("8.17.0"));
    error |= format_put(document, "message", json_string(format_string(json, "output")));
    error |= format_put(document, "log.level", json_string(levels[record->priority]));
    error |= format_put(document, "event.kind", json_string("alert"));
    error |= format_put(document, "event.module", json_string("inferscope"));
    error |= format_put(document, "event.dataset", json_string("inferscope.alerts"));
    error |= format_put(document, "event.provider", json_string(format_string(json, "source")));
    error |= format_put(document, "event.id", json_string(record->uuid));
    error |= format_put(document, "event.sequence", json_integer((json_int_t)record->sequence));
    // The graver the higher, as its users compare it.
    error |= format_put(document, "event.severity", json_integer(PRIORITY_DEBUG - (int)record->priority));
    error |= format_put(document, "rule.name", json_string(format_string(json, "rule")));
    error |= format_put(document, "host.name", json_string(format_hostname(item, hostname)));
    error |= format_put(document, "host.hostname", json_string(format_hostname(item, hostname)));

    json_t *left = json_object();
    error |= left ? format_map(format_fields(item), mappings, ARRAY_SIZE(mappings), document, left) : -ENOMEM;
    error |= put_category(document);
    error |= put_kubernetes(document);
    error |= put_tags(json_object_get(json, "tags"), document);
    error |= put_left(left, document);
    json_decref(left);
    return error ? -ENOMEM : 0;
}
