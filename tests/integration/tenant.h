// A container's cgroup and description without a container: processes of the test that join it are counted
// as that container's, and by nobody else's.
#pragma once

// TestSuite(…, .init = tenant_setup, .fini = tenant_teardown). Without the second version of the cgroup file
// system each test is skipped.
void tenant_setup(void);
void tenant_teardown(void);
// What metrics have for k8s_container_name.
const char *tenant_name(void);
// Has a new process in it do something, which returns 0 where that went well.
void tenant_start(int (*act)(const void *), const void *argument);
// Waits until it has, and asserts the 0. The process stays until the test ends.
void tenant_wait(void);
// Ends all of it, of which nothing is left then.
void tenant_end(void);
// The first two.
void tenant_run(int (*act)(const void *), const void *argument);
