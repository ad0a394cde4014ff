// Source `cuda`, on libraries that stand in for CUDA's (tests/stand-in): what programs say they have done is
// what is counted, exactly.
#include "gpu.h"
#include "pod.h"

#include "tests/unit/elf_file.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

TestSuite(cuda, POD_SUITE, .timeout = 180);

#define LAUNCHES "gpu_cuda_kernel_launch_calls_total"
#define GRAPHS "gpu_cuda_graph_launch_calls_total"
#define COPIED "gpu_cuda_memory_copies_bytes_total"
#define COPIES "inferscope_cuda_copy_duration_seconds_count"
#define ALLOCATED "gpu_cuda_memory_allocations_bytes_total"
#define ALLOCATIONS "inferscope_cuda_allocation_calls_total"
#define FREED "inferscope_cuda_memory_freed_bytes_total"
#define FREES "inferscope_cuda_free_calls_total"
#define IN_USE "inferscope_cuda_memory_in_use_bytes"
#define PROCESSES "inferscope_cuda_processes"
#define ERRORS "inferscope_cuda_errors_total"
#define WAITS "inferscope_cuda_synchronize_duration_seconds"

static void do_all(struct gpu *gpu, const char *const *commands)
{
    for (size_t i = 0; commands[i]; i++)
        gpu_do(gpu, commands[i]);
}

#define DO(gpu, ...) do_all(gpu, (const char *const[]){__VA_ARGS__, NULL})

static void expect(struct agent *agent, const char *name, double value)
{
    cr_expect_eq(gpu_metric(agent, name, NULL, NULL), value, "%s is %.0f, not %.0f", name,
                 gpu_metric(agent, name, NULL, NULL), value);
}

static void expect_of(struct agent *agent, const char *name, const char *label, const char *which,
                      double value)
{
    double is = gpu_metric(agent, name, label, which);
    cr_expect_eq(is, value, "%s{%s=\"%s\"} is %.0f, not %.0f", name, label, which, is, value);
}

// One that has loaded its libraries, and then an agent: what it does from now on is all there is.
static struct gpu *start_loaded(const char *program, const char *runtime)
{
    struct gpu *gpu = gpu_start(gpu_path(program), gpu_folder(runtime), NULL);
    gpu_do(gpu, "1 load");
    return gpu;
}

// --- Calls, of a program that runs already ---

static void expect_all_counted(const char *program, const char *runtime)
{
    struct gpu *gpu = start_loaded(program, runtime);
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(gpu, "10 launch", "3 launch_ptsz", "2 launch_config", "7 launch_deep x 5 0", "4 launch_deep x 3 1",
       "2 driver_launch_config");
    DO(gpu, "3 graph", "2 driver_graph");
    DO(gpu, "4 copy x 1000 1", "2 copy x 10 2", "1 copy x 7 4", "1 copy x 5 0", "3 copy_async x 100 1",
       "1 copy_symbol x 40 1", "2 copy_2d x 16 8 3", "1 copy_3d x 4 5 6 2", "1 copy_peer x 50");
    DO(gpu, "1 driver_to_device x 11", "1 driver_to_host x 13", "1 driver_on_device x 17",
       "1 driver_copy x 19", "1 driver_copy_2d x 10 10 1 2");
    DO(gpu, "3 wait device", "2 wait stream", "1 wait event", "1 driver_wait");
    expect(agent, LAUNCHES, 28);
    expect(agent, GRAPHS, 5);
    expect(agent, COPIES, 21);
    expect_of(agent, COPIED, "cuda_memcpy_kind", "HostToDevice", 4451);
    expect_of(agent, COPIED, "cuda_memcpy_kind", "DeviceToHost", 153);
    expect_of(agent, COPIED, "cuda_memcpy_kind", "DeviceToDevice", 323);
    expect_of(agent, COPIED, "cuda_memcpy_kind", "Default", 26);
    expect_of(agent, COPIED, "cuda_memcpy_kind", "HostToHost", 5);
    expect_of(agent, WAITS "_count", "scope", "device", 4);
    expect_of(agent, WAITS "_count", "scope", "stream", 2);
    expect_of(agent, WAITS "_count", "scope", "event", 1);
    expect(agent, ERRORS, 0);
    gpu_stop(gpu);
}

Test(cuda, runtime_calls_driver_by_name)
{
    expect_all_counted("gpu-program", ".");
}

Test(cuda, runtime_calls_driver_by_its_table)
{
    expect_all_counted("gpu-program", "table");
}

