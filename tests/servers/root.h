// What the integration tests and the benchmark share to run servers in the root that tests/servers/fetch
// makes.
#pragma once

// In a child that is about to exec, as root: into the root, in which the folder is /mnt from then on. The
// mount is the child's own. A negative errno.
int root_enter(const char *root, const char *folder);

// Writes a llama-architecture model in GGUF version 3 with random weights, the same each time, 3.7 MB. A
// negative errno.
int root_write_model(const char *path);

// How llama-server is called, in the root, with the model as /mnt/tiny.gguf; ends with NULL. It says on its
// output on which port it listens.
enum { LLAMA_SLOTS = 8, LLAMA_CONTEXT = 512 };
extern const char *const root_llama_server[];
