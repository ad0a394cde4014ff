// Alerts go from a spool to a Kafka cluster: librdkafka's own stand-in, as Debian has no broker, told to fail
// in the ways that clusters fail.
#include "certificates.h"
#include "deliver.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

TestSuite(deliver_kafka, TEST_SUITE);

// A message whose time is over is sent anew, perhaps though the broker has it and was only slow to say so:
// there is time enough, but where a test is about its end.
#define RETRY "protocol: tcp, retry: {initial: 10ms, max: 50ms}"
#define HASTY ", timeout: 1s"

// Kafka's numbers.
enum { PRODUCE = 0, INIT_PRODUCER_ID = 22 };
enum { MESSAGE_TOO_LARGE = 10, NOT_ENOUGH_REPLICAS = 19, TOPIC_AUTHORIZATION_FAILED = 29, OUT_OF_ORDER = 45 };

static FILE *commands, *answers;
static char brokers[256];

// One line to the brokers, and their answer, which lives until the next one.
__attribute__((format(printf, 1, 2))) static const char *tell(const char *format, ...)
{
    static char *answer;
    static size_t size;
    va_list args;
    va_start(args, format);
    vfprintf(commands, format, args);
    va_end(args);
    fputc('\n', commands);
    fflush(commands);
    cr_assert_geq(getline(&answer, &size, answers), 0, "the brokers do not run");
    return answer;
}

static const char *kafka_agent(void)
{
    _cleanup_free_ char *agent = strdup(agent_path());
    return format_text("%s/kafka/agent", dirname(agent));
}

// Starts brokers with a topic, and has `agent` be the one that knows Kafka.
static void setup_of(unsigned brokers_count)
{
    const char *agent = kafka_agent();
    const char *program = program_beside("kafka-broker");
    if (access(agent, X_OK) || access(program, X_OK))
        cr_skip_test("not built with Kafka");
    setenv("AGENT", agent, 1);
    int in[2], out[2];
    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execl(program, program, format_text("%u", brokers_count), NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    commands = fdopen(in[1], "w");
    answers = fdopen(out[0], "r");
    cr_assert(fgets(brokers, sizeof(brokers), answers), "the brokers do not run");
    brokers[strcspn(brokers, "\n")] = '\0';
    tell("topic alerts 4");
}

static void setup(void)
{
    setup_of(2);
}

static const char *output(const char *more)
{
    return format_text("- {type: kafka, brokers: [\"%s\"], topic: alerts, " RETRY "%s}\n",
                       strtok(format_text("%s", brokers), ","), more);
}

static size_t count_of(const json_t *messages, const char *uuid)
{
    size_t count = 0, index;
    const json_t *message;
    json_array_foreach(messages, index, message) count +=
        strcmp(json_string_value(json_object_get(message, "uuid")), uuid) == 0;
    return count;
}

static json_t *taken(void)
{
    json_t *messages = json_loads(tell("taken alerts"), 0, NULL);
    cr_assert(json_is_array(messages));
    return messages;
}

// Waits until all of these are in the topic; what is there then, owned.
static json_t *wait_taken(const char *const *uuids, size_t count)
{
    json_t *messages = NULL;
    size_t missing = count;
    for (time_t deadline = time(NULL) + DEADLINE_S; missing && time(NULL) < deadline; pause_briefly()) {
        json_decref(messages);
        messages = taken();
        missing = 0;
        for (size_t i = 0; i < count; i++)
            missing += count_of(messages, uuids[i]) == 0;
    }
    cr_assert_eq(missing, 0, "%zu of %zu alerts are missing: %s", missing, count, deliver_said());
    return messages;
}

static void expect_once(const char *const *uuids, size_t count)
{
    json_t *messages = wait_taken(uuids, count);
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(count_of(messages, uuids[i]), 1, "alert %zu is there %zu times", i,
                     count_of(messages, uuids[i]));
    json_decref(messages);
}

// --- What is delivered ---

Test(deliver_kafka, alerts_arrive_once_in_order_under_the_host)
{
    setup();
    const char **uuids = spool_fill(1, 600);
    pid_t pid = deliver_start(output(", batch: 100, compression: gzip"));
    json_t *messages = wait_taken(uuids, 600);
    cr_assert_eq(json_array_size(messages), 600);
    json_int_t partition = json_integer_value(json_object_get(json_array_get(messages, 0), "partition"));
    for (size_t i = 0; i < 600; i++) {
        const json_t *message = json_array_get(messages, i);
        cr_assert_str_eq(json_string_value(json_object_get(message, "key")), "node-1");
        cr_assert_eq(json_integer_value(json_object_get(message, "partition")), partition);
        cr_assert_str_eq(json_string_value(json_object_get(message, "uuid")), uuids[i]);
        json_t *value = json_loads(json_string_value(json_object_get(message, "value")), 0, NULL);
        cr_assert_str_eq(json_string_value(json_object_get(value, "uuid")), uuids[i]);
        cr_assert_str_eq(json_string_value(json_object_get(value, "rule")), "Shell");
        json_decref(value);
    }
    json_decref(messages);
    deliver_stop(pid);

    // Nothing is delivered again by the next process.
    pid = deliver_start(output(""));
    const char **more = spool_fill(601, 5);
    expect_once(more, 5);
    expect_once(uuids, 600);
    deliver_stop(pid);
}

Test(deliver_kafka, each_format_and_compression_is_what_it_says)
{
    static const char *const ways[][2] = {{", format: ecs, compression: snappy", "\"event\":"},
                                          {", format: ocsf, compression: lz4", "\"class_uid\":2004"},
                                          {", format: cef, compression: zstd", "CEF:0|"},
                                          {", format: text", "number 1"}};
    setup();
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        const char *uuid = spool_fill_line(alert_line("Warning", "Shell", 1));
        pid_t pid = deliver_start(output(ways[i][0]));
        json_t *messages = wait_taken(&uuid, 1);
        size_t index, found = 0;
        const json_t *message;
        json_array_foreach(messages, index, message)
        {
            const char *value = json_string_value(json_object_get(message, "value"));
            bool is_it = strcmp(json_string_value(json_object_get(message, "uuid")), uuid) == 0;
            found += is_it && strstr(value, ways[i][1]);
        }
        cr_expect_eq(found, 1, "%s", ways[i][0]);
        json_decref(messages);
        deliver_stop(pid);
    }
}

