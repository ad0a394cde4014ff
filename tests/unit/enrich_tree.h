// A directory tree that stands in for a node's root or its /proc.
#pragma once

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// `ret_root` has room for 64 bytes.
static inline void tree_make(char *ret_root)
{
    strcpy(ret_root, "/tmp/enrich-XXXXXX");
    cr_assert_not_null(mkdtemp(ret_root));
}

static inline void tree_path(const char *root, const char *name, char *ret_path)
{
    int length = snprintf(ret_path, PATH_MAX, "%s%s", root, name);
    cr_assert(length > 0 && length < PATH_MAX);
    for (char *slash = ret_path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        cr_assert(mkdir(ret_path, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

static inline void tree_write_bytes(const char *root, const char *name, const char *data, size_t size)
{
    char path[PATH_MAX];
    tree_path(root, name, path);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

static inline void tree_write(const char *root, const char *name, const char *text)
{
    tree_write_bytes(root, name, text, strlen(text));
}

static inline void tree_link(const char *root, const char *name, const char *target)
{
    char path[PATH_MAX];
    tree_path(root, name, path);
    cr_assert_eq(symlink(target, path), 0);
}

static inline int tree_visit(const char *path, const struct stat *info, int type, struct FTW *position)
{
    return remove(path);
}

static inline void tree_remove(const char *root)
{
    cr_assert_eq(nftw(root, tree_visit, 16, FTW_DEPTH | FTW_PHYS), 0);
}

// A file or a whole directory of the tree.
static inline void tree_unlink(const char *root, const char *name)
{
    char path[PATH_MAX];
    tree_path(root, name, path);
    tree_remove(path);
}
