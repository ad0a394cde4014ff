// HTTPS to a real nginx, which asks for a client certificate, in front of the strict receivers.
#include "certificates.h"
#include "deliver.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

TestSuite(deliver_tls, TEST_SUITE);

#define RETRY "retry: {initial: 10ms, max: 50ms}"

// Its port.
static unsigned nginx_start(const char *certificate, unsigned upstream)
{
    unsigned port = free_port();
    const char *config = test_path("nginx-%u.conf", port), *log = test_path("nginx-%u.log", port);
    write_file(config,
               format_text("daemon off; master_process off; user root; pid %s/nginx-%u.pid; error_log %s;\n"
                           "events {}\n"
                           "http {\n"
                           "  access_log off; client_body_temp_path %s/body; proxy_temp_path %s/proxy;\n"
                           "  fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;\n"
                           "  server {\n"
                           "    listen 127.0.0.1:%u ssl;\n"
                           "    ssl_certificate %s; ssl_certificate_key %s;\n"
                           "    ssl_client_certificate %s; ssl_verify_client on;\n"
                           "    location / { proxy_pass http://127.0.0.1:%u;\n"
                           "      proxy_set_header X-Client $ssl_client_s_dn; }\n"
                           "  }\n"
                           "}\n",
                           test_dir(), port, log, test_dir(), test_dir(), test_dir(), test_dir(), test_dir(),
                           port, test_path("%s.crt", certificate), test_path("%s.key", certificate),
                           test_path("ca.crt"), upstream));
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        dup2(fd, STDERR_FILENO);
        execl("/usr/sbin/nginx", "nginx", "-c", config, "-e", log, NULL);
        _exit(127);
    }
    wait_for_port(port);
    return port;
}

static unsigned tls_setup(void)
{
    if (access("/usr/sbin/nginx", X_OK))
        cr_skip_test("nginx is not installed");
    make_certificate("ca", "", "", "2");
    make_certificate("server", "ca", "IP:127.0.0.1", "2");
    make_certificate("client", "ca", "DNS:agent", "2");
    return receivers_start();
}

static const char *output(unsigned port, const char *tls)
{
    return format_text(
        "- {type: elasticsearch, url: \"https://127.0.0.1:%u\", tls: {%s}, batch_wait: 0s, " RETRY "}\n",
        port, tls);
}

static const char *good_tls(void)
{
    return format_text("ca_file: %s, cert_file: %s, key_file: %s", test_path("ca.crt"),
                       test_path("client.crt"), test_path("client.key"));
}

// The deliverer says so, sends nothing to the receivers, and loses nothing.
static void expect_refusal(unsigned port, const char *tls, const char *why)
{
    size_t before = receivers_requests("/_bulk");
    unlink(test_path("said"));
    pid_t pid = deliver_start(output(port, tls));
    deliver_wait_said(why);
    deliver_stop(pid);
    cr_expect_eq(receivers_requests("/_bulk"), before, "%s", why);
}

Test(deliver_tls, goes_to_a_receiver_that_proves_who_it_is_and_asks_the_same)
{
    unsigned upstream = tls_setup(), port = nginx_start("server", upstream);
    const char **uuids = spool_fill(1, 5);
    pid_t pid = deliver_start(output(port, good_tls()));
    receivers_wait_taken("/_bulk", uuids, 5);
    json_t *state = receivers_state();
    const json_t *headers = json_object_get(json_object_get(state, "headers"), "/_bulk");
    cr_expect_str_eq(json_string_value(json_object_get(headers, "X-Client")), "CN=client");
    json_decref(state);
    deliver_stop(pid);
}

Test(deliver_tls, sends_nothing_to_a_receiver_that_does_not)
{
    unsigned upstream = tls_setup();
    make_certificate("other-ca", "", "", "2");
    make_certificate("elsewhere", "ca", "DNS:elsewhere.example", "2");
    make_certificate("expired", "ca", "IP:127.0.0.1", "-1");
    unsigned good = nginx_start("server", upstream), elsewhere = nginx_start("elsewhere", upstream),
             expired = nginx_start("expired", upstream);
    const char **uuids = spool_fill(1, 5);

    expect_refusal(good, format_text("ca_file: %s", test_path("other-ca.crt")), "unable to get local issuer");
    // The system's own authorities do not know it either.
    expect_refusal(good, "verify: true", "unable to get local issuer");
    expect_refusal(elsewhere, good_tls(), "no alternative certificate subject name matches");
    expect_refusal(expired, good_tls(), "certificate has expired");
    // A receiver that does not know us answers with 400 to everything; that is not the alerts' fault.
    expect_refusal(good, format_text("ca_file: %s", test_path("ca.crt")), "status 400");
    expect_refusal(good, format_text("ca_file: %s", test_path("nowhere.crt")), "cannot read");

    // All of them are still there, and whoever does not want to know may say so.
    pid_t pid = deliver_start(output(expired, format_text("verify: false, cert_file: %s, key_file: %s",
                                                          test_path("client.crt"), test_path("client.key"))));
    receivers_wait_taken("/_bulk", uuids, 5);
    deliver_stop(pid);
    cr_expect_null(strstr(deliver_said(), "given up"), "%s", deliver_said());
}
