/* Clients of 2026-07-28: no session, each request complete in itself. */
#include "mcp/exchange.h"
#include "mcp/modern/envelope.h"
#include "mcp/message/names.h"

bool agw_mcp_is_modern(const struct agw_mcp_exchange *x)
{
    struct agw_str field = agw_headers_value(&x->req->headers, AGW_HDR_MCP_PROTOCOL_VERSION);
    return agw_mcp_version_parse(field) >= AGW_MCP_MODERN ||
           agw_mcp_envelope_claimed(&x->doc, x->message.params);
}

static void no_memory(struct agw_mcp_exchange *x)
{
    agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
}

void agw_mcp_reply_version(struct agw_mcp_exchange *x, enum agw_mcp_version newest,
                           enum agw_mcp_version oldest)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_json_key(&w, AGW_STR("supported"));
    agw_json_begin_array(&w);
    for (int v = (int)newest; v >= (int)oldest; v--)
        agw_json_string(&w, agw_mcp_version_text((enum agw_mcp_version)v));
    agw_json_end_array(&w);
    agw_json_put_string(&w, "requested", x->version_text);
    agw_json_end_object(&w);
    if (w.error)
        no_memory(x);
    else
        agw_mcp_reply_error_data(x, 400, AGW_JSONRPC_VERSION, AGW_STR("Unsupported protocol version"),
                                 agw_json_writer_text(&w));
    agw_json_writer_free(&w);
}

void agw_mcp_reply_older(struct agw_mcp_exchange *x)
{
    agw_mcp_reply_version(x, AGW_MCP_LEGACY_NEWEST, AGW_MCP_2024_11_05);
}

/* --- what it says about itself --- */

static bool refuse(struct agw_mcp_exchange *x, int rc, const struct agw_error *err)
{
    struct agw_str text = agw_arena_str(&x->arena, agw_str_c(err->text));
    if (rc == AGW_ENOMEM || !text.p)
        no_memory(x);
    else
        agw_mcp_reply_error(
            x, 400, rc == AGW_EPROTO ? AGW_JSONRPC_HEADER_MISMATCH : AGW_JSONRPC_INVALID_PARAMS, text);
    return false;
}

static bool check(struct agw_mcp_exchange *x)
{
    struct agw_error err = {0};
    uint32_t params = x->message.params;
    bool request = x->message.kind == AGW_JSONRPC_REQUEST;
    int rc = agw_mcp_envelope_version(&x->doc, params, request, &x->req->headers, &x->arena, &x->version_text,
                                      &err);
    if (rc != 0)
        return refuse(x, rc, &err);
    if (agw_mcp_version_parse(x->version_text) != AGW_MCP_MODERN) {
        agw_mcp_reply_version(x, AGW_MCP_MODERN, AGW_MCP_MODERN);
        return false;
    }
    rc = agw_mcp_envelope_fields(&x->doc, params, request, x->message.method, &x->req->headers, &x->arena,
                                 &err);
    return rc == 0 || refuse(x, rc, &err);
}

/* --- where it goes --- */

static void unknown_method(struct agw_mcp_exchange *x)
{
    agw_mcp_reply_error(x, 404, AGW_JSONRPC_METHOD_NOT_FOUND, AGW_STR("Method not found"));
}

static void dispatch(struct agw_mcp_exchange *x)
{
    switch (x->method->way) {
    case AGW_MCP_WAY_DISCOVER:
        agw_mcp_discover(x);
        return;
    case AGW_MCP_WAY_LIST:
        if (x->method->cap == AGW_MCP_CAP_TASKS) /* of 2025-11-25 alone */
            unknown_method(x);
        else
            agw_mcp_list(x);
        return;
    case AGW_MCP_WAY_NAME:
    case AGW_MCP_WAY_REF:
        agw_mcp_route_one(x);
        return;
    case AGW_MCP_WAY_URI:
        if (agw_str_ends(x->method->name, AGW_STR("subscribe")))
            unknown_method(x);
        else
            agw_mcp_route_one(x);
        return;
    case AGW_MCP_WAY_LISTEN:
    case AGW_MCP_WAY_INITIALIZE:
    case AGW_MCP_WAY_LOCAL:
    case AGW_MCP_WAY_ALL:
    case AGW_MCP_WAY_TASK:
    case AGW_MCP_WAY_UNKNOWN:
        unknown_method(x);
        return;
    }
}

static bool is_about_objects(const struct agw_mcp_method *method)
{
    return method->cap != AGW_MCP_CAP_TASKS &&
           (method->way == AGW_MCP_WAY_LIST || method->way == AGW_MCP_WAY_NAME ||
            method->way == AGW_MCP_WAY_URI || method->way == AGW_MCP_WAY_REF);
}

bool agw_mcp_is_bare(const struct agw_mcp_exchange *x)
{
    bool chosen = (x->conf->rule_count || x->conf->search) && x->method->cap == AGW_MCP_CAP_TOOLS;
    return !chosen && x->conf->count == 1 && !agw_mcp_names_prefixed(x->conf) &&
           !agw_mcp_uris_prefixed(x->conf);
}

