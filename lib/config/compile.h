/* The compiler: from a store to a snapshot, with what it found wrong on the way.
 *
 * It never refuses the whole: a resource that cannot work is left out or made to fail safe, and a note says
 * which and why. The caller decides: files are refused when there is an error, xDS answers with the notes.
 * References to what is not there (yet) are no errors: they become backends of kind INVALID. Ownership: the
 * compiler keeps TLS contexts between runs, so that equal certificates share them and a reload is cheap;
 * snapshots hold their own references. Threads: the config thread. Errors: AGW_ENOMEM alone. */
#ifndef AGW_CONFIG_COMPILE_H
#define AGW_CONFIG_COMPILE_H

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

struct agw_compile_options {
    const struct agw_policy_ops *const *policies; /* the kinds that are implemented */
    size_t policy_count;
    bool ipv4_only; /* binds without addresses listen on 0.0.0.0 instead of [::] */
};

struct agw_compiler;
struct agw_compiler *agw_compiler_new(const struct agw_compile_options *options);
void agw_compiler_free(struct agw_compiler *c);
/* Compiles all of |store|. 0 with a new, unpublished snapshot, or AGW_ENOMEM. |notes| are added to. */
int agw_compiler_run(struct agw_compiler *c, const struct agw_store *store,
                     struct agw_snapshot **ret_snapshot, struct agw_notes *notes);

#endif
