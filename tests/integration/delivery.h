// What the tests of delivery share: a configuration, a receiver that remembers on disk, and what has come.
#pragma once

#include "harness.h"

#include <stdint.h>

// The rule of all these tests: "opened" (Critical) and "looked" (Debug) about two files of the test's own.
const char *delivery_rules(void);
const char *delivery_file(void);      // for "opened"
const char *delivery_unwatched(void); // for "looked"
void delivery_open(const char *path, unsigned times);

// agent.yaml: the spool in `directory`, an audit log, and these outputs (YAML, indented by two).
const char *delivery_config(const char *directory, const char *outputs);
// An output of type webhook to the keeper's port.
const char *delivery_webhook(unsigned port);

// --- The receiver ---

struct keeper {
    pid_t pid; // 0: it does not run
    unsigned port;
    int in; // the end of it ends the keeper
};
void keeper_start(struct keeper *keeper); // at the port it had, if it had one
void keeper_kill(struct keeper *keeper);
// A port at which nobody listens.
void keeper_reserve(struct keeper *keeper);

// --- What has come ---

struct arrivals {
    char (*uuids)[37]; // by sequence; "" where none came
    uint64_t capacity; // sequences
    uint64_t highest, count, repeats;
};
// Of what the keeper took, or of a file of alerts in JSON; asserts that repeats have the same UUID.
void arrivals_read_keeper(struct arrivals *arrivals);
void arrivals_read_file(struct arrivals *arrivals, const char *path);
void arrivals_free(struct arrivals *arrivals);
#define _cleanup_arrivals_ __attribute__((cleanup(arrivals_free)))

// Waits until the keeper has taken so many alerts.
void delivery_wait_taken(uint64_t count);
// The process that delivers; asserts that there is one within the deadline.
pid_t delivery_process(struct agent *agent);
const char *delivery_audit_log(void);
// The last sequence that the audit log names; 0: none.
uint64_t delivery_last_sequence(void);
