#include "base/privilege.h"

#include "base/cleanup.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (UINT64_C(1) << (capability))

static int capabilities_get(uint64_t *ret_effective, uint64_t *ret_permitted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data))
        return -errno;
    *ret_effective = data[0].effective | (uint64_t)data[1].effective << 32;
    *ret_permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    return 0;
}

bool privilege_can_load(void)
{
    const uint64_t enough = BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_NET_ADMIN);
    uint64_t effective = 0, permitted = 0;
    if (capabilities_get(&effective, &permitted))
        return false;
    return (effective & BIT(CAP_SYS_ADMIN)) || (effective & enough) == enough;
}

static const uint64_t always = BIT(CAP_BPF) | BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH);

// Debian's kernels have a third level of perf_event_paranoid, their default, at which attaching to a
// tracepoint takes CAP_SYS_ADMIN.
static uint64_t for_loading(void)
{
    _cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
    int level = 0;
    bool strict = file && fscanf(file, "%d", &level) == 1 && level > 2;
    return BIT(CAP_PERFMON) | BIT(CAP_NET_ADMIN) | (strict ? BIT(CAP_SYS_ADMIN) : 0);
}

static int capabilities_set(uint64_t effective, uint64_t permitted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)effective, .permitted = (uint32_t)permitted},
        {.effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(permitted >> 32)},
    };
    return syscall(SYS_capset, &header, data) ? -errno : 0;
}

int privilege_drop(bool keep_loading, bool keep_probing)
{
    const uint64_t keep =
        always | (keep_loading ? for_loading() : 0) | (keep_probing ? BIT(CAP_SYS_ADMIN) : 0);
    uint64_t effective = 0, permitted = 0;
    int error = capabilities_get(&effective, &permitted);
    if (error)
        return error;
    // Without CAP_SETPCAP the bounding set stays; then no_new_privs alone keeps an exec from regaining them.
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -errno;
    for (int capability = 0; capability < 64; capability++)
        if (!(keep & BIT(capability)))
            prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    return capabilities_set(permitted & always, permitted & keep);
}

bool privilege_is_lowered(void)
{
    uint64_t effective = 0, permitted = 0;
    return capabilities_get(&effective, &permitted) == 0 && effective != permitted;
}

int privilege_raise(void)
{
    uint64_t effective = 0, permitted = 0;
    int error = capabilities_get(&effective, &permitted);
    return error ? error : capabilities_set(permitted, permitted);
}

int privilege_lower(void)
{
    uint64_t effective = 0, permitted = 0;
    int error = capabilities_get(&effective, &permitted);
    return error ? error : capabilities_set(permitted & always, permitted);
}

int privilege_drop_all(void)
{
    const struct rlimit none = {};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
        setrlimit(RLIMIT_CORE, &none))
        return -errno;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (int capability = 0; capability < 64; capability++)
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    return capabilities_set(0, 0);
}
