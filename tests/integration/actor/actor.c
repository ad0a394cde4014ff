// A small static program that does what a test tells it, one word after the other; it needs no library, so it
// also runs in an empty container and under any name:
//   wait             says so by a byte on stdout, then waits for a byte or the end of stdin
//   hold             waits for the end of stdin, silently
//   stay             waits until it is killed
//   dup              copies its standard output's descriptor
//   name NAME        gives itself that name (prctl)
//   open PATH        opens a file for reading
//   connect ADDR PORT  connects a TCP socket, IPv4
//   exec PROGRAM …   becomes that program
//   spawn PROGRAM …  runs it as a child and waits for it
//   orphan PROGRAM … leaves a child behind that becomes the program when its parent has exited
// Any other word ends it with exit code 0, as `sh -c …` should.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int act_wait(void)
{
    char byte;
    return write(1, ".", 1) == 1 && read(0, &byte, 1) >= 0 ? 0 : 1;
}

static void act_hold(void)
{
    char byte;
    while (read(0, &byte, 1) > 0)
        ;
}

static void act_open(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd >= 0)
        close(fd);
}

static void act_connect(const char *address, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    inet_pton(AF_INET, address, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    connect(fd, (struct sockaddr *)&to, sizeof(to));
    close(fd);
}

static int act_spawn(char **arguments)
{
    pid_t pid = fork();
    if (pid == 0) {
        execv(arguments[0], arguments);
        _exit(127);
    }
    int status;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int act_orphan(char **arguments)
{
    int ends[2];
    char byte;
    if (pipe(ends))
        return 1;
    if (fork() == 0) {
        close(ends[1]);
        // Ends when the parent, which holds the other end, is gone.
        if (read(ends[0], &byte, 1) == 0)
            execv(arguments[0], arguments);
        _exit(127);
    }
    return 0;
}

int main(int argc, char **argv)
{
    for (char **word = argv + 1; *word; word++) {
        if (strcmp(*word, "wait") == 0) {
            if (act_wait())
                return 1;
        } else if (strcmp(*word, "hold") == 0) {
            act_hold();
        } else if (strcmp(*word, "stay") == 0) {
            for (;;)
                pause();
        } else if (strcmp(*word, "dup") == 0) {
            dup2(1, 100);
        } else if (strcmp(*word, "name") == 0 && word[1]) {
            prctl(PR_SET_NAME, *++word);
        } else if (strcmp(*word, "open") == 0 && word[1]) {
            act_open(*++word);
        } else if (strcmp(*word, "connect") == 0 && word[1] && word[2]) {
            act_connect(word[1], word[2]);
            word += 2;
        } else if (strcmp(*word, "exec") == 0 && word[1]) {
            execv(word[1], word + 1);
            return 127;
        } else if (strcmp(*word, "spawn") == 0 && word[1]) {
            return act_spawn(word + 1);
        } else if (strcmp(*word, "orphan") == 0 && word[1]) {
            return act_orphan(word + 1);
        } else {
            return 0;
        }
    }
    return 0;
}
