// Notices that rule files have changed, however that was done: written in place, renamed over as editors do,
// or by a symbolic link on the way that leads elsewhere now, as Kubernetes updates a ConfigMap.
#pragma once

#include "rule.h"

#include <stdbool.h>
#include <stddef.h>

struct rule_watch;

// The inputs are borrowed. 0 or a negative errno.
int rule_watch_new(const struct rule_input *inputs, size_t count, struct rule_watch **ret_watch);
void rule_watch_free(struct rule_watch **watch);
int rule_watch_fd(const struct rule_watch *watch); // readable when there is news

// Whether one of the files was not there when last looked at.
bool rule_watch_missing(const struct rule_watch *watch);

// Takes the files as they are now for those that are loaded: to be called just before loading them.
void rule_watch_arm(struct rule_watch *watch);

// Reads the news. True where the files are others than those that were loaded, all are there, and none is
// just being written. `tick`: a second has passed, so a file that somebody keeps open for writing is taken as
// it is when it has not changed for that long.
bool rule_watch_changed(struct rule_watch *watch, bool tick);
