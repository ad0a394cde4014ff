// Source `onnx`: a program that runs models with ONNX Runtime itself, in a root of its own as in a container.
#include "pod.h"
#include "told.h"

#include <arpa/inet.h>
#include <glob.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

TestSuite(onnx, POD_SUITE, .timeout = 120);

static const char count[] = "inferscope_onnx_run_duration_seconds_count";
static const char sum[] = "inferscope_onnx_run_duration_seconds_sum";
static const char errors[] = "inferscope_onnx_run_errors_total";
static const char sessions[] = "inferscope_onnx_session_duration_seconds_count";
static const char sessions_sum[] = "inferscope_onnx_session_duration_seconds_sum";
static const char session_errors[] = "inferscope_onnx_session_errors_total";
static const char asyncs[] = "inferscope_onnx_async_runs_total";

enum { RUNS = 50, SESSIONS = 10 };

// A copy of the library, so that nobody else knows the file; the program finds the others in the root.
static const char *own_library(void)
{
    const char *root = told_root("onnxruntime");
    glob_t found;
    cr_assert_eq(glob(format_text("%s/usr/lib/*/libonnxruntime.so.?.??.?", root), 0, NULL, &found), 0);
    const char *path = test_path("libonnxruntime.so.1");
    if (access(path, R_OK))
        copy_file(found.gl_pathv[0], path);
    globfree(&found);
    return "/mnt/libonnxruntime.so.1";
}

static struct told start(void)
{
    const char *root = told_root("onnxruntime"), *library = own_library();
    if (access(test_path("onnx-client"), X_OK))
        copy_file(told_program("onnx-client"), test_path("onnx-client"));
    return told_start(root, "/mnt/onnx-client", library, NULL);
}

static struct told start_loaded(void)
{
    struct told told = start();
    told_do(&told, "load");
    told_do(&told, "file /mnt/model.onnx");
    return told;
}

static const char rules[] =
    "- rule: session\n"
    "  desc: a session of the test\n"
    "  condition: evt.type = onnx_session\n"
    "  output: \"%proc.pid %model.path %model.path.raw %model.loaded %model.load_time\"\n"
    "  priority: NOTICE\n";

static struct agent *watch_by(const char *text)
{
    struct agent *agent = agent_start(text, "--inference", NULL);
    if (agent_metric(agent, "inferscope_source_up", "source", "onnx", NULL) != 1) {
        agent_stop(agent);
        cr_skip_test("this kernel cannot probe libraries");
    }
    agent_wait_looked(agent);
    return agent;
}

static struct agent *watch(void)
{
    return watch_by(NULL);
}

// --- Runs ---

Test(onnx, runs_of_a_program_that_runs_already)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    struct told_answer answer = told_do(&told, "run %d", RUNS);
    told_wait_metric(agent, RUNS, count, "call", "Run");
    told_agrees(told_metric(agent, sum, "call", "Run"), answer.took_ns);
    answer = told_do(&told, "bind %d", RUNS);
    told_wait_metric(agent, RUNS, count, "call", "RunWithBinding");
    told_agrees(told_metric(agent, sum, "call", "RunWithBinding"), answer.took_ns);
    cr_expect_eq(told_metric(agent, count), 2 * RUNS);
    cr_expect_eq(told_metric(agent, errors), 0);
    told_end(&told);
}

// How long they take is not known: their end is told to the program alone.
Test(onnx, asynchronous_runs)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    told_do(&told, "async %d", RUNS);
    told_wait_metric(agent, RUNS, asyncs);
    cr_expect_eq(told_metric(agent, count), 0);
    cr_expect_eq(told_metric(agent, errors), 0);
    told_end(&told);
}

Test(onnx, runs_that_are_refused)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    told_do(&told, "refused %d", RUNS);
    told_wait_metric(agent, RUNS, errors, "call", "Run");
    cr_expect_eq(told_metric(agent, count), 0);
    told_do(&told, "run %d", RUNS);
    told_wait_metric(agent, RUNS, count);
    cr_expect_eq(told_metric(agent, errors), RUNS);
    told_end(&told);
}

// --- Sessions ---

static uint64_t make_sessions(struct told *told, const char *line)
{
    uint64_t took_ns = 0;
    for (int i = 0; i < SESSIONS; i++) {
        struct told_answer answer = told_do(told, "%s", line);
        cr_assert_eq(answer.count, 1);
        took_ns += answer.took_ns;
    }
    return took_ns;
}

Test(onnx, sessions)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    uint64_t took_ns = make_sessions(&told, "session /mnt/model.onnx");
    told_wait_metric(agent, SESSIONS, sessions, "from", "file");
    told_agrees(told_metric(agent, sessions_sum, "from", "file"), took_ns);
    took_ns = make_sessions(&told, "memory");
    told_wait_metric(agent, SESSIONS, sessions, "from", "memory");
    told_agrees(told_metric(agent, sessions_sum, "from", "memory"), took_ns);
    cr_expect_eq(told_metric(agent, session_errors), 0);
    cr_assert_eq(told_do(&told, "session /mnt/none.onnx").count, 0);
    told_wait_metric(agent, 1, session_errors, "from", "file");
    cr_expect_eq(told_metric(agent, sessions), 2 * SESSIONS);
    told_end(&told);
}

