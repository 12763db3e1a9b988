/* Manifests from files: a directory's or one file's YAML and JSON to objects.
 *
 * Ownership: a struct agw_manifests owns nodes, objects and file names until agw_manifests_free. Threads: one
 * at a time. */
#ifndef AGW_GWAPI_OBJECT_READ_H
#define AGW_GWAPI_OBJECT_READ_H

#include "gwapi/object/object.h"

#define AGW_MANIFEST_MAX_FILES 10000

struct agw_manifests {
    struct agw_arena arena;
    struct agw_objects objects;
    uint32_t files;
};

/* Reads |path|: a file, or a directory's *.yaml, *.yml and *.json in the order of their names. As with
 * kubectl -f, directories in it are not entered; names that begin with a dot are left out. What is wrong goes
 * to |report|; the rest is in |ret_manifests|. Returns AGW_ENOMEM, AGW_EIO (something cannot be read; also in
 * the report) or 0; on failure there is nothing to free. */
int agw_manifests_read(const char *path, struct agw_manifests *ret_manifests, struct agw_report *report);
/* The same from one text; |name| stands for the file in messages and is copied. */
int agw_manifests_parse(const char *name, struct agw_str text, struct agw_manifests *ret_manifests,
                        struct agw_report *report);
void agw_manifests_free(struct agw_manifests *m);

#endif
