#include "base/cleanup.h"
#include "base/series.h"
#include "sink.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// An event of its own, with a field of each type whose value a test sets.
static struct {
    const char *name;
    size_t name_length;
    int64_t number;
    uint64_t count;
    bool flag;
    uint8_t address[4];
} probe;

static unsigned names_read;

static bool get_name(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    names_read += nth == 0;
    return nth == 0 && value_set_bytes(ret_value, probe.name, probe.name_length);
}

static bool get_number(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return nth == 0 && value_set_int(ret_value, probe.number);
}

static bool get_count(const struct event *event, const struct field_arg *arg, size_t nth,
                      struct value *ret_value)
{
    return nth == 0 && value_set_uint(ret_value, probe.count);
}

static bool get_flag(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    return nth == 0 && value_set_bool(ret_value, probe.flag);
}

static bool get_address(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    *ret_value = (struct value){.type = FIELD_IP, .ip = {.family = 4}};
    memcpy(ret_value->ip.bytes, probe.address, sizeof(probe.address));
    return nth == 0;
}

static bool get_duration(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value)
{
    *ret_value = (struct value){.type = FIELD_DURATION, .u = probe.count};
    return nth == 0;
}

static bool get_time(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    *ret_value = (struct value){.type = FIELD_TIME, .u = event->time_ns};
    return nth == 0;
}

static bool get_nothing(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    return false;
}

static const struct field fields[] = {
    {.name = "probe.name", .type = FIELD_STRING, .help = "h", .get = get_name},
    {.name = "probe.number", .type = FIELD_INT, .help = "h", .get = get_number},
    {.name = "probe.count", .type = FIELD_UINT, .help = "h", .get = get_count},
    {.name = "probe.flag", .type = FIELD_BOOL, .help = "h", .get = get_flag},
    {.name = "probe.address", .type = FIELD_IP, .help = "h", .get = get_address},
    {.name = "probe.duration", .type = FIELD_DURATION, .help = "h", .get = get_duration},
    {.name = "probe.time", .type = FIELD_TIME, .help = "h", .get = get_time},
    {.name = "probe.nothing", .type = FIELD_STRING, .help = "h", .get = get_nothing},
    {.name = "evt.time", .type = FIELD_TIME, .help = "h", .get = get_time},
};
static const struct event_type type = {
    .name = "probe", .help = "h", .fields = fields, .fields_count = ARRAY_SIZE(fields)};

static struct scratch scratch;
static const struct event event = {
    .type = &type, .num = 1, .time_ns = 1700000000123456789, .scratch = &scratch};
static struct rule_set *rules;
static struct alert alert = {.event = &event, .hostname = "node-1"};

static void load(const char *output, const char *priority)
{
    char path[] = "/tmp/sink-rules-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    dprintf(fd,
            "- rule: A probe\n"
            "  desc: d\n"
            "  condition: probe.number >= 0\n"
            "  output: \"%s\"\n"
            "  priority: %s\n"
            "  tags: [zoo, host]\n",
            output, priority);
    close(fd);
    struct rule_input input = {.path = path};
    struct rule_report report = {0};
    int error = rule_set_load(&input, 1, &report, &rules);
    unlink(path);
    if (error)
        rule_report_print(&report, stderr, false);
    cr_assert_eq(error, 0);
    rule_report_free(&report);
    alert.rule = rule_set_at(rules, 0);
}

static void set_name(const char *name, size_t length)
{
    probe.name = name;
    probe.name_length = length;
}

static void setup(void)
{
    // UTC minus five hours and a half: the name says the opposite sign.
    setenv("TZ", "TST+5:30", 1);
    tzset();
    cr_assert_eq(event_type_register("test", &type, 1), 0);
    set_name("abc", 3);
    probe.number = 7;
}

static void teardown(void)
{
    rule_set_free(&rules);
}

TestSuite(sink, .init = setup, .fini = teardown);