Test(cuda, runtime_inside_of_a_program)
{
    expect_all_counted("gpu-static", ".");
}

// Then only the driver is found, and a copy in two dimensions says no direction.
Test(cuda, runtime_inside_of_a_stripped_program)
{
    struct gpu *gpu = start_loaded("gpu-stripped", ".");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(gpu, "10 launch", "4 launch_deep x 3 1", "2 launch_config", "3 graph", "4 copy x 1000 1",
       "2 copy_2d x 16 8 3", "5 allocate x 100", "2 free", "3 wait device");
    expect(agent, LAUNCHES, 16);
    expect(agent, GRAPHS, 3);
    expect_of(agent, COPIED, "cuda_memcpy_kind", "HostToDevice", 4000);
    expect_of(agent, COPIED, "cuda_memcpy_kind", "Default", 256);
    expect_of(agent, WAITS "_count", "scope", "device", 3);
    expect(agent, IN_USE, 300);
    gpu_stop(gpu);
}

// Some launch through the runtime and some by the driver, as PyTorch and Triton do in one thread.
static void expect_mixture_counted(const char *runtime)
{
    struct gpu *gpu = start_loaded("gpu-program", runtime);
    _cleanup_agent_ struct agent *agent = gpu_watch();
    size_t launches = 10;
    gpu_do(gpu, "10 launch");
    for (unsigned i = 0; i < 300; i++) {
        unsigned times = 1 + i % 2;
        gpu_do(gpu, format_text("%u launch_deep x %u %u", times, i * 7 % 11, i * 5 % 3 % 2));
        launches += times;
    }
    expect(agent, LAUNCHES, (double)launches);
    gpu_stop(gpu);
}

Test(cuda, both_layers_in_turns)
{
    expect_mixture_counted(".");
}

Test(cuda, both_layers_in_turns_where_one_hides_the_other)
{
    expect_mixture_counted("table");
}

Test(cuda, threads)
{
    struct gpu *gpu = start_loaded("gpu-program", ".");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(gpu, "1 threads x 8 500");
    expect(agent, LAUNCHES, 4000);
    expect(agent, COPIED, 400000);
    expect(agent, ALLOCATIONS, 4000);
    expect(agent, ALLOCATED, 4000 * 4096);
    expect(agent, FREES, 4000);
    expect(agent, FREED, 4000 * 4096);
    expect(agent, IN_USE, 0);
    gpu_stop(gpu);
}

// --- Time ---

Test(cuda, time_to_wait)
{
    struct gpu *gpu = start_loaded("gpu-program", ".");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(gpu, "1 waits x 20000");
    static const char *const scopes[] = {"device", "stream", "event"};
    for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
        double own = (double)gpu_do(gpu, format_text("20 wait %s", scopes[i])) / 1e9;
        double measured = gpu_metric(agent, WAITS "_sum", "scope", scopes[i]);
        cr_expect(measured > own * 0.95 && measured < own * 1.05, "%s: %f and %f s", scopes[i], measured,
                  own);
    }
    gpu_stop(gpu);
}

// --- Memory ---

static void expect_memory_counted(const char *runtime)
{
    struct gpu *gpu = start_loaded("gpu-program", runtime);
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(gpu, "3 allocate x 1000", "1 allocate_managed x 500", "1 allocate_rows x 100 10",
       "2 allocate_async x 300", "1 driver_allocate x 64", "1 driver_handle x 4096 1",
       "1 driver_handle x 8192 2");
    // A handle of the host's memory is none of the GPU's, and a row is as long as the driver says.
    expect(agent, ALLOCATIONS, 9);
    expect(agent, ALLOCATED, 3000 + 500 + 5120 + 600 + 64 + 4096);
    expect(agent, IN_USE, 3000 + 500 + 5120 + 600 + 64 + 4096);
    // What fails changes nothing.
    DO(gpu, "1 fail x 1", "4 allocate x 77", "2 free", "1 free_nothing", "2 copy x 100 1", "1 wait stream",
       "1 graph", "1 fail x 0");
    expect(agent, IN_USE, 3000 + 500 + 5120 + 600 + 64 + 4096);
    expect(agent, ALLOCATED, 3000 + 500 + 5120 + 600 + 64 + 4096);
    expect_of(agent, ERRORS, "operation", "allocate", 4);
    expect_of(agent, ERRORS, "operation", "free", 3);
    expect_of(agent, ERRORS, "operation", "copy", 2);
    expect_of(agent, ERRORS, "operation", "synchronize", 1);
    expect_of(agent, ERRORS, "operation", "graph_launch", 1);
    expect(agent, COPIED, 0);
    DO(gpu, "1 free", "1 free", "1 free", "1 free_nothing", "1 free_unknown"); // both handles, and 64
    expect(agent, IN_USE, 3000 + 500 + 5120 + 600);
    expect(agent, FREED, 4096 + 64);
    DO(gpu, "7 free");
    expect(agent, IN_USE, 0);
    // The same addresses come again.
    DO(gpu, "50 allocate x 10", "50 free", "50 allocate x 20");
    expect(agent, IN_USE, 1000);
    DO(gpu, "50 free");
    expect(agent, IN_USE, 0);
    gpu_stop(gpu);
}

