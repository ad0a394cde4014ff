#include "probe_cost.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "uprobe.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

static int account_fd = -1;
static struct probe_traps traps;

// --- What a trap takes ---

// Functions that begin with an instruction of each kind.
void probe_cost_emulated(void);
void probe_cost_stepped(void);
#if defined(__x86_64__)
__asm__(".text\n"
        ".globl probe_cost_emulated\n.type probe_cost_emulated, @function\n"
        "probe_cost_emulated: push %rbp\n pop %rbp\n ret\n"
        ".globl probe_cost_stepped\n.type probe_cost_stepped, @function\n"
        "probe_cost_stepped: mov %edi, %eax\n ret\n");
#else
__asm__(".text\n"
        ".globl probe_cost_emulated\n.type probe_cost_emulated, %function\n"
        "probe_cost_emulated: nop\n ret\n"
        ".globl probe_cost_stepped\n.type probe_cost_stepped, %function\n"
        "probe_cost_stepped: mov x1, x0\n ret\n");
#endif

struct place {
    uintptr_t address;
    uint64_t offset;
};

static int find_place(struct dl_phdr_info *info, size_t size, void *context)
{
    struct place *place = context;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && place->address >= start &&
            place->address - start < segment->p_filesz)
            place->offset = segment->p_offset + (place->address - start);
    }
    return 1; // the program itself is the first
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

// The median of several rounds.
static double call_s(void (*function)(void))
{
    enum { ROUNDS = 21, CALLS = 50 };
    double seconds[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
        for (size_t k = 0; k < CALLS; k++)
            function();
        seconds[i] = (double)(clock_ns(CLOCK_MONOTONIC) - begun_ns) / 1e9 / CALLS;
    }
    qsort(seconds, ROUNDS, sizeof(seconds[0]), compare);
    return seconds[ROUNDS / 2];
}

// How much longer a call takes with the probe; negative: it cannot be told.
static double trap_s(int program, int file, void (*function)(void), bool at_return)
{
    struct place place = {.address = (uintptr_t)function};
    dl_iterate_phdr(find_place, &place);
    double before = call_s(function);
    _cleanup_close_ int link =
        place.offset ? uprobe_attach_own(program, file, place.offset, at_return) : -ENOENT;
    if (link < 0)
        return -1;
    double longer = call_s(function) - before;
    return longer > 0 ? longer : 0;
}

static int measure_traps(void)
{
    _cleanup_close_ int program = uprobe_load_nothing();
    _cleanup_close_ int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (program < 0 || file < 0)
        return program < 0 ? program : -errno;
    double emulated = trap_s(program, file, probe_cost_emulated, false);
    double stepped = trap_s(program, file, probe_cost_stepped, false);
    double both = trap_s(program, file, probe_cost_emulated, true);
    if (emulated < 0 || stepped < 0 || both < 0)
        return -EOPNOTSUPP;
    traps.emulated = emulated;
    traps.stepped = stepped;
    traps.at_return = both > emulated ? both - emulated : 0;
    return 0;
}

// --- The account ---

int probe_cost_start(void)
{
    if (account_fd >= 0)
        return 0;
    _cleanup_close_ int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
    if (fd < 0)
        return -errno;
    int error = measure_traps();
    if (!error)
        account_fd = TAKE_FD(fd);
    return error;
}

void probe_cost_stop(void)
{
    cleanup_close(&account_fd);
    account_fd = -1;
}

bool probe_cost_is_known(void)
{
    return account_fd >= 0;
}

const struct probe_traps *probe_cost_traps(void)
{
    return &traps;
}

struct probe_runs probe_cost_runs(const struct bpf_program *program)
{
    struct bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
        return (struct probe_runs){};
    return (struct probe_runs){.count = info.run_cnt, .ns = info.run_time_ns};
}

double probe_cost_trap(const struct probe_kind *kind, size_t symbol, bool at_return, bool stepped)
{
    double begin_s = stepped ? traps.stepped : traps.emulated;
    if (!at_return)
        return begin_s;
    // A return instruction is one that is stepped, on x86 at least.
    return kind->throws ? traps.stepped : traps.at_return + (kind->symbols[symbol].enter ? 0 : begin_s);
}