// --- What fails ---

Test(deliver_kafka, what_brokers_refuse_for_now_is_sent_again)
{
    setup();
    // More often than one message's time lasts.
    tell("errors %d %d %d %d %d %d", PRODUCE, NOT_ENOUGH_REPLICAS, NOT_ENOUGH_REPLICAS, NOT_ENOUGH_REPLICAS,
         TOPIC_AUTHORIZATION_FAILED, NOT_ENOUGH_REPLICAS);
    const char **uuids = spool_fill(1, 40);
    pid_t pid = deliver_start(output(HASTY));
    expect_once(uuids, 40);
    deliver_wait_said("Topic authorization failed; what it does not take waits in the spool");
    deliver_wait_said("takes everything again");
    deliver_stop(pid);
    cr_expect_null(strstr(deliver_said(), "given up"), "%s", deliver_said());
}

// librdkafka sends what it was given until 5 ms after the first message of a batch. Whoever gives it a batch
// must not wait for the CPU meanwhile where it is counted which request is refused.
static pid_t start_without_waits(const char *outputs)
{
    pid_t pid = deliver_start(outputs);
    cr_assert_eq(setpriority(PRIO_PROCESS, (id_t)pid, -20), 0);
    return pid;
}

Test(deliver_kafka, what_is_too_large_is_given_up_and_the_rest_is_not)
{
    setup();
    const char *first = spool_fill_line(alert_line("Warning", "Shell", 1));
    pid_t pid = start_without_waits(output(""));
    expect_once(&first, 1);
    // Of four together, then of each half, then of the first alone. It stands still until all four are there.
    tell("errors %d %d %d %d", PRODUCE, MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE);
    halt(pid);
    const char **uuids = spool_fill(2, 4);
    kill(pid, SIGCONT);
    expect_once(uuids + 1, 3);
    deliver_wait_said("1 given up: Broker: Message size too large");
    json_t *messages = taken();
    cr_expect_eq(count_of(messages, uuids[0]), 0);
    json_decref(messages);
    deliver_stop(pid);
}

