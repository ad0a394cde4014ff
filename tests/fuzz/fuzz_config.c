// agent.yaml: any text. What is accepted can be shown, and what is shown is accepted and the same.
#include "fuzz.h"

#include "config.h"

#include <errno.h>

static FILE *open_text(char **text, size_t *length)
{
    FILE *stream = open_memstream(text, length);
    if (!stream)
        abort();
    return stream;
}

static struct config *parse(const char *text, size_t length)
{
    struct config *config = NULL;
    _cleanup_free_ char *said = NULL;
    size_t said_length;
    FILE *stream = open_text(&said, &said_length);
    int error = config_parse("agent.yaml", text, length, stream, &config);
    fclose(stream);
    // Whatever is refused is explained, and nothing else is.
    if (error != -ENOMEM && (error != 0) != (said_length > 0))
        abort();
    return config;
}

static void differs(const char *key, bool needs_restart, void *context)
{
    abort();
}

FUZZ_TARGET(config)
{
    setenv("FUZZ", "from the environment", 1);
    struct config *config _cleanup_(config_free) = parse((const char *)data, size);
    if (!config)
        return 0;
    _cleanup_free_ char *shown = NULL, *shown_again = NULL;
    size_t length, length_again;
    FILE *stream = open_text(&shown, &length);
    config_show(config, stream);
    fclose(stream);
    struct config *again _cleanup_(config_free) = parse(shown, length);
    if (!again)
        abort();
    config_compare(config, again, differs, NULL);
    stream = open_text(&shown_again, &length_again);
    config_show(again, stream);
    fclose(stream);
    if (strcmp(shown, shown_again) != 0)
        abort();
    return 0;
}
