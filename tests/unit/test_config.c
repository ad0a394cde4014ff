// agent.yaml: what is understood, what is refused, and where.
#include "base/cleanup.h"
#include "config_texts.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

Test(config, nothing_is_the_defaults)
{
    static const char *const texts[] = {"",     "# nothing\n",        "---\n",
                                        "{}\n", "spool:\noutputs:\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct config *config _cleanup_(config_free) = accept(texts[i]);
        cr_expect(config->rules_enabled && config->rules_reload && config->body_values && !config->inference);
        cr_expect_str_eq(config->listen, "127.0.0.1:9560");
        cr_expect_eq(config->ring_size, 4 << 20);
        cr_expect_eq(config->rules_priority, PRIORITY_DEBUG);
        cr_expect_str_eq(config->spool.directory, "/var/lib/inferscope/spool");
        cr_expect_eq(config->spool.size, 1u << 30);
        cr_expect_eq(config->spool.age_s, 7u * 86400);
        cr_expect_eq(config->spool.sync, SYNC_INTERVAL);
        cr_expect_eq(config->outputs_count, 0);
        cr_expect_null(config->audit.path);
    }
}

Test(config, every_key_of_the_file)
{
    struct config *config _cleanup_(config_free) =
        accept("json: true\n"
               "color: never\n"
               "debug: true\n"
               "listen: none\n"
               "ring_size: 64MiB\n"
               "host_root: /host\n"
               "syscall_latency: [read, futex]\n"
               "rules:\n"
               "  enabled: false\n"
               "  files:\n"
               "    - /etc/a.yaml\n"
               "    - rules.d\n"
               "  minimum_priority: info\n"
               "  switches:\n"
               "    - disable: tag:container\n"
               "    - enable: \"Read a file\"\n"
               "  matching: all\n"
               "  reload: false\n"
               "inference: {enabled: true, routes: [/a/*/b], body_values: false}\n"
               "spool:\n"
               "  directory: /spool\n"
               "  size: 2097152\n"
               "  age: 1d12h\n"
               "  sync: interval\n"
               "  sync_interval: 250ms\n"
               "noise: {window: 5m, rate: 90/m, burst: 7}\n"
               "audit: {path: /var/log/audit}\n"
               "otlp: {metrics_interval: 15s}\n");
    cr_expect(config->json && config->debug && config->inference && config->rules_match_all);
    cr_expect_not(config->rules_enabled || config->rules_reload || config->body_values);
    cr_expect_eq(config->color, COLOR_NEVER);
    cr_expect_null(config->listen);
    cr_expect_eq(config->ring_size, 64 << 20);
    cr_expect_str_eq(config->host_root, "/host");
    cr_assert_eq(config->syscall_latency.count, 2);
    cr_expect_str_eq(config->syscall_latency.items[1], "futex");
    cr_assert_eq(config->rules_files.count, 2);
    cr_expect_str_eq(config->rules_files.items[1], "rules.d");
    cr_expect_eq(config->rules_priority, PRIORITY_INFORMATIONAL);
    cr_assert_eq(config->rules_switches.count, 2);
    cr_expect_str_eq(config->rules_switches.items[0], "disable:tag:container");
    cr_expect_str_eq(config->rules_switches.items[1], "enable:Read a file");
    cr_expect_str_eq(config->inference_routes.items[0], "/a/*/b");
    cr_expect_eq(config->spool.size, 2 << 20);
    cr_expect_eq(config->spool.age_s, 36 * 3600);
    cr_expect_eq(config->spool.sync_interval, 250);
    cr_expect_eq(config->noise.window_s, 300);
    cr_expect_float_eq(config->noise.rate, 1.5, 1e-12);
    cr_expect_eq(config->noise.burst, 7);
    cr_expect_str_eq(config->audit.path, "/var/log/audit");
    cr_expect_eq(config->otlp.metrics_interval_s, 15);
}

