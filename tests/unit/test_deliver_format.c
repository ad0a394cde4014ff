// What each format makes of an alert.
#include "deliver/format.h"
#include "format_parse.h"

#include "base/cleanup.h"
#include "version.h"

#include <criterion/criterion.h>
#include <errno.h>

#define UUID "01932b5e-7c1a-7abc-8def-0123456789ab"

static const char shell[] =
    "{\"hostname\":\"node1\",\"output\":\"09:07:58.123456789: Warning Shell started (user=root command=bash "
    "-c a=b)\","
    "\"output_fields\":{\"evt.time\":1763712478123456789,\"evt.type\":\"execve\",\"proc.name\":\"bash\","
    "\"proc.pid\":42,"
    "\"proc.cmdline\":\"bash -c "
    "a=b\",\"proc.exepath\":\"/usr/bin/bash\",\"proc.pname\":\"python3\",\"proc.ppid\":41,"
    "\"proc.aname[2]\":\"init\",\"proc.pid.ts\":1763712478000000000,\"user.name\":\"root\",\"user.uid\":0,"
    "\"container.id\":\"0123456789ab\",\"container.name\":\"vllm\",\"container.image.repository\":\"vllm/"
    "openai\","
    "\"container.image.tag\":\"v1\",\"k8s.ns.name\":\"prod\",\"k8s.pod.name\":\"vllm-0\",\"proc.tty\":null},"
    "\"priority\":\"Warning\",\"rule\":\"Inference server starts shell\",\"source\":\"syscall\","
    "\"tags\":[\"shell\",\"T1059.004\",\"mitre_execution\"],\"time\":\"2025-11-21T08:07:58.123456789Z\"}";

static const char connection[] =
    "{\"hostname\":\"node1\",\"output\":\"x\",\"output_fields\":{\"evt.time\":1,\"fd.cip\":\"10.0.0.1\",\"fd."
    "cport\":1024,"
    "\"fd.sip\":\"2001:db8::1\",\"fd.sport\":443,\"fd.sip.name\":\"example.com\",\"fd.l4proto\":\"tcp\","
    "\"fd.name\":\"10.0.0.1:1024->[2001:db8::1]:443\",\"proc.name\":\"curl\"},"
    "\"priority\":\"Notice\",\"rule\":\"r\",\"source\":\"syscall\",\"tags\":[]}";

static struct item item_of(const char *json, enum priority priority)
{
    struct item item = {.record = {.kind = SPOOL_ALERT,
                                   .priority = priority,
                                   .sequence = 7,
                                   .time_ns = UINT64_C(1763712479000000000),
                                   .uuid = UUID},
                        .json = json_loads(json, 0, NULL)};
    cr_assert(item.json, "%s", json);
    return item;
}

static struct item item_with(const char *rule, const char *output)
{
    struct item item = item_of("{\"output_fields\":{},\"tags\":[]}", PRIORITY_ERROR);
    json_object_set_new(item.json, "rule", json_string(rule));
    json_object_set_new(item.json, "output", json_string(output));
    return item;
}

static struct text written(enum config_format format, struct item item)
{
    struct text text = TEXT_INIT(1 << 20);
    cr_assert_eq(format_alert(format, &item, "elsewhere", &text), 0);
    cr_assert(parse_is_line(&text), "%s", text_string(&text));
    json_decref(item.json);
    return text;
}

static json_t *written_json(enum config_format format, struct item item)
{
    _cleanup_text_ struct text text = written(format, item);
    json_t *json = json_loads(text_string(&text), 0, NULL);
    cr_assert(json, "%s", text_string(&text));
    return json;
}

// What stands at the end of a path of members, elements by their numbers.
static json_t *at(json_t *json, const char *path)
{
    char copy[128], *rest = copy;
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *name = strsep(&rest, "/"); name; name = strsep(&rest, "/"))
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(name)) : json_object_get(json, name);
    return json;
}

static void expect_string(json_t *json, const char *path, const char *expected)
{
    const char *value = json_string_value(at(json, path));
    cr_expect(value && strcmp(value, expected) == 0, "%s is %s instead of %s", path, value, expected);
}

