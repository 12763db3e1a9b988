/* MCP endpoint: one /mcp over many targets, Streamable HTTP on both sides. An origin server in the stream
 * model.
 *
 * agw_mcp_handle takes a server stream over (events and owner), reads the request, asks the targets through
 * the worker's client and answers. A session lives in its id alone (mcp/message/session.h), so any worker of
 * any replica serves it. Ownership: struct agw_mcp belongs to its worker; the stream is ours until
 * hooks->on_done. The request head must live as long as the stream (its arena does). Threads: the loop's own.
 * Errors: told to the client; agw_mcp_handle fails for want of memory alone. */
#ifndef AGW_MCP_HANDLER_H
#define AGW_MCP_HANDLER_H

#include "client/client.h"
#include "config/snapshot.h"
#include "telemetry/metrics.h"

/* Bytes of a client's message. Arguments of tools may carry documents; a message is held until it is whole,
 * because it is routed by what stands in it. 413 above. */
#define AGW_MCP_BODY_MAX (4u << 20)
#define AGW_MCP_FANOUT_MS                                                                                    \
    15000 /* a target that has not answered a list or initialize by then counts as failed */
#define AGW_MCP_KEEPALIVE_MS 15000 /* a silent event stream gets a comment: proxies cut at 30 s or 60 s */
#define AGW_MCP_PAGES_MAX 64       /* pages read of one target when all are needed at once (bare names) */

struct agw_balancer;
struct agw_mcp;
struct agw_mcp_hub; /* mcp/transport/hub.h */

/* What an operator may set; 0: as above. */
struct agw_mcp_settings {
    uint32_t fanout_ms;            /* AGW_MCP_FANOUT_MS */
    uint64_t session_age_s;        /* of sessions; 0: any */
    const unsigned char *old_keys; /* 32 bytes each: what they sealed is opened, too */
    unsigned old_key_count;
};

/* |metrics|: this worker's part, may be NULL. |session_key|: 32 bytes, the same in all workers (and replicas)
 * that share sessions. NULL: out of memory. */
struct agw_mcp *agw_mcp_new(struct agw_loop *loop, struct agw_client *client, struct agw_metrics *metrics,
                            const unsigned char session_key[32]);
/* Once, before the loop runs. AGW_ELIMIT: too many keys. */
int agw_mcp_configure(struct agw_mcp *m, const struct agw_mcp_settings *settings);
/* Before the loop runs: sessions that other workers keep are reached through |hub|. */
void agw_mcp_join(struct agw_mcp *m, struct agw_mcp_hub *hub);
/* |balancer| of the same worker chooses targets' endpoints from now on; without it chance does. Before the
 * loop runs. */
void agw_mcp_balance(struct agw_mcp *m, struct agw_balancer *balancer);
/* Resets what is under way, without events and without hooks; NULL is fine. Before the client and the loop
 * are freed. */
void agw_mcp_free(struct agw_mcp *m);
/* Exchanges under way. */
unsigned agw_mcp_active(const struct agw_mcp *m);

/* What an exchange came to, for the access log. Strings are valid during the hook. */
struct agw_mcp_report {
    struct agw_str method; /* JSON-RPC method, or empty */
    struct agw_str target; /* the one target asked, or empty (none, or many) */
    struct agw_str name;   /* tool, prompt or URI as the target knows it, or empty */
    int status;            /* HTTP status sent; 0: none */
    int error;             /* JSON-RPC error code that the gateway itself answered; 0: none */
    uint64_t request_bytes, response_bytes; /* bodies */
    int close_code;                         /* of the client's stream: 0 or why it broke */
};

struct agw_mcp_hooks {
    /* Before the final head is sent; may change its headers. NULL: nothing to do. */
    void (*on_response)(void *ctx, struct agw_msg *head);
    /* The stream is over and must not be touched any more; always comes, once, never from inside
     * agw_mcp_handle. */
    void (*on_done)(void *ctx, const struct agw_mcp_report *report);
};

/* Serves one request of |s|. |backend|->kind is AGW_BACKEND_MCP; |snap| holds it and is pinned as long as
 * needed (NULL in tests). |early|: body bytes that came before (taken; the caller gives them back by consume;
 * NULL: none). |end|: the body is complete. |hooks| outlives the stream (NULL: none). 0: the stream is taken
 * over. AGW_ENOMEM: nothing was taken, the caller answers. */
int agw_mcp_handle(struct agw_mcp *m, const struct agw_backend *backend, struct agw_snapshot *snap,
                   struct agw_stream *s, struct agw_msg *req, struct agw_chain *early, bool end,
                   const struct agw_mcp_hooks *hooks, void *ctx);

/* Bytes of a client's message, for exchanges that are handed over from now on; 0: AGW_MCP_BODY_MAX. */
void agw_mcp_body_max(struct agw_mcp *m, uint32_t max);
/* Right after agw_mcp_handle took |s| over: the answer must be complete within |ms|. If it is not, the client
 * gets 504 with a JSON-RPC error, or the stream is reset where a head went out already. */
void agw_mcp_set_deadline(struct agw_stream *s, uint32_t ms);

#endif
