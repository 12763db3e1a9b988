/* The compiler: from a store to a snapshot, with what it found wrong on the way.
 *
 * It never refuses the whole: a resource that cannot work is left out or made to fail safe, and a note says
 * which and why. The caller decides: files are refused when there is an error, xDS answers with the notes.
 * References to what is not there (yet) are no errors: they become backends of kind INVALID.
 *
 * It remembers the store that it compiled last and what everything was made from: a run costs what changed
 * since, and the new snapshot shares the rest with those before. A caller that does not publish a snapshot
 * goes back by running the old store again. Ownership: the compiler holds references on what it made;
 * snapshots hold their own. Threads: the config thread. Errors: AGW_ENOMEM alone; the next run then compiles
 * everything anew. */
#ifndef AGW_CONFIG_COMPILE_COMPILE_H
#define AGW_CONFIG_COMPILE_COMPILE_H

#include "config/locality.h"
#include "config/snapshot.h"
#include "config/store.h"

enum agw_note_level {
    AGW_NOTE_WARNING, /* works in part: the text says what does not */
    AGW_NOTE_ERROR,   /* the resource is invalid */
};

struct agw_note {
    struct agw_note *next;
    enum agw_note_level level;
    struct agw_str id; /* the resource's, "route/ns/name.00" */
    struct agw_str text;
};

/* Notes in order of discovery; owns their memory. */
struct agw_notes {
    struct agw_arena arena;
    struct agw_note *first, *last;
    uint32_t warnings, errors;
};

void agw_notes_init(struct agw_notes *n);
void agw_notes_free(struct agw_notes *n);

/* Which workload the gateway itself is. */
struct agw_self {
    struct agw_str ns, name;   /* found by these among the workloads; empty: it is not looked for */
    struct agw_locality given; /* said from outside, instead of what the workload says */
    bool is_given;
};

struct agw_compile_options {
    const struct agw_policy_ops *const *policies; /* the kinds that are implemented */
    size_t policy_count;
    bool ipv4_only; /* binds without addresses listen on 0.0.0.0 instead of [::] */
    /* A route whose backend is not known or has no endpoint is not served until it has, or this long: what it
     * needs may still be on its way. Its former version serves on, or 404. 0: served at once. */
    uint32_t hold_ms;
    struct agw_self self;    /* the texts live as long as the compiler */
    struct agw_tls_own *own; /* what workloads behind HBONE are connected to by; NULL: plainly */
    bool local; /* the store is filled from this machine's files alone: they may name processes */
};

struct agw_compiler;
struct agw_compiler *agw_compiler_new(const struct agw_compile_options *options);
void agw_compiler_free(struct agw_compiler *c);
/* Compiles |store|. 0 with a new, unpublished snapshot, or AGW_ENOMEM. |now_ns|: agw_clock_ns(). |notes| are
 * added to: what was found in what was compiled now. */
int agw_compiler_run(struct agw_compiler *c, const struct agw_store *store, uint64_t now_ns,
                     struct agw_snapshot **ret_snapshot, struct agw_notes *notes);
/* The next run goes back to a store, or a part of one, that was served before: no route that it changes is
 * held back. */
void agw_compiler_go_back(struct agw_compiler *c);
/* Routes that are held back, and when the first of them is to be served all the same (then run again);
 * UINT64_MAX: none is. */
uint32_t agw_compiler_held(const struct agw_compiler *c);
uint64_t agw_compiler_due(const struct agw_compiler *c);

#endif
