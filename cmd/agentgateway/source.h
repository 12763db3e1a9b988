/* The config thread of standalone mode: reads the manifests, watches them, compiles and publishes.
 *
 * Ownership: made and freed by main; the gateway must outlive it. Threads: its functions are called on the
 * main thread. */
#ifndef AGW_CMD_SOURCE_H
#define AGW_CMD_SOURCE_H

#include <stdbool.h>
#include "base/err.h"
#include "proxy/gateway.h"

struct source;

/* Reads |path| and compiles it once, without publishing; what is wrong is printed to stderr, a line each. 0,
 * or AGW_EINVAL. */
int source_validate(const char *path);

/* Makes the source; nothing is read yet. NULL: out of memory. */
struct source *source_new(const char *path, struct agw_gateway *gateway,
                          struct agw_metrics_registry *metrics);
/* Loads the manifests (AGW_EINVAL: they are bad; why was printed), publishes them, starts to watch. */
int source_start(struct source *s, struct agw_error *err);
/* Asks for a reload; returns at once. */
void source_reload(struct source *s);
/* True once a configuration is published. Any thread. */
bool source_ready(const struct source *s);
void source_free(struct source *s);

#endif