static void expect_integer(json_t *json, const char *path, json_int_t expected)
{
    cr_expect(json_is_integer(at(json, path)), "%s", path);
    cr_expect_eq(json_integer_value(at(json, path)), expected, "%s is %lld", path,
                 (long long)json_integer_value(at(json, path)));
}

// --- JSON and text ---

Test(deliver_format, json_is_falcos_with_uuid_and_sequence)
{
    _cleanup_text_ struct text text = written(FORMAT_JSON, item_of(shell, PRIORITY_WARNING));
    size_t length = strlen(shell) - 1;
    cr_assert_eq(strncmp(text_string(&text), shell, length), 0, "%s", text_string(&text));
    cr_assert_str_eq(text_string(&text) + length, ",\"uuid\":\"" UUID "\",\"sequence\":7}");
}

Test(deliver_format, json_escapes_every_control_character)
{
    _cleanup_text_ struct text text =
        written(FORMAT_JSON, item_with("\x7f\xc2\x85", "\n\r\x1b\xc2\x9b\xc2\xa0\xc3\xa9"));
    cr_assert(strstr(text_string(&text), "\"rule\":\"\\u007f\\u0085\""), "%s", text_string(&text));
    cr_assert(strstr(text_string(&text), "\"\\n\\r\\u001B\\u009b\xc2\xa0\xc3\xa9\""), "%s",
              text_string(&text));
}

Test(deliver_format, text_is_the_output)
{
    _cleanup_text_ struct text text =
        written(FORMAT_TEXT, item_with("r", "08:00:00.000000001: Error a\nb\x1b[0m"));
    cr_assert_str_eq(text_string(&text), "08:00:00.000000001: Error a\\x0ab\\x1b[0m");
}

Test(deliver_format, what_is_too_long_leaves_the_text_alone)
{
    struct item item = item_of(shell, PRIORITY_WARNING);
    for (enum config_format format = 0; format < FORMATS; format++) {
        _cleanup_text_ struct text text = TEXT_INIT(60);
        text_add(&text, "before");
        cr_expect_eq(format_alert(format, &item, "h", &text), -EMSGSIZE, "%d", (int)format);
        cr_expect_str_eq(text_string(&text), "before");
        cr_expect(!text.truncated);
    }
    json_decref(item.json);
}

// U+202E turns what follows around, so that "exe.txt" is seen where "txt.exe" is; U+2028 ends a line for
// some.
Test(deliver_format, nothing_turns_the_writing_around)
{
    static const char *const turns[] = {"\xd8\x9c",     "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8",
                                        "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9"};
    for (size_t i = 0; i < ARRAY_SIZE(turns); i++)
        for (enum config_format format = 0; format < FORMATS; format++) {
            char output[64];
            snprintf(output, sizeof(output), "a%sb\xe2\x80\xa6\xd8\xa7", turns[i]);
            _cleanup_text_ struct text text = written(format, item_with("r", output));
            cr_expect(!strstr(text_string(&text), turns[i]), "%d: %s", (int)format, text_string(&text));
            // Dots and letters of any script stay.
            cr_expect(strstr(text_string(&text), "b\xe2\x80\xa6\xd8\xa7"), "%s", text_string(&text));
        }
    _cleanup_text_ struct text json = written(FORMAT_JSON, item_with("r", "a\xe2\x80\xae"));
    cr_expect(strstr(text_string(&json), "\"a\\u202e\""), "%s", text_string(&json));
    _cleanup_text_ struct text cef = written(FORMAT_CEF, item_with("r", "a\xe2\x80\xae"));
    cr_expect(strstr(text_string(&cef), "msg=a\\\\xe2\\\\x80\\\\xae"), "%s", text_string(&cef));
}

// --- ECS ---

