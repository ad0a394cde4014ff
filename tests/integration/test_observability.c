// What deploy/ gives Prometheus and Grafana fits the agent: each name in a rule, a dashboard or a runbook is
// one that a running agent exports, each expression is one that Prometheus takes, each alert has its page.
#include "api_pair.h"
#include "prometheus.h"
#include "promql.h"
#include "servers.h"
#include "tls.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(observability, TEST_SUITE, .timeout = 300);

// --- The names that there are ---

static struct {
    json_t *metrics, *labels; // objects with these names as keys
    char *rules;              // default.yaml
    struct prometheus prometheus;
} known;

static void know(json_t *names, const char *name)
{
    json_object_set_new(names, name, json_true());
}

static void know_family(const char *name, const char *type)
{
    if (strcmp(type, "histogram") != 0) {
        know(known.metrics, name);
        return;
    }
    static const char *const parts[] = {"bucket", "sum", "count"};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        know(known.metrics, format_text("%s_%s", name, parts[i]));
}

// A sample's labels: the words before ="; a value has no such thing after its escapes.
static void know_labels(char *line)
{
    for (char *at = strchr(line, '{'); at && *at != '}';) {
        char *name = at + 1, *end = strstr(name, "=\"");
        if (!end)
            return;
        *end = '\0';
        know(known.labels, name);
        for (at = end + 2; *at && *at != '"'; at++)
            at += *at == '\\';
        at += *at == '"';
    }
}

static void know_exported(struct agent *agent)
{
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char name[256], type[32];
        if (sscanf(line, "# TYPE %255s %31s", name, type) == 2)
            know_family(name, type);
        else if (*line != '#')
            know_labels(line);
    }
}

// Also what needs a GPU, a runtime or a container to have a sample: as the agent describes it, and
// docs/METRICS.md has it.
static void know_described(void)
{
    _cleanup_free_ char *listed = NULL;
    cr_assert_eq(run_captured(&listed, agent_path(), "list", "metrics", "--format", "markdown", NULL), 0,
                 "%s", listed);
    char *rest = listed;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char name[256], type[32], labels[512] = "";
        if (sscanf(line, "| `%255[^`]` | %31s | %511[^|]", name, type, labels) < 2)
            continue;
        know_family(name, type);
        for (char *label = strtok(labels, " "); label; label = strtok(NULL, " "))
            know(known.labels, label);
    }
}

// What rules record has a name of its own, and a label that they add one, too.
static void know_recorded(const json_t *groups)
{
    size_t i, k;
    json_t *group, *rule;
    json_array_foreach(groups, i, group)
        json_array_foreach(json_object_get(group, "rules"), k,
                           rule) if (strcmp(json_string_value(json_object_get(rule, "type")), "recording") ==
                                     0) know(known.metrics, json_string_value(json_object_get(rule, "name")));
    static const char *const by_prometheus[] = {"instance", "job", "alertname", "alertstate", "severity"};
    for (size_t n = 0; n < ARRAY_SIZE(by_prometheus); n++)
        know(known.labels, by_prometheus[n]);
    know(known.metrics, "up");
    know(known.metrics, "ALERTS");
}

// --- Checking an expression ---

struct where {
    const char *file;
    size_t unknown;
    bool quiet;
};

static void check_name(enum promql_kind kind, const char *name, void *context)
{
    struct where *where = context;
    bool is_known = kind == PROMQL_METRIC ? json_object_get(known.metrics, name) != NULL
                    : kind == PROMQL_LABEL
                        ? json_object_get(known.labels, name) != NULL
                        : strstr(known.rules, format_text("\n- rule: %s\n", name)) || strchr(name, '$');
    static const char *const kinds[] = {"metric", "label", "rule"};
    where->unknown += !is_known;
    cr_expect(is_known || where->quiet, "%s: no agent has the %s %s", where->file, kinds[kind], name);
}

