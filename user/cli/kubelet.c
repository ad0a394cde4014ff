#include "deliver/kubelet.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/privilege.h"
#include "cli.h"
#include "handed.h"

#include <signal.h>
#include <string.h>

static const char usage[] =
    "Usage: agent kubelet --config FILE   asks the kubelet of the file once, and says what comes of it\n"
    "       agent kubelet                 asks it for the agent, which starts it with what it needs open\n";

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
    struct cli_handed handed;
    int code;
    if (!cli_handed_take(argc, argv, usage, KUBELET_CONFIG, &handed, &code))
        return code;
    struct config *config _cleanup_(config_free) = handed.config;
    if (!config->kubelet.url) {
        log_error("the configuration has no kubelet.url");
        return 1;
    }
    if (handed.path)
        return ask_once(&config->kubelet);
    signal(SIGPIPE, SIG_IGN);
    offer_itself();
    int error = privilege_drop_all();
    if (!error)
        error = kubelet_run(&config->kubelet, KUBELET_FRAMES, KUBELET_NEWS);
    if (error)
        log_error("the kubelet is asked no longer: %s", strerror(-error));
    return error ? 1 : 0;
}
