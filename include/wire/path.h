// How a path travels: its components from the leaf up to the root of the mount namespace, a NUL after each,
// because that is the order in which the kernel's objects give them. No components: the root itself.
#pragma once

#define WIRE_PATH_COMPONENT_MAX 256 // NAME_MAX and its NUL
#define WIRE_PATH_DEPTH_MAX 64      // steps of the walk, those across mounts included
