#include "../../user/enrich/users.h"
#include "enrich_tree.h"

#include <criterion/criterion.h>

#define SECOND 1000000000ULL

Test(enrich_users, names_of_ids)
{
    char root[64];
    tree_make(root);
    tree_write(root, "/etc/passwd",
               "root:x:0:0:root:/root:/bin/sh\n"
               "+::::::\n"
               "web:x:33:33::/:/bin/false\n"
               "broken\n"
               "noid:x::1::/:\n"
               "negative:x:-5:1::/:\n"
               "second:x:33:33::/:/bin/false\n"
               "last:x:1000:1000");
    tree_write(root, "/etc/group", "root:x:0:\ndocker:x:998:a,b,c\n");
    struct users users;
    users_init(&users, root);

    cr_assert_str_eq(users_user(&users, 0, 1), "root");
    cr_assert_str_eq(users_user(&users, 33, 1), "web", "the first line of an id counts");
    cr_assert_str_eq(users_user(&users, 1000, 1), "last");
    cr_assert_null(users_user(&users, 5, 1));
    cr_assert_null(users_user(&users, 1, 1));
    cr_assert_null(users_user(&users, UINT32_MAX, 1));
    cr_assert_str_eq(users_group(&users, 998, 1), "docker");
    cr_assert_null(users_group(&users, 33, 1));
    cr_assert_str_eq(users_home(&users, 0, 1), "/root");
    cr_assert_str_eq(users_shell(&users, 0, 1), "/bin/sh");
    cr_assert_str_eq(users_shell(&users, 33, 1), "/bin/false");
    cr_assert_null(users_home(&users, 1000, 1));
    cr_assert_null(users_shell(&users, 1000, 1));
    cr_assert_null(users_home(&users, 5, 1));
    users_free(&users);
    tree_remove(root);
}

Test(enrich_users, root_needs_no_file)
{
    struct users users;
    users_init(&users, "/nonexistent");
    cr_assert_str_eq(users_user(&users, 0, 1), "root");
    cr_assert_str_eq(users_group(&users, 0, 1), "root");
    cr_assert_null(users_user(&users, 1000, 1));
    users_free(&users);
}

Test(enrich_users, a_changed_file_is_read_again_but_not_within_a_second)
{
    char root[64];
    tree_make(root);
    tree_write(root, "/etc/passwd", "old:x:7:7\n");
    struct users users;
    users_init(&users, root);
    cr_assert_str_eq(users_user(&users, 7, 10 * SECOND), "old");

    tree_write(root, "/etc/passwd", "newer:x:7:7\n");
    cr_assert_str_eq(users_user(&users, 7, 11 * SECOND - 1), "old");
    cr_assert_str_eq(users_user(&users, 7, 9 * SECOND), "old", "a record from before");
    cr_assert_str_eq(users_user(&users, 7, 11 * SECOND), "newer");

    tree_unlink(root, "/etc/passwd");
    cr_assert_str_eq(users_user(&users, 7, 13 * SECOND), "newer", "a file that is gone is being replaced");
    users_free(&users);
    tree_remove(root);
}

Test(enrich_users, long_lines_and_long_names)
{
    char root[64];
    static char text[400000];
    size_t length = (size_t)sprintf(text, "big:x:10:");
    memset(text + length, 'm', 200000);
    length += 200000;
    // What looks like a line inside the long one, at the place where a buffer may end, is none.
    length += (size_t)sprintf(text + length, ",fake:x:11:\nafter:x:12:\n");
    memset(text + length, 'n', 64);
    sprintf(text + length + 64, ":x:13:\n");
    tree_make(root);
    tree_write(root, "/etc/group", text);
    struct users users;
    users_init(&users, root);
    cr_assert_str_eq(users_group(&users, 10, 1), "big");
    cr_assert_null(users_group(&users, 11, 1));
    cr_assert_str_eq(users_group(&users, 12, 1), "after");
    cr_assert_null(users_group(&users, 13, 1));
    users_free(&users);
    tree_remove(root);
}

Test(enrich_users, the_number_of_names_has_a_limit)
{
    char root[64];
    size_t lines = 70000, size = lines * 24, length = 0;
    char *text = malloc(size);
    cr_assert_not_null(text);
    for (size_t i = 0; i < lines; i++)
        length += (size_t)snprintf(text + length, size - length, "u%zu:x:%zu:\n", i, i);
    tree_make(root);
    tree_write(root, "/etc/passwd", text);
    free(text);
    struct users users;
    users_init(&users, root);
    cr_assert_str_eq(users_user(&users, 65535, 1), "u65535");
    cr_assert_null(users_user(&users, 65536, 1));
    cr_assert_eq(users.passwd.count, 65536);
    users_free(&users);
    tree_remove(root);
}
