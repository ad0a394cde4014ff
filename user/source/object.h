// A source's BPF object, bpf/<name>.bpf.c, from loading it to taking it out again. A source says when it
// needs it, which hooks it has, what its programs must know before they are loaded and before they are
// attached.
#pragma once

#include "hook.h"

// A source gives the first part; the rest is zero at first.
struct object {
    // As OBJECT_SKELETON() defines them: NULL, and errno, on failure; harmless where it is closed.
    struct bpf_object_skeleton *(*open)(uint16_t source_id);
    void (*close)(void);
    // Sets the programs' constants, before they are loaded. NULL: there are no more than source_id.
    void (*prepare)(const struct source_env *env);
    // Called when nothing is attached any more, before the object goes, even where there is none. NULL:
    // nobody.
    void (*stopping)(void);

    struct bpf_object_skeleton *skeleton; // NULL while it is not loaded
    struct hooks attached;
};

// Defines `skeleton`, of bpf/<name>.bpf.c, NULL while it is not loaded, and the two functions that it is
// opened and closed by.
#define OBJECT_SKELETON(name)                                            \
    static struct name##_bpf *skeleton;                                  \
                                                                         \
    static struct bpf_object_skeleton *open_skeleton(uint16_t source_id) \
    {                                                                    \
        skeleton = name##_bpf__open();                                   \
        if (!skeleton)                                                   \
            return NULL;                                                 \
        skeleton->rodata->source_id = source_id;                         \
        return skeleton->skeleton;                                       \
    }                                                                    \
                                                                         \
    static void close_skeleton(void)                                     \
    {                                                                    \
        name##_bpf__destroy(skeleton);                                   \
        skeleton = NULL;                                                 \
    }                                                                    \
    struct object // so that a semicolon may follow

// The steps of source.start(). Each that fails sets the report's reason, stops the source and returns a
// negative errno.

// Says in the report whether the source is needed, and stops it where it is not. Returns `needed`.
bool object_needed(struct object *object, bool needed, struct source_report *ret_report);
// Loads the programs that the hooks name, unless that is done.
int object_load(struct object *object, const struct source_env *env, const struct hook *hooks, size_t count,
                struct source_report *ret_report);
// As hook_update().
int object_attach(struct object *object, const struct hook *hooks, size_t count,
                  struct source_report *ret_report);
// All three, for a source that has nothing to do between them.
int object_start(struct object *object, const struct source_env *env, bool needed, const struct hook *hooks,
                 size_t count, struct source_report *ret_report);

// For source.stop().
void object_stop(struct object *object);
