// Source `tls`: whatever way a program uses OpenSSL in, and whenever it begins to. That times and tokens are
// right where real servers encrypt is in test_inference.c.
#include "harness.h"
#include "servers.h"
#include "tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

TestSuite(tls, TEST_SUITE);

enum { REQUESTS = 12 };

static const char route[] = "/v1/chat/completions";

// --- Servers and agents ---

static struct server *start_program(const char *path, const char *how)
{
    char words[64];
    const char *arguments[16] = {path, test_path("cert.pem"), test_path("key.pem")};
    size_t count = 3;
    tls_make_certificate(arguments[1], arguments[2]);
    snprintf(words, sizeof(words), "%s", how);
    char *rest = words;
    for (char *word; (word = strsep(&rest, " "));)
        arguments[count++] = format_text("%s", word);
    arguments[count] = NULL;
    return server_start_program(strrchr(path, '/') + 1, arguments);
}

// A copy for each test, whose name tells it from those of others, also when it has ended.
static const char *own_name(void)
{
    return format_text("tls-%d", getpid());
}

static struct server *start_server(const char *how)
{
    const char *path = test_path("%s", own_name());
    if (access(path, X_OK))
        copy_file(program_beside("tls-server"), path);
    return start_program(path, how);
}

static void require_source(struct agent *agent)
{
    if (agent_metric(agent, "inferscope_source_up", "source", "tls", NULL) == 1)
        return;
    agent_stop(agent);
    cr_skip_test("this kernel cannot follow requests that are encrypted");
}

// Reports requests to servers that hold a condition.
static struct agent *watch_if(const char *condition)
{
    struct agent *agent = agent_start(
        format_text("- rule: infer\n"
                    "  desc: a request to a server of the test\n"
                    "  condition: evt.type = infer and %s\n"
                    "  output: \"%%fd.sport %%fd.cport %%fd.sip %%proc.pid %%infer.status %%infer.error "
                    "%%infer.model\n"
                    "    %%infer.ttft %%infer.tokens.input %%infer.tokens.output %%infer.abandoned\"\n"
                    "  priority: NOTICE\n",
                    condition),
        NULL);
    require_source(agent);
    agent_wait_looked(agent);
    return agent;
}

static struct agent *watch(void)
{
    return watch_if(format_text("proc.name = %s", own_name()));
}

// Returns the port from which it asked last.
static unsigned ask(const struct server *server, size_t requests)
{
    static const char *const bodies[] = {"{\"model\":\"tiny\"}", "{\"prompt\":\"x\",\"model\":\"tiny\"}",
                                         NULL};
    struct load load = {.port = server_port(server),
                        .tls = true,
                        .route = route,
                        .bodies = bodies,
                        .requests = requests,
                        .at_once = 1};
    struct answer *answers = load_run(&load);
    unsigned port = answers[requests - 1].client_port;
    answers_free(answers, requests);
    return port;
}

static void expect_count(struct agent *agent, const char *port, size_t count)
{
    agent_wait_count(agent, "infer", count);
    cr_expect_eq(agent_count_alerts(agent, "infer", "fd.sport", port, "infer.status", "200", "infer.model",
                                    "tiny", "infer.tokens.input", "3", "infer.tokens.output", "5", NULL),
                 count);
    cr_expect_eq(agent_count_alerts(agent, "infer", NULL), count);
}

// --- Ways to use the library ---

static void expect_seen(const char *how, bool socket_known)
{
    _cleanup_server_ struct server *server = start_server(how);
    _cleanup_agent_ struct agent *agent = watch();
    // Connections one after the other, of several requests each.
    for (size_t i = 0; i < 3; i++)
        ask(server, REQUESTS);
    const char *port = socket_known ? format_text("%u", server_port(server)) : "-";
    expect_count(agent, port, (size_t)3 * REQUESTS);
    cr_expect_eq(agent_count_alerts(agent, "infer", "fd.sip", socket_known ? "127.0.0.1" : "-", "fd.cport",
                                    socket_known ? "*" : "-", NULL),
                 3 * REQUESTS);
    cr_expect_eq(agent_metric(agent, "inferscope_tls_calls_missed_total", NULL), 0);
}

Test(tls, read_and_write)
{
    expect_seen("", true);
}

Test(tls, a_byte_at_a_time)
{
    expect_seen("bytes", true);
}

Test(tls, by_the_other_calls)
{
    expect_seen("ex", true);
}