// Grafana's variables, as it would fill them in.
static char *fill_in(const char *expression)
{
    static const char *const variables[][2] = {{"$__rate_interval", "5m"},
                                               {"$__range", "1h"},
                                               {"$instance", ".*"},
                                               {"$model", ".*"},
                                               {"$rule", ".*"}};
    char *filled = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&filled, &size);
    for (const char *p = expression; *p;) {
        size_t i = 0, length = 0;
        for (; i < ARRAY_SIZE(variables); i++) {
            length = strlen(variables[i][0]);
            if (strncmp(p, variables[i][0], length) == 0)
                break;
        }
        if (i == ARRAY_SIZE(variables)) {
            fputc(*p++, stream);
            continue;
        }
        fputs(variables[i][1], stream);
        p += length;
    }
    fclose(stream);
    return filled;
}

static void check_expression(const char *file, const char *expression)
{
    struct where where = {.file = file};
    promql_names(expression, check_name, &where);
    _cleanup_free_ char *filled = fill_in(expression);
    json_t *result = prometheus_query(&known.prometheus, filled);
    cr_expect(result, "%s: Prometheus does not take %s", file, filled);
    json_decref(result);
}

static size_t unknown_in(const char *expression)
{
    struct where where = {.file = "test", .quiet = true};
    promql_names(expression, check_name, &where);
    return where.unknown;
}

// --- Rules and their runbooks ---

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

// Lines between ```promql and ``` are an expression each.
static void check_runbook_queries(const char *path, char *text)
{
    bool inside = false;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (strncmp(line, "```", 3) == 0)
            inside = strcmp(line, "```promql") == 0;
        else if (inside)
            check_expression(path, line);
    }
}

static void check_runbook(const char *path, const char *alert, const char *severity)
{
    static const char *const parts[] = {"Meaning", "Impact", "Diagnosis", "Mitigation", "Escalation"};
    _cleanup_free_ char *text = read_whole_file(path);
    cr_expect(text, "%s has no runbook %s", alert, path);
    if (!text)
        return;
    const char *title = format_text("# %s (%s)\n", alert, severity);
    cr_expect_eq(strncmp(text, title, strlen(title)), 0, "%s does not begin with %s", path, title);
    const char *at = text;
    for (size_t i = 0; at && i < ARRAY_SIZE(parts); i++) {
        at = strstr(at, format_text("\n## %s\n", parts[i]));
        cr_expect(at, "%s has no %s, or not in that place", path, parts[i]);
    }
    check_runbook_queries(path, text);
}

static void check_alert(const json_t *rule)
{
    const char *name = string_of(rule, "name");
    const json_t *annotations = json_object_get(rule, "annotations");
    const char *severity = string_of(json_object_get(rule, "labels"), "severity");
    const char *runbook = string_of(annotations, "runbook_url");
    cr_expect(strlen(severity) == 2 && severity[0] == 'P' && strchr("1234", severity[1]), "%s: severity '%s'",
              name, severity);
    cr_expect(*string_of(annotations, "summary") && *string_of(annotations, "description"), "%s says nothing",
              name);
    cr_expect_str_eq(runbook, format_text("docs/runbooks/%s.md", name));
    check_runbook(runbook, name, severity);
}

