#include "config/tls/message.h"
#include "policy/policy_int.h"

/* TLS to a backend. The compiler makes the context (and falls back to nothing weaker when that fails). */
static int transport(const void *spec, struct agw_arena *arena, struct agw_transport *t,
                     struct agw_error *err)
{
    t->tls = true;
    int code = agw_tls_backend_conf(spec, arena, &t->tls_conf, err);
    if (code && code != AGW_ENOMEM)
        agw_error_prefix(err, "backendTLS");
    return code;
}

const struct agw_policy_ops agw_policy_backend_tls = {.kind = AGW_POLICY_BACKEND_TLS, .transport = transport};
