#include "audit_line.h"
#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What is wrong with a line behind one with that number and hash; NULL: nothing.
static const char *misfit(const struct audit_line *line, const struct audit_state *state, char *room,
                          size_t capacity)
{
    if (line->wrong)
        return line->wrong;
    // The first line may continue a log that is not here.
    if (state->number == 0)
        return NULL;
    if (line->number != state->number + 1) {
        snprintf(room, capacity, "its number is %" PRIu64 " and not %" PRIu64, line->number,
                 state->number + 1);
        return room;
    }
    return strcmp(line->previous, state->hash) == 0 ? NULL : "it does not continue the line before it";
}

int audit_verify(const char *path, struct audit_state *state, FILE *problems)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    _cleanup_free_ char *text = malloc(AUDIT_LINE_MAX + 2);
    char room[128];
    if (!file || !text) {
        fprintf(problems, "%s: %s\n", path, strerror(errno));
        return -errno;
    }
    for (uint64_t number = 1; fgets(text, AUDIT_LINE_MAX + 2, file); number++) {
        size_t length = strlen(text);
        struct audit_line line;
        const char *wrong;
        if (length && text[length - 1] == '\n') {
            audit_line_parse(text, length - 1, &line);
            wrong = misfit(&line, state, room, sizeof(room));
        } else {
            wrong = feof(file) ? "it is torn: its end is missing" : "it is too long or holds a NUL";
        }
        if (wrong) {
            fprintf(problems, "%s:%" PRIu64 ": %s\n", path, number, wrong);
            return -EBADMSG;
        }
        state->number = line.number;
        memcpy(state->hash, line.hash, sizeof(state->hash));
    }
    if (ferror(file)) {
        fprintf(problems, "%s: %s\n", path, strerror(errno));
        return -EIO;
    }
    return 0;
}
