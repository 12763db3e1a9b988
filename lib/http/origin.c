#include "http/origin.h"

#include "http/uri.h"

/* --- patterns --- */

static bool origin_char(char ch)
{
    return ch > ' ' && ch < 127 && ch != ',' && ch != '*';
}

int agw_origin_pattern_parse(struct agw_str text, struct agw_arena *arena,
                             struct agw_origin_pattern *ret_pattern)
{
    struct agw_str lower = agw_arena_lower(arena, text);
    if (!lower.p)
        return AGW_ENOMEM;
    ptrdiff_t star = agw_str_find(lower, '*'), scheme = agw_str_find(lower, ':');
    bool wild = star >= 0;
    bool good = scheme > 0 && agw_str_starts(agw_str_from(lower, (size_t)scheme), AGW_STR("://")) &&
                lower.n > (size_t)scheme + 3 && (!wild || star >= scheme + 3);
    for (size_t i = 0; good && i < lower.n; i++)
        good = origin_char(lower.p[i]) || (ptrdiff_t)i == star;
    if (!good)
        return AGW_EINVAL;
    *ret_pattern = (struct agw_origin_pattern){
        .head = wild ? agw_str(lower.p, (size_t)star) : lower,
        .tail = wild ? agw_str_from(lower, (size_t)star + 1) : AGW_STR(""),
        .wild = wild,
    };
    return 0;
}

/* What stands for '*' is labels of a name: no port, and nothing that only looks like an origin. */
static bool is_labels(struct agw_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        if (!(ch >= 'a' && ch <= 'z') && !(ch >= 'A' && ch <= 'Z') && !(ch >= '0' && ch <= '9') &&
            ch != '-' && ch != '.')
            return false;
    }
    return s.n > 0;
}

bool agw_origin_matches(const struct agw_origin_pattern *p, struct agw_str origin)
{
    if (!p->wild)
        return agw_str_ieq(p->head, origin);
    if (origin.n <= p->head.n + p->tail.n)
        return false;
    size_t labels = origin.n - p->head.n - p->tail.n;
    return agw_str_ieq(agw_str(origin.p, p->head.n), p->head) &&
           agw_str_ieq(agw_str_from(origin, p->head.n + labels), p->tail) &&
           is_labels(agw_str(origin.p + p->head.n, labels));
}

/* --- requests --- */

/* Behind a gateway that ends TLS the scheme is not known here: a port that is the default of |scheme| may be
 * missing on either side. */
static bool same_port(struct agw_str a, struct agw_str b, struct agw_str scheme)
{
    struct agw_str usual = agw_str_ieq(scheme, AGW_STR("https")) ? AGW_STR("443") : AGW_STR("80");
    return agw_str_eq(a.n ? a : usual, b.n ? b : usual);
}

static bool is_local(struct agw_str host)
{
    return agw_str_ieq(host, AGW_STR("localhost")) || agw_str_eq(host, AGW_STR("127.0.0.1")) ||
           agw_str_eq(host, AGW_STR("::1")) || agw_str_eq(host, AGW_STR("[::1]"));
}

static bool split_origin(struct agw_str origin, struct agw_str *ret_scheme, struct agw_str *ret_host,
                         struct agw_str *ret_port)
{
    ptrdiff_t colon = agw_str_find(origin, ':');
    if (colon < 1 || !agw_str_starts(agw_str_from(origin, (size_t)colon), AGW_STR("://")))
        return false;
    *ret_scheme = agw_str(origin.p, (size_t)colon);
    return (agw_str_ieq(*ret_scheme, AGW_STR("http")) || agw_str_ieq(*ret_scheme, AGW_STR("https"))) &&
           agw_authority_split(agw_str_from(origin, (size_t)colon + 3), ret_host, ret_port) == 0;
}

enum agw_origin_kind agw_origin_kind_of(const struct agw_headers *h, struct agw_str authority)
{
    struct agw_str origin = {0}, scheme, host, port, own, own_port;
    unsigned fields = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        if (h->v[i].id != AGW_HDR_ORIGIN)
            continue;
        origin = h->v[i].value;
        fields++;
    }
    if (fields == 0)
        return AGW_ORIGIN_NONE;
    if (fields > 1)
        return AGW_ORIGIN_MANY;
    if (!split_origin(origin, &scheme, &host, &port) || agw_authority_split(authority, &own, &own_port) != 0)
        return AGW_ORIGIN_OTHER;
    if (is_local(host) && is_local(own))
        return AGW_ORIGIN_LOCAL;
    return agw_str_ieq(host, own) && same_port(port, own_port, scheme) ? AGW_ORIGIN_OWN : AGW_ORIGIN_OTHER;
}

/* A dotted quad as browsers write it: four numbers, so that a name such as 1.2.3.4.evil is none. */
static bool is_ipv4(struct agw_str host)
{
    struct agw_str rest = host, part;
    unsigned parts = 0;
    while (agw_str_split(&rest, '.', &part)) {
        if (part.n == 0 || part.n > 3)
            return false;
        for (size_t i = 0; i < part.n; i++)
            if (part.p[i] < '0' || part.p[i] > '9')
                return false;
        parts++;
    }
    return parts == 4;
}

bool agw_authority_unspoofable(struct agw_str authority)
{
    struct agw_str host, port;
    if (agw_authority_split(authority, &host, &port) != 0)
        return false;
    return is_local(host) || is_ipv4(host) || agw_str_find(host, ':') >= 0;
}
