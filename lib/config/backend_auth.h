/* With what credentials a backend is asked: what a policy compiles to, for HTTP requests and calls of MCP
 * targets alike.
 *
 * Lives in the snapshot. Threads: any; nothing of it is written. Errors: AGW_ENOMEM, and AGW_EUNSUPPORTED as
 * said. */
#ifndef AGW_CONFIG_BACKEND_AUTH_H
#define AGW_CONFIG_BACKEND_AUTH_H

#include "http/msg.h"

/* A header field of ours, whole. */
struct agw_credential {
    struct agw_str name, value; /* name: lower case */
};

struct agw_backend_auth {
    const struct agw_credential *v; /* set in place of the client's fields of those names */
    uint32_t count;
    bool missing; /* a credential is configured and not there: nothing may be sent */
    /* The client's own credential goes on; |passed|: in which field, |prefix|: of a token that the gateway
     * took. */
    bool passthrough;
    struct agw_str passed, prefix;
};

/* Sets in |h| what |auth| (NULL: nothing) says. |token|: the client's, if the gateway took it off the
 * request; else empty. |arena|: of the values. AGW_EUNSUPPORTED: a credential is missing. */
int agw_backend_auth_apply(const struct agw_backend_auth *auth, struct agw_str token, struct agw_headers *h,
                           struct agw_arena *arena);
/* Whether a field of the client is a credential that goes to a backend only if |auth| passes it on: for
 * backends that are servers of others, as MCP targets are (MCP, "Authorization", Token Passthrough). */
bool agw_backend_auth_holds_back(const struct agw_backend_auth *auth, const struct agw_header *field);

#endif