Test(deliver_format, ecs_has_what_the_schema_asks_for)
{
    json_t *json = written_json(FORMAT_ECS, item_of(shell, PRIORITY_WARNING));
    expect_string(json, "@timestamp", "2025-11-21T08:07:58.123456789Z");
    expect_string(json, "ecs/version", "8.17.0");
    expect_string(json, "message",
                  "09:07:58.123456789: Warning Shell started (user=root command=bash -c a=b)");
    expect_string(json, "log/level", "warning");
    expect_string(json, "event/kind", "alert");
    expect_string(json, "event/category/0", "intrusion_detection");
    expect_string(json, "event/category/1", "process");
    expect_string(json, "event/type/1", "start");
    expect_string(json, "event/action", "execve");
    expect_string(json, "event/id", UUID);
    expect_integer(json, "event/sequence", 7);
    expect_integer(json, "event/severity", 3);
    expect_string(json, "rule/name", "Inference server starts shell");
    expect_string(json, "process/name", "bash");
    expect_integer(json, "process/pid", 42);
    expect_string(json, "process/start", "2025-11-21T08:07:58.000000000Z");
    expect_string(json, "process/executable", "/usr/bin/bash");
    expect_string(json, "process/command_line", "bash -c a=b");
    expect_string(json, "process/parent/name", "python3");
    expect_integer(json, "process/parent/pid", 41);
    expect_string(json, "user/name", "root");
    expect_string(json, "user/id", "0");
    expect_string(json, "container/id", "0123456789ab");
    expect_string(json, "container/name", "vllm");
    expect_string(json, "container/image/name", "vllm/openai");
    expect_string(json, "container/image/tag/0", "v1");
    expect_string(json, "orchestrator/type", "kubernetes");
    expect_string(json, "orchestrator/namespace", "prod");
    expect_string(json, "orchestrator/resource/name", "vllm-0");
    expect_string(json, "kubernetes/pod/name", "vllm-0");
    expect_string(json, "host/name", "node1");
    expect_string(json, "tags/0", "shell");
    expect_string(json, "threat/technique/id/0", "T1059");
    expect_string(json, "threat/technique/subtechnique/id/0", "T1059.004");
    expect_string(json, "threat/tactic/id/0", "TA0002");
    expect_string(json, "inferscope/proc_aname_2", "init");
    cr_expect_eq(json_object_size(json_object_get(json, "inferscope")), 1);
    json_decref(json);
}

Test(deliver_format, ecs_of_a_connection)
{
    json_t *json = written_json(FORMAT_ECS, item_of(connection, PRIORITY_NOTICE));
    expect_string(json, "source/ip", "10.0.0.1");
    expect_integer(json, "source/port", 1024);
    expect_string(json, "destination/ip", "2001:db8::1");
    expect_string(json, "destination/domain", "example.com");
    expect_string(json, "network/transport", "tcp");
    expect_string(json, "event/category/1", "network");
    expect_string(json, "inferscope/fd_name", "10.0.0.1:1024->[2001:db8::1]:443");
    cr_expect(!json_object_get(json, "file"));
    json_decref(json);
}

Test(deliver_format, a_value_of_another_type_is_no_ecs_field)
{
    json_t *json = written_json(
        FORMAT_ECS,
        item_of("{\"output_fields\":{\"proc.pid\":\"x\",\"fd.sip\":\"nowhere\",\"fd.name\":\"/run/s\","
                "\"fd.type\":\"unix\",\"a.b\":{\"c\":1}},\"tags\":[1,\"t\"]}",
                PRIORITY_DEBUG));
    cr_expect(!json_object_get(json, "process") && !json_object_get(json, "destination") &&
              !json_object_get(json, "file"));
    expect_string(json, "inferscope/proc_pid", "x");
    expect_string(json, "inferscope/fd_sip", "nowhere");
    expect_string(json, "inferscope/fd_name", "/run/s");
    cr_expect(!at(json, "inferscope/a_b"));
    expect_string(json, "tags/0", "t");
    expect_string(json, "host/name", "elsewhere");
    expect_string(json, "@timestamp", "2025-11-21T08:07:59.000000000Z");
    json_decref(json);
}

// --- OCSF ---

