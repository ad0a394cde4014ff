// Sources `cuda` and `nccl`, on what NVIDIA ships, where that is installed. Without a GPU its calls fail, but
// they are calls.
#include "gpu.h"
#include "pod.h"

#include <stdio.h>
#include <unistd.h>

TestSuite(cuda_real, POD_SUITE, .timeout = 180);

#define LAUNCHES "gpu_cuda_kernel_launch_calls_total"
#define ALLOCATIONS "inferscope_cuda_allocation_calls_total"
#define ERRORS "inferscope_cuda_errors_total"

static const char *installed(const char *const *paths)
{
    for (size_t i = 0; paths[i]; i++)
        if (access(paths[i], R_OK) == 0)
            return paths[i];
    cr_skip_test("%s is not installed", paths[0]);
    return NULL;
}

static void expect(struct agent *agent, const char *name, double value)
{
    double is = gpu_metric(agent, name, NULL, NULL);
    cr_expect_eq(is, value, "%s is %.0f, not %.0f", name, is, value);
}

// It finds a driver that is none.
Test(cuda_real, runtime_as_a_library)
{
    static const char *const paths[] = {"/usr/local/cuda/lib64/libcudart.so.13",
                                        "/usr/local/cuda/lib64/libcudart.so.12", NULL};
    const char *runtime = installed(paths), *folder = gpu_folder(".");
    copy_file(runtime, format_text("%s/libcudart.so.13", folder));
    struct gpu *gpu = gpu_start(gpu_path("gpu-program"), folder, NULL);
    gpu_do(gpu, "1 load");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    gpu_do(gpu, "3 launch");
    gpu_do(gpu, "4 launch_config");
    gpu_do(gpu, "5 allocate x 100");
    gpu_do(gpu, "6 copy x 100 1");
    gpu_do(gpu, "2 wait device");
    expect(agent, LAUNCHES, 7);
    expect(agent, ALLOCATIONS, 5);
    expect(agent, ERRORS, 5 + 6 + 2);
    gpu_stop(gpu);
}

// As nvcc links programs unless it is told otherwise.
Test(cuda_real, runtime_inside_of_a_program_of_nvcc)
{
    static const char *const paths[] = {"/usr/local/cuda/bin/nvcc", "/usr/bin/nvcc", NULL};
    const char *nvcc = installed(paths), *source = test_path("program.cu"), *program = test_path("program");
    _cleanup_free_ char *output = NULL;
    write_file(source, "#include <cstdio>\n"
                       "__global__ void nothing() {}\n"
                       "int main()\n"
                       "{\n"
                       "    char line[64];\n"
                       "    void *memory;\n"
                       "    while (fgets(line, sizeof(line), stdin)) {\n"
                       "        nothing<<<1, 1>>>();\n"
                       "        cudaMalloc(&memory, 100);\n"
                       "        puts(\"0\");\n"
                       "        fflush(stdout);\n"
                       "    }\n"
                       "}\n");
    if (run_captured(&output, nvcc, "-o", program, source, NULL))
        cr_skip_test("nvcc does not work here: %.200s", output);
    struct gpu *gpu = gpu_start(program, "", NULL);
    gpu_do(gpu, "");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    for (int i = 0; i < 20; i++)
        gpu_do(gpu, "");
    expect(agent, LAUNCHES, 20);
    expect(agent, ALLOCATIONS, 20);
    gpu_stop(gpu);
}

// Which finds that there is no communicator.
Test(cuda_real, nccl)
{
    static const char *const paths[] = {"/usr/local/cuda/lib64/libnccl.so.2",
                                        "/usr/lib/x86_64-linux-gnu/libnccl.so.2", NULL};
    const char *nccl = installed(paths), *folder = gpu_folder("."),
               *library = format_text("%s/libnccl.so.2", folder);
    cr_assert(unlink(library) == 0 && symlink(nccl, library) == 0);
    struct gpu *gpu = gpu_start(gpu_path("gpu-program"), folder, NULL);
    gpu_do(gpu, "1 load");
    _cleanup_agent_ struct agent *agent = gpu_watch();
    gpu_do(gpu, "3 nccl all_reduce 100 7");
    gpu_do(gpu, "2 nccl bcast 100 7");
    expect(agent, "inferscope_nccl_calls_total", 5);
    expect(agent, "inferscope_nccl_errors_total", 5);
    gpu_stop(gpu);
}
