// The connections of the HTTP server: where there are too many, the one that has been quiet longest gives
// way to a new one.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { CLIENTS_MAX = 32, CLIENTS_OPEN_MAX = 64 }; // those told to go are open for a moment longer

struct client {
    int fd; // borrowed
    uint64_t turn;
};

struct clients {
    struct client *open[CLIENTS_OPEN_MAX];
    size_t count;
    size_t leaving; // of them, shut down already
    uint64_t turn;
};

// A client for a new connection, NULL where memory or room is short. The longest quiet one may be shut down.
struct client *clients_add(struct clients *clients, int fd);
// It has asked for something.
void clients_touch(struct clients *clients, struct client *client);
// The connection is closed; frees the client, which may be NULL.
void clients_remove(struct clients *clients, struct client *client);
