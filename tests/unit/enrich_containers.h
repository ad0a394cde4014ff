// The containers of a node that is a tree of files.
#pragma once

#include "../../user/enrich/containers.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "enrich.h"
#include "enrich_tree.h"

#include <criterion/criterion.h>

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define SECOND 1000000000ULL

static char root[64];
static struct containers *containers;

static inline void setup(void)
{
    tree_make(root);
    containers = containers_new(root, 8);
    cr_assert_not_null(containers);
}

static inline void teardown(void)
{
    cr_assert_eq(containers_count(containers), 0, "every reference was given back");
    containers_free(containers);
    tree_remove(root);
}

static inline const struct container *get(const char *id, const char *runtime, uint64_t now_ns)
{
    struct container_id key = {.runtime = runtime};
    strcpy(key.id, id);
    return containers_get(containers, &key, now_ns);
}

static inline void expect(const struct container *container, const char *name, const char *image,
                          const char *pod, const char *namespace)
{
    const char *got[] = {container->name, container->image, container->pod_name, container->pod_namespace};
    const char *want[] = {name, image, pod, namespace};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(got[i] == NULL, want[i] == NULL, "%d: %s", i, got[i] ? got[i] : "missing");
        if (got[i])
            cr_assert_str_eq(got[i], want[i]);
    }
}

// Reads a field of an event in that container; "" where it is missing.
static inline const char *field_of(const struct container *container, const char *name, const char *key)
{
    static struct scratch scratch;
    struct event event = {.container = container, .scratch = &scratch};
    struct field_arg arg = {.set = key, .key = key};
    struct value value;
    scratch.used = 0;
    const struct field *field = field_find_any(name, strlen(name));
    cr_assert(field, "%s", name);
    return field_get(field, &event, &arg, 0, &value) ? value.string.data : "";
}
