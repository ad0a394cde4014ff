#include "source.h"

#include "api_fields.h"
#include "api_programs.h"
#include "base/cleanup.h"
#include "elf_symbols.h"
#include "probes.h"
#include "uprobe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static bool up;

// What every connection needs beside the probes; only while there are any.
static struct bpf_link *links[API_TLS_HOOKS];

static const char *const libraries[] = {
    "libssl*.so*",  // OpenSSL's own, and those with a hash in their names that Python wheels bring along
    "libnode*.so*", // Node as a library
    "libpython3*.so*",
    "_ssl*.so", // Python where OpenSSL is linked into it
    NULL,
};

static const struct probe_symbol symbols[] = {
    {"SSL_read", "tls_read", "tls_return"},           {"SSL_write", "tls_write", "tls_return"},
    {"SSL_read_ex", "tls_read_ex", "tls_return"},     {"SSL_write_ex", "tls_write_ex", "tls_return"},
    {"SSL_write_ex2", "tls_write_ex2", "tls_return"}, // 3.3
    {"SSL_shutdown", "tls_shutdown", NULL},           {"SSL_free", "tls_free", NULL},
};

static const struct probe_blind blind[] = {
    {.pattern = "libgnutls.so*", .reason = "encrypts by GnuTLS"},
    {.pattern = "libnss3.so*", .reason = "encrypts by NSS"},
    {},
};

static void update_hooks(void);

static struct bpf_program *program(const struct probe_kind *kind, const char *name)
{
    return api_tls_program(name);
}

static const struct probe_kind openssl = {
    .name = "openssl",
    .libraries = libraries,
    .executables = true,
    .symbols = symbols,
    .symbols_count = ARRAY_SIZE(symbols),
    .program = program,
    .whole = true,
    .blind = blind,
    .changed = update_hooks,
};

static const struct probe_kind *const kinds[] = {&openssl, NULL};

static void detach_hooks(void)
{
    for (size_t i = 0; i < API_TLS_HOOKS; i++) {
        bpf_link__destroy(links[i]);
        links[i] = NULL;
    }
}

// Follows the probes: where nothing is probed, sockets need not be looked at.
static void update_hooks(void)
{
    bool wanted = probes_files(&openssl) > 0;
    for (size_t i = 0; i < API_TLS_HOOKS; i++) {
        struct bpf_program *program = wanted && !links[i] ? api_tls_hook(i) : NULL;
        if (program)
            links[i] = bpf_program__attach(program); // what this kernel does not have is done without
    }
    if (!wanted)
        detach_hooks();
}

static void stop(void)
{
    probes_remove(&openssl);
    detach_hooks();
    up = false;
}

// Whether this kernel lets programs be probed: the agent itself, where it has begun and never comes again.
static int try_probe(void)
{
    uint64_t offset = 0;
    _cleanup_close_ int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int error = file < 0 ? -errno : elf_entry_find(file, &offset);
    if (error)
        return error;
    _cleanup_close_ int link =
        uprobe_attach(bpf_program__fd(api_tls_program("tls_free")), file, offset, false);
    return link < 0 ? link : 0;
}

// The last line of the report: by what the probes go, and how many there are.
static void report_probes(struct source_report *ret_report, int error)
{
    struct hook_report *report = &ret_report->hooks[ret_report->hooks_count++];
    *report = (struct hook_report){.state = error ? HOOK_FAILED : HOOK_UP, .error = -error};
    snprintf(report->name, sizeof(report->name), "OpenSSL in %zu files", probes_files(&openssl));
    snprintf(report->attach_point, sizeof(report->attach_point), "uprobe/SSL_read, SSL_write and others");
}

static int start(const struct source_env *env, struct source_report *ret_report)
{
    ret_report->needed = env->inference || env->everything || api_events_wanted(env->demand);
    if (!ret_report->needed || !api_tls_program("tls_return")) {
        stop();
        if (!ret_report->needed)
            return 0;
        snprintf(ret_report->reason, sizeof(ret_report->reason),
                 "the source api, whose programs it attaches, does without them: %s", api_tls_reason());
        return -EOPNOTSUPP;
    }
    int error = probes_add(&openssl);
    if (!error && env->everything)
        error = try_probe();
    report_probes(ret_report, error);
    if (error) {
        probes_add_failed(error, ret_report);
        stop();
    }
    up = !error;
    return error;
}

static void collect(struct series_writer *writer)
{
    static const struct series_family missed = {
        .name = "inferscope_tls_calls_missed_total",
        .type = SERIES_COUNTER,
        .help = "Calls that read or wrote plaintext and were not seen, as too many were under way"};
    if (!up)
        return;
    writer->family(writer, &missed);
    writer->number(writer, NULL, 0, (double)api_tls_calls_missed());
}

const struct source source_tls = {
    .name = "tls",
    .help = "OpenSSL in programs and libraries, for requests to inference servers that are encrypted",
    .attaches_later = uprobe_is_privileged,
    .start = start,
    .stop = stop,
    .collect = collect,
    .probes = kinds,
    .tick = probes_tick,
};