Test(cuda, memory)
{
    expect_memory_counted(".");
}

Test(cuda, memory_of_a_runtime_that_hides_the_driver)
{
    expect_memory_counted("table");
}

Test(cuda, memory_goes_with_its_process)
{
    struct gpu *first = start_loaded("gpu-program", "."), *second = start_loaded("gpu-program", ".");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(first, "10 allocate x 1000");
    DO(second, "10 allocate x 100");
    expect(agent, IN_USE, 11000);
    expect(agent, PROCESSES, 2);
    gpu_stop(first);
    expect(agent, IN_USE, 1000);
    expect(agent, PROCESSES, 1);
    gpu_do(second, "1 hang");
    gpu_kill(second);
    gpu_wait_gone(agent, IN_USE);
    expect(agent, ALLOCATIONS, 20);
}

Test(cuda, memory_goes_with_its_context)
{
    struct gpu *gpu = start_loaded("gpu-program", ".");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(gpu, "2 device x 1", "10 allocate x 1000", "1 fail x 1", "1 reset", "1 fail x 0");
    expect(agent, IN_USE, 10000);
    DO(gpu, "1 reset");
    expect(agent, IN_USE, 0);
    DO(gpu, "2 allocate x 300");
    expect(agent, IN_USE, 600);
    // Of a second device: which of them lost its memory is not known then.
    DO(gpu, "1 device x 1", "1 device x 2", "1 allocate x 5");
    expect(agent, IN_USE, 605);
    DO(gpu, "1 reset");
    expect_of(agent, PROCESSES, "seen", "unknown", 1);
    gpu_wait_gone(agent, IN_USE);
    gpu_stop(gpu);
}

Test(cuda, memory_goes_with_the_drivers_context)
{
    struct gpu *gpu = start_loaded("gpu-program", ".");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(gpu, "1 context", "3 driver_allocate x 1000", "2 driver_handle x 10 1", "1 context_destroy");
    expect(agent, ALLOCATED, 3020);
    expect(agent, IN_USE, 0);
    gpu_stop(gpu);
}

// Who has begun when the probes were there has no memory that nobody knows of.
Test(cuda, whole_and_part)
{
    const char *folder = gpu_folder(".");
    struct gpu *older = gpu_start(gpu_path("gpu-program"), folder, NULL);
    gpu_do(older, "1 allocate x 1000000");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    struct gpu *younger = gpu_start(gpu_path("gpu-program"), folder, NULL);
    DO(older, "1 allocate x 10");
    DO(younger, "1 allocate x 100");
    expect_of(agent, IN_USE, "seen", "part", 10);
    expect_of(agent, IN_USE, "seen", "whole", 100);
    gpu_stop(older);
    gpu_stop(younger);
}

// --- Beginnings ---

Test(cuda, program_starts_later)
{
    _cleanup_agent_ struct agent *agent = gpu_watch();
    struct gpu *gpu = gpu_start(gpu_path("gpu-program"), gpu_folder("."), NULL);
    gpu_wait_seen(gpu, agent);
    double before = gpu_metric(agent, LAUNCHES, NULL, NULL);
    DO(gpu, "100 launch");
    expect(agent, LAUNCHES, before + 100);
    gpu_stop(gpu);
}

// With so many names of functions that no more than two such libraries are read in a second.
static void map_large_library(const char *path)
{
    struct elf_file file;
    elf_file_make(&file);
    file.sections[2].sh_offset = 1 << 20;
    file.sections[2].sh_size = 63 << 20;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);
    cr_assert(fd >= 0 && ftruncate(fd, 64 << 20) == 0 && write(fd, &file, sizeof(file)) == sizeof(file));
    cr_assert_neq(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0), MAP_FAILED);
}

