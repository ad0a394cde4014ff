// The built-in rules against the real thing: what they are for alerts, and what resembles it does not. Other
// processes of the machine may set them off too, so each test's own carry a word that nobody else uses.
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

static struct agent *agent;
static const char *own_word;

static void setup(void)
{
    test_setup();
    own_word = format_text("word-%d", getpid());
    agent = agent_start(RULES_BUILT_IN, NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(builtin, .init = setup, .fini = teardown);

static int run_without_terminal(const void *shell)
{
    setsid();
    execl(shell, shell, own_word, NULL);
    return 1;
}

Test(builtin, shell_at_a_terminal)
{
    in_child(run_without_terminal, actor_copy("sh"));
    const char *shell = actor_copy("bash");
    int terminal;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        execl(shell, shell, own_word, NULL);
        _exit(127);
    }
    cr_assert_eq(wait_for_exit(pid), 0);
    close(terminal);
    json_t *alert = agent_wait_alert(agent, "Interactive shell on the node", "proc.cmdline",
                                     format_text("bash %s", own_word), "proc.pname", "integration",
                                     "user.name", "root", NULL);
    cr_expect_str_neq(alert_field(alert, "proc.tty"), "0");
    cr_expect_eq(agent_count_alerts(agent, "Interactive shell on the node", "proc.cmdline",
                                    format_text("sh %s", own_word), NULL),
                 0);
}

Test(builtin, shell_of_an_inference_server)
{
    const char *server = actor_copy("llama-server"), *between = actor_copy("worker"),
               *shell = actor_copy("sh");
    cr_assert_eq(run_program(between, "spawn", shell, own_word, "quiet", NULL), 0);
    cr_assert_eq(run_program(server, "spawn", between, "spawn", shell, own_word, NULL), 0);
    agent_wait_alert(agent, "Shell started by an inference server", "proc.cmdline",
                     format_text("sh %s", own_word), "proc.pname", "worker", "proc.aname[2]", "llama-server",
                     NULL);
    cr_expect_eq(agent_count_alerts(agent, "Shell started by an inference server", "proc.cmdline",
                                    format_text("sh %s quiet", own_word), NULL),
                 0);
}

Test(builtin, passwords_are_read)
{
    const char *reader = actor_copy("cat"), *liar = actor_copy("sshd");
    cr_assert_eq(run_program(reader, "open", "/etc/passwd", "open", "/etc/shadow", own_word, NULL), 0);
    agent_wait_alert(agent, "Credential file read", "fd.name", "/etc/shadow", "proc.name", "cat",
                     "proc.exepath", reader, NULL);
    cr_expect_eq(agent_count_alerts(agent, "Credential file read", "proc.exepath", reader, NULL), 1);
    // A trusted name makes nobody trusted.
    cr_assert_eq(run_program(liar, "open", "/etc/shadow", NULL), 0);
    agent_wait_alert(agent, "Credential file read", "fd.name", "/etc/shadow", "proc.exepath", liar, NULL);
}

// In a network namespace without any route nothing leaves, but the attempt is there to be seen.
static int connect_away(const void *shell)
{
    if (unshare(CLONE_NEWNET))
        return 2;
    execl(shell, shell, "connect", "127.0.0.1", "4444", "connect", "192.0.2.7", "4444", own_word, NULL);
    return 1;
}

Test(builtin, shell_connects_to_another_machine)
{
    in_child(connect_away, actor_copy("bash"));
    const char *command = format_text("bash connect 127.0.0.1 4444 connect 192.0.2.7 4444 %s", own_word);
    agent_wait_alert(agent, "Network connection made by a shell", "fd.sip", "192.0.2.7", "fd.sport", "4444",
                     "fd.l4proto", "tcp", "proc.cmdline", command, NULL);
    cr_expect_eq(
        agent_count_alerts(agent, "Network connection made by a shell", "proc.cmdline", command, NULL), 1);
}

// Something else is mounted there first, in a namespace of its own: the machine's programs are left alone.
static int change_programs(const void *path)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", "/bin", "tmpfs", 0, NULL))
        return 2;
    return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755) < 0;
}

Test(builtin, program_is_changed)
{
    char directory[PATH_MAX];
    cr_assert(realpath("/bin", directory));
    const char *path = format_text("%s/%s", directory, own_word);
    in_child(change_programs, path);
    agent_wait_alert(agent, "Program file changed", "fd.name", path, "proc.name", "integration", NULL);
}

static int run_from_memory(const void *shell)
{
    int fd = memfd_create("payload", MFD_CLOEXEC);
    _cleanup_close_ int file = open(shell, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || file < 0 || sendfile(fd, file, NULL, 1 << 30) <= 0)
        return 1;
    char *arguments[] = {(char *)"payload", (char *)own_word, NULL};
    fexecve(fd, arguments, environ);
    return 1;
}

Test(builtin, program_in_memory)
{
    in_child(run_from_memory, actor_copy("source"));
    agent_wait_alert(agent, "Program run from memory", "proc.exepath", "memfd:payload", "proc.pname",
                     "integration", NULL);
}

// As a reverse shell does: the connection becomes what the shell reads. In a network of its own, where an
// address of other machines leads back.
static int take_connection(const void *unused)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    inet_pton(AF_INET, "203.0.113.7", &to.sin_addr);
    if (unshare(CLONE_NEWNET) || run_program("ip", "link", "set", "lo", "up", NULL) ||
        run_program("ip", "addr", "add", "203.0.113.7/32", "dev", "lo", NULL))
        return 1;
    socklen_t length = sizeof(to);
    _cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    _cleanup_close_ int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(listener, (struct sockaddr *)&to, length) || listen(listener, 1) ||
           getsockname(listener, (struct sockaddr *)&to, &length) ||
           connect(client, (struct sockaddr *)&to, length) || dup2(client, 0) != 0;
}

Test(builtin, connection_becomes_input)
{
    in_child(take_connection, NULL);
    json_t *alert = agent_wait_alert(agent, "Network connection given to a program", "proc.name",
                                     "integration", "proc.pname", "integration", NULL);
    cr_expect(strstr(alert_field(alert, "fd.name"), "->203.0.113.7:"), "%s", alert_field(alert, "fd.name"));
}

Test(builtin, link_to_the_passwords)
{
    const char *link = test_path("innocent");
    cr_assert_eq(symlink("/etc/shadow", link), 0);
    agent_wait_alert(agent, "Credential file linked", "fs.path.source", link, "fs.path.target", "/etc/shadow",
                     NULL);
}

static int trace_parent(const void *pid)
{
    const pid_t *whom = pid;
    return ptrace(PTRACE_SEIZE, *whom, NULL, NULL) ? 1 : 0;
}

Test(builtin, process_is_traced)
{
    int stdin_fd;
    pid_t victim = start_waiting(&stdin_fd, actor_copy("victim"), "wait", NULL);
    in_child(trace_parent, &victim);
    agent_wait_alert(agent, "Process traced", "evt.arg.pid", format_text("%d", victim), "evt.arg.request",
                     "PTRACE_SEIZE", "proc.name", "integration", NULL);
    close(stdin_fd);
    cr_expect_eq(wait_for_exit(victim), 0);
}
