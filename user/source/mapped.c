#include "mapped.h"

#include "base/cleanup.h"
#include "base/series.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <string.h>

enum { PAGES = 16 }; // for each CPU's notes: room for some 400 mappings a second

static struct counter lost = {
    .name = "inferscope_mappings_lost_total",
    .help = "Executable mappings of which no note reached the agent, so that it looked through /proc instead",
};

static struct perf_buffer *notes;
static int notes_fd = -1;
static mapped_fn hand_over;
static bool any_lost;

// --- /proc ---

// The kernel writes a line feed in a path as \012, as it ends the line.
static void unescape(char *path)
{
    char *to = path;
    for (const char *from = path; *from; to++) {
        bool escaped = strncmp(from, "\\012", 4) == 0;
        *to = escaped ? '\n' : *from;
        from += escaped ? 4 : 1;
    }
    *to = '\0';
}

// Of a line such as "7f62f6cf4000-7f62f6d10000 r-xp 00001000 fe:01 1234    /usr/lib/libssl.so.3". False: it
// names no file that is executed.
static bool read_line(char *line, struct mapped_file *ret_file)
{
    unsigned long start, end, inode;
    unsigned major, minor;
    char permissions[5];
    int path = 0;
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "%lx-%lx %4s %*x %x:%x %lu %n", &start, &end, permissions, &major, &minor, &inode,
               &path) != 6 ||
        permissions[2] != 'x' || inode == 0 || line[path] != '/')
        return false;
    unescape(line + path);
    ret_file->path = line + path;
    ret_file->start = start;
    ret_file->end = end;
    ret_file->major = major;
    ret_file->minor = minor;
    ret_file->inode = inode;
    return true;
}

static FILE *open_maps(pid_t pid)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    return fopen(path, "re");
}

static void scan_process(pid_t pid, mapped_fn on_file)
{
    _cleanup_fclose_ FILE *maps = open_maps(pid);
    char line[PATH_MAX + 128];
    struct mapped_file file = {.pid = pid};
    while (maps && fgets(line, sizeof(line), maps))
        if (read_line(line, &file))
            on_file(&file);
}

void mapped_scan(mapped_fn on_file)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    while (proc && (entry = readdir(proc)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            scan_process((pid_t)strtol(entry->d_name, NULL, 10), on_file);
    if (proc)
        closedir(proc);
}

bool mapped_has(pid_t pid, uint32_t major, uint32_t minor, uint64_t inode)
{
    _cleanup_fclose_ FILE *maps = open_maps(pid);
    char line[PATH_MAX + 128];
    struct mapped_file file;
    while (maps && fgets(line, sizeof(line), maps))
        if (read_line(line, &file) && file.inode == inode && file.major == major && file.minor == minor)
            return true;
    return false;
}

// --- The kernel's notes ---

// include/uapi/linux/perf_event.h, PERF_RECORD_MMAP2.
struct mapped_note {
    struct perf_event_header header;
    uint32_t pid, tid;
    uint64_t start, length, offset;
    uint32_t major, minor;
    uint64_t inode, generation;
    uint32_t protection, flags;
    char path[];
};

static void take_note(const struct mapped_note *note)
{
    size_t room = note->header.size > sizeof(*note) ? note->header.size - sizeof(*note) : 0;
    if (note->header.misc & PERF_RECORD_MISC_MMAP_BUILD_ID || !memchr(note->path, '\0', room) ||
        note->path[0] != '/' || (pid_t)note->pid <= 0)
        return;
    struct mapped_file file = {.pid = (pid_t)note->pid,
                               .path = note->path,
                               .start = note->start,
                               .end = note->start + note->length,
                               .major = note->major,
                               .minor = note->minor,
                               .inode = note->inode};
    hand_over(&file);
}

static enum bpf_perf_event_ret on_note(void *context, int cpu, struct perf_event_header *header)
{
    struct {
        struct perf_event_header header;
        uint64_t id, lost;
    } loss;
    if (header->type == PERF_RECORD_MMAP2 && header->size > sizeof(struct mapped_note)) {
        take_note((const struct mapped_note *)header);
    } else if (header->type == PERF_RECORD_LOST && header->size >= sizeof(loss)) {
        memcpy(&loss, header, sizeof(loss));
        lost.value += loss.lost;
        any_lost = true;
    }
    return LIBBPF_PERF_EVENT_CONT;
}

int mapped_start(mapped_fn on_file)
{
    hand_over = on_file;
    if (notes)
        return 0;
    counter_register(&lost);
    // An event that never happens, for the sake of what the kernel notes beside it. Nobody is woken.
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof(attr),
                                   .config = PERF_COUNT_SW_DUMMY,
                                   .sample_period = 1,
                                   .mmap = 1,
                                   .mmap2 = 1,
                                   .watermark = 1,
                                   .wakeup_watermark = UINT32_MAX};
    int cpus = libbpf_num_possible_cpus();
    if (cpus < 0)
        return cpus;
    notes_fd = bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "mapped", sizeof(int), sizeof(int),
                              (uint32_t)cpus, NULL);
    if (notes_fd < 0)
        return -errno;
    notes = perf_buffer__new_raw(notes_fd, PAGES, &attr, on_note, NULL, NULL);
    int error = notes ? 0 : -errno;
    if (error)
        mapped_stop();
    return error;
}

void mapped_stop(void)
{
    perf_buffer__free(notes);
    notes = NULL;
    cleanup_close(&notes_fd);
    notes_fd = -1;
}

bool mapped_poll(void)
{
    any_lost = false;
    if (notes)
        perf_buffer__consume(notes);
    return !any_lost;
}
