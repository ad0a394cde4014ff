#include "deliver/deliver.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cli.h"
#include "deliverer.h"
#include "handed.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char usage[] =
    "Usage: agent deliver --config FILE   delivers what is in the spool to the outputs of the file\n"
    "       agent deliver                 the same for the agent, which starts it with what it needs open\n";

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
    static struct delivery_stats own;
    struct delivery_stats *stats = &own;
    struct cli_handed handed;
    int code;
    if (!cli_handed_take(argc, argv, usage, DELIVERER_CONFIG, &handed, &code))
        return code;
    struct config *config _cleanup_(config_free) = handed.config;
    int error = handed.path ? 0 : map_stats(&stats);
    return error ? cli_handed_refuse(error) : deliver(config, stats, handed.path ? -1 : DELIVERER_NEWS);
}
