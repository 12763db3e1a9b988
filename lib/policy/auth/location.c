#include "policy/auth/auth_int.h"

int agw_auth_location_set(struct agw_auth_location *l, const Pb__AuthorizationLocation *in,
                          struct agw_arena *arena, struct agw_error *err)
{
    *l = (struct agw_auth_location){AGW_STR("authorization"), AGW_STR("Bearer ")};
    if (!in || in->kind_case == PB__AUTHORIZATION_LOCATION__KIND__NOT_SET)
        return 0;
    if (in->kind_case != PB__AUTHORIZATION_LOCATION__KIND_HEADER || !in->header)
        return agw_error_set(err, AGW_EUNSUPPORTED, "location: only a header is served");
    if (!agw_header_name_valid(agw_str_c(in->header->name)))
        return agw_error_set(err, AGW_EINVAL, "location.header: \"%.100s\" is no name", in->header->name);
    l->name = agw_arena_lower(arena, agw_str_c(in->header->name));
    l->prefix = in->header->_prefix_case ? agw_arena_str(arena, agw_str_c(in->header->prefix)) : AGW_STR("");
    if (!l->name.p || !l->prefix.p)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    /* Its end, which may be a space, is in the middle of a field. */
    struct agw_str parts[] = {l->prefix, AGW_STR("x")}, whole = agw_arena_join(arena, parts, 2);
    if (!whole.p)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    return agw_header_value_valid(whole)
               ? 0
               : agw_error_set(err, AGW_EINVAL, "location.header.prefix: is no text of a header");
}

bool agw_auth_location_get(const struct agw_auth_location *l, const struct agw_headers *h,
                           struct agw_str *ret)
{
    unsigned fields = 0;
    struct agw_str value = {0};
    for (uint32_t i = 0; i < h->n; i++) {
        if (!agw_str_eq(h->v[i].name, l->name))
            continue;
        value = h->v[i].value;
        fields++;
    }
    bool good =
        fields == 1 && value.n >= l->prefix.n && agw_str_ieq(agw_str(value.p, l->prefix.n), l->prefix);
    *ret = good ? agw_str_trim(agw_str_from(value, l->prefix.n)) : AGW_STR("");
    return fields > 0;
}
