#include "api.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/privilege.h"
#include "base/text.h"
#include "cli.h"
#include "deliver/receiver.h"
#include "enrich.h"
#include "metric.h"
#include "metric/served_by.h"
#include "options.h"
#include "pipeline.h"
#include "record.h"
#include "rule_choice.h"
#include "source.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool check_syscall(const char *item, const char *shown, struct text *sentence)
{
    if (source_syscall_exists(item))
        return true;
    text_addf(sentence, "there is no system call \"%s\" here", shown);
    return false;
}

static bool check_route(const char *item, const char *shown, struct text *sentence)
{
    if (api_route_valid(item, strlen(item)))
        return true;
    text_addf(sentence,
              "\"%s\" is no path; one * may stand for its second or third part, as in /models/*/ask", shown);
    return false;
}

static const char *lacking_output(enum config_output_type type)
{
    return receiver_type_of(type) ? NULL : "this agent was built without Kafka; make KAFKA=1 builds it in";
}

static bool check_range(const char *item, const char *shown, struct text *sentence)
{
    if (source_network_range_valid(item))
        return true;
    text_addf(sentence, "\"%s\" is no range of addresses such as 10.244.0.0/16 or fd00:10::/64", shown);
    return false;
}

int cli_register_tables(void)
{
    int error = enrich_register_fields();
    if (!error)
        error = source_register_all();
    if (error)
        log_error("the tables of events and fields do not agree: %s", strerror(-error));
    config_set_check("syscall_latency", check_syscall);
    config_set_check("inference.routes", check_route);
    config_set_lacking(lacking_output);
    config_set_check("network.cluster", check_range);
    return error ? 1 : 0;
}

static bool use_color(enum config_color when)
{
    return when == COLOR_AUTO ? isatty(STDOUT_FILENO) && !getenv("NO_COLOR") : when == COLOR_ALWAYS;
}

int cli_parse_color(const char *when, bool *ret_color)
{
    if (strcmp(when, "auto") == 0)
        *ret_color = use_color(COLOR_AUTO);
    else if (strcmp(when, "always") == 0 || strcmp(when, "never") == 0)
        *ret_color = when[0] == 'a';
    else {
        log_error("--color is auto, always or never, not \"%s\"", when);
        return -EINVAL;
    }
    return 0;
}

// What a run has, from the command line to its end.
struct run {
    struct cli_options options;
    struct config *config;
    char *text; // of the configuration file; NULL: there is none
    size_t length;
    struct rule_plan plan;
    metric_describe_fn describe; // instead of running; NULL: it runs
    void *describe_context;
};

static void run_free(struct run *run)
{
    rule_plan_free(&run->plan);
    config_free(&run->config);
    free(run->text);
}

// A directory that is not there would hide containers, users and host files without a word. 0 or an exit
// code.
static int set_host_root(const char *path, const char **ret_root)
{
    struct stat status;
    int error = stat(path, &status) ? errno : S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
    if (error) {
        log_error("--host-root (host_root) %s: %s", path, strerror(error));
        return 1;
    }
    *ret_root = strcmp(path, "/") == 0 ? "" : path;
    return 0;
}

static int set_pipeline(struct run *run, struct pipeline_options *pipeline)
{
    const struct config *config = run->config;
    for (size_t i = 0; i < config->inference_routes.count; i++)
        if (api_route_add(config->inference_routes.items[i], strlen(config->inference_routes.items[i]))) {
            log_error("there is no room for the route %s", config->inference_routes.items[i]);
            return 1;
        }
    served_by_forget_pod_labels();
    for (size_t i = 0; i < config->inference_pod_labels.count; i++) {
        const char *name = config->inference_pod_labels.items[i];
        int error = served_by_add_pod_label(name);
        if (error) {
            log_error("inference.pod_labels: \"%s\" %s", name,
                      error == -EEXIST ? "would be the same label of a metric as another one"
                                       : "is too long");
            return 1;
        }
    }
    if (config->sched && !config->inference) {
        log_error("sched.enabled: it measures inference processes, which nobody looks for; set "
                  "inference.enabled, too");
        return 1;
    }
    *pipeline = (struct pipeline_options){
        .matching = config->rules_match_all ? RULE_MATCHING_ALL : RULE_MATCHING_FIRST,
        .syscalls = config->syscall_latency.count ? config->syscall_latency.items : NULL,
        .inference = config->inference,
        .egress = config->egress,
        .probes = config->probes,
        .probes_count = config->probes_count,
        .probes_budget = config->probes_budget,
        .network = config->network,
        .sched = config->sched,
        .cluster = config->network_cluster.count ? config->network_cluster.items : NULL,
        .no_body_values = !config->body_values,
        .listen = config->listen,
        .ring_size = config->ring_size,
        .record_fd = -1,
        .everything = run->options.everything,
        .alerts_fd = STDOUT_FILENO,
        .json = config->json,
        .color = use_color(config->color),
    };
    if (config->debug)
        log_set_level(LOG_LEVEL_DEBUG);
    return set_host_root(config->host_root, &pipeline->host_root);
}

static int read_again(void *context, char **ret_text, size_t *ret_length, struct config **ret_config)
{
    const struct run *run = context;
    return cli_options_config(&run->options, ret_text, ret_length, ret_config);
}

