#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"
#include "event.h"
#include "rule.h"
#include "runtimes.h"
#include "source.h"

#include <errno.h>
#include <string.h>

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_MARKDOWN };

// A table that is written in any of the formats: columns by name, cells in order.
struct table {
    enum format format;
    const char *const *columns; // NULL-terminated
    const int *widths;          // for FORMAT_TEXT; 0: as wide as it comes
    size_t rows;
};

static void table_begin(struct table *table)
{
    table->rows = 0;
    if (table->format == FORMAT_JSON) {
        printf("[");
    } else if (table->format == FORMAT_MARKDOWN) {
        for (size_t i = 0; table->columns[i]; i++)
            printf("| %s ", table->columns[i]);
        printf("|\n");
        for (size_t i = 0; table->columns[i]; i++)
            printf("|---");
        printf("|\n");
    }
}

static void table_row(struct table *table, const char *const *cells)
{
    if (table->format == FORMAT_JSON)
        printf("%s\n  {", table->rows ? "," : "");
    for (size_t i = 0; table->columns[i]; i++) {
        const char *cell = cells[i] ? cells[i] : "";
        if (table->format == FORMAT_JSON) {
            _cleanup_text_ struct text json = TEXT_INIT(65536);
            text_add_json(&json, cell, strlen(cell));
            printf("%s\"%s\": %s", i ? ", " : "", table->columns[i], text_string(&json));
        } else if (table->format == FORMAT_MARKDOWN) {
            // A bar would end the cell, also inside code.
            printf(i ? "| " : "| `");
            for (const char *c = cell; *c; c++)
                printf(*c == '|' ? "\\|" : "%c", *c);
            printf(i ? " " : "` ");
        } else {
            printf("%-*s%s", table->widths[i], cell, table->columns[i + 1] ? "  " : "");
        }
    }
    printf(table->format == FORMAT_JSON ? "}" : table->format == FORMAT_MARKDOWN ? "|\n" : "\n");
    table->rows++;
}

static void table_end(const struct table *table)
{
    if (table->format == FORMAT_JSON)
        printf("\n]\n");
}

// --- fields ---

static void field_row(struct table *table, const char *group, const struct field *field)
{
    char name[96], type[32];
    static const char *const args[] = {"", "[n]", "[key]", "[key]", "[time]"};
    snprintf(name, sizeof(name), "%s%s", field->name, args[field->arg]);
    snprintf(type, sizeof(type), "%s%s", field_type_name(field->type), field->many ? " …" : "");
    const char *cells[] = {name, type, group, field->help};
    table_row(table, cells);
}

// Types that share a table of fields are listed once, by all their names.
static void visit_field(const char *group, const struct event_type *type, const struct field *field,
                        void *context)
{
    char types[256] = "";
    size_t used = 0;
    for (size_t i = 0; type && i < event_type_count(); i++) {
        const struct event_type *other = event_type_at(i);
        if (other->fields != type->fields)
            continue;
        if (!used && other != type)
            return;
        if (used < sizeof(types))
            used +=
                (size_t)snprintf(types + used, sizeof(types) - used, "%s%s", used ? " " : "", other->name);
    }
    field_row(context, type ? types : group, field);
}

static const char *const field_columns[] = {"field", "type", "of", "help", NULL};
static const int field_widths[] = {28, 8, 42, 0};

static void list_fields(enum format format)
{
    struct table table = {.format = format, .columns = field_columns, .widths = field_widths};
    table_begin(&table);
    field_visit(visit_field, &table);
    table_end(&table);
}

// --- events ---

struct context_tables {
    struct table table;
    const char *group;
};

static void visit_context(const char *group, const struct event_type *type, const struct field *field,
                          void *context)
{
    struct context_tables *tables = context;
    if (type)
        return;
    if (!tables->group || strcmp(tables->group, group) != 0) {
        printf("\n### %s\n\n", group);
        table_begin(&tables->table);
        tables->group = group;
    }
    field_row(&tables->table, group, field);
}

