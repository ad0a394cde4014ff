#include "api.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/privilege.h"
#include "cli.h"
#include "enrich.h"
#include "pipeline.h"
#include "record.h"
#include "rule_choice.h"
#include "source.h"
#include "wire/syscall.h"

#include <errno.h>
#include <string.h>

int cli_register_tables(void)
{
    int error = enrich_register_fields();
    if (!error)
        error = source_register_all();
    if (error)
        log_error("the tables of events and fields do not agree: %s", strerror(-error));
    return error ? 1 : 0;
}

enum {
    OPT_RULES = 256,
    OPT_JSON,
    OPT_LISTEN,
    OPT_SYSCALL_LATENCY,
    OPT_INFERENCE,
    OPT_INFERENCE_ROUTES,
    OPT_NO_BODY_VALUES,
    OPT_RULE_MATCHING,
    OPT_RING_SIZE,
    OPT_HOST_ROOT,
    OPT_COLOR,
    OPT_DEBUG,
    OPT_NO_RELOAD,
    OPT_EVERYTHING,
};

static const struct option long_options[] = {
    {"rules", no_argument, NULL, OPT_RULES},
    {"json", no_argument, NULL, OPT_JSON},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"syscall-latency", required_argument, NULL, OPT_SYSCALL_LATENCY},
    {"inference", no_argument, NULL, OPT_INFERENCE},
    {"inference-routes", required_argument, NULL, OPT_INFERENCE_ROUTES},
    {"no-body-values", no_argument, NULL, OPT_NO_BODY_VALUES},
    {"rule-matching", required_argument, NULL, OPT_RULE_MATCHING},
    {"ring-size", required_argument, NULL, OPT_RING_SIZE},
    {"host-root", required_argument, NULL, OPT_HOST_ROOT},
    {"color", required_argument, NULL, OPT_COLOR},
    {"debug", no_argument, NULL, OPT_DEBUG},
    {"no-reload", no_argument, NULL, OPT_NO_RELOAD},
    {"everything", no_argument, NULL, OPT_EVERYTHING},
    RULE_CHOICE_OPTIONS,
    {},
};

struct run_options {
    struct pipeline_options pipeline;
    struct rule_plan plan;
    bool with_rules;
    bool recording; // `agent record`
    bool no_reload;
    char *syscalls[WIRE_SYSCALL_CALLS_MAX + 1]; // into the command line
};

// Splits the list in place and refuses what could not be watched.
static int parse_syscalls(char *list, struct run_options *options)
{
    size_t count = 0;
    for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
        if (!source_syscall_exists(name)) {
            log_error("--syscall-latency: there is no system call \"%s\" here", name);
            return -EINVAL;
        }
        if (count == WIRE_SYSCALL_CALLS_MAX) {
            log_error("--syscall-latency takes at most %d calls", WIRE_SYSCALL_CALLS_MAX);
            return -EINVAL;
        }
        options->syscalls[count++] = name;
    }
    options->syscalls[count] = NULL;
    if (count == 0) {
        log_error("--syscall-latency takes the names of system calls, such as read,futex");
        return -EINVAL;
    }
    options->pipeline.syscalls = options->syscalls;
    return 0;
}

static int parse_routes(const char *list)
{
    while (*list) {
        size_t length = strcspn(list, ",");
        int error = api_route_add(list, length);
        if (error == -ENOSPC) {
            log_error("--inference-routes takes no more routes than there is room for: leave out \"%s\"",
                      list);
            return error;
        }
        if (error) {
            log_error(
                "--inference-routes: \"%.*s\" is no path; one * may stand for its second or third part, "
                "as in /models/*/ask",
                (int)length, list);
            return error;
        }
        list += length + (list[length] == ',');
    }
    return 0;
}

int cli_parse_color(const char *when, bool *ret_color)
{
    if (strcmp(when, "auto") == 0)
        *ret_color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    else if (strcmp(when, "always") == 0 || strcmp(when, "never") == 0)
        *ret_color = when[0] == 'a';
    else {
        log_error("--color is auto, always or never, not \"%s\"", when);
        return -EINVAL;
    }
    return 0;
}

static int parse_ring_size(const char *text, size_t *ret_size)
{
    char *end;
    unsigned long mib = strtoul(text, &end, 10);
    if (*end || end == text || mib < 1 || mib > 1024) {
        log_error("--ring-size is a number of MiB from 1 to 1024, not \"%s\"", text);
        return -EINVAL;
    }
    *ret_size = mib << 20;
    return 0;
}

