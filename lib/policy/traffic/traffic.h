/* The policies about requests and responses, one a file; those of a backend that change messages are here
 * too. */
#ifndef AGW_POLICY_TRAFFIC_TRAFFIC_H
#define AGW_POLICY_TRAFFIC_TRAFFIC_H

#include "config/policy.h"

extern const struct agw_policy_ops agw_policy_timeout, agw_policy_cors, agw_policy_retry, agw_policy_mirror,
    agw_policy_delay, agw_policy_response_headers, agw_policy_request_headers, agw_policy_host_rewrite,
    agw_policy_url_rewrite, agw_policy_redirect, agw_policy_direct_response, agw_policy_session_persistence,
    agw_policy_backend_request_headers, agw_policy_backend_response_headers;

#endif
