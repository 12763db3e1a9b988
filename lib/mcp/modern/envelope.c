#include "mcp/modern/envelope.h"

#include "base/err.h"

static uint32_t meta_of(const struct agw_json_doc *doc, uint32_t params)
{
    return params ? agw_json_get(doc, params, AGW_STR("_meta")) : 0;
}

static uint32_t claim_of(const struct agw_json_doc *doc, uint32_t params)
{
    uint32_t meta = meta_of(doc, params);
    return meta ? agw_json_get(doc, meta, AGW_STR(AGW_MCP_META_VERSION)) : 0;
}

bool agw_mcp_envelope_claimed(const struct agw_json_doc *doc, uint32_t params)
{
    return claim_of(doc, params) != 0;
}

static int check_capabilities(const struct agw_json_doc *doc, uint32_t params, struct agw_error *err)
{
    uint32_t meta = meta_of(doc, params);
    uint32_t caps = meta ? agw_json_get(doc, meta, AGW_STR(AGW_MCP_META_CAPABILITIES)) : 0;
    if (caps != 0 && agw_json_type(doc, caps) == AGW_JSON_OBJECT)
        return 0;
    return agw_error_set(err, AGW_EINVAL, "params._meta must hold \"%s\", an object",
                         AGW_MCP_META_CAPABILITIES);
}

int agw_mcp_envelope_version(const struct agw_json_doc *doc, uint32_t params, bool request,
                             const struct agw_headers *headers, struct agw_arena *arena,
                             struct agw_str *ret_version, struct agw_error *err)
{
    struct agw_str field = agw_headers_value(headers, AGW_HDR_MCP_PROTOCOL_VERSION), version = field;
    uint32_t claim = 0, meta = meta_of(doc, params);
    if (meta && agw_json_get_unique(doc, meta, AGW_STR(AGW_MCP_META_VERSION), &claim) != 0)
        return agw_error_set(err, AGW_EINVAL, "params._meta holds \"%s\" twice", AGW_MCP_META_VERSION);
    if (claim == 0 && request)
        return agw_error_set(err, AGW_EINVAL, "params._meta must hold \"%s\"", AGW_MCP_META_VERSION);
    if (claim != 0) {
        int rc = agw_json_unescape(doc, claim, arena, &version);
        if (rc != 0)
            return agw_error_set(err, rc, "\"%s\" must be a string", AGW_MCP_META_VERSION);
        if (request && (rc = check_capabilities(doc, params, err)) != 0)
            return rc;
        if (field.n && !agw_str_eq(field, version))
            return agw_error_set(err, AGW_EPROTO, "MCP-Protocol-Version says %.*s, the body %.*s",
                                 AGW_STRF(field), AGW_STRF(version));
    }
    *ret_version = version;
    return 0;
}

/* --- what Mcp-Name repeats --- */

static const struct {
    struct agw_str method, member;
} named[] = {{{"tools/call", 10}, {"name", 4}},     {{"prompts/get", 11}, {"name", 4}},
             {{"resources/read", 14}, {"uri", 3}},  {{"tasks/get", 9}, {"taskId", 6}},
             {{"tasks/update", 12}, {"taskId", 6}}, {{"tasks/cancel", 12}, {"taskId", 6}}};

static struct agw_str member_of(struct agw_str method)
{
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (agw_str_eq(named[i].method, method))
            return named[i].member;
    return agw_str(NULL, 0);
}

bool agw_mcp_envelope_named(struct agw_str method)
{
    return member_of(method).n > 0;
}

static struct agw_str field_value(const struct agw_headers *headers, struct agw_str name)
{
    struct agw_header *h = agw_headers_find(headers, name);
    return h ? agw_str_trim(h->value) : agw_str(NULL, 0);
}

static int check_name(const struct agw_json_doc *doc, uint32_t params, struct agw_str member,
                      const struct agw_headers *headers, struct agw_arena *arena, struct agw_error *err)
{
    struct agw_str field = field_value(headers, AGW_STR("mcp-name")), said;
    uint32_t token = params ? agw_json_get(doc, params, member) : 0;
    if (token == 0 || agw_json_type(doc, token) != AGW_JSON_STRING)
        return 0; /* refused for what it is, later */
    if (!field.p)
        return agw_error_set(err, AGW_EPROTO, "the Mcp-Name header is missing");
    int rc = agw_mcp_field_decode(field, arena, &said);
    if (rc == AGW_EINVAL)
        return agw_error_set(err, AGW_EPROTO, "the Mcp-Name header is not well encoded");
    if (rc != 0)
        return rc;
    if (agw_json_is(doc, token, said))
        return 0;
    return agw_error_set(err, AGW_EPROTO, "Mcp-Name does not match params.%.*s", AGW_STRF(member));
}

int agw_mcp_envelope_fields(const struct agw_json_doc *doc, uint32_t params, bool request,
                            struct agw_str method, const struct agw_headers *headers, struct agw_arena *arena,
                            struct agw_error *err)
{
    struct agw_str field = field_value(headers, AGW_STR("mcp-method")), member = member_of(method);
    if (request && agw_headers_value(headers, AGW_HDR_MCP_PROTOCOL_VERSION).n == 0)
        return agw_error_set(err, AGW_EPROTO, "the MCP-Protocol-Version header is missing");
    if (request && !field.p)
        return agw_error_set(err, AGW_EPROTO, "the Mcp-Method header is missing");
    if (field.p && !agw_str_eq(field, method))
        return agw_error_set(err, AGW_EPROTO, "Mcp-Method says %.*s, the body %.*s", AGW_STRF(field),
                             AGW_STRF(method));
    return request && member.n ? check_name(doc, params, member, headers, arena, err) : 0;
}

/* --- values of header fields --- */

static const struct agw_str mark = {"=?base64?", 9}, end = {"?=", 2};

static bool is_marked(struct agw_str value)
{
    return value.n >= mark.n + end.n && agw_str_starts(value, mark) && agw_str_ends(value, end);
}

/* Visible ASCII and inner spaces (RFC 9110 section 5.5). */
static bool is_plain(struct agw_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x20 || text.p[i] > 0x7e)
            return false;
    return text.n == agw_str_trim(text).n && !is_marked(text);
}

struct agw_str agw_mcp_field_encode(struct agw_str text, struct agw_arena *arena)
{
    if (is_plain(text))
        return text.p ? text : AGW_STR("");
    char *out = agw_arena_alloc(arena, mark.n + AGW_BASE64_SIZE(text.n) + end.n);
    if (!out)
        return agw_str(NULL, 0);
    memcpy(out, mark.p, mark.n);
    size_t n = mark.n + agw_base64_encode(text.p, text.n, false, out + mark.n);
    memcpy(out + n, end.p, end.n);
    return agw_str(out, n + end.n);
}

int agw_mcp_field_decode(struct agw_str value, struct agw_arena *arena, struct agw_str *ret_text)
{
    size_t n = 0;
    if (!is_marked(value)) {
        *ret_text = value;
        return 0;
    }
    struct agw_str coded = agw_str(value.p + mark.n, value.n - mark.n - end.n);
    char *out = agw_arena_alloc(arena, coded.n / 4 * 3 + 3);
    if (!out)
        return AGW_ENOMEM;
    int rc = agw_base64_decode(coded, false, out, &n);
    if (rc == 0)
        *ret_text = agw_str(out, n);
    return rc;
}
