/* Inside lib/a2a/translate: values as tables of what differs in them between the versions. */
#ifndef AGW_A2A_TRANSLATE_SHAPE_INT_H
#define AGW_A2A_TRANSLATE_SHAPE_INT_H

#include "a2a/translate/translate.h"

struct agw_a2a_turn {
    const struct agw_json_doc *doc;
    struct agw_json_writer *w;
    enum agw_a2a_era to;
};

struct agw_a2a_shape;

struct agw_a2a_field {
    const char *v03, *v10;             /* names; NULL: the version does not have it, it is left out */
    const struct agw_a2a_shape *shape; /* NULL: the value is the same in both */
};

/* A value; an array where one is expected is written item by item. */
struct agw_a2a_shape {
    const char *kind;                                        /* 0.3's discriminator, NULL: it has none */
    void (*write)(const struct agw_a2a_turn *t, uint32_t v); /* instead of what follows */
    bool whole;                                              /* .write takes arrays, too */
    void (*more)(const struct agw_a2a_turn *t, uint32_t v);  /* writes members that only |to| has */
    const struct agw_a2a_field *fields;
    size_t count;
};

extern const struct agw_a2a_shape agw_a2a_shape_message, agw_a2a_shape_task, agw_a2a_shape_status_update,
    agw_a2a_shape_artifact_update, agw_a2a_shape_send, agw_a2a_shape_push, agw_a2a_shape_push_key,
    agw_a2a_shape_push_inner, /* to 0.3: a push configuration inside of what names its task */
    agw_a2a_shape_not;        /* a boolean that means the opposite */

/* What 0.3 calls a file's content and its place; it is the one difference between its bindings there. */
struct agw_a2a_file_names {
    const char *bytes, *uri;
};
/* 0.3's |file| as members of a 1.0 part, into an object that is open; and the other way: the member `file` of
 * the part |v|, and what else |v| has. */
void agw_a2a_shape_file_to_10(const struct agw_a2a_turn *t, uint32_t file,
                              const struct agw_a2a_file_names *names);
void agw_a2a_shape_file_to_03(const struct agw_a2a_turn *t, uint32_t v,
                              const struct agw_a2a_file_names *names);

/* 0.3: whether the stream ends with the update |v|, as 1.0 lets clients tell from the state. A .more. */
void agw_a2a_shape_final(const struct agw_a2a_turn *t, uint32_t v);
/* The member, if it is there, under another name or the same. */
void agw_a2a_shape_put(const struct agw_a2a_turn *t, uint32_t object, const char *name, const char *as);
/* All members but those whose names are in |taken|, which NULL ends. */
void agw_a2a_shape_put_others(const struct agw_a2a_turn *t, uint32_t object, const char *const *taken);
void agw_a2a_shape_write(const struct agw_a2a_turn *t, const struct agw_a2a_shape *shape, uint32_t v);
/* The members alone, into an object that is open. |v| must be an object. */
void agw_a2a_shape_members(const struct agw_a2a_turn *t, const struct agw_a2a_shape *shape, uint32_t v);

#endif
