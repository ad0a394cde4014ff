// What the fields of the source `inode` read from a record.
#pragma once

#include "event.h"
#include "wire/inode.h"

#define INODE_GETTER(name) \
    bool name(const struct event *event, const struct field_arg *arg, size_t nth, struct value *ret_value)

// The names of the call, made absolute; the second one is that of calls with two.
INODE_GETTER(inode_get_first);
INODE_GETTER(inode_get_second);
// A symbolic link's target as it was given.
INODE_GETTER(inode_get_target);
// The same for fs.path.*, which are missing where the call failed; `raw` is as given.
INODE_GETTER(inode_get_done_first);
INODE_GETTER(inode_get_done_second);
INODE_GETTER(inode_get_done_first_raw);
INODE_GETTER(inode_get_done_second_raw);
// AT_FDCWD, or the number as text.
INODE_GETTER(inode_get_first_dirfd);
INODE_GETTER(inode_get_second_dirfd);
// fchmod() only.
INODE_GETTER(inode_get_num);
// Names joined by "|", or "0".
INODE_GETTER(inode_get_mode);
INODE_GETTER(inode_get_at_flags);
INODE_GETTER(inode_get_rename_flags);

// The parts of a record stay inside it.
bool inode_record_valid(const struct wire_header *wire);
