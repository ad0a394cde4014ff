#include "handed.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_open(int fd, struct config **ret_config)
{
    struct stat status;
    if (fstat(fd, &status))
        return -errno;
    if (status.st_size > CONFIG_FILE_MAX)
        return -EFBIG;
    size_t size = (size_t)status.st_size;
    _cleanup_free_ char *text = malloc(size + 1);
    if (!text)
        return -ENOMEM;
    ssize_t length = pread(fd, text, size, 0);
    return length < 0 ? -errno : config_parse("agent.yaml", text, (size_t)length, stderr, ret_config);
}

int cli_handed_refuse(int error)
{
    log_error("cannot use what the agent handed over: %s", strerror(-error));
    return 1;
}

bool cli_handed_take(int argc, char **argv, const char *usage, int fd, struct cli_handed *ret_handed,
                     int *ret_code)
{
    static const struct option long_options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {}};
    struct cli_handed handed = {};
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) == 'c')
        handed.path = optarg;
    if (option != -1 || optind != argc) {
        fputs(usage, option == 'h' ? stdout : stderr);
        *ret_code = option == 'h' ? 0 : CLI_USAGE;
        return false;
    }
    int error = handed.path ? config_load(handed.path, stderr, NULL, NULL, &handed.config)
                            : read_open(fd, &handed.config);
    if (error) {
        *ret_code = handed.path ? 1 : cli_handed_refuse(error);
        return false;
    }
    *ret_handed = handed;
    return true;
}
