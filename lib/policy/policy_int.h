/* The policies about backends and their connections, one a file. */
#ifndef AGW_POLICY_POLICY_INT_H
#define AGW_POLICY_POLICY_INT_H

#include "config/policy.h"
#include "proto/resource.pb-c.h"

extern const struct agw_policy_ops agw_policy_backend_tls, agw_policy_backend_http, agw_policy_a2a;

#endif
