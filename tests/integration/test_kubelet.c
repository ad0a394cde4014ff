// The kubelet's list of pods, of a kubelet that stands in for one and is strict.
#include "certificates.h"
#include "container.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static pid_t kubelet;
static unsigned port;

#define POD_UID "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0" // as container.c has it

static const char *pod(const char *uid, const char *team)
{
    return format_text(
        "{\"metadata\":{\"name\":\"lab-pod\",\"namespace\":\"research\",\"uid\":\"%s\",\"labels\":{"
        "\"team\":\"%s\",\"app.kubernetes.io/name\":\"llm\",\"cost-centre\":\"4711\"}},"
        "\"status\":{\"podIP\":\"10.1.2.3\",\"containerStatuses\":[{\"containerID\":\"containerd://%s\","
        "\"imageID\":\"registry.example/lab@sha256:0123\"}]}}",
        uid, team, container_id() ? container_id() : "none");
}

static void answer_with(const char *pods)
{
    // The server reads it as a whole at some moment.
    write_file(test_path("answer.new"),
               format_text("{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[%s]}", pods));
    cr_assert_eq(rename(test_path("answer.new"), test_path("answer")), 0);
}

static void launch(void)
{
    int out[2];
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    kubelet = fork();
    cr_assert_geq(kubelet, 0);
    if (kubelet == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        execlp("python3", "python3", "tests/servers/kubelet.py", test_dir(), NULL);
        _exit(127);
    }
    close(out[1]);
    _cleanup_fclose_ FILE *said = fdopen(out[0], "r");
    if (fscanf(said, "%u", &port) != 1)
        cr_skip_test("python3 is not installed");
}

static void start_kubelet(void)
{
    make_certificate("ca", "", "", "2");
    make_certificate("kubelet", "ca", "IP:127.0.0.1", "2");
    write_file(test_path("token"), "first");
    write_file(test_path("mode"), "ok");
    write_file(test_path("own-token"), "first\n");
    answer_with(pod(POD_UID, "research"));
    launch();
}

static void stop_kubelet(void)
{
    if (kubelet) {
        kill(kubelet, SIGKILL);
        wait_for_exit(kubelet);
    }
    kubelet = 0;
}

static void setup(void)
{
    test_setup();
    kubelet = 0;
}

static void teardown(void)
{
    stop_kubelet();
    test_teardown();
}

static void setup_with_container(void)
{
    container_setup();
    kubelet = 0;
}

static void teardown_with_container(void)
{
    stop_kubelet();
    container_teardown();
}

TestSuite(kubelet, .init = setup, .fini = teardown);
TestSuite(kubelet_agent, .init = setup_with_container, .fini = teardown_with_container);

static const char *config(const char *ca)
{
    const char *path = test_path("agent.yaml");
    write_file(path, format_text("kubelet: {url: \"https://127.0.0.1:%u\", token_file: %s, ca_file: %s, "
                                 "interval: 1s}\n",
                                 port, test_path("own-token"), ca));
    return path;
}

// What one question comes to.
static void expect_answer(const char *ca, int code, const char *words)
{
    _cleanup_free_ char *output = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "kubelet", "--config", config(ca), NULL), code, "%s",
                 output);
    cr_expect(strstr(output, words), "%s: %s", words, output);
    cr_expect_not(strstr(output, "first") || strstr(output, "second"), "no token is told: %s", output);
}

Test(kubelet, is_asked_with_a_token_that_changes)
{
    start_kubelet();
    const char *ca = test_path("ca.crt");
    expect_answer(ca, 0, "1 pods, 0 left out");
    write_file(test_path("token"), "second");
    expect_answer(ca, 1, "status 401");
    write_file(test_path("own-token"), "second");
    expect_answer(ca, 0, "1 pods, 0 left out");
    write_file(test_path("own-token"), "");
    expect_answer(ca, 1, "cannot use the token");
    unlink(test_path("own-token"));
    expect_answer(ca, 1, "cannot use the token");
}

Test(kubelet, must_prove_who_it_is)
{
    start_kubelet();
    make_certificate("other", "", "", "2");
    expect_answer(test_path("other.crt"), 1, "certificate");
    expect_answer(test_path("nowhere.crt"), 1, "nowhere.crt");
    expect_answer(test_path("ca.crt"), 0, "1 pods");
    stop_kubelet();
    expect_answer(test_path("ca.crt"), 1, "does not tell its pods");
    make_certificate("kubelet", "ca", "DNS:elsewhere.example", "2");
    launch();
    expect_answer(test_path("ca.crt"), 1, "no alternative certificate subject name matches");

    _cleanup_free_ char *output = NULL;
    write_file(test_path("plain.yaml"), format_text("kubelet: {url: \"http://127.0.0.1:%u\"}\n", port));
    cr_expect_eq(run_captured(&output, agent_path(), "config", "check", test_path("plain.yaml"), NULL), 1);
    cr_expect(strstr(output, "https:// only"), "%s", output);
}

