// Looking rules up must find what judging each finds.
#include "../../user/rule/rule_set.h"
#include "rule_fixture.h"

enum { RULES = 60, EVENTS = 150, ROUNDS = 25 };

static uint32_t state;

static uint32_t draw(uint32_t below)
{
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
}

#define PICK(list) (list)[draw(ARRAY_SIZE(list))]

// Few and alike, so that they are each other's beginnings, parts and ends.
static const char *const texts[] = {
    "a",     "ab",       "abc",        "abcd",        "bcd",         "bc",        "/",           "/etc",
    "/etc/", "/etc/abc", "/etc/abcd",  "/etc/abc/ab", "/data/a/.x",  "/data/ab",  "/data/a/abc", ".x",
    "tc/ab", "abcabc",   "abcabcabcd", "tcp",         "127.0.0.1:1", "aaaaaaaaaa"};
static const char *const names[] = {"proc.name",      "proc.pname",  "proc.cmdline", "proc.aname",
                                    "proc.aname[1]",  "fd.name",     "fd.filename",  "fd.l4proto",
                                    "proc.env[HOME]", "container.id"};
static const char *const single_names[] = {"proc.name", "proc.pname", "proc.cmdline", "fd.name",
                                           "fd.filename"};
static const char *const texts_compare[] = {"=",         "!=",   "startswith", "endswith", "contains",
                                            "icontains", "glob", "iglob",      "regex"};
static const char *const lists_compare[] = {
    "in",       "intersects", "pmatch", "= anyof", "startswith anyof", "endswith oneof", "contains allof",
    "!= oneof", "glob anyof"};
static const char *const numbers[] = {"proc.pid", "user.uid", "fd.port", "fd.sport", "fd.num", "evt.rawres"};
static const char *const numbers_compare[] = {"=", "!=", "<", ">=", "in"};
static const char *const addresses[] = {"10.0.0.1",    "10.0.0.2",   "10.0.1.1",  "::1",      "fe80::1",
                                        "10.0.0.0/24", "10.0.0.0/8", "fe80::/10", "0.0.0.0/0"};
static const char *const types[] = {"execve", "openat", "creat", "connect"};

static void add_test(struct text *to)
{
    switch (draw(13)) {
    case 0: {
        const char *compare = PICK(numbers_compare);
        bool list = strcmp(compare, "in") == 0;
        text_addf(to, "%s %s %s%u%s", PICK(numbers), compare, list ? "(7, " : "", draw(4), list ? ")" : "");
        break;
    }
    case 1:
        text_addf(to, draw(2) ? "%s in (\"%s\", \"%s\")" : "%s = \"%s\"", draw(2) ? "fd.ip" : "fd.sip",
                  PICK(addresses), PICK(addresses));
        break;
    case 2:
        text_addf(to, "%s %s %s", draw(2) ? "evt.failed" : "evt.is_open_write",
                  draw(2) ? "=" : "!=", draw(2) ? "true" : "false");
        break;
    case 3:
        text_addf(to, "evt.type = %s", PICK(types));
        break;
    case 4:
        text_addf(to, draw(2) ? "tolower(%s) = \"%s\"" : "%s exists", PICK(names), PICK(texts));
        break;
    case 5:
        text_addf(to, "%s = val(proc.name)", PICK(names));
        break;
    case 6:
        text_addf(to, "%s intersects (\"%s\", \"%s\")", PICK(names), PICK(texts), PICK(texts));
        break;
    case 10:
        text_addf(to, "%s pmatch (\"/data/*/%s\", \"%s\")", PICK(names), PICK(texts), PICK(texts));
        break;
    case 7:
        text_addf(to, "%s %s 6162%s", PICK(single_names), draw(2) ? "bcontains" : "bstartswith",
                  draw(2) ? "63" : "");
        break;
    case 8:
    case 9:
        text_addf(to, "%s %s (\"%s\", \"%s\", \"%s\")", PICK(single_names), PICK(lists_compare), PICK(texts),
                  PICK(texts), PICK(texts));
        break;
    default:
        text_addf(to, "%s %s \"%s%s\"", PICK(names), PICK(texts_compare), PICK(texts), draw(6) ? "" : "*");
        break;
    }
}

