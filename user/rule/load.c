#include "base/cleanup.h"
#include "compiler.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct loader {
    struct compiler compiler;
    struct {
        dev_t dev;
        ino_t ino;
    } * seen; // a file that is named twice is loaded once
    size_t seen_count;
    size_t seen_capacity;
};

static void loader_free(struct loader *loader)
{
    arena_free(&loader->compiler.load);
    rule_set_free(&loader->compiler.set);
}

// Told even where nothing is wrong with it.
static bool report_file(struct loader *loader, const char *name)
{
    struct rule_report *report = loader->compiler.report;
    char **files = reallocarray(report->files, report->files_count + 1, sizeof(*files));
    if (!files)
        return false;
    report->files = files;
    files[report->files_count] = strdup(name);
    return files[report->files_count++];
}

static void report_unreadable(struct loader *loader, const char *path, const char *why)
{
    report_file(loader, path);
    struct file file = {.name = path};
    problem_at(loader->compiler.report, RULE_ERROR, CODE_FILE, place_of(&file, NULL),
               "this cannot be read as a rule file: %s", why);
}

static bool load_text(struct loader *loader, const char *name, const char *data, size_t length)
{
    struct compiler *compiler = &loader->compiler;
    struct file *file = arena_alloc(&compiler->load, sizeof(*file));
    if (!file)
        return false;
    static const char mark[] = "\xef\xbb\xbf";
    size_t skip = length >= 3 && memcmp(data, mark, 3) == 0 ? 3 : 0;
    file->name = arena_copy(&compiler->load, name, strlen(name));
    file->data = data + skip;
    file->length = length - skip;
    if (!file->name || !file_index(file, &compiler->load) || !report_file(loader, name))
        return false;
    const struct node *documents = rule_yaml_read(file, &compiler->load, compiler->report);
    if (!documents)
        return !compiler->load.failed;
    file->documents = documents;
    return items_collect(&compiler->items, file, documents, &compiler->load, compiler->report);
}

static bool is_seen(struct loader *loader, const struct stat *status)
{
    for (size_t i = 0; i < loader->seen_count; i++)
        if (loader->seen[i].dev == status->st_dev && loader->seen[i].ino == status->st_ino)
            return true;
    if (loader->seen_count == loader->seen_capacity) {
        void *more =
            arena_grow(&loader->compiler.load, loader->seen, sizeof(*loader->seen), &loader->seen_capacity);
        if (!more)
            return false;
        loader->seen = more;
    }
    loader->seen[loader->seen_count].dev = status->st_dev;
    loader->seen[loader->seen_count++].ino = status->st_ino;
    return false;
}

static bool load_file(struct loader *loader, const char *path)
{
    struct stat status;
    _cleanup_close_ int fd = file_open(path, &status);
    if (fd < 0) {
        report_unreadable(loader, path, file_error(fd));
        return true;
    }
    if (is_seen(loader, &status))
        return true;
    const char *data;
    size_t length;
    int error = file_read(fd, &loader->compiler.load, &data, &length);
    if (error == -ENOMEM)
        return false;
    if (error) {
        report_unreadable(loader, path, file_error(error));
        return true;
    }
    return load_text(loader, path, data, length);
}

bool rule_file_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return name[0] != '.' && dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int is_rule_file(const struct dirent *entry)
{
    return rule_file_name(entry->d_name);
}

