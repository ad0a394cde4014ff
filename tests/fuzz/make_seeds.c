// Writes the seeds that a target has made for it to a directory.
#include "base/cleanup.h"
#include "seeds.h"

#include <stdio.h>

static void write_seed(const char *name, const void *data, size_t size, void *context)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", (const char *)context, name);
    _cleanup_fclose_ FILE *file = fopen(path, "we");
    if (!file || fwrite(data, 1, size, file) != size)
        fprintf(stderr, "make_seeds: cannot write %s\n", path);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: make_seeds TARGET DIRECTORY\n");
        return 2;
    }
    if (strcmp(argv[1], "record") == 0)
        seeds_of_records(write_seed, argv[2]);
    if (strcmp(argv[1], "http") == 0)
        seeds_of_transcripts(write_seed, argv[2]);
    return 0;
}
