/* Sessions that their clients have ended: those are not begun anew when a server no more knows them. */
#include <stdlib.h>
#include "mcp/bridge_int.h"

struct notice {
    struct agw_mcp_mail mail; /* first */
    uint64_t hash;
};

static uint64_t hash_of(const struct agw_msg *req)
{
    return agw_hash(agw_headers_value(&req->headers, AGW_HDR_MCP_SESSION_ID));
}

static void add(struct agw_mcp *m, uint64_t hash)
{
    m->ended[m->ended_at++ % AGW_MCP_ENDED_MAX] = hash;
}

static void deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    if (t)
        add(agw_mcp_transports_user(t), ((struct notice *)mail)->hash);
    free(mail);
}

void agw_mcp_ended_add(struct agw_mcp *m, const struct agw_msg *req)
{
    struct agw_mcp_hub *hub = agw_mcp_transports_hub(m->transports);
    uint64_t hash = hash_of(req);
    add(m, hash);
    for (unsigned w = 0; agw_mcp_hub_has(hub, w); w++) {
        struct notice *n = w == m->loop->index ? NULL : calloc(1, sizeof *n);
        if (!n)
            continue;
        *n = (struct notice){.mail.deliver = deliver, .hash = hash};
        agw_mcp_hub_send(hub, w, &n->mail);
    }
}

bool agw_mcp_ended_has(const struct agw_mcp *m, const struct agw_msg *req)
{
    uint64_t hash = hash_of(req);
    for (unsigned i = 0; i < AGW_MCP_ENDED_MAX; i++)
        if (m->ended[i] == hash)
            return true;
    return false;
}