Test(config, outputs_of_each_type)
{
    struct config *config _cleanup_(config_free) = accept(
        "outputs:\n"
        "  - type: stdout\n"
        "  - {type: file, path: /a, format: cef, rotate: {size: 10MiB, keep: 3}, minimum_priority: warning}\n"
        "  - {type: unix, path: /b, rules: ['Read *'], tags: [a, b], rate: 10/s}\n"
        "  - type: syslog\n"
        "    name: siem\n"
        "    address: \"[::1]:6514\"\n"
        "    protocol: tls\n"
        "    facility: local3\n"
        "    tls: {ca_file: /ca, cert_file: /cert, key_file: /key}\n"
        "  - {type: webhook, url: 'http://localhost:2801/', headers: {X-Scope: one}, user: u, password: "
        "{file: /p}}\n"
        "  - {type: splunk, url: 'https://splunk:8088', token: {env: HEC}, index: main}\n"
        "  - {type: elasticsearch, url: 'https://es:9200', tls: {verify: false}}\n"
        "  - {type: loki, url: 'http://[::1]:3100', labels: {job: agent}, batch: 10, batch_wait: 0}\n"
        "  - {type: alertmanager, url: 'http://am:9093', retry: {initial: 1s, max: 1m}, timeout: 3s}\n"
        "  - {type: otlp, url: 'http://otel:4318', signals: [metrics, traces], labels: {service.name: x}}\n"
        "  - {type: kafka, brokers: ['a:9092', '[::1]:9093'], topic: alerts, user: u, password: {env: P}, "
        "mechanism: plain, compression: lz4}\n");
    cr_assert_eq(config->outputs_count, OUTPUT_TYPES);
    const struct config_output *o = config->outputs;
    for (size_t i = 0; i < OUTPUT_TYPES; i++)
        cr_expect_eq(o[i].type, i);
    cr_expect_str_eq(o[0].name, "stdout");
    cr_expect_eq(o[0].format, FORMAT_TEXT);
    cr_expect_eq(o[0].minimum_priority, PRIORITY_DEBUG);
    cr_expect_eq(o[1].format, FORMAT_CEF);
    cr_expect_eq(o[1].rotate_size, 10 << 20);
    cr_expect_eq(o[1].rotate_keep, 3);
    cr_expect_eq(o[1].minimum_priority, PRIORITY_WARNING);
    cr_expect_str_eq(o[2].rules.items[0], "Read *");
    cr_expect_eq(o[2].tags.count, 2);
    cr_expect_eq(o[2].rate, 10);
    cr_expect_str_eq(o[3].name, "siem");
    cr_expect_eq(o[3].protocol, PROTOCOL_TLS);
    cr_expect_str_eq(o[3].facility, "local3");
    cr_expect_str_eq(o[3].tls.key_file, "/key");
    cr_expect(o[3].tls.verify);
    cr_expect_str_eq(o[4].headers.items[0], "X-Scope: one");
    cr_expect_str_eq(o[4].password.file, "/p");
    cr_expect_str_eq(o[5].token.environment, "HEC");
    cr_expect_str_eq(o[5].index, "main");
    cr_expect_not(o[6].tls.verify);
    cr_expect_str_eq(o[6].index, "inferscope-alerts");
    cr_expect_eq(o[6].format, FORMAT_ECS);
    cr_expect_str_eq(o[7].labels.items[0], "job=agent");
    cr_expect_eq(o[7].batch, 10);
    cr_expect_eq(o[7].batch_wait, 0);
    cr_expect_eq(o[8].retry_initial, 1000);
    cr_expect_eq(o[8].retry_max, 60000);
    cr_expect_eq(o[8].timeout, 3000);
    cr_expect_eq(o[9].signals, SIGNAL_METRICS | SIGNAL_TRACES);
    cr_expect_str_eq(o[9].labels.items[0], "service.name=x");
    cr_expect_eq(o[10].brokers.count, 2);
    cr_expect_str_eq(o[10].brokers.items[1], "[::1]:9093");
    cr_expect_str_eq(o[10].topic, "alerts");
    cr_expect_eq(o[10].protocol, PROTOCOL_TLS);
    cr_expect_eq(o[10].mechanism, MECHANISM_PLAIN);
    cr_expect_eq(o[10].compression, COMPRESSION_LZ4);
    cr_expect_str_eq(o[10].client_id, "inferscope");
    cr_expect(o[10].tls.verify);

    _cleanup_free_ char *shown = show(config);
    struct config *again _cleanup_(config_free) = accept(shown);
    _cleanup_free_ char *shown_again = show(again);
    cr_expect_str_eq(shown, shown_again);
}

