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

/* What a route names as its parent: a Gateway for its own listeners, or a ListenerSet. */
struct agw_gwapi_parent {
    struct agw_gwapi_parent
        *next; /* of the same Gateway: of two listeners that cannot both be, the earlier wins */
    const struct agw_object *object;
    struct agw_gwapi_gateway *gateway;
    struct agw_gwapi_listener *listeners;
    uint32_t listener_count; /* 0: a ListenerSet that the Gateway does not allow */
};

struct agw_gwapi_gateway {
    struct agw_gwapi_gateway *next;
    const struct agw_object *object;
    struct agw_gwapi_parent own;   /* before those of its ListenerSets */
    struct agw_gwapi_parent *last; /* of them all */
    uint32_t set_count;            /* ListenerSets with a listener that serves */
    struct agw_addr *addrs;        /* none: all */
    uint32_t addr_count;
    ProtobufCBinaryData client_cert, client_key; /* shown to backends over TLS; empty: none */
};

/* Binds and listeners of our Gateways, which t->gateways is from then on. */
int agw_gwapi_gateways(struct agw_translate *t);
/* The same for ListenerSets, once all Gateways are known. */
int agw_gwapi_listener_sets(struct agw_translate *t);
/* How many routes each listener has; after all kinds of route. */
int agw_gwapi_report_attached(struct agw_translate *t);

/* True if the listener serves routes of this kind and its allowedRoutes do not leave it out. */
bool agw_gwapi_takes(const struct agw_gwapi_listener *l, struct agw_str kind);

/* True if |namespaces| of |owner|, a section such as allowedRoutes.namespaces, lets |ns| in; |from| is what
 * counts when it does not say. */
bool agw_gwapi_allows_namespace(const struct agw_translate *t, const struct agw_object *owner,
                                const struct agw_node *namespaces, const char *from, struct agw_str ns);

/* --- listener_tls.c --- */
/* The listener's tls section, and what the Gateway asks of clients on its port. *ret_tls has no certificate
 * when all references fail, so that handshakes are refused; |ret_refusal| is the first that does. */
int agw_gwapi_listener_tls(struct agw_translate *t, const struct agw_gwapi_parent *parent,
                           const struct agw_gwapi_listener *l, Pb__TLSConfig **ret_tls,
                           struct agw_gwapi_refusal *ret_refusal);
/* The value of a cipher suite's or group's name, 0: there is none. */
int agw_gwapi_tls_value(struct agw_translate *t, const ProtobufCEnumDescriptor *type, struct agw_str name);
/* The Gateway's client certificate for backends. */
int agw_gwapi_client_cert(struct agw_translate *t, struct agw_gwapi_gateway *g);

#endif