static void dispatch_request(struct agw_mcp_exchange *x)
{
    bool bare = agw_mcp_is_bare(x);
    if (x->method->way == AGW_MCP_WAY_LISTEN)
        agw_mcp_subscribe(x);
    else if (bare && x->client.rights.count == 0 && x->method->way == AGW_MCP_WAY_LIST)
        agw_mcp_list_whole(x);
    else if (bare && !(x->client.rights.count && is_about_objects(x->method)))
        agw_mcp_relay_whole(x, 0); /* one target that keeps its own names speaks for itself */
    else
        dispatch(x);
}

void agw_mcp_modern(struct agw_mcp_exchange *x)
{
    if (!check(x))
        return;
    x->modern = true;
    x->header_version = AGW_MCP_MODERN;
    if (x->message.kind == AGW_JSONRPC_RESULT || x->message.kind == AGW_JSONRPC_ERROR)
        agw_mcp_reply_error(x, 400, AGW_JSONRPC_INVALID_REQUEST,
                            AGW_STR("clients of 2026-07-28 send no responses"));
    else if (agw_mcp_stateless_session(x) != 0)
        no_memory(x);
    else if (x->message.kind == AGW_JSONRPC_NOTIFICATION)
        agw_mcp_notify(x);
    else
        dispatch_request(x);
}

/* --- what targets get --- */

int agw_mcp_standard_fields(struct agw_mcp_leg *leg, struct agw_mcp_call_fields *fields)
{
    struct agw_mcp_exchange *x = leg->x;
    struct agw_header *name = agw_headers_find(&x->req->headers, AGW_STR("mcp-name"));
    if (leg->own_method.n) {
        fields->rpc_method = leg->own_method;
        return 0;
    }
    /* Where the client's field is, it is what the body says; a notification may have none. */
    if (!x->modern || agw_headers_find(&x->req->headers, AGW_STR("mcp-method")))
        fields->rpc_method = x->message.method;
    if (!agw_mcp_envelope_named(x->message.method))
        return 0;
    if (x->report.name.n)
        fields->rpc_name = agw_mcp_field_encode(x->report.name, &x->arena);
    else if (name)
        fields->rpc_name = name->value;
    return x->report.name.n && !fields->rpc_name.p ? AGW_ENOMEM : 0;
}

int agw_mcp_write_meta(struct agw_mcp_exchange *x, struct agw_json_writer *w)
{
    uint32_t meta = agw_json_get(&x->doc, x->message.params, AGW_STR("_meta"));
    agw_json_key(w, AGW_STR("_meta"));
    agw_json_begin_object(w);
    agw_json_each_member(&x->doc, meta, key)
    {
        struct agw_str name;
        int rc = agw_json_unescape(&x->doc, key, &x->arena, &name);
        if (rc != 0)
            return rc;
        if (agw_str_eq(name, AGW_STR("progressToken")))
            continue;
        agw_json_key(w, name);
        agw_json_raw(w, agw_json_text(&x->doc, key + 1));
    }
    agw_json_end_object(w);
    return w->error;
}

/* --- what a failure says --- */

int64_t agw_mcp_error_code(const struct agw_mcp_leg *leg)
{
    static const char *const path[] = {"error", "code"};
    const struct agw_chain *body = &leg->failure.body;
    struct agw_json_doc doc;
    int64_t code = 0;
    char *text = body->bytes ? agw_arena_alloc(&leg->x->arena, body->bytes) : NULL;
    if (!text)
        return 0;
    agw_json_doc_init(&doc, 0);
    if (agw_json_parse(&doc, agw_str(text, agw_chain_peek(body, text, body->bytes)), NULL) == 0) {
        uint32_t token = agw_json_path(&doc, 0, path, 2);
        if (token == 0 || agw_json_to_i64(&doc, token, &code) != 0)
            code = 0;
    }
    agw_json_doc_free(&doc);
    return code;
}

bool agw_mcp_lacks_method(const struct agw_mcp_leg *leg)
{
    return leg->failure.set && leg->failure.code == 0 &&
           agw_mcp_error_code(leg) == AGW_JSONRPC_METHOD_NOT_FOUND;
}

bool agw_mcp_is_older(const struct agw_mcp_leg *leg)
{
    const struct agw_mcp_exchange *x = leg->x;
    if (!x->modern || x->method->way != AGW_MCP_WAY_DISCOVER || !leg->failure.set || leg->failure.code != 0)
        return false;
    int64_t code = agw_mcp_error_code(leg);
    if (code == AGW_JSONRPC_METHOD_NOT_FOUND || code == AGW_JSONRPC_VERSION)
        return true;
    /* Codes that this revision brought come from a server of this revision. */
    if (!leg->failure.response || (code <= AGW_JSONRPC_HEADER_MISMATCH && code > AGW_JSONRPC_VERSION) ||
        code == AGW_JSONRPC_INVALID_PARAMS)
        return false;
    int status = leg->failure.response->status;
    return status == 400 || status == 404 || status == 405;
}
