/* The two types of resources that a control plane sends, by number and by URL. Threads: any. */
#ifndef AGW_XDS_DELTA_TYPE_H
#define AGW_XDS_DELTA_TYPE_H

#include "base/str.h"

/* In the order in which they are sent: routes refer to what Address brings. */
#define AGW_DELTA_TYPE_LIST(X)                                                                               \
    X(ADDRESS, "type.googleapis.com/istio.workload.Address")                                                 \
    X(RESOURCE, "type.googleapis.com/agentgateway.dev.resource.Resource")

enum agw_delta_type {
#define X(name, url) AGW_DELTA_##name,
    AGW_DELTA_TYPE_LIST(X)
#undef X
        AGW_DELTA_TYPES
};

struct agw_str agw_delta_type_url(enum agw_delta_type type);
/* AGW_DELTA_TYPES: none of them. */
enum agw_delta_type agw_delta_type_of(struct agw_str url);

#endif
