/* Rules about who may use what of an MCP backend: what a policy compiles to and lib/mcp asks, so that neither
 * needs to know the other, nor in which language a rule was written.
 *
 * Rules live in the snapshot; a caller and an access as long as the exchange. Nothing is written. Threads:
 * any. */
#ifndef AGW_CONFIG_ACCESS_H
#define AGW_CONFIG_ACCESS_H

#include "base/str.h"
#include "http/msg.h"

struct agw_json_doc;

enum agw_mcp_object { AGW_MCP_TOOL, AGW_MCP_PROMPT, AGW_MCP_RESOURCE };

/* Who asks. */
struct agw_caller {
    const struct agw_msg *req;         /* its head */
    const struct agw_json_doc *claims; /* of a token that was verified: an object; NULL: none */
};

/* What is asked for. Names are the target's own, without prefix; of a resource its URI or URI template. */
struct agw_mcp_access {
    enum agw_mcp_object object;
    struct agw_str name, target, method;
};

enum agw_rule_effect {
    AGW_RULE_DENY,    /* who matches may not */
    AGW_RULE_REQUIRE, /* who does not match may not */
    AGW_RULE_ALLOW,   /* where there are any, one has to match */
};

enum agw_rule_answer {
    AGW_RULE_NO, /* also where the rule speaks of what is not there */
    AGW_RULE_YES,
    AGW_RULE_FAILED, /* memory ran out: nobody knows */
};

struct agw_access_rule {
    enum agw_rule_effect effect;
    enum agw_rule_answer (*matches)(const void *conf, const struct agw_caller *caller,
                                    const struct agw_mcp_access *access);
    const void *conf;
};

/* Of one policy. */
struct agw_access_rules {
    const struct agw_access_rule *v;
    uint32_t count;
};

/* Policies of this kind that may reach one backend: rules add up, so none replaces another. Three actions on
 * each of a few levels; one more is refused, as if it denied all. */
#define AGW_ACCESS_POLICIES_MAX 8

#endif
