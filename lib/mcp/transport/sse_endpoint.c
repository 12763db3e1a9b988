#include "mcp/transport/sse_endpoint.h"

#include "http/path.h"
#include "http/uri.h"

static bool is_clean(struct agw_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7f || s.p[i] == '#' || s.p[i] == '\\')
            return false;
    return s.n > 0;
}

static struct agw_str port_or_default(struct agw_str port, struct agw_str scheme)
{
    return port.n ? port : agw_str_ieq(scheme, AGW_STR("https")) ? AGW_STR("443") : AGW_STR("80");
}

static bool same_authority(struct agw_str host, struct agw_str port, struct agw_str scheme,
                           struct agw_str authority)
{
    struct agw_str own_host, own_port;
    if (agw_authority_split(authority, &own_host, &own_port) != 0)
        return false;
    return agw_str_ieq(host, own_host) &&
           agw_str_eq(port_or_default(port, scheme), port_or_default(own_port, scheme));
}

/* True if |s| begins with a scheme (RFC 3986 section 3.1). */
static bool has_scheme(struct agw_str s)
{
    ptrdiff_t colon = agw_str_find(s, ':');
    for (ptrdiff_t i = 0; i < colon; i++) {
        char c = s.p[i] | 0x20;
        bool letter = c >= 'a' && c <= 'z';
        bool other = (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '+' || s.p[i] == '-' || s.p[i] == '.';
        if (!letter && (i == 0 || !other))
            return false;
    }
    return colon > 0;
}

static int of_origin(struct agw_str text, struct agw_str scheme, struct agw_str authority,
                     struct agw_arena *arena, struct agw_str *ret_path, struct agw_error *err)
{
    struct agw_uri u;
    if (agw_uri_parse(text, &u) != 0)
        return agw_error_set(err, AGW_EPROTO, "\"%.*s\" is no URI", AGW_STRF(text));
    if (!agw_str_ieq(u.scheme, scheme) || !same_authority(u.host, u.port, scheme, authority))
        return agw_error_set(err, AGW_EPROTO, "\"%.*s\" is of another origin than %.*s://%.*s",
                             AGW_STRF(text), AGW_STRF(scheme), AGW_STRF(authority));
    struct agw_str parts[] = {u.path.n ? u.path : AGW_STR("/"), u.has_query ? AGW_STR("?") : AGW_STR(""),
                              u.query};
    *ret_path = agw_arena_join(arena, parts, 3);
    return 0;
}

/* A relative path or a query alone, beside the stream's own path. */
static struct agw_str beside(struct agw_str reference, struct agw_str path, struct agw_arena *arena)
{
    struct agw_str own, query;
    bool has_query;
    agw_path_split(path, &own, &query, &has_query);
    while (reference.p[0] != '?' && own.n && own.p[own.n - 1] != '/')
        own.n--;
    struct agw_str parts[] = {own.n ? own : AGW_STR("/"), reference};
    return agw_arena_join(arena, parts, 2);
}

int agw_mcp_sse_endpoint(struct agw_str reference, struct agw_str scheme, struct agw_str authority,
                         struct agw_str path, struct agw_arena *arena, struct agw_str *ret_path,
                         struct agw_error *err)
{
    struct agw_str found = {0};
    int rc = 0;
    if (reference.n > AGW_MCP_SSE_ENDPOINT_MAX)
        return agw_error_set(err, AGW_ELIMIT, "longer than %d bytes", AGW_MCP_SSE_ENDPOINT_MAX);
    if (!is_clean(reference))
        return agw_error_set(err, AGW_EPROTO, "is empty, or holds what no URI can hold");
    if (agw_str_starts(reference, AGW_STR("//"))) {
        struct agw_str parts[] = {scheme, AGW_STR(":"), reference};
        struct agw_str whole = agw_arena_join(arena, parts, 3);
        rc = whole.p ? of_origin(whole, scheme, authority, arena, &found, err) : AGW_ENOMEM;
    } else if (has_scheme(reference)) {
        rc = of_origin(reference, scheme, authority, arena, &found, err);
    } else if (reference.p[0] == '/') {
        found = agw_arena_str(arena, reference);
    } else {
        found = beside(reference, path, arena);
    }
    if (rc == 0 && !found.p)
        rc = AGW_ENOMEM;
    if (rc == 0)
        rc = agw_path_normalize(&found, arena);
    if (rc == AGW_EINVAL)
        return agw_error_set(err, AGW_EPROTO, "climbs above the root");
    if (rc == AGW_ENOMEM)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    if (rc == 0)
        *ret_path = found;
    return rc;
}
