/* The policies about which endpoint of a backend is used and how it is connected, one a file. */
#ifndef AGW_POLICY_BACKEND_BACKEND_H
#define AGW_POLICY_BACKEND_BACKEND_H

#include "config/policy.h"

extern const struct agw_policy_ops agw_policy_backend_tcp, agw_policy_backend_health,
    agw_policy_load_balancer;

#endif
