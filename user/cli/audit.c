#include "audit.h"
#include "cli.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int cli_audit(int argc, char **argv)
{
    bool wants_help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc < 3 || strcmp(argv[1], "verify") != 0 || argv[2][0] == '-') {
        fprintf(wants_help ? stdout : stderr,
                "Usage: agent audit verify FILE…   files of one log, the oldest first\n");
        return wants_help ? 0 : CLI_USAGE;
    }
    struct audit_state state = {};
    uint64_t before = 0;
    for (int i = 2; i < argc; i++) {
        if (audit_verify(argv[i], &state, stderr))
            return 1;
        if (before == 0 && state.number == 0)
            printf("%s: empty\n", argv[i]);
        else
            printf("%s: all lines fit, up to %" PRIu64 "; the last hash is %s\n", argv[i], state.number,
                   state.hash);
        before = state.number;
    }
    return 0;
}
