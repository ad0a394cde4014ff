#include "base/series.h"
#include "comparison.h"

#include <errno.h>

// What a pattern may cost on one value; a rule must not stop the agent.
enum { MATCH_LIMIT = 100000, HEAP_LIMIT_KIB = 1024 };

static struct counter regex_limits = {
    .name = "inferscope_rule_regex_limits_total",
    .help = "Regular expressions given up on as too costly; they count as not matching.",
};

int regex_new(const char *pattern, size_t length, struct arena *arena, struct regex **ret_regex,
              char *message, size_t message_size, size_t *ret_offset)
{
    counter_register(&regex_limits);
    struct regex *regex = arena_alloc(arena, sizeof(*regex));
    if (!regex)
        return -ENOMEM;
    int error;
    regex->code =
        pcre2_compile((PCRE2_SPTR)pattern, length,
                      PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C, &error, ret_offset, NULL);
    if (!regex->code) {
        pcre2_get_error_message(error, (PCRE2_UCHAR *)message, message_size);
        return -EINVAL;
    }
    regex->match = pcre2_match_data_create(1, NULL);
    if (!regex->match) {
        pcre2_code_free(regex->code);
        return -ENOMEM;
    }
    *ret_regex = regex;
    return 0;
}

void regex_free_all(struct regex *regex)
{
    for (; regex; regex = regex->next) {
        pcre2_match_data_free(regex->match);
        pcre2_code_free(regex->code);
    }
}

static pcre2_match_context *limits(void)
{
    static pcre2_match_context *context;
    if (!context) {
        context = pcre2_match_context_create(NULL);
        if (!context)
            return NULL;
        pcre2_set_match_limit(context, MATCH_LIMIT);
        pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
    }
    return context;
}

bool regex_holds(const struct regex *regex, const char *text, size_t length)
{
    pcre2_match_context *context = limits();
    if (!context)
        return false;
    int result = pcre2_match(regex->code, (PCRE2_SPTR)text, length, 0, 0, regex->match, context);
    if (result < 0 && result != PCRE2_ERROR_NOMATCH)
        regex_limits.value++;
    return result >= 0;
}
