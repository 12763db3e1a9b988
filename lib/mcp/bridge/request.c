#include "mcp/bridge/request.h"

#include "base/err.h"
#include "mcp/modern/envelope.h"

static const struct agw_str token_key = {"progressToken", 13};

static bool is_modern_member(const struct agw_json_doc *doc, uint32_t key)
{
    static const struct agw_str names[] = {{AGW_MCP_META_VERSION, sizeof AGW_MCP_META_VERSION - 1},
                                           {AGW_MCP_META_CAPABILITIES, sizeof AGW_MCP_META_CAPABILITIES - 1},
                                           {AGW_MCP_META_CLIENT, sizeof AGW_MCP_META_CLIENT - 1},
                                           {AGW_MCP_META_LOG_LEVEL, sizeof AGW_MCP_META_LOG_LEVEL - 1}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (agw_json_is(doc, key, names[i]))
            return true;
    return false;
}

static struct agw_str taken(struct agw_json_writer *w, struct agw_arena *arena)
{
    struct agw_str text = w->error ? agw_str(NULL, 0) : agw_arena_str(arena, agw_json_writer_text(w));
    agw_json_writer_free(w);
    return text;
}

/* --- to servers of old --- */

/* The inside of a key goes on as it is, escapes and all. */
static void put_member(const struct agw_json_doc *doc, uint32_t key, struct agw_str value, bool *first,
                       struct agw_json_writer *w)
{
    if (*first)
        agw_json_raw(w, AGW_STR("{"));
    else
        agw_json_more(w, AGW_STR(","));
    *first = false;
    agw_json_more(w, agw_json_text(doc, key));
    agw_json_more(w, AGW_STR(":"));
    agw_json_more(w, value);
}

/* _meta without this revision's members, with |id| as progress token. */
static int edit_meta(const struct agw_json_doc *doc, uint32_t meta, struct agw_str id,
                     struct agw_json_edits *edits, struct agw_str *ret_token)
{
    struct agw_json_writer w;
    bool first = true;
    agw_json_writer_init(&w);
    agw_json_each_member(doc, meta, key)
    {
        bool is_token = agw_json_is(doc, key, token_key);
        if (is_modern_member(doc, key))
            continue;
        if (is_token)
            *ret_token = agw_json_text(doc, key + 1);
        put_member(doc, key, is_token ? id : agw_json_text(doc, key + 1), &first, &w);
    }
    if (first)
        agw_json_raw(&w, AGW_STR("{}"));
    else
        agw_json_more(&w, AGW_STR("}"));
    struct agw_str text = taken(&w, edits->arena);
    if (!text.p)
        return edits->error = AGW_ENOMEM;
    return agw_json_edits_token(edits, doc, meta, text);
}

int agw_mcp_request_to_legacy(const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                              struct agw_str id, struct agw_json_edits *edits, struct agw_str *ret_token)
{
    uint32_t meta = message->params ? agw_json_get(doc, message->params, AGW_STR("_meta")) : 0;
    *ret_token = AGW_STR("");
    int rc = message->id ? agw_json_edits_token(edits, doc, message->id, id) : 0;
    if (rc == 0 && meta != 0 && agw_json_type(doc, meta) == AGW_JSON_OBJECT)
        rc = edit_meta(doc, meta, id, edits, ret_token);
    return rc;
}

/* What servers may ask of the client; the rest of what it can do they have no use for. */
static void put_capabilities(const struct agw_json_doc *doc, uint32_t caps, bool asks,
                             struct agw_json_writer *w)
{
    static const struct agw_str asked[] = {{"sampling", 8}, {"elicitation", 11}, {"roots", 5}};
    agw_json_key(w, AGW_STR("capabilities"));
    agw_json_begin_object(w);
    for (size_t i = 0; asks && caps != 0 && i < sizeof asked / sizeof asked[0]; i++) {
        uint32_t token = agw_json_get(doc, caps, asked[i]);
        if (token == 0)
            continue;
        agw_json_key(w, asked[i]);
        agw_json_raw(w, agw_json_text(doc, token));
    }
    agw_json_end_object(w);
}

static void put_ourselves(struct agw_json_writer *w)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "name", AGW_STR("agentgateway"));
    agw_json_put_string(w, "version", agw_str_c(AGW_VERSION));
    agw_json_end_object(w);
}

static void put_initialize(const struct agw_json_doc *doc, enum agw_mcp_version version, bool asks,
                           struct agw_json_writer *w)
{
    uint32_t info = agw_json_get(doc, 0, AGW_STR(AGW_MCP_META_CLIENT));
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_int(w, "id", 0);
    agw_json_put_string(w, "method", AGW_STR("initialize"));
    agw_json_key(w, AGW_STR("params"));
    agw_json_begin_object(w);
    agw_json_put_string(w, "protocolVersion", agw_mcp_version_text(version));
    put_capabilities(doc, agw_json_get(doc, 0, AGW_STR(AGW_MCP_META_CAPABILITIES)), asks, w);
    agw_json_key(w, AGW_STR("clientInfo"));
    if (info != 0)
        agw_json_raw(w, agw_json_text(doc, info));
    else
        put_ourselves(w);
    agw_json_end_object(w);
    agw_json_end_object(w);
}

