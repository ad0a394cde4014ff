#include "iterator.h"

#include "base/cleanup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

int iterator_attach(struct bpf_program *program, int map_fd, struct bpf_link **ret_link)
{
    union bpf_iter_link_info info = {.map.map_fd = (__u32)map_fd};
    LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));
    struct bpf_link *link = bpf_program__attach_iter(program, map_fd < 0 ? NULL : &options);
    if (!link)
        return -errno;
    *ret_link = link;
    return 0;
}

int iterator_run(const struct bpf_link *link)
{
    _cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(link));
    if (fd < 0)
        return -errno;
    // The programs write nothing; the kernel stops now and then to let others run.
    char none[1];
    ssize_t length;
    do
        length = read(fd, none, sizeof(none));
    while (length > 0 || (length < 0 && (errno == EAGAIN || errno == EINTR)));
    return length < 0 ? -errno : 0;
}