// What had to wait for others is looked at as soon as there is time, and until then it says so.
Test(cuda, much_to_read_at_the_start)
{
    for (unsigned i = 0; i < 4; i++)
        map_large_library(test_path("libcudart.so.%u", i));
    struct gpu *gpu = start_loaded("gpu-program", ".");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(gpu, "3 launch", "2 driver_launch_config");
    expect(agent, LAUNCHES, 5);
    cr_expect_eq(agent_metric(agent, "inferscope_probe_files_put_off", NULL), 0);
    gpu_stop(gpu);
}

// By dlopen(), when the agent has long looked at the process.
Test(cuda, libraries_are_loaded_late)
{
    struct gpu *gpu = gpu_start(gpu_path("gpu-program"), gpu_folder("."), NULL);
    _cleanup_agent_ struct agent *agent = gpu_watch();
    gpu_wait_seen(gpu, agent);
    double before = gpu_metric(agent, LAUNCHES, NULL, NULL);
    DO(gpu, "100 launch");
    expect(agent, LAUNCHES, before + 100);
    gpu_stop(gpu);
}

// As in a container: nothing of it can be reached by a path of the agent's.
Test(cuda, program_in_a_root_of_its_own)
{
    static const char *const needed[] = {
        "/lib64/ld-linux-x86-64.so.2",      "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/ld-linux-aarch64.so.1",       "/lib/aarch64-linux-gnu/libc.so.6",
        "/lib/x86_64-linux-gnu/libdl.so.2", "/lib/x86_64-linux-gnu/libpthread.so.0",
    };
    const char *root = test_path("root");
    cr_assert_eq(run_program("/bin/mkdir", "-p", format_text("%s/gpu", root), NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        char folder[256];
        snprintf(folder, sizeof(folder), "%s%s", root, needed[i]);
        *strrchr(folder, '/') = '\0';
        if (access(needed[i], R_OK))
            continue;
        cr_assert_eq(run_program("/bin/mkdir", "-p", folder, NULL), 0);
        copy_file(needed[i], format_text("%s%s", root, needed[i]));
    }
    static const char *const own[] = {"libcuda.so.1", "libnccl.so.2", "libcudart.so.13", "gpu-program"};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        copy_file(gpu_path(own[i]), format_text("%s/gpu/%s", root, own[i]));
    struct gpu *gpu = gpu_start("/gpu/gpu-program", "/gpu", root);
    gpu_do(gpu, "1 load");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(gpu, "10 launch", "2 allocate x 50");
    expect(agent, LAUNCHES, 10);
    expect(agent, IN_USE, 100);
    gpu_stop(gpu);
}

// --- Many, and ends ---

static double descriptors(struct agent *agent)
{
    return agent_metric(agent, "process_open_fds", NULL);
}

Test(cuda, many_short_processes_share_a_library)
{
    enum { MANY = 200 };
    const char *folder = gpu_folder("."), *program = gpu_path("gpu-program");
    struct gpu *first = gpu_start(program, folder, NULL);
    gpu_do(first, "1 load");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(first, "1 launch", "1 allocate x 10");
    expect(agent, IN_USE, 10);
    double before = descriptors(agent);
    for (size_t i = 0; i < MANY; i++)
        cr_assert_eq(run_program("/bin/sh", "-c",
                                 format_text("exec %s %s '3 launch' '2 allocate x 100' '1 free' "
                                             "'1 copy x 10 1' </dev/null >/dev/null",
                                             program, folder),
                                 NULL),
                     0);
    expect(agent, LAUNCHES, 1 + 3 * MANY);
    expect(agent, ALLOCATIONS, 1 + 2 * MANY);
    expect(agent, FREED, 100 * MANY);
    expect(agent, COPIED, 10 * MANY);
    expect(agent, IN_USE, 10);
    expect(agent, PROCESSES, 1);
    // Others may bring libraries of their own meanwhile.
    cr_expect_lt(descriptors(agent), before + 60);
    gpu_stop(first);
}

// Inside of a call, whose return never comes.
Test(cuda, process_is_killed_while_it_waits)
{
    struct gpu *gpu = start_loaded("gpu-program", "."), *other = start_loaded("gpu-program", ".");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    DO(gpu, "2 wait device", "1 allocate x 10", "1 hang");
    gpu_kill(gpu);
    gpu_wait_gone(agent, IN_USE);
    DO(other, "3 wait device");
    expect(agent, WAITS "_count", 5);
    gpu_stop(other);
}

Test(cuda, nobody_asks)
{
    _cleanup_agent_ struct agent *agent = agent_start(RULES_BUILT_IN, NULL);
    cr_expect_neq(agent_metric(agent, "inferscope_source_up", "source", "cuda", NULL), 1);
}