Test(tls, by_the_other_calls_a_byte_at_a_time)
{
    expect_seen("ex bytes", true);
}

Test(tls, in_memory)
{
    expect_seen("memory", false);
}

Test(tls, in_memory_by_the_other_calls)
{
    expect_seen("memory ex bytes", false);
}

// The same object for one connection after the other, without being freed.
Test(tls, one_object_for_all)
{
    expect_seen("reuse", true);
}

Test(tls, one_object_in_memory_for_all)
{
    expect_seen("reuse memory", false);
}

// --- Ends ---

static struct answer *begin_stream(const struct server *server)
{
    const char *bodies[] = {chat_body(true, "never ends", 400), NULL};
    struct load load = {.port = server_port(server),
                        .tls = true,
                        .route = route,
                        .bodies = bodies,
                        .requests = 1,
                        .at_once = 1,
                        .leave_after = 1};
    return load_run(&load);
}

static void expect_left(const char *how)
{
    _cleanup_server_ struct server *server = start_server(how);
    _cleanup_agent_ struct agent *agent = watch();
    answers_free(begin_stream(server), 1);
    agent_wait_alert(agent, "infer", "infer.abandoned", "true", "infer.error", "client_gone", "infer.ttft",
                     "*", NULL);
    cr_expect_eq(agent_count_alerts(agent, "infer", NULL), 1);
}

Test(tls, client_leaves)
{
    expect_left("hang");
}

Test(tls, client_leaves_a_connection_in_memory)
{
    expect_left("hang memory");
}

// The server dies inside of SSL_read(), with a request that is not answered.
static void expect_killed(const char *how)
{
    struct server *server = start_server(how);
    _cleanup_agent_ struct agent *agent = watch();
    int fd = server_connect(server);
    struct tls *tls = tls_new(fd);
    const char *request = format_text("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", route);
    cr_assert(tls_send(tls, request, strlen(request)));
    server_wait_said(server, "hangs");
    server_kill(server);
    agent_wait_alert(agent, "infer", "infer.abandoned", "false", "infer.error", "server_closed", "infer.ttft",
                     "*", NULL);
    cr_expect_eq(agent_count_alerts(agent, "infer", NULL), 1);
    tls_free(tls);
    close(fd);
}

Test(tls, server_is_killed)
{
    expect_killed("hang");
}

Test(tls, server_is_killed_with_its_connection_in_memory)
{
    expect_killed("hang memory");
}

// --- Beginnings ---

// Asks until a request has been seen; from then on each is, once. Some from before may be told of still.
static void expect_seen_soon(struct agent *agent, const struct server *server)
{
    time_t until = time(NULL) + DEADLINE_S;
    size_t seen = 0;
    while (!seen && time(NULL) < until) {
        ask(server, 1);
        poll(NULL, 0, 20); // there is nothing that could wake us
        seen = agent_count_alerts(agent, "infer", NULL);
    }
    cr_assert(seen, "no request was seen");
    for (size_t i = 0; i < REQUESTS; i++) {
        const char *port = format_text("%u", ask(server, 1));
        agent_wait_alert(agent, "infer", "fd.cport", port, NULL);
        cr_expect_eq(agent_count_alerts(agent, "infer", "fd.cport", port, NULL), 1);
    }
}

Test(tls, server_starts_later)
{
    _cleanup_agent_ struct agent *agent = watch();
    _cleanup_server_ struct server *server = start_server("");
    expect_seen_soon(agent, server);
}

// One library for each such test, so that nobody else's agent, and nothing else that runs, has to do with it.
static const char *own_library(void)
{
    static const char *const paths[] = {"/usr/lib/x86_64-linux-gnu/libssl.so.3",
                                        "/usr/lib/aarch64-linux-gnu/libssl.so.3"};
    const char *folder = test_path("lib");
    cr_assert_eq(mkdir(folder, 0755), 0);
    cr_assert_eq(mount("tmpfs", folder, "tmpfs", 0, NULL), 0, "%s", strerror(errno));
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        if (access(paths[i], R_OK) == 0) {
            copy_file(paths[i], format_text("%s/libssl.so.3", folder));
            return folder;
        }
    cr_skip_test("there is no libssl here");
    return NULL;
}

