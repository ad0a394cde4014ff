// The example file: every key with its default, commented out. Without the first # of each line it is a
// configuration; what has no default has a second one.
#include "base/cleanup.h"
#include "base/text.h"
#include "value.h"

#include <string.h>

enum { WIDTH = 106 };

struct example {
    FILE *stream;
    size_t indent;
    char section[64]; // that is open
};

static const char *value_of(const struct config_key *key)
{
    if (key->standard)
        return key->standard;
    switch (key->type) {
    case TYPE_WORD:
        return key->words[0];
    case TYPE_NUMBER:
        return "1";
    case TYPE_LIST:
        if (key->required)
            return "[name]";
        __attribute__((fallthrough));
    case TYPE_SWITCHES:
        return "[]";
    case TYPE_ADDRESSES:
        return "[broker.example:9093]";
    case TYPE_HEADERS:
    case TYPE_LABELS:
        return "{}";
    case TYPE_SECRET:
        return "{file: /etc/inferscope/secret}";
    case TYPE_URL:
        return "https://receiver.example";
    case TYPE_ADDRESS:
        return "receiver.example:514";
    case TYPE_PATH:
        return "/path";
    default:
        return "name";
    }
}

static void print_comment(FILE *stream, int indent, const char *text)
{
    while (*text) {
        size_t length = strlen(text), room = WIDTH - (size_t)indent;
        if (length > room)
            for (length = room; length > 1 && text[length] != ' '; length--)
                ;
        fprintf(stream, "#%*s# %.*s\n", indent, "", (int)length, text);
        text += length + (text[length] == ' ');
    }
}

static void print_key(struct example *example, const struct config_key *key)
{
    const char *dot = strrchr(key->path, '.');
    char section[sizeof(example->section)] = "";
    if (dot)
        snprintf(section, sizeof(section), "%.*s", (int)(dot - key->path), key->path);
    // These have no effect without TLS, and what a probe may have depends on what it measures.
    bool list = key->type >= TYPE_LIST && key->type <= TYPE_SWITCHES;
    bool twice = (!key->standard && !key->required && !list) || strcmp(section, "tls") == 0 ||
                 (key->outputs == ON_PROBE && !key->required);
    if (section[0] && strcmp(section, example->section) != 0)
        fprintf(example->stream, "#%*s%s:\n", (int)example->indent, "", section);
    memcpy(example->section, section, sizeof(section));
    _cleanup_text_ struct text comment = TEXT_INIT(2048);
    text_addf(&comment, "%s (", key->help);
    value_expected(key, &comment);
    text_add_char(&comment, ')');
    int indent = (int)example->indent + (dot ? 4 : 0);
    print_comment(example->stream, indent, text_string(&comment));
    fprintf(example->stream, "#%*s%s%s: %s%s%s\n", indent, "", twice ? "#" : "", dot ? dot + 1 : key->path,
            key->type == TYPE_WORDS ? "[" : "", value_of(key), key->type == TYPE_WORDS ? "]" : "");
}

static void print_output(struct example *example, enum config_output_type type, bool all)
{
    const struct config_key *key;
    fprintf(example->stream, "#    - type: %s\n", config_output_names[type]);
    example->section[0] = '\0';
    example->indent = 6;
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (key->outputs & 1u << type && (all || key->outputs != ON_ALL) && strcmp(key->path, "type") != 0)
            print_key(example, key);
    example->indent = 0;
}

void config_example(FILE *stream)
{
    struct example example = {.stream = stream};
    const struct config_key *key;
    fputs("## Configuration of Inferscope: agent --config FILE reads it. Every key is here with its default; "
          "take "
          "away the\n"
          "## first # of a line to change it. docs/CONFIG.md says more; agent config check FILE says what is "
          "wrong.\n"
          "#\n",
          stream);
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (!key->outputs)
            print_key(&example, key);
    fputs("#\n"
          "## Receivers of alerts, one of each type. The first shows what all have; the others what is their "
          "own.\n"
          "#outputs:\n",
          stream);
    for (enum config_output_type type = 0; type < OUTPUT_TYPES; type++)
        print_output(&example, type, type == 0);
    fputs("#\n"
          "## Functions of programs and libraries that are measured.\n"
          "#probes:\n"
          "#    -\n",
          stream);
    example.section[0] = '\0';
    example.indent = 6;
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (key->outputs == ON_PROBE)
            print_key(&example, key);
}
