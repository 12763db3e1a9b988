/* Who may use a backend, and with what it is reached: parts of AgentgatewayBackend and AgentgatewayPolicy. */
#include "gwapi/kind/kind.h"

static const char *const actions[] = {"Allow", "Deny", "Require", NULL};

static const struct agw_field expressions[] = {
    {.name = "matchExpressions",
     .type = AGW_FIELD_TEXT,
     .list = true,
     .required = true,
     .min_items = 1,
     .max_items = 256,
     .min = 1,
     .max = 16384},
    AGW_END,
};

static const struct agw_field authorization[] = {
    AGW_TEXT("action", .one_of = actions),
    AGW_MAP("policy", expressions, .required = true),
    AGW_END,
};

const struct agw_field agw_fields_mcp_policies[] = {
    AGW_MAP("authorization", authorization),
    AGW_UNSERVED("authentication"),
    AGW_UNSERVED("guardrails"),
    AGW_END,
};