static int parse_option(int option, struct run_options *options)
{
    struct pipeline_options *pipeline = &options->pipeline;
    switch (option) {
    case OPT_RULES:
        options->with_rules = true;
        return 0;
    case OPT_JSON:
        pipeline->json = true;
        return 0;
    case OPT_LISTEN:
        pipeline->listen = strcmp(optarg, "none") == 0 ? NULL : optarg;
        return 0;
    case OPT_SYSCALL_LATENCY:
        return parse_syscalls(optarg, options);
    case OPT_INFERENCE_ROUTES:
        if (parse_routes(optarg))
            return -EINVAL;
        __attribute__((fallthrough));
    case OPT_INFERENCE:
        pipeline->inference = true;
        return 0;
    case OPT_NO_BODY_VALUES:
        pipeline->no_body_values = true;
        return 0;
    case OPT_RULE_MATCHING:
        return rule_choice_matching(optarg, &pipeline->matching);
    case OPT_RING_SIZE:
        return parse_ring_size(optarg, &pipeline->ring_size);
    case OPT_HOST_ROOT:
        pipeline->host_root = strcmp(optarg, "/") == 0 ? "" : optarg;
        return 0;
    case OPT_COLOR:
        return cli_parse_color(optarg, &pipeline->color);
    case OPT_DEBUG:
        log_set_level(LOG_LEVEL_DEBUG);
        return 0;
    case OPT_NO_RELOAD:
        options->no_reload = true;
        return 0;
    case OPT_EVERYTHING:
        if (options->recording) {
            pipeline->everything = true;
            return 0;
        }
        log_error("--everything is for recording: agent record FILE --everything");
        return -EINVAL;
    default:
        break;
    }
    int error = rule_choice_option(option, optarg, &options->plan.options);
    if (error == -ENOENT)
        fprintf(stderr, "agent: see: agent --help\n");
    return error;
}

static void run_options_free(struct run_options *options)
{
    rule_plan_free(&options->plan);
}

// 0 or an exit code.
static int parse_options(int argc, char **argv, struct run_options *options)
{
    options->pipeline = (struct pipeline_options){
        .listen = options->recording ? NULL : "127.0.0.1:9560",
        .host_root = "",
        .ring_size = 4 << 20,
        .record_fd = -1,
        .alerts_fd = STDOUT_FILENO,
    };
    options->plan.options = (struct rule_options)RULE_OPTIONS_INIT;
    cli_parse_color("auto", &options->pipeline.color);
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (parse_option(option, options))
            return CLI_USAGE;
    return 0;
}

// The rule files are what is left of the command line. Loads them, sees to it that the kernel can be watched,
// and does so, recording into a file where one is named.
static int run(struct run_options *options, const char *what, char **paths, int count, const char *recording)
{
    struct rule_set *rules _cleanup_(rule_set_free) = NULL;
    if (options->with_rules && (rule_plan_set(&options->plan, paths, (size_t)count) ||
                                rule_plan_load(&options->plan, "nothing was started", &rules)))
        return 1;
    rule_choice_check(&options->plan.options);
    if (!privilege_can_load()) {
        log_error(
            "watching the kernel needs root (or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN): try sudo agent %s",
            what);
        return 1;
    }
    _cleanup_close_ int record_fd = -1;
    if (recording && record_create(recording, &record_fd))
        return 1;
    options->pipeline.record_fd = record_fd;
    if (recording && strcmp(recording, "-") == 0)
        options->pipeline.alerts_fd = -1;
    if (options->with_rules && !options->no_reload && !recording)
        options->pipeline.plan = &options->plan;
    options->pipeline.rules = TAKE_PTR(rules);
    if (options->with_rules)
        options->pipeline.loaded_from = &options->plan;
    return pipeline_run(&options->pipeline);
}

int cli_run(int argc, char **argv)
{
    struct run_options options _cleanup_(run_options_free) = {};
    int code = parse_options(argc, argv, &options);
    if (code)
        return code;
    bool metrics = options.pipeline.syscalls || options.pipeline.inference;
    if (!options.with_rules && (optind < argc || !metrics)) {
        log_error("nothing to do: say --rules, --inference or --syscall-latency; see: agent --help");
        return CLI_USAGE;
    }
    const char *what = options.with_rules           ? "--rules"
                       : options.pipeline.inference ? "--inference"
                                                    : "--syscall-latency …";
    return run(&options, what, argv + optind, argc - optind, NULL);
}

int cli_record(int argc, char **argv)
{
    struct run_options options _cleanup_(run_options_free) = {.recording = true};
    int code = parse_options(argc, argv, &options);
    if (code)
        return code;
    if (optind == argc) {
        log_error("where is the recording to go? agent record FILE [RULES…]; see: agent --help");
        return CLI_USAGE;
    }
    options.with_rules = true;
    return run(&options, "record …", argv + optind + 1, argc - optind - 1, argv[optind]);
}
