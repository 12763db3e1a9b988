#include "http/cookie.h"

static struct agw_str unquoted(struct agw_str v)
{
    bool quoted = v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"';
    return quoted ? agw_str(v.p + 1, v.n - 2) : v;
}

static bool find_in(struct agw_str field, struct agw_str name, struct agw_str *ret_value)
{
    while (field.n > 0) {
        struct agw_str pair = field;
        const char *end = memchr(field.p, ';', field.n);
        if (end)
            pair.n = (size_t)(end - field.p);
        field = end ? agw_str_from(field, pair.n + 1) : agw_str(NULL, 0);
        pair = agw_str_trim(pair);
        if (pair.n <= name.n || pair.p[name.n] != '=' || memcmp(pair.p, name.p, name.n) != 0)
            continue;
        *ret_value = unquoted(agw_str_from(pair, name.n + 1));
        return true;
    }
    return false;
}

bool agw_cookie_get(const struct agw_headers *h, struct agw_str name, struct agw_str *ret_value)
{
    for (uint32_t i = 0; i < h->n; i++)
        if (h->v[i].id == AGW_HDR_COOKIE && find_in(h->v[i].value, name, ret_value))
            return true;
    return false;
}
