// What is asked and answered, and keys, are in nothing that the agent writes, and not in a core dump of it.
#include "../../user/record/format.h"
#include "harness.h"
#include "servers.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

TestSuite(secrets, TEST_SUITE, .timeout = 300);

enum { REQUESTS = 4, SECRETS = 4 };

static const char *secrets[SECRETS]; // put together here, so that they are in no memory but the test's
static const char *model;

// --- `agent record`: all that the agent writes at once ---

static pid_t recorder_start(const char *agent, const char *rules)
{
    const char *const arguments[] = {agent,      "record",      test_path("recording"), rules, "--json",
                                     "--listen", "127.0.0.1:0", "--inference",          NULL};
    const struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    int out = open(test_path("alerts"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int err = open(test_path("words"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(out >= 0 && err >= 0);
    const char *directory = test_path("dumps");
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setrlimit(RLIMIT_CORE, &limit); // what it cannot have, the test does without
        if (chdir(directory) || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
            _exit(126);
        execv(agent, (char **)arguments);
        _exit(127);
    }
    cr_assert_gt(pid, 0);
    close(out);
    close(err);
    return pid;
}

struct bytes {
    char *at; // owned
    size_t size;
};

static struct bytes bytes_of(const char *path)
{
    struct bytes bytes = {};
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    size_t room = 1 << 20, count;
    bytes.at = malloc(room);
    while (file && (count = fread(bytes.at + bytes.size, 1, room - bytes.size, file)) > 0) {
        bytes.size += count;
        if (bytes.size == room)
            bytes.at = realloc(bytes.at, room *= 2);
        cr_assert(bytes.at);
    }
    return bytes;
}

static size_t count_in(const struct bytes *bytes, const char *text)
{
    size_t count = 0;
    const char *at = bytes->at, *end = bytes->at + bytes->size;
    while ((at = memmem(at, (size_t)(end - at), text, strlen(text)))) {
        at++;
        count++;
    }
    return count;
}

// What a recording holds, unpacked; as far as it is whole.
static struct bytes recorded(void)
{
    struct bytes file = bytes_of(test_path("recording")), bytes = {};
    struct record_head head = {};
    z_stream stream = {};
    cr_assert_eq(inflateInit2(&stream, -MAX_WBITS), Z_OK);
    bytes.at = malloc(64 << 20);
    cr_assert(bytes.at);
    if (file.size > sizeof(head))
        memcpy(&head, file.at, sizeof(head));
    stream.next_out = (Bytef *)bytes.at;
    stream.avail_out = 64 << 20;
    for (size_t at = sizeof(head) + head.table_size; at + sizeof(struct record_frame) < file.size;) {
        struct record_frame frame;
        memcpy(&frame, file.at + at, sizeof(frame));
        at += sizeof(frame);
        if (frame.stored > file.size - at)
            break;
        stream.next_in = (Bytef *)file.at + at;
        stream.avail_in = frame.stored;
        cr_assert_eq(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
        at += frame.stored;
    }
    bytes.size = stream.total_out;
    inflateEnd(&stream);
    free(file.at);
    return bytes;
}

static void wait_in_file(const char *path, const char *text, size_t wanted)
{
    size_t count = 0;
    for (int i = 0; i < DEADLINE_S * 20; i++) {
        struct bytes bytes = bytes_of(path);
        count = count_in(&bytes, text);
        free(bytes.at);
        if (count >= wanted)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    cr_assert_fail("%s has \"%s\" %zu times, not %zu", path, text, count, wanted);
}

static void expect_none(const char *where, const struct bytes *bytes, const char *known)
{
    cr_expect_gt(count_in(bytes, known), 0, "%s: the search itself works", where);
    for (size_t i = 0; i < SECRETS; i++)
        cr_expect_eq(count_in(bytes, secrets[i]), 0, "%s: secret %zu", where, i);
}

static void expect_none_in_file(const char *path, const char *known)
{
    struct bytes bytes = bytes_of(path);
    expect_none(path, &bytes, known);
    free(bytes.at);
}

static void expect_none_recorded(size_t wanted)
{
    size_t count = 0;
    for (int i = 0; i < DEADLINE_S * 20; i++) {
        struct bytes bytes = recorded();
        count = count_in(&bytes, model);
        if (count >= wanted)
            expect_none("the recording", &bytes, model);
        free(bytes.at);
        if (count >= wanted)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    cr_assert_fail("the recording has %zu requests, not %zu", count, wanted);
}

// All that the process can read, which is more than a core dump has.
static void expect_none_in_memory(pid_t pid)
{
    _cleanup_fclose_ FILE *maps = fopen(format_text("/proc/%d/maps", pid), "re");
    _cleanup_close_ int memory = open(format_text("/proc/%d/mem", pid), O_RDONLY | O_CLOEXEC);
    cr_assert(maps && memory >= 0);
    size_t known = 0;
    char line[PATH_MAX + 128];
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        // AddressSanitizer reserves terabytes.
        if (sscanf(line, "%lx-%lx r", &from, &to) != 2 || to - from > (256UL << 20))
            continue;
        _cleanup_free_ char *copy = malloc(to - from);
        ssize_t length = pread(memory, copy, to - from, (off_t)from);
        struct bytes bytes = {copy, length > 0 ? (size_t)length : 0};
        known += count_in(&bytes, model);
        for (size_t i = 0; i < SECRETS; i++)
            cr_expect_eq(count_in(&bytes, secrets[i]), 0, "secret %zu is in %s", i, line);
    }
    cr_expect_gt(known, 0, "the search itself works");
}

// Ends it. Whether there can be a dump is for the kernel's pattern and the build to say.
static void expect_none_in_core(pid_t pid)
{
    glob_t found = {};
    kill(pid, SIGABRT);
    wait_for_exit(pid);
    if (glob(test_path("dumps/*"), 0, NULL, &found) == 0)
        expect_none_in_file(found.gl_pathv[0], model);
    else
        cr_log_info("no core dump is written here");
    globfree(&found);
}

static unsigned port_of(const char *words)
{
    _cleanup_free_ char *text = read_whole_file(words);
    const char *port = text ? strstr(text, "metrics on port ") : NULL;
    cr_assert(port, "%s", text);
    return (unsigned)strtoul(port + strlen("metrics on port "), NULL, 10);
}

// --- Requests ---

static void ask(const struct server *server, bool tls)
{
    const char *bodies[] = {NULL, NULL, NULL};
    for (size_t i = 0; i < 2; i++)
        bodies[i] = format_text("{\"messages\":[{\"role\":\"user\",\"content\":\"%s and %s\"}],\"%s\":1,"
                                "\"max_tokens\":9%s,\"model\":\"%s\"}",
                                secrets[0], secrets[0], secrets[1], i ? ",\"stream\":true" : "", model);
    struct load load = {.port = server_port(server),
                        .tls = tls,
                        .route = format_text("/v1/chat/completions?key=%s", secrets[2]),
                        .head = format_text("Authorization: Bearer %s\r\n", secrets[3]),
                        .bodies = bodies,
                        .requests = REQUESTS,
                        .at_once = 1};
    struct answer *answers = load_run(&load);
    size_t repeated = 0;
    for (size_t i = 0; i < REQUESTS; i++)
        repeated += strstr(answers[i].body, secrets[0]) != NULL;
    cr_expect_gt(repeated, 0, "the answer repeats what was asked");
    answers_free(answers, REQUESTS);
}

static void expect_secret(bool tls)
{
    char agent[PATH_MAX];
    cr_assert(realpath(agent_path(), agent));
    for (int i = 0; i < SECRETS; i++)
        secrets[i] = format_text("%s-%d-%s", "Xyzzy", 4711 + i, "plugh");
    model = format_text("no-secret-%d", getpid());
    const char *words = test_path("words"), *alerts = test_path("alerts"), *rules = test_path("told.yaml");
    cr_assert_eq(mkdir(test_path("dumps"), 0700), 0);
    write_file(rules,
               format_text("- rule: told\n"
                           "  desc: a request or a call\n"
                           "  condition: evt.type in (infer, infer_call) and infer.model = %s\n"
                           "  output: \"told %%evt.type of %%infer.model, %%proc.cmdline %%evt.args\"\n"
                           "  priority: NOTICE\n",
                           model));
    _cleanup_server_ struct server *server =
        tls ? server_start_tls(SERVER_PYTHON) : server_start(SERVER_PYTHON);
    pid_t pid = recorder_start(agent, rules);
    wait_in_file(words, "agent: ready: ", 1);
    wait_looked(port_of(words));
    ask(server, tls);
    wait_in_file(alerts, "\"output\":\"", REQUESTS);
    wait_in_file(alerts, "told infer of", REQUESTS);
    if (tls) // this process is the client
        wait_in_file(alerts, "told infer_call of", REQUESTS);
    expect_none_recorded(tls ? 2 * REQUESTS : REQUESTS);
    _cleanup_free_ char *page = http_get(port_of(words), "/metrics");
    expect_none("the metrics", &(struct bytes){page, strlen(page)}, model);
    expect_none_in_file(alerts, model);
    expect_none_in_file(words, "ready");
    expect_none_in_memory(pid);
    expect_none_in_core(pid);
}

Test(secrets, of_requests)
{
    expect_secret(false);
}

Test(secrets, of_encrypted_requests_and_calls)
{
    expect_secret(true);
}
