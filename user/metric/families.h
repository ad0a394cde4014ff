// A page of metrics in the making, in any format: families by name, each with the text of its samples, so
// that samples which several collectors give for one name end up together, and room for all of them.
#pragma once

#include "base/series.h"
#include "base/text.h"

#include <stdbool.h>

enum { FAMILIES_MAX = 1024 };

struct family {
    char *name; // as registered; owned
    enum series_type type;
    bool any;         // samples in the body
    struct text body; // the header, then the samples
};

struct families {
    struct series_writer writer; // first: the collectors know only this part; its family() is families_open()
    struct family *at[FAMILIES_MAX];
    size_t count;
    struct family *current; // NULL: samples that come now belong nowhere
    size_t room;            // bytes that may still be gathered
    size_t before;          // length of the body in front of the sample in the making
    struct counter *left_out;
    // Writes what comes before the samples.
    void (*head)(const struct families *families, struct family *family,
                 const struct series_family *declared);
};

// The samples that follow belong to that family. One that was declared with another type takes none: samples
// of two types under one name would make the page unreadable.
void families_open(struct series_writer *writer, const struct series_family *declared);
// Where a sample of that kind is written to, between these two. NULL: nowhere, which is counted.
struct text *families_begin(struct families *families, bool histogram);
// Takes back what did not fit as a whole: half a sample is worse than none.
void families_end(struct families *families);
void families_free(struct families *families);
