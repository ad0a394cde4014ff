// Names of users and groups from the node's /etc/passwd and /etc/group. getpwuid() is not used: it needs
// libraries that a small image lacks, and may ask the network and wait.
#pragma once

#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

struct user_name {
    uint32_t id;
    uint32_t line; // the first line of an id counts
    uint32_t home; // where in user_file.texts; 0: none
    uint32_t shell;
    char name[64];
};

// By what a changed file is known.
struct user_file_identity {
    uint64_t dev, ino, size, mtime_ns;
};

// One such file as it was last read.
struct user_file {
    char path[4096];
    struct user_name *names; // sorted by id
    size_t count;
    struct text texts;              // home directories and shells, with their NULs, behind a first empty one
    struct user_file_identity seen; // of the file that `names` is from; all zero where there was none
    uint64_t checked_ns;
};

struct users {
    struct user_file passwd;
    struct user_file group;
};

void users_init(struct users *users, const char *host_root);
void users_free(struct users *users);

// Reads both files now.
void users_learn(struct users *users);

// NULL where the id has no name. Looks at most once a second, by `now_ns`, whether the file has changed; a
// name stays valid until a call with a later time.
const char *users_user(struct users *users, uint32_t uid, uint64_t now_ns);
const char *users_home(struct users *users, uint32_t uid, uint64_t now_ns);
const char *users_shell(struct users *users, uint32_t uid, uint64_t now_ns);
const char *users_group(struct users *users, uint32_t gid, uint64_t now_ns);