Test(config, mistakes_have_place_and_advice)
{
    static const struct {
        const char *text;
        const char *words;
    } wrong[] = {
        // Keys
        {"jsn: true\n",
         "T:1:1: error: there is no key \"jsn\"; did you mean \"json\"?\n    1 | jsn…\n      | ^\n"},
        {"rules:\n  file: [a]\n", "T:2:3: error: there is no key \"rules.file\"; did you mean \"files\"?"},
        {"minimum_priority: error\n", "; minimum_priority stands below rules:"},
        {"spool.size: 1GiB\n", "there is no key \"spool.size\"; size stands below spool:"},
        {"spool:\n  json: true\n", "; json stands further left"},
        {"zzzzzz: 1\n", "there is no key \"zzzzzz\"\n"},
        {"json: true\ncolor: auto\njson: false\n",
         "T:3:1: error: \"json\" is here twice; the first is in line 1"},
        {"<<: {json: true}\n", "T:1:1: error: merge keys are not understood"},
        {"json: &x true\ndebug: *x\n", "T:2:8: error: aliases are not understood in a configuration file"},
        {"[1, 2]\n", "T:1:1: error: this file is a section"},
        {"text\n", "T:1:1: error: this file is a section"},
        {"rules: [a]\n", "T:1:8: error: rules is a section: a line \"KEY: value\""},
        {"--- {}\n--- {}\n", "T:2:5: error: a configuration file has one document"},
        {"json: [unclosed\n", "error: this is not valid YAML"},
        {"json: \"\xff\"\n", "error: this is not UTF-8 text"},
        // Values
        {"json: yes\n",
         "T:1:7: error: json is false or true, not \"yes\"\n    1 | json: yes\n      |       ^\n"},
        {"json:\n", "T:1:1: error: json has no value; leave the key out for its default"},
        {"json: [true]\n", "T:1:7: error: json is false or true, not a list\n"},
        {"color: {}\n", "color is auto, always or never, not a mapping"},
        {"rules: {minimum_priority: grave}\n", "T:1:27: error: rules.minimum_priority is Emergency, Alert, "
                                               "Critical, Error, Warning, Notice, Informational or "
                                               "Debug, not \"grave\""},
        {"ring_size: 2GiB\n", "ring_size is a size from 1MiB to 1GiB, such as 64MiB, not \"2GiB\""},
        {"ring_size: 64MB\n", "not \"64MB\""},
        {"ring_size: -1\n", "not \"-1\""},
        {"ring_size: 18446744073709551617\n", "not \"18446744073709551617\""},
        {"ring_size: 17179869184TiB\n", "not \"17179869184TiB\""},
        {"spool: {age: 10}\n", "spool.age is a time from 1m to 3650d, such as 10s, 24h or 7d, not \"10\""},
        {"spool: {age: 61500ms}\n", "not \"61500ms\""},
        {"spool: {age: 5w}\n", "not \"5w\""},
        {"spool: {age: 99999999999999999999d}\n", "not \"99999999999999999999d\""},
        {"spool: {sync_interval: 1ms}\n", "spool.sync_interval is a time from 10ms to 1h"},
        {"noise: {rate: -1}\n",
         "noise.rate is a rate from 0 to 1000000, such as 10/s, 5/m or 100/h, not \"-1\""},
        {"noise: {rate: inf}\n", "not \"inf\""},
        {"noise: {rate: 0x10}\n", "not \"0x10\""},
        {"noise: {rate: 1/y}\n", "not \"1/y\""},
        {"noise: {rate: 1e999}\n", "not \"1e999\""},
        {"noise: {burst: 0, rate: 1}\n", "noise.burst is a number from 1 to 1000000, not \"0\""},
        {"listen: localhost\n",
         "listen is an address such as 127.0.0.1:9560, [::1]:9560 or :9560, or none, not"},
        {"listen: 127.0.0.1:65536\n", "not \"127.0.0.1:65536\""},
        {"audit: {path: relative}\n", "audit.path is a path that begins with /, not \"relative\""},
        {"audit: {path: \"/a\\nb\"}\n", "audit.path is a path"},
        {"host_root: \"\"\n", "host_root is a text of one line, not \"\""},
        {"host_root: \"a\\0b\"\n", "T:1:12: error: a value has no zero byte"},
        {"syscall_latency: read\n", "syscall_latency is a list of at most 16 texts, not \"read\""},
        {"syscall_latency: [read, [a]]\n", "T:1:25: error: syscall_latency: each item is a text"},
        {"syscall_latency: [read, \"\"]\n", "\"\" is empty"},
        {"syscall_latency: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]\n",
         "syscall_latency takes at most 16"},
        {"rules: {switches: [enable]}\n", "rules.switches: each item is enable: NAME or disable: NAME"},
        {"rules: {switches: [{enable: a, disable: b}]}\n", "each item is enable: NAME or disable: NAME"},
        {"rules: {switches: [{remove: a}]}\n", "each item is enable: NAME or disable: NAME"},
        // Cross checks
        {"spool: {sync: always, sync_interval: 1s}\n",
         "T:1:23: error: spool.sync_interval has no effect but"},
        {"audit: {path: /var/lib/inferscope/spool/audit}\n",
         "the audit log does not lie in the spool's directory"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        expect_problem(wrong[i].text, wrong[i].words);
}

Test(config, mistakes_in_outputs)
{
    static const struct {
        const char *text; // of the list
        const char *words;
    } wrong[] = {
        {" {type: file, path: /a}", "T:2:2: error: outputs is a list"},
        {"- file", "T:2:3: error: an output is a mapping"},
        {"- path: /a",
         "T:2:3: error: an output has a type: stdout, file, unix, syslog, webhook, splunk, elasticsearch"},
        {"- type: fil", "T:2:9: error: outputs[0].type is stdout, file, unix"},
        {"- type: file", "T:2:3: error: an output of type file needs path: "},
        {"- type: webhook", "an output of type webhook needs url"},
        {"- type: syslog", "an output of type syslog needs address"},
        {"- {type: splunk, url: 'https://s'}", "an output of type splunk needs token"},
        {"- {type: file, path: /a, url: 'http://x'}",
         "T:2:26: error: an output of type file has no url; webhook, splunk, elasticsearch, loki, "
         "alertmanager and otlp have it"},
        {"- {type: loki, url: 'http://l', address: 'x:1'}",
         "an output of type loki has no address; syslog has it"},
        {"- {type: file, path: /a, tls: {verify: false}}",
         "an output of type file has no tls; syslog, webhook"},
        {"- {type: stdout, pth: /a}", "there is no key \"pth\" in an output of type stdout"},
        {"- {type: file, pth: /a}",
         "there is no key \"pth\" in an output of type file; did you mean \"path\"?"},
        {"- {type: webhook, url: 'localhost:80'}",
         "outputs[0].url is a URL with a host, http://… or https://…\n"},
        {"- {type: webhook, url: 'ftp://localhost'}", "outputs[0].url is a URL"},
        {"- {type: webhook, url: 'http://'}", "outputs[0].url is a URL"},
        {"- {type: webhook, url: 'http://:80/'}", "outputs[0].url is a URL"},
        {"- {type: webhook, url: 'http://a:b/'}", "outputs[0].url is a URL"},
        {"- {type: webhook, url: 'http://[::1'}", "outputs[0].url is a URL"},
        {"- {type: webhook, url: 'http://a b/'}", "outputs[0].url is a URL"},
        {"- {type: syslog, address: host}", "outputs[0].address is HOST:PORT, such as"},
        {"- {type: syslog, address: 'host:0'}", "outputs[0].address is HOST:PORT"},
        {"- {type: syslog, address: ':514'}", "outputs[0].address is HOST:PORT"},
        {"- {type: syslog, address: '::1:514'}", "outputs[0].address is HOST:PORT"},
        {"- {type: webhook, url: 'http://x', format: xml}",
         "outputs[0].format is json, text, ecs, ocsf or cef, not \"xml\""},
        {"- {type: stdout, name: 'a b'}",
         "outputs[0].name is up to 40 letters, digits, - and _, not \"a b\""},
        {"- {type: stdout, name: ../x}", "outputs[0].name is up to 40"},
        {"- {type: stdout, batch: 0}", "outputs[0].batch is a number from 1 to 10000"},
        {"- {type: stdout, rate: 0.5}", "outputs[0].rate is a whole rate"},
        {"- {type: kafka, topic: t}", "an output of type kafka needs brokers"},
        {"- {type: kafka, topic: t, brokers: []}", "T:2:27: error: brokers names none"},
        {"- {type: kafka, topic: t, brokers: [a]}", "\"a\" is not HOST:PORT"},
        {"- {type: kafka, topic: t, brokers: 'a:1'}",
         "outputs[0].brokers is a list of at most 32 times HOST:PORT"},
        {"- {type: kafka, topic: 'a b', brokers: ['a:1']}", "T:2:17: error: a topic's name has at most 249"},
        {"- {type: kafka, topic: .., brokers: ['a:1']}", "a topic's name has at most 249"},
        {"- {type: kafka, topic: t, brokers: ['a:1'], protocol: udp}", "outputs[0].protocol is tcp or tls"},
        {"- {type: kafka, topic: t, brokers: ['a:1'], protocol: tcp, tls: {verify: false}}",
         "tls.verify has no effect without TLS: write protocol: tls"},
        {"- {type: kafka, topic: t, brokers: ['a:1'], user: x}", "user and password go together"},
        {"- {type: kafka, topic: t, brokers: ['a:1'], user: x, password: geheim}",
         "secrets are not written in this file"},
        {"- {type: otlp, url: 'http://x', signals: [log]}",
         "outputs[0].signals is a list of logs, metrics or traces, not \"log\""},
        {"- {type: otlp, url: 'http://x/v1/logs/', signals: [logs, metrics]}",
         "T:2:16: error: the URL is that of one signal; it has to end before /v1/logs, which is added"},
        {"- {type: otlp, url: 'http://x/a/v1/traces'}", "the URL is that of one signal"},
        {"- {type: otlp, url: 'http://x', signals: []}", "outputs[0].signals is a list of"},
        {"- {type: otlp, url: 'http://x', signals: logs}", "outputs[0].signals is a list of"},
        {"- {type: webhook, url: 'http://x', headers: [a]}", "headers is a mapping"},
        {"- {type: webhook, url: 'http://x', headers: {'a b': x}}", "\"a b\" is no name of a header"},
        {"- {type: webhook, url: 'http://x', headers: {a: x, A: y}}", "\"A\" is here twice"},
        {"- {type: webhook, url: 'http://x', headers: {a: \"x\\r\\nB: y\"}}",
         "\"the value of this header\" has a control character"},
        {"- {type: loki, url: 'http://x', labels: {a.b: x}}", "\"a.b\" has a dot"},
        {"- {type: loki, url: 'http://x', labels: {1a: x}}", "\"1a\" is no name of a label"},
        {"- {type: webhook, url: 'http://x', tls: {verify: false}}",
         "tls.verify has no effect without TLS: the URL begins with http://"},
        {"- {type: syslog, address: 'a:1', tls: {ca_file: /x}}",
         "tls.ca_file has no effect without TLS: write protocol: tls"},
        {"- {type: loki, url: 'https://x', tls: {cert_file: /x}}",
         "tls.cert_file and tls.key_file go together"},
        {"- {type: loki, url: 'https://x', tls: {key_file: /x}}",
         "tls.cert_file and tls.key_file go together"},
        {"- {type: loki, url: 'https://x', user: a}", "user and password go together"},
        {"- {type: loki, url: 'https://x', password: {env: A}}", "user and password go together"},
        {"- {type: loki, url: 'https://x', user: 'a:b', password: {env: A}}", "a user's name has no colon"},
        {"- {type: loki, url: 'https://x', user: a, password: {env: A}, token: {env: A}}", "one of the two"},
        {"- {type: loki, url: 'https://x', retry: {initial: 1h}}", "retry.initial is longer than retry.max"},
        {"- {type: file, path: /a, rotate: {size: 1}}", "rotate.size is 0 or at least 4KiB"},
        {"- {type: file, path: /a}\n- {type: file, path: /b}",
         "T:3:3: error: the output in line 2 is called \"file\", too"},
        {"- {type: stdout, name: a}\n- {type: stdout, name: b}", "there is one standard output"},
        {"- {type: file, path: /a, name: a}\n- {type: file, path: /a, name: b}",
         "T:3:16: error: the output in line 2 has the same path"},
        {"- {type: file, path: /a, rotate: {size: 1MiB}}\naudit: {path: /a.2}",
         "keeps its old files under that name"},
        {"- {type: file, path: /a}\naudit: {path: /a}",
         "T:3:9: error: the output \"file\" has the same path"},
        {"- {type: file, path: /var/lib/inferscope/spool/x}", "writes into the spool's directory"},
        {"- {type: file, path: /a, rotate: {size: 1MiB}}\n- {type: file, name: b, path: /a.5}",
         "T:3:25: error: the output in line 2 keeps its old files under that name"},
        {"- {type: file, path: /a.1}\n- {type: file, name: b, path: /a, rotate: {size: 1MiB, keep: 1}}",
         "T:3:25: error: its old files would have the path of the output in line 2"},
        {"- a\n- a\n- a\n- a\n- a\n- a\n- a\n- a\n- a\n- a\n- a\n- a\n- a\n- a\n- a\n- a\n- a",
         "there are 17 outputs; at most 16"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_free_ char *text = NULL;
        cr_assert_geq(asprintf(&text, "outputs:\n%s\n", wrong[i].text), 0);
        expect_problem(text, wrong[i].words);
    }
}

// Whatever is wrong, what could be a secret is not said.
Test(config, secrets_are_never_said)
{
    static const char *const texts[] = {
        "outputs:\n- type: splunk\n  url: https://s\n  token: SESAME\n",
        "outputs:\n- type: splunk\n  url: https://s\n  tokn: SESAME\n",
        "outputs:\n- {type: splunk, url: 'https://s', token: SESAME, nonsense: 1}\n",
        "outputs:\n- {type: splunk, token: SESAME, batch: 0}\n",
        "outputs:\n- type: splunk\n  url: https://s\n  token: {text: SESAME}\n",
        "outputs:\n- type: splunk\n  url: https://s\n  token: ${A_VARIABLE:-SESAME}\n",
        "outputs:\n- type: splunk\n  url: https://s\n  token: [SESAME]\n",
        "outputs:\n- type: splunk\n  url: https://s\n  token: {env: SESAME-}\n",
        "outputs:\n- type: splunk\n  url: https://s\n  token: {file: SESAME}\n",
        "outputs:\n- type: splunk\n  url: https://s\n  token: |\n    SESAME\n",
        "outputs:\n- type: loki\n  url: https://user:SESAME@host/\n",
        "outputs:\n- type: loki\n  url: user:SESAME@host/\n",
        "outputs:\n- type: loki\n  url: hooks.example/SESAME\n",
        "outputs:\n- type: loki\n  url: [SESAME]\n",
        "outputs:\n- type: loki\n  url: https://s\n  headers:\n    X-Api-Key: SESAME\n",
        "outputs:\n- type: loki\n  url: https://s\n  headers:\n    Authorization: Bearer SESAME\n",
        "outputs:\n- type: loki\n  url: https://s\n  headers:\n    X-Scope: \"SESAME\\n\"\n",
        "password: SESAME\n",
        "a: [SESAME\n",
        "a: SESAME: b\n",
        "outputs:\n- type: loki\n  url: ${INFERSCOPE_TEST_SECRET}\n",
        "ring_size: ${INFERSCOPE_TEST_SECRET}\n",
        "color: x${INFERSCOPE_TEST_SECRET}\n",
        "syscall_latency: [\"${INFERSCOPE_TEST_SECRET}\\n\"]\n",
    };
    setenv("INFERSCOPE_TEST_SECRET", "SESAME", 1);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct config *config _cleanup_(config_free) = NULL;
        _cleanup_free_ char *said = problems_of(texts[i], &config);
        cr_expect_null(config, "%s", texts[i]);
        cr_expect_not(strstr(said, "SESAME"), "%s\n%s", texts[i], said);
    }
    expect_problem(
        texts[0],
        "T:4:10: error: secrets are not written in this file: token is {file: PATH}, {env: NAME} or ${NAME}");
    expect_problem(texts[10], "a URL names no user and no password here; use user and password");
}

Test(config, the_environment_stands_in_values)
{
    setenv("INFERSCOPE_A", "a", 1);
    setenv("INFERSCOPE_EMPTY", "", 1);
    setenv("INFERSCOPE_SIZE", "8MiB", 1);
    setenv("INFERSCOPE_ODD", "${INFERSCOPE_A} $ }\"\\", 1);
    unsetenv("INFERSCOPE_NONE");
    struct config *config _cleanup_(config_free) =
        accept("ring_size: ${INFERSCOPE_SIZE}\n"
               "json: ${INFERSCOPE_NONE:-true}\n"
               "host_root: /${INFERSCOPE_A}/$${x}/${INFERSCOPE_EMPTY}${INFERSCOPE_EMPTY:-b}\n"
               "rules: {files: ['${INFERSCOPE_ODD}', '$$']}\n"
               "outputs:\n"
               "- {type: splunk, url: 'https://${INFERSCOPE_A}', token: '${INFERSCOPE_A}', index: "
               "'${INFERSCOPE_A}'}\n"
               "- {type: loki, url: 'https://b', headers: {X-Key: 'k ${INFERSCOPE_A}'}, token: {file: "
               "'/${INFERSCOPE_A}'}}\n");
    cr_expect_eq(config->ring_size, 8 << 20);
    cr_expect(config->json);
    cr_expect_str_eq(config->host_root, "/a/${x}/b");
    cr_expect_str_eq(config->rules_files.items[0], "${INFERSCOPE_A} $ }\"\\");
    cr_expect_str_eq(config->rules_files.items[1], "$");
    cr_expect_str_eq(config->outputs[0].url, "https://a");
    cr_expect_str_eq(config->outputs[0].token.environment, "INFERSCOPE_A", "a secret stays a reference");
    cr_expect_str_eq(config->outputs[1].headers.items[0], "X-Key: k a");
    cr_expect_str_eq(config->outputs[1].token.file, "/a");

    _cleanup_free_ char *shown = show(config);
    cr_expect(strstr(shown, "ring_size: \"${INFERSCOPE_SIZE}\"\n"), "%s", shown);
    cr_expect(strstr(shown, "        \"X-Key\": \"k ${INFERSCOPE_A}\"\n"), "%s", shown);
    cr_expect(strstr(shown, "token: {env: \"INFERSCOPE_A\"}"), "%s", shown);
    cr_expect(strstr(shown, "- \"${INFERSCOPE_ODD}\"\n"), "%s", shown);
    struct config *again _cleanup_(config_free) = accept(shown);
    _cleanup_free_ char *shown_again = show(again);
    cr_expect_str_eq(shown, shown_again);

    expect_problem("host_root: ${INFERSCOPE_NONE}\n",
                   "T:1:12: error: the environment has no variable INFERSCOPE_NONE; set it, or write "
                   "${INFERSCOPE_NONE:-default}");
    expect_problem("outputs: [{type: splunk, url: 'https://s', token: '${INFERSCOPE_NONE}'}]\n",
                   "has no variable INFERSCOPE_NONE");
    expect_problem("host_root: $x\n", "a single $ means nothing");
    expect_problem("host_root: ${x\n", "has no \"}\"");
    expect_problem("host_root: ${1}\n", "holds the name of a variable");
    expect_problem("host_root: ${a-b}\n", "holds the name of a variable");
    expect_problem("ring_size: ${INFERSCOPE_A}\n", "not \"${INFERSCOPE_A}\"");
    expect_problem("${INFERSCOPE_A}: 1\n", "there is no key \"${INFERSCOPE_A}\"");
}

Test(config, all_mistakes_are_said_at_once_in_order)
{
    struct config *config = NULL;
    _cleanup_free_ char *said = problems_of("outputs:\n- {type: file}\nrules: {file: 1}\njson: 3\n", &config);
    const char *first = strstr(said, "T:2:3:"), *second = strstr(said, "T:3:9:"),
               *third = strstr(said, "T:4:7:");
    cr_expect(first && second && third && first < second && second < third, "%s", said);

    char many[4096] = "";
    for (int i = 0; i < 50; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many), "nonsense_%d: 1\n", i);
    _cleanup_free_ char *lines = problems_of(many, &config);
    cr_expect(strstr(lines, "T:20:1:") && !strstr(lines, "T:21:1:") && strstr(lines, "T: and 30 more\n"),
              "%s", lines);
}

static char *written_by(void (*write)(FILE *stream))
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    write(stream);
    fclose(stream);
    return text;
}

