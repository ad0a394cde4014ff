// Source `api`: the agent takes the first way that the kernel has to notice what sockets move. Each way that
// it has must tell the same, so here each is loaded by itself.
#include "api.skel.h"
#include "api_moves.h"
#include "wire/api.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

static void setup(void)
{
    test_setup();
    if (!kernel_at_least(5, 17))
        cr_skip_test("needs Linux 5.17");
}

TestSuite(api_ways, .init = setup, .fini = test_teardown);

enum { ROUTE = 1, RECORDS_MAX = 64, LINKS_MAX = 16 };
static struct api_bpf *skeleton;
static struct bpf_link *links[LINKS_MAX];
static size_t links_count;
static struct ring_buffer *ring;
static struct wire_api records[RECORDS_MAX];
static size_t records_count;

static int on_record(void *context, void *data, size_t size)
{
    const struct wire_api *record = data;
    if (record->header.pid == (uint32_t)getpid() && records_count < RECORDS_MAX)
        records[records_count++] = *record;
    return 0;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
    return 0;
}

// Those programs and the ones for the end of a connection; NULL: no more. False: this kernel refuses.
static bool load(const char *const *programs)
{
    struct bpf_program *program;
    libbpf_set_print(quiet);
    skeleton = api_bpf__open();
    cr_assert(skeleton);
    bpf_object__for_each_program(program, skeleton->obj) bpf_program__set_autoload(program, false);
    bpf_program__set_autoload(skeleton->progs.api_state_btf, true);
    bpf_program__set_autoload(skeleton->progs.api_destroy_btf, true);
    for (size_t i = 0; programs[i]; i++)
        bpf_program__set_autoload(bpf_object__find_program_by_name(skeleton->obj, programs[i]), true);
    bpf_map__set_max_entries(skeleton->maps.ring, 1 << 20);
    skeleton->rodata->body_values = true;
    skeleton->bss->wake_always = true;
    if (api_bpf__load(skeleton))
        return false;
    uint64_t hash = UINT64_C(0xcbf29ce484222325); // FNV-1a, as http_hash() in bpf/lib/http_message.h
    uint16_t route = ROUTE | WIRE_API_ROUTE_INFERENCE;
    for (const char *c = "/v1/chat/completions"; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    cr_assert_eq(bpf_map_update_elem(bpf_map__fd(skeleton->maps.routes), &hash, &route, BPF_ANY), 0);
    unsigned start = 'v' | '1' << 8;
    skeleton->bss->route_starts[start / 64] |= UINT64_C(1) << start % 64;
    ring = ring_buffer__new(bpf_map__fd(skeleton->maps.ring), on_record, NULL, NULL);
    cr_assert(ring);
    return true;
}

static bool keep(struct bpf_link *link)
{
    links[links_count++] = link;
    return link != NULL;
}

// By the section's name, or to the system calls' returns one by one. False: this kernel refuses.
static bool attach(const char *const *programs, const char *const *calls)
{
    bool attached = keep(bpf_program__attach(skeleton->progs.api_state_btf)) &&
                    keep(bpf_program__attach(skeleton->progs.api_destroy_btf));
    for (size_t i = 0; attached && programs[i]; i++) {
        struct bpf_program *program = bpf_object__find_program_by_name(skeleton->obj, programs[i]);
        attached = calls || keep(bpf_program__attach(program));
        for (size_t k = 0; attached && calls && calls[k]; k++)
            cr_assert(keep(bpf_program__attach_tracepoint(program, "syscalls", calls[k])), "%s: %s", calls[k],
                      strerror(errno));
    }
    return attached;
}

static void unload(void)
{
    ring_buffer__free(ring);
    while (links_count)
        bpf_link__destroy(links[--links_count]);
    api_bpf__destroy(skeleton);
}

static const struct wire_api *wait_record(const struct pair *pair)
{
    for (uint64_t until = now_ns() + DEADLINE_S * UINT64_C(1000000000); now_ns() < until;) {
        ring_buffer__poll(ring, 100);
        for (size_t i = 0; i < records_count; i++)
            // Either of the ports may have been an earlier pair's.
            if (records[i].client_port == atoi(pair->cport) && records[i].server_port == atoi(pair->sport))
                return &records[i];
    }
    cr_assert(false, "no record came");
    return NULL;
}

static void expect_record(const struct wire_api *record, const struct pair *pair)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    cr_expect_eq(record->header.type, WIRE_API_INFER);
    cr_expect_eq(record->header.size, sizeof(*record));
    cr_expect_eq(record->family, 4);
    cr_expect_eq(exchange->route, ROUTE);
    cr_expect_eq(exchange->method, WIRE_API_POST);
    cr_expect_eq(exchange->status, 200);
    cr_expect_eq(exchange->end, WIRE_API_COMPLETE);
    cr_expect_eq(exchange->events, 7);
    cr_expect_eq(exchange->content_events, 3);
    cr_expect_eq(exchange->input_tokens, 24);
    cr_expect_eq(exchange->output_tokens, 3);
    cr_expect_eq(exchange->flags, WIRE_API_INFERENCE | WIRE_API_STREAM_ASKED | WIRE_API_STREAMED |
                                      WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT);
    cr_expect(exchange->request_model_length == 4 && memcmp(exchange->request_model, "tiny", 4) == 0);
    cr_expect(exchange->response_model_length == 6 && memcmp(exchange->response_model, "tiny-1", 6) == 0);
    cr_expect_str_eq(exchange->server, "llama.cpp");
    cr_expect(
        exchange->start_ns <= exchange->request_end_ns && exchange->request_end_ns <= exchange->head_ns &&
        exchange->head_ns <= exchange->first_content_ns && exchange->first_content_ns <= exchange->end_ns);
}

