// Syslog to a real rsyslog, by UDP, TCP and TLS, and files that are rotated while they are written.
#include "certificates.h"
#include "deliver.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

TestSuite(deliver_lines, TEST_SUITE);

#define RETRY "retry: {initial: 10ms, max: 100ms}"

// --- rsyslog, which writes what it receives to test_path("received"), an object a line ---

static const char *const properties[] = {"pri",   "hostname",        "app-name", "procid",
                                         "msgid", "structured-data", "msg"};

static const char *rsyslog_config(const char *modules, const char *inputs)
{
    char *fields = format_text("constant(value=\"{\")");
    for (size_t i = 0; i < ARRAY_SIZE(properties); i++)
        fields =
            format_text("%s property(name=\"%s\" outname=\"%s\" format=\"jsonf\") constant(value=\"%s\")",
                        fields, properties[i], properties[i], i + 1 < ARRAY_SIZE(properties) ? "," : "}\\n");
    const char *path = test_path("rsyslog.conf");
    write_file(path, format_text("global(workDirectory=\"%s\" maxMessageSize=\"64k\")\n"
                                 "%s%s"
                                 "template(name=\"all\" type=\"list\") { %s }\n"
                                 "action(type=\"omfile\" file=\"%s\" template=\"all\" flushOnTXEnd=\"on\")\n",
                                 test_dir(), modules, inputs, fields, test_path("received")));
    return path;
}

static pid_t rsyslog_start(void)
{
    if (access("/usr/sbin/rsyslogd", X_OK))
        cr_skip_test("rsyslog is not installed");
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(test_path("rsyslog.log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execl("/usr/sbin/rsyslogd", "rsyslogd", "-n", "-f", test_path("rsyslog.conf"), "-i",
              test_path("rsyslog.pid"), NULL);
        _exit(127);
    }
    return pid;
}

static const char *input(const char *type, unsigned port)
{
    return format_text("input(type=\"%s\" address=\"127.0.0.1\" port=\"%u\")\n", type, port);
}

static const char *member(const json_t *message, const char *name)
{
    const char *value = json_string_value(json_object_get(message, name));
    return value ? value : "";
}

// The messages until now, an array that the caller owns; a line that is still being written is left out.
static json_t *received(void)
{
    json_t *messages = json_array();
    _cleanup_free_ char *text = read_whole_file(test_path("received"));
    char *rest = text;
    for (char *line; rest && strchr(rest, '\n') && (line = strsep(&rest, "\n"));) {
        json_t *message = json_loads(line, 0, NULL);
        cr_assert(message, "%s", line);
        // What rsyslog says of itself goes there, too.
        if (strcmp(member(message, "app-name"), "rsyslogd") == 0)
            json_decref(message);
        else
            json_array_append_new(messages, message);
    }
    return messages;
}

// How often an alert has arrived. Its uuid is in the structured data.
static size_t times(const json_t *messages, const char *uuid)
{
    size_t count = 0;
    char wanted[128];
    snprintf(wanted, sizeof(wanted), "[inferscope@32473 uuid=\"%s\" sequence=\"", uuid);
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const char *data = member(json_array_get(messages, i), "structured-data");
        count += strncmp(data, wanted, strlen(wanted)) == 0;
    }
    return count;
}

// Waits until all have arrived; the messages are the caller's.
static json_t *wait_received(const char *const *uuids, size_t count)
{
    size_t missing = count;
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; pause_briefly()) {
        json_t *messages = received();
        missing = 0;
        if (json_array_size(messages) < count)
            missing = count - json_array_size(messages);
        for (size_t i = 0; missing == 0 && i < count; i++)
            missing += times(messages, uuids[i]) == 0;
        if (missing == 0)
            return messages;
        json_decref(messages);
    }
    _cleanup_free_ char *log = read_whole_file(test_path("rsyslog.log"));
    cr_assert_fail("%zu of %zu are missing: %s; rsyslog: %s", missing, count, deliver_said(), log ? log : "");
    return NULL;
}

static void expect_once_each(const json_t *messages, const char *const *uuids, size_t count)
{
    cr_expect_eq(json_array_size(messages), count);
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(times(messages, uuids[i]), 1, "%s", uuids[i]);
}

