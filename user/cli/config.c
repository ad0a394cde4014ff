#include "config.h"

#include "base/cleanup.h"
#include "cli.h"
#include "options.h"

#include <errno.h>
#include <string.h>

static const char usage[] = "Usage: agent config check FILE…\n"
                            "       agent config show [--config FILE] [OPTION…]\n"
                            "       agent config reference | example\n";

static void print_doubt(const char *sentence, void *context)
{
    printf("%s: warning: %s\n", (const char *)context, sentence);
}

static int check(char **paths, int count)
{
    int code = 0;
    for (int i = 0; i < count; i++) {
        struct config *config _cleanup_(config_free) = NULL;
        int error = config_load(paths[i], stdout, NULL, NULL, &config);
        if (error == -ENOMEM)
            fprintf(stderr, "agent: memory is short\n");
        if (!error) {
            config_doubts(config, print_doubt, paths[i]);
            printf("%s: ok\n", paths[i]);
        }
        code = error ? 1 : code;
    }
    return code;
}

static int show(int argc, char **argv)
{
    struct cli_options options = {};
    struct config *config _cleanup_(config_free) = NULL;
    _cleanup_free_ char *text = NULL;
    size_t length;
    int code = cli_options_parse(argc, argv, &options);
    if (code)
        return code;
    options.files = options.words;
    options.files_count = options.words_count;
    int error = cli_options_config(&options, &text, &length, &config);
    if (error)
        return error == -EINVAL && !options.path ? CLI_USAGE : 1;
    config_show(config, stdout);
    return 0;
}

int cli_config(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "check") == 0 && argc > 2)
        return check(argv + 2, argc - 2);
    if (strcmp(what, "show") == 0) {
        argv[1] = argv[0];
        return show(argc - 1, argv + 1);
    }
    bool help = strcmp(what, "--help") == 0;
    if (strcmp(what, "reference") == 0 && argc == 2)
        config_document(stdout);
    else if (strcmp(what, "example") == 0 && argc == 2)
        config_example(stdout);
    else
        fputs(usage, help ? stdout : stderr);
    return help || strcmp(what, "reference") == 0 || strcmp(what, "example") == 0 ? 0 : CLI_USAGE;
}
