#include "runtimes.h"

#include "base/cleanup.h"
#include "elf_symbols.h"
#include "mapped.h"
#include "probe_file.h"
#include "probes.h"
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { FINDINGS_MAX = 4096, REASON_MAX = 128, PENDING_MAX = 64 };

// One kind in one file.
struct finding {
    const struct probe_kind *kind;
    const struct probe_blind *unless_probed; // only counts where its process has nothing that is probed
    struct probe_file file;
    char *path;
    pid_t pid, last_pid;
    size_t processes;
    size_t functions;
    char blind[REASON_MAX];
};

// By the kernel's name for a file, what was found in it: a row of findings each kind.
struct known {
    struct {
        uint32_t major, minor;
        uint64_t inode;
    } key;
    size_t *findings;
    size_t count;
    UT_hash_handle hh;
};

static struct finding findings[FINDINGS_MAX];
static size_t findings_count;
static struct known *known_files;
static bool short_of_memory;

// The process that is being looked at.
static pid_t current;
static size_t pending[PENDING_MAX], pending_count;
static const struct probe_kind *probed[PROBES_KINDS_MAX];
static size_t probed_count;

static bool is_probed(const struct probe_kind *kind)
{
    for (size_t i = 0; i < probed_count; i++)
        if (probed[i] == kind)
            return true;
    return false;
}

static void end_process(void)
{
    for (size_t i = 0; i < pending_count; i++)
        findings[pending[i]].processes += !is_probed(findings[pending[i]].kind);
    pending_count = probed_count = 0;
}

static void add_process(size_t index, pid_t pid)
{
    struct finding *finding = &findings[index];
    if (finding->last_pid == pid)
        return;
    finding->last_pid = pid;
    if (finding->unless_probed && pending_count < PENDING_MAX)
        pending[pending_count++] = index;
    else
        finding->processes++;
    if (finding->functions && !is_probed(finding->kind) && probed_count < PROBES_KINDS_MAX)
        probed[probed_count++] = finding->kind;
}

static struct finding *add_finding(struct known *known, const struct probe_kind *kind,
                                   const struct mapped_file *mapped, const struct probe_file *file)
{
    size_t index = 0;
    // Another name of the kernel's for the same file, as in two containers of one image.
    while (index < findings_count &&
           (findings[index].kind != kind || !file || !probe_file_equal(&findings[index].file, file)))
        index++;
    size_t *more = reallocarray(known->findings, known->count + 1, sizeof(*more));
    char *path = index == findings_count ? strdup(mapped->path) : NULL;
    short_of_memory |= !more || (index == findings_count && !path) || index == FINDINGS_MAX;
    if (more)
        known->findings = more;
    if (!more || index == FINDINGS_MAX || (index == findings_count && !path)) {
        free(path);
        return NULL;
    }
    known->findings[known->count++] = index;
    if (index < findings_count)
        return NULL; // all is said of it
    findings[findings_count++] = (struct finding){
        .kind = kind, .path = path, .pid = mapped->pid, .file = file ? *file : (struct probe_file){}};
    return &findings[index];
}

static void look_for(struct known *known, const struct probe_kind *kind, const struct mapped_file *mapped)
{
    uint64_t offsets[ELF_NAMES_MAX] = {}, bytes = 0;
    const char *names[ELF_NAMES_MAX];
    struct probe_file file;
    bool library = strstr(mapped->path, ".so") != NULL;
    _cleanup_close_ int fd = probe_file_open(mapped, &file);
    for (size_t i = 0; i < kind->symbols_count; i++)
        names[i] = kind->symbols[i].name;
    int found = fd < 0       ? fd
                : kind->find ? kind->find(fd, offsets, &bytes)
                             : elf_symbols_find(fd, names, kind->symbols_count, offsets, &bytes);
    size_t functions = 0;
    for (size_t i = 0; found >= 0 && offsets[0] && i < kind->symbols_count; i++)
        functions += offsets[i] != 0;
    // Any program could have it, and most do not.
    if (!functions && (!library || (found >= 0 && !probe_kind_expects(kind, mapped->path))))
        return;
    struct finding *finding = add_finding(known, kind, mapped, fd < 0 ? NULL : &file);
    if (!finding)
        return;
    finding->functions = functions;
    if (fd < 0)
        snprintf(finding->blind, REASON_MAX, "cannot be opened: %s",
                 fd == -ESTALE ? "deleted or replaced, or not for this user" : strerror(-fd));
    else if (found < 0)
        snprintf(finding->blind, REASON_MAX, "is no file that can be understood: %s", strerror(-found));
    else if (!functions)
        snprintf(finding->blind, REASON_MAX, "has no function %s in its tables of symbols",
                 kind->symbols[0].name);
}

static void look_for_blind(struct known *known, const struct probe_kind *kind,
                           const struct mapped_file *mapped)
{
    const struct probe_blind *blind = probe_kind_blind(kind, mapped->path);
    struct finding *finding = blind ? add_finding(known, kind, mapped, NULL) : NULL;
    if (!finding)
        return;
    finding->unless_probed = blind->unless_probed ? blind : NULL;
    snprintf(finding->blind, REASON_MAX, "%s", blind->reason);
}

static void look(struct known *known, const struct mapped_file *mapped)
{
    for (size_t i = 0; i < source_count(); i++) {
        const struct probe_kind *const *kinds = source_at(i)->probes;
        for (size_t k = 0; kinds && kinds[k]; k++) {
            if (probe_kind_matches(kinds[k], mapped->path))
                look_for(known, kinds[k], mapped);
            look_for_blind(known, kinds[k], mapped);
        }
    }
}

static void on_file(const struct mapped_file *mapped)
{
    struct known wanted = {}, *known = NULL;
    if (mapped->pid != current)
        end_process();
    current = mapped->pid;
    wanted.key.major = mapped->major;
    wanted.key.minor = mapped->minor;
    wanted.key.inode = mapped->inode;
    HASH_FIND(hh, known_files, &wanted.key, sizeof(wanted.key), known);
    if (!known) {
        known = calloc(1, sizeof(*known));
        short_of_memory |= !known;
        if (!known)
            return;
        known->key = wanted.key;
        HASH_ADD(hh, known_files, key, sizeof(known->key), known);
        look(known, mapped);
    }
    for (size_t i = 0; i < known->count; i++)
        add_process(known->findings[i], mapped->pid);
}

static void forget_all(void)
{
    struct known *known, *next;
    HASH_ITER (hh, known_files, known, next) {
        HASH_DEL(known_files, known);
        free(known->findings);
        free(known);
    }
    for (size_t i = 0; i < findings_count; i++)
        free(findings[i].path);
    findings_count = 0;
    current = 0;
    short_of_memory = false;
}

int runtimes_visit(runtime_fn visit, void *context)
{
    mapped_scan(on_file);
    end_process();
    for (size_t i = 0; i < findings_count; i++) {
        const struct finding *finding = &findings[i];
        const struct runtime_found found = {.kind = finding->kind->name,
                                            .file = finding->path,
                                            .pid = finding->pid,
                                            .processes = finding->processes,
                                            .functions = finding->functions,
                                            .blind = finding->blind[0] ? finding->blind : NULL};
        if (finding->processes)
            visit(&found, context);
    }
    int error = short_of_memory ? -ENOMEM : 0;
    forget_all();
    return error;
}
