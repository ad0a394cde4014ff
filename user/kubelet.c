#include "kubelet.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/series.h"
#include "pods.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PAUSE_MS = 5000, READS_MAX = 64 };

struct kubelet {
    pid_t pid; // 0: it does not run
    int config_fd, epoll_fd;
    int frames_fd, tell_fd; // our ends of the pipes
    uint64_t due_ms;        // when it is started again
    struct pods_frame head;
    size_t head_used;
    char *list; // what came of it, head.size bytes when it is whole
    size_t list_used;
    uint64_t results[PODS_RESULTS], left_out;
};

// --- What is exported ---

static const char *const result_names[] = {
    [PODS_LISTED] = "listed",       [PODS_NO_TOKEN] = "no_token", [PODS_UNREACHABLE] = "unreachable",
    [PODS_UNTRUSTED] = "untrusted", [PODS_REFUSED] = "refused",   [PODS_TOO_LARGE] = "too_large",
    [PODS_MALFORMED] = "malformed",
};

static struct kubelet *exported;

static void collect(struct series_writer *writer, void *context)
{
    static const struct series_family answers = {
        .name = "inferscope_kubelet_answers_total",
        .type = SERIES_COUNTER,
        .help = "Times the kubelet was asked for its pods, by what came of it",
    };
    static const struct series_family pods = {
        .name = "inferscope_kubelet_pods",
        .type = SERIES_GAUGE,
        .help = "Pods in the kubelet's last list",
    };
    static const struct series_family left_out = {
        .name = "inferscope_kubelet_pods_left_out_total",
        .type = SERIES_COUNTER,
        .help = "Pods of the kubelet's lists for which there was no room (16384 pods, 8 MiB)",
    };
    if (!exported)
        return;
    writer->family(writer, &answers);
    for (size_t i = 0; i < PODS_RESULTS; i++) {
        const struct label label = {"result", result_names[i]};
        writer->number(writer, &label, 1, (double)exported->results[i]);
    }
    writer->family(writer, &pods);
    writer->number(writer, NULL, 0, (double)pods_count());
    writer->family(writer, &left_out);
    writer->number(writer, NULL, 0, (double)exported->left_out);
}

// --- The process ---

static _Noreturn void become(const int *fds, pid_t agent)
{
    char *const arguments[] = {(char *)"agent", (char *)"kubelet", NULL};
    int copies[KUBELET_FDS_END];
    setsid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != agent)
        _exit(126);
    // An exec by root would give back what it has not, but for this; the program drops the rest.
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (int fd = KUBELET_CONFIG; fd < KUBELET_FDS_END; fd++)
        if ((copies[fd] = fcntl(fds[fd], F_DUPFD, KUBELET_FDS_END)) < 0)
            _exit(126);
    for (int fd = KUBELET_CONFIG; fd < KUBELET_FDS_END; fd++)
        if (dup2(copies[fd], fd) < 0)
            _exit(126);
    if (syscall(SYS_close_range, (unsigned)KUBELET_FDS_END, ~0u, 0))
        _exit(126);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", arguments);
    _exit(127);
}

static void forget_frame(struct kubelet *kubelet)
{
    free(kubelet->list);
    kubelet->list = NULL;
    kubelet->head_used = kubelet->list_used = 0;
}

// Pipes of its own for each process, so that what a dead one had half written is gone with it.
static int spawn(struct kubelet *kubelet)
{
    int frames[2], news[2];
    if (pipe2(frames, O_CLOEXEC))
        return -errno;
    if (pipe2(news, O_CLOEXEC)) {
        int error = -errno;
        close(frames[0]);
        close(frames[1]);
        return error;
    }
    _cleanup_close_ int frames_in = frames[0], frames_out = frames[1], news_in = news[0], news_out = news[1];
    const int fds[KUBELET_FDS_END] = {
        [KUBELET_CONFIG] = kubelet->config_fd, [KUBELET_FRAMES] = frames_out, [KUBELET_NEWS] = news_in};
    struct epoll_event event = {.events = EPOLLIN};
    pid_t agent = getpid();
    if (fcntl(frames_in, F_SETFL, O_NONBLOCK) || fcntl(news_out, F_SETFL, O_NONBLOCK) ||
        epoll_ctl(kubelet->epoll_fd, EPOLL_CTL_ADD, frames_in, &event))
        return -errno;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become(fds, agent);
    cleanup_close(&kubelet->frames_fd);
    cleanup_close(&kubelet->tell_fd);
    forget_frame(kubelet);
    kubelet->frames_fd = TAKE_FD(frames_in);
    kubelet->tell_fd = TAKE_FD(news_out);
    kubelet->pid = pid;
    return 0;
}