static int compare_names(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static bool load_directory(struct loader *loader, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_rule_file, compare_names);
    if (count < 0) {
        report_unreadable(loader, path, strerror(errno));
        return true;
    }
    if (count == 0)
        report_unreadable(loader, path, "the directory holds no *.yaml and no *.yml file");
    bool ok = true;
    for (int i = 0; i < count; i++) {
        _cleanup_free_ char *name = NULL;
        ok = ok && asprintf(&name, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
                            entries[i]->d_name) >= 0;
        ok = ok && load_file(loader, name);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

static bool load_input(struct loader *loader, const struct rule_input *input)
{
    struct stat status;
    if (input->path)
        return input->path[0] && stat(input->path, &status) == 0 && S_ISDIR(status.st_mode)
                   ? load_directory(loader, input->path)
                   : load_file(loader, input->path);
    size_t length;
    const char *text = rule_builtin(&length);
    return load_text(loader, "default.yaml (built in)", text, length);
}

int rule_set_load_with(const struct rule_options *options, const struct rule_input *inputs, size_t count,
                       struct rule_report *ret_report, struct rule_set **ret_set)
{
    memset(ret_report, 0, sizeof(*ret_report));
    struct loader loader _cleanup_(loader_free) = {.compiler = {.report = ret_report, .options = options}};
    struct compiler *compiler = &loader.compiler;
    compiler->set = calloc(1, sizeof(*compiler->set));
    if (!compiler->set)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (!load_input(&loader, &inputs[i]))
            return -ENOMEM;
    bool ok = compiler_resolve(compiler) && (options->syntax_only || compiler_bind(compiler));
    report_sort(ret_report);
    if (!ok)
        return -ENOMEM;
    if (ret_report->errors)
        return -EINVAL;
    *ret_set = TAKE_PTR(compiler->set);
    return 0;
}

int rule_set_load(const struct rule_input *inputs, size_t count, struct rule_report *ret_report,
                  struct rule_set **ret_set)
{
    const struct rule_options options = RULE_OPTIONS_INIT;
    return rule_set_load_with(&options, inputs, count, ret_report, ret_set);
}

static void compiler_free(struct compiler *compiler)
{
    arena_free(&compiler->load);
    rule_set_free(&compiler->set);
}

// A text that is no file, as one scalar.
static struct passage *passage_of(struct compiler *compiler, const char *name, const char *text,
                                  size_t length)
{
    struct arena *arena = &compiler->load;
    struct file *file = arena_alloc(arena, sizeof(*file));
    struct node *node = arena_alloc(arena, sizeof(*node));
    struct passage *passage = arena_alloc(arena, sizeof(*passage));
    const char *copy = arena_copy(arena, text, length);
    if (!file || !node || !passage || !copy)
        return NULL;
    *file = (struct file){.name = name, .data = copy, .length = length};
    *node = (struct node){.kind = NODE_SCALAR, .style = STYLE_RAW, .text = copy, .length = length};
    return file_index(file, arena) && passage_add(passage, arena, file, node) && passage_join(passage, arena)
               ? passage
               : NULL;
}

int rule_condition_parse(const char *text, size_t length, struct rule_report *ret_report)
{
    memset(ret_report, 0, sizeof(*ret_report));
    struct compiler compiler _cleanup_(compiler_free) = {.report = ret_report};
    const struct passage *passage = passage_of(&compiler, "condition", text, length);
    if (!passage)
        return -ENOMEM;
    if (condition_parse(passage, &compiler.load, ret_report))
        return 0;
    return ret_report->errors ? -EINVAL : -ENOMEM;
}

int rule_set_load_condition(const char *text, size_t length, struct rule_report *ret_report,
                            struct rule_set **ret_set)
{
    memset(ret_report, 0, sizeof(*ret_report));
    const struct rule_options options = RULE_OPTIONS_INIT;
    struct compiler compiler _cleanup_(compiler_free) = {
        .report = ret_report, .options = &options, .every_type = true};
    const struct passage *condition = passage_of(&compiler, "condition", text, length);
    const struct passage *nothing = passage_of(&compiler, "condition", "", 0);
    struct rule_item *rule = arena_alloc(&compiler.load, sizeof(*rule));
    compiler.set = calloc(1, sizeof(*compiler.set));
    if (!condition || !nothing || !rule || !compiler.set)
        return -ENOMEM;
    const struct part *part = condition->first;
    rule->definition = (struct definition){.name = "condition", .file = part->file, .node = part->node};
    rule->condition = *condition;
    rule->output = rule->description = *nothing;
    rule->enabled = rule->quiet = true;
    struct table_entry *entry = table_add(&compiler.items.rules, &compiler.load, "condition", 9);
    if (!entry)
        return -ENOMEM;
    entry->item = rule;
    bool ok = compiler_resolve(&compiler) && compiler_bind(&compiler);
    if (!ok)
        return -ENOMEM;
    if (ret_report->errors)
        return -EINVAL;
    *ret_set = TAKE_PTR(compiler.set);
    return 0;
}