static struct server *start_late(const char *folder)
{
    char script[4096];
    if (access("/usr/bin/python3", X_OK) || !realpath("tests/servers/late.py", script))
        cr_skip_test("python3 is not installed, or its script is not here");
    const char *certificate = test_path("cert.pem"), *key = test_path("key.pem");
    tls_make_certificate(certificate, key);
    const char *arguments[] = {"/usr/bin/env",
                               format_text("LD_LIBRARY_PATH=%s", folder),
                               "/usr/bin/python3",
                               script,
                               certificate,
                               key,
                               NULL};
    return server_start_program("late", arguments);
}

static bool let_go(const char *folder)
{
    return umount(folder) == 0;
}

// Loaded by dlopen() when the agent has long looked at the process; and let go of when nobody uses it any
// more: as long as a file is probed, its file system cannot be unmounted.
Test(tls, library_is_loaded_late_and_let_go, .timeout = 300)
{
    const char *folder = own_library();
    _cleanup_agent_ struct agent *agent =
        watch_if(format_text("proc.name = python3 and proc.ppid = %d", getpid()));
    struct server *server = start_late(folder);
    expect_seen_soon(agent, server);
    server_stop(server);
    cr_expect_not(let_go(folder), "it was not probed");
    // 50 seconds, where nothing keeps the agent waiting.
    for (time_t until = time(NULL) + 2 * DEADLINE_S; !let_go(folder);) {
        cr_assert_lt(time(NULL), until, "the library is still held");
        poll(NULL, 0, 200);
    }
}

// Two containers of one image run the same program, which is probed once, whatever the kernel says of its
// inode.
Test(tls, containers_share_a_layer)
{
    const char *lower = test_path("lower"), *merged[2];
    cr_assert_eq(mkdir(lower, 0755), 0);
    copy_file(program_beside("tls-server"), test_path("lower/tls-layer"));
    for (int i = 0; i < 2; i++) {
        merged[i] = test_path("merged-%d", i);
        const char *upper = test_path("upper-%d", i), *work = test_path("work-%d", i);
        cr_assert(mkdir(merged[i], 0755) == 0 && mkdir(upper, 0755) == 0 && mkdir(work, 0755) == 0);
        if (mount("overlay", merged[i], "overlay", 0,
                  format_text("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)))
            cr_skip_test("no overlay can be mounted here: %s", strerror(errno));
    }
    struct server *servers[] = {start_program(format_text("%s/tls-layer", merged[0]), ""),
                                start_program(format_text("%s/tls-layer", merged[1]), "bytes")};
    _cleanup_agent_ struct agent *agent =
        watch_if(format_text("proc.name = tls-layer and proc.ppid = %d", getpid()));
    for (size_t i = 0; i < 2; i++) {
        ask(servers[i], REQUESTS);
        agent_wait_count(agent, "infer", (i + 1) * REQUESTS);
    }
    cr_expect_eq(agent_count_alerts(agent, "infer", "infer.tokens.output", "5", NULL), 2 * REQUESTS);
    cr_expect_eq(agent_count_alerts(agent, "infer", NULL), 2 * REQUESTS);
    for (size_t i = 0; i < 2; i++) {
        server_stop(servers[i]);
        umount2(merged[i], MNT_DETACH);
    }
}

// --- Many ---

Test(tls, many_processes_share_a_program)
{
    _cleanup_agent_ struct agent *agent = watch();
    struct server *first = start_server("");
    expect_seen_soon(agent, first);
    size_t seen = agent_count_alerts(agent, "infer", NULL), before = agent_descriptors(agent);
    for (size_t i = 0; i < 20; i++) {
        struct server *server = start_server(i % 2 ? "" : "memory");
        ask(server, 2);
        server_stop(server);
        // Whether or not it came back from its last call before it was stopped.
        agent_wait_count(agent, "infer", seen + 2 * (i + 1));
    }
    cr_expect_eq(agent_count_alerts(agent, "infer", NULL), seen + 40);
    // Others on this machine may bring libraries of their own meanwhile; processes of a known one bring
    // nothing.
    cr_expect_lt(agent_descriptors(agent), before + 60);
    server_stop(first);
}

// --- Only where somebody asks ---

Test(tls, nobody_asks)
{
    _cleanup_agent_ struct agent *agent = agent_start("- rule: other\n"
                                                      "  desc: nothing\n"
                                                      "  condition: evt.type = execve and proc.name = none\n"
                                                      "  output: none\n"
                                                      "  priority: NOTICE\n",
                                                      NULL);
    cr_expect_neq(agent_metric(agent, "inferscope_source_up", "source", "tls", NULL), 1);
}
