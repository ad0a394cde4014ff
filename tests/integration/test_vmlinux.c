// vmlinux/vmlinux.h names only what the running kernel has: each member of each type, by the kernel's BTF.
#include "harness.h"

#include <bpf/btf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern const char vmlinux_types[];
extern const size_t vmlinux_types_size;

TestSuite(vmlinux, TEST_SUITE);

// Contexts that the kernel has in no type of its own.
static const char *const not_in_btf[] = {"syscall_enter_context", "syscall_exit_context"};

// Types that only newer kernels have; what is in them is compared where they are.
static const char *const newer[] = {"shortname_store"};

// Members that have had several names: just one of them is there.
enum { NAMES = 3 };
static const struct {
    const char *type;
    const char *names[NAMES];
} alternatives[] = {
    {"kernfs_node", {"parent", "__parent"}},
    {"task_struct", {"state", "__state"}},
    {"dentry", {"d_shortname", "d_iname"}},
    {"inode", {"i_ctime", "__i_ctime", "i_ctime_sec"}},
    {"inode", {"i_mtime", "__i_mtime", "i_mtime_sec"}},
    {"inode", {"i_ctime", "__i_ctime", "i_ctime_nsec"}},
    {"inode", {"i_mtime", "__i_mtime", "i_mtime_nsec"}},
};

static bool has_member(const struct btf *btf, const struct btf_type *type, const char *name)
{
    const struct btf_member *members = btf_members(type);
    for (uint16_t i = 0; i < btf_vlen(type); i++) {
        const char *own = btf__name_by_offset(btf, members[i].name_off);
        if (strcmp(own, name) == 0)
            return true;
        const struct btf_type *inner = btf__type_by_id(btf, members[i].type);
        // An unnamed part's members are the whole's.
        if (!own[0] && btf_is_composite(inner) && has_member(btf, inner, name))
            return true;
    }
    return false;
}

static bool is_listed(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

// The names of a member that has several, or NULL.
static const char *const *all_names(const char *type, const char *member)
{
    for (size_t i = 0; i < ARRAY_SIZE(alternatives); i++)
        for (size_t k = 0; k < NAMES; k++)
            if (strcmp(alternatives[i].type, type) == 0 && alternatives[i].names[k] &&
                strcmp(alternatives[i].names[k], member) == 0)
                return alternatives[i].names;
    return NULL;
}

static size_t count_members(const struct btf *btf, const struct btf_type *type, const char *const *names)
{
    size_t count = 0;
    for (size_t i = 0; i < NAMES && names[i]; i++)
        count += has_member(btf, type, names[i]);
    return count;
}

static size_t check_type(const struct btf *ours, const struct btf_type *type, const struct btf *kernel)
{
    // What follows three underscores only tells variants apart.
    char name[128];
    snprintf(name, sizeof(name), "%s", btf__name_by_offset(ours, type->name_off));
    char *flavour = strstr(name, "___");
    if (flavour)
        *flavour = '\0';
    if (is_listed(name, not_in_btf, ARRAY_SIZE(not_in_btf)))
        return 0;
    int id = btf__find_by_name_kind(kernel, name, BTF_INFO_KIND(type->info));
    cr_expect(id > 0 || is_listed(name, newer, ARRAY_SIZE(newer)), "this kernel has no type %s", name);
    if (id <= 0)
        return 0;
    const struct btf_type *real = btf__type_by_id(kernel, (__u32)id);
    for (uint16_t i = 0; i < btf_vlen(type); i++) {
        const char *member = btf__name_by_offset(ours, btf_members(type)[i].name_off);
        if (!member[0])
            continue;
        const char *const one[NAMES] = {member};
        const char *const *names = all_names(name, member);
        cr_expect_eq(count_members(kernel, real, names ? names : one), 1, "this kernel has no %s.%s", name,
                     member);
    }
    return btf_vlen(type);
}

Test(vmlinux, names_what_the_kernel_has)
{
    const char *path = test_path("types.o");
    _cleanup_fclose_ FILE *file = fopen(path, "w");
    cr_assert(file);
    cr_assert_eq(fwrite(vmlinux_types, vmlinux_types_size, 1, file), 1);
    cr_assert_eq(fflush(file), 0);
    struct btf *ours = btf__parse(path, NULL);
    struct btf *kernel = btf__load_vmlinux_btf();
    cr_assert(ours && kernel);

    size_t types = 0, members = 0;
    for (__u32 id = 1; id < btf__type_cnt(ours); id++) {
        const struct btf_type *type = btf__type_by_id(ours, id);
        if (!btf_is_composite(type) || !btf__name_by_offset(ours, type->name_off)[0])
            continue;
        types++;
        members += check_type(ours, type, kernel);
    }
    // Had the types not got into the object, nothing would have been compared.
    cr_expect_gt(types, 30);
    cr_expect_gt(members, 60);
    btf__free(ours);
    btf__free(kernel);
}
