#include "options.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

enum { OPTIONS_MAX = 64, OPT_CONFIG = 256, OPT_EVERYTHING, OPT_OF_TABLE = 1024 };

enum { HELP_COLUMN = 29, HELP_WIDTH = 100 };

static const struct {
    struct option option;
    const char *argument;
    const char *help;
} own[] = {
    {{"config", required_argument, NULL, OPT_CONFIG},
     "FILE",
     "agent.yaml, which says all that options say, and where alerts go; options override it"},
    {{"everything", no_argument, NULL, OPT_EVERYTHING},
     NULL,
     "(record) all types of events on any path, for rules yet to be written"},
};

static void make_options(struct option options[OPTIONS_MAX])
{
    const struct config_option *option;
    size_t count = 0;
    while (count < ARRAY_SIZE(own)) {
        options[count] = own[count].option;
        count++;
    }
    for (size_t i = 0; (option = config_option_at(i, NULL, NULL)) && count < OPTIONS_MAX - 1; i++)
        options[count++] = (struct option){.name = option->name,
                                           .has_arg = option->argument ? required_argument : no_argument,
                                           .val = OPT_OF_TABLE + (int)i};
    options[count] = (struct option){};
}

static int parse_option(int option, struct cli_options *options)
{
    switch (option) {
    case OPT_CONFIG:
        options->path = optarg;
        return 0;
    case OPT_EVERYTHING:
        options->everything = true;
        if (options->recording)
            return 0;
        log_error("--everything is for recording: agent record FILE --everything");
        return CLI_USAGE;
    case '?':
        fprintf(stderr, "agent: see: agent --help\n");
        return CLI_USAGE;
    default:
        break;
    }
    if (options->given_count == CLI_GIVEN_MAX) {
        log_error("there are more than %d options", CLI_GIVEN_MAX);
        return CLI_USAGE;
    }
    options->given[options->given_count++] =
        (struct config_given){.index = (size_t)(option - OPT_OF_TABLE), .value = optarg};
    return 0;
}

int cli_options_parse(int argc, char **argv, struct cli_options *options)
{
    struct option table[OPTIONS_MAX];
    make_options(table);
    for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        int code = parse_option(option, options);
        if (code)
            return code;
    }
    options->words = argv + optind;
    options->words_count = (size_t)(argc - optind);
    return 0;
}

static bool is_given(const struct cli_options *options, const char *name)
{
    for (size_t i = 0; i < options->given_count; i++)
        if (strcmp(config_option_at(options->given[i].index, NULL, NULL)->name, name) == 0)
            return true;
    return false;
}

int cli_options_config(const struct cli_options *options, char **ret_text, size_t *ret_length,
                       struct config **ret_config)
{
    struct config *config _cleanup_(config_free) = NULL;
    _cleanup_free_ char *text = NULL;
    size_t length = 0;
    int error =
        options->path ? config_load(options->path, stderr, &text, &length, &config) : config_default(&config);
    // Without a file nothing is done that is not asked for.
    if (!error && !options->path)
        config->rules_enabled = options->recording;
    if (!error)
        error = config_override(config, options->given, options->given_count);
    if (!error && options->files_count)
        error = config_override_files(config, options->files, options->files_count);
    if (error)
        return error;
    if (options->recording) {
        // The agent whose configuration this is may run beside it.
        config->rules_enabled = true;
        config->listen = is_given(options, "listen") ? config->listen : NULL;
        config->outputs_count = 0;
        config->audit.path = NULL;
    }
    *ret_text = TAKE_PTR(text);
    *ret_length = length;
    *ret_config = TAKE_PTR(config);
    return 0;
}

// Characters, of which a continuation byte begins none.
static size_t width_of(const char *text, size_t length)
{
    size_t width = 0;
    for (size_t i = 0; i < length; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

static void print_help(const char *name, const char *argument, const char *help, FILE *stream)
{
    int printed = fprintf(stream, "  --%s%s%s", name, argument ? " " : "", argument ? argument : "");
    size_t column = (size_t)printed;
    if (argument)
        column -= strlen(argument) - width_of(argument, strlen(argument));
    while (*help) {
        size_t word = strcspn(help, " "), width = width_of(help, word);
        if (column + 1 + width > HELP_WIDTH) {
            fputc('\n', stream);
            column = 0;
        }
        int gap = column < HELP_COLUMN ? (int)(HELP_COLUMN - column) : 1;
        fprintf(stream, "%*s%.*s", gap, "", (int)word, help);
        column += (size_t)gap + width;
        help += word + strspn(help + word, " ");
    }
    fputc('\n', stream);
}

void cli_options_help(FILE *stream)
{
    const struct config_option *option;
    const char *help, *standard;
    print_help(own[0].option.name, own[0].argument, own[0].help, stream);
    for (size_t i = 0; (option = config_option_at(i, &help, &standard)); i++) {
        char line[512];
        snprintf(line, sizeof(line), "%s%s%s%s", help, standard ? " (default " : "", standard ? standard : "",
                 standard ? ")" : "");
        print_help(option->name, option->argument, line, stream);
    }
    print_help(own[1].option.name, own[1].argument, own[1].help, stream);
}