Test(deliver_kafka, a_cluster_that_refuses_everything_costs_no_alert)
{
    setup();
    tell("errors %d %d %d %d %d %d %d", PRODUCE, MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE,
         MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE);
    const char **uuids = spool_fill(1, 3);
    pid_t pid = start_without_waits(output(""));
    expect_once(uuids, 3);
    deliver_stop(pid);
    cr_expect_null(strstr(deliver_said(), "given up"), "%s", deliver_said());
}

Test(deliver_kafka, a_topic_that_is_not_there_is_said_and_waited_for)
{
    setup();
    tell("no-topic missing");
    const char **uuids = spool_fill(1, 3);
    pid_t pid = deliver_start(format_text("- {type: kafka, brokers: [\"%s\"], topic: missing, " RETRY "}\n",
                                          strtok(format_text("%s", brokers), ",")));
    deliver_wait_said("nknown topic");
    deliver_stop(pid);
    pid = deliver_start(output(", name: kafka"));
    expect_once(uuids, 3);
    deliver_stop(pid);
}

// After such an error a producer takes nothing more: another one goes on.
Test(deliver_kafka, a_fatal_error_is_outlived)
{
    setup();
    tell("errors %d %d", INIT_PRODUCER_ID, 31);
    const char **uuids = spool_fill(1, 10);
    pid_t pid = deliver_start(output(""));
    expect_once(uuids, 10);
    deliver_wait_said("Cluster authorization failed");
    deliver_stop(pid);
}

Test(deliver_kafka, sequences_that_brokers_do_not_know_lose_nothing)
{
    setup();
    const char *first = spool_fill_line(alert_line("Warning", "Shell", 1));
    pid_t pid = deliver_start(output(""));
    expect_once(&first, 1);
    tell("errors %d %d", PRODUCE, OUT_OF_ORDER);
    const char **uuids = spool_fill(2, 30);
    json_decref(wait_taken(uuids, 30));
    deliver_stop(pid);
}

Test(deliver_kafka, brokers_that_are_gone_hold_up_nobody_else)
{
    setup();
    unsigned port = receivers_start();
    tell("down");
    const char **uuids = spool_fill(1, 50);
    pid_t pid = deliver_start(
        format_text("%s- {type: webhook, url: \"http://127.0.0.1:%u/hook\"}\n", output(""), port));
    receivers_wait_taken("/hook", uuids, 50);
    deliver_wait_said("Connection refused");
    const char **more = spool_fill(51, 50);
    receivers_wait_taken("/hook", more, 50);
    tell("up");
    expect_once(uuids, 50);
    expect_once(more, 50);
    deliver_wait_said("takes everything again");
    // And gone once more, while it is connected.
    tell("down");
    const char **last = spool_fill(101, 50);
    receivers_wait_taken("/hook", last, 50);
    tell("up");
    json_decref(wait_taken(last, 50));
    deliver_stop(pid);
}

Test(deliver_kafka, a_deliverer_that_is_killed_loses_nothing)
{
    setup();
    tell("delay 300");
    const char **uuids = spool_fill(1, 400);
    size_t seen = 0;
    pid_t pid = deliver_start(output(", batch: 50"));
    while (seen < 150) {
        json_t *messages = taken();
        seen = json_array_size(messages);
        json_decref(messages);
        pause_briefly();
    }
    kill(pid, SIGKILL);
    wait_for_exit(pid);
    tell("delay 0");
    pid = deliver_start(output(", batch: 50"));
    // The first may have sent all of them; the last one is the second's.
    const char *last = spool_fill_line(alert_line("Warning", "Shell", 401));
    expect_once(&last, 1);
    json_t *messages = wait_taken(uuids, 400);
    // What comes twice has the same uuid, in the header and in the alert.
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const char *uuid = json_string_value(json_object_get(json_array_get(messages, i), "uuid"));
        cr_expect(strstr(json_string_value(json_object_get(json_array_get(messages, i), "value")), uuid));
    }
    json_decref(messages);
    deliver_stop(pid);
}

