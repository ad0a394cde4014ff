// A node's day: services in containers, an administrator, cron; what they run, open and connect to.
#include "rules.h"

#include "base/cleanup.h"
#include "source.h"
#include "wire/connect.h"
#include "wire/file.h"
#include "wire/process.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PROCESSES = 256,
    FIRST_PID = 5000000, // no process of this machine has such a number
    RECORD_MAX = 1024,
    CONTAINERS = 12,
};

uint32_t draw(uint32_t below)
{
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % below;
}

const char *made_name(size_t number, char *room, size_t size)
{
    static const char *const first[] = {"edge",  "node",  "data",  "model",  "image", "cache",
                                        "queue", "audit", "vault", "stream", "batch", "trace",
                                        "fleet", "relay", "index", "token"};
    static const char *const second[] = {"sync",  "proxy", "agent", "guard", "store",
                                         "fetch", "build", "watch", "probe", "merge"};
    snprintf(room, size, "%s-%s%zu", first[number % 16], second[number / 16 % 10], number / 160);
    return room;
}

#define PICK(list) (list)[draw(ARRAY_SIZE(list))]

// A name that no rule has, or one time in ten one that some rule may have.
static const char *any_name(char *room, size_t size)
{
    static const char *const names[] = {"nginx",   "python3", "java", "node",      "postgres", "redis-server",
                                        "kubelet", "bash",    "sh",   "cat",       "ls",       "grep",
                                        "sed",     "awk",     "curl", "git",       "sshd",     "cron",
                                        "systemd", "dpkg",    "ps",   "sleep",     "date",     "runc",
                                        "etcd",    "envoy",   "vllm", "prometheus"};
    return draw(10) ? PICK(names) : made_name(draw(6000), room, size);
}

static void any_path(char *room, size_t size)
{
    static const char *const directories[] = {"/etc",
                                              "/etc/ssl/certs",
                                              "/usr/lib/x86_64-linux-gnu",
                                              "/usr/bin",
                                              "/var/log",
                                              "/var/lib/docker/overlay2",
                                              "/home/user",
                                              "/root",
                                              "/tmp",
                                              "/proc/sys/kernel",
                                              "/sys/fs/cgroup/system.slice",
                                              "/srv/models",
                                              "/usr/share/zoneinfo",
                                              "/run/systemd",
                                              "/opt/service/bin"};
    static const char *const files[] = {"passwd",
                                        "ld.so.cache",
                                        "libc.so.6",
                                        "config.json",
                                        "hosts",
                                        "messages",
                                        "app.log",
                                        "index.html",
                                        "state.db",
                                        "resolv.conf",
                                        "model-00001-of-00004.safetensors",
                                        ".bash_history",
                                        "localtime"};
    char name[32];
    made_name(draw(6000), name, sizeof(name));
    if (draw(10))
        snprintf(room, size, "%s/%s", PICK(directories), PICK(files));
    else
        snprintf(room, size, "%s/%s/%s", PICK(directories), name, PICK(files));
}

// --- Records ---

struct writer {
    struct records *records;
    char room[RECORD_MAX] __attribute__((aligned(8)));
    size_t used;
};

static void add(struct writer *writer, const void *data, size_t size)
{
    if (size > sizeof(writer->room) - writer->used)
        return;
    memcpy(writer->room + writer->used, data, size);
    writer->used += size;
}

// As the kernel side writes it: from the leaf up. Returns its size.
static uint16_t add_path(struct writer *writer, const char *path)
{
    size_t before = writer->used;
    char text[256];
    snprintf(text, sizeof(text), "%s", path);
    for (char *slash; (slash = strrchr(text, '/')); *slash = '\0')
        add(writer, slash + 1, strlen(slash + 1) + 1);
    return (uint16_t)(writer->used - before);
}

static uint16_t source_id(const char *name)
{
    uint16_t id = 0;
    while (source_at(id) && strcmp(source_at(id)->name, name) != 0)
        id++;
    return id;
}

// The header, of a record about that process.
static void begin(struct writer *writer, const char *source, uint16_t type, size_t size, uint32_t process)
{
    memset(writer->room, 0, sizeof(writer->room));
    struct wire_header *header = (struct wire_header *)writer->room;
    *header = (struct wire_header){
        .source = source_id(source),
        .type = type,
        .time_ns = UINT64_C(3600000000000),
        .start_time_ns = UINT64_C(1000000000) + process,
        .cgroup_id = 1 + process % (2 * CONTAINERS),
        .pid = FIRST_PID + process,
        .tid = FIRST_PID + process,
        .uid = process % 3 ? 1000 : 0,
        .gid = process % 3 ? 1000 : 0,
    };
    writer->used = size;
}

static int end(struct writer *writer)
{
    struct records *records = writer->records;
    struct wire_header *header = (struct wire_header *)writer->room;
    header->size = (uint32_t)writer->used;
    size_t words = (writer->used + 7) / 8;
    uint64_t *data = reallocarray(records->data, records->used + words, sizeof(*data));
    if (data)
        records->data = data;
    size_t *offsets = data ? reallocarray(records->offsets, records->count + 1, sizeof(*offsets)) : NULL;
    if (!offsets)
        return -ENOMEM;
    records->offsets = offsets;
    memcpy(data + records->used, writer->room, words * 8);
    offsets[records->count++] = records->used;
    records->used += words;
    return 0;
}

