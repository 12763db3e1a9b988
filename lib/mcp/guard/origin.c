#include "mcp/guard/origin.h"

static bool is_listed(const struct agw_mcp_backend *b, struct agw_str origin)
{
    for (uint32_t i = 0; i < b->origin_count; i++)
        if (agw_origin_matches(&b->origins[i], origin))
            return true;
    return false;
}

const char *agw_mcp_origin_refused(const struct agw_mcp_backend *b, const struct agw_mcp_origin *o,
                                   const struct agw_headers *h)
{
    switch (agw_origin_kind_of(h, o->authority)) {
    case AGW_ORIGIN_NONE:
    case AGW_ORIGIN_LOCAL:
        return NULL;
    case AGW_ORIGIN_OWN:
        if (o->named || agw_authority_unspoofable(o->authority))
            return NULL;
        break;
    case AGW_ORIGIN_MANY:
        return "Forbidden: more than one Origin";
    case AGW_ORIGIN_OTHER:
        break;
    }
    if (o->allowed || is_listed(b, agw_headers_value(h, AGW_HDR_ORIGIN)))
        return NULL;
    return "Forbidden: Origin is not allowed";
}
