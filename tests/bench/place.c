#include "bench.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// exit(0), so that what is measured is the kernel's work and the agent's and not a libc's start.
#if defined(__x86_64__)
#define TINY_MACHINE EM_X86_64
static const unsigned char tiny_code[] = {0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05};
#elif defined(__aarch64__)
#define TINY_MACHINE EM_AARCH64
static const unsigned char tiny_code[] = {0xa8, 0x0b, 0x80, 0xd2, 0x00, 0x00,
                                          0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4};
#else
#error "no tiny program for this architecture"
#endif

// No open, no connect: the tracepoints of these calls stay unused and no system call pays for them.
static const char quiet_rules[] = "- rule: Nothing\n"
                                  "  desc: Holds for no process; keeps the agent busy with exec alone\n"
                                  "  condition: evt.type = execve and proc.name = inferscope-none\n"
                                  "  output: nothing (%proc.name)\n"
                                  "  priority: DEBUG\n";

static const char watching_rules[] =
    "- rule: Sent\n"
    "  desc: Holds for no destination; has the agent count what leaves the node, by name\n"
    "  condition: evt.type = egress and net.dest.domain = inferscope.invalid\n"
    "  output: nothing (%net.dest.domain)\n"
    "  priority: DEBUG\n";

static int write_file(const char *path, const void *data, size_t size, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, data, size);
    close(fd);
    return written == (ssize_t)size ? 0 : -EIO;
}

static int write_program(const char *path)
{
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr segment;
        unsigned char code[sizeof(tiny_code)];
    } image = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = TINY_MACHINE,
                   .e_version = EV_CURRENT,
                   .e_entry = 0x400000 + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 1},
        .segment = {.p_type = PT_LOAD,
                    .p_flags = PF_R | PF_X,
                    .p_vaddr = 0x400000,
                    .p_filesz = sizeof(image),
                    .p_memsz = sizeof(image),
                    .p_align = 0x10000},
    };
    memcpy(image.code, tiny_code, sizeof(tiny_code));
    return write_file(path, &image, sizeof(image), 0755);
}

static int link_to_self(const char *path)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0)
        return -errno;
    self[length] = '\0';
    return symlink(self, path) ? -errno : 0;
}

int place_make(struct place *place)
{
    *place = (struct place){.directory = "/tmp/inferscope-bench-XXXXXX"};
    if (!mkdtemp(place->directory))
        return -errno;
    snprintf(place->file, sizeof(place->file), "%s/file", place->directory);
    snprintf(place->decoy, sizeof(place->decoy), "%s/shadow", place->directory);
    snprintf(place->program, sizeof(place->program), "%s/program", place->directory);
    snprintf(place->rules, sizeof(place->rules), "%s/rules.yaml", place->directory);
    snprintf(place->turned, sizeof(place->turned), "%s/turned.yaml", place->directory);
    snprintf(place->reader, sizeof(place->reader), "%s/" READER_NAME, place->directory);

    int error = write_file(place->file, "", 0, 0600);
    if (!error)
        error = write_file(place->decoy, "", 0, 0600);
    if (!error)
        error = write_program(place->program);
    if (!error)
        error = write_file(place->rules, quiet_rules, strlen(quiet_rules), 0600);
    if (!error)
        error = place_turn(place, false);
    if (!error)
        error = link_to_self(place->reader);
    if (error)
        place_remove(place);
    return error;
}

// Only what a signal handler may call.
void place_remove(const struct place *place)
{
    unlink(place->file);
    unlink(place->decoy);
    unlink(place->program);
    unlink(place->rules);
    unlink(place->reader);
    unlink(place->turned);
    rmdir(place->directory);
}

int place_turn(const struct place *place, bool watch)
{
    const char *rules = watch ? watching_rules : quiet_rules;
    char next[sizeof(place->turned) + 8];
    snprintf(next, sizeof(next), "%s.next", place->turned);
    int error = write_file(next, rules, strlen(rules), 0600);
    if (!error && rename(next, place->turned))
        error = -errno;
    if (error)
        unlink(next);
    return error;
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double quartile(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    return values[count / 4];
}

double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
