#include "policy/traffic/traffic_int.h"

/* The deadlines themselves stand in struct agw_route, where the compiler puts them. */
static int check(const Google__Protobuf__Duration *d, const char *field, struct agw_error *err)
{
    if (d && (d->seconds < 0 || d->nanos < 0))
        return agw_error_set(err, AGW_EINVAL, "%s: negative duration", field);
    return 0;
}

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__Timeout *in = spec;
    int code = check(in->request, "request", err);
    if (!code)
        code = check(in->backend_request, "backend_request", err);
    *ret_conf = NULL; /* nothing of it runs */
    return code;
}

const struct agw_policy_ops agw_policy_timeout = {
    .kind = AGW_POLICY_TIMEOUT, .own_conf = true, .compile = compile};