static void add_condition(struct text *to, unsigned depth)
{
    unsigned kind = depth ? draw(6) : 5;
    if (kind >= 4) {
        add_test(to);
        return;
    }
    if (kind == 3) {
        text_add(to, "not (");
        add_condition(to, depth - 1);
        text_add(to, ")");
        return;
    }
    text_add(to, "(");
    for (unsigned i = 0, count = 2 + draw(2); i < count; i++) {
        text_add(to, i == 0 ? "" : kind ? " and " : " or ");
        add_condition(to, depth - 1);
    }
    text_add(to, ")");
}

static void add_text_value(struct text *to)
{
    for (unsigned i = 0, count = 1 + draw(2); i < count; i++)
        text_add(to, PICK(texts));
}

static void add_pair(struct text *to, size_t id)
{
    const char *name = fixture_names[id];
    text_addf(to, "; %s=", name);
    if (id == ID_fd_ip || id == ID_fd_sip || id == ID_fd_cip)
        text_addf(to, id == ID_fd_ip && draw(2) ? "%s,%s" : "%s", addresses[draw(5)], addresses[draw(5)]);
    else if (strstr(name, "failed") || strstr(name, "is_open"))
        text_add(to, draw(2) ? "true" : "false");
    else if (strstr(name, "pid") || strstr(name, "uid") || strstr(name, "port") || strstr(name, "num") ||
             strstr(name, "rawres"))
        text_addf(to, id == ID_fd_port && draw(2) ? "%u,%u" : "%u", draw(4), draw(4));
    else if (id == ID_proc_aname && draw(2))
        text_addf(to, "%s,%s,%s", PICK(texts), PICK(texts), PICK(texts));
    else
        add_text_value(to);
}

static void add_event(struct text *to)
{
    text_add(to, PICK(types));
    for (size_t id = 0; id < FIELD_IDS; id++)
        if (id != ID_evt_type && fixture_names[id] && draw(3))
            add_pair(to, id);
}

static struct loaded load_random(void)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    for (int i = 0; i < RULES; i++) {
        text_addf(&yaml, "- rule: R%d\n  desc: d\n  priority: info\n  output: o\n  condition: |\n    ", i);
        add_condition(&yaml, 3);
        text_add(&yaml, "\n");
    }
    struct loaded loaded = fixture_load(text_string(&yaml));
    fixture_expect_loaded(&loaded);
    return loaded;
}

// Makes the set judge each rule. Returns the number of fields that would have been looked up.
static size_t drop_index(struct rule_set *set)
{
    size_t probes = 0;
    for (size_t i = 0; i < EVENT_TYPES_MAX; i++) {
        struct judges *judges = &set->types[i];
        probes += judges->probes != NULL;
        judges->probes = NULL;
        for (size_t k = 0; k < judges->count; k++)
            judges->always[k / 64] |= UINT64_C(1) << k % 64;
    }
    return probes;
}

struct matches {
    size_t rules[RULES];
    size_t count;
};

static void note(const struct rule *rule, const struct event *event, void *context)
{
    struct matches *matches = context;
    matches->rules[matches->count++] = rule->index;
}

static struct matches match(const struct rule_set *set, const char *description, enum rule_matching matching)
{
    static struct made_event made;
    struct matches matches = {.count = 0};
    fixture_event(&made, description);
    size_t count = rule_set_match(set, &made.event, matching, note, &matches);
    cr_assert_eq(count, matches.count);
    return matches;
}

static size_t compare(struct rule_set *set, char *const *events)
{
    static struct matches found[2][EVENTS];
    size_t matched = 0;
    for (int without = 0; without < 2; without++) {
        if (without)
            cr_assert_neq(drop_index(set), 0);
        for (size_t i = 0; i < EVENTS; i++) {
            found[without][i] = match(set, events[i], RULE_MATCHING_ALL);
            struct matches first = match(set, events[i], RULE_MATCHING_FIRST);
            cr_assert_eq(first.count, found[without][i].count > 0);
            cr_assert(!first.count || first.rules[0] == found[without][i].rules[0]);
            matched += first.count;
        }
    }
    for (size_t i = 0; i < EVENTS; i++) {
        cr_assert_eq(found[0][i].count, found[1][i].count, "%s", events[i]);
        cr_assert_eq(memcmp(found[0][i].rules, found[1][i].rules, sizeof(found[0][i].rules)), 0, "%s",
                     events[i]);
    }
    return matched / 2;
}