static void expect_message(const json_t *message, const char *pri, const char *begin)
{
    cr_expect_str_eq(member(message, "pri"), pri);
    cr_expect_str_eq(member(message, "hostname"), "node-1");
    cr_expect_str_eq(member(message, "app-name"), "inferscope");
    cr_expect_str_eq(member(message, "msgid"), "alert");
    const char *data = member(message, "structured-data");
    cr_expect(
        strstr(data,
               " rule=\"Sh\\\"e\\]l\\\\l\" priority=\"Warning\" source=\"syscall\" tags=\"shell,T1059\"]"),
        "%s", data);
    cr_expect(strstr(data, "][origin software=\"inferscope\" swVersion=\""), "%s", data);
    cr_expect_eq(strncmp(member(message, "msg"), begin, strlen(begin)), 0, "%s", member(message, "msg"));
}

static const char *awkward(unsigned number)
{
    return spool_fill_line(alert_line("Warning", "Sh\\\"e]l\\\\l", number));
}

// --- Plain ---

Test(deliver_lines, tcp)
{
    unsigned port = free_port();
    rsyslog_config("module(load=\"imtcp\")\n", input("imtcp", port));
    pid_t rsyslog = rsyslog_start();
    wait_for_port(port);
    const char *first = awkward(1), **uuids = spool_fill(2, 500);
    pid_t pid =
        deliver_start(format_text("- {type: syslog, address: \"127.0.0.1:%u\", protocol: tcp, format: text, "
                                  "facility: local3, batch: 32, " RETRY "}\n",
                                  port));
    json_t *messages = wait_received(uuids, 500);
    cr_expect_eq(times(messages, first), 1);
    cr_expect_eq(json_array_size(messages), 501);
    // 19 * 8 + 4, and UTF-8 begins with its mark.
    expect_message(json_array_get(messages, 0), "156",
                   "\xef\xbb\xbf"
                   "08:00:00.000000000: Warning number 1");
    for (size_t i = 0; i < 500; i++)
        cr_expect_eq(times(messages, uuids[i]), 1);
    json_decref(messages);
    deliver_stop(pid);
    kill(rsyslog, SIGKILL);
}

Test(deliver_lines, udp)
{
    unsigned port = free_port();
    rsyslog_config("module(load=\"imudp\")\n", input("imudp", port));
    // It may not listen yet: nobody does, is heard, and it is sent again.
    const char *uuid = awkward(1);
    pid_t pid = deliver_start(format_text(
        "- {type: syslog, address: \"127.0.0.1:%u\", protocol: udp, format: json, " RETRY "}\n", port));
    deliver_wait_said("nobody listens there");
    pid_t rsyslog = rsyslog_start();
    json_t *messages = wait_received(&uuid, 1);
    expect_message(json_array_get(messages, 0), "28", "{\"hostname\":\"node-1\"");
    json_t *alert = json_loads(member(json_array_get(messages, 0), "msg"), 0, NULL);
    cr_assert(alert);
    cr_expect_str_eq(member(alert, "uuid"), uuid);
    json_decref(alert);
    json_decref(messages);

    const char **uuids = spool_fill(2, 50);
    messages = wait_received(uuids, 50);
    for (size_t i = 0; i < 50; i++)
        cr_expect_eq(times(messages, uuids[i]), 1);
    json_decref(messages);
    deliver_stop(pid);
    kill(rsyslog, SIGKILL);
}

Test(deliver_lines, cef)
{
    unsigned port = free_port();
    rsyslog_config("module(load=\"imtcp\")\n", input("imtcp", port));
    pid_t rsyslog = rsyslog_start();
    wait_for_port(port);
    const char *uuid = awkward(1);
    pid_t pid = deliver_start(format_text(
        "- {type: syslog, address: \"localhost:%u\", protocol: tcp, format: cef, " RETRY "}\n", port));
    json_t *messages = wait_received(&uuid, 1);
    expect_message(json_array_get(messages, 0), "28", "CEF:0|Inferscope|Inferscope|");
    cr_expect(strstr(member(json_array_get(messages, 0), "msg"), "|Sh\"e]l\\\\l|Sh\"e]l\\\\l|5|rt="));
    json_decref(messages);
    deliver_stop(pid);
    kill(rsyslog, SIGKILL);
}

// --- A receiver that goes and comes back ---

