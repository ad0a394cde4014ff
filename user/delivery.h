// What becomes of an alert where the configuration has outputs or an audit log: it gets a name, goes into the
// spool, then into the audit log, and then the deliverer is told.
#pragma once

#include "alert.h"
#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit;
struct delivery;
struct noise_summary;

struct delivery_options {
    const struct config *config; // borrowed, only for the call
    const char *text;            // agent.yaml, of which it was made
    size_t size;
};

// Opens what there is to be and starts the deliverer; NULL where there is nothing to do. 0, or a negative
// errno after having said why.
int delivery_start(const struct delivery_options *options, struct delivery **ret_delivery);
// What is under way gets a moment to arrive.
void delivery_stop(struct delivery **delivery);

// 0: it is kept and will be delivered; 1: there are no outputs, it is to be told directly; or a negative
// errno: it is lost, and that is counted as inferscope_alerts_lost_total{sink="spool"}.
int delivery_alert(struct delivery *delivery, const struct alert *alert);
// The same for one alert that stands for several.
int delivery_summary(struct delivery *delivery, const struct noise_summary *summary);
// An enriched event, for outputs that want spans of inference requests. Does nothing without a delivery.
void delivery_event(struct delivery *delivery, const struct event *event);
// Before the end, while everything that has metrics still lives: they go out once more.
void delivery_last(struct delivery *delivery);

// All of these do nothing without a delivery.

// After a number of alerts: the deliverer hears of them, and what is to be on the disk by now is. In how many
// milliseconds it is to be called again at the latest; -1: only after another alert.
int delivery_flush(struct delivery *delivery);
void delivery_tick(struct delivery *delivery);   // about once a second
void delivery_reap(struct delivery *delivery);   // on SIGCHLD
void delivery_reopen(struct delivery *delivery); // on SIGUSR1: files that were moved away are opened anew
uint64_t delivery_next_sequence(const struct delivery *delivery); // 0: there is no spool
struct audit *delivery_audit(struct delivery *delivery);

// Other outputs, for a delivery that has some; what else differs waits for a restart. Preparing: 0, or a
// negative errno after having said why, and all stays as it was. After it comes one of the others, with the
// same options: abandoning leaves all as it was, and adopting cannot fail.
int delivery_prepare(struct delivery *delivery, const struct delivery_options *options);
void delivery_abandon(struct delivery *delivery, const struct delivery_options *options);
void delivery_adopt(struct delivery *delivery, const struct delivery_options *options);