Test(rule_index, same_as_judging_each, .init = fixture_register)
{
    size_t matched = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        state = round;
        _cleanup_loaded_ struct loaded loaded = load_random();
        char *events[EVENTS];
        for (size_t i = 0; i < EVENTS; i++) {
            _cleanup_text_ struct text text = TEXT_INIT(4000);
            add_event(&text);
            events[i] = strdup(text_string(&text));
        }
        matched += compare(loaded.set, events);
        for (size_t i = 0; i < EVENTS; i++)
            free(events[i]);
    }
    // Else it would prove nothing.
    cr_expect_gt(matched, ROUNDS * EVENTS / 10);
}

// Of many rules with names of their own, none is judged where no name fits.
Test(rule_index, judges_few, .init = fixture_register)
{
    static const char *const conditions[] = {
        "proc.name = n%d and user.uid = 1",
        "fd.name startswith /data/n%d/ and evt.failed = false",
        "fd.name endswith /n%d.key and user.uid != 0",
        "fd.sip = 10.0.0.%d or fd.sport = 10%d",
        "proc.cmdline contains \"--n%d\" and proc.name in (a, b)",
        "fd.name pmatch (/data/*/n%d, /root/n%d) and proc.name exists and proc.name = n%d",
    };
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    for (int i = 0; i < 240; i++) {
        text_addf(&yaml, "- rule: R%d\n  desc: d\n  priority: info\n  output: o\n  condition: |\n    ", i);
        for (const char *at = conditions[i % 6]; *at; at++)
            at[0] == '%' && at[1] == 'd' ? text_addf(&yaml, "%d", i), at++ : text_add_char(&yaml, *at);
        text_add(&yaml, "\n");
    }
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    fixture_expect_loaded(&loaded);
    for (size_t i = 0; i < EVENT_TYPES_MAX; i++)
        for (size_t k = 0; k < (loaded.set->types[i].count + 63) / 64; k++)
            cr_expect_eq(loaded.set->types[i].always[k], 0);
    cr_expect_eq(fixture_match(loaded.set, "execve; proc.name=n6; user.uid=1"), 1);
    cr_expect_eq(fixture_match(loaded.set, "openat; fd.name=/data/n7/x; evt.failed=false"), 1);
    cr_expect_eq(fixture_match(loaded.set, "openat; fd.name=/data/n/n8.key; user.uid=5"), 1);
    cr_expect_eq(fixture_match(loaded.set, "connect; fd.sip=10.0.0.9; fd.sport=1021"), 2);
    cr_expect_eq(fixture_match(loaded.set, "openat; fd.name=/data; user.uid=1"), 0);
}

// More names than are looked up: then each rule is judged each time, and still found.
Test(rule_index, too_many_keys, .init = fixture_register)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(16 << 20);
    text_add(&yaml, "- list: many\n  items:\n");
    for (int i = 0; i < 1025; i++)
        text_addf(&yaml, "    - n%d\n", i);
    text_add(&yaml, "- {rule: A, desc: d, priority: info, output: o, condition: proc.name in (many)}\n");
    for (int i = 0; i < 70; i++) {
        text_addf(&yaml, "- {rule: B%d, desc: d, priority: info, output: o, condition: 'proc.pname in (", i);
        for (int k = 0; k < 1000; k++)
            text_addf(&yaml, "%sp%d.%d", k ? ", " : "", i, k);
        text_add(&yaml, ")'}\n");
    }
    _cleanup_loaded_ struct loaded loaded = fixture_load(text_string(&yaml));
    fixture_expect_loaded(&loaded);
    const struct judges *judges = &loaded.set->types[event_type_index(event_type_find("execve"))];
    cr_expect_eq(judges->always[0], 1);
    cr_expect_eq(judges->always[1], 0x7c); // those behind the 65th
    cr_expect_eq(fixture_match(loaded.set, "execve; proc.name=n1024"), 1);
    cr_expect_eq(fixture_match(loaded.set, "execve; proc.pname=p0.999"), 1);
    cr_expect_eq(fixture_match(loaded.set, "execve; proc.pname=p69.999"), 1);
    cr_expect_eq(fixture_match(loaded.set, "execve; proc.pname=p70.0"), 0);
}
