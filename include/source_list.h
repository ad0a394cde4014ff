// The one line to edit for a new source. The name is that of bpf/<name>.bpf.c, include/wire/<name>.h,
// user/source/<name>.c (which defines `struct source source_<name>`) and tests/integration/test_<name>.c.
// `tls` stays behind `api`, whose programs it attaches, and `compat` the last: the others say what it is for.
#pragma once

#define SOURCE_LIST(X) \
    X(process)         \
    X(file) X(connect) X(syscall) X(inode) X(socket) X(control) X(dup) X(dns) X(api) X(tls) X(tcp) X(compat)