static const char *format_text(bool color)
{
    static struct text text = TEXT_INIT(1 << 16);
    text_reset(&text);
    sink_format_text(&alert, color, &text);
    cr_assert_not(text.truncated);
    return text_string(&text);
}

static json_t *format_json(void)
{
    static struct text text = TEXT_INIT(1 << 16);
    text_reset(&text);
    sink_format_json(&alert, &text);
    cr_assert_not(text.truncated);
    cr_assert_eq(strchr(text.data, '\n'), text.data + text.length - 1, "one line: %s", text.data);
    json_error_t error;
    json_t *json = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    cr_assert(json, "%s in %s", error.text, text.data);
    return json;
}

Test(sink, text_is_falcos_line_in_local_time)
{
    load("Probe of %probe.name (number=%probe.number nothing=%probe.nothing)", "Warning");
    cr_assert_str_eq(format_text(false),
                     "16:43:20.123456789: Warning Probe of abc (number=7 nothing=<NA>)\n");
}

Test(sink, color_marks_the_priority_and_nothing_else)
{
    load("Probe", "Warning");
    cr_assert_str_eq(format_text(true), "\033[2m16:43:20.123456789:\033[0m \033[33mWarning\033[0m Probe\n");
    rule_set_free(&rules);
    load("Probe", "Emergency");
    cr_assert(strstr(format_text(true), "\033[1;31mEmergency\033[0m Probe\n"));
    rule_set_free(&rules);
    load("Probe", "Debug");
    cr_assert(strstr(format_text(true), ":\033[0m Debug Probe\n"));
}

Test(sink, no_control_byte_reaches_the_terminal)
{
    static const char hostile[] = "a\x1b]0;title\x07\r\n\x7f\xc2\x9b\xff\x01z";
    load("bad \\e[31m words\\n and %probe.name", "Error");
    set_name(hostile, sizeof(hostile) - 1);
    const char *line = format_text(false);
    size_t length = strlen(line);
    cr_assert_eq(line[length - 1], '\n');
    for (size_t i = 0; i + 1 < length; i++)
        cr_assert(line[i] >= 0x20 && line[i] < 0x7f, "byte %02x in %s", (unsigned char)line[i], line);
}

Test(sink, json_has_exactly_falcos_keys_in_order)
{
    load("Probe of %probe.name", "Informational");
    json_t *json = format_json();
    static const char *const keys[] = {"hostname", "output", "output_fields", "priority",
                                       "rule",     "source", "tags",          "time"};
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach(json, key, value)
    {
        cr_assert_lt(count, ARRAY_SIZE(keys));
        cr_assert_str_eq(key, keys[count++]);
    }
    cr_assert_eq(count, ARRAY_SIZE(keys));

    json_t *expected = json_pack("{s:s, s:s, s:{s:I, s:s}, s:s, s:s, s:s, s:[s, s], s:s}", "hostname",
                                 "node-1", "output", "16:43:20.123456789: Informational Probe of abc",
                                 "output_fields", "evt.time", (json_int_t)1700000000123456789, "probe.name",
                                 "abc", "priority", "Informational", "rule", "A probe", "source", "syscall",
                                 "tags", "host", "zoo", "time", "2023-11-14T22:13:20.123456789Z");
    cr_assert(expected);
    char *text = json_dumps(json, 0);
    cr_assert(json_equal(json, expected), "%s", text);
    free(text);
    json_decref(expected);
    json_decref(json);
}

Test(sink, json_fields_have_their_types)
{
    load("%probe.number %probe.count %probe.flag %probe.address %probe.duration %probe.time %probe.nothing "
         "%evt.time %probe.number",
         "Notice");
    probe.number = INT64_MIN + 1;
    probe.count = 5000000000;
    probe.flag = true;
    memcpy(probe.address, (uint8_t[]){192, 0, 2, 1}, 4);
    json_t *json = format_json();
    json_t *expected =
        json_pack("{s:I, s:I, s:I, s:b, s:s, s:I, s:I, s:n}", "evt.time", (json_int_t)1700000000123456789,
                  "probe.number", (json_int_t)INT64_MIN + 1, "probe.count", (json_int_t)5000000000,
                  "probe.flag", 1, "probe.address", "192.0.2.1", "probe.duration", (json_int_t)5000000000,
                  "probe.time", (json_int_t)1700000000123456789, "probe.nothing");
    cr_assert(expected);
    json_t *got = json_object_get(json, "output_fields");
    char *text = json_dumps(got, 0);
    cr_assert(json_equal(got, expected), "%s", text);
    free(text);
    json_decref(expected);
    json_decref(json);
}

