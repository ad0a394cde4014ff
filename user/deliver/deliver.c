#include "deliver.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/outside.h"
#include "base/privilege.h"
#include "loop.h"
#include "queue.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

enum {
    LOOK_MS = 250,    // how often the spool is looked at when nobody says that there is more
    SAFETY_MS = 2000, // and when somebody does
    LAST_MS = 2000,   // from SIGTERM to the end, at most
    REST_MS = 20,     // how often it is seen after whether all is delivered
};

struct deliver {
    const struct deliver_options *options;
    struct loop *loop;
    struct queue *queues[CONFIG_OUTPUTS_MAX];
    char hostname[256];
    int signal_fd;
    struct loop_timer look, rest;
    bool ending;
    uint64_t end_ms;
};

static void wake_all(struct deliver *deliver)
{
    for (size_t i = 0; i < deliver->options->config->outputs_count; i++)
        queue_wake(deliver->queues[i]);
}

static void on_news(uint32_t events, void *context)
{
    struct deliver *deliver = context;
    char bytes[4096];
    if (read(deliver->options->news_fd, bytes, sizeof(bytes)) > 0)
        wake_all(deliver);
}

static void on_look(void *context)
{
    struct deliver *deliver = context;
    unsigned again = deliver->options->news_fd < 0 ? LOOK_MS : SAFETY_MS;
    wake_all(deliver);
    loop_timer_set(deliver->loop, &deliver->look, again, on_look, deliver);
}

static void on_rest(void *context)
{
    struct deliver *deliver = context;
    bool rests = true;
    for (size_t i = 0; i < deliver->options->config->outputs_count; i++)
        rests &= queue_rests(deliver->queues[i]);
    if (rests || loop_now_ms() >= deliver->end_ms)
        loop_stop(deliver->loop);
    else
        loop_timer_set(deliver->loop, &deliver->rest, REST_MS, on_rest, deliver);
}

static void end(struct deliver *deliver)
{
    if (deliver->ending) {
        loop_stop(deliver->loop);
        return;
    }
    deliver->ending = true;
    deliver->end_ms = loop_now_ms() + LAST_MS;
    for (size_t i = 0; i < deliver->options->config->outputs_count; i++)
        queue_hurry(deliver->queues[i]);
    on_rest(deliver);
}

static void on_signal(uint32_t events, void *context)
{
    struct deliver *deliver = context;
    struct signalfd_siginfo info;
    while (read(deliver->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGUSR1) {
            end(deliver);
            continue;
        }
        for (size_t i = 0; i < deliver->options->config->outputs_count; i++)
            queue_reopen(deliver->queues[i]);
    }
}

static int watch_signals(struct deliver *deliver)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return -errno;
    deliver->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (deliver->signal_fd < 0)
        return -errno;
    return loop_watch(deliver->loop, deliver->signal_fd, EPOLLIN, on_signal, deliver);
}

static int open_queues(struct deliver *deliver)
{
    const struct config *config = deliver->options->config;
    for (size_t i = 0; i < config->outputs_count; i++) {
        const struct config_output *output = &config->outputs[i];
        const struct queue_options options = {.loop = deliver->loop,
                                              .output = output,
                                              .spool_directory = config->spool.directory,
                                              .hostname = deliver->hostname,
                                              .type = receiver_type_of(output->type),
                                              .stats = &deliver->options->stats->outputs[i]};
        int error = options.type ? queue_open(&options, &deliver->queues[i]) : -ENOSYS;
        if (error) {
            log_error("output %s: cannot read the spool in %s: %s", output->name, config->spool.directory,
                      error == -EBUSY ? "another process delivers to it" : strerror(-error));
            return error;
        }
    }
    return 0;
}

static int start(struct deliver *deliver)
{
    int error = privilege_drop_all();
    if (error) {
        log_error("cannot give up privileges: %s", strerror(-error));
        return error;
    }
    // libcurl would write the keys of its connections into a file of that name.
    unsetenv("SSLKEYLOGFILE");
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return -ENOMEM;
    outside_host_name(deliver->hostname, sizeof(deliver->hostname));
    error = loop_new(&deliver->loop);
    if (!error)
        error = watch_signals(deliver);
    if (!error)
        error = open_queues(deliver);
    if (!error && deliver->options->news_fd >= 0)
        error = loop_watch(deliver->loop, deliver->options->news_fd, EPOLLIN, on_news, deliver);
    if (!error)
        on_look(deliver);
    return error;
}

int deliver_run(const struct deliver_options *options)
{
    struct deliver deliver = {.options = options, .signal_fd = -1};
    int error = start(&deliver);
    if (!error)
        error = loop_run(deliver.loop);
    for (size_t i = 0; i < options->config->outputs_count; i++)
        queue_close(&deliver.queues[i]);
    loop_free(&deliver.loop);
    cleanup_close(&deliver.signal_fd);
    curl_global_cleanup();
    // No secret is left; what checks for leaks at the end looks into the process.
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return error;
}
