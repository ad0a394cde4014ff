// The reader of recordings and who answers from them, fed with anything. Build it with
// -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION, which leaves the checksums out.
#include "base/outside.h"
#include "decode.h"
#include "record.h"
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static ssize_t ask_nobody(void *context, void *ret_data, size_t capacity)
{
    return -ENOENT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scratch scratch;
    static char answer[65536];
    if (size == 0)
        return 0;
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
