// What the kubelet says of the node's pods. It is asked by a process of its own, without any capability
// (`agent kubelet`), which hands on what is wanted of the answer in frames, through a pipe.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pods_result {
    PODS_LISTED,
    PODS_NO_TOKEN,    // the token or the certificates could not be read
    PODS_UNREACHABLE, // no answer, or not in time
    PODS_UNTRUSTED,   // the server's certificate is not the kubelet's
    PODS_REFUSED,     // any status but 200
    PODS_TOO_LARGE,
    PODS_MALFORMED,
    PODS_RESULTS,
};

// Before each frame. A list follows where it is one: for each pod texts with a NUL each, namely uid, name,
// namespace, address, the number of its labels and each one's name and value, the number of its containers
// and each one's id and its image's digest.
struct pods_frame {
    uint32_t magic;
    uint32_t size; // bytes that follow
    uint32_t result;
    uint32_t left_out; // pods for which there was no room
};

// The descriptors that `agent kubelet` finds open beside the first three, and no others.
enum kubelet_fd {
    KUBELET_CONFIG = 3, // a memfd with the text of agent.yaml, at its beginning
    KUBELET_FRAMES,     // the writing end of a pipe
    KUBELET_NEWS,       // the reading end of another: a byte comes when a pod is missing
    KUBELET_FDS_END,
};

enum { PODS_MAGIC = 0x646f7073, PODS_FRAME_MAX = 8 * 1024 * 1024, PODS_MAX = 16384, POD_LABELS_MAX = 128 };

// Takes over a list, which is malloc()ed, in the place of the last one. 0, or -EBADMSG and -ENOMEM: the last
// one stays.
int pods_take(char *list, size_t size);
void pods_forget(void);
size_t pods_count(void);
// Whether a pod was asked for that was not in the list, since this was called last.
bool pods_missed(void);
