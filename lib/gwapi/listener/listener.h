/* Gateways and their listeners. Conventions as in gwapi/base/translate.h. */
#ifndef AGW_GWAPI_LISTENER_LISTENER_H
#define AGW_GWAPI_LISTENER_LISTENER_H

#include "gwapi/base/translate.h"

/* What a listener's protocol means. */
struct agw_gwapi_listen_protocol {
    const char *name;
    Pb__Protocol wire;
    Pb__Bind__Protocol bind;
    const char *routes;             /* kinds of route that it takes, with spaces between */
    const char *passthrough_routes; /* the same if TLS is passed through; NULL: it never is */
    Pb__Bind__TunnelProtocol tunnel;
};

struct agw_gwapi_listener {
    const struct agw_node *node;
    const struct agw_gwapi_listen_protocol *protocol; /* NULL: one that is not served */
    struct agw_str key, name, hostname;
    uint16_t port;
    bool passthrough;                         /* TLS is not ended here */
    bool serves;                              /* false: no resource is made, routes find nobody */
    uint32_t attached;                        /* routes */
    struct agw_gwapi_attachment *http, *grpc; /* what was accepted of either kind, by |peer| */
};

struct agw_gwapi_gateway {
    struct agw_gwapi_gateway *next;
    const struct agw_object *object;
    struct agw_gwapi_listener *listeners;
    uint32_t listener_count;
    struct agw_addr *addrs; /* none: all */
    uint32_t addr_count;
    ProtobufCBinaryData client_cert, client_key; /* shown to backends over TLS; empty: none */
};

/* Binds and listeners of our Gateways, which t->gateways is from then on. */
int agw_gwapi_gateways(struct agw_translate *t);
/* How many routes each listener has; after all kinds of route. */
int agw_gwapi_report_attached(struct agw_translate *t);

/* True if the listener serves routes of this kind and its allowedRoutes do not leave it out. */
bool agw_gwapi_takes(const struct agw_gwapi_listener *l, struct agw_str kind);

/* --- listener_tls.c --- */
/* The listener's tls section, and what the Gateway asks of clients on |port|. *ret_tls has no certificate
 * when all references fail, so that handshakes are refused; |ret_refusal| is the first that does. */
int agw_gwapi_listener_tls(struct agw_translate *t, const struct agw_object *gateway,
                           const struct agw_gwapi_listener *l, Pb__TLSConfig **ret_tls,
                           struct agw_gwapi_refusal *ret_refusal);
/* The Gateway's client certificate for backends. */
int agw_gwapi_client_cert(struct agw_translate *t, struct agw_gwapi_gateway *g);

#endif
