// docs/CONFIG.md, from the table.
#include "base/cleanup.h"
#include "base/text.h"
#include "value.h"

#include <string.h>

static const char opening[] =
    "# agent.yaml\n"
    "\n"
    "`agent --config FILE` reads it; no file is read that is not named. Every key may be left out, and so "
    "may the file.\n"
    "An option of the command line overrides the key that it stands for.\n"
    "\n"
    "    agent config check FILE…          say what is wrong: file:line:column, all at once; needs no root\n"
    "    agent config show [OPTION…]       what these options and their --config come to, as such a file\n"
    "    agent config reference            this page\n"
    "    agent config example              a file with every key in it, commented out\n"
    "\n"
    "A mistake, be it a key that there is not, a value out of bounds or two keys that exclude each other, "
    "and the agent "
    "does not\n"
    "start, or goes on with what it had.\n"
    "\n"
    "**Values.** Sizes are bytes, or with KiB, MiB, GiB, TiB. Times have units: `500ms`, `10s`, `5m`, `24h`, "
    "`7d`, `1h30m`. Rates "
    "are a\n"
    "second, or say `/s`, `/m`, `/h`, `/d`. Aliases and merge keys of YAML are refused.\n"
    "\n"
    "**Environment.** `${NAME}` in a value (not in a key) stands for a variable of the agent's environment, "
    "`${NAME:-default}` also where\n"
    "there is none or it is empty, `$$` for a dollar. What a variable says is not looked at again, and no "
    "message and no "
    "`config show`\n"
    "has it.\n"
    "\n"
    "**Secrets** are not written in this file: `{file: PATH}`, whose content is read when the output is "
    "opened, `{env: "
    "NAME}`, or `${NAME}`,\n"
    "which is the same. Headers whose name speaks of a credential take their value from the environment, "
    "too, and\n"
    "so should a URL whose path is one: `https://hooks.example/${HOOK}`.\n"
    "\n"
    "**SIGHUP** has the file read again. If anything is wrong with it, all stays as it was, and that is said "
    "and counted\n"
    "(`inferscope_config_reloads_total`). Keys marked *restart* keep their value until the agent starts "
    "again, and a warning "
    "names them.\n";

// A bar would end the cell.
static void print_cell(const char *text, FILE *stream)
{
    for (; *text; text++)
        fprintf(stream, *text == '|' ? "\\|" : "%c", *text);
}

static void print_types(unsigned types, FILE *stream)
{
    if (types == ON_ALL) {
        fputs("all", stream);
        return;
    }
    for (size_t i = 0, some = 0; i < OUTPUT_TYPES; i++)
        if (types & 1u << i)
            fprintf(stream, "%s%s", some++ ? ", " : "", config_output_names[i]);
}

static void print_key(const struct config_key *key, FILE *stream)
{
    _cleanup_text_ struct text expected = TEXT_INIT(1024);
    value_expected(key, &expected);
    fprintf(stream, "| `%s` | ", key->path);
    print_cell(text_string(&expected), stream);
    if (key->standard)
        fprintf(stream, " | `%s` | ", key->standard);
    else
        fprintf(stream, " | %s | ", key->required ? "*required*" : "");
    if (key->outputs & ON_ALL)
        print_types(key->outputs, stream);
    for (const struct config_option *option = key->options; option && option->name; option++)
        fprintf(stream, "%s`--%s`", option == key->options ? "" : ", ", option->name);
    fputs(" | ", stream);
    print_cell(key->help, stream);
    if (key->restart)
        fputs(" *(restart)*", stream);
    fputs(" |\n", stream);
}

// `of`: 0 for the file's own.
static void print_keys(unsigned of, FILE *stream)
{
    const struct config_key *key;
    fprintf(stream, "| key | value | default | %s | |\n|---|---|---|---|---|\n",
            of == ON_ALL ? "of the types"
            : of         ? ""
                         : "option");
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (of ? (key->outputs & of) != 0 : !key->outputs)
            print_key(key, stream);
}

void config_document(FILE *stream)
{
    fputs(opening, stream);
    fputs("\n## Keys of the file\n\n`a.b` is `b` below `a:`.\n\n", stream);
    print_keys(0, stream);
    fprintf(stream,
            "\n## outputs\n\n"
            "A list of at most %d receivers of alerts, each with a `type`, which says what other keys it "
            "has. Without it, "
            "alerts go to\n"
            "standard output; with it, through the spool. SIGHUP applies changes and has secrets and "
            "certificates read again; "
            "only to begin\n"
            "with outputs, or to end with them, takes a restart.\n\n",
            CONFIG_OUTPUTS_MAX);
    print_keys(ON_ALL, stream);
    fputs("\n```yaml\n"
          "outputs:\n"
          "  - type: alertmanager\n"
          "    url: http://alertmanager:9093\n"
          "    minimum_priority: warning\n"
          "  - type: splunk\n"
          "    name: siem\n"
          "    url: https://splunk.example:8088\n"
          "    token: {file: /etc/inferscope/splunk-token}\n"
          "    tls:\n"
          "      ca_file: /etc/inferscope/ca.pem\n"
          "```\n",
          stream);
    fprintf(stream,
            "\n## probes\n\n"
            "A list of at most %d functions of programs and libraries that are measured, in whichever "
            "container they run: calls,\n"
            "how long they take, or one of their arguments, by container and without any code. "
            "[RUNTIMES.md](RUNTIMES.md) says what that costs and what it cannot see. Changes take a "
            "restart.\n\n",
            CONFIG_PROBES_MAX);
    print_keys(ON_PROBE, stream);
    fputs("\n```yaml\n"
          "probes:\n"
          "  - name: tokenize\n"
          "    files: [libtokenizer.so*, /opt/app/server]\n"
          "    symbol: tokenize\n"
          "    measure: latency\n"
          "  - name: cache_read\n"
          "    files: [libcache.so]\n"
          "    symbol: cache_get\n"
          "    measure: amount\n"
          "    argument: 3\n"
          "    unit: bytes\n"
          "```\n"
          "\n"
          "These are `inferscope_probe_tokenize_seconds` and `inferscope_probe_cache_read_bytes_total`.\n",
          stream);
}
