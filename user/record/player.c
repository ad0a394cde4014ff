// Answers what was asked while the recording was made. An entry's answers follow it in the order of asking,
// so a question usually finds its answer as the next thing to be read.
#define HASH_NONFATAL_OOM 1

#include "base/cleanup.h"
#include "base/outside.h"
#include "record.h"

#include <errno.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

// What an event's answers may take, and the lasting ones together: far above what any recorder has written.
enum { WAITING_MAX = 8192, KEPT_MAX = 16384, BYTES_MAX = 64 * 1024 * 1024 };

struct answer {
    char *question;
    int error; // -ENODATA: never answered, and counted as such
    size_t size;
    struct answer *prev, *next; // of those that wait
    UT_hash_handle hh;          // of those that last
    char data[];
};

struct record_player {
    struct record_reader *reader;
    struct record_entry ahead; // read, and not handed over yet
    int ahead_result;
    bool has_ahead;
    struct answer *waiting; // of the entry that is handled, not asked for yet
    size_t waiting_count, waiting_bytes;
    struct answer *lasting;
    size_t lasting_bytes;
    size_t unanswered;
    struct wire_header *event; // the record that was handed over: the reader goes on while it is handled
    size_t event_capacity;
    struct outside_tap tap;
};

static void answer_free(struct answer *answer)
{
    free(answer->question);
    free(answer);
}

static struct answer *answer_new(const char *question, int error, const void *data, size_t size)
{
    struct answer *answer = calloc(1, sizeof(*answer) + size);
    if (!answer)
        return NULL;
    answer->question = strdup(question);
    answer->error = error;
    answer->size = size;
    if (size)
        memcpy(answer->data, data, size);
    if (answer->question)
        return answer;
    free(answer);
    return NULL;
}

static void lasting_remove(struct record_player *player, struct answer *answer)
{
    HASH_DEL(player->lasting, answer);
    player->lasting_bytes -= answer->size;
    answer_free(answer);
}

// Takes the answer over, in the place of an earlier one.
static void lasting_add(struct record_player *player, struct answer *answer)
{
    struct answer *old;
    HASH_FIND_STR(player->lasting, answer->question, old);
    if (old)
        lasting_remove(player, old);
    if (HASH_COUNT(player->lasting) < KEPT_MAX && answer->size <= BYTES_MAX - player->lasting_bytes) {
        HASH_ADD_KEYPTR(hh, player->lasting, answer->question, strlen(answer->question), answer);
        if (answer->hh.tbl) {
            player->lasting_bytes += answer->size;
            return;
        }
    }
    answer_free(answer);
}

static void waiting_remove(struct record_player *player, struct answer *answer)
{
    DL_DELETE(player->waiting, answer);
    player->waiting_count--;
    player->waiting_bytes -= answer->size;
    answer_free(answer);
}

// Reads the next entry if it is an answer; NULL where it is not, and memory was not short.
static struct answer *next_answer(struct record_player *player, bool *ret_lasting)
{
    if (player->has_ahead)
        return NULL;
    int result = record_reader_next(player->reader, &player->ahead);
    const struct record_answer *read = &player->ahead.answer;
    struct answer *answer = NULL;
    if (result == 1 && player->ahead.kind == RECORD_ANSWER) {
        answer = answer_new(read->question, read->error, read->data, read->error ? 0 : read->size);
        *ret_lasting = read->lasting;
        result = answer ? result : -ENOMEM;
    }
    player->ahead_result = result;
    player->has_ahead = !answer;
    return answer;
}

static void keep(struct record_player *player, struct answer *answer, bool lasting)
{
    if (lasting) {
        lasting_add(player, answer);
        return;
    }
    if (player->waiting_count == WAITING_MAX || answer->size > BYTES_MAX - player->waiting_bytes) {
        answer_free(answer);
        return;
    }
    player->waiting_count++;
    player->waiting_bytes += answer->size;
    DL_APPEND(player->waiting, answer);
}