Test(deliver_lines, all_arrive_when_rsyslog_is_killed_and_started_again)
{
    unsigned port = free_port();
    rsyslog_config("module(load=\"imtcp\")\n", input("imtcp", port));
    pid_t rsyslog = rsyslog_start();
    wait_for_port(port);
    const char **before = spool_fill(1, 100);
    pid_t pid = deliver_start(format_text(
        "- {type: syslog, address: \"127.0.0.1:%u\", protocol: tcp, batch: 10, " RETRY "}\n", port));
    json_decref(wait_received(before, 100));

    kill(rsyslog, SIGKILL);
    wait_for_exit(rsyslog);
    const char **meanwhile = spool_fill(101, 100);
    deliver_wait_said("syslog");
    rsyslog = rsyslog_start();
    json_decref(wait_received(meanwhile, 100));
    json_t *messages = wait_received(before, 100);
    // Repeats have the same uuid, so that nothing else is there.
    size_t known = 0;
    for (size_t i = 0; i < 100; i++)
        known += times(messages, before[i]) + times(messages, meanwhile[i]);
    cr_expect_eq(known, json_array_size(messages));
    json_decref(messages);
    deliver_stop(pid);
    kill(rsyslog, SIGKILL);
}

// --- TLS ---

static const char *tls_modules(const char *certificate)
{
    return format_text("global(DefaultNetstreamDriver=\"ossl\" DefaultNetstreamDriverCAFile=\"%s\"\n"
                       "  DefaultNetstreamDriverCertFile=\"%s\" DefaultNetstreamDriverKeyFile=\"%s\")\n"
                       "module(load=\"imtcp\" StreamDriver.Name=\"ossl\" StreamDriver.Mode=\"1\"\n"
                       "  StreamDriver.AuthMode=\"x509/certvalid\")\n",
                       test_path("ca.crt"), test_path("%s.crt", certificate),
                       test_path("%s.key", certificate));
}

static unsigned tls_start(const char *certificate, pid_t *ret_pid)
{
    unsigned port = free_port();
    make_certificate("ca", "", "", "2");
    make_certificate("client", "ca", "DNS:agent", "2");
    make_certificate(certificate, "ca",
                     strcmp(certificate, "server") ? "DNS:elsewhere.example" : "IP:127.0.0.1", "2");
    rsyslog_config(tls_modules(certificate), input("imtcp", port));
    *ret_pid = rsyslog_start();
    wait_for_port(port);
    return port;
}

static const char *tls_output(unsigned port, const char *ca)
{
    return format_text("- {type: syslog, address: \"127.0.0.1:%u\", protocol: tls, " RETRY ",\n"
                       "   tls: {ca_file: %s, cert_file: %s, key_file: %s}}\n",
                       port, test_path("%s.crt", ca), test_path("client.crt"), test_path("client.key"));
}

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        count++;
    return count;
}

Test(deliver_lines, tls)
{
    pid_t rsyslog;
    unsigned port = tls_start("server", &rsyslog);
    const char **uuids = spool_fill(1, 300);
    pid_t pid = deliver_start(tls_output(port, "ca"));
    json_t *messages = wait_received(uuids, 300);
    expect_once_each(messages, uuids, 300);
    json_decref(messages);
    // The connection is kept and used again.
    uuids = spool_fill(301, 1);
    json_decref(wait_received(uuids, 1));
    deliver_stop(pid);
    kill(rsyslog, SIGKILL);
}

// Says so once, sends nothing and loses nothing; then it is put right.
static void expect_refusal(unsigned port, const char *ca, const char *why)
{
    unlink(test_path("said"));
    pid_t pid = deliver_start(tls_output(port, ca));
    deliver_wait_said(why);
    // It has tried again by then.
    for (int i = 0; i < 25; i++)
        pause_briefly();
    deliver_stop(pid);
    json_t *messages = received();
    cr_expect_eq(json_array_size(messages), 0);
    json_decref(messages);
    cr_expect_eq(occurrences(deliver_said(), why), 1, "%s", deliver_said());
}