static char *read_document(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    if (!file)
        cr_skip_test("%s is not here", path);
    cr_assert_geq(getdelim(&text, &size, '\0', file), 0);
    return text;
}

Test(config, documents_are_current)
{
    _cleanup_free_ char *page = read_document("docs/CONFIG.md"), *reference = written_by(config_document);
    _cleanup_free_ char *file = read_document("deploy/agent.yaml"), *example = written_by(config_example);
    cr_expect(strcmp(page, reference) == 0, "docs/CONFIG.md is old: make docs");
    cr_expect(strcmp(file, example) == 0, "deploy/agent.yaml is old: make docs");
}

// Every example of a configuration in the page, the alternatives of a list included.
static void accept_examples(const char *path, unsigned at_least)
{
    static const char begin[] = "\n```yaml\n", end[] = "\n```";
    _cleanup_free_ char *page = read_document(path);
    unsigned examples = 0;
    for (char *at = page; (at = strstr(at, begin)); examples++) {
        at += strlen(begin);
        char *stop = strstr(at, end);
        cr_assert(stop, "an example of %s has no end", path);
        *stop = '\0';
        struct config *config _cleanup_(config_free) = accept(at);
        at = stop + 1;
    }
    cr_expect_geq(examples, at_least, "%s has %u examples", path, examples);
}

