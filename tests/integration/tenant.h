// A container's cgroup and description without a container: processes of the test that join it are counted
// as that container's, and by nobody else's.
#pragma once

#include <sys/types.h>

// TestSuite(…, .init = tenant_setup, .fini = tenant_teardown). Without the second version of the cgroup file
// system each test is skipped.
void tenant_setup(void);
void tenant_teardown(void);
// What metrics have for k8s_container_name.
const char *tenant_name(void);
// Forks a process in it that exits with what `act` returns there, and returns its parent's id, which exits
// with the same.
pid_t tenant_start(int (*act)(const void *), const void *argument);
// The same, and asserts that it ended with 0.
void tenant_run(int (*act)(const void *), const void *argument);
