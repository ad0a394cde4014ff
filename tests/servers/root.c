#include "root.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

int root_enter(const char *root, const char *folder)
{
    char mount_point[4096];
    snprintf(mount_point, sizeof(mount_point), "%s/mnt", root);
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return -errno;
    if (folder ? mount(folder, mount_point, NULL, MS_BIND, NULL)
               : mount("tmpfs", mount_point, "tmpfs", 0, NULL))
        return -errno;
    if (chroot(root) || chdir("/"))
        return -errno;
    return 0;
}

// One thread, because more of them spin while they wait for each other. The context is that of all slots.
const char *const root_llama_server[] = {"/usr/bin/llama-server",
                                         "--model",
                                         "/mnt/tiny.gguf",
                                         "--alias",
                                         "tiny",
                                         "--offline",
                                         "--metrics",
                                         "--host",
                                         "127.0.0.1",
                                         "--port",
                                         "0",
                                         "--threads",
                                         "1",
                                         "--threads-batch",
                                         "1",
                                         "--parallel",
                                         "8",
                                         "--ctx-size",
                                         "4096",
                                         NULL};
_Static_assert(LLAMA_SLOTS == 8 && LLAMA_SLOTS * LLAMA_CONTEXT == 4096, "as the arguments say");
