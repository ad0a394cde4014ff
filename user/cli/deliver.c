#include "deliver/deliver.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cli.h"
#include "config.h"
#include "deliverer.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char usage[] =
    "Usage: agent deliver --config FILE   delivers what is in the spool to the outputs of the file\n"
    "       agent deliver                 the same for the agent, which starts it with what it needs open\n";

static int read_config_fd(struct config **ret_config)
{
    struct stat status;
    if (fstat(DELIVERER_CONFIG, &status))
        return -errno;
    if (status.st_size > CONFIG_FILE_MAX)
        return -EFBIG;
    size_t size = (size_t)status.st_size;
    _cleanup_free_ char *text = malloc(size + 1);
    if (!text)
        return -ENOMEM;
    ssize_t length = pread(DELIVERER_CONFIG, text, size, 0);
    if (length < 0)
        return -errno;
    return config_parse("agent.yaml", text, (size_t)length, stderr, ret_config);
}

static int map_stats(struct delivery_stats **ret_stats)
{
    struct stat status;
    if (fstat(DELIVERER_STATS, &status))
        return -errno;
    if (status.st_size < (off_t)sizeof(struct delivery_stats))
        return -EINVAL;
    void *page =
        mmap(NULL, sizeof(struct delivery_stats), PROT_READ | PROT_WRITE, MAP_SHARED, DELIVERER_STATS, 0);
    if (page == MAP_FAILED)
        return -errno;
    *ret_stats = page;
    return 0;
}

static int deliver(const struct config *config, struct delivery_stats *stats, int news_fd)
{
    log_set_level(config->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    const struct deliver_options options = {.config = config, .stats = stats, .news_fd = news_fd};
    if (config->outputs_count == 0) {
        log_error("the configuration has no outputs");
        return 1;
    }
    int error = deliver_run(&options);
    if (error)
        log_error("the delivery ends: %s", strerror(-error));
    return error ? 1 : 0;
}

int cli_deliver(int argc, char **argv)
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

    struct config *config = NULL;
    static struct delivery_stats own;
    struct delivery_stats *stats = &own;
    int error = path ? config_load(path, stderr, NULL, NULL, &config) : read_config_fd(&config);
    if (!error && !path)
        error = map_stats(&stats);
    int code = error ? 1 : deliver(config, stats, path ? -1 : DELIVERER_NEWS);
    if (error && !path)
        log_error("cannot use what the agent handed over: %s", strerror(-error));
    config_free(&config);
    return code;
}