// What passes a pipe or a file is nobody's request.
static void move_by_pipe(void)
{
    int ends[2];
    char data[4096];
    const char *request = request_to("/v1/chat/completions", "", CHAT_BODY);
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], request, strlen(request)), (ssize_t)strlen(request));
    cr_assert_eq(read(ends[0], data, sizeof(data)), (ssize_t)strlen(request));
    close(ends[0]);
    close(ends[1]);
}

static void try_way(const char *const *programs, const char *const *calls)
{
    if (!load(programs) || !attach(programs, calls)) {
        unload();
        cr_skip_test("this kernel does not have it");
    }
    move_by_pipe();
    size_t served = 0;
    for (size_t move = 0; move < MOVES; move++) {
        for (size_t piece = 1; piece < 2048; piece *= 5) {
            struct pair pair = open_pair();
            serve_stream(&pair, move, piece);
            expect_record(wait_record(&pair), &pair);
            close_pair(&pair);
            served++;
        }
    }
    // A client that goes away is noticed by the same two programs whatever the way.
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/chat/completions", "", CHAT_BODY));
    close_pair(&pair);
    cr_expect_eq(wait_record(&pair)->exchange.status, 0);
    ring_buffer__consume(ring);
    cr_expect_eq(records_count, served + 1, "%zu records", records_count);
    unload();
}

Test(api_ways, tracepoints_of_sockets)
{
    static const char *const programs[] = {"api_send_btf", "api_receive_btf", NULL};
    struct btf *btf = btf__load_vmlinux_btf();
    bool there = btf && btf__find_by_name_kind(btf, "btf_trace_sock_recv_length", BTF_KIND_TYPEDEF) > 0;
    btf__free(btf);
    if (!there)
        cr_skip_test("this kernel does not have them");
    try_way(programs, NULL);
}

Test(api_ways, functions_of_tcp)
{
    static const char *const programs[] = {"api_send_fexit", "api_receive_fexit", NULL};
    try_way(programs, NULL);
}

Test(api_ways, returns_of_system_calls)
{
    static const char *const programs[] = {"api_call_tp", NULL};
    static const char *const calls[] = {"sys_exit_write",    "sys_exit_writev",  "sys_exit_sendto",
                                        "sys_exit_sendmsg",  "sys_exit_read",    "sys_exit_readv",
                                        "sys_exit_recvfrom", "sys_exit_recvmsg", NULL};
    // For this process only, where nobody has mounted it.
    if (access("/sys/kernel/tracing/events", F_OK) &&
        (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
         mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL)))
        cr_skip_test("there is no tracefs");
    try_way(programs, calls);
}
