/* How a data plane finds its control plane: the environment, and the static configuration file with `config:`
 * that a deployment mounts. The environment counts first. Threads: main. */
#ifndef AGW_CMD_BOOTSTRAP_H
#define AGW_CMD_BOOTSTRAP_H

#include "cmd/agentgateway/options.h"

/* If |o->config| is a static configuration file rather than manifests, reads it and clears |o->config|. 0, or
 * AGW_EINVAL (why was printed). */
int bootstrap_read_file(struct options *o);
/* Fills |o->xds| from the environment and what the file said. AGW_EINVAL: something is missing (printed). */
int bootstrap_read_environment(struct options *o);

#endif
