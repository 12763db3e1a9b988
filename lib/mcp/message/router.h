/* Methods: what each needs, which target it goes to, and what changes in its bytes on the way there and back.
 *
 * Pure: documents in, edits out. Threads: one at a time. */
#ifndef AGW_MCP_ROUTER_H
#define AGW_MCP_ROUTER_H

#include "json/edit.h"
#include "mcp/message/jsonrpc.h"

enum agw_mcp_way {
    AGW_MCP_WAY_UNKNOWN,    /* no method of ours: a single target may know it */
    AGW_MCP_WAY_INITIALIZE, /* all targets, results merged into one */
    AGW_MCP_WAY_LOCAL,      /* ping: answered here */
    AGW_MCP_WAY_LIST,       /* all targets, lists joined */
    AGW_MCP_WAY_ALL,        /* all targets, empty result */
    AGW_MCP_WAY_NAME,       /* one target, by params.name */
    AGW_MCP_WAY_URI,        /* one target, by params.uri */
    AGW_MCP_WAY_REF,        /* one target, by params.ref.name or params.ref.uri */
    AGW_MCP_WAY_TASK,       /* one target, by params.taskId */
    AGW_MCP_WAY_DISCOVER,   /* 2026-07-28: all targets, results merged into one */
    AGW_MCP_WAY_LISTEN,     /* 2026-07-28: all targets, one stream of what they announce */
};

struct agw_mcp_method {
    struct agw_str name;
    enum agw_mcp_way way;
    uint8_t cap;         /* AGW_MCP_CAP_*: which targets take part */
    struct agw_str list; /* LIST: member of the result */
    struct agw_str
        label; /* LIST: the item's member that is renamed, "name", "uri", "uriTemplate" or "taskId" */
};

/* Never NULL: methods we do not know share one entry of way UNKNOWN. */
const struct agw_mcp_method *agw_mcp_method_find(struct agw_str name);

/* The member of params that decides about a NAME, URI or TASK request. */
struct agw_str agw_mcp_method_member(const struct agw_mcp_method *method);

/* Client to target: finds the target of a NAME, URI, REF or TASK request and adds the edits that give the
 * target its own names. With names that carry no prefix (see names.h) and several targets *ret_target is
 * AGW_MCP_ANY: the owner must be looked up by the bare name, *ret_name. AGW_ENOTFOUND: nobody's. AGW_EINVAL:
 * the deciding member is missing, no string or twice. AGW_ENOMEM. */
#define AGW_MCP_ANY UINT32_MAX
int agw_mcp_edit_up(const struct agw_mcp_backend *b, const struct agw_mcp_method *method,
                    const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                    struct agw_json_edits *edits, uint32_t *ret_target, struct agw_str *ret_name);

/* Target to client: edits so that the client can answer and refer back: ids and progress tokens of requests,
 * the id in notifications/cancelled, URIs in notifications/resources/updated and in results of tools/call and
 * resources/read, ids of tasks wherever they are. |method| is that of the request the message may answer, or
 * NULL. 0 or AGW_ENOMEM. */
int agw_mcp_edit_down(const struct agw_mcp_backend *b, uint32_t target, const struct agw_mcp_method *method,
                      const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                      struct agw_json_edits *edits);

/* True if a result of |method| holds anything agw_mcp_edit_down may change; else its bytes may pass unread.
 */
bool agw_mcp_result_edited(const struct agw_mcp_backend *b, const struct agw_mcp_method *method);

/* A client's message about something a target began: a response (its id), notifications/progress
 * (progressToken). AGW_ENOTFOUND: not ours, or about the client's own requests. */
int agw_mcp_edit_back(const struct agw_mcp_backend *b, const struct agw_json_doc *doc,
                      const struct agw_jsonrpc *message, struct agw_json_edits *edits, uint32_t *ret_target);

/* The task that a message of the client for |target| belongs to, by its _meta. */
int agw_mcp_edit_related(const struct agw_mcp_backend *b, uint32_t target, const struct agw_json_doc *doc,
                         const struct agw_jsonrpc *message, struct agw_json_edits *edits);

/* Edits that rename one item of a list (the merge uses it): label and, for MCP Apps, _meta's resource URI. */
int agw_mcp_edit_item(const struct agw_mcp_backend *b, uint32_t target, const struct agw_mcp_method *method,
                      const struct agw_json_doc *doc, uint32_t item, struct agw_json_edits *edits);

/* Methods that only read, or that do the same when they are done twice. */
bool agw_mcp_may_repeat(struct agw_str method);

#endif
