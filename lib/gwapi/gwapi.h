/* Gateway API and agentgateway.dev objects to the resources that the data plane takes.
 *
 * Loading reads files, checks every object as a strict API server does and translates. Translating alone is
 * pure: objects in, resources and findings out; it never fails because of what an object says. What a
 * reference cannot resolve to answers 500, what has no endpoints 503, as Gateway API asks. Ownership: reports
 * and sets are the caller's. Threads: the config thread. */
#ifndef AGW_GWAPI_GWAPI_H
#define AGW_GWAPI_GWAPI_H

#include "config/resource.h"
#include "gwapi/base/report.h"
#include "gwapi/object/object.h"

/* Reads and translates |path| (a file or a directory, see gwapi/object/read.h). On success *out is a new set
 * for the caller to free, and |report| has warnings and notes. Otherwise *out is untouched: AGW_EINVAL
 * (|report| says what is wrong), AGW_EIO, AGW_ENOMEM. */
int agw_gwapi_load(const char *path, struct agw_resource_set *out, struct agw_gwapi_report *report);
/* The same with the report written to the process log, a line a finding. */
int agw_gwapi_load_logged(const char *path, bool for_others, struct agw_resource_set *out);
/* The same for one text; |name| stands for the file in messages. */
int agw_gwapi_load_text(const char *name, struct agw_str text, struct agw_resource_set *out,
                        struct agw_gwapi_report *report);

/* Adds the resources of |objects| to |out|, an initialised set. AGW_ENOMEM; |out| is then incomplete.
 * Gateways that cannot be (two on one address and port, addresses that nobody can bind) are errors in
 * |report|. */
int agw_gwapi_translate(const struct agw_objects *objects, struct agw_resource_set *out,
                        struct agw_gwapi_report *report);

#endif
