#include "cli/cli.h"
#include "cli/options.h"
#include "deliver/receiver.h"
#include "version.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// clang-format off
static const char help[] =
    "Inferscope watches a node that serves AI models, from its kernel: alerts by rules in Falco's\n"
    "language, delivered to where they belong, and metrics for Prometheus.\n"
    "\n"
    "As root:\n"
    "  agent --rules [FILE|DIR…] [OPTION…]   judge events by these rules; without any: the built-in ones\n"
    "  agent --inference [OPTION…]           metrics of inference servers and of calls of model APIs\n"
    "  agent --config FILE [OPTION…]         what agent.yaml says, also where alerts go; docs/CONFIG.md\n"
    "  agent record FILE [RULES…] [OPTION…]  judge, and write what these rules (the built-in ones) ask of\n"
    "                                        the kernel into a file; '-': standard output, no alerts\n"
    "  agent doctor                          what this kernel allows and what is missing\n"
    "\n"
    "Without root:\n"
    "  agent replay FILE --rules [RULES…]    judge a recording; --json, --color, --priority, --enable,\n"
    "                                        --disable, --rule-matching\n"
    "  agent check FILE…                     find the mistakes in rule files; --json, --syntax-only\n"
    "  agent test FILE…                      run tests of rules on events that are written down\n"
    "  agent list WHAT [--format text|json|markdown]\n"
    "                                        WHAT: fields, events, sources, rules [FILE…]; as root\n"
    "                                        metrics, runtimes (what of this node's programs is probed)\n"
    "  agent config check FILE…              find the mistakes in agent.yaml\n"
    "  agent config show [--config FILE] [OPTION…]\n"
    "                                        what is in effect; config example: agent.yaml to begin with;\n"
    "                                        config reference: docs/CONFIG.md\n"
    "  agent deliver --config FILE           deliver what is in the spool to the outputs of the file\n"
    "  agent kubelet --config FILE           ask the kubelet of the file for its pods, once\n"
    "  agent audit verify FILE…              check the chain of hashes of an audit log\n"
    "  agent --help | --version\n"
    "\n"
    "Options:\n";
// clang-format on

// Whatever is opened first takes a free place among the standard descriptors: alerts would go into a
// recording. What fills it is open the wrong way round, so that using it stays an error. False: there is no
// /dev/null.
static bool fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    if (!fill_standard_descriptors())
        return 1;
    const char *command = argc > 1 ? argv[1] : "";
    bool wants_help = strcmp(command, "help") == 0;
    for (int i = 1; i < argc && (i == 1 || command[0] == '-' || strcmp(command, "record") == 0); i++)
        wants_help = wants_help || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
    if (wants_help) {
        fputs(help, stdout);
        cli_options_help(stdout);
        return 0;
    }
    if (strcmp(command, "--version") == 0 || strcmp(command, "version") == 0) {
        printf("inferscope %s%s\n", INFERSCOPE_VERSION, receiver_type_of(OUTPUT_KAFKA) ? ", with Kafka" : "");
        return 0;
    }
    if (argc < 2) {
        fputs(help, stderr);
        cli_options_help(stderr);
        return CLI_USAGE;
    }
    argv[0] = (char *)"agent"; // as getopt's own messages begin, too
    if (cli_register_tables())
        return 1;
    if (strcmp(command, "check") == 0)
        return cli_check(argc - 1, argv + 1);
    if (strcmp(command, "test") == 0)
        return cli_test(argc - 1, argv + 1);
    if (strcmp(command, "list") == 0)
        return cli_list(argc - 1, argv + 1);
    if (strcmp(command, "doctor") == 0)
        return cli_doctor(argc - 1, argv + 1);
    if (strcmp(command, "config") == 0)
        return cli_config(argc - 1, argv + 1);
    if (strcmp(command, "audit") == 0)
        return cli_audit(argc - 1, argv + 1);
    if (strcmp(command, "record") == 0)
        return cli_record(argc - 1, argv + 1);
    if (strcmp(command, "replay") == 0)
        return cli_replay(argc - 1, argv + 1);
    if (strcmp(command, "deliver") == 0)
        return cli_deliver(argc - 1, argv + 1);
    if (strcmp(command, "kubelet") == 0)
        return cli_kubelet(argc - 1, argv + 1);
    if (command[0] == '-')
        return cli_run(argc, argv);
    fprintf(stderr, "agent: there is no command \"%s\"; see: agent --help\n", command);
    return CLI_USAGE;
}
