// How a recording lies in a file. Numbers are in the recorder's byte order, which the reader's must be, too.
//
//   head     struct record_head, then table_size bytes of text: a line for each type of record that the
//            recorder's build had, "0 2 process procexit 96": the source's number and the type's as in
//            wire_header, their names, and the size that the record has at least
//   frame    struct record_frame, then `stored` bytes: a piece of one raw deflate stream that goes on
//            from frame to frame (RFC 1951, each piece flushed to a byte), which gives `raw` bytes: whole
//            entries
//   frame …  the last entry of the last frame is RECORD_END, with nothing behind it
//
//   entry    struct record_entry_head, then `size` bytes
#pragma once

#include "base/outside.h"
#include "record.h"
#include "wire/header.h"

enum {
    RECORD_VERSION = 1,
    RECORD_BYTE_ORDER = 0x01020304,
    RECORD_TABLE_MAX = 64 * 1024,
    RECORD_RAW_MAX = 16 * 1024 * 1024,    // of a frame
    RECORD_STORED_MAX = 17 * 1024 * 1024, // deflate makes nothing larger than that of it
    RECORD_ENTRY_MAX = OUTSIDE_ANSWER_MAX + OUTSIDE_QUESTION_MAX + 64,
    RECORD_DEFLATE_RATIO_MAX = 1032, // a byte of deflate never gives more than that
};

struct record_head {
    char magic[RECORD_MAGIC_SIZE];
    __u32 byte_order;
    __u32 version;
    __u32 table_size;
    __u32 crc; // of what stands before it and of the table
};
WIRE_SIZE(struct record_head, 24);

struct record_frame {
    __u32 stored;
    __u32 raw;
    __u32 number; // from 0
    __u32 crc;    // of what stands before it and of the stored bytes
};
WIRE_SIZE(struct record_frame, 16);

struct record_entry_head {
    __u32 size;
    __u32 kind; // enum record_kind
};
WIRE_SIZE(struct record_entry_head, 8);

struct record_tick_body {
    __s64 boot_to_epoch_ns;
    __s32 utc_offset_s;
    __u32 reserved;
};
WIRE_SIZE(struct record_tick_body, 16);

// Followed by the question and, where error is 0, the data.
struct record_answer_body {
    __u16 question_size;
    __u8 lasting;
    __u8 reserved;
    __s32 error;
};
WIRE_SIZE(struct record_answer_body, 8);

// Followed by the source's name and the reason, a NUL after each.
struct record_lost_body {
    __u64 total;
};
WIRE_SIZE(struct record_lost_body, 8);