// Most parsers of JSON refuse larger integers, or round them: an inode's number that a file system makes up
// must not cost the alert.
Test(sink, json_writes_what_is_no_integer_of_64_bits_as_a_string)
{
    load("%probe.count", "Notice");
    probe.count = UINT64_MAX;
    json_t *json = format_json();
    const char *got =
        json_string_value(json_object_get(json_object_get(json, "output_fields"), "probe.count"));
    cr_expect(got && strcmp(got, "18446744073709551615") == 0, "%s", got ? got : "no string");
    json_decref(json);
}

// A file may be named by any bytes but NUL and a slash; each pair of them must give a valid line.
Test(sink, json_is_valid_whatever_a_file_is_called)
{
    load("Probe of %probe.name", "Error");
    for (unsigned first = 1; first < 256; first++) {
        for (unsigned second = 1; second < 256; second += first < 128 ? 51 : 1) {
            char name[] = {'/', (char)first, (char)second, 'z', '\0'};
            set_name(name, 4);
            json_t *json = format_json();
            const char *field =
                json_string_value(json_object_get(json_object_get(json, "output_fields"), "probe.name"));
            cr_assert(field && field[0] == '/' && field[strlen(field) - 1] == 'z');
            json_decref(json);
        }
    }
}

static double lost_alerts;

static void note_family(struct series_writer *writer, const struct series_family *family)
{
    // The number that follows belongs to it.
    lost_alerts = strcmp(family->name, "inferscope_alerts_lost_total") == 0 ? -2 : lost_alerts;
}

static void note_number(struct series_writer *writer, const struct label *labels, size_t count, double value)
{
    if (lost_alerts == -2 && count == 1 && strcmp(labels[0].name, "sink") == 0 &&
        strcmp(labels[0].value, "stdout") == 0)
        lost_alerts = value;
}

// As the metrics show it; -1 where they do not.
static double count_lost(void)
{
    struct series_writer writer = {.family = note_family, .number = note_number};
    lost_alerts = -1;
    series_collect(&writer);
    return lost_alerts;
}

static struct sink *open_sink(int fd, enum sink_format format)
{
    struct sink_options options = {.fd = fd, .format = format};
    struct sink *sink = NULL;
    cr_assert_eq(sink_new(&options, &sink), 0);
    return sink;
}

Test(sink, writes_one_line_an_alert)
{
    int fds[2];
    load("Probe of %probe.name", "Warning");
    cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
    struct sink *sink = open_sink(fds[1], SINK_TEXT);
    cr_assert_eq(count_lost(), 0);
    cr_assert_eq(sink_alert(sink, &alert), 0);
    cr_assert_eq(sink_alert(sink, &alert), 0);
    sink_free(&sink);
    cr_assert_null(sink);

    char data[1024] = "";
    cr_assert_gt(read(fds[0], data, sizeof(data) - 1), 0);
    cr_assert_str_eq(data, "16:43:20.123456789: Warning Probe of abc\n"
                           "16:43:20.123456789: Warning Probe of abc\n");
    // The descriptor is the caller's.
    cr_assert_geq(fcntl(fds[1], F_GETFD), 0);
    cr_assert_eq(count_lost(), 0);
}

Test(sink, a_descriptor_that_is_not_open_is_refused)
{
    struct sink_options options = {.fd = 1023};
    struct sink *sink = NULL;
    cr_assert_eq(sink_new(&options, &sink), -EBADF);
    cr_assert_null(sink);
}

