// What the parts of the benchmark of rules know of each other.
#pragma once

#include "base/text.h"
#include "wire/header.h"

#include <stddef.h>
#include <stdint.h>

// The same sequence in each run, so that runs compare.
uint32_t draw(uint32_t below);

// A name that a program, a team or a product could have; no two numbers give the same one.
const char *made_name(size_t number, char *room, size_t size);

// templates.c: a rule file with that many rules. The shapes are those of Falco's public rules; names, paths,
// addresses and ports are each rule's own.
void rules_write(size_t count, struct text *text);

// records.c: what the kernel side would have written, in a row, each aligned to 8 bytes.
struct records {
    uint64_t *data;
    size_t *offsets;
    size_t count;
    size_t used; // words
};

// Records that make the processes known; they come before all others.
int records_of_processes(struct records *records);
// Opens, execs and connections of these processes.
int records_of_events(struct records *records, size_t count);
static inline const struct wire_header *record_at(const struct records *records, size_t index)
{
    return (const struct wire_header *)(records->data + records->offsets[index]);
}
void records_free(struct records *records);