static ssize_t give(const struct answer *answer, void *ret_data, size_t capacity)
{
    if (answer->error)
        return answer->error;
    size_t size = answer->size < capacity ? answer->size : capacity;
    if (size)
        memcpy(ret_data, answer->data, size);
    return (ssize_t)size;
}

static ssize_t answer_once(struct record_player *player, const char *question, void *ret_data,
                           size_t capacity)
{
    struct answer *answer, *next;
    DL_FOREACH_SAFE(player->waiting, answer, next)
    {
        if (strcmp(answer->question, question) != 0)
            continue;
        ssize_t result = give(answer, ret_data, capacity);
        waiting_remove(player, answer);
        return result;
    }
    bool lasting = false;
    while ((answer = next_answer(player, &lasting))) {
        if (!lasting && strcmp(answer->question, question) == 0) {
            ssize_t result = give(answer, ret_data, capacity);
            answer_free(answer);
            return result;
        }
        keep(player, answer, lasting);
    }
    player->unanswered++;
    return -ENODATA;
}

static ssize_t answer_lasting(struct record_player *player, const char *question, void *ret_data,
                              size_t capacity)
{
    struct answer *answer;
    bool lasting = false;
    while ((answer = next_answer(player, &lasting))) {
        bool found = lasting && strcmp(answer->question, question) == 0;
        keep(player, answer, lasting);
        if (found)
            break;
    }
    HASH_FIND_STR(player->lasting, question, answer);
    if (answer)
        return give(answer, ret_data, capacity);
    // Asked again and again, it is one that is missing.
    player->unanswered++;
    answer = answer_new(question, -ENODATA, NULL, 0);
    if (answer)
        lasting_add(player, answer);
    return -ENODATA;
}

static ssize_t on_asked(void *context, enum outside_life life, const char *question, void *ret_data,
                        size_t capacity)
{
    return life == OUTSIDE_LASTING ? answer_lasting(context, question, ret_data, capacity)
                                   : answer_once(context, question, ret_data, capacity);
}

int record_player_new(FILE *stream, struct record_player **ret_player)
{
    struct record_player *player _cleanup_(record_player_free) = calloc(1, sizeof(*player));
    if (!player)
        return -ENOMEM;
    int error = record_reader_new(stream, &player->reader);
    if (error)
        return error;
    player->tap = (struct outside_tap){.context = player, .answer = on_asked};
    outside_set_tap(&player->tap);
    *ret_player = TAKE_PTR(player);
    return 0;
}

void record_player_free(struct record_player **player)
{
    struct record_player *gone = TAKE_PTR(*player);
    if (!gone)
        return;
    outside_set_tap(NULL);
    while (gone->waiting)
        waiting_remove(gone, gone->waiting);
    struct answer *answer, *next;
    HASH_ITER (hh, gone->lasting, answer, next)
        lasting_remove(gone, answer);
    record_reader_free(&gone->reader);
    free(gone->event);
    free(gone);
}

// The record is copied, because questions about it read on.
static int hand_over_event(struct record_player *player, struct record_entry *entry)
{
    if (entry->size > player->event_capacity) {
        struct wire_header *larger = realloc(player->event, entry->size);
        if (!larger)
            return -ENOMEM;
        player->event = larger;
        player->event_capacity = entry->size;
    }
    memcpy(player->event, entry->event, entry->size);
    entry->event = player->event;
    return 1;
}

int record_player_next(struct record_player *player, struct record_entry *ret_entry)
{
    struct answer *answer;
    bool lasting = false;
    while ((answer = next_answer(player, &lasting)))
        keep(player, answer, lasting);
    // What nobody asked for is of the past now.
    while (player->waiting)
        waiting_remove(player, player->waiting);
    player->has_ahead = false;
    if (player->ahead_result != 1)
        return player->ahead_result;
    *ret_entry = player->ahead;
    return ret_entry->kind == RECORD_EVENT ? hand_over_event(player, ret_entry) : 1;
}

const char *record_player_error(const struct record_player *player)
{
    return record_reader_error(player->reader);
}

size_t record_player_unanswered(const struct record_player *player)
{
    return player->unanswered;
}
