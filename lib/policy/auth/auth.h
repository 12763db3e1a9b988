/* The policies about who may do what, one a file. */
#ifndef AGW_POLICY_AUTH_AUTH_H
#define AGW_POLICY_AUTH_AUTH_H

#include "config/access.h"
#include "config/policy.h"

extern const struct agw_policy_ops agw_policy_jwt, agw_policy_mcp_authentication, agw_policy_backend_auth;
/* One for each place in the list: AGW_POLICY_MCP_AUTHORIZATION and those after it. */
extern const struct agw_policy_ops agw_policy_mcp_authorization[AGW_ACCESS_POLICIES_MAX];

#endif
