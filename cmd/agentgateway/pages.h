/* What the admin, stats and readiness ports answer. */
#ifndef AGW_CMD_PAGES_H
#define AGW_CMD_PAGES_H

#include "cmd/agentgateway/options.h"
#include "admin/admin.h"
#include "cmd/agentgateway/source.h"
#include "telemetry/metrics.h"

/* Opens the three ports. Until |source| is ready, /healthz/ready answers 500. */
struct agw_admin *pages_open(const struct options *o, struct agw_metrics_registry *metrics,
                             const struct source *source, struct agw_error *err);

#endif