// docs/EVENTS.md, whole.
static void list_events_markdown(void)
{
    printf("# Events and fields\n\n"
           "Made by `make docs` from the tables that the agent itself uses; do not edit.\n\n"
           "A type followed by … has several values: a comparison holds if it holds for any of them, `!=` if "
           "it\n"
           "holds for all. A field that an event does not have, or whose value is missing, makes every\n"
           "comparison false.\n");
    for (size_t i = 0; i < event_type_count(); i++) {
        const struct event_type *type = event_type_at(i);
        printf("\n## %s\n\n%s. Source `%s`.\n", type->name, type->help, event_type_source(type));
        // Types that share a table are told apart by name only.
        if (i && type->fields == event_type_at(i - 1)->fields && type->fields_count) {
            printf("\nThe same fields as `%s`.\n", event_type_at(i - 1)->name);
            continue;
        }
        if (!type->fields_count) {
            printf("\nOnly the fields of every event.\n");
            continue;
        }
        struct table table = {.format = FORMAT_MARKDOWN, .columns = field_columns, .widths = field_widths};
        printf("\n");
        table_begin(&table);
        for (size_t k = 0; k < type->fields_count; k++)
            field_row(&table, type->name, &type->fields[k]);
    }
    printf("\n## Fields of every event\n");
    struct context_tables tables = {
        .table = {.format = FORMAT_MARKDOWN, .columns = field_columns, .widths = field_widths}};
    field_visit(visit_context, &tables);
}

static void list_events(enum format format)
{
    static const char *const columns[] = {"event", "source", "help", NULL};
    static const int widths[] = {18, 8, 0};
    if (format == FORMAT_MARKDOWN) {
        list_events_markdown();
        return;
    }
    struct table table = {.format = format, .columns = columns, .widths = widths};
    table_begin(&table);
    for (size_t i = 0; i < event_type_count(); i++) {
        const struct event_type *type = event_type_at(i);
        const char *cells[] = {type->name, event_type_source(type), type->help};
        table_row(&table, cells);
    }
    table_end(&table);
}

// --- sources ---

static void list_sources(enum format format)
{
    static const char *const columns[] = {"source", "events", "help", NULL};
    struct table table = {.format = format, .columns = columns};
    table_begin(&table);
    for (size_t i = 0; i < source_count(); i++) {
        const struct source *source = source_at(i);
        char events[512] = "";
        size_t used = 0;
        for (size_t k = 0; k < source->types_count && used < sizeof(events); k++)
            used += (size_t)snprintf(events + used, sizeof(events) - used, "%s%s", k ? " " : "",
                                     source->types[k].name);
        const char *cells[] = {source->name, used ? events : "-", source->help};
        // A source may have more types of events than a column has room for.
        if (format == FORMAT_TEXT)
            printf("%-8s  %s\n%s%s%s", source->name, source->help, used ? "          " : "", events,
                   used ? "\n" : "");
        else
            table_row(&table, cells);
    }
    table_end(&table);
}

// --- runtimes ---

// A container may call its files anything.
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static void runtime_row(const struct runtime_found *found, void *context)
{
    struct table *table = context;
    char processes[24], probed[32];
    _cleanup_free_ char *file = strdup(found->file);
    if (!file)
        return;
    if (table->format != FORMAT_JSON)
        make_printable(file);
    const char *none = table->format == FORMAT_JSON ? "" : "-";
    snprintf(processes, sizeof(processes), "%zu", found->processes);
    if (found->functions)
        snprintf(probed, sizeof(probed), "%zu functions", found->functions);
    else
        snprintf(probed, sizeof(probed), "%s", none);
    const char *cells[] = {found->kind, processes, probed, file, found->blind ? found->blind : none};
    table_row(table, cells);
}

static int list_runtimes(enum format format)
{
    static const char *const columns[] = {"runtime", "processes", "probed", "file", "blind", NULL};
    static const int widths[] = {12, 9, 12, 56, 0};
    struct table table = {.format = format, .columns = columns, .widths = widths};
    if (geteuid() != 0)
        fprintf(stderr, "Only this user's own processes can be looked into; run it as root to see all.\n");
    if (format == FORMAT_TEXT)
        printf("%-12s  %-9s  %-12s  %-56s  %s\n", columns[0], columns[1], columns[2], columns[3], columns[4]);
    table_begin(&table);
    int error = runtimes_visit(runtime_row, &table);
    table_end(&table);
    if (error)
        fprintf(stderr, "agent: not all of it: %s\n", strerror(-error));
    return error != 0;
}

