// Asking the kubelet for its pods: what `agent kubelet` does. Like the deliverer it has no capability, and is
// the one that speaks to the network.
#pragma once

#include "base/text.h"
#include "config.h"
#include "pods.h"

// Asks at intervals, and earlier where a byte comes on `news_fd`, and writes a frame each time; until
// `frames_fd` has no reader. 0 or a negative errno.
int kubelet_run(const struct config_kubelet *config, int frames_fd, int news_fd);
// Asks once. The list is added to `ret_list`; `ret_why` says what went wrong.
enum pods_result kubelet_ask(const struct config_kubelet *config, struct text *ret_list,
                             unsigned *ret_left_out, char *ret_why, size_t why_size);

// The kubelet's answer (a PodList of the API core/v1) as a list (pods.h). False where it is none.
bool kubelet_list_read(const char *json, size_t size, struct text *ret_list, unsigned *ret_left_out);
