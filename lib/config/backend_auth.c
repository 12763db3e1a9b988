#include "config/backend_auth.h"

#include "base/err.h"

int agw_backend_auth_apply(const struct agw_backend_auth *auth, struct agw_str token, struct agw_headers *h,
                           struct agw_arena *arena)
{
    int rc = 0;
    if (!auth)
        return 0;
    if (auth->missing)
        return AGW_EUNSUPPORTED;
    if (auth->passthrough && token.n) {
        struct agw_str parts[] = {auth->prefix, token}, value = agw_arena_join(arena, parts, 2);
        rc = value.p ? agw_headers_set(h, auth->passed, value) : AGW_ENOMEM;
    }
    for (uint32_t i = 0; rc == 0 && i < auth->count; i++)
        rc = agw_headers_set(h, auth->v[i].name, auth->v[i].value);
    return rc;
}

bool agw_backend_auth_holds_back(const struct agw_backend_auth *auth, const struct agw_header *field)
{
    bool credential = field->id == AGW_HDR_AUTHORIZATION ||
                      agw_str_eq(field->name, AGW_STR("proxy-authorization")) ||
                      agw_str_eq(field->name, AGW_STR("cookie"));
    return credential && !(auth && auth->passthrough && agw_str_eq(field->name, auth->passed));
}
