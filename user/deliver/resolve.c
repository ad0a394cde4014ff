#include "resolve.h"

#include "base/cleanup.h"
#include "loop.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { ASK_FIRST_MS = 1, ASK_MAX_MS = 100 };

struct resolve {
    struct loop *loop;
    resolve_done_fn done;
    void *context;
    struct loop_timer timer;
    unsigned ask_ms;
    struct gaicb request; // the library's while it is under way, like what follows
    struct addrinfo hints;
    char host[256], port[32];
};

static void ask(void *context)
{
    struct resolve *resolve = context;
    int error = gai_error(&resolve->request);
    if (error == EAI_INPROGRESS) {
        resolve->ask_ms = resolve->ask_ms * 2 < ASK_MAX_MS ? resolve->ask_ms * 2 : ASK_MAX_MS;
        loop_timer_set(resolve->loop, &resolve->timer, resolve->ask_ms, ask, resolve);
        return;
    }
    struct addrinfo *addresses = resolve->request.ar_result;
    resolve->request.ar_result = NULL;
    resolve->done(error, addresses, resolve->context);
}

int resolve_begin(struct loop *loop, const char *host, const char *port, resolve_done_fn done, void *context,
                  struct resolve **ret_resolve)
{
    struct resolve *resolve = calloc(1, sizeof(*resolve));
    if (!resolve)
        return -ENOMEM;
    *resolve = (struct resolve){.loop = loop, .done = done, .context = context, .ask_ms = ASK_FIRST_MS};
    snprintf(resolve->host, sizeof(resolve->host), "%s", host);
    snprintf(resolve->port, sizeof(resolve->port), "%s", port);
    resolve->hints.ai_socktype = SOCK_DGRAM;
    resolve->request =
        (struct gaicb){.ar_name = resolve->host, .ar_service = resolve->port, .ar_request = &resolve->hints};
    struct gaicb *requests[] = {&resolve->request};
    if (getaddrinfo_a(GAI_NOWAIT, requests, 1, NULL)) {
        free(resolve);
        return -ENOMEM;
    }
    loop_timer_set(loop, &resolve->timer, resolve->ask_ms, ask, resolve);
    *ret_resolve = resolve;
    return 0;
}

void resolve_free(struct resolve **resolve)
{
    struct resolve *freed = *resolve;
    *resolve = NULL;
    if (!freed)
        return;
    loop_timer_stop(freed->loop, &freed->timer);
    // A thread that is at it writes to this memory, so it is left to it: this is when an output is closed.
    if (gai_cancel(&freed->request) == EAI_NOTCANCELED && gai_error(&freed->request) == EAI_INPROGRESS)
        return;
    if (freed->request.ar_result)
        freeaddrinfo(freed->request.ar_result);
    free(freed);
}
