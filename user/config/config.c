#include "base/cleanup.h"
#include "base/text.h"
#include "reading.h"
#include "value.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    const char *key;
    config_check_fn check;
} checks[8];

void config_set_check(const char *key, config_check_fn check)
{
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
        if (!checks[i].key || strcmp(checks[i].key, key) == 0) {
            checks[i].key = key;
            checks[i].check = check;
            return;
        }
}

bool config_check_item(const struct config_key *key, const char *item, const char *shown,
                       struct text *sentence)
{
    const char *why = value_check_item(key, item);
    if (why)
        text_addf(sentence, "\"%.80s\" %s", shown, why);
    for (size_t i = 0; !why && i < ARRAY_SIZE(checks) && checks[i].key; i++)
        if (!key->outputs && strcmp(checks[i].key, key->path) == 0)
            return checks[i].check(item, shown, sentence);
    return !why;
}

const char *config_written(const struct config *config, const void *slot)
{
    const struct config_owned *owned = config_owned(config);
    for (size_t i = owned->references_count; i > 0; i--)
        if (owned->references[i - 1].slot == slot)
            return owned->references[i - 1].written;
    return NULL;
}

bool config_note(struct config_owned *owned, const void *slot, const char *written)
{
    if (owned->references_count == owned->references_capacity) {
        void *more = arena_grow(&owned->arena, owned->references, sizeof(*owned->references),
                                &owned->references_capacity);
        if (!more)
            return false;
        owned->references = more;
    }
    const char *copy = written ? arena_copy(&owned->arena, written, strlen(written)) : NULL;
    if (written && !copy)
        return false;
    owned->references[owned->references_count++] = (struct reference){.slot = slot, .written = copy};
    return true;
}

int config_default(struct config **ret_config)
{
    struct config_owned *owned = calloc(1, sizeof(*owned));
    struct config *config _cleanup_(config_free) = owned ? &owned->config : NULL;
    if (!owned)
        return -ENOMEM;
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (!key->outputs && !config_set_standard(&owned->arena, key, config))
            return -ENOMEM;
    *ret_config = TAKE_PTR(config);
    return 0;
}

void config_free(struct config **config)
{
    struct config *gone = TAKE_PTR(*config);
    if (!gone)
        return;
    struct config_owned *owned = config_owned(gone);
    arena_free(&owned->arena);
    free(owned);
}

static void reading_free(struct config_reading *reading)
{
    config_problems_free(reading);
    arena_free(&reading->arena);
}

static void yaml_problem(const struct file *file, size_t offset, const char *message, void *context)
{
    const struct node place = {.kind = NODE_SEQUENCE, .offset = offset};
    config_say(context, &place, SHOW_NOTHING, "%s", message);
}

static void read_documents(struct config_reading *reading)
{
    const struct yaml_reader reader = {
        .kind = "configuration file", .problem = yaml_problem, .context = reading};
    const struct node *documents = yaml_read(&reading->file, &reading->arena, &reader);
    if (!documents || !documents->first)
        return;
    struct config_scope scope = {.base = &reading->owned->config, .name = "", .at = documents->first};
    if (documents->first->next)
        config_say(reading, documents->first->next, SHOW_NAME, "a configuration file has one document");
    config_read_mapping(reading, &scope, documents->first, "");
    if (!reading->problems_count && !reading->failed)
        config_check_file(reading, &scope);
}

static int parse(struct config_reading *reading, FILE *problems)
{
    if (!file_index(&reading->file, &reading->arena))
        return -ENOMEM;
    if (reading->file.length > CONFIG_FILE_MAX)
        config_say(reading, NULL, SHOW_NAME, "this is larger than 1 MiB; is it a configuration file?");
    else
        read_documents(reading);
    if (reading->failed || reading->arena.failed || reading->owned->arena.failed)
        return -ENOMEM;
    config_print_problems(reading, problems);
    return reading->problems_count ? -EINVAL : 0;
}

int config_parse(const char *name, const char *text, size_t length, FILE *problems,
                 struct config **ret_config)
{
    struct config *config _cleanup_(config_free) = NULL;
    int error = config_default(&config);
    if (error)
        return error;
    static const char mark[] = "\xef\xbb\xbf";
    size_t skip = length >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
    struct config_reading reading _cleanup_(reading_free) = {.owned = config_owned(config)};
    char *copy = arena_copy(&reading.arena, text + skip, length - skip);
    if (!copy)
        return -ENOMEM;
    reading.file = (struct file){.name = name, .data = copy, .length = length - skip};
    error = parse(&reading, problems);
    if (error)
        return error;
    *ret_config = TAKE_PTR(config);
    return 0;
}

int config_load(const char *path, FILE *problems, char **ret_text, size_t *ret_length,
                struct config **ret_config)
{
    struct arena arena _cleanup_arena_ = {};
    struct stat status;
    const char *data;
    size_t length;
    _cleanup_close_ int fd = file_open(path, &status);
    int error = fd < 0 ? fd : file_read(fd, &arena, &data, &length);
    if (error) {
        fprintf(problems, "%s: error: this cannot be read as a configuration file: %s\n", path,
                file_error(error));
        return error == -ENOMEM ? error : -EINVAL;
    }
    _cleanup_free_ char *text = ret_text ? malloc(length + 1) : NULL;
    if (ret_text && !text)
        return -ENOMEM;
    error = config_parse(path, data, length, problems, ret_config);
    if (error || !ret_text)
        return error;
    memcpy(text, data, length + 1);
    *ret_text = TAKE_PTR(text);
    *ret_length = length;
    return 0;
}
