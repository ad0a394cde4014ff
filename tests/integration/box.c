#include "box.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *root;
static bool imported, has_podman;
static pid_t daemon_pid;

static const char *const programs[] = {"sh", "python3", "stranger"};

static void make(const char *path)
{
    cr_assert_eq(run_program("mkdir", "-p", path, NULL), 0);
}

void box_setup(void)
{
    test_setup();
    // Not in the test's directory: podman wants it short.
    root = format_text("/run/box-%d", getpid());
    imported = has_podman = false;
    daemon_pid = 0;
    make(test_path("image/etc/secrets"));
    make(format_text("%s/etc", root));
    write_file(format_text("%s/etc/passwd", root), "root:x:0:0:root:/root:/bin/sh\n");
    write_file(test_path("image/etc/secrets/key"), "secret");
    write_file(test_path("image/etc/passwd"), "root:x:0:0:root:/:/sh\n");
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
        copy_file(actor_copy(programs[i]), test_path("image/%s", programs[i]));
}

const char *box_root(void)
{
    return root;
}

const char *box_name(const char *what)
{
    return format_text("llm-research-lab-%s-%d", what, getpid());
}

int box_shell(const char *command, const char **ret_output)
{
    char *output = NULL;
    int code = run_captured(&output, "sh", "-c", command, NULL);
    *ret_output = format_text("%s", output);
    free(output);
    return code;
}

const char *box_command(const char *name, box_run_fn run, const char *format, va_list args)
{
    char *arguments = NULL;
    const char *output;
    cr_assert_geq(vasprintf(&arguments, format, args), 0);
    int code = run(arguments, &output);
    cr_assert_eq(code, 0, "%s %s: %d: %s", name, arguments, code, output);
    free(arguments);
    return output;
}

void box_import(const char *name, box_run_fn run, const char *import, const char *run_words)
{
    const char *output;
    cr_assert_eq(run_program("tar", "-C", test_path("image"), "-cf", test_path("image.tar"), ".", NULL), 0);
    int code = run(format_text("%s --change 'LABEL origin=image' --change 'LABEL team=nobody' %s %s:%s",
                               import, test_path("image.tar"), BOX_IMAGE, BOX_TAG),
                   &output);
    cr_assert_eq(code, 0, "%s import: %s", name, output);
    code = run(format_text("%s --rm %s:%s /stranger", run_words, BOX_IMAGE, BOX_TAG), &output);
    if (code)
        cr_skip_test("%s cannot run a container here: %s", name, output);
}

// --- podman ---

static int podman(const char *arguments, const char **ret_output)
{
    return box_shell(
        format_text("exec podman --root %s/var/lib/containers/storage --runroot %s/run/containers/storage "
                    "--tmpdir %s/run/libpod --runtime runc --cgroup-manager=cgroupfs --storage-driver=vfs "
                    "%s",
                    root, root, root, arguments),
        ret_output);
}

static void import_image(void)
{
    const char *output;
    if (box_shell("podman --version", &output))
        cr_skip_test("podman is not installed");
    has_podman = imported = true;
    box_import("podman", podman, "import -q", BOX_RUN);
}

const char *box_podman(const char *format, ...)
{
    if (!imported)
        import_image();
    va_list args;
    va_start(args, format);
    const char *output = box_command("podman", podman, format, args);
    va_end(args);
    return output;
}

// --- containerd ---

static int ctr(const char *arguments, const char **ret_output)
{
    return box_shell(format_text("exec ctr -a %s/containerd.sock %s", root, arguments), ret_output);
}

static pid_t start_daemon(void)
{
    const char *config = test_path("containerd.toml"), *log = test_path("containerd.log");
    write_file(config,
               format_text("version = 2\nroot = \"%s/var/lib/containerd\"\nstate = \"%s/run/containerd\"\n"
                           "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
                           "[grpc]\n  address = \"%s/containerd.sock\"\n",
                           root, root, root));
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        if (!freopen(log, "w", stderr))
            _exit(126);
        execlp("containerd", "containerd", "-c", config, NULL);
        _exit(127);
    }
    return pid;
}

static void prepare_containerd(void)
{
    const char *output;
    if (box_shell("containerd --version && ctr --version", &output))
        cr_skip_test("containerd is not installed");
    box_podman("save -q --format oci-archive -o %s %s:%s", test_path("image.oci"), BOX_IMAGE, BOX_TAG);
    daemon_pid = start_daemon();
    // ctr waits for the socket by itself, but not for the file.
    box_shell(
        format_text("for i in $(seq 600); do [ -S %s/containerd.sock ] && exit 0; sleep 0.1; done; exit 1",
                    root),
        &output);
    if (ctr("version", &output))
        cr_skip_test("containerd does not start here: %s", read_whole_file(test_path("containerd.log")));
}

const char *box_ctr(const char *format, ...)
{
    if (!daemon_pid)
        prepare_containerd();
    va_list args;
    va_start(args, format);
    const char *output = box_command("ctr", ctr, format, args);
    va_end(args);
    return output;
}

void box_teardown(void)
{
    const char *output;
    box_docker_teardown();
    if (daemon_pid) {
        box_shell(
            format_text(
                "for ns in default k8s.io; do for t in $(ctr -a %s/containerd.sock -n $ns task ls -q); do "
                "ctr -a %s/containerd.sock -n $ns task kill -s KILL $t; "
                "ctr -a %s/containerd.sock -n $ns task rm -f $t; done; done",
                root, root, root),
            &output);
        kill(daemon_pid, SIGTERM);
        wait_for_exit(daemon_pid);
    }
    if (has_podman) {
        podman("rm -fa -t0", &output);
        // What podman has mounted for itself.
        box_shell(format_text("umount -l %s/var/lib/containers/storage/vfs", root), &output);
    }
    // What podman runs when a container has ended may still write there.
    if (root)
        box_shell(format_text(
                      "for i in $(seq 100); do rm -rf --one-file-system %s && exit 0; sleep 0.1; done", root),
                  &output);
    test_teardown();
}
