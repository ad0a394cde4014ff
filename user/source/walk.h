// Going through all entries of one of the kernel's tables.
#pragma once

// Copies of an entry's key and value, as of a moment ago.
typedef void (*walk_fn)(int map_fd, const void *key, const void *value, void *context);

// Calls `visit`, which may take entries out, for each entry of a table (BPF_MAP_TYPE_HASH, _LRU_HASH): once
// for those that are there all the time, at most once for those that come or go meanwhile. By batches (5.6),
// which go on where they were: from key to key, a walk begins anew wherever the entry has gone behind which
// to go on, and would hardly come to the end of a busy table. 0, or a negative errno: it has not come to the
// end.
int walk_table(int map_fd, walk_fn visit, void *context);