// What OCSF 1.5.0 requires of a detection finding and of the objects in it.
static void expect_valid_ocsf(json_t *json)
{
    static const char *const integers[] = {"activity_id", "category_uid", "class_uid",
                                           "severity_id", "time",         "type_uid"};
    for (size_t i = 0; i < ARRAY_SIZE(integers); i++)
        cr_expect(json_is_integer(json_object_get(json, integers[i])), "%s", integers[i]);
    static const char *const strings[] = {"metadata/version", "metadata/product/name",
                                          "metadata/product/vendor_name", "finding_info/uid",
                                          "finding_info/title"};
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        cr_expect(json_is_string(at(json, strings[i])), "%s", strings[i]);
    cr_expect(json_is_integer(at(json, "finding_info/analytic/type_id")));
    cr_expect(json_is_integer(at(json, "device/type_id")));
    json_t *evidence = at(json, "evidences/0");
    cr_expect(!evidence || at(evidence, "actor") || at(evidence, "file") || at(evidence, "src_endpoint") ||
              at(evidence, "dst_endpoint") || at(evidence, "connection_info"));
    cr_expect(!at(evidence, "actor") || at(evidence, "actor/process") || at(evidence, "actor/user"));
    static const char *const processes[] = {"actor/process", "actor/process/parent_process"};
    for (size_t i = 0; i < ARRAY_SIZE(processes); i++) {
        json_t *process = at(evidence, processes[i]);
        cr_expect(!process || json_object_get(process, "pid") || json_object_get(process, "uid"), "%s",
                  processes[i]);
        json_t *file = json_object_get(process, "file");
        cr_expect(!file || (json_is_string(at(file, "name")) && json_is_integer(at(file, "type_id"))));
    }
    json_t *file = at(evidence, "file");
    cr_expect(!file || (json_is_string(at(file, "name")) && json_is_integer(at(file, "type_id"))));
    json_t *container = at(evidence, "actor/process/container");
    cr_expect(!container || json_object_get(container, "uid") || json_object_get(container, "name"));
    json_t *image = at(container, "image");
    cr_expect(!image || json_is_string(at(image, "uid")));
    json_t *network = at(evidence, "connection_info");
    cr_expect(!network || json_is_integer(at(network, "direction_id")));
}

Test(deliver_format, ocsf_is_a_detection_finding)
{
    json_t *json = written_json(FORMAT_OCSF, item_of(shell, PRIORITY_WARNING));
    expect_valid_ocsf(json);
    expect_integer(json, "class_uid", 2004);
    expect_integer(json, "category_uid", 2);
    expect_integer(json, "type_uid", 200401);
    expect_integer(json, "activity_id", 1);
    expect_integer(json, "severity_id", 3);
    expect_integer(json, "time", 1763712478123);
    expect_string(json, "metadata/version", "1.5.0");
    expect_string(json, "metadata/uid", UUID);
    expect_integer(json, "metadata/sequence", 7);
    expect_string(json, "metadata/labels/0", "shell");
    expect_string(json, "finding_info/uid", UUID);
    expect_string(json, "finding_info/title", "Inference server starts shell");
    expect_string(json, "finding_info/attacks/0/technique/uid", "T1059");
    expect_string(json, "finding_info/attacks/0/sub_technique/uid", "T1059.004");
    expect_string(json, "finding_info/attacks/1/tactic/uid", "TA0002");
    expect_string(json, "device/hostname", "node1");
    expect_integer(json, "evidences/0/actor/process/pid", 42);
    expect_string(json, "evidences/0/actor/process/cmd_line", "bash -c a=b");
    expect_string(json, "evidences/0/actor/process/file/name", "bash");
    expect_string(json, "evidences/0/actor/process/parent_process/name", "python3");
    expect_string(json, "evidences/0/actor/user/uid", "0");
    expect_string(json, "evidences/0/actor/process/container/uid", "0123456789ab");
    expect_string(json, "evidences/0/actor/process/container/image/uid", "vllm/openai:v1");
    expect_string(json, "metadata/profiles/1", "container");
    expect_string(json, "unmapped/proc.aname[2]", "init");
    json_decref(json);
}

Test(deliver_format, ocsf_is_valid_whatever_the_rule_puts_out)
{
    static const char *const fields[] = {
        "{}",
        "{\"proc.name\":\"sh\",\"proc.pname\":\"init\"}",
        "{\"proc.exepath\":\"/\"}",
        "{\"fd.directory\":\"/etc\"}",
        "{\"fd.name\":\"/etc/\"}",
        "{\"fd.sport\":1,\"fd.cport\":2}",
        "{\"container.image.tag\":\"v1\",\"container.id\":\"x\"}",
        "{\"container.type\":\"docker\"}",
        "{\"fd.l4proto\":\"udp\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        struct item item = item_with("r", "o");
        json_object_set_new(item.json, "output_fields", json_loads(fields[i], 0, NULL));
        json_t *json = written_json(FORMAT_OCSF, item);
        expect_valid_ocsf(json);
        json_decref(json);
    }
}

