/* What a gateway refused, for people. Threads: any. */
#ifndef AGW_CONTROLLER_NACK_H
#define AGW_CONTROLLER_NACK_H

#include "xds/delta/server.h"

/* Lines written for one NACK: a broken gateway may refuse all that it has. */
#define NACK_MAX_LINES 50
/* Bytes of a reason that are written: it is one line of a log. */
#define NACK_MAX_REASON 1000

/* Writes a warning for each resource of the refusal: gateway, key, reason. */
void nack_log(const struct agw_delta_nack *nack);

#endif