// Half of the processes are in containers.
static int add_exec(struct writer *writer, uint32_t process)
{
    char name[32], text[256];
    begin(writer, "process", WIRE_PROCESS_EXECVE, sizeof(struct wire_process_execve), process);
    struct wire_process_execve *record = (struct wire_process_execve *)writer->room;
    const char *comm = any_name(name, sizeof(name));
    memcpy(record->header.comm, comm, strnlen(comm, sizeof(record->header.comm) - 1));
    record->parent_pid = FIRST_PID + process / 4;
    record->parent_start_time_ns = UINT64_C(1000000000) + process / 4;
    record->loginuid = draw(4) ? UINT32_MAX : 1000;
    record->tty = draw(4) ? 0 : 34816;
    snprintf(text, sizeof(text), "/usr/bin/%s", record->header.comm);
    record->filename_size = (uint16_t)(strlen(text) + 1);
    add(writer, text, record->filename_size);
    record->exe_size = add_path(writer, text);
    size_t before = writer->used;
    add(writer, record->header.comm, strlen(record->header.comm) + 1);
    for (uint32_t i = draw(6); i > 0; i--) {
        char path[128];
        any_path(path, sizeof(path));
        snprintf(text, sizeof(text), "%s%s", draw(2) ? "--config=" : "", path);
        add(writer, text, strlen(text) + 1);
    }
    record->args_size = (uint16_t)(writer->used - before);
    before = writer->used;
    if (process % 2) {
        snprintf(text, sizeof(text), "cri-containerd-%064x.scope", process % (2 * CONTAINERS) + 1);
        add(writer, text, strlen(text) + 1);
        record->cgroup_size = (uint16_t)(writer->used - before);
    }
    return end(writer);
}

static int add_open(struct writer *writer, uint32_t process)
{
    static const uint16_t types[] = {WIRE_FILE_OPENAT, WIRE_FILE_OPENAT, WIRE_FILE_OPENAT,
                                     WIRE_FILE_OPENAT, WIRE_FILE_OPEN,   WIRE_FILE_OPENAT2};
    char path[256];
    begin(writer, "file", PICK(types), sizeof(struct wire_file_open), process);
    struct wire_file_open *record = (struct wire_file_open *)writer->room;
    any_path(path, sizeof(path));
    record->call.result = 3 + draw(60);
    record->ino = 100 + draw(100000);
    record->flags = O_CLOEXEC | (draw(5) ? O_RDONLY : O_WRONLY | O_CREAT);
    record->mode = (draw(8) ? S_IFREG : S_IFDIR) | 0644;
    record->path_size = add_path(writer, path);
    return end(writer);
}

static int add_connect(struct writer *writer, uint32_t process)
{
    static const uint16_t ports[] = {443, 80, 53, 5432, 6379, 8080, 9090, 6443, 2379, 22};
    begin(writer, "connect", WIRE_CONNECT_CONNECT, sizeof(struct wire_connect), process);
    struct wire_connect *record = (struct wire_connect *)writer->room;
    struct wire_endpoint *endpoint = &record->call.endpoint;
    uint32_t address = htonl(0x0a000000 | draw(1 << 24));
    memcpy(endpoint->remote_addr, &address, sizeof(address));
    address = htonl(0x0a010203);
    memcpy(endpoint->local_addr, &address, sizeof(address));
    endpoint->family = 4;
    endpoint->protocol = draw(4) ? IPPROTO_TCP : IPPROTO_UDP;
    endpoint->remote_port = draw(10) ? PICK(ports) : (uint16_t)(1024 + draw(30000));
    endpoint->local_port = (uint16_t)(32768 + draw(20000));
    endpoint->role = WIRE_ROLE_CLIENT;
    endpoint->flags = WIRE_ENDPOINT_NAMED | WIRE_ENDPOINT_CONNECTED;
    record->call.call.result = draw(2) ? 0 : -EINPROGRESS;
    record->has_result = 1;
    record->fd = 3 + (int)draw(60);
    return end(writer);
}

int records_of_processes(struct records *records)
{
    struct writer writer = {.records = records};
    int error = 0;
    for (uint32_t process = 1; !error && process < PROCESSES; process++)
        error = add_exec(&writer, process);
    return error;
}

int records_of_events(struct records *records, size_t count)
{
    struct writer writer = {.records = records};
    int error = 0;
    for (size_t i = 0; !error && i < count; i++) {
        uint32_t process = 1 + draw(PROCESSES - 1), kind = draw(100);
        error = kind < 70   ? add_open(&writer, process)
                : kind < 85 ? add_exec(&writer, process)
                            : add_connect(&writer, process);
    }
    return error;
}

void records_free(struct records *records)
{
    free(records->data);
    free(records->offsets);
}
