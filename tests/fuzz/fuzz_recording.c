// The reader of recordings and who answers from them, fed with anything. The builds for fuzzing leave the
// checksums out.
#include "fuzz.h"

#include "base/outside.h"
#include "decode.h"
#include "record.h"

#include <errno.h>
#include <stdio.h>

static ssize_t ask_nobody(void *context, void *ret_data, size_t capacity)
{
    return -ENOENT;
}

FUZZ_TARGET(recording)
{
    static struct scratch scratch;
    static char answer[65536];
    if (size == 0)
        return 0;
    fuzz_register();
    FILE *stream = fmemopen((void *)data, size, "r");
    struct record_player *player = NULL;
    struct record_entry entry;
    struct event event;
    if (!stream || record_player_new(stream, &player))
        abort();
    int result;
    while ((result = record_player_next(player, &entry)) == 1) {
        outside_ask(OUTSIDE_ONCE, "/proc/1/stat", ask_nobody, NULL, answer, sizeof(answer));
        outside_ask(OUTSIDE_LASTING, "names of passwd", ask_nobody, NULL, answer, sizeof(answer));
        if (entry.kind == RECORD_EVENT)
            decode_record(entry.event, entry.size, &scratch, &event);
    }
    // An end is clean or explained.
    if ((result == 0) != (record_player_error(player)[0] == '\0'))
        abort();
    record_player_free(&player);
    fclose(stream);
    return 0;
}
