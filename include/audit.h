// The audit log: what the agent did and was told, in a file of JSON lines. Each has a number, the hash of the
// one before it and its own, so that a line that was changed, taken out or put in shows. `agent audit verify`
// checks it; docs/DELIVERY.md tells what the chain proves and what not.
#pragma once

#include "base/sha256.h"
#include "base/text.h"
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct audit;

struct audit_options {
    const char *path;       // borrowed for the call only
    enum config_sync sync;  // when lines are brought to the disk
    unsigned sync_interval; // ms
};

// Goes on behind what is in the file, or begins a new one (0600). A torn last line is cut off, and a line
// says so. 0; -EBUSY: another agent writes it; or a negative errno.
int audit_open(const struct audit_options *options, struct audit **ret_audit);
void audit_close(struct audit **audit);

// Writes one line: its members are those given here, between audit_begin() and audit_end(). Without an audit
// log (NULL) all of these do nothing. Entries that cannot be written are counted, and a line says how many
// they were once there is room again.
void audit_begin(struct audit *audit, const char *event);
void audit_add_text(struct audit *audit, const char *name, const char *value);
void audit_add_number(struct audit *audit, const char *name, uint64_t value);
void audit_add_truth(struct audit *audit, const char *name, bool value);
// A value that is JSON already.
void audit_add_json(struct audit *audit, const char *name, const char *json);
int audit_end(struct audit *audit); // 0 or a negative errno

// Lines that only name something.
void audit_say(struct audit *audit, const char *event, const char *name, const char *value);

// SYNC_INTERVAL: brings lines to the disk where it is time. In how many milliseconds it is to be called again
// at the latest; -1: only after another line.
int audit_sync(struct audit *audit);
// After the file was moved away (SIGUSR1): a new one begins, with the hash of the old one's last line.
void audit_reopen(struct audit *audit);

struct audit_state {
    uint64_t number; // of the last line; 0: none
    char hash[SHA256_TEXT_SIZE];
};

// Checks a file, of which `state` (zeroed, or what the file before it ended with) tells what it continues.
// Says the first line that does not fit on `problems`. 0; -EBADMSG; or a negative errno.
int audit_verify(const char *path, struct audit_state *state, FILE *problems);
