// The rules that the agent has built in.
#include "rule_fixture.h"

static struct loaded load_default(void)
{
    struct loaded loaded = {0};
    struct rule_input input = {.path = NULL};
    loaded.error = rule_set_load(&input, 1, &loaded.report, &loaded.set);
    fixture_expect_loaded(&loaded);
    return loaded;
}

Test(rule_default, loads_without_a_word, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded = load_default();
    if (loaded.report.problems_count)
        rule_report_print(&loaded.report, stderr, false);
    cr_expect_eq(loaded.report.problems_count, 0);
    cr_expect_geq(rule_set_count(loaded.set), 9);
    size_t length;
    cr_expect(strstr(rule_builtin(&length), "Shell in a container"));
    cr_expect_eq(strlen(rule_builtin(&length)), length);
}

// The kernel can drop all other opens only as long as each rule names its paths.
Test(rule_default, asks_for_few_files, .init = fixture_register)
{
    _cleanup_loaded_ struct loaded loaded = load_default();
    struct demand demand = {0};
    rule_set_demand(loaded.set, &demand);
    cr_expect_not(demand.any_path);
    cr_expect_not(demand.failed_opens);
    cr_expect_gt(demand.paths_count, 0);
    cr_expect_lt(demand.paths_count, 64);
    cr_expect_not(demand.wanted[event_type_index(event_type_find("clone"))]);
    cr_expect_not(demand.wanted[event_type_index(event_type_find("procexit"))]);
    demand_free(&demand);
}

// Each alert says who did it and where.
Test(rule_default, outputs_say_who, .init = fixture_register)
{
    static const char *const fields[] = {"user=me",       "command=cmd",      "parent=up",
                                         "container=box", "container_id=id1", "image=repo"};
    _cleanup_loaded_ struct loaded loaded = load_default();
    struct made_event made;
    fixture_event(&made,
                  "execve; user.name=me; proc.name=x; proc.cmdline=cmd; proc.pname=up; container.name=box; "
                  "container.id=id1; container.image.repository=repo");
    for (size_t i = 0; i < rule_set_count(loaded.set); i++) {
        _cleanup_text_ struct text text = TEXT_INIT(65536);
        rule_output_render(rule_set_at(loaded.set, i)->output, &made.event, &text);
        for (size_t k = 0; k < ARRAY_SIZE(fields); k++)
            cr_expect(strstr(text_string(&text), fields[k]), "%s lacks %s: %s",
                      rule_set_at(loaded.set, i)->name, fields[k], text_string(&text));
        cr_expect_gt(strlen(rule_set_at(loaded.set, i)->description), 0);
    }
}

static void record_name(const struct rule *rule, const struct event *event, void *context)
{
    (void)event;
    *(const char **)context = rule->name;
}

