#include "deliverer.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "deliverer_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    STEADY_MS = 10000, // one that has lived so long is started again at once
    PAUSE_FIRST_MS = 1000,
    PAUSE_MAX_MS = 30000,
    CHANGE_PATIENCE_MS = 5000, // to finish what is under way when the configuration changes
};

// --- The new process, between fork and exec ---

static void drop_everything(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {};
    // An exec by root would give back what is in the bounding set, but for no_new_privs. The set itself can
    // only be emptied at the start; later the agent has no CAP_SETPCAP, but its own set is small by then.
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (int capability = 0; capability < 64; capability++)
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    syscall(SYS_capset, &header, none);
}

// First out of the way of the places that they go to.
static bool place_descriptors(const int *fds)
{
    int copies[DELIVERER_FDS_END];
    for (int fd = DELIVERER_CONFIG; fd < DELIVERER_FDS_END; fd++)
        if ((copies[fd] = fcntl(fds[fd], F_DUPFD, DELIVERER_FDS_END)) < 0)
            return false;
    for (int fd = DELIVERER_CONFIG; fd < DELIVERER_FDS_END; fd++)
        if (dup2(copies[fd], fd) < 0)
            return false;
    return syscall(SYS_close_range, (unsigned)DELIVERER_FDS_END, ~0u, 0) == 0;
}

static _Noreturn void become_deliverer(const int *fds, pid_t agent)
{
    char *const arguments[] = {(char *)"agent", (char *)"deliver", NULL};
    // Of its own session, so that Ctrl-C at a terminal ends the agent first, which then ends it.
    setsid();
    drop_everything();
    // Its outputs are the next deliverer's when the agent is gone.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != agent || !place_descriptors(fds))
        _exit(126);
    execv("/proc/self/exe", arguments);
    _exit(127);
}

// Each output has the place of its position in the configuration; one that stays goes on counting. Names are
// ours: the page says whatever the process before has written there.
static void place_outputs(struct deliverer *deliverer, const struct deliverer_names *names)
{
    const struct deliverer_names *before = &deliverer->names;
    struct delivery_stats *stats = deliverer->stats, fresh = {};
    for (size_t i = 0; i < CONFIG_OUTPUTS_MAX; i++) {
        struct delivery_output *output = &fresh.outputs[i];
        for (size_t k = 0; names->at[i][0] && k < CONFIG_OUTPUTS_MAX; k++)
            if (strcmp(before->at[k], names->at[i]) == 0)
                *output = stats->outputs[k];
        memcpy(output->name, names->at[i], sizeof(output->name));
    }
    *stats = fresh;
    deliverer->names = *names;
}

static struct deliverer_names names_of(const struct config *config)
{
    struct deliverer_names names = {};
    for (size_t i = 0; i < config->outputs_count && i < CONFIG_OUTPUTS_MAX; i++)
        snprintf(names.at[i], sizeof(names.at[i]), "%s", config->outputs[i].name);
    return names;
}

static int spawn(struct deliverer *deliverer)
{
    const int fds[DELIVERER_FDS_END] = {
        [DELIVERER_CONFIG] = deliverer->config_fd,
        [DELIVERER_STATS] = deliverer->stats_fd,
        [DELIVERER_NEWS] = deliverer->news_fd,
    };
    pid_t agent = getpid();
    const struct deliverer_names names = deliverer->next_names;
    place_outputs(deliverer, &names);
    if (lseek(deliverer->config_fd, 0, SEEK_SET) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become_deliverer(fds, agent);
    deliverer->pid = pid;
    deliverer->started_ms = clock_ms(CLOCK_MONOTONIC);
    deliverer->ending = false;
    // What was put into the spool while there was none.
    deliverer_wake(deliverer);
    return 0;
}

// --- What it is given ---

static int make_config(const struct deliverer_options *options)
{
    _cleanup_close_ int fd = memfd_create("agent.yaml", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    ssize_t count = write(fd, options->text, options->size);
    if (count != (ssize_t)options->size)
        return count < 0 ? -errno : -EIO;
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    return TAKE_FD(fd);
}

static int make_stats(struct deliverer *deliverer)
{
    const size_t size = sizeof(struct delivery_stats);
    _cleanup_close_ int fd = memfd_create("delivery", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)size))
        return -errno;
    // Neither process can take the page from under the other.
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    deliverer->stats = page;
    deliverer->stats_fd = TAKE_FD(fd);
    return 0;
}

// Its ends are open files of their own, which an eventfd's copies are not: with one, the process could have
// our end wait for it.
static int make_news(struct deliverer *deliverer)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return -errno;
    deliverer->news_fd = ends[0];
    deliverer->tell_fd = ends[1];
    return 0;
}

