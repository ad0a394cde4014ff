#include "base/cleanup.h"
#include "base/text.h"
#include "reading.h"

#include <string.h>

enum { MESSAGE_MAX = 2048, LINE_SHOWN_MAX = 512 };

// Up to where the line holds no secret. A key's own name may always be shown.
static size_t shown_until(const struct config_reading *reading, const struct node *node,
                          enum config_show show)
{
    if (!node || show == SHOW_NOTHING)
        return 0;
    if (node->kind == NODE_SCALAR && (node->value || show == SHOW_VALUE))
        return node_locate(&reading->file, node, node->length) + (node->style != STYLE_PLAIN);
    return node->offset;
}

void config_say(struct config_reading *reading, const struct node *node, enum config_show show,
                const char *format, ...)
{
    if (reading->problems_count == CONFIG_PROBLEMS_MAX) {
        reading->left_out++;
        return;
    }
    char *message = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    if (length < 0) {
        reading->failed = true;
        return;
    }
    size_t offset = node ? node->offset : 0;
    reading->problems[reading->problems_count++] = (struct config_problem){
        .offset = offset, .shown = shown_until(reading, node, show), .message = message};
}

void config_problems_free(struct config_reading *reading)
{
    for (size_t i = 0; i < reading->problems_count; i++)
        free(reading->problems[i].message);
    reading->problems_count = 0;
}

static void print(const struct config_reading *reading, const struct config_problem *problem, FILE *stream)
{
    const struct file *file = &reading->file;
    _cleanup_text_ struct text text = TEXT_INIT(4 * MESSAGE_MAX);
    unsigned line, column;
    file_position(file, problem->offset, &line, &column);
    text_add_printable(&text, file->name, strlen(file->name));
    text_addf(&text, ":%u:%u: error: ", line, column);
    text_add_printable(&text, problem->message, strlen(problem->message));
    fprintf(stream, "%s\n", text_string(&text));

    size_t start = file->lines[line - 1];
    size_t end = line < file->lines_count ? file->lines[line] : file->length;
    while (end > start && (file->data[end - 1] == '\n' || file->data[end - 1] == '\r'))
        end--;
    bool cut = problem->shown < end;
    end = cut ? problem->shown : end;
    // In {…} and […] other values may come first.
    size_t before = problem->offset > start ? problem->offset - start : 0;
    if (end <= start || end - start > LINE_SHOWN_MAX || memchr(file->data + start, '\0', end - start) ||
        memchr(file->data + start, '{', before) || memchr(file->data + start, '[', before) ||
        memchr(file->data + start, ',', before))
        return;
    char shown[LINE_SHOWN_MAX + sizeof("…")];
    snprintf(shown, sizeof(shown), "%.*s%s", (int)(end - start), file->data + start, cut ? "…" : "");
    yaml_print_line(stream, line, shown, column, "", "");
}

void config_print_problems(const struct config_reading *reading, FILE *stream)
{
    struct config_problem sorted[CONFIG_PROBLEMS_MAX];
    memcpy(sorted, reading->problems, sizeof(sorted));
    // They are few, and those of one place stay in order.
    for (size_t i = 1; i < reading->problems_count; i++) {
        for (size_t k = i; k > 0 && sorted[k - 1].offset > sorted[k].offset; k--) {
            struct config_problem swapped = sorted[k];
            sorted[k] = sorted[k - 1];
            sorted[k - 1] = swapped;
        }
    }
    for (size_t i = 0; i < reading->problems_count; i++)
        print(reading, &sorted[i], stream);
    if (reading->left_out)
        fprintf(stream, "%s: and %zu more\n", reading->file.name, reading->left_out);
}
