// Writes the tiny model and prints how llama-server is called with it, a word a line, for scripts.
// Usage: write-model FILE
#include "root.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    int error = argc == 2 ? root_write_model(argv[1]) : 0;
    if (argc != 2 || error) {
        fprintf(stderr, "write-model: %s\n", error ? strerror(-error) : "usage: write-model FILE");
        return 1;
    }
    for (size_t i = 0; root_llama_server[i]; i++)
        puts(root_llama_server[i]);
    return 0;
}
