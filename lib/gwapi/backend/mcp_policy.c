/* What `mcp` of a backend or a policy says about who may use it. */
#include "gwapi/backend/backend.h"

int agw_gwapi_mcp_authorization(struct agw_translate *t, const struct agw_node *mcp,
                                Pb__BackendPolicySpec *spec)
{
    const struct agw_node *n = agw_field(mcp, "authorization");
    Pb__BackendPolicySpec__McpAuthorization *out;
    size_t count;
    char **texts;

    if (!n)
        return 0;
    out = agw_gwapi_new(t, Pb__BackendPolicySpec__McpAuthorization,
                        pb__backend_policy_spec__mcp_authorization__init);
    texts = agw_gwapi_texts(t, agw_field(agw_field(n, "policy"), "matchExpressions"), &count);
    if (!out || !texts)
        return AGW_ENOMEM;
    if (agw_field_is(n, "action", "Deny")) {
        out->deny = texts;
        out->n_deny = count;
    } else if (agw_field_is(n, "action", "Require")) {
        out->require = texts;
        out->n_require = count;
    } else {
        out->allow = texts;
        out->n_allow = count;
    }
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_MCP_AUTHORIZATION;
    spec->mcp_authorization = out;
    return 0;
}
