#include "gpu.h"

#include "pod.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct gpu {
    pid_t pid;
    FILE *to;
    FILE *from;
};

const char *gpu_path(const char *name)
{
    // Beside bin/, or where a guest has everything.
    const char *built = program_beside(format_text("../stand-in/%s", name));
    return access(built, R_OK) == 0 ? built : program_beside(format_text("stand-in/%s", name));
}

const char *gpu_folder(const char *runtime)
{
    static unsigned count;
    const char *folder = test_path("gpu-%u", count++);
    cr_assert_eq(mkdir(folder, 0755), 0);
    copy_file(gpu_path("libcuda.so.1"), format_text("%s/libcuda.so.1", folder));
    copy_file(gpu_path("libnccl.so.2"), format_text("%s/libnccl.so.2", folder));
    copy_file(gpu_path(format_text("%s/libcudart.so.13", runtime)),
              format_text("%s/libcudart.so.13", folder));
    return folder;
}

struct gpu *gpu_start(const char *program, const char *folder, const char *root)
{
    int to[2], from[2];
    cr_assert(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    struct gpu *gpu = calloc(1, sizeof(*gpu));
    cr_assert(gpu);
    gpu->pid = fork();
    if (gpu->pid == 0) {
        // Who has to wait for the CPU between looking at the clock and a call takes the wait for the call's.
        setpriority(PRIO_PROCESS, 0, -20);
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        if (!root || (chroot(root) == 0 && chdir("/") == 0))
            execl(program, program, folder, NULL);
        _exit(127);
    }
    cr_assert_gt(gpu->pid, 0);
    close(to[0]);
    close(from[1]);
    gpu->to = fdopen(to[1], "w");
    gpu->from = fdopen(from[0], "r");
    cr_assert(gpu->to && gpu->from);
    return gpu;
}

uint64_t gpu_do(struct gpu *gpu, const char *command)
{
    char line[64];
    fprintf(gpu->to, "%s\n", command);
    fflush(gpu->to);
    cr_assert(fgets(line, sizeof(line), gpu->from), "no answer to \"%s\"", command);
    return strtoull(line, NULL, 10);
}

pid_t gpu_pid(const struct gpu *gpu)
{
    return gpu->pid;
}

static int end(struct gpu *gpu)
{
    int status = 0;
    fclose(gpu->to);
    cr_assert_eq(waitpid(gpu->pid, &status, 0), gpu->pid);
    fclose(gpu->from);
    free(gpu);
    return status;
}

void gpu_stop(struct gpu *gpu)
{
    cr_expect_eq(end(gpu), 0);
}

void gpu_kill(struct gpu *gpu)
{
    kill(gpu->pid, SIGKILL);
    end(gpu);
}

// --- What the agent says ---

struct agent *gpu_watch(void)
{
    struct agent *agent = agent_start(NULL, "--inference", NULL);
    if (agent_metric(agent, "inferscope_source_up", "source", "cuda", NULL) != 1) {
        agent_stop(agent);
        cr_skip_test("this kernel does not let programs be probed");
    }
    agent_wait_looked(agent);
    return agent;
}

static double metric(struct agent *agent, const char *name, const char *label, const char *value)
{
    return agent_metric(agent, name, "k8s_container_name", pod_name(), label, value, NULL);
}

double gpu_metric(struct agent *agent, const char *name, const char *label, const char *value)
{
    double number = metric(agent, name, label, value);
    for (time_t until = time(NULL) + DEADLINE_S; isnan(number) && time(NULL) < until;) {
        poll(NULL, 0, 50);
        number = metric(agent, name, label, value);
    }
    cr_assert_not(isnan(number), "there is no %s", name);
    return number;
}

void gpu_wait_gone(struct agent *agent, const char *name)
{
    for (time_t until = time(NULL) + DEADLINE_S; !isnan(metric(agent, name, NULL, NULL));) {
        cr_assert_lt(time(NULL), until, "there is %s still", name);
        poll(NULL, 0, 50);
    }
}

void gpu_wait_seen(struct gpu *gpu, struct agent *agent)
{
    static const char launches[] = "gpu_cuda_kernel_launch_calls_total";
    double before = metric(agent, launches, NULL, NULL), seen = before;
    for (time_t until = time(NULL) + DEADLINE_S; isnan(seen) || !(isnan(before) || seen > before);) {
        cr_assert_lt(time(NULL), until, "no launch is counted");
        gpu_do(gpu, "1 launch");
        poll(NULL, 0, 20);
        seen = metric(agent, launches, NULL, NULL);
    }
}
