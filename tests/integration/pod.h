// A container of the test's own, as far as the agent can tell: cgroups and what a runtime writes about one.
// What the test starts in it is measured under a name that nobody else has.
#pragma once

// TestSuite(…, POD_SUITE): as TEST_SUITE, and each test is in one.
void pod_setup(void);
void pod_teardown(void);
#define POD_SUITE .init = pod_setup, .fini = pod_teardown

// The test's process enters it, and so does all that it starts from then on. Skips the test where no cgroups
// can be made.
void pod_enter(void);
// Its name: the label k8s_container_name. NULL where the test is in none.
const char *pod_name(void);
// Leaves and removes it, when nothing else is in it any more. Harmless where there is none.
void pod_leave(void);
