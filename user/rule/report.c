#include "problem.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_TEXT_MAX = 4096, MESSAGE_MAX = 2048 };

bool passage_add(struct passage *passage, struct arena *arena, const struct file *file,
                 const struct node *node)
{
    struct part *part = arena_alloc(arena, sizeof(*part));
    if (!part)
        return false;
    part->file = file;
    part->node = node;
    if (passage->last)
        passage->last->next = part;
    else
        passage->first = part;
    passage->last = part;
    return true;
}

bool passage_join(struct passage *passage, struct arena *arena)
{
    size_t length = 0;
    for (struct part *part = passage->first; part; part = part->next) {
        part->start = length;
        length += part->node->length + (part->next ? 1 : 0);
    }
    char *text = arena_alloc(arena, length + 1);
    if (!text)
        return false;
    for (const struct part *part = passage->first; part; part = part->next) {
        memcpy(text + part->start, part->node->text, part->node->length);
        if (part->next)
            text[part->start + part->node->length] = ' ';
    }
    passage->text = text;
    passage->length = length;
    return true;
}

struct place place_in(const struct passage *passage, size_t offset)
{
    return (struct place){.passage = passage, .offset = offset};
}

struct place place_of(const struct file *file, const struct node *node)
{
    return (struct place){.file = file, .node = node};
}

// The room for one more problem, or NULL where it is only counted.
static struct rule_problem *report_add(struct rule_report *report, enum rule_severity severity)
{
    if (severity == RULE_ERROR)
        report->errors++;
    else
        report->warnings++;
    if (!report->problems)
        report->problems = calloc(RULE_PROBLEMS_MAX, sizeof(*report->problems));
    if (!report->problems || report->problems_count == RULE_PROBLEMS_MAX) {
        report->problems_left_out++;
        return NULL;
    }
    return &report->problems[report->problems_count++];
}

static char *line_of(const struct file *file, unsigned line)
{
    size_t start = file->lines[line - 1];
    size_t end = line < file->lines_count ? file->lines[line] : file->length;
    while (end > start && (file->data[end - 1] == '\n' || file->data[end - 1] == '\r'))
        end--;
    return end - start > LINE_TEXT_MAX ? NULL : strndup(file->data + start, end - start);
}

static void find_item(struct rule_problem *problem, const struct file *file)
{
    static const char *const kinds[] = {"rule", "macro", "list", "required_engine_version",
                                        "required_plugin_versions"};
    const struct node *found = NULL;
    const struct node *document = file->documents ? file->documents->first : NULL;
    for (; document; document = document->next)
        for (const struct node *item = document->kind == NODE_SEQUENCE ? document->first : NULL; item;
             item = item->next)
            if (item->kind == NODE_MAPPING && item->offset <= problem->offset)
                found = item;
    for (size_t i = 0; found && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct node *name = node_get(found, kinds[i]);
        if (!name)
            continue;
        problem->item = kinds[i];
        problem->item_name = strdup(i < 3 && name->kind == NODE_SCALAR ? name->text : "");
        problem->item_at.offset = found->offset;
        file_position(file, found->offset, &problem->item_at.line, &problem->item_at.column);
        return;
    }
}

static void problem_add(struct rule_report *report, enum rule_severity severity, const char *code,
                        const struct file *file, size_t offset, bool placed, const char *format, va_list args)
{
    struct rule_problem *problem = report_add(report, severity);
    if (!problem)
        return;
    char message[MESSAGE_MAX];
    vsnprintf(message, sizeof(message), format, args);
    problem->severity = severity;
    problem->code = code;
    problem->file = strdup(file->name);
    problem->message = strdup(message);
    if (placed && file->lines) {
        file_position(file, offset, &problem->line, &problem->column);
        problem->line_text = line_of(file, problem->line);
        problem->offset = offset;
        find_item(problem, file);
    }
}

void problem_in_file(struct rule_report *report, enum rule_severity severity, const char *code,
                     const struct file *file, size_t offset, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    problem_add(report, severity, code, file, offset, true, format, args);
    va_end(args);
}

