// What rules tell a source early: which fields they read, and what gives an event away that one can match.
#include "rule_fixture.h"

static void clue_text(const struct demand_clue *clue, struct text *text)
{
    char address[INET6_ADDRSTRLEN] = "";
    if (!clue->name[0])
        inet_ntop(clue->address.family == 4 ? AF_INET : AF_INET6, clue->address.bytes, address,
                  sizeof(address));
    text_addf(text, "%s%s", text->length ? " " : "", clue->name[0] ? clue->name : address);
}

static void expect_clues(const char *condition, const char *expected)
{
    _cleanup_free_ char *yaml = NULL;
    cr_assert_geq(asprintf(&yaml, "- list: shells\n  items: [sh, bash]\n" RULE_WITH("|\n    %s"), condition),
                  0);
    _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    size_t connect = event_type_index(event_type_find("connect"));
    _cleanup_text_ struct text found = TEXT_INIT(4096);
    if (demand.any_clue[connect])
        text_add(&found, "any");
    for (size_t i = 0; !demand.any_clue[connect] && i < demand.clues_count; i++)
        if (demand.clues[i].type == connect)
            clue_text(&demand.clues[i], &found);
    cr_expect_str_eq(text_string(&found), expected, "\"%s\" instead of \"%s\" for: %s", text_string(&found),
                     expected, condition);
    demand_free(&demand);
}

Test(rule_clues, names_and_addresses, .init = fixture_register)
{
    static const struct {
        const char *condition;
        const char *expected;
    } cases[] = {
        {"evt.type = connect", "any"},
        {"evt.type = execve and proc.name = sh", ""},
        {"evt.type = connect and proc.name = sh", "sh"},
        {"evt.type = connect and proc.name in (shells)", "sh bash"},
        {"evt.type = connect and not proc.name in (shells)", "any"},
        {"evt.type = connect and proc.name != sh", "any"},
        {"evt.type = connect and proc.name startswith s", "any"},
        {"evt.type = connect and fd.sip = 169.254.169.254", "169.254.169.254"},
        {"evt.type = connect and fd.sip in (1.2.3.4, \"fd00::1\")", "1.2.3.4 fd00::1"},
        {"evt.type = connect and fd.sip = 10.0.0.0/8", "any"},
        {"evt.type = connect and fd.sip in (1.2.3.4, 10.0.0.0/8)", "any"},
        {"evt.type = connect and not fd.sip in (1.2.3.4)", "any"},
        {"evt.type = connect and (proc.name = sh or fd.sip = 1.2.3.4)", "sh 1.2.3.4"},
        {"evt.type = connect and (proc.name = sh or fd.sport = 1)", "any"},
        // Of an `and` the part with the fewest.
        {"evt.type = connect and proc.name in (shells) and fd.sip = 1.2.3.4", "1.2.3.4"},
        // The kernel keeps fifteen letters, so this never holds.
        {"evt.type = connect and proc.name = a-name-of-16-char", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_clues(cases[i].condition, cases[i].expected);
}

static bool reads(const char *yaml, const char *type, const char *name)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    bool found = demand_reads(&demand, field_find(event_type_find(type), name, strlen(name)));
    demand_free(&demand);
    return found;
}

Test(rule_clues, fields_that_are_read, .init = fixture_register)
{
    const char *in_condition = "- rule: r\n  desc: d\n  condition: evt.type = connect and fd.sip = 1.2.3.4\n"
                               "  output: x %proc.name\n  priority: INFO\n";
    const char *in_output = "- rule: r\n  desc: d\n  condition: evt.type = connect\n"
                            "  output: x %evt.rawres\n  priority: INFO\n";
    const char *disabled = "- rule: r\n  desc: d\n  condition: evt.type = connect\n"
                           "  output: x %evt.rawres\n  priority: INFO\n  enabled: false\n";
    cr_expect(reads(in_condition, "connect", "fd.sip"));
    cr_expect_not(reads(in_condition, "connect", "evt.rawres"));
    cr_expect(reads(in_output, "connect", "evt.rawres"));
    cr_expect_not(reads(in_output, "connect", "fd.sip"));
    // The same name on another type of event is another field.
    cr_expect_not(reads(in_output, "openat", "evt.rawres"));
    cr_expect_not(reads(disabled, "connect", "evt.rawres"));
}
