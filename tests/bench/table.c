// What comes out: an aligned table, the same in Markdown, and JSON.
#include "bench.h"

#include <errno.h>
#include <string.h>

enum { COLUMNS_MAX = 7, CELL = 64 };

struct row {
    char cells[COLUMNS_MAX][CELL];
};

bool figure_missed(const struct figure *figure)
{
    if (figure->limit == 0)
        return false;
    return figure->at_least ? figure->value < figure->limit : figure->value > figure->limit;
}

static void format_ns(double ns, char *text)
{
    if (ns < 10000)
        snprintf(text, CELL, "%.0f ns", ns);
    else
        snprintf(text, CELL, "%.1f µs", ns / 1e3);
}

static void format_value(enum figure_kind kind, double value, char *text)
{
    switch (kind) {
    case FIGURE_RATIO:
        snprintf(text, CELL, "%.2f×", value);
        return;
    case FIGURE_SECONDS:
        if (value >= 0.1 || value == 0)
            snprintf(text, CELL, "%.2f s", value);
        else if (value >= 0.001)
            snprintf(text, CELL, "%.1f ms", value * 1e3);
        else
            snprintf(text, CELL, "%.0f µs", value * 1e6);
        return;
    case FIGURE_BYTES:
        snprintf(text, CELL, "%.1f MB", value / 1e6);
        return;
    case FIGURE_RATE:
        snprintf(text, CELL, "%.2f M/s", value / 1e6);
        return;
    case FIGURE_COUNT:
        snprintf(text, CELL, "%.0f", value);
        return;
    }
}

static void format_range(const struct figure *figure, char *text)
{
    if (figure->low == 0 && figure->high == 0)
        return;
    char low[CELL], high[CELL];
    format_value(figure->kind, figure->low, low);
    format_value(figure->kind, figure->high, high);
    snprintf(text, CELL, "%.28s – %.28s", low, high);
}

static void format_target(const struct figure *figure, char *text)
{
    if (figure->limit == 0)
        return;
    char limit[CELL];
    format_value(figure->kind, figure->limit, limit);
    snprintf(text, CELL, "%s %.40s %s", figure->at_least ? "≥" : "≤", limit,
             figure_missed(figure) ? "MISSED" : "ok");
}

// Columns on a terminal: UTF-8's continuation bytes take none.
static int width(const char *text)
{
    int columns = 0;
    for (; *text; text++)
        columns += (*text & 0xc0) != 0x80;
    return columns;
}

// The first row is the head, without which there is nothing to say; the first column is text, the others are
// numbers.
static void print_rows(const struct row *rows, size_t count, size_t columns, bool markdown)
{
    if (count < 2)
        return;
    int widths[COLUMNS_MAX] = {};
    for (size_t i = 0; i < count; i++)
        for (size_t column = 0; column < columns; column++)
            if (width(rows[i].cells[column]) > widths[column])
                widths[column] = width(rows[i].cells[column]);
    for (size_t i = 0; i < count; i++) {
        for (size_t column = 0; column < columns; column++) {
            const char *cell = rows[i].cells[column];
            int pad = markdown ? 0 : widths[column] - width(cell);
            printf("%s", markdown ? "| " : column ? "   " : "");
            printf("%*s%s%*s", column ? pad : 0, "", cell, column ? 0 : pad, "");
            printf("%s", markdown ? " " : "");
        }
        printf(markdown ? "|\n" : "\n");
        for (size_t column = 0; markdown && i == 0 && column < columns; column++)
            printf(column == 0 ? "|---" : column + 1 < columns ? "|---:" : "|---:|\n");
    }
    printf("\n");
}

static void print_kind(const struct figure *figures, size_t count, bool ratios, bool markdown)
{
    static const struct row ratio_head = {
        {"What other programs pay", "without", "with", "ratio", "rounds", "Falco 0.44", "target"}};
    static const struct row value_head = {{"The agent itself", "measured", "rounds", "Falco 0.44", "target"}};
    struct row rows[64] = {ratios ? ratio_head : value_head};
    size_t used = 1;
    for (size_t i = 0; i < count && used < ARRAY_SIZE(rows); i++) {
        const struct figure *figure = &figures[i];
        if ((figure->kind == FIGURE_RATIO) != ratios)
            continue;
        struct row *row = &rows[used++];
        size_t column = 0;
        snprintf(row->cells[column++], CELL, "%s", figure->name);
        if (ratios) {
            format_ns(figure->without, row->cells[column++]);
            format_ns(figure->with, row->cells[column++]);
        }
        format_value(figure->kind, figure->value, row->cells[column++]);
        format_range(figure, row->cells[column++]);
        snprintf(row->cells[column++], CELL, "%s", figure->falco ? figure->falco : "");
        format_target(figure, row->cells[column]);
    }
    print_rows(rows, used, ratios ? 7 : 5, markdown);
}

void table_print(const struct figure *figures, size_t count, bool markdown)
{
    print_kind(figures, count, true, markdown);
    print_kind(figures, count, false, markdown);
}

void programs_print(const struct program_cost *costs, size_t count, bool markdown)
{
    static const struct row head = {{"In the kernel, by program", "runs", "ns a run"}};
    struct row rows[64] = {head};
    size_t used = 1;
    for (size_t i = 0; i < count && used < ARRAY_SIZE(rows); i++) {
        if (costs[i].runs == 0)
            continue;
        struct row *row = &rows[used++];
        snprintf(row->cells[0], CELL, "%s", costs[i].name);
        snprintf(row->cells[1], CELL, "%llu", (unsigned long long)costs[i].runs);
        snprintf(row->cells[2], CELL, "%.0f", (double)costs[i].run_ns / (double)costs[i].runs);
    }
    print_rows(rows, used, 3, markdown);
}

// Names here are the benchmark's own and need no escaping.
int json_write(const char *path, const struct figure *figures, size_t count, const struct program_cost *costs,
               size_t costs_count)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return -errno;
    fprintf(file, "{\"figures\":[");
    for (size_t i = 0; i < count; i++) {
        const struct figure *figure = &figures[i];
        fprintf(file, "%s\n{\"key\":\"%s\",\"value\":%.9g", i ? "," : "", figure->key, figure->value);
        if (figure->kind == FIGURE_RATIO)
            fprintf(file, ",\"without_ns\":%.9g,\"with_ns\":%.9g", figure->without, figure->with);
        if (figure->low != 0 || figure->high != 0)
            fprintf(file, ",\"low\":%.9g,\"high\":%.9g", figure->low, figure->high);
        if (figure->limit != 0)
            fprintf(file, ",\"target\":%.9g,\"met\":%s", figure->limit,
                    figure_missed(figure) ? "false" : "true");
        fprintf(file, "}");
    }
    fprintf(file, "],\n\"programs\":[");
    for (size_t i = 0; i < costs_count; i++)
        fprintf(file, "%s\n{\"name\":\"%s\",\"runs\":%llu,\"run_ns\":%llu}", i ? "," : "", costs[i].name,
                (unsigned long long)costs[i].runs, (unsigned long long)costs[i].run_ns);
    fprintf(file, "]}\n");
    return fclose(file) ? -errno : 0;
}
