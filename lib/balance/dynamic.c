#include "balance/dynamic.h"

#include "http/uri.h"

static bool port_of(struct agw_str text, uint16_t *ret_port)
{
    unsigned n = 0;
    if (text.n > 5)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        n = n * 10 + (unsigned)(text.p[i] - '0');
    }
    *ret_port = (uint16_t)n;
    return n >= 1 && n <= 65535;
}

int agw_balance_dynamic(const struct agw_backend *b, struct agw_str authority, struct agw_arena *arena,
                        const struct agw_endpoint **ret_endpoint)
{
    const struct agw_endpoint *like = b->endpoints[0];
    struct agw_str host, text;
    uint16_t port = like->tls ? 443 : 80;
    if (agw_authority_split(authority, &host, &text) || host.n == 0 || (text.n && !port_of(text, &port)))
        return AGW_EINVAL;
    host = agw_arena_lower(arena, host);
    return host.p ? agw_endpoint_at(like, host, port, arena, ret_endpoint) : AGW_ENOMEM;
}
