#include "deliver/kubelet.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/privilege.h"
#include "cli.h"
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "Usage: agent kubelet --config FILE   asks the kubelet of the file once, and says what comes of it\n"
    "       agent kubelet                 asks it for the agent, which starts it with what it needs open\n";

static int read_config_fd(struct config **ret_config)
{
    struct stat status;
    if (fstat(KUBELET_CONFIG, &status))
        return -errno;
    if (status.st_size > CONFIG_FILE_MAX)
        return -EFBIG;
    size_t size = (size_t)status.st_size;
    _cleanup_free_ char *text = malloc(size + 1);
    if (!text)
        return -ENOMEM;
    ssize_t length = pread(KUBELET_CONFIG, text, size, 0);
    return length < 0 ? -errno : config_parse("agent.yaml", text, (size_t)length, stderr, ret_config);
}

static int ask_once(const struct config_kubelet *kubelet)
{
    _cleanup_text_ struct text list = TEXT_INIT(PODS_FRAME_MAX);
    char why[512];
    unsigned left_out = 0;
    if (kubelet_ask(kubelet, &list, &left_out, why, sizeof(why)) != PODS_LISTED) {
        log_error("the kubelet %s does not tell its pods: %s", kubelet->url, why);
        return 1;
    }
    int error = pods_take(list.data, list.length);
    list.data = NULL;
    if (error) {
        log_error("cannot read the list: %s", strerror(-error));
        return 1;
    }
    printf("%zu pods, %u left out\n", pods_count(), left_out);
    pods_forget();
    return 0;
}

// Where memory is short, this process goes and not the agent.
static void offer_itself(void)
{
    _cleanup_fclose_ FILE *file = fopen("/proc/self/oom_score_adj", "we");
    if (file)
        fputs("1000", file);
}

int cli_kubelet(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {}};
    const char *path = NULL;
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option == 'h')
            fputs(usage, stdout);
        if (option != 'c') {
            fputs(option == 'h' ? "" : usage, stderr);
            return option == 'h' ? 0 : CLI_USAGE;
        }
        path = optarg;
    }
    if (optind != argc) {
        fputs(usage, stderr);
        return CLI_USAGE;
    }
    struct config *config _cleanup_(config_free) = NULL;
    int error = path ? config_load(path, stderr, NULL, NULL, &config) : read_config_fd(&config);
    if (error && !path)
        log_error("cannot use what the agent handed over: %s", strerror(-error));
    if (error)
        return 1;
    if (!config->kubelet.url) {
        log_error("the configuration has no kubelet.url");
        return 1;
    }
    if (path)
        return ask_once(&config->kubelet);
    signal(SIGPIPE, SIG_IGN);
    offer_itself();
    error = privilege_drop_all();
    if (!error)
        error = kubelet_run(&config->kubelet, KUBELET_FRAMES, KUBELET_NEWS);
    if (error)
        log_error("the kubelet is asked no longer: %s", strerror(-error));
    return error ? 1 : 0;
}