static void describe_all(void *context)
{
    const struct run *run = context;
    metric_describe(run->describe, run->describe_context);
}

// Loads the rules, sees to it that the kernel can be watched, and does so, recording into a file where one is
// named.
static int run_pipeline(struct run *run, const char *what, const char *recording)
{
    struct pipeline_options pipeline;
    struct rule_set *rules _cleanup_(rule_set_free) = NULL;
    int code = set_pipeline(run, &pipeline);
    if (code)
        return code;
    bool with_rules = run->config->rules_enabled;
    if (with_rules && (rule_plan_configure(&run->plan, run->config) ||
                       rule_plan_load(&run->plan, "nothing was started", &rules)))
        return 1;
    rule_choice_check(&run->plan.options);
    if (!privilege_can_load()) {
        log_error(
            "watching the kernel needs root (or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN): try sudo agent %s",
            what);
        return 1;
    }
    _cleanup_close_ int record_fd = -1;
    if (recording && record_create(recording, &record_fd))
        return 1;
    pipeline.record_fd = record_fd;
    if (recording && strcmp(recording, "-") == 0)
        pipeline.alerts_fd = -1;
    if (with_rules && run->config->rules_reload && !recording)
        pipeline.plan = &run->plan;
    pipeline.rules = TAKE_PTR(rules);
    pipeline.loaded_from = with_rules ? &run->plan : NULL;
    pipeline.config = run->config;
    pipeline.config_text = run->text;
    pipeline.config_size = run->length;
    pipeline.read_config = run->options.path || run->describe ? read_again : NULL;
    pipeline.read_config_context = run;
    pipeline.instead = run->describe ? describe_all : NULL;
    pipeline.instead_context = run;
    return pipeline_run(&pipeline);
}

// All that makes metrics, in a directory of its own.
static const char everything_text[] = "rules: {reload: true}\n"
                                      "listen: none\n"
                                      "syscall_latency: [getpid]\n"
                                      "inference: {enabled: true}\n"
                                      "network: {enabled: true}\n"
                                      "sched: {enabled: true}\n"
                                      "egress: {enabled: true}\n"
                                      "kubelet: {url: 'https://127.0.0.1:10250'}\n"
                                      "spool: {directory: %1$s/spool, size: 8MiB}\n"
                                      "audit: {path: %1$s/audit}\n"
                                      "outputs: [{type: file, path: %1$s/alerts}]\n"
                                      "noise: {window: 1m}\n";

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    return remove(path);
}

int cli_describe_metrics(metric_describe_fn describe, void *context)
{
    struct run run _cleanup_(run_free) = {.options.everything = true};
    char directory[] = "/tmp/inferscope.XXXXXX";
    run.describe = describe;
    run.describe_context = context;
    if (!mkdtemp(directory)) {
        log_error("cannot make a directory below /tmp: %s", strerror(errno));
        return 1;
    }
    int length = asprintf(&run.text, everything_text, directory);
    run.length = length > 0 ? (size_t)length : 0;
    int code = length < 0 || config_parse("metrics", run.text, run.length, stderr, &run.config) ? 1 : 0;
    log_set_level(LOG_LEVEL_ERROR);
    if (!code)
        code = run_pipeline(&run, "list metrics", NULL);
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return code;
}

static int read_config(struct run *run)
{
    int error = cli_options_config(&run->options, &run->text, &run->length, &run->config);
    if (error && run->options.path)
        log_error("the configuration is not usable; nothing was started");
    return !error ? 0 : error == -EINVAL && !run->options.path ? CLI_USAGE : 1;
}

int cli_run(int argc, char **argv)
{
    struct run run _cleanup_(run_free) = {};
    int code = cli_options_parse(argc, argv, &run.options);
    if (code)
        return code;
    run.options.files = run.options.words;
    run.options.files_count = run.options.words_count;
    code = read_config(&run);
    if (code)
        return code;
    const struct config *config = run.config;
    bool metrics = config->syscall_latency.count || config->inference || config->egress || config->network ||
                   config->probes_count;
    if (!config->rules_enabled && (run.options.files_count || !metrics)) {
        log_error("nothing to do: say --config, --rules, --inference, --network, --egress or "
                  "--syscall-latency; see: "
                  "agent --help");
        return CLI_USAGE;
    }
    const char *what = run.options.path        ? "--config …"
                       : config->rules_enabled ? "--rules"
                       : config->inference     ? "--inference"
                       : config->network       ? "--network"
                                               : "--syscall-latency …";
    return run_pipeline(&run, what, NULL);
}

int cli_record(int argc, char **argv)
{
    struct run run _cleanup_(run_free) = {.options.recording = true};
    int code = cli_options_parse(argc, argv, &run.options);
    if (code)
        return code;
    if (!run.options.words_count) {
        log_error("where is the recording to go? agent record FILE [RULES…]; see: agent --help");
        return CLI_USAGE;
    }
    run.options.files = run.options.words + 1;
    run.options.files_count = run.options.words_count - 1;
    code = read_config(&run);
    return code ? code : run_pipeline(&run, "record …", run.options.words[0]);
}