// --- metrics ---

static void metric_row(const char *name, const char *type, const char *labels, const char *help,
                       void *context)
{
    const char *cells[] = {name, type, labels, help};
    table_row(context, cells);
}

static int list_metrics(enum format format)
{
    static const char *const columns[] = {"metric", "type", "labels", "help", NULL};
    static const int widths[] = {56, 9, 32, 0};
    struct table table = {.format = format, .columns = columns, .widths = widths};
    if (format == FORMAT_MARKDOWN)
        printf("# Metrics\n\n"
               "Made by `make docs` from a collection of all that the agent can export; do not edit. Which "
               "of them there "
               "are depends on what\n"
               "the configuration asks for and on what happens; a histogram has `_bucket`, `_sum` and "
               "`_count`. Your own "
               "probes\n"
               "([RUNTIMES.md](RUNTIMES.md#probes-of-your-own)) come on top.\n\n");
    table_begin(&table);
    int code = cli_describe_metrics(metric_row, &table);
    table_end(&table);
    return code;
}

// --- rules ---

static int list_rules(enum format format, char **paths, size_t count)
{
    static const char *const columns[] = {"rule", "priority", "enabled", "description", NULL};
    static const int widths[] = {56, 13, 7, 0};
    _cleanup_free_ struct rule_input *inputs = calloc(count + 1, sizeof(*inputs));
    if (!inputs)
        return 1;
    for (size_t i = 0; i < count; i++)
        inputs[i].path = paths[i];
    struct rule_report report = {};
    struct rule_set *rules = NULL;
    int error = rule_set_load(inputs, count ? count : 1, &report, &rules);
    if (error)
        rule_report_print(&report, stderr, isatty(STDERR_FILENO));
    rule_report_free(&report);
    if (error)
        return 1;

    struct table table = {.format = format, .columns = columns, .widths = widths};
    table_begin(&table);
    for (size_t i = 0; i < rule_set_count(rules); i++) {
        const struct rule *rule = rule_set_at(rules, i);
        const char *cells[] = {rule->name, priority_name(rule->priority), rule->enabled ? "yes" : "no",
                               rule->description};
        table_row(&table, cells);
    }
    table_end(&table);
    rule_set_free(&rules);
    return 0;
}

static const char usage[] =
    "Usage: agent list fields|events|sources|rules|runtimes|metrics [--format text|json|markdown] [FILE…]\n";

int cli_list(int argc, char **argv)
{
    enum format format = FORMAT_TEXT;
    const char *what = argc > 1 ? argv[1] : "";
    int left = 0; // what is not an option stays, in order
    for (int i = 2; i < argc; i++) {
        const char *value = strncmp(argv[i], "--format=", 9) == 0 ? argv[i] + 9 : NULL;
        if (strcmp(argv[i], "--format") == 0 && i + 1 < argc)
            value = argv[++i];
        if (!value && argv[i][0] != '-')
            argv[2 + left++] = argv[i];
        else if (value && strcmp(value, "text") == 0)
            format = FORMAT_TEXT;
        else if (value && strcmp(value, "json") == 0)
            format = FORMAT_JSON;
        else if (value && strcmp(value, "markdown") == 0)
            format = FORMAT_MARKDOWN;
        else {
            fputs(usage, stderr);
            return CLI_USAGE;
        }
    }
    if (strcmp(what, "rules") == 0)
        return list_rules(format, argv + 2, (size_t)left);
    if (strcmp(what, "--help") == 0 || left || argc < 2) {
        fputs(usage, left || argc < 2 ? stderr : stdout);
        return left || argc < 2 ? CLI_USAGE : 0;
    }
    if (strcmp(what, "fields") == 0)
        list_fields(format);
    else if (strcmp(what, "events") == 0)
        list_events(format);
    else if (strcmp(what, "sources") == 0)
        list_sources(format);
    else if (strcmp(what, "runtimes") == 0)
        return list_runtimes(format);
    else if (strcmp(what, "metrics") == 0)
        return list_metrics(format);
    else {
        fputs(usage, stderr);
        return CLI_USAGE;
    }
    return 0;
}
