/* TLS settings as the wire says them (proto/resource.proto), in the words of lib/tls.
 *
 * Texts and lists are views into the messages or live in |arena|. Errors: AGW_EINVAL and AGW_EUNSUPPORTED
 * with the field and the reason, AGW_ENOMEM. Threads: any. */
#ifndef AGW_CONFIG_TLS_MESSAGE_H
#define AGW_CONFIG_TLS_MESSAGE_H

#include "base/arena.h"
#include "proto/resource.pb-c.h"
#include "tls/tls.h"

/* A listener's own settings. |certs|: room for its certificate. */
int agw_tls_listener_conf(const Pb__TLSConfig *tls, struct agw_arena *arena, struct agw_tls_cert_pem *certs,
                          struct agw_tls_server_conf *ret_conf, struct agw_error *err);
/* What a frontend policy sets replaces what |conf| has. |http|: the listener speaks HTTP, and no other
 * protocol can be agreed on. */
int agw_tls_frontend_conf(const Pb__FrontendPolicySpec__TLS *tls, bool http, struct agw_arena *arena,
                          struct agw_tls_server_conf *conf, struct agw_error *err);
/* The policy of a backend. AGW_ENOTFOUND: it has a list of roots and none is in it. */
int agw_tls_backend_conf(const Pb__BackendPolicySpec__BackendTLS *tls, struct agw_arena *arena,
                         struct agw_tls_client_conf *conf, struct agw_error *err);
/* The first group that this library lacks; NULL: none. */
const char *agw_tls_missing_group(const struct agw_tls_params *p);

#endif
