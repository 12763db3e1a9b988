/* What an exchange does for gRPC beside HTTP: deadlines, and a status in every end that the gateway makes. */
#include "proxy/exchange_int.h"

/* Most bytes of a policy's answer that become grpc-message: fields have limits that bodies have not. */
#define MESSAGE_MAX 1024

void agw_exchange_grpc_begin(struct agw_exchange *x)
{
    x->grpc_status = AGW_GRPC_NONE;
    x->grpc = agw_grpc_is_request(x->req);
    if (!x->grpc)
        return;
    x->req->te_trailers = true; /* we pass trailers on, whether the client says so or not */
    const struct agw_header *f = agw_headers_find(&x->req->headers, AGW_STR("grpc-timeout"));
    if (f) /* what is no time is the server's to refuse */
        agw_grpc_timeout_ms(f->value, &x->grpc_timeout_ms);
}

void agw_exchange_grpc_deadline(struct agw_exchange *x)
{
    uint32_t *ms = &x->ctx.request_timeout_ms;
    if (x->grpc_timeout_ms && (!*ms || x->grpc_timeout_ms < *ms))
        *ms = x->grpc_timeout_ms;
}

void agw_exchange_grpc_note(struct agw_exchange *x, const struct agw_headers *h)
{
    x->grpc_status = (int8_t)agw_grpc_status_in(h);
}

bool agw_exchange_grpc_cut(struct agw_exchange *x, int status, const char *reason)
{
    struct agw_headers *trailers = agw_arena_alloc(x->ctx.arena, sizeof(*trailers));
    enum agw_grpc_status code = agw_grpc_status_of(status);
    if (!x->grpc || x->resp_end || !x->resp || x->resp->length != AGW_LENGTH_UNKNOWN || !trailers)
        return false;
    agw_headers_init(trailers, x->ctx.arena);
    if (agw_grpc_add_status(trailers, code, agw_str_c(reason)))
        return false;
    x->grpc_status = (int8_t)code;
    x->resp_end = true;
    agw_stream_write_end(x->down, trailers);
    return true;
}

int agw_exchange_grpc_reply(struct agw_exchange *x, struct agw_msg *m, struct agw_str *body)
{
    struct agw_str message = x->reason ? agw_str_c(x->reason) : *body;
    if (!x->grpc || m->status < 400)
        return 0;
    if (message.n > MESSAGE_MAX)
        message.n = MESSAGE_MAX;
    if (agw_grpc_make_reply(m, message))
        return AGW_ENOMEM;
    *body = AGW_STR("");
    x->status = m->status;
    agw_exchange_grpc_note(x, &m->headers);
    return 0;
}
