/* The last accepted config on disk, so that a gateway whose control plane is away can start and serve.
 *
 * One file: a header, then each resource with its name, version and bytes, then a checksum. It is written to
 * a file beside it, synced and renamed, a while after the last change, so that a burst is written once. What
 * is damaged or of another version is ignored with a warning: the control plane sends everything then.
 * Ownership: the source's. Threads: the config thread. */
#ifndef AGW_CMD_STATE_H
#define AGW_CMD_STATE_H

#include "config/store.h"
#include "xds/delta/client.h"

/* A change is written when nothing has changed for this long, and under constant change this often. */
#define STATE_QUIET_NS 1000000000ull
#define STATE_LATE_NS 10000000000ull

struct state;

/* |path| is copied. NULL: out of memory. */
struct state *state_new(const char *path);
void state_free(struct state *s); /* NULL is fine */
/* Adds what is kept to |store| and tells |client| its versions. AGW_ENOTFOUND: nothing usable (said in the
 * log unless there is no file); the store is unchanged. AGW_ENOMEM: it is to be thrown away. */
int state_load(struct state *s, struct agw_store *store, struct agw_delta_client *client);
/* What is served has changed. */
void state_changed(struct state *s, uint64_t now_ns);
/* Writes when it is time (UINT64_MAX: now, if anything changed). Nanoseconds until it will be. */
uint64_t state_tick(struct state *s, const struct agw_store *store, const struct agw_delta_client *client,
                    uint64_t now_ns);

#endif