Test(deliver_lines, tls_of_another_authority_gets_nothing)
{
    pid_t rsyslog;
    unsigned port = tls_start("server", &rsyslog);
    make_certificate("other-ca", "", "", "2");
    const char **uuids = spool_fill(1, 5);
    expect_refusal(port, "other-ca", "SSL certificate problem");
    pid_t pid = deliver_start(tls_output(port, "ca"));
    json_t *messages = wait_received(uuids, 5);
    expect_once_each(messages, uuids, 5);
    json_decref(messages);
    deliver_stop(pid);
    kill(rsyslog, SIGKILL);
}

Test(deliver_lines, tls_of_another_name_gets_nothing)
{
    pid_t rsyslog;
    unsigned port = tls_start("elsewhere", &rsyslog);
    spool_fill(1, 5);
    expect_refusal(port, "ca", "no alternative certificate subject name matches");
    kill(rsyslog, SIGKILL);
}

// --- Files ---

// Counts the alerts of a file by the number in their output, each line of which must be whole.
static size_t count_alerts(const char *path, unsigned *counts, size_t size)
{
    size_t lines = 0;
    _cleanup_free_ char *text = read_whole_file(path);
    char *rest = text;
    for (char *line; rest && strchr(rest, '\n') && (line = strsep(&rest, "\n")); lines++) {
        unsigned number = 0;
        json_t *alert = json_loads(line, 0, NULL);
        cr_assert(alert, "%s: %s", path, line);
        cr_assert_eq(sscanf(member(alert, "output"), "%*s Warning number %u", &number), 1);
        cr_assert_lt(number, size);
        counts[number]++;
        json_decref(alert);
    }
    return lines;
}

static size_t count_all(unsigned *counts, size_t size)
{
    size_t lines = 0;
    DIR *directory = opendir(test_dir());
    memset(counts, 0, size * sizeof(*counts));
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", test_dir(), entry->d_name);
        if (strncmp(entry->d_name, "alerts.", 7) == 0)
            lines += count_alerts(path, counts, size);
    }
    closedir(directory);
    return lines;
}

// A file may be renamed between two looks at the directory: what was seen is counted only at rest.
static void wait_written(unsigned *counts, size_t size, size_t wanted)
{
    size_t lines = 0;
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; pause_briefly()) {
        lines = count_all(counts, size);
        if (lines == wanted)
            return;
    }
    cr_assert_fail("%zu of %zu lines: %s", lines, wanted, deliver_said());
}

Test(deliver_lines, a_file_that_is_rotated_loses_nothing)
{
    enum { ROUNDS = 10, EACH = 200 };
    static unsigned counts[ROUNDS * EACH + 1];
    spool_fill(1, EACH);
    pid_t pid = deliver_start(format_text(
        "- {type: file, path: %s, format: json, batch: 16, rotate: {size: 10KiB, keep: 1000}, " RETRY "}\n",
        test_path("alerts.json")));
    for (unsigned round = 1; round < ROUNDS; round++)
        spool_fill(1 + round * EACH, EACH);
    wait_written(counts, ARRAY_SIZE(counts), ROUNDS * EACH);
    for (unsigned number = 1; number <= ROUNDS * EACH; number++)
        cr_assert_eq(counts[number], 1, "%u is there %u times", number, counts[number]);
    deliver_stop(pid);
    cr_expect_eq(access(test_path("alerts.json.10"), F_OK), 0);
}

// As logrotate does it: the file is moved, the process told, and the old file read to its end.
Test(deliver_lines, a_file_that_others_move_away_loses_nothing)
{
    enum { ROUNDS = 10, EACH = 100 };
    static unsigned counts[ROUNDS * EACH + 1];
    const char *path = test_path("alerts.json");
    spool_fill(1, EACH);
    pid_t pid = deliver_start(format_text("- {type: file, path: %s, batch: 16, " RETRY "}\n", path));
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round > 0)
            spool_fill(1 + round * EACH, EACH);
        for (time_t deadline = time(NULL) + DEADLINE_S; access(path, F_OK) && time(NULL) < deadline;)
            pause_briefly();
        cr_assert_eq(rename(path, test_path("alerts.%u", round)), 0);
        kill(pid, SIGUSR1);
    }
    wait_written(counts, ARRAY_SIZE(counts), ROUNDS * EACH);
    for (unsigned number = 1; number <= ROUNDS * EACH; number++)
        cr_assert_eq(counts[number], 1, "%u is there %u times", number, counts[number]);
    deliver_stop(pid);
}
