#include "../../user/enrich/bolt.h"
#include "base/cleanup.h"
#include "enrich_tree.h"

#include <criterion/criterion.h>

// Made for this: 9 pages of 512 bytes, a branch, a page that flows over, buckets within buckets.
#define SMALL "tests/fuzz/corpus/bolt/small"

static char seen[4096];

static bool on_value(void *context, const char *key, size_t key_size, const char *value, size_t value_size)
{
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof(seen) - used, "%.*s=%.*s ", (int)key_size, key, (int)value_size, value);
    return context == NULL;
}

static int walk(const char *path, const char *const *keys)
{
    seen[0] = '\0';
    return bolt_walk(path, keys, on_value, NULL);
}

#define WALK(...) walk(SMALL, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

Test(enrich_bolt, values_and_buckets)
{
    cr_expect_eq(WALK("plain"), 0);
    cr_expect_str_eq(seen, "plain=value ");
    cr_expect_eq(WALK("inline"), 0);
    cr_expect_str_eq(seen, "a=1 b=2 ", "what is a bucket itself is no value");
    cr_expect_eq(WALK("inline", "inner", "deep"), 0);
    cr_expect_str_eq(seen, "deep=down ");
    cr_expect_eq(WALK("ctr", "alpha", "config"), 0);
    cr_expect_str_eq(seen, "config={\"labels\":{\"team\":\"research\"}} ");
    cr_expect_eq(WALK("ctr", "zeta"), 0, "behind a branch");
    cr_expect_str_eq(seen, "zeta=last ");
    cr_expect_eq(WALK("ctr", "mid"), 0, "a value that flows over");
    cr_expect_eq(strlen(seen), strlen("mid= ") + 700);
    cr_expect_eq(WALK("ctr"), 0);
    cr_expect(strstr(seen, "beta=two ") && strstr(seen, "zeta=last "), "both leaves");
}

Test(enrich_bolt, what_is_not_there)
{
    cr_expect_eq(WALK("none"), -ENOENT);
    cr_expect_eq(WALK("plain", "below"), -ENOENT);
    cr_expect_eq(WALK("ctr", "aaa"), -ENOENT, "before the first");
    cr_expect_eq(WALK("ctr", "alphb"), -ENOENT);
    cr_expect_eq(WALK("ctr", "zz"), -ENOENT);
    cr_expect_eq(walk("/nonexistent", (const char *const[]){NULL}), -ENOENT);
    cr_expect_eq(walk("/dev/null", (const char *const[]){NULL}), -EBADMSG);
    cr_expect_eq(walk("tests/fuzz", (const char *const[]){NULL}), -EBADMSG);
}

// Of the two meta pages the newer one that is whole counts.
Test(enrich_bolt, the_newest_meta_page)
{
    cr_expect_eq(walk("tests/fuzz/corpus/bolt/older", (const char *const[]){"plain", NULL}), 0);
    cr_expect_str_eq(seen, "plain=value ");
}

// Whatever byte is wrong, nothing but that is.
Test(enrich_bolt, files_that_are_damaged)
{
    enum { SIZE = 9 * 512 };
    char root[64], bytes[SIZE], path[PATH_MAX];
    _cleanup_fclose_ FILE *file = fopen(SMALL, "re");
    cr_assert(file);
    cr_assert_eq(fread(bytes, 1, SIZE, file), SIZE);
    tree_make(root);
    snprintf(path, sizeof(path), "%s/db", root);
    static const char *const ways[][3] = {{NULL}, {"ctr", NULL}, {"ctr", "mid", NULL}, {"inline", NULL}};
    unsigned read = 0;
    for (size_t i = 0; i < SIZE; i++) {
        char was = bytes[i];
        bytes[i] = (char)(was ^ (i % 3 == 0 ? 0xff : i % 3 == 1 ? 0x01 : 0x80));
        tree_write_bytes(root, "/db", bytes, i % 7 ? SIZE : i);
        for (size_t k = 0; k < ARRAY_SIZE(ways); k++) {
            int error = walk(path, ways[k]);
            cr_assert_leq(error, 0);
            read += error == 0;
        }
        bytes[i] = was;
    }
    cr_expect_gt(read, 0);
    tree_remove(root);
}
