// What rules ask of the sources: types of event, and of those that open files the paths.
#include "rule_fixture.h"

// "any" or the paths, a star behind each that is only a beginning; then "+failed" where failed opens matter.
static char *describe(const struct demand *demand)
{
    struct text text = TEXT_INIT(65536);
    text_add(&text, demand->any_path ? "any " : "");
    for (size_t i = 0; !demand->any_path && i < demand->paths_count; i++)
        text_addf(&text, "%s%s ", demand->paths[i].text, demand->paths[i].prefix ? "*" : "");
    for (size_t i = 0; !demand->any_path && i < demand->suffixes_count; i++)
        text_addf(&text, "*%.4s ", (const char *)&demand->suffixes[i]);
    text_add(&text, demand->failed_opens ? "+failed" : "");
    while (text.length > 0 && text.data[text.length - 1] == ' ')
        text.data[--text.length] = '\0';
    return text.data ? text.data : strdup("");
}

static void expect_demand(const char *condition, const char *expected)
{
    _cleanup_free_ char *yaml = NULL;
    cr_assert_geq(
        asprintf(&yaml, "- list: files\n  items: [/etc/a, /etc/b]\n" RULE_WITH("|\n    %s"), condition), 0);
    _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    _cleanup_free_ char *found = describe(&demand);
    cr_expect_str_eq(found, expected, "\"%s\" instead of \"%s\" for: %s", found, expected, condition);
    demand_free(&demand);
}