// --- The end, and threads ---

// It would answer in an hour.
Test(deliver_kafka, a_cluster_that_does_not_answer_does_not_hold_up_the_end, .timeout = 300)
{
    setup();
    tell("delay 3600000");
    spool_fill(1, 10);
    pid_t pid = deliver_start(output(HASTY));
    deliver_wait_said("waits in the spool");
    deliver_stop(pid);
}

// Whoever is taken over by a broker has nothing: each of librdkafka's threads is as poor as the loop's, and
// leaves it the signals.
Test(deliver_kafka, its_threads_have_no_privileges_and_take_no_signals)
{
    setup();
    const char *uuid = spool_fill_line(alert_line("Warning", "Shell", 1));
    pid_t pid = deliver_start(output(""));
    expect_once(&uuid, 1);
    _cleanup_free_ char *tasks = NULL;
    cr_assert_eq(run_captured(&tasks, "sh", "-c",
                              format_text("for t in /proc/%d/task/*; do cat $t/status; done", (int)pid),
                              NULL),
                 0);
    size_t threads = 0, poor = 0, deaf = 0, locked = 0;
    for (const char *line = tasks; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        threads += strncmp(line, "Pid:", 4) == 0;
        poor += strncmp(line, "CapEff:\t0000000000000000", 24) == 0;
        locked += strncmp(line, "NoNewPrivs:\t1", 13) == 0;
        // SIGTERM, SIGINT and SIGUSR1 are blocked in all.
        unsigned long long blocked = strncmp(line, "SigBlk:\t", 8) == 0 ? strtoull(line + 8, NULL, 16) : 0;
        deaf += (blocked & 0x4202) == 0x4202;
    }
    cr_expect_geq(threads, 3);
    cr_expect_eq(poor, threads);
    cr_expect_eq(locked, threads);
    cr_expect_eq(deaf, threads);
    // SIGUSR1 has it connect anew; SIGTERM ends it.
    kill(pid, SIGUSR1);
    const char **more = spool_fill(2, 3);
    expect_once(more, 3);
    deliver_stop(pid);
}

// --- TLS and SASL ---

// In front of one broker, so that nobody is told of the other one. Its port; what it says goes to
// test_path("door").
static unsigned door_start(const char *certificate, const char *user, const char *password)
{
    const char *log = test_path("door");
    unlink(log);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), STDOUT_FILENO);
        execlp("python3", "python3", "tests/servers/kafka_tls.py", strrchr(brokers, ':') + 1,
               test_path("%s.crt", certificate), test_path("%s.key", certificate), test_path("ca.crt"), user,
               password, NULL);
        _exit(127);
    }
    unsigned port = 0;
    for (time_t deadline = time(NULL) + DEADLINE_S; !port && time(NULL) < deadline; pause_briefly()) {
        _cleanup_free_ char *text = read_whole_file(log);
        port = text && strchr(text, '\n') ? (unsigned)strtoul(text, NULL, 10) : 0;
    }
    cr_assert(port, "the door does not open");
    return port;
}

static bool door_said(const char *words)
{
    _cleanup_free_ char *text = read_whole_file(test_path("door"));
    return text && strstr(text, words);
}

static void tls_setup(void)
{
    setup_of(1);
    make_certificate("ca", "", "", "2");
    make_certificate("other", "", "", "2");
    make_certificate("server", "ca", "IP:127.0.0.1", "2");
    make_certificate("elsewhere", "ca", "DNS:elsewhere.example", "2");
    make_certificate("client", "ca", "DNS:agent", "2");
}

