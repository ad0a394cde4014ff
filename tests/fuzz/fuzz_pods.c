// The kubelet's answer; and what comes of it on the agent's side, as well as what might come instead.
#include "fuzz.h"

#include "../../user/deliver/kubelet.h"
#include "../../user/enrich/pod_table.h"

static void look(void)
{
    char room[4096];
    struct pods_asked asked = {};
    if (pods_describe("a", "c1", &asked, room, sizeof(room)) > (ssize_t)sizeof(room))
        abort();
}

FUZZ_TARGET(pods)
{
    struct text list = TEXT_INIT(PODS_FRAME_MAX);
    unsigned left_out;
    if (kubelet_list_read((const char *)data, size, &list, &left_out)) {
        // What we have written ourselves must be read again.
        if (list.data && pods_take(list.data, list.length))
            abort();
        look();
    } else {
        text_free(&list);
    }
    char *copy = malloc(size + 1);
    if (copy)
        memcpy(copy, data, size);
    if (copy && pods_take(copy, size) == 0)
        look();
    pods_forget();
    return 0;
}