static size_t files_in(const char *directory)
{
    size_t count = 0;
    DIR *entries = opendir(directory);
    cr_assert(entries);
    for (const struct dirent *entry; (entry = readdir(entries));)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

static void check_rules(const json_t *groups)
{
    size_t i, k, alerts = 0;
    json_t *group, *rule;
    json_array_foreach(groups, i, group)
    {
        json_array_foreach(json_object_get(group, "rules"), k, rule)
        {
            check_expression(string_of(rule, "name"), string_of(rule, "query"));
            if (strcmp(string_of(rule, "type"), "alerting") != 0)
                continue;
            check_alert(rule);
            alerts++;
        }
    }
    cr_expect_gt(alerts, 0);
    // Each alert has a page, so as many pages as alerts means that there are no others.
    cr_expect_eq(files_in("docs/runbooks"), alerts, "a page of docs/runbooks/ has no alert");
}

// --- Dashboards ---

// Two panels at one place hide one another.
static bool overlap(const json_t *left, const json_t *right)
{
#define AT(panel, key) json_integer_value(json_object_get(json_object_get(panel, "gridPos"), key))
    return AT(left, "x") < AT(right, "x") + AT(right, "w") &&
           AT(right, "x") < AT(left, "x") + AT(left, "w") &&
           AT(left, "y") < AT(right, "y") + AT(right, "h") && AT(right, "y") < AT(left, "y") + AT(left, "h");
}

static void check_panel(const char *path, const json_t *panels, size_t index)
{
    const json_t *panel = json_array_get(panels, index), *targets = json_object_get(panel, "targets");
    bool is_row = strcmp(string_of(panel, "type"), "row") == 0;
    size_t i;
    json_t *target;
    cr_expect(*string_of(panel, "title"), "%s: panel %zu has no title", path, index);
    cr_expect(is_row || json_array_size(targets) > 0, "%s: panel %zu asks for nothing", path, index);
    for (size_t other = 0; other < index; other++) {
        const json_t *before = json_array_get(panels, other);
        cr_expect(!json_equal(json_object_get(before, "id"), json_object_get(panel, "id")) &&
                      !overlap(before, panel),
                  "%s: %s is in the place of %s, or has its id", path, string_of(panel, "title"),
                  string_of(before, "title"));
    }
    json_array_foreach(targets, i, target)
    {
        cr_expect_str_eq(string_of(json_object_get(target, "datasource"), "uid"), "${datasource}");
        check_expression(path, string_of(target, "expr"));
    }
}

// label_values(METRIC, LABEL)
static void check_variable(const char *path, const json_t *variable)
{
    const char *query = string_of(variable, "definition");
    char metric[128], label[128];
    struct where where = {.file = path};
    cr_assert_eq(sscanf(query, "label_values(%127[^,], %127[^)])", metric, label), 2, "%s: %s", path, query);
    check_name(PROMQL_METRIC, metric, &where);
    check_name(PROMQL_LABEL, label, &where);
}

static void check_dashboard(const char *path)
{
    json_error_t error;
    json_t *dashboard = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *variable;
    cr_assert(dashboard, "%s:%d: %s", path, error.line, error.text);
    json_t *panels = json_object_get(dashboard, "panels");
    json_t *variables = json_object_get(json_object_get(dashboard, "templating"), "list");
    size_t i, of_the_node = 0;
    cr_expect(*string_of(dashboard, "title") && *string_of(dashboard, "uid"));
    cr_expect_geq(json_integer_value(json_object_get(dashboard, "schemaVersion")), 36);
    cr_expect_str_eq(string_of(json_array_get(variables, 0), "type"), "datasource");
    json_array_foreach(variables, i, variable)
    {
        of_the_node += strcmp(string_of(variable, "name"), "instance") == 0;
        if (strcmp(string_of(variable, "type"), "query") == 0)
            check_variable(path, variable);
    }
    cr_expect_eq(of_the_node, 1);
    cr_expect_gt(json_array_size(panels), 0);
    for (i = 0; i < json_array_size(panels); i++)
        check_panel(path, panels, i);
    json_decref(dashboard);
}

// --- An agent that has had something to count of each kind ---

static const char *write_config(void)
{
    const char *path = test_path("agent.yaml");
    write_file(path, format_text("inference: {enabled: true}\n"
                                 "syscall_latency: [read]\n"
                                 "noise: {window: 10s}\n"
                                 "spool: {directory: %s, size: 8MiB}\n"
                                 "audit: {path: %s}\n"
                                 "outputs:\n"
                                 "  - {type: stdout, format: json}\n",
                                 test_path("spool"), test_path("audit.log")));
    return path;
}

// An answer, an error, a stream whose client leaves, and a request that is no inference.
static void serve(struct agent *agent)
{
    struct pair pair = open_pair(), left = open_pair();
    ask(&pair, request_to("/v1/chat/completions", "", CHAT_BODY));
    answer(&pair, HEAD);
    answer(&pair, chunk(TOKEN TOKEN TOKEN LAST USAGE DONE));
    answer(&pair, "0\r\n\r\n");
    ask(&pair, request_to("/v1/chat/completions", "", CHAT_BODY));
    answer(&pair, json_answer(503, "{}"));
    ask(&pair, "GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n");
    answer(&pair, json_answer(200, "{}"));
    ask(&left, request_to("/v1/chat/completions", "", CHAT_BODY));
    answer(&left, HEAD);
    answer(&left, chunk(TOKEN));
    close_pair(&left);
    cr_assert_eq(wait_metric(agent, "inferscope_inference_requests_total", pair.sport, 2), 2);
    cr_assert_eq(wait_metric(agent, "http_server_request_duration_seconds_count", pair.sport, 1), 1);
    cr_assert_eq(wait_metric(agent, "inferscope_inference_abandoned_requests_total", left.sport, 1), 1);
    close_pair(&pair);
}

// One call of a model API over TLS.
static void call(struct agent *agent)
{
    char path[PATH_MAX];
    cr_assert(realpath("/proc/self/exe", path));
    *strrchr(path, '/') = '\0';
    tls_make_certificate(test_path("cert.pem"), test_path("key.pem"));
    const char *arguments[] = {format_text("%s/tls-server", path), test_path("cert.pem"),
                               test_path("key.pem"), NULL};
    _cleanup_server_ struct server *server = server_start_program("tls-server", arguments);
    const char *bodies[] = {CHAT_BODY, NULL};
    agent_wait_looked(agent);
    struct load load = {.port = server_port(server),
                        .tls = true,
                        .route = "/v1/chat/completions",
                        .bodies = bodies,
                        .requests = 1,
                        .at_once = 1};
    answers_free(load_run(&load), 1);
    const char *port = format_text("%u", server_port(server));
    cr_assert_eq(wait_metric(agent, "gen_ai_client_operation_duration_seconds_count", port, 1), 1);
}

static const char *rule_files(void)
{
    char directory[PATH_MAX];
    cr_assert(realpath("deploy/prometheus/rules", directory));
    return format_text("rule_files: ['%s/*.yaml']\n", directory);
}

static void check_checker(void)
{
    cr_expect_eq(unknown_in("rate(inferscope_alerts_total{rule=\"Shell in a container\"}[5m]) > 1e3"), 0);
    cr_expect_eq(
        unknown_in("sum by (instance) (up) - on (job, instance) group_left () up{job=~'a|b{'} * 1.5"), 0);
    cr_expect_eq(unknown_in("rate(inferscope_no_such_total[5m])"), 1);
    cr_expect_eq(unknown_in("sum(no_such) by (no_label) or up{no_label_either=\"x\"}"), 3);
    cr_expect_eq(unknown_in("gen_ai_server_token_usage"), 1, "a histogram has no series of its own name");
    cr_expect_eq(unknown_in("inferscope_alerts_total{rule=~\"Shell in a container|Shell in a bottle\"}"), 1);
}

Test(observability, names_only_what_the_agent_exports)
{
    if (access("deploy/prometheus/rules", R_OK) || access("docs/runbooks", R_OK))
        cr_skip_test("deploy/ and docs/ are not here");
    if (!is_installed("prometheus"))
        cr_skip_test("prometheus is not installed");
    _cleanup_agent_ struct agent *agent = agent_start(RULES_BUILT_IN, "--config", write_config(), NULL);
    _cleanup_prometheus_ struct prometheus prometheus = {};
    prometheus_start(&prometheus, agent, rule_files());
    if (agent_metric(agent, "inferscope_source_up", "source", "api", NULL) != 1 ||
        agent_metric(agent, "inferscope_source_up", "source", "tls", NULL) != 1) {
        prometheus_stop(&prometheus);
        agent_stop(TAKE_PTR(agent));
        cr_skip_test("this kernel cannot follow requests");
    }
    serve(agent);
    call(agent);
    json_t *rules = prometheus_get(&prometheus, "/api/v1/rules"), *groups = json_object_get(rules, "groups");
    known.metrics = json_object();
    known.labels = json_object();
    known.rules = read_whole_file("user/rule/default.yaml");
    known.prometheus = prometheus;
    know_exported(agent);
    know_described();
    know_recorded(groups);

    check_checker();
    check_rules(groups);
    DIR *dashboards = opendir("deploy/grafana");
    cr_assert(dashboards);
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(dashboards));) {
        if (entry->d_name[0] == '.')
            continue;
        check_dashboard(format_text("deploy/grafana/%s", entry->d_name));
        count++;
    }
    closedir(dashboards);
    cr_expect_gt(count, 0);
    json_decref(rules);
    json_decref(known.metrics);
    json_decref(known.labels);
    free(known.rules);
}
