// The agent's side of asking the kubelet: it starts the process that does (`agent kubelet`), again where it
// dies, and takes its lists of pods to the enrich stage.
#pragma once

#include "config.h"

#include <stdbool.h>
#include <stddef.h>

struct kubelet;

// Where the configuration has a kubelet; else *ret_kubelet stays NULL. `text` is the file that it was made
// of, borrowed for the call. Unless it `asks` there are its metrics only. 0 or a negative errno.
int kubelet_start(const struct config *config, const char *text, size_t size, bool asks,
                  struct kubelet **ret_kubelet);
// All of these accept NULL.
void kubelet_stop(struct kubelet **kubelet);
// Becomes readable when kubelet_read() is to be called; -1 for NULL.
int kubelet_epoll_fd(const struct kubelet *kubelet);
void kubelet_read(struct kubelet *kubelet);
void kubelet_reap(struct kubelet *kubelet); // on SIGCHLD
void kubelet_tick(struct kubelet *kubelet); // about once a second
