/* Frontend policies about HTTP and TCP: what they say of the connections of a port or a listener. */
#include "base/err.h"
#include "config/compile/compile_int.h"
#include "proto/message.h"

#define WINDOW_MAX 0x7fffffff         /* RFC 9113 section 6.9.1 */
#define FRAME_MIN 16384               /* RFC 9113 section 4.2 */
#define FRAME_MAX 16777215            /* the same */
#define HEADER_LIST_MAX (1024 * 1024) /* a request's memory; real heads stay below 64 KiB */
#define HEADERS_MAX 4096              /* as the API says */
#define BUFFER_MAX (1024 * 1024 * 1024)

const Pb__FrontendPolicySpec *agw_compile_frontend_of(struct agw_compile *c, unsigned kind,
                                                      const Pb__ListenerName *n, uint16_t port,
                                                      struct agw_resource **ret_owner)
{
    const Pb__ResourceName *set = n ? n->listener_set : NULL;
    const Pb__FrontendPolicySpec *p = NULL;
    if (!n)
        return NULL;
    if (set) {
        p = agw_compile_frontend_at(c, kind, ret_owner, "listener_set/%s/%s/%s", set->namespace_, set->name,
                                    n->listener_name);
        if (!p)
            p = agw_compile_frontend_at(c, kind, ret_owner, "listener_set/%s/%s", set->namespace_, set->name);
    } else {
        p = agw_compile_frontend_at(c, kind, ret_owner, "gateway/%s/%s/listener/%s", n->gateway_namespace,
                                    n->gateway_name, n->listener_name);
    }
    if (!p)
        p = agw_compile_frontend_at(c, kind, ret_owner, "gateway/%s/%s/port/%u", n->gateway_namespace,
                                    n->gateway_name, port);
    if (!p)
        p = agw_compile_frontend_at(c, kind, ret_owner, "gateway/%s/%s", n->gateway_namespace,
                                    n->gateway_name);
    return p;
}

const Pb__FrontendPolicySpec *agw_compile_frontend_of_bind(struct agw_compile *c, unsigned kind,
                                                           const struct agw_bind_rec *b,
                                                           struct agw_resource **ret_owner)
{
    for (uint32_t i = 0; i < b->listener_count; i++) {
        struct agw_str gateway = b->listeners[i]->base->gateway;
        const Pb__FrontendPolicySpec *p = agw_compile_frontend_at(c, kind, ret_owner, "gateway/%.*s/port/%u",
                                                                  AGW_STRF(gateway), b->bind->port);
        if (!p)
            p = agw_compile_frontend_at(c, kind, ret_owner, "gateway/%.*s", AGW_STRF(gateway));
        if (p)
            return p;
    }
    return NULL;
}

/* A number within bounds; what lies outside is moved to the next bound. */
static int bounded(struct agw_compile *c, const struct agw_resource *owner, const char *field, uint32_t value,
                   uint32_t min, uint32_t max, uint32_t *ret_value)
{
    *ret_value = value < min ? min : value > max ? max : value;
    if (*ret_value == value)
        return 0;
    return agw_compile_error(c, owner, "http: %s: %u is not from %u to %u: taken as %u", field, value, min,
                             max, *ret_value);
}

int agw_compile_front(struct agw_compile *c, const struct agw_resource *owner,
                      const Pb__FrontendPolicySpec__HTTP *in, struct agw_front *ret_front)
{
    const struct {
        const char *field;
        bool given;
        uint32_t value, min, max;
        uint32_t *to;
    } numbers[] = {
        {"max_buffer_size", in->_max_buffer_size_case, in->max_buffer_size, 1, BUFFER_MAX,
         &ret_front->buffer_max},
        {"http1_max_headers", in->_http1_max_headers_case, in->http1_max_headers, 1, HEADERS_MAX,
         &ret_front->h1_headers},
        {"http2_window_size", in->_http2_window_size_case, in->http2_window_size, 1, WINDOW_MAX,
         &ret_front->h2_window},
        {"http2_connection_window_size", in->_http2_connection_window_size_case,
         in->http2_connection_window_size, 1, WINDOW_MAX, &ret_front->h2_conn_window},
        {"http2_frame_size", in->_http2_frame_size_case, in->http2_frame_size, FRAME_MIN, FRAME_MAX,
         &ret_front->h2_frame},
        {"http2_max_header_size", in->_http2_max_header_size_case, in->http2_max_header_size, 1,
         HEADER_LIST_MAX, &ret_front->h2_header_list},
    };
    *ret_front = (struct agw_front){
        .duration_ms = agw_proto_ms(in->max_connection_duration),
        .h1_idle_ms = agw_proto_ms(in->http1_idle_timeout),
        .h1_keep_case = in->http1_header_case == PB__FRONTEND_POLICY_SPEC__HTTP__HTTPHEADER_CASE__PRESERVE,
        .h2_ping_ms = agw_proto_ms(in->http2_keepalive_interval),
        .h2_pong_ms = agw_proto_ms(in->http2_keepalive_timeout),
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(numbers); i++) {
        int code = numbers[i].given ? bounded(c, owner, numbers[i].field, numbers[i].value, numbers[i].min,
                                              numbers[i].max, numbers[i].to)
                                    : 0;
        if (code)
            return code;
    }
    return 0;
}

static int keepalive(struct agw_compile *c, const struct agw_resource *owner, const Pb__KeepaliveConfig *in,
                     struct agw_keepalive *ret_keepalive)
{
    if (!in)
        return 0;
    if (in->_retries_case && in->retries > AGW_KEEPALIVE_MAX_PROBES)
        return agw_compile_error(c, owner, "tcp: keepalives.retries %u is more than %d: no probes are sent",
                                 in->retries, AGW_KEEPALIVE_MAX_PROBES);
    *ret_keepalive = (struct agw_keepalive){.on = true,
                                            .idle_s = agw_keepalive_seconds(agw_proto_ms(in->time)),
                                            .interval_s = agw_keepalive_seconds(agw_proto_ms(in->interval)),
                                            .probes = in->_retries_case ? in->retries : 0};
    return 0;
}

int agw_compile_bind_front(struct agw_compile *c, const struct agw_bind_rec *b, struct agw_bind *bind)
{
    struct agw_resource *owner;
    const Pb__FrontendPolicySpec *p =
        agw_compile_frontend_of_bind(c, PB__FRONTEND_POLICY_SPEC__KIND_TCP, b, &owner);
    int code = p ? keepalive(c, owner, p->tcp->keepalives, &bind->keepalive) : 0;
    p = code ? NULL : agw_compile_frontend_of_bind(c, PB__FRONTEND_POLICY_SPEC__KIND_HTTP, b, &owner);
    return p ? agw_compile_front(c, owner, p->http, &bind->front) : code;
}
