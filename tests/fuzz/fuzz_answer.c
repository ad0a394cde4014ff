// What a receiver over HTTP may answer: "KIND STATUS BODY". Each item gets a verdict, and the reason is a
// line of plain text.
#include "fuzz.h"

#include "deliver/http_receiver.h"

#include <stdio.h>

enum { ITEMS = 3 };

static void check(const struct http_judgement *judgement)
{
    for (size_t i = 0; i < ITEMS; i++)
        if (judgement->verdicts[i] < VERDICT_DELIVERED || judgement->verdicts[i] > VERDICT_SPLIT)
            abort();
    for (const char *at = judgement->why; *at; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
            abort();
}

FUZZ_TARGET(answer)
{
    static const struct item items[ITEMS];
    const struct item *pointers[ITEMS] = {&items[0], &items[1], &items[2]};
    const struct config_output output = {.retry_max = 30000};
    unsigned kind_number = 0, status = 0, memory = 0;
    int head = 0;
    _cleanup_free_ char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (sscanf(text, "%1u %3u%n", &kind_number, &status, &head) != 2 || text[head] != ' ')
        return 0;
    const struct http_kind *kind =
        http_kind_of(OUTPUT_WEBHOOK + kind_number % (OUTPUT_TYPES - OUTPUT_WEBHOOK));
    for (unsigned group = SPOOL_ALERT; group <= SPOOL_METRICS; group++) {
        enum verdict verdicts[ITEMS] = {};
        struct http_judgement judgement = {.verdicts = verdicts};
        const struct http_batch batch = {.output = &output,
                                         .hostname = "host",
                                         .items = pointers,
                                         .count = ITEMS,
                                         .group = group,
                                         .memory = &memory};
        const struct http_answer answer = {.status = status,
                                           .body = text + head + 1,
                                           .length = size - (size_t)head - 1,
                                           .why = "it says so"};
        http_judge_status(&batch, &answer, &judgement);
        if (kind->judge)
            kind->judge(&batch, &answer, &judgement);
        check(&judgement);
    }
    return 0;
}