static const char *tls_output(unsigned port, const char *ca, const char *more)
{
    return format_text("- {type: kafka, brokers: [\"127.0.0.1:%u\"], topic: alerts, retry: {initial: 10ms, "
                       "max: 50ms}, tls: {ca_file: %s, cert_file: %s, key_file: %s%s}\n",
                       port, test_path("%s.crt", ca), test_path("client.crt"), test_path("client.key"), more);
}

Test(deliver_kafka, certificates_are_shown_and_verified)
{
    tls_setup();
    unsigned port = door_start("server", NULL, NULL);
    const char **uuids = spool_fill(1, 5);
    // Of somebody else.
    pid_t pid = deliver_start(tls_output(port, "other", "}"));
    deliver_wait_said("certificate verify failed");
    deliver_stop(pid);
    cr_expect_not(door_said("certificate "));

    pid = deliver_start(tls_output(port, "ca", "}"));
    expect_once(uuids, 5);
    cr_expect(door_said("certificate client"));
    deliver_stop(pid);
}

Test(deliver_kafka, the_name_in_the_certificate_is_verified_unless_told_otherwise)
{
    tls_setup();
    unsigned port = door_start("elsewhere", NULL, NULL);
    const char **uuids = spool_fill(1, 5);
    pid_t pid = deliver_start(tls_output(port, "ca", "}"));
    deliver_wait_said("certificate verify failed");
    deliver_stop(pid);
    cr_expect_not(door_said("certificate "));
    pid = deliver_start(tls_output(port, "ca", ", verify: false}"));
    expect_once(uuids, 5);
    deliver_stop(pid);
}

Test(deliver_kafka, passwords_reach_the_broker_and_nobody_else)
{
    tls_setup();
    unsigned port = door_start("server", "agent", "s3cret-right");
    const char **uuids = spool_fill(1, 5);
    write_file(test_path("password"), "s3cret-wrong\n");
    pid_t pid = deliver_start(tls_output(
        port, "ca",
        format_text("}, user: agent, mechanism: plain, password: {file: %s}", test_path("password"))));
    deliver_wait_said("it does not accept the credentials");
    // It is read again by itself, also where it is not there for a while.
    unlink(test_path("password"));
    deliver_wait_said("cannot use the password in the file");
    write_file(test_path("password"), "s3cret-right\n");
    expect_once(uuids, 5);
    cr_expect(door_said("user agent by PLAIN"));
    deliver_stop(pid);

    // By the other mechanisms; the last is the default.
    static const char *const mechanisms[][2] = {{", mechanism: scram-sha-256", "user agent by SCRAM-SHA-256"},
                                                {"", "user agent by SCRAM-SHA-512"}};
    for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++) {
        const char *uuid = spool_fill_line(alert_line("Warning", "Shell", 1));
        pid = deliver_start(tls_output(
            port, "ca",
            format_text("}, user: agent, password: {file: %s}%s", test_path("password"), mechanisms[i][0])));
        expect_once(&uuid, 1);
        cr_expect(door_said(mechanisms[i][1]));
        deliver_stop(pid);
    }
    cr_expect_null(strstr(deliver_said(), "s3cret"), "%s", deliver_said());

    pid = deliver_start(
        tls_output(port, "ca", "}, user: agent, mechanism: plain, password: {file: /nowhere/at/all}"));
    deliver_wait_said("cannot use the password in the file /nowhere/at/all");
    deliver_stop(pid);
}

// --- An agent without it ---

Test(deliver_kafka, an_agent_without_kafka_says_so)
{
    const char *config = test_path("agent.yaml");
    write_file(config, "outputs:\n  - name: k\n    type: kafka\n    brokers: [\"b:9092\"]\n    topic: t\n");
    _cleanup_free_ char *said = NULL;
    int code = run_captured(&said, agent_path(), "config", "check", config, NULL);
    cr_expect_neq(code, 0);
    cr_expect(strstr(said, format_text("%s:3:11: error: this agent was built without Kafka", config)), "%s",
              said);

    if (access(kafka_agent(), X_OK) == 0) {
        _cleanup_free_ char *good = NULL;
        cr_expect_eq(run_captured(&good, kafka_agent(), "config", "check", config, NULL), 0, "%s", good);
    }
}
