#include "base/path.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define WIRE(text) text, sizeof(text)

static void expect_path(const char *wire, size_t size, const char *expected)
{
    char path[64] = "untouched";
    cr_assert_eq(path_decode(wire, size, path, sizeof(path)), (int)strlen(expected));
    cr_assert_str_eq(path, expected);
}

Test(path_decode, components_come_leaf_first)
{
    expect_path(WIRE("shadow\0etc"), "/etc/shadow");
    expect_path(WIRE("a"), "/a");
    expect_path(WIRE("c\0bb\0aaa"), "/aaa/bb/c");
    expect_path("", 0, "/");
}

Test(path_decode, refuses_what_does_not_hold_together)
{
    char path[64] = "untouched";
    char long_name[300];
    memset(long_name, 'x', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    char long_path[512];

    cr_assert_eq(path_decode("shadow\0etc", 10, path, sizeof(path)), -EPROTO, "no NUL at the end");
    cr_assert_eq(path_decode(WIRE("shadow\0\0etc"), path, sizeof(path)), -EPROTO, "an empty component");
    cr_assert_eq(path_decode(WIRE(""), path, sizeof(path)), -EPROTO, "only an empty component");
    cr_assert_eq(path_decode(long_name, sizeof(long_name), long_path, sizeof(long_path)), -EPROTO);
    cr_assert_str_eq(path, "untouched");
}

Test(path_decode, capacity_counts_the_nul)
{
    char path[12] = "untouched";
    cr_assert_eq(path_decode(WIRE("shadow\0etc"), path, 11), -ENOBUFS);
    cr_assert_str_eq(path, "untouched");
    cr_assert_eq(path_decode(WIRE("shadow\0etc"), path, 12), 11);
    cr_assert_eq(path_decode("", 0, path, 1), -ENOBUFS);
    cr_assert_eq(path_decode("", 0, path, 2), 1);
}

Test(path_join, removes_dots_by_text)
{
    static const struct {
        const char *directory, *name, *expected;
    } cases[] = {
        {"/home/user", "file", "/home/user/file"},
        {"/home/user", "./file", "/home/user/file"},
        {"/home/user", "../../etc/shadow", "/etc/shadow"},
        {"/etc/ssh", "../shadow", "/etc/shadow"},
        {"/etc/", "dir/../shadow", "/etc/shadow"},
        {"/", "../../..", "/"},
        {"/a/b", "", "/a/b"},
        {"/a/b", ".", "/a/b"},
        {"/a/b/..", "c", "/a/c"},
        {"/a", "/etc//passwd/", "/etc/passwd"},
        {"/a", "/etc/../../root/./x", "/root/x"},
        {"not absolute", "/x", "/x"},
        {"/a", "...", "/a/..."},
        {"/a", "..b/.c", "/a/..b/.c"},
        {"/a/b/c/d", "../../x/../../y", "/a/y"},
        {"//", "", "/"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[64];
        int length = path_join(cases[i].directory, cases[i].name, path, sizeof(path));
        cr_assert_eq(length, (int)strlen(cases[i].expected), "%s + %s: %d", cases[i].directory, cases[i].name,
                     length);
        cr_assert_str_eq(path, cases[i].expected);
    }
}

Test(path_join, refuses_and_leaves_alone)
{
    char path[8] = "same";
    cr_assert_eq(path_join("relative", "name", path, sizeof(path)), -EPROTO);
    cr_assert_eq(path_join("", "", path, sizeof(path)), -EPROTO);
    cr_assert_eq(path_join("/abcd", "efg", path, sizeof(path)), -ENOBUFS);
    cr_assert_eq(path_join("/", "..", path, 1), -ENOBUFS);
    cr_assert_str_eq(path, "same");
    cr_assert_eq(path_join("/abc", "ef", path, sizeof(path)), 7);
    cr_assert_str_eq(path, "/abc/ef");
}
