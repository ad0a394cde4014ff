#include "clients.h"

#include "base/series.h"

#include <stdlib.h>
#include <sys/socket.h>

static struct counter pushed_out = {
    .name = "inferscope_http_connections_pushed_out_total",
    .help = "Connections to the agent's HTTP server that were closed to make room for newer ones",
};

struct client *clients_add(struct clients *clients, int fd)
{
    struct client *client = clients->count < CLIENTS_OPEN_MAX ? malloc(sizeof(*client)) : NULL;
    if (!client)
        return NULL;
    *client = (struct client){.fd = fd, .turn = ++clients->turn};
    clients->open[clients->count++] = client;
    counter_register(&pushed_out);
    if (clients->count - clients->leaving <= CLIENTS_MAX)
        return client;

    struct client *quiet = client;
    for (size_t i = 0; i < clients->count; i++)
        if (clients->open[i]->fd >= 0 && clients->open[i]->turn < quiet->turn)
            quiet = clients->open[i];
    // The server sees the end of it as if the client had gone, and cleans up.
    shutdown(quiet->fd, SHUT_RDWR);
    quiet->fd = -1;
    clients->leaving++;
    pushed_out.value++;
    return client;
}

void clients_touch(struct clients *clients, struct client *client)
{
    client->turn = ++clients->turn;
}

void clients_remove(struct clients *clients, struct client *client)
{
    for (size_t i = 0; i < clients->count; i++) {
        if (clients->open[i] != client)
            continue;
        clients->leaving -= client->fd < 0;
        clients->open[i] = clients->open[--clients->count];
        break;
    }
    free(client);
}
