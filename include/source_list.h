// The one line to edit for a new source. The name is that of bpf/<name>.bpf.c, include/wire/<name>.h,
// user/source/<name>.c (which defines `struct source source_<name>`) and tests/integration/test_<name>.c.
// `sched` stays before `api` and the runtimes, whose processes it measures; `tls` behind `api`, whose
// programs it attaches; `mapping` and `compat` the last: the others say what they are for.
#pragma once

// clang-format off
#define SOURCE_LIST(X) \
    X(process) \
    X(file) \
    X(connect) \
    X(syscall) \
    X(inode) \
    X(socket) \
    X(control) \
    X(dup) \
    X(dns) \
    X(egress) \
    X(tcp) \
    X(sched) \
    X(api) \
    X(tls) \
    X(llama) \
    X(onnx) \
    X(torch) \
    X(cuda) \
    X(nccl) \
    X(probe) \
    X(mapping) \
    X(compat)
// clang-format on