int deliverer_start(const struct deliverer_options *options, struct deliverer **ret_deliverer)
{
    struct deliverer *deliverer = calloc(1, sizeof(*deliverer));
    if (!deliverer)
        return -ENOMEM;
    deliverer->stats_fd = deliverer->news_fd = deliverer->tell_fd = deliverer->next_config_fd = -1;
    deliverer->config_fd = make_config(options);
    int error = deliverer->config_fd < 0 ? deliverer->config_fd : make_stats(deliverer);
    if (!error)
        error = make_news(deliverer);
    if (!error) {
        deliverer->next_names = names_of(options->config);
        error = deliverer_export(deliverer);
    }
    if (!error)
        error = spawn(deliverer);
    if (error)
        deliverer_stop(&deliverer, 0);
    else
        *ret_deliverer = deliverer;
    return error;
}

// --- While it runs ---

void deliverer_wake(struct deliverer *deliverer)
{
    // It can only fail where there is enough news already.
    if (write(deliverer->tell_fd, "", 1) < 0)
        return;
}

void deliverer_reopen(struct deliverer *deliverer)
{
    if (deliverer->pid > 0)
        kill(deliverer->pid, SIGUSR1);
}

bool deliverer_reap(struct deliverer *deliverer, struct deliverer_end *ret_end)
{
    int status;
    if (deliverer->pid <= 0 || waitpid(deliverer->pid, &status, WNOHANG) != deliverer->pid)
        return false;
    if (WIFSIGNALED(status))
        snprintf(ret_end->how, sizeof(ret_end->how), "signal %d", WTERMSIG(status));
    else
        snprintf(ret_end->how, sizeof(ret_end->how), "exit code %d", WEXITSTATUS(status));
    ret_end->asked = deliverer->ending && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    uint64_t now = clock_ms(CLOCK_MONOTONIC);
    bool steady = deliverer->ending || now - deliverer->started_ms >= STEADY_MS;
    unsigned pause = deliverer->pause_ms ? deliverer->pause_ms * 2 : PAUSE_FIRST_MS;
    deliverer->pause_ms = steady ? 0 : pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
    deliverer->due_ms = now + deliverer->pause_ms;
    deliverer->pid = 0;
    return true;
}

bool deliverer_tick(struct deliverer *deliverer)
{
    uint64_t now = clock_ms(CLOCK_MONOTONIC);
    if (deliverer->pid > 0) {
        if (deliverer->ending && now > deliverer->due_ms)
            kill(deliverer->pid, SIGKILL);
        return false;
    }
    if (now < deliverer->due_ms)
        return false;
    deliverer->restarts++;
    int error = spawn(deliverer);
    if (error) {
        log_error("cannot start the deliverer: %s; alerts wait in the spool", strerror(-error));
        deliverer->due_ms = now + PAUSE_FIRST_MS;
    }
    return error == 0;
}

int deliverer_prepare(struct deliverer *deliverer, const struct deliverer_options *options)
{
    int fd = make_config(options);
    if (fd < 0)
        return fd;
    cleanup_close(&deliverer->next_config_fd);
    deliverer->next_config_fd = fd;
    deliverer->prepared_names = names_of(options->config);
    return 0;
}

void deliverer_adopt(struct deliverer *deliverer)
{
    close(deliverer->config_fd);
    deliverer->config_fd = TAKE_FD(deliverer->next_config_fd);
    deliverer->next_names = deliverer->prepared_names;
    // One that is ending already has its time, however often it is asked.
    if (deliverer->pid <= 0 || deliverer->ending)
        return;
    kill(deliverer->pid, SIGTERM);
    deliverer->ending = true;
    deliverer->due_ms = clock_ms(CLOCK_MONOTONIC) + CHANGE_PATIENCE_MS;
}

static void wait_for_end(struct deliverer *deliverer, unsigned patience_ms)
{
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, deliverer->pid, 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint64_t until = clock_ms(CLOCK_MONOTONIC) + patience_ms;
    int ready = 0;
    kill(deliverer->pid, SIGTERM);
    for (uint64_t now = clock_ms(CLOCK_MONOTONIC); fd >= 0 && ready <= 0 && now < until;
         now = clock_ms(CLOCK_MONOTONIC))
        ready = poll(&poll_fd, 1, (int)(until - now));
    if (ready <= 0) {
        if (patience_ms)
            log_warning("the deliverer does not end and is killed; what it has not delivered stays in the "
                        "spool");
        kill(deliverer->pid, SIGKILL);
    }
    waitpid(deliverer->pid, NULL, 0);
}

void deliverer_stop(struct deliverer **deliverer, unsigned patience_ms)
{
    struct deliverer *stopped = *deliverer;
    if (!stopped)
        return;
    if (stopped->pid > 0)
        wait_for_end(stopped, patience_ms);
    deliverer_unexport(stopped);
    if (stopped->stats)
        munmap(stopped->stats, sizeof(*stopped->stats));
    cleanup_close(&stopped->config_fd);
    cleanup_close(&stopped->stats_fd);
    cleanup_close(&stopped->news_fd);
    cleanup_close(&stopped->tell_fd);
    cleanup_close(&stopped->next_config_fd);
    free(stopped);
    *deliverer = NULL;
}
