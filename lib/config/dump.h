/* The configuration as JSON, for the admin page /config_dump.
 *
 * Resources are shown as they came (proto3 JSON names), with what the compiler made of backends. Private
 * keys, secrets and password lists are shown as "<redacted>". Threads: any that may read |s| (a registered
 * reader, or one that pinned it). */
#ifndef AGW_CONFIG_DUMP_H
#define AGW_CONFIG_DUMP_H

#include "base/buf.h"
#include "config/snapshot.h"

/* Appends one JSON object to |out| in blocks of |pool| (NULL: malloc). AGW_ENOMEM; |out| may then hold a
 * part. */
int agw_snapshot_dump(const struct agw_snapshot *s, struct agw_chain *out, struct agw_block_pool *pool);

#endif
