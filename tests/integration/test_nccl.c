// Source `nccl`, on a library that stands in for NCCL (tests/stand-in).
#include "gpu.h"
#include "pod.h"

TestSuite(nccl, POD_SUITE, .timeout = 180);

#define CALLS "inferscope_nccl_calls_total"
#define BYTES "inferscope_nccl_bytes_total"
#define FAILED "inferscope_nccl_errors_total"

static void expect_of(struct agent *agent, const char *name, const char *operation, double value)
{
    double is = gpu_metric(agent, name, "operation", operation);
    cr_expect_eq(is, value, "%s of %s is %.0f, not %.0f", name, operation, is, value);
}

static struct gpu *start_loaded(void)
{
    struct gpu *gpu = gpu_start(gpu_path("gpu-program"), gpu_folder("."), NULL);
    gpu_do(gpu, "1 load");
    return gpu;
}

Test(nccl, calls_and_bytes)
{
    struct gpu *gpu = start_loaded();
    _cleanup_agent_ struct agent *agent = gpu_watch();
    static const struct {
        const char *command, *operation;
        double calls, bytes;
    } cases[] = {
        {"3 nccl all_reduce 100 7", "all_reduce", 3, 3 * 400},
        {"2 nccl broadcast 10 8", "broadcast", 2, 2 * 80},
        {"4 nccl bcast 5 6", "broadcast", 6, 2 * 80 + 4 * 10}, // calls the other one inside
        {"1 nccl reduce 7 0", "reduce", 1, 7},
        {"1 nccl all_gather 7 9", "all_gather", 1, 14},
        {"1 nccl reduce_scatter 9 11", "reduce_scatter", 1, 9},
        {"5 nccl send 3 4", "send", 5, 5 * 24},
        {"6 nccl recv 3 2", "recv", 6, 6 * 12},
        {"2 nccl all_to_all 8 7", "all_to_all", 2, 2 * 32},
        {"1 nccl all_reduce 100 99", "all_reduce", 4, 3 * 400}, // of a type that is not known
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        gpu_do(gpu, cases[i].command);
        expect_of(agent, CALLS, cases[i].operation, cases[i].calls);
        expect_of(agent, BYTES, cases[i].operation, cases[i].bytes);
        expect_of(agent, FAILED, cases[i].operation, 0);
    }
    gpu_stop(gpu);
}

Test(nccl, failures)
{
    struct gpu *gpu = start_loaded();
    _cleanup_agent_ struct agent *agent = gpu_watch();
    gpu_do(gpu, "1 nccl_result x 3");
    gpu_do(gpu, "4 nccl send 3 4");
    // A communicator that does not block says that it goes on, which is no failure.
    gpu_do(gpu, "1 nccl_result x 7");
    gpu_do(gpu, "2 nccl send 3 4");
    expect_of(agent, CALLS, "send", 6);
    expect_of(agent, FAILED, "send", 4);
    expect_of(agent, BYTES, "send", 2 * 24);
    gpu_stop(gpu);
}