Test(deliver_format, ocsf_keeps_what_has_no_place)
{
    struct item item = item_with("r", "o");
    json_object_set_new(
        item.json, "output_fields",
        json_pack("{s:i, s:s, s:s}", "fd.sport", 443, "container.type", "docker", "proc.cwd", "/"));
    json_t *json = written_json(FORMAT_OCSF, item);
    expect_integer(json, "unmapped/fd.sport", 443);
    expect_string(json, "unmapped/container.type", "docker");
    expect_string(json, "evidences/0/actor/process/working_directory", "/");
    cr_expect_eq(json_object_size(json_object_get(json, "unmapped")), 2);
    json_decref(json);
}

Test(deliver_format, ocsf_severities)
{
    static const int expected[] = {6, 5, 5, 4, 3, 2, 1, 1};
    for (enum priority priority = PRIORITY_EMERGENCY; priority <= PRIORITY_DEBUG; priority++) {
        json_t *json = written_json(FORMAT_OCSF, item_of(shell, priority));
        expect_integer(json, "severity_id", expected[priority]);
        json_decref(json);
    }
}

// --- CEF ---

Test(deliver_format, cef_line)
{
    _cleanup_text_ struct text text = written(FORMAT_CEF, item_of(shell, PRIORITY_WARNING));
    cr_assert_str_eq(
        text_string(&text),
        "CEF:0|Inferscope|Inferscope|" INFERSCOPE_VERSION
        "|Inference server starts shell|Inference server starts shell|5|"
        "rt=1763712478123 dvchost=node1 deviceExternalId=node1 externalId=" UUID " cn1=7 cn1Label=sequence "
        "cat=shell,T1059.004,mitre_execution act=execve sproc=bash spid=42 suser=root suid=0 "
        "cs1=bash -c a\\=b cs1Label=proc.cmdline cs2=/usr/bin/bash cs2Label=proc.exepath "
        "cs3=0123456789ab cs3Label=container.id cs4=vllm/openai cs4Label=container.image.repository "
        "cs5=prod cs5Label=k8s.ns.name cs6=vllm-0 cs6Label=k8s.pod.name "
        "msg=09:07:58.123456789: Warning Shell started (user\\=root command\\=bash -c a\\=b)");
}

Test(deliver_format, cef_escapes_parse_back)
{
    _cleanup_text_ struct text text =
        written(FORMAT_CEF, item_with("a|b\\c=d\n", "x=1 y=2\\ | z\nnext\rline \\n\x1b\xc2\x85"));
    json_t *json = parse_cef(text_string(&text));
    cr_assert(json, "%s", text_string(&text));
    expect_string(json, "4", "a|b\\c=d\\x0a");
    expect_string(json, "5", "a|b\\c=d\\x0a");
    expect_string(json, "6", "7");
    expect_string(json, "msg", "x=1 y=2\\ | z\nnext\rline \\n\\x1b\\xc2\\x85");
    json_decref(json);
}

Test(deliver_format, cef_addresses_go_by_family)
{
    _cleanup_text_ struct text text = written(FORMAT_CEF, item_of(connection, PRIORITY_NOTICE));
    json_t *json = parse_cef(text_string(&text));
    cr_assert(json);
    expect_string(json, "src", "10.0.0.1");
    expect_string(json, "c6a3", "2001:db8::1");
    expect_string(json, "c6a3Label", "fd.sip");
    expect_string(json, "proto", "TCP");
    expect_string(json, "dpt", "443");
    cr_expect(!json_object_get(json, "dst") && !json_object_get(json, "filePath"));
    json_decref(json);
}

Test(deliver_format, cef_values_end_at_their_length_and_at_a_character)
{
    char output[2048];
    for (size_t i = 0; i + 2 < sizeof(output); i += 2)
        memcpy(output + i, "\xc3\xa9", 3);
    _cleanup_text_ struct text text = written(FORMAT_CEF, item_with("r", output));
    json_t *json = parse_cef(text_string(&text));
    cr_assert(json);
    cr_assert_eq(json_string_length(json_object_get(json, "msg")), 1022);
    json_decref(json);
}

// --- RFC 5424 ---