Test(onnx, events_of_sessions)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch_by(rules);
    cr_assert_eq(told_do(&told, "session model.onnx").count, 0, "the working directory is the root's");
    cr_assert_eq(told_do(&told, "session mnt/model.onnx").count, 1);
    cr_assert_eq(told_do(&told, "memory").count, 1);
    const char *pid = format_text("%d", told.pid);
    agent_wait_alert(agent, "session", "proc.pid", pid, "model.path", "-", "model.loaded", "true", NULL);
    agent_wait_alert(agent, "session", "proc.pid", pid, "model.path.raw", "model.onnx", "model.loaded",
                     "false", NULL);
    json_t *alert = agent_wait_alert(agent, "session", "proc.pid", pid, "model.path.raw", "mnt/model.onnx",
                                     "model.loaded", "true", "model.load_time", "*", NULL);
    // The root is known by its real name.
    const char *path = alert_field(alert, "model.path");
    const char *end = strstr(path, "/mnt/model.onnx");
    cr_expect(path[0] == '/' && end && strcmp(end, "/mnt/model.onnx") == 0, "%s", path);
    cr_expect_eq(agent_count_alerts(agent, "session", "proc.pid", pid, NULL), 3);
    told_end(&told);
}

// --- Requests to a server that runs models ---

// The server has its answer ready as soon as it is told to take the request.
static struct told_answer request(struct told *told, uint16_t port)
{
    static const char text[] = "POST /v1/embeddings HTTP/1.1\r\nHost: here\r\n"
                               "Content-Type: application/json\r\nContent-Length: 28\r\n\r\n"
                               "{\"model\":\"tiny\",\"input\":\"x\"}";
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char bytes[4096];
    _cleanup_close_ int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(connection, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(send(connection, text, strlen(text), 0), (ssize_t)strlen(text));
    struct told_answer answer = told_do(told, "answer %d", RUNS);
    while (recv(connection, bytes, sizeof(bytes), 0) > 0)
        ;
    return answer;
}

Test(onnx, time_of_a_request)
{
    struct told told = start_loaded();
    uint16_t port = (uint16_t)told_do(&told, "listen").count;
    _cleanup_agent_ struct agent *agent =
        watch_by(format_text("- rule: infer\n"
                             "  desc: a request to the server of the test\n"
                             "  condition: evt.type = infer and fd.sport = %u\n"
                             "  output: \"%%infer.run_time %%infer.prefill_time %%infer.decode_time\"\n"
                             "  priority: NOTICE\n",
                             port));
    if (agent_metric(agent, "inferscope_source_up", "source", "api", NULL) != 1)
        cr_skip_test("this kernel cannot follow requests");
    // Before the first one, nothing shows that anything is probed.
    request(&told, port);
    struct told_answer answer = request(&told, port);
    agent_wait_count(agent, "infer", 2);
    json_t *alerts = agent_alerts(agent, "infer");
    cr_expect_str_eq(alert_field(json_array_get(alerts, 0), "infer.run_time"), "");
    const json_t *second = json_array_get(alerts, 1);
    told_agrees(strtod(alert_field(second, "infer.run_time"), NULL) / 1e9, answer.took_ns);
    cr_expect_str_eq(alert_field(second, "infer.prefill_time"), "");
    cr_expect_str_eq(alert_field(second, "infer.decode_time"), "");
    json_decref(alerts);
    told_end(&told);
}

// --- Beginnings and ends ---

Test(onnx, library_is_loaded_late)
{
    _cleanup_agent_ struct agent *agent = watch();
    struct told told = start();
    told_do(&told, "load");
    told_do(&told, "file /mnt/model.onnx");
    double before = told_wait_probed(agent, &told, "run 1", count);
    told_do(&told, "run %d", RUNS);
    told_wait_metric(agent, before + RUNS, count);
    told_end(&told);
}

Test(onnx, program_ends_inside_of_a_run)
{
    struct told first = start_loaded(), second = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    told_last(&first, "exit");
    double before = 0;
    // Shows once it is known whose it is, all at once.
    for (time_t until = time(NULL) + DEADLINE_S; before == 0; poll(NULL, 0, 20)) {
        cr_assert_lt(time(NULL), until, "none of its runs was seen");
        before = told_metric(agent, count);
    }
    told_do(&second, "run %d", RUNS);
    told_wait_metric(agent, before + RUNS, count);
    told_end(&second);
}

Test(onnx, many_processes_share_a_library)
{
    struct told first = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    told_do(&first, "run 1");
    told_wait_metric(agent, 1, count);
    size_t before = (size_t)agent_metric(agent, "process_open_fds", NULL);
    for (int i = 0; i < 20; i++) {
        struct told told = start();
        told_do(&told, "load");
        told_do(&told, "session /mnt/model.onnx");
        told_do(&told, "run 2");
        told_end(&told);
    }
    told_wait_metric(agent, 41, count);
    cr_expect_eq(told_metric(agent, sessions), 20);
    // Others on this machine may bring libraries of their own meanwhile.
    cr_expect_lt(agent_metric(agent, "process_open_fds", NULL), before + 40);
    told_end(&first);
}