Test(kubelet, answers_of_all_kinds)
{
    start_kubelet();
    const char *ca = test_path("ca.crt");
    write_file(test_path("mode"), "broken");
    expect_answer(ca, 1, "no list of pods");
    write_file(test_path("mode"), "ok");
    static const char *const lists[][2] = {
        {"", "0 pods, 0 left out"},
        {"{}", "0 pods, 1 left out"},
        {"7,null,[],{\"metadata\":7},{\"metadata\":{\"uid\":\"a\",\"labels\":[],\"name\":{}},\"status\":[]}",
         "1 pods, 4 left out"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        answer_with(lists[i][0]);
        expect_answer(ca, 0, lists[i][1]);
    }
    write_file(test_path("answer"), "{\"kind\":\"Status\",\"items\":[]}");
    expect_answer(ca, 1, "no list of pods");

    enum { PODS = 10000 };
    char *many = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&many, &size);
    for (int i = 0; i < PODS; i++)
        fprintf(stream,
                "%s{\"metadata\":{\"uid\":\"pod-%d\",\"name\":\"n\",\"namespace\":\"s\",\"labels\":{\"a\":"
                "\"b\"}}}",
                i ? "," : "", i);
    fclose(stream);
    answer_with(many);
    free(many);
    expect_answer(ca, 0, "10000 pods, 0 left out");
}

// --- With the agent ---

static void wait_metric(struct agent *agent, const char *result, double more_than)
{
    struct timespec pause = {.tv_nsec = 50000000};
    for (int i = 0; i < DEADLINE_S * 20; i++) {
        double value = agent_metric(agent, "inferscope_kubelet_answers_total", "result", result, NULL);
        if (!isnan(value) && value > more_than)
            return;
        nanosleep(&pause, NULL);
    }
    cr_assert_fail("no answer is %s: %s", result, agent_stderr(agent));
}

static double answers(struct agent *agent, const char *result)
{
    return agent_metric(agent, "inferscope_kubelet_answers_total", "result", result, NULL);
}

static const char rule[] =
    "- rule: started\n"
    "  desc: a program started in a container\n"
    "  condition: evt.type = execve and container.id != host and proc.name = stranger\n"
    "  output: \"%container.name %k8s.pod.label[team] %k8s.pod.label[cost-centre] %k8s.pod.ip\n"
    "    %container.image.digest %k8s.pod.uid %proc.cmdline %container.full_id\"\n"
    "  priority: NOTICE\n";

Test(kubelet_agent, tells_a_pods_labels)
{
    start_kubelet();
    _cleanup_agent_ struct agent *agent = agent_start(rule, "--config", config(test_path("ca.crt")), NULL);
    wait_metric(agent, "listed", 0);
    container_run("\"/stranger\",\"one\"");
    agent_wait_alert(agent, "started", "container.full_id", container_id(), "k8s.pod.label[team]", "research",
                     "k8s.pod.label[cost-centre]", "4711", "k8s.pod.ip", "10.1.2.3", "container.image.digest",
                     "sha256:0123", "k8s.pod.uid", POD_UID, "proc.cmdline", "stranger one", NULL);
    container_delete();

    // Another list, by another token.
    answer_with(pod(POD_UID, "sales"));
    write_file(test_path("token"), "second");
    wait_metric(agent, "refused", 0);
    write_file(test_path("own-token"), "second");
    wait_metric(agent, "listed", answers(agent, "listed") + 1);
    container_run("\"/stranger\",\"two\"");
    agent_wait_alert(agent, "started", "container.full_id", container_id(), "k8s.pod.label[team]", "sales",
                     "proc.cmdline", "stranger two", NULL);
    agent_wait_said(agent, "status 401");
    cr_expect_eq(agent_metric(agent, "inferscope_kubelet_pods", NULL), 1);
}

static long asker_of(struct agent *agent)
{
    _cleanup_free_ char *children =
        read_whole_file(format_text("/proc/%d/task/%d/children", agent_pid(agent), agent_pid(agent)));
    return children ? strtol(children, NULL, 10) : 0;
}

// Who speaks to the network may do nothing else, and another one comes where it dies.
Test(kubelet_agent, is_asked_by_a_process_of_its_own)
{
    start_kubelet();
    _cleanup_agent_ struct agent *agent = agent_start(rule, "--config", config(test_path("ca.crt")), NULL);
    wait_metric(agent, "listed", 0);
    long asker = asker_of(agent);
    cr_assert_gt(asker, 0);
    _cleanup_free_ char *status = read_whole_file(format_text("/proc/%ld/status", asker));
    cr_expect(status && strstr(status, "CapEff:\t0000000000000000"), "%s", status);
    cr_expect(status && strstr(status, "CapPrm:\t0000000000000000"), "%s", status);
    cr_expect(status && strstr(status, "NoNewPrivs:\t1"), "%s", status);
    double before = answers(agent, "listed");
    cr_assert_eq(kill((pid_t)asker, SIGKILL), 0);
    wait_metric(agent, "listed", before + 1);
    cr_expect_neq(asker_of(agent), asker);
    agent_wait_said(agent, "is started again");
}

// Whatever it does, the agent goes on.
Test(kubelet_agent, is_not_waited_for)
{
    start_kubelet();
    write_file(test_path("mode"), "slow");
    _cleanup_agent_ struct agent *agent = agent_start(rule, "--config", config(test_path("ca.crt")), NULL);
    container_run("\"/stranger\",\"meanwhile\"");
    agent_wait_alert(agent, "started", "container.full_id", container_id(), "container.name",
                     "llm-research-lab-7", "k8s.pod.label[team]", "-", "k8s.pod.uid", POD_UID, "proc.cmdline",
                     "stranger meanwhile", NULL);
}
