// What tests of the deliverer share: a spool that is filled without an agent, `agent deliver`, and receivers
// that are strict about what they get (tests/servers/receivers.py).
#pragma once

#include "harness.h"

// --- The spool of the test, test_path("spool") ---

// Appends alerts with the numbers from `first` on, of the rule and in the words that test assertions know.
// Returns their uuids, which live until the test ends.
const char **spool_fill(unsigned first, unsigned count);
// One line as fill-spool takes it; the uuid.
const char *spool_fill_line(const char *line);
// The line for an alert of that rule.
const char *alert_line(const char *priority, const char *rule, unsigned number);

// --- The deliverer ---

// `agent deliver` with the outputs of that text, a YAML list indented by nothing; what it says goes to
// test_path("said").
pid_t deliver_start(const char *outputs);
// SIGTERM; asserts that it ends with 0.
void deliver_stop(pid_t pid);
// All that deliverers of this test have said until now; lives until the test ends.
const char *deliver_said(void);
void deliver_wait_said(const char *text);

// --- The receivers ---

// Starts them; their port. They end with the test.
unsigned receivers_start(void);
// What is done with the next requests to the path: "500 429:1 ok".
void receivers_mode(const char *path, const char *modes);
// How many requests there were to the path.
size_t receivers_requests(const char *path);
// Waits until so many alerts were taken at the path, then asserts that each of these was taken there exactly
// once, and that all requests were as they should be.
void receivers_wait_taken(const char *path, const char *const *uuids, size_t count);
void receivers_wait_requests(const char *path, size_t count);
// What they know, owned.
json_t *receivers_state(void);

// A port that nobody listens at. Nobody else gets it until the test ends: it stays bound, which leaves it to
// whoever listens there with SO_REUSEADDR, as all servers do.
unsigned free_port(void);
void wait_for_port(unsigned port);
void pause_briefly(void);