Test(rule_default, what_they_match, .init = fixture_register)
{
    static const struct {
        const char *event;
        const char *rule; // NULL: quiet
    } cases[] = {
        // Shells.
        {"execve; proc.name=sh; proc.cmdline=sh -c id; proc.pname=llama-server; proc.aname=sh,llama-server; "
         "container.id=host; proc.tty=0",
         "Shell started by an inference server"},
        {"execve; proc.name=bash; proc.pname=python3; proc.aname=bash,python3,python3,vllm; "
         "container.id=abc; proc.tty=0",
         "Shell started by an inference server"},
        {"execve; proc.name=sh; proc.cmdline=sh -c id; proc.pname=python3; proc.aname=sh,python3; "
         "proc.acmdline=sh -c id,python3 -c spawn_main,python3 -m vllm.entrypoints.openai.api_server; "
         "container.id=abc; proc.tty=0",
         "Shell started by an inference server"},
        {"execve; proc.name=sh; proc.cmdline=sh -c lscpu; proc.pname=vllm; proc.aname=sh,vllm; "
         "container.id=host; "
         "proc.tty=0",
         NULL},
        {"execve; proc.name=ldconfig; proc.pname=vllm; proc.aname=ldconfig,vllm; container.id=abc; "
         "proc.tty=0",
         NULL},
        {"execve; proc.name=bash; proc.pname=nginx; container.id=abc; proc.tty=0", "Shell in a container"},
        {"execve; proc.name=bash; proc.pname=runc; container.id=abc; proc.tty=34816", "Shell in a container"},
        {"execve; proc.name=sh; proc.pname=runc; container.id=abc; proc.tty=0", NULL},
        {"execve; proc.name=sh; proc.pname=containerd-shim; container.id=abc; proc.tty=0", NULL},
        {"execve; proc.name=sh; proc.pname=bash; container.id=abc; proc.tty=0", NULL},
        {"execve; proc.name=bash; proc.pname=sshd; container.id=host; proc.tty=34816",
         "Interactive shell on the node"},
        {"execve; proc.name=bash; proc.pname=bash; container.id=host; proc.tty=34816", NULL},
        {"execve; proc.name=sh; proc.pname=cron; container.id=host; proc.tty=0", NULL},
        {"openat; proc.name=bash; proc.pname=sshd; container.id=host; proc.tty=34816; "
         "fd.name=/home/user/.bashrc; "
         "evt.is_open_read=true",
         NULL},
        // Tools.
        {"execve; proc.name=nmap; container.id=abc", "Network tool in a container"},
        {"execve; proc.name=nmap; container.id=host", NULL},
        {"execve; proc.name=curl; container.id=abc", NULL},
        // Files.
        {"openat; fd.name=/etc/shadow; evt.is_open_read=true; proc.name=cat; proc.exepath=/usr/bin/cat",
         "Credential file read"},
        {"openat; fd.name=/etc/shadow; evt.is_open_read=true; proc.name=sshd; proc.exepath=/usr/sbin/sshd",
         NULL},
        {"openat; fd.name=/etc/shadow; evt.is_open_read=true; proc.name=sshd; proc.exepath=/tmp/sshd",
         "Credential file read"},
        {"openat; fd.name=/etc/shadow; evt.is_open_read=false; proc.name=cat; proc.exepath=/usr/bin/cat",
         NULL},
        {"openat; fd.name=/etc/passwd; evt.is_open_read=true; proc.name=cat; proc.exepath=/usr/bin/cat",
         NULL},
        {"openat2; fd.name=/root/.ssh/id_ed25519; evt.is_open_read=true; proc.name=python3; "
         "proc.exepath=/usr/bin/python3",
         "Credential file read"},
        {"openat; fd.name=/run/secrets/kubernetes.io/serviceaccount/token; evt.is_open_read=true; "
         "proc.name=python3",
         NULL},
        {"openat; fd.name=/run/secrets/kubernetes.io/serviceaccount/token; evt.is_open_read=true; "
         "proc.name=cat",
         "Mounted secret read by hand"},
        {"openat; fd.name=/etc/secrets/key; evt.is_open_read=true; proc.name=base64",
         "Mounted secret read by hand"},
        {"openat; fd.name=/usr/bin/ls; evt.is_open_write=true; proc.name=cp; proc.exepath=/usr/bin/cp",
         "Program file changed"},
        {"openat; fd.name=/usr/bin/ls; evt.is_open_write=true; proc.name=dpkg; proc.exepath=/usr/bin/dpkg",
         NULL},
        // A link lends a name, not a file.
        {"openat; fd.name=/usr/bin/ls; evt.is_open_write=true; proc.name=apt; proc.exepath=/tmp/tee",
         "Program file changed"},
        {"openat; fd.name=/etc/shadow; evt.is_open_read=true; proc.name=sshd; proc.exepath=/usr/bin/cat",
         "Credential file read"},
        {"openat; fd.name=/usr/bin/ls; evt.is_open_write=false; proc.name=cp; proc.exepath=/usr/bin/cp",
         NULL},
        {"openat; fd.name=/usr/lib/x; evt.is_open_write=true; proc.name=cp; proc.exepath=/usr/bin/cp", NULL},
        // Connections.
        {"connect; proc.name=bash; fd.sip=203.0.113.7; fd.sport=80; container.id=host",
         "Network connection made by a shell"},
        {"connect; proc.name=bash; fd.sip=127.0.0.1; fd.sport=80; container.id=host", NULL},
        {"connect; proc.name=python3; fd.sip=127.0.0.1; fd.sport=80; container.id=host", NULL},
        {"connect; proc.name=python3; fd.sip=169.254.169.254; fd.sport=80; container.id=abc",
         "Cloud metadata service contacted from a container"},
        {"connect; proc.name=python3; fd.sip=169.254.169.254; fd.sport=80; container.id=host", NULL},
        // Off until somebody says what is expected.
        {"connect; proc.name=vllm; fd.sip=1.1.1.1; fd.sport=443; container.id=abc", NULL},
    };
    _cleanup_loaded_ struct loaded loaded = load_default();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct made_event made;
        fixture_event(&made, cases[i].event);
        const char *name = NULL;
        rule_set_match(loaded.set, &made.event, RULE_MATCHING_FIRST, record_name, &name);
        cr_expect(name == cases[i].rule || (name && cases[i].rule && strcmp(name, cases[i].rule) == 0),
                  "%s instead of %s for \"%s\"", name ? name : "nothing",
                  cases[i].rule ? cases[i].rule : "nothing", cases[i].event);
    }
}

// Users adapt the rules by files of their own that come after.
Test(rule_default, can_be_adapted, .init = fixture_register)
{
    struct loaded loaded = {.path = "/tmp/inferscope-rules-XXXXXX"};
    int fd = mkstemp(loaded.path);
    cr_assert_geq(fd, 0);
    dprintf(fd, "- list: expected_networks\n  items: [10.0.0.0/8]\n"
                "- rule: Unexpected destination of an inference server\n  enabled: true\n"
                "- rule: Network connection made by a shell\n  enabled: false\n"
                "- macro: expected_metadata_client\n  condition: proc.name = agent\n");
    close(fd);
    struct rule_input inputs[] = {{.path = NULL}, {.path = loaded.path}};
    loaded.error = rule_set_load(inputs, 2, &loaded.report, &loaded.set);
    fixture_expect_loaded(&loaded);
    cr_expect_eq(fixture_match(loaded.set, "connect; proc.name=vllm; fd.sip=1.1.1.1; container.id=abc"), 1);
    cr_expect_eq(fixture_match(loaded.set, "connect; proc.name=vllm; fd.sip=10.1.1.1; container.id=abc"), 0);
    cr_expect_eq(fixture_match(loaded.set, "connect; proc.name=bash; fd.sip=10.1.1.1; container.id=abc"), 0);
    cr_expect_eq(
        fixture_match(loaded.set, "connect; proc.name=agent; fd.sip=169.254.169.254; container.id=abc"), 0);
    cr_expect_eq(fixture_match(loaded.set,
                               "connect; proc.name=x; fd.sip=169.254.169.254; fd.sport=80; container.id=abc"),
                 1);
    loaded_free(&loaded);
}
