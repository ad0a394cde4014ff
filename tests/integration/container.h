// A real container, started by runc from a bundle as containerd lays it out.
#pragma once

#include "harness.h"

// TestSuite(…, .init = container_setup, .fini = container_teardown)
void container_setup(void);
void container_teardown(void);
const char *container_id(void);
// Runs the container, whose first program gets these arguments (JSON strings), until it ends. Skips the test
// where runc is not installed.
void container_run(const char *arguments);
// Before it can run again.
void container_delete(void);
