/* What a client's request must have before it goes anywhere: media types, a revision, a session. */
#include "base/clock.h"
#include "mcp/exchange.h"

bool agw_mcp_accepts(const struct agw_msg *req, struct agw_str type)
{
    ptrdiff_t slash = agw_str_find(type, '/');
    for (uint32_t i = 0; i < req->headers.n; i++) {
        struct agw_str rest = req->headers.v[i].value, item, range;
        if (req->headers.v[i].id != AGW_HDR_ACCEPT)
            continue;
        while (agw_str_split(&rest, ',', &item)) {
            if (!agw_str_split(&item, ';', &range))
                continue;
            if (agw_str_ieq(range, type) || agw_str_eq(range, AGW_STR("*/*")))
                return true;
            if (range.n == (size_t)slash + 2 && range.p[slash + 1] == '*' &&
                agw_str_ieq(agw_str(range.p, (size_t)slash), agw_str(type.p, (size_t)slash)))
                return true;
        }
    }
    return false;
}

static bool is_json(const struct agw_msg *req)
{
    struct agw_str rest = agw_headers_value(&req->headers, AGW_HDR_CONTENT_TYPE), type;
    return agw_str_split(&rest, ';', &type) && agw_str_ieq(type, AGW_STR("application/json"));
}

bool agw_mcp_check_types(struct agw_mcp_exchange *x)
{
    bool json = is_json(x->req);
    if (json && (x->old || (agw_mcp_accepts(x->req, AGW_STR("application/json")) &&
                            agw_mcp_accepts(x->req, AGW_STR("text/event-stream")))))
        return true;
    if (!json)
        agw_mcp_reply_error(x, 415, AGW_JSONRPC_SERVER,
                            AGW_STR("Unsupported Media Type: Content-Type must be application/json"));
    else
        agw_mcp_reply_error(
            x, 406, AGW_JSONRPC_SERVER,
            AGW_STR("Not Acceptable: Client must accept both application/json and text/event-stream"));
    return false;
}

bool agw_mcp_check_version(struct agw_mcp_exchange *x)
{
    struct agw_str text = agw_headers_value(&x->req->headers, AGW_HDR_MCP_PROTOCOL_VERSION);
    x->header_version = agw_mcp_version_parse(text);
    if (text.n == 0 || x->header_version != AGW_MCP_VERSION_NONE)
        return true;
    x->version_text = text;
    agw_mcp_reply_version(x, AGW_MCP_MODERN, AGW_MCP_2024_11_05);
    return false;
}

int agw_mcp_stateless_session(struct agw_mcp_exchange *x)
{
    enum agw_mcp_version v =
        x->header_version ? x->header_version : AGW_MCP_2025_03_26; /* as the spec assumes */
    x->session = (struct agw_mcp_session){.version = v, .count = x->conf->count};
    x->session.peers = agw_arena_zalloc(&x->arena, x->conf->count * sizeof *x->session.peers);
    for (uint32_t i = 0; x->session.peers && i < x->conf->count; i++)
        x->session.peers[i] = (struct agw_mcp_peer){.present = true, .caps = 0xff, .version = v};
    return x->session.peers ? 0 : AGW_ENOMEM;
}

static bool is_too_old(const struct agw_mcp_exchange *x)
{
    uint64_t most = x->m->settings.session_age_s, now_s = x->m->loop->wall_ns / AGW_NS_PER_S;
    return most > 0 && now_s > x->session.issued_s && now_s - x->session.issued_s >= most;
}

bool agw_mcp_load_session(struct agw_mcp_exchange *x)
{
    int rc;
    if (x->conf->stateless) {
        rc = agw_mcp_stateless_session(x);
    } else {
        struct agw_str id = agw_headers_value(&x->req->headers, AGW_HDR_MCP_SESSION_ID);
        if (id.n == 0) {
            agw_mcp_reply_error(x, 400, AGW_JSONRPC_SERVER,
                                AGW_STR("Bad Request: Mcp-Session-Id header is required"));
            return false;
        }
        rc = agw_mcp_session_open(x->m->seal, x->backend, id, &x->arena, &x->session);
        if (rc == 0 && is_too_old(x)) {
            agw_mcp_abandon_session(x);
            rc = AGW_ENOTFOUND;
        }
    }
    if (rc == AGW_ENOTFOUND)
        agw_mcp_reply_error(x, 404, AGW_JSONRPC_SESSION, AGW_STR("Session not found"));
    else if (rc != 0)
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
    return rc == 0;
}
