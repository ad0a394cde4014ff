// Configurations as texts: parsed, shown again and compared.
#pragma once

#include "base/cleanup.h"
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

// What is wrong with the text, owned; "" where it is accepted.
static inline char *problems_of(const char *text, struct config **ret_config)
{
    char *said = NULL;
    size_t length;
    FILE *stream = open_memstream(&said, &length);
    int error = config_parse("T", text, strlen(text), stream, ret_config);
    fclose(stream);
    cr_assert(error == 0 || error == -EINVAL, "%d", error);
    cr_assert_eq(error == 0, length == 0, "%s", said);
    return said;
}

static inline struct config *accept(const char *text)
{
    struct config *config = NULL;
    _cleanup_free_ char *said = problems_of(text, &config);
    cr_assert(config, "%s: %s", text, said);
    return config;
}

static inline char *show(const struct config *config)
{
    char *shown = NULL;
    size_t length;
    FILE *stream = open_memstream(&shown, &length);
    config_show(config, stream);
    fclose(stream);
    return shown;
}

static inline void expect_problem(const char *text, const char *words)
{
    struct config *config _cleanup_(config_free) = NULL;
    _cleanup_free_ char *said = problems_of(text, &config);
    cr_expect(strstr(said, words), "\"%s\" is not said of\n%s\nbut\n%s", words, text, said);
}

static inline void note_change(const char *key, bool needs_restart, void *context)
{
    snprintf((char *)context + strlen(context), 1024 - strlen(context), "%s%s ", key,
             needs_restart ? "!" : "");
}