int agw_mcp_write_initialize(struct agw_str client, enum agw_mcp_version version, bool asks,
                             struct agw_arena *arena, struct agw_json_writer *w)
{
    struct agw_str parts[] = {AGW_STR("{"), client, AGW_STR("}")};
    struct agw_str text = agw_arena_join(arena, parts, 3);
    struct agw_json_doc doc;
    if (!text.p)
        return AGW_ENOMEM;
    agw_json_doc_init(&doc, 0);
    int rc = agw_json_parse(&doc, text, NULL);
    if (rc == 0)
        put_initialize(&doc, version, asks, w);
    agw_json_doc_free(&doc);
    return rc == 0 ? w->error : rc;
}

/* --- to servers of 2026-07-28 --- */

#define NOTHING "\"" AGW_MCP_META_CAPABILITIES "\":{}"
#define VERSION_MEMBER "\"" AGW_MCP_META_VERSION "\":\"2026-07-28\","

int agw_mcp_request_to_modern(const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                              struct agw_str client, struct agw_json_edits *edits)
{
    uint32_t params = message->params, meta = params ? agw_json_get(doc, params, AGW_STR("_meta")) : 0;
    uint32_t inside = meta && agw_json_type(doc, meta) == AGW_JSON_OBJECT ? meta : params;
    bool empty = inside != 0 && doc->tokens[inside].next == inside + 1;
    struct agw_str parts[] = {!params            ? AGW_STR(",\"params\":{\"_meta\":{")
                              : inside == params ? AGW_STR("\"_meta\":{")
                                                 : AGW_STR(""),
                              AGW_STR(VERSION_MEMBER), client.n ? client : AGW_STR(NOTHING),
                              !params            ? AGW_STR("}}")
                              : inside == params ? AGW_STR("}")
                                                 : AGW_STR(""),
                              params && !empty ? AGW_STR(",") : AGW_STR("")};
    struct agw_str text = agw_arena_join(edits->arena, parts, sizeof parts / sizeof parts[0]);
    if (!text.p)
        return edits->error = AGW_ENOMEM;
    /* A _meta that is no object would stand there twice: the target's to refuse. */
    uint32_t at = params ? doc->tokens[inside].offset + 1 : doc->tokens[0].offset + doc->tokens[0].length - 1;
    return agw_json_edits_add(edits, at, 0, text);
}

struct agw_str agw_mcp_client_with_level(struct agw_str client, agw_mcp_level level, struct agw_arena *arena)
{
    struct agw_str parts[] = {client.n ? client : AGW_STR(NOTHING),
                              AGW_STR(",\"" AGW_MCP_META_LOG_LEVEL "\":\""), agw_mcp_level_text(level),
                              AGW_STR("\"")};
    return agw_arena_join(arena, parts, sizeof parts / sizeof parts[0]);
}

static void put_names(const struct agw_json_doc *doc, uint32_t caps, struct agw_json_writer *w)
{
    static const struct agw_str known[] = {{"sampling", 8}, {"elicitation", 11}, {"roots", 5}};
    agw_json_begin_object(w);
    for (size_t i = 0; caps != 0 && i < sizeof known / sizeof known[0]; i++) {
        if (agw_json_get(doc, caps, known[i]) == 0)
            continue;
        agw_json_key(w, known[i]);
        agw_json_begin_object(w);
        agw_json_end_object(w);
    }
    agw_json_end_object(w);
}

static bool is_object(const struct agw_json_doc *doc, uint32_t token)
{
    return token != 0 && agw_json_type(doc, token) == AGW_JSON_OBJECT;
}

/* |whole|: as the client wrote it; else the least that it comes to. */
static struct agw_str members_of(const struct agw_json_doc *doc, uint32_t caps, uint32_t info, bool whole,
                                 struct agw_arena *arena)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_json_key(&w, AGW_STR(AGW_MCP_META_CAPABILITIES));
    if (whole && is_object(doc, caps))
        agw_json_raw(&w, agw_json_text(doc, caps));
    else
        put_names(doc, caps, &w);
    if (whole && is_object(doc, info)) {
        agw_json_key(&w, AGW_STR(AGW_MCP_META_CLIENT));
        agw_json_raw(&w, agw_json_text(doc, info));
    }
    agw_json_end_object(&w);
    struct agw_str text = taken(&w, arena);
    return text.p ? agw_str(text.p + 1, text.n - 2) : text;
}

int agw_mcp_client_read(const struct agw_json_doc *doc, uint32_t caps, uint32_t info, struct agw_arena *arena,
                        struct agw_str *ret_client)
{
    struct agw_str text = members_of(doc, caps, info, true, arena);
    if (text.p && text.n > AGW_MCP_CLIENT_MAX)
        text = members_of(doc, caps, info, false, arena);
    if (!text.p)
        return AGW_ENOMEM;
    *ret_client = text;
    return 0;
}

int agw_mcp_write_discover(struct agw_str client, struct agw_json_writer *w)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_int(w, "id", 0);
    agw_json_put_string(w, "method", AGW_STR("server/discover"));
    agw_json_key(w, AGW_STR("params"));
    agw_json_raw(w, AGW_STR("{\"_meta\":{" VERSION_MEMBER));
    agw_json_more(w, client.n ? client : AGW_STR(NOTHING));
    agw_json_more(w, AGW_STR("}}"));
    agw_json_end_object(w);
    return w->error;
}