Test(rule_demand, paths, .init = fixture_register)
{
    static const struct {
        const char *condition;
        const char *expected;
    } cases[] = {
        {"evt.type = execve", ""},
        {"evt.type = open", "any +failed"},
        {"evt.type = open and fd.name = /x", "/x +failed"},
        {"fd.name = /x", "/x +failed"},
        {"fd.name != /x", "any +failed"},
        {"not fd.name = /x", "any +failed"},
        {"fd.name in (/x, /y)", "/x /y +failed"},
        {"fd.name in (files)", "/etc/a /etc/b +failed"},
        {"fd.name startswith /x", "/x* +failed"},
        {"fd.name startswith /", "any +failed"},
        {"fd.name startswith \"\"", "any +failed"},
        {"fd.name contains /x", "any +failed"},
        {"fd.name endswith /x", "any +failed"},
        {"fd.name endswith .py", "any +failed"},
        {"fd.name endswith .gguf", "*gguf +failed"},
        {"fd.name endswith /id_rsa", "*_rsa +failed"},
        {"fd.name endswith d/rsa", "any +failed"},
        {"fd.name endswith .safetensors or fd.name = /x", "/x *sors +failed"},
        {"fd.name endswith .onnx or fd.name endswith .yonnx", "*onnx +failed"},
        {"fd.name endswith .onnx and fd.name startswith /x/", "*onnx +failed"},
        {"fd.name glob /x", "/x +failed"},
        {"fd.name glob /x/*", "/x/* +failed"},
        {"fd.name glob /x/?b", "/x/* +failed"},
        {"fd.name glob \"/x/[ab]\"", "/x/* +failed"},
        {"fd.name glob \"/x\\*\"", "/x* +failed"},
        {"fd.name glob /*", "any +failed"},
        {"fd.name glob *x", "any +failed"},
        {"fd.name pmatch (/x, /y/z/)", "/x* /y/z* +failed"},
        {"fd.name pmatch (/home/*/x)", "/home* +failed"},
        {"fd.name pmatch (/*/x)", "any +failed"},
        {"fd.name pmatch (/)", "any +failed"},
        {"fd.name in ()", ""},
        {"fd.filename = x", "any +failed"},
        // Of an `and` the part with the fewest paths, of an `or` all.
        {"fd.name startswith /x and fd.name endswith y", "/x* +failed"},
        {"fd.name in (/a, /b) and fd.name startswith /", "/a /b +failed"},
        {"fd.name in (/a, /b) and fd.name startswith /a", "/a* +failed"},
        {"fd.name = /x or fd.name = /y", "/x /y +failed"},
        {"fd.name = /x or proc.name = y", "any +failed"},
        {"proc.name = y and (fd.name = /x or fd.name startswith /y)", "/x /y* +failed"},
        {"(fd.name = /x and proc.name = a) or (fd.name = /x and proc.name = b)", "/x +failed"},
        {"not (fd.name = /x or fd.name = /y)", "any +failed"},
        {"not not fd.name = /x", "/x +failed"},
        // What folds away does not count.
        {"fd.name = /x or evt.type = execve", "/x +failed"},
        {"fd.name = /x and evt.type = connect", ""},
        {"fd.name = /x or fd.sip exists", "/x +failed"},
        {"fd.name startswith anyof (/x, /y)", "/x* /y* +failed"},
        {"fd.name startswith oneof (/x, /y)", "/x* /y* +failed"},
        {"fd.name startswith allof (/x, /y)", "any +failed"},
        {"fd.name = anyof (/x, files)", "/etc/a /etc/b /x +failed"},
        {"fd.name glob anyof (/x/*, /y)", "/x/* /y +failed"},
        {"fd.name endswith anyof (/x, /y)", "any +failed"},
        {"fd.name != allof (/x, /y)", "any +failed"},
        {"fd.name = val(proc.exepath)", "any +failed"},
        {"tolower(fd.name) = /x", "any +failed"},
        {"fd.name = /x and tolower(fd.name) = /x", "/x +failed"},
        {"fd.name = /x and fd.num >= val(proc.pid)", "/x +failed"},
        // Conditions that an open that failed cannot meet.
        {"fd.name = /x and fd.num >= 0", "/x"},
        {"fd.name = /x and fd.num > -1", "/x"},
        {"fd.name = /x and fd.num > -2", "/x +failed"},
        {"fd.name = /x and fd.num = 3", "/x"},
        {"fd.name = /x and evt.rawres >= 0", "/x"},
        {"fd.name = /x and evt.rawres < 0", "/x +failed"},
        {"fd.name = /x and evt.failed = false", "/x"},
        {"fd.name = /x and evt.failed != true", "/x"},
        {"fd.name = /x and evt.failed = true", "/x +failed"},
        {"fd.name = /x and evt.is_open_read = true", "/x"},
        {"fd.name = /x and evt.is_open_write = true", "/x"},
        {"fd.name = /x and evt.is_open_write = false", "/x +failed"},
        {"fd.name = /x and (evt.is_open_write = true or evt.is_open_read = true)", "/x"},
        {"fd.name = /x and (evt.is_open_write = true or proc.name = a)", "/x +failed"},
        {"fd.name = /x and not evt.is_open_write = true", "/x +failed"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_demand(cases[i].condition, cases[i].expected);
}

static bool wants(const struct demand *demand, const char *type)
{
    return demand->wanted[event_type_index(event_type_find(type))];
}

Test(rule_demand, types, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(
        "- {rule: A, desc: d, priority: info, output: o, condition: proc.name = sh}\n"
        "- {rule: B, desc: d, priority: info, output: o, condition: fd.sip = 10.0.0.1}\n"
        "- {rule: C, desc: d, priority: info, output: o, condition: evt.type = open, enabled: false}\n"
        "- {rule: D, desc: d, priority: info, output: o, condition: evt.type = creat and fd.name = /x}\n");
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    cr_expect(wants(&demand, "execve"));
    cr_expect(wants(&demand, "connect"));
    cr_expect(wants(&demand, "creat"));
    cr_expect_not(wants(&demand, "clone"));
    cr_expect_not(wants(&demand, "procexit"));
    cr_expect_not(wants(&demand, "open")); // only a rule that is switched off asks for it
    cr_expect_not(demand.any_path);
    demand_free(&demand);
}

// More paths than a demand holds: then any path will do, so that none is missed.
Test(rule_demand, many_paths, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    text_add(&yaml, "- list: many\n  items:\n");
    for (int i = 0; i <= DEMAND_PATHS_MAX; i++)
        text_addf(&yaml, "    - /x/%d\n", i);
    text_add(&yaml, RULE_WITH("fd.name in (many)"));
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    cr_expect(demand.any_path);
    demand_free(&demand);
}

// --- Data on TCP sockets ---

static bool get_nothing(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    return false;
}

static const struct field socket_fields[] = {
    {.name = "fd.l4proto", .type = FIELD_STRING, .get = get_nothing},
    {.name = "fd.type", .type = FIELD_STRING, .get = get_nothing},
    {.name = "fd.typechar", .type = FIELD_STRING, .get = get_nothing},
    {.name = "fd.sockfamily", .type = FIELD_STRING, .get = get_nothing},
    {.name = "fd.sport", .type = FIELD_UINT, .get = get_nothing},
    {.name = "fd.connected", .type = FIELD_BOOL, .get = get_nothing},
    {.name = "fd.name_changed", .type = FIELD_BOOL, .get = get_nothing},
};

#define SOCKET_TYPE(type_name)                                                                \
    {                                                                                         \
        .name = type_name, .fields = socket_fields, .fields_count = ARRAY_SIZE(socket_fields) \
    }
static const struct event_type socket_types[] = {SOCKET_TYPE("socket"),   SOCKET_TYPE("sendto"),
                                                 SOCKET_TYPE("sendmsg"),  SOCKET_TYPE("sendmmsg"),
                                                 SOCKET_TYPE("recvfrom"), SOCKET_TYPE("recvmsg")};

static void register_sockets(void)
{
    fixture_register();
    cr_assert_eq(event_type_register("socket", socket_types, ARRAY_SIZE(socket_types)), 0);
}

Test(rule_demand, stream_data, .init = register_sockets)
{
    static const struct {
        const char *condition;
        bool expected;
    } cases[] = {
        {"evt.type = sendto", true},
        {"evt.type = sendmsg", true},
        {"evt.type = sendmmsg", true},
        {"evt.type = recvfrom", true},
        {"evt.type in (recvmsg, connect)", true},
        {"evt.type in (connect, socket, execve)", false},
        {"fd.sport = 53", true},
        {"evt.type = sendto and fd.l4proto = udp", false},
        {"evt.type = sendto and fd.l4proto = tcp", true},
        {"evt.type = sendto and fd.l4proto != tcp", false},
        {"evt.type = sendto and fd.l4proto != udp", true},
        {"evt.type = sendto and not fd.l4proto = tcp", false},
        {"evt.type = sendto and not fd.l4proto != tcp", true},
        {"evt.type = sendto and fd.l4proto exists", true},
        {"evt.type = sendto and not fd.l4proto exists", false},
        {"evt.type = sendto and fd.l4proto in (udp, icmp)", false},
        {"evt.type = sendto and fd.l4proto in (udp, tcp)", true},
        {"evt.type = sendto and not fd.l4proto in (udp, tcp)", false},
        {"evt.type = sendto and fd.l4proto startswith u", false},
        {"evt.type = sendto and fd.l4proto contains c", true},
        {"evt.type = sendto and fd.l4proto startswith anyof (u, i)", false},
        {"evt.type = sendto and fd.sport = 53 and fd.l4proto = udp", false},
        {"evt.type = sendto and (fd.sport = 53 or fd.l4proto = udp)", true},
        {"evt.type = sendto and (fd.l4proto = icmp or fd.l4proto = udp)", false},
        {"evt.type = sendto and not (fd.sport = 53 and fd.l4proto = tcp)", true},
        {"evt.type = sendto and not (fd.sport = 53 or fd.l4proto = tcp)", false},
        {"evt.type = sendto and tolower(fd.l4proto) = udp", true},
        {"evt.type = sendto and fd.l4proto = val(proc.name)", true},
        {"(evt.type = connect and fd.l4proto = tcp) or (evt.type = sendto and fd.l4proto = udp)", false},
        {"(evt.type = connect and fd.l4proto = udp) or (evt.type = sendto and fd.l4proto = tcp)", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *yaml = NULL;
        cr_assert_geq(asprintf(&yaml, RULE_WITH("%s"), cases[i].condition), 0);
        _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
        fixture_expect_loaded(&loaded);
        struct demand demand = {0};
        rule_set_demand(loaded.set, &demand);
        cr_expect_eq(demand.stream_data, cases[i].expected, "%s", cases[i].condition);
        demand_free(&demand);
    }
}

// --- Data on other sockets, and sent again to where it was sent before ---

Test(rule_demand, data_of_little_interest, .init = register_sockets)
{
    static const struct {
        const char *condition;
        bool foreign;
        bool repeated;
    } cases[] = {
        {"evt.type = sendto", true, true},
        {"evt.type = recvfrom", true, false},
        {"evt.type = connect", false, false},
        {"evt.type = sendto and fd.type = unix", true, true},
        {"evt.type = sendto and fd.type = ipv4", false, true},
        {"evt.type = sendto and fd.type != unix", false, true},
        {"evt.type = sendto and not fd.type = unix", true, true}, // netlink
        {"evt.type = sendto and (fd.typechar = 4 or fd.typechar = 6)", false, true},
        {"evt.type = sendto and fd.typechar = u", true, true},
        {"evt.type = sendto and fd.sockfamily = ip", false, true},
        {"evt.type = sendto and fd.l4proto != tcp", false, true},
        {"evt.type = sendto and not fd.l4proto = tcp", true, true},
        {"evt.type = sendto and fd.connected = false", false, true},
        {"evt.type = sendto and fd.name_changed = true", true, false},
        {"evt.type = sendto and fd.name_changed = false", true, true},
        {"evt.type = sendto and fd.name_changed != false", true, false},
        {"evt.type = sendto and not fd.name_changed = false", true, false},
        {"evt.type = sendto and (fd.sport = 53 or fd.name_changed = true)", true, true},
        {"evt.type in (sendto, sendmsg) and fd.l4proto != tcp and fd.connected = false and fd.name_changed = "
         "true",
         false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *yaml = NULL;
        cr_assert_geq(asprintf(&yaml, RULE_WITH("%s"), cases[i].condition), 0);
        _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
        fixture_expect_loaded(&loaded);
        struct demand demand = {0};
        rule_set_demand(loaded.set, &demand);
        cr_expect_eq(demand.foreign_data, cases[i].foreign, "foreign: %s", cases[i].condition);
        cr_expect_eq(demand.repeated_sends, cases[i].repeated, "repeated: %s", cases[i].condition);
        demand_free(&demand);
    }
}

// What costs extra to learn is learnt only where a condition or an output reads it.
Test(rule_demand, fields_that_are_read, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded = fixture_load(
        "- {rule: A, desc: d, priority: info, output: \"%user.name\", condition: 'proc.env[HOME] = /'}\n"
        "- {rule: B, desc: d, priority: info, output: o, enabled: false, condition: proc.tty > 0}\n");
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    cr_expect(demand_reads(&demand, field_find_any("proc.env", 8)));
    cr_expect(demand_reads(&demand, field_find_any("user.name", 9)));
    cr_expect_not(demand_reads(&demand, field_find_any("proc.tty", 8)));

    static const struct field whole = {.name = "evt.args"}, one = {.name = "evt.arg.name"},
                              other = {.name = "evt.rawres"};
    cr_expect_not(demand_reads(&demand, &one));
    demand_add_read(&demand, &whole);
    cr_expect(demand_reads(&demand, &one));
    cr_expect_not(demand_reads(&demand, &other));
    demand_free(&demand);
}

static void expect_thresholds(const char *condition, size_t count, uint64_t first, bool all)
{
    _cleanup_free_ char *yaml = NULL;
    cr_assert_geq(asprintf(&yaml, RULE_WITH("%s"), condition), 0);
    _cleanup_loaded_ struct loaded loaded = fixture_load(yaml);
    fixture_expect_loaded(&loaded);
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    cr_expect_eq(demand.thresholds_count, count, "%zu thresholds in: %s", demand.thresholds_count, condition);
    cr_expect(count == 0 || demand.thresholds[0].value == first, "%s", condition);
    cr_expect_eq(demand.thresholds_all, all, "%s", condition);
    demand_free(&demand);
}

Test(rule_demand, sums_that_are_told, .init = fixture_register)
{
    expect_thresholds("evt.type = egress and net.egress.bytes > 1000", 1, 1000, false);
    expect_thresholds("evt.type = egress and (net.egress.bytes > 7 or not net.egress.bytes.hour <= 5)", 2, 7,
                      false);
    expect_thresholds("evt.type = egress and net.egress.bytes > 9 and not net.egress.bytes > 9", 1, 9, false);
    expect_thresholds("evt.type = egress and net.egress.bytes = 7", 0, 0, true);
    expect_thresholds("evt.type = egress and net.egress.bytes exists", 0, 0, false);
    expect_thresholds("evt.type = connect", 0, 0, false);
}