Test(sink, a_reader_that_has_gone_is_counted)
{
    int fds[2];
    load("Probe", "Warning");
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe(fds), 0);
    struct sink *sink = open_sink(fds[1], SINK_JSON);
    close(fds[0]);
    cr_assert_eq(sink_alert(sink, &alert), -EPIPE);
    cr_assert_eq(sink_alert(sink, &alert), -EPIPE);
    cr_assert_eq(count_lost(), 2);
    sink_free(&sink);
    cr_assert_eq(count_lost(), 2);
}

// What was written to standard error since it was led into a pipe of ours, which this reads.
static void read_words(int fd, char *ret_words, size_t size)
{
    ssize_t count = read(fd, ret_words, size - 1);
    ret_words[count > 0 ? count : 0] = '\0';
}

Test(sink, losses_are_said_once_and_at_the_end)
{
    int err[2], before = dup(STDERR_FILENO);
    char first[512], later[512], end[512];
    load("Probe", "Warning");
    cr_assert_eq(pipe2(err, O_NONBLOCK), 0);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct sink *sink = open_sink(full, SINK_TEXT);
    dup2(err[1], STDERR_FILENO);
    cr_expect_eq(sink_alert(sink, &alert), -ENOSPC);
    read_words(err[0], first, sizeof(first));
    for (int i = 0; i < 5; i++)
        cr_expect_eq(sink_alert(sink, &alert), -ENOSPC);
    read_words(err[0], later, sizeof(later));
    sink_free(&sink);
    read_words(err[0], end, sizeof(end));
    dup2(before, STDERR_FILENO);
    cr_expect_str_eq(first, "agent: error: 1 alert could not be written: No space left on device\n");
    cr_expect_str_eq(later, "");
    cr_expect_str_eq(end, "agent: error: alerts that could not be written: 6 in all\n");
    close(full);
}

Test(sink, where_alerts_go_nowhere_they_are_put_together_all_the_same)
{
    load("Probe of %probe.name", "Warning");
    struct sink *sink = open_sink(-1, SINK_TEXT);
    names_read = 0;
    cr_expect_eq(sink_alert(sink, &alert), 0);
    cr_expect_eq(sink_alert(sink, &alert), 0);
    cr_expect_eq(names_read, 2);
    sink_free(&sink);
    cr_expect_eq(count_lost(), 0);
}

// Fills a pipe until it refuses, reads all of it, and finds every alert whole: none torn, none uncounted.
Test(sink, a_full_pipe_loses_whole_alerts_and_counts_them)
{
    enum { ALERTS = 64, NAME = 7001 };
    static char name[NAME + 1], data[ALERTS * 2 * (NAME + 1024)];
    int fds[2];
    load("%probe.name", "Warning");
    memset(name, 'x', NAME);
    set_name(name, NAME);
    cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
    struct sink *sink = open_sink(fds[1], SINK_JSON);

    size_t written = 0, refused = 0, length = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ALERTS / 2; i++) {
            int error = sink_alert(sink, &alert);
            cr_assert(error == 0 || error == -EAGAIN, "%d", error);
            written += error == 0;
            refused += error != 0;
        }
        for (ssize_t count; (count = read(fds[0], data + length, sizeof(data) - length)) > 0;)
            length += (size_t)count;
    }
    sink_free(&sink);
    for (ssize_t count; (count = read(fds[0], data + length, sizeof(data) - length)) > 0;)
        length += (size_t)count;

    cr_assert_gt(written, 2);
    cr_assert_gt(refused, 2);
    cr_assert_eq(count_lost(), (double)refused);
    size_t lines = 0;
    for (char *line = data, *end; line < data + length; line = end + 1) {
        end = memchr(line, '\n', (size_t)(data + length - line));
        cr_assert(end, "the last line has no end");
        json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);
        cr_assert(json, "line %zu is torn", lines);
        json_decref(json);
        lines++;
    }
    cr_assert_eq(lines, written);
}
