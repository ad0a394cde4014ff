#include "record_file.h"

static struct recording recording;
static FILE *stream;
static struct record_player *player;
static struct record_entry entry;
static char answer[256];

static void play(void)
{
    record_make(&recording, true);
    stream = fmemopen(recording.data, recording.size, "r");
    cr_assert_eq(record_player_new(stream, &player), 0);
}

static void finish(void)
{
    record_player_free(&player);
    fclose(stream);
}

static void expect_next(enum record_kind kind)
{
    cr_assert_eq(record_player_next(player, &entry), 1);
    cr_assert_eq(entry.kind, kind);
}

static void expect_answer(enum outside_life life, const char *question, const char *expected)
{
    memset(answer, 0, sizeof(answer));
    cr_expect_eq(record_ask(life, question, answer, sizeof(answer)), (ssize_t)strlen(expected), "%s",
                 question);
    cr_expect_str_eq(answer, expected);
}

static void expect_none(enum outside_life life, const char *question)
{
    cr_expect_eq(record_ask(life, question, answer, sizeof(answer)), -ENODATA, "%s", question);
}

TestSuite(record_player, .init = play, .fini = finish);

Test(record_player, answers_come_as_they_came)
{
    expect_next(RECORD_TICK);
    expect_answer(OUTSIDE_LASTING, "passwd", "passwd!");
    expect_next(RECORD_SCAN);
    expect_answer(OUTSIDE_ONCE, "scan", "scan!");
    for (uint32_t pid = 1; pid <= 3; pid++) {
        char question[32], expected[32];
        sprintf(question, "exit %u", pid);
        sprintf(expected, "exit %u!", pid);
        expect_next(RECORD_EVENT);
        expect_answer(OUTSIDE_ONCE, question, expected);
        cr_expect_eq(entry.event->pid, pid, "the record is there while answers are read");
        cr_expect_eq(record_ask(OUTSIDE_ONCE, "nothing", answer, sizeof(answer)), -ENOENT);
        expect_answer(OUTSIDE_LASTING, "passwd", "passwd!");
    }
    expect_next(RECORD_LOST);
    cr_expect_eq(record_player_next(player, &entry), 0);
    cr_expect_eq(record_player_unanswered(player), 0);
}

Test(record_player, other_rules_ask_in_another_order_and_for_more)
{
    expect_next(RECORD_TICK);
    expect_next(RECORD_SCAN);
    expect_none(OUTSIDE_LASTING, "inode");
    expect_none(OUTSIDE_LASTING, "inode");
    expect_answer(OUTSIDE_LASTING, "passwd", "passwd!");
    expect_next(RECORD_EVENT);
    cr_expect_eq(record_ask(OUTSIDE_ONCE, "nothing", answer, sizeof(answer)), -ENOENT);
    expect_answer(OUTSIDE_ONCE, "exit 1", "exit 1!");
    expect_none(OUTSIDE_ONCE, "exit 1");
    expect_none(OUTSIDE_ONCE, "exit 2");
    expect_next(RECORD_EVENT);
    expect_answer(OUTSIDE_ONCE, "exit 2", "exit 2!");
    expect_next(RECORD_EVENT);
    expect_none(OUTSIDE_ONCE, "exit 2");
    cr_expect_eq(record_player_unanswered(player), 4, "what is asked each second is missing once");
}

Test(record_player, an_answer_is_not_longer_than_its_room)
{
    expect_next(RECORD_TICK);
    char small[4] = "----";
    cr_expect_eq(record_ask(OUTSIDE_LASTING, "passwd", small, 3), 3);
    cr_expect_eq(memcmp(small, "pas-", 4), 0);
}

Test(record_player, a_damaged_recording_answers_up_to_there)
{
    finish();
    record_make(&recording, true);
    recording.data[recording.size - 3] ^= 1;
    stream = fmemopen(recording.data, recording.size, "r");
    cr_assert_eq(record_player_new(stream, &player), 0);
    expect_next(RECORD_TICK);
    expect_next(RECORD_SCAN);
    expect_next(RECORD_EVENT);
    expect_next(RECORD_EVENT);
    expect_answer(OUTSIDE_ONCE, "exit 2", "exit 2!");
    expect_none(OUTSIDE_ONCE, "more");
    cr_expect_eq(record_player_next(player, &entry), -EPROTO);
    cr_expect(strstr(record_player_error(player), "checksum"), "%s", record_player_error(player));
    cr_expect_eq(record_player_next(player, &entry), -EPROTO);
}
