#include "mcp/message/names.h"

#include "base/err.h"

static const struct agw_str ui = {"ui://", 5};

bool agw_mcp_names_prefixed(const struct agw_mcp_backend *b)
{
    if (b->prefix == AGW_MCP_PREFIX_CONDITIONAL)
        return b->count != 1;
    return b->prefix == AGW_MCP_PREFIX_ALWAYS;
}

bool agw_mcp_uris_prefixed(const struct agw_mcp_backend *b)
{
    return b->count != 1 || b->prefix == AGW_MCP_PREFIX_ALWAYS;
}

int agw_mcp_target_index(const struct agw_mcp_backend *b, struct agw_str name)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (agw_str_eq(b->targets[i].name, name))
            return (int)i;
    return -1;
}

static int split(const struct agw_mcp_backend *b, struct agw_str s, char separator, uint32_t *ret_target,
                 struct agw_str *ret_rest)
{
    ptrdiff_t at = agw_str_find(s, separator);
    int target = at < 0 ? -1 : agw_mcp_target_index(b, agw_str(s.p, (size_t)at));
    if (target < 0)
        return AGW_ENOTFOUND;
    *ret_target = (uint32_t)target;
    *ret_rest = agw_str_from(s, (size_t)at + 1);
    return 0;
}

int agw_mcp_name_split(const struct agw_mcp_backend *b, struct agw_str name, uint32_t *ret_target,
                       struct agw_str *ret_bare)
{
    return split(b, name, '_', ret_target, ret_bare);
}

static bool is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* RFC 3986 section 3.1. */
static bool has_scheme(struct agw_str uri)
{
    if (uri.n == 0 || !is_alpha(uri.p[0]))
        return false;
    for (size_t i = 1; i < uri.n; i++) {
        char c = uri.p[i];
        if (c == ':')
            return true;
        if (!is_alpha(c) && !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.')
            return false;
    }
    return false;
}

int agw_mcp_uri_insert_at(struct agw_str uri)
{
    if (!has_scheme(uri))
        return -1;
    return agw_str_starts(uri, ui) ? (int)ui.n : 0;
}

int agw_mcp_uri_split(const struct agw_mcp_backend *b, struct agw_str uri, struct agw_arena *arena,
                      uint32_t *ret_target, struct agw_str *ret_uri)
{
    if (!agw_str_starts(uri, ui))
        return split(b, uri, '+', ret_target, ret_uri);
    struct agw_str parts[2] = {ui};
    uint32_t target;
    int rc = split(b, agw_str_from(uri, ui.n), '+', &target, &parts[1]);
    if (rc != 0)
        return rc;
    struct agw_str joined = agw_arena_join(arena, parts, 2);
    if (!joined.p)
        return AGW_ENOMEM;
    *ret_target = target;
    *ret_uri = joined;
    return 0;
}

int agw_mcp_task_split(const struct agw_mcp_backend *b, struct agw_str id, uint32_t *ret_target,
                       struct agw_str *ret_id)
{
    ptrdiff_t plus = agw_str_find(id, '+');
    int target = plus < 0 ? -1 : agw_mcp_target_index(b, agw_str(id.p, (size_t)plus));
    if (target < 0)
        return AGW_ENOTFOUND;
    *ret_target = (uint32_t)target;
    *ret_id = agw_str_from(id, (size_t)plus + 1);
    return 0;
}