Test(config, examples_of_the_documents_are_accepted)
{
    accept_examples("docs/DELIVERY.md", 3);
    accept_examples("docs/CONFIG.md", 1);
}

static const char *lacks_kafka(enum config_output_type type)
{
    return type == OUTPUT_KAFKA ? "there is none" : NULL;
}

Test(config, what_this_agent_cannot_deliver_to_is_refused_where_it_stands)
{
    config_set_lacking(lacks_kafka);
    expect_problem("outputs:\n- {type: stdout}\n- {topic: t, type: kafka, brokers: ['a:1']}\n",
                   "T:3:20: error: there is none");
    config_set_lacking(NULL);
}

// Comments are comments, and without their # what they say is the default.
Test(config, the_example_says_what_is_so)
{
    _cleanup_free_ char *example = written_by(config_example);
    struct config *standard _cleanup_(config_free) = accept(example);
    cr_expect_eq(standard->outputs_count, 0);
    char *to = example;
    for (const char *from = example; *from; from++)
        if (*from != '#' || (from > example && from[-1] != '\n'))
            *to++ = *from;
    *to = '\0';
    char differs[1024] = "";
    struct config *uncommented _cleanup_(config_free) = accept(example);
    config_compare(standard, uncommented, note_change, differs);
    cr_expect_str_eq(differs, "outputs! probes! ");
    cr_expect_eq(uncommented->outputs_count, OUTPUT_TYPES);
}

static void count_doubt(const char *sentence, void *context)
{
    ++*(unsigned *)context;
    cr_expect_str_eq(sentence, "the output \"otlp\" gets no traces, because inference.enabled is false");
}

Test(config, traces_without_requests_are_doubted)
{
    static const char outputs[] =
        "outputs: [{type: otlp, url: 'http://127.0.0.1:4318', signals: [logs, traces]}]\n";
    static const char enabled[] =
        "inference: {enabled: true}\n"
        "outputs: [{type: otlp, url: 'http://127.0.0.1:4318', signals: [traces]}]\n";
    struct config *config = NULL;
    unsigned doubts = 0;
    cr_assert_eq(config_parse("x", outputs, strlen(outputs), stderr, &config), 0);
    config_doubts(config, count_doubt, &doubts);
    cr_expect_eq(doubts, 1);
    config_free(&config);
    cr_assert_eq(config_parse("x", enabled, strlen(enabled), stderr, &config), 0);
    config_doubts(config, count_doubt, &doubts);
    cr_expect_eq(doubts, 1);
    config_free(&config);
}
