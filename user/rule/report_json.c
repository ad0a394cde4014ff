#include "problem.h"

#include "base/cleanup.h"

#include <string.h>

static const char *description_of(const char *code)
{
    static const struct {
        const char *code;
        const char *description;
    } descriptions[] = {
        {CODE_FILE, "File read error"},
        {CODE_YAML, "YAML parse error"},
        {CODE_ITEM, "Error validating internal structure of YAML file"},
        {CODE_CONDITION, "Error compiling condition"},
        {CODE_OUTPUT, "Error compiling output"},
        {CODE_VALIDATE, "Error validating rule/macro/list/exception objects"},
        {"LOAD_UNKNOWN_SOURCE", "Unknown event source"},
        {"LOAD_NO_EVTTYPE", "Condition has no event-type restriction"},
        {"LOAD_UNKNOWN_FILTER", "Unknown field or event-type in condition or output"},
        {"LOAD_UNUSED_MACRO", "Unused macro"},
        {"LOAD_UNUSED_LIST", "Unused list"},
        {"LOAD_UNKNOWN_ITEM", "Unknown rules file item"},
        {"LOAD_UNKNOWN_KEY", "Unknown key in item definition"},
        {"LOAD_APPEND_NO_VALUES", "Overriding/appending with no values"},
        {"LOAD_EXCEPTION_NAME_NOT_UNIQUE", "Multiple exceptions defined with the same name"},
        {"LOAD_INVALID_MACRO_NAME", "Invalid macro name"},
        // These Falco does not have.
        {"LOAD_NEVER_MATCHES", "Condition that no event can meet"},
        {"LOAD_UNKNOWN_EVENT", "Unknown event type in condition"},
        {"LOAD_DUPLICATE_KEY", "Key given twice"},
        {"LOAD_LIST_ORDER", "List used before it is defined"},
        {"LOAD_NO_ITEMS", "File without items"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(descriptions); i++)
        if (strcmp(descriptions[i].code, code) == 0)
            return descriptions[i].description;
    return code;
}

static void add_string(struct text *text, const char *key, const char *string)
{
    text_addf(text, "\"%s\":", key);
    text_add_json(text, string ? string : "", string ? strlen(string) : 0);
}

// Lines and columns count from 0 here, as Falco's do.
static void add_location(struct text *text, const char *file, const char *type, const char *name,
                         const struct rule_position *position)
{
    text_add(text, "{");
    add_string(text, "item_type", type);
    text_add(text, ",");
    add_string(text, "item_name", name);
    text_add(text, ",\"position\":{");
    add_string(text, "name", file);
    text_addf(text, ",\"line\":%u,\"column\":%u,\"offset\":%zu}}", position->line ? position->line - 1 : 0,
              position->column ? position->column - 1 : 0, position->offset);
}

static const char *part_of(const struct rule_problem *problem)
{
    return strcmp(problem->code, CODE_CONDITION) == 0 ? "condition expression"
           : strcmp(problem->code, CODE_OUTPUT) == 0  ? "rule output expression"
                                                      : "value for";
}

static void add_snippet(struct text *text, const struct rule_problem *problem)
{
    _cleanup_text_ struct text snippet = TEXT_INIT(65536);
    text_add(&snippet, problem->line_text ? problem->line_text : "<No context available>");
    text_add(&snippet, "\n");
    for (unsigned column = 1; problem->line_text && column < problem->column; column++)
        text_add_char(&snippet, ' ');
    text_add(&snippet, problem->line_text ? "^\n" : "");
    text_add(text, "\"snippet\":");
    text_add_json(text, text_string(&snippet), snippet.length);
}

static void add_problem(struct text *text, const struct rule_problem *problem)
{
    const struct rule_position start = {0}, at = {problem->line, problem->column, problem->offset};
    text_add(text, "{");
    add_string(text, "code", problem->code);
    text_add(text, ",");
    add_string(text, "codedesc", description_of(problem->code));
    text_add(text, ",");
    add_string(text, "message", problem->message);
    text_add(text, ",\"context\":{\"locations\":[");
    add_location(text, problem->file, "rules content", "", &start);
    if (problem->item) {
        text_add(text, ",");
        add_location(text, problem->file, problem->item, problem->item_name, &problem->item_at);
    }
    if (problem->line && (!problem->item || problem->item_at.offset != problem->offset)) {
        text_add(text, ",");
        add_location(text, problem->file, part_of(problem), "", &at);
    }
    text_add(text, "],");
    add_snippet(text, problem);
    text_add(text, "}}");
}

static size_t add_problems(struct text *text, const struct rule_report *report, const char *file,
                           enum rule_severity severity)
{
    size_t count = 0;
    for (size_t i = 0; i < report->problems_count; i++) {
        const struct rule_problem *problem = &report->problems[i];
        if (problem->severity != severity || !problem->file || strcmp(problem->file, file) != 0)
            continue;
        text_add(text, count++ ? "," : "");
        add_problem(text, problem);
    }
    return count;
}

void rule_report_print_json(const struct rule_report *report, FILE *stream)
{
    fputs("{\"falco_load_results\":[", stream);
    for (size_t i = 0; i < report->files_count; i++) {
        _cleanup_text_ struct text errors = TEXT_INIT(16 << 20);
        _cleanup_text_ struct text warnings = TEXT_INIT(16 << 20);
        _cleanup_text_ struct text name = TEXT_INIT(65536);
        size_t count = add_problems(&errors, report, report->files[i], RULE_ERROR);
        add_problems(&warnings, report, report->files[i], RULE_WARNING);
        add_string(&name, "name", report->files[i]);
        fprintf(stream, "%s{%s,\"successful\":%s,\"errors\":[%s],\"warnings\":[%s]}", i ? "," : "",
                text_string(&name), count ? "false" : "true", text_string(&errors), text_string(&warnings));
    }
    fputs("]}\n", stream);
}
