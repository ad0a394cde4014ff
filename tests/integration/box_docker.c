// Docker, with a daemon of the test's own: its data, its state and its socket lie below the root.
#include "box.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pid_t daemon_pid;
static const char *data_root;

// --privileged asks for each capability that there is, also where the machine itself has fewer.
static const char fewer[] = "#!/bin/sh\n"
                            "previous=\n"
                            "for word; do\n"
                            "    if [ \"$previous\" = --bundle ] && [ -f \"$word/config.json\" ]; then\n"
                            "        sed -i 's/\"CAP_SYS_RESOURCE\",//g' \"$word/config.json\"\n"
                            "    fi\n"
                            "    previous=$word\n"
                            "done\n"
                            "exec runc \"$@\"\n";

void box_docker_data_root(const char *path)
{
    data_root = path;
}

static int docker(const char *arguments, const char **ret_output)
{
    return box_shell(format_text("exec docker -H unix://%s/docker.sock %s", box_root(), arguments),
                     ret_output);
}

static pid_t start_daemon(void)
{
    const char *root = box_root(), *log = test_path("dockerd.log"), *runtime = test_path("fewer");
    // What it must not share with a daemon of the machine's own, and what a test machine may not allow.
    const char *command = format_text(
        "exec dockerd --config-file=%s --data-root=%s --exec-root=%s/run/docker --pidfile=%s/dockerd.pid "
        "--host=unix://%s/docker.sock --iptables=false --ip6tables=false --bridge=none --storage-driver=vfs "
        "--add-runtime=fewer=%s >%s 2>&1",
        test_path("daemon.json"), data_root, root, root, root, runtime, log);
    write_file(test_path("daemon.json"), "{}");
    write_file(runtime, fewer);
    cr_assert_eq(run_program("chmod", "755", runtime, NULL), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        execlp("sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    return pid;
}

static void prepare(void)
{
    const char *output;
    if (box_shell("dockerd --version && docker --version", &output))
        cr_skip_test("Docker is not installed");
    if (!data_root)
        data_root = format_text("%s/var/lib/docker", box_root());
    daemon_pid = start_daemon();
    box_shell(format_text("for i in $(seq 600); do docker -H unix://%s/docker.sock version && exit 0; "
                          "kill -0 %d || exit 1; sleep 0.1; done; exit 1",
                          box_root(), daemon_pid),
              &output);
    if (docker("version", &output))
        cr_skip_test("dockerd does not start here: %s", read_whole_file(test_path("dockerd.log")));
    box_import("docker", docker, "import", BOX_DOCKER_RUN);
}

const char *box_docker(const char *format, ...)
{
    if (!daemon_pid)
        prepare();
    va_list args;
    va_start(args, format);
    const char *output = box_command("docker", docker, format, args);
    va_end(args);
    return output;
}

void box_docker_teardown(void)
{
    const char *output;
    if (daemon_pid) {
        docker(format_text("rm -f $(docker -H unix://%s/docker.sock ps -aq)", box_root()), &output);
        kill(daemon_pid, SIGTERM);
        wait_for_exit(daemon_pid);
        // What it has mounted for itself.
        box_shell(format_text("umount -l %s/run/docker/netns/* %s/vfs", box_root(), data_root), &output);
    }
    daemon_pid = 0;
    data_root = NULL;
}
