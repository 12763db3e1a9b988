/* Header fields and a body of 2026-07-28, any bytes: what passes agrees, and every name comes back from a
 * field as it was. Input: the fields' values, a line each (version, method, name), then the message. */
#include "base/check.h"
#include "mcp/modern/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct agw_str take_line(struct agw_str *rest)
{
    ptrdiff_t at = agw_str_find(*rest, '\n');
    struct agw_str line = at < 0 ? *rest : agw_str(rest->p, (size_t)at);
    *rest = at < 0 ? agw_str(rest->p + rest->n, 0) : agw_str_from(*rest, (size_t)at + 1);
    return line;
}

static void check_field(struct agw_str text, struct agw_arena *arena)
{
    struct agw_str back = {0}, coded = agw_mcp_field_encode(text, arena);
    agw_check(coded.p != NULL);
    for (size_t i = 0; i < coded.n; i++)
        agw_check((unsigned char)coded.p[i] >= 0x20 && (unsigned char)coded.p[i] < 0x7f);
    agw_check(agw_mcp_field_decode(coded, arena, &back) == 0 && agw_str_eq(back, text));
}

static void check_message(const struct agw_json_doc *doc, const struct agw_headers *headers,
                          struct agw_str method, struct agw_arena *arena)
{
    struct agw_str version = {0}, name = {0};
    uint32_t params = agw_json_get(doc, 0, AGW_STR("params"));
    if (agw_mcp_envelope_version(doc, params, true, headers, arena, &version, NULL) != 0)
        return;
    agw_check(agw_mcp_envelope_claimed(doc, params));
    struct agw_str field = agw_headers_value(headers, AGW_HDR_MCP_PROTOCOL_VERSION);
    agw_check(field.n == 0 || agw_str_eq(field, version));
    if (agw_mcp_envelope_fields(doc, params, true, method, headers, arena, NULL) != 0)
        return;
    uint32_t token = agw_json_get(doc, params, AGW_STR("name"));
    if (token == 0 || agw_json_unescape(doc, token, arena, &name) != 0 ||
        !agw_str_eq(method, AGW_STR("tools/call")))
        return;
    struct agw_str said = agw_str_trim(agw_headers_find(headers, AGW_STR("mcp-name"))->value), decoded = {0};
    agw_check(agw_mcp_field_decode(said, arena, &decoded) == 0 && agw_str_eq(decoded, name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_arena arena;
    struct agw_json_doc doc;
    struct agw_headers headers;
    struct agw_str rest = agw_str((const char *)data, size);
    agw_arena_init(&arena, 1024, 0);
    agw_headers_init(&headers, &arena);
    agw_json_doc_init(&doc, 0);
    struct agw_str version = take_line(&rest), method = agw_str_trim(take_line(&rest)),
                   name = take_line(&rest);
    agw_check(agw_headers_add_id(&headers, AGW_HDR_MCP_PROTOCOL_VERSION, version) == 0);
    agw_check(agw_headers_add(&headers, AGW_HDR_OTHER, AGW_STR("mcp-method"), method) == 0);
    agw_check(agw_headers_add(&headers, AGW_HDR_OTHER, AGW_STR("mcp-name"), name) == 0);
    check_field(name, &arena);
    if (agw_json_parse(&doc, rest, NULL) == 0)
        check_message(&doc, &headers, method, &arena);
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
    return 0;
}
