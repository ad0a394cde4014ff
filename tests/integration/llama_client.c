#include "llama_client.h"

#include "pod.h"
#include "servers.h"
#include "tests/servers/root.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/sched.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *llama_name(void)
{
    return format_text("llama-%d", getpid());
}

// A copy of the program and a model, in the test's own folder, which is /mnt in a root.
static void make_files(void)
{
    const char *program = test_path("%s", llama_name());
    if (access(program, X_OK) == 0)
        return;
    copy_file(program_beside("llama-client"), program);
    cr_assert_eq(root_write_model(test_path("tiny.gguf")), 0);
}

static const char *node_library(void)
{
    _cleanup_free_ char *failure = read_whole_file("build/servers/llama.failure");
    char path[PATH_MAX];
    glob_t found;
    if (failure)
        cr_skip_test("tests/servers/fetch-llama has failed: %s", failure);
    if (glob("build/servers/llama/libllama.v*.so", 0, NULL, &found) || !realpath(found.gl_pathv[0], path))
        cr_skip_test("there is no other llama.cpp here: tests/servers/fetch-llama build/servers gets it");
    globfree(&found);
    return format_text("%s", path);
}

static const char *debian_library(const char *root)
{
    glob_t found;
    cr_assert_eq(glob(format_text("%s/usr/lib/*/libllama.so.0", root), 0, NULL, &found), 0);
    const char *path = format_text("%s", found.gl_pathv[0] + strlen(root));
    globfree(&found);
    return path;
}

// fork(), for a process of that number; 0: any.
static pid_t fork_as(pid_t number)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = 1};
    return number ? (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments)) : fork();
}

struct llama_client *llama_start_as(pid_t number, enum llama_kind kind, const char *commands)
{
    const char *root = kind == LLAMA_DEBIAN ? servers_root() : NULL;
    const char *library = root ? debian_library(root) : node_library();
    make_files();
    const char *folder = root ? "/mnt" : test_dir(), *arguments[16];
    size_t count = 0;
    arguments[count++] = format_text("%s/%s", folder, llama_name());
    arguments[count++] = library;
    arguments[count++] = format_text("%s/tiny.gguf", folder);
    char *rest = format_text("%s", commands);
    size_t given = 0;
    for (char *command; *commands && (command = strsep(&rest, ","));) {
        arguments[count++] = command;
        given++;
    }
    arguments[count] = NULL;

    int to[2], from[2];
    cr_assert(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    struct llama_client *client = calloc(1, sizeof(*client));
    cr_assert(client);
    client->pid = fork_as(number);
    cr_assert_geq(client->pid, 0);
    if (client->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(to[0], 0);
        dup2(from[1], 1);
        int error = root ? root_enter(root, test_dir()) : 0;
        if (!error)
            execv(arguments[0], (char *const *)arguments);
        dprintf(2, "%s: %s\n", arguments[0], strerror(error ? -error : errno));
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    client->commands = fdopen(to[1], "w");
    client->answers = fdopen(from[0], "r");
    for (size_t i = 0; i < given; i++)
        llama_ask(client, NULL);
    return client;
}

struct llama_client *llama_start(enum llama_kind kind, const char *commands)
{
    return llama_start_as(0, kind, commands);
}

const char *llama_ask(struct llama_client *client, const char *command)
{
    static char line[256];
    if (command) {
        fprintf(client->commands, "%s\n", command);
        fflush(client->commands);
    }
    cr_assert(fgets(line, sizeof(line), client->answers), "llama-client has ended");
    line[strcspn(line, "\n")] = '\0';
    return line;
}

void llama_run(struct llama_client *client, int prompt, int steps, int sequences,
               struct llama_sum *ret_prefill, struct llama_sum *ret_decode)
{
    const char *line = llama_ask(client, format_text("run %d %d %d", prompt, steps, sequences));
    int read = sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                      &ret_prefill->calls, &ret_prefill->tokens, &ret_prefill->time_ns, &ret_decode->calls,
                      &ret_decode->tokens, &ret_decode->time_ns);
    cr_assert_eq(read, 6, "%s", line);
}

void llama_end(struct llama_client *client)
{
    fclose(client->commands); // the end of what it reads
    cr_expect_eq(wait_for_exit(client->pid), 0);
    fclose(client->answers);
    free(client);
}

void llama_kill(struct llama_client *client)
{
    kill(client->pid, SIGKILL);
    wait_for_exit(client->pid);
    fclose(client->commands);
    fclose(client->answers);
    free(client);
}

double llama_metric(const char *text, const char *name, const char *label, const char *value)
{
    double sum = metric_of(text, name, "k8s_container_name", pod_name(), label, value, NULL);
    return isnan(sum) ? 0 : sum;
}
