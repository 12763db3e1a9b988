#include "policy/table.h"

#include "base/check.h"
#include "policy/auth/auth.h"
#include "policy/backend/backend.h"
#include "policy/policy_int.h"
#include "policy/traffic/traffic.h"

const struct agw_policy_ops *const agw_policy_table[] = {
    &agw_policy_timeout,
    &agw_policy_cors,
    &agw_policy_jwt,
    &agw_policy_retry,
    &agw_policy_session_persistence,
    &agw_policy_mirror,
    &agw_policy_response_headers,
    &agw_policy_request_headers,
    &agw_policy_host_rewrite,
    &agw_policy_url_rewrite,
    &agw_policy_redirect,
    &agw_policy_delay,
    &agw_policy_direct_response,
    &agw_policy_backend_tls,
    &agw_policy_backend_http,
    &agw_policy_backend_tcp,
    &agw_policy_backend_health,
    &agw_policy_load_balancer,
    &agw_policy_backend_request_headers,
    &agw_policy_backend_response_headers,
    &agw_policy_a2a,
    &agw_policy_mcp_authentication,
    &agw_policy_backend_auth,
    &agw_policy_mcp_authorization[0],
    &agw_policy_mcp_authorization[1],
    &agw_policy_mcp_authorization[2],
    &agw_policy_mcp_authorization[3],
    &agw_policy_mcp_authorization[4],
    &agw_policy_mcp_authorization[5],
    &agw_policy_mcp_authorization[6],
    &agw_policy_mcp_authorization[7],
};

const size_t agw_policy_table_size = AGW_ARRAY_LEN(agw_policy_table);

static_assert(AGW_ARRAY_LEN(agw_policy_table) == AGW_POLICY_COUNT, "one entry a kind");
