// Feeds each fuzz target the seeds that it has; `make fuzz` goes on from there.
#include "../fuzz/fuzz.h"
#include "../fuzz/seeds.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>

static struct fuzz_target *targets;

void fuzz_add(struct fuzz_target *target)
{
    target->next = targets;
    targets = target;
}

static const struct fuzz_target *target_find(const char *name)
{
    const struct fuzz_target *target = targets;
    while (target && strcmp(target->name, name) != 0)
        target = target->next;
    return target;
}

static void run_file(const struct fuzz_target *target, const char *path)
{
    static uint8_t data[65536];
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    cr_assert(file, "%s", path);
    size_t size = fread(data, 1, sizeof(data), file);
    cr_assert_gt(size, 0, "%s", path);
    // In memory of its own, as libFuzzer has it.
    _cleanup_free_ uint8_t *copy = malloc(size);
    cr_assert(copy);
    cr_expect_eq(target->run(memcpy(copy, data, size), size), 0, "%s", path);
}

static int is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static size_t run_directory(const struct fuzz_target *target)
{
    char directory[256];
    struct dirent **entries;
    snprintf(directory, sizeof(directory), "tests/fuzz/corpus/%s", target->name);
    int count = scandir(directory, &entries, is_seed, alphasort);
    for (int i = 0; i < count; i++) {
        _cleanup_free_ char *path = NULL;
        cr_assert_geq(asprintf(&path, "%s/%s", directory, entries[i]->d_name), 0);
        run_file(target, path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return count > 0 ? (size_t)count : 0;
}

static void run_seed(const char *name, const void *data, size_t size, void *context)
{
    const struct fuzz_target *target = context;
    cr_expect_eq(target->run(data, size), 0, "%s", name);
}

Test(fuzz, seeds)
{
    cr_assert(targets);
    for (const struct fuzz_target *target = targets; target; target = target->next)
        if (strcmp(target->name, "record") != 0)
            cr_expect_gt(run_directory(target), 0, "tests/fuzz/corpus/%s holds no seed", target->name);
}

Test(fuzz, seeds_of_records)
{
    const struct fuzz_target *target = target_find("record");
    cr_assert(target);
    seeds_of_records(run_seed, (void *)target);
    run_directory(target);
}

Test(fuzz, seeds_of_transcripts)
{
    const struct fuzz_target *target = target_find("http");
    cr_assert(target);
    seeds_of_transcripts(run_seed, (void *)target);
}