int kubelet_start(const struct config *config, const char *text, size_t size, bool asks,
                  struct kubelet **ret_kubelet)
{
    if (!config || !config->kubelet.url || !text)
        return 0;
    struct kubelet *kubelet _cleanup_(kubelet_stop) = calloc(1, sizeof(*kubelet));
    if (!kubelet)
        return -ENOMEM;
    kubelet->frames_fd = kubelet->tell_fd = -1;
    kubelet->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    kubelet->config_fd = memfd_create("agent.yaml", MFD_CLOEXEC);
    int error = 0;
    if (kubelet->epoll_fd < 0 || kubelet->config_fd < 0)
        error = -errno;
    else if (write(kubelet->config_fd, text, size) != (ssize_t)size)
        error = -EIO;
    static bool registered;
    if (!error && !registered)
        error = series_register(collect, NULL);
    registered = registered || !error;
    if (!error && asks)
        error = spawn(kubelet);
    if (error) {
        log_error("cannot start asking the kubelet: %s", strerror(-error));
        return error;
    }
    exported = kubelet;
    *ret_kubelet = TAKE_PTR(kubelet);
    return 0;
}

void kubelet_stop(struct kubelet **kubelet)
{
    struct kubelet *stopped = TAKE_PTR(*kubelet);
    if (!stopped)
        return;
    if (stopped->pid > 0) {
        kill(stopped->pid, SIGKILL);
        waitpid(stopped->pid, NULL, 0);
    }
    exported = NULL;
    cleanup_close(&stopped->config_fd);
    cleanup_close(&stopped->frames_fd);
    cleanup_close(&stopped->tell_fd);
    cleanup_close(&stopped->epoll_fd);
    forget_frame(stopped);
    free(stopped);
    pods_forget();
}

int kubelet_epoll_fd(const struct kubelet *kubelet)
{
    return kubelet ? kubelet->epoll_fd : -1;
}

void kubelet_reap(struct kubelet *kubelet)
{
    if (!kubelet || kubelet->pid <= 0 || waitpid(kubelet->pid, NULL, WNOHANG) != kubelet->pid)
        return;
    log_warning("the process that asks the kubelet has ended and is started again");
    kubelet->pid = 0;
    kubelet->due_ms = clock_ms(CLOCK_MONOTONIC) + PAUSE_MS;
    cleanup_close(&kubelet->frames_fd);
    kubelet->frames_fd = -1;
}

void kubelet_tick(struct kubelet *kubelet)
{
    if (!kubelet)
        return;
    if (kubelet->pid > 0) {
        // It can only fail where there is news enough.
        if (pods_missed() && write(kubelet->tell_fd, "", 1) < 0)
            return;
        return;
    }
    if (clock_ms(CLOCK_MONOTONIC) < kubelet->due_ms)
        return;
    int error = spawn(kubelet);
    if (error)
        kubelet->due_ms = clock_ms(CLOCK_MONOTONIC) + PAUSE_MS;
}

// --- Its frames ---

static void take_frame(struct kubelet *kubelet)
{
    kubelet->results[kubelet->head.result]++;
    kubelet->left_out += kubelet->head.left_out;
    if (kubelet->head.result == PODS_LISTED) {
        int error = pods_take(kubelet->list, kubelet->list_used);
        kubelet->list = NULL;
        if (error)
            log_warning("cannot take over the kubelet's list: %s", strerror(-error));
    }
    forget_frame(kubelet);
}

// Bytes that are missing of what comes next, and where to; 0: something is wrong with it.
static size_t next_part(struct kubelet *kubelet, char **ret_to)
{
    struct pods_frame *head = &kubelet->head;
    if (kubelet->head_used < sizeof(*head)) {
        *ret_to = (char *)head + kubelet->head_used;
        return sizeof(*head) - kubelet->head_used;
    }
    *ret_to = kubelet->list + kubelet->list_used;
    return head->size - kubelet->list_used;
}

static bool head_is_good(struct kubelet *kubelet)
{
    const struct pods_frame *head = &kubelet->head;
    if (head->magic != PODS_MAGIC || head->size > PODS_FRAME_MAX || head->result >= PODS_RESULTS ||
        (head->size && head->result != PODS_LISTED))
        return false;
    kubelet->list = malloc(head->size + 1);
    return kubelet->list != NULL;
}

void kubelet_read(struct kubelet *kubelet)
{
    if (!kubelet || kubelet->frames_fd < 0)
        return;
    // Not without end: whatever it writes, events go on being read, and epoll tells of the rest again.
    for (int i = 0; i < READS_MAX; i++) {
        char *to;
        size_t wanted = next_part(kubelet, &to);
        ssize_t count = read(kubelet->frames_fd, to, wanted);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        bool in_head = kubelet->head_used < sizeof(kubelet->head);
        if (count > 0)
            *(in_head ? &kubelet->head_used : &kubelet->list_used) += (size_t)count;
        bool broken =
            count <= 0 || (in_head && kubelet->head_used == sizeof(kubelet->head) && !head_is_good(kubelet));
        if (broken) {
            // It ends, or writes what it should not: it is of no more use.
            cleanup_close(&kubelet->frames_fd);
            kubelet->frames_fd = -1;
            if (kubelet->pid > 0)
                kill(kubelet->pid, SIGKILL);
            forget_frame(kubelet);
            return;
        }
        if (kubelet->head_used == sizeof(kubelet->head) && kubelet->list_used == kubelet->head.size)
            take_frame(kubelet);
    }
}