static struct text syslog_written(const struct format_syslog *options, struct item item, bool *ret_cut)
{
    struct text text = TEXT_INIT(1 << 20);
    cr_assert_eq(format_syslog(options, &item, "elsewhere", &text, ret_cut), 0);
    cr_assert(parse_is_line(&text), "%s", text_string(&text));
    json_decref(item.json);
    return text;
}

Test(deliver_format, syslog_message)
{
    struct format_syslog options = {.facility = 3, .format = FORMAT_TEXT, .max = 8192};
    bool is_cut = true;
    _cleanup_text_ struct text text = syslog_written(&options, item_of(shell, PRIORITY_WARNING), &is_cut);
    cr_assert_str_eq(text_string(&text),
                     "<28>1 2025-11-21T08:07:58.123456Z node1 inferscope - alert "
                     "[inferscope@32473 uuid=\"" UUID
                     "\" sequence=\"7\" rule=\"Inference server starts shell\" "
                     "priority=\"Warning\" source=\"syscall\" tags=\"shell,T1059.004,mitre_execution\"]"
                     "[origin software=\"inferscope\" swVersion=\"" INFERSCOPE_VERSION "\"] "
                     "\xef\xbb\xbf"
                     "09:07:58.123456789: Warning Shell started (user=root command=bash -c a=b)");
    cr_assert(!is_cut);
}

Test(deliver_format, syslog_escapes_parse_back)
{
    struct format_syslog options = {.facility = 23, .format = FORMAT_JSON, .max = 8192};
    bool is_cut;
    struct item item = item_with("a\"b\\c]d\ne", "o");
    json_object_set_new(item.json, "hostname", json_string("my host\xc3\xa9"));
    _cleanup_text_ struct text text = syslog_written(&options, item, &is_cut);
    struct syslog_message parsed;
    cr_assert(parse_syslog(text_string(&text), &parsed), "%s", text_string(&text));
    cr_expect_eq(parsed.priority, 23 * 8 + 3);
    cr_expect_str_eq(parsed.hostname, "my_host__");
    cr_expect_str_eq(parsed.application, "inferscope");
    expect_string(parsed.data, "inferscope@32473 rule", "a\"b\\c]d\\x0ae");
    expect_string(parsed.data, "inferscope@32473 uuid", UUID);
    // Of JSON the first byte is the brace: whoever parses it expects no mark before it.
    cr_expect_eq(parsed.message[0], '{');
    json_t *json = json_loads(parsed.message, 0, NULL);
    expect_string(json, "rule", "a\"b\\c]d\ne");
    json_decref(json);
    json_decref(parsed.data);
}

Test(deliver_format, syslog_is_cut_at_a_character_and_says_so)
{
    char output[2048];
    for (size_t i = 0; i + 2 < sizeof(output); i += 2)
        memcpy(output + i, "\xc3\xa9", 3);
    for (size_t max = 1000; max < 1004; max++) {
        struct format_syslog options = {.facility = 0, .format = FORMAT_TEXT, .max = max};
        bool is_cut = false;
        _cleanup_text_ struct text text = syslog_written(&options, item_with("r", output), &is_cut);
        cr_expect(is_cut);
        cr_expect(text.length == max || text.length == max - 1);
    }
}

Test(deliver_format, syslog_without_room_for_its_structured_data_is_none)
{
    struct format_syslog options = {.facility = 0, .format = FORMAT_TEXT, .max = 100};
    bool is_cut = false;
    struct item item = item_of(shell, PRIORITY_WARNING);
    _cleanup_text_ struct text text = TEXT_INIT(1000);
    cr_assert_eq(format_syslog(&options, &item, "h", &text, &is_cut), -EMSGSIZE);
    cr_assert_eq(text.length, 0);
    json_decref(item.json);
}

Test(deliver_format, facilities)
{
    unsigned facility;
    cr_assert(format_facility("kern", &facility) == 0 && facility == 0);
    cr_assert(format_facility("daemon", &facility) == 0 && facility == 3);
    cr_assert(format_facility("authpriv", &facility) == 0 && facility == 10);
    cr_assert(format_facility("local7", &facility) == 0 && facility == 23);
    cr_assert_eq(format_facility("nobody", &facility), -EINVAL);
    cr_assert_eq(facility, 23);
}
