// What the formats share: members of an alert's JSON, whatever its shape, and tables that say which field of
// the output becomes which member of the receiver's document.
#pragma once

#include "base/text.h"
#include "receiver.h"

#include <stdbool.h>
#include <time.h>

enum { NS_PER_SECOND = 1000000000, NS_PER_MS = 1000000, FORMAT_TIME_SIZE = 40 };

// "" where the member is missing or no string.
const char *format_string(const json_t *object, const char *name);
// The output fields; NULL: there are none.
const json_t *format_fields(const struct item *item);
// That of the alert; else ours, as format_name_of_host() has it.
const char *format_hostname(const struct item *item, const char *hostname);
// "unknown" where it is no UTF-8.
const char *format_name_of_host(const char *hostname);
// When it happened: the field evt.time, or else when it was written down.
uint64_t format_time_ns(const struct item *item);
// 2026-11-21T08:00:00.123456Z with 0 to 9 digits after the point.
const char *format_timestamp(uint64_t time_ns, unsigned digits, char ret_time[FORMAT_TIME_SIZE]);

enum format_kind {
    FORMAT_KEYWORD,   // a string; numbers and booleans are written as one
    FORMAT_KEYWORDS,  // an array of one such string
    FORMAT_NUMBER,    // an integer
    FORMAT_ADDRESS,   // an IP address
    FORMAT_PATH,      // an absolute path, where the alert is not about a socket of that name
    FORMAT_TIME,      // nanoseconds, written as a date
    FORMAT_TIME_MS,   // the same in milliseconds
    FORMAT_LOWERCASE, // a string in lower case
};

struct format_mapping {
    const char *field; // Falco's name
    const char *path;  // of the member: names of objects with dots between them
    enum format_kind kind;
};

// Puts each field of the table whose value fits into the document; of several for the same member the first
// of the table wins. What has no member, or does not fit, goes to `left` by its own name. 0 or -ENOMEM.
int format_map(const json_t *fields, const struct format_mapping *table, size_t count, json_t *document,
               json_t *left);

// Sets a member, with the objects on the way to it. Takes the value. 0, or -ENOMEM, also where value is NULL.
int format_put(json_t *document, const char *path, json_t *value);
json_t *format_get(const json_t *document, const char *path);

// Tags that name a technique of MITRE ATT&CK (T1059, T1059.004) or, as Falco's rules do, a tactic
// (mitre_execution).
struct format_attack {
    char technique[8];      // T1059; "": none
    char sub_technique[12]; // T1059.004; "": none
    const char *tactic;     // TA0002; NULL: none
    const char *tactic_name;
};
bool format_attack(const char *tag, struct format_attack *ret_attack);

// Whether the value is the path of a file: a UNIX socket has one, too, and so may have a pipe.
bool format_is_path(const json_t *value, const json_t *fields);

// Takes back what was added behind `length`, because it was too much: -EMSGSIZE, or -ENOMEM.
int format_undo(struct text *text, size_t length);
// Cuts off what may be left of a character at the end of a text that was truncated.
void format_trim(struct text *text);

// One function for each format.
int format_ecs(const struct item *item, const char *hostname, json_t *document);
int format_ocsf(const struct item *item, const char *hostname, json_t *document);
void format_cef(const struct item *item, const char *hostname, struct text *text);