void problem_at(struct rule_report *report, enum rule_severity severity, const char *code, struct place place,
                const char *format, ...)
{
    const struct file *file = place.file;
    size_t offset = place.node ? place.node->offset : 0;
    bool placed = place.node != NULL;
    // Finding a byte again takes a walk over the text, so it is not done for what is only counted.
    if (place.passage && report->problems_count < RULE_PROBLEMS_MAX) {
        const struct part *part = place.passage->first;
        while (part->next && part->next->start <= place.offset)
            part = part->next;
        file = part->file;
        offset = node_locate(file, part->node, place.offset - part->start);
        placed = true;
    }
    va_list args;
    va_start(args, format);
    problem_add(report, severity, code, file, offset, placed, format, args);
    va_end(args);
}

static void yaml_problem(const struct file *file, size_t offset, const char *message, void *context)
{
    problem_in_file(context, RULE_ERROR, CODE_YAML, file, offset, "%s", message);
}

struct node *rule_yaml_read(const struct file *file, struct arena *arena, struct rule_report *report)
{
    const struct yaml_reader reader = {.kind = "rule file", .problem = yaml_problem, .context = report};
    return yaml_read(file, arena, &reader);
}

// Position of the first problem that is in the same file.
static size_t first_of_file(const struct rule_report *report, size_t index)
{
    const char *file = report->problems[index].file;
    for (size_t i = 0; i < index; i++)
        if (file && report->problems[i].file && strcmp(report->problems[i].file, file) == 0)
            return i;
    return index;
}

void report_sort(struct rule_report *report)
{
    // Where each belongs is fixed before anything moves.
    size_t files[RULE_PROBLEMS_MAX];
    for (size_t i = 0; i < report->problems_count; i++)
        files[i] = first_of_file(report, i);
    for (size_t i = 1; i < report->problems_count; i++) {
        struct rule_problem problem = report->problems[i];
        size_t file = files[i], at = i;
        for (; at > 0; at--) {
            const struct rule_problem *before = &report->problems[at - 1];
            if (files[at - 1] < file || (files[at - 1] == file &&
                                         (before->line < problem.line || (before->line == problem.line &&
                                                                          before->column <= problem.column))))
                break;
            report->problems[at] = *before;
            files[at] = files[at - 1];
        }
        report->problems[at] = problem;
        files[at] = file;
    }
}

void rule_report_free(struct rule_report *report)
{
    for (size_t i = 0; i < report->problems_count; i++) {
        free(report->problems[i].file);
        free(report->problems[i].line_text);
        free(report->problems[i].item_name);
        free(report->problems[i].message);
    }
    for (size_t i = 0; i < report->files_count; i++)
        free(report->files[i]);
    free(report->files);
    free(report->problems);
    memset(report, 0, sizeof(*report));
}

void rule_report_print(const struct rule_report *report, FILE *stream, bool color)
{
    const char *off = color ? "\033[0m" : "";
    const char *bold = color ? "\033[1m" : "";
    for (size_t i = 0; i < report->problems_count; i++) {
        const struct rule_problem *problem = &report->problems[i];
        bool error = problem->severity == RULE_ERROR;
        const char *on = !color ? "" : error ? "\033[1;31m" : "\033[1;35m";
        _cleanup_text_ struct text text = TEXT_INIT(4 * MESSAGE_MAX);
        text_add_printable(&text, problem->file ? problem->file : "?",
                           strlen(problem->file ? problem->file : "?"));
        if (problem->line)
            text_addf(&text, ":%u:%u", problem->line, problem->column);
        fprintf(stream, "%s%s:%s %s%s:%s ", bold, text_string(&text), off, on, error ? "error" : "warning",
                off);
        text_reset(&text);
        if (problem->message)
            text_add_printable(&text, problem->message, strlen(problem->message));
        fprintf(stream, "%s [%s]\n", text_string(&text), problem->code);
        if (problem->line_text)
            yaml_print_line(stream, problem->line, problem->line_text, problem->column, on, off);
    }
    if (report->problems_left_out)
        fprintf(stream, "and %zu more\n", report->problems_left_out);
}
