/* What is written down about an exchange when it is over: one metrics call and one access log record. */
#include <stdio.h>
#include "base/clock.h"
#include "proxy/exchange_int.h"
#include "proxy/gateway.h"

static const char *protocol_name(enum agw_http_version v)
{
    return v == AGW_HTTP_2 ? "HTTP/2" : v == AGW_HTTP_10 ? "HTTP/1.0" : "HTTP/1.1";
}

static struct agw_str method_text(const struct agw_msg *req)
{
    return req->method == AGW_METHOD_OTHER ? req->method_text : agw_method_name(req->method);
}

static struct agw_str error_text(const struct agw_exchange *x, int close_code)
{
    if (x->reason)
        return agw_str_c(x->reason);
    return close_code ? agw_str_c(agw_err_text(close_code)) : AGW_STR("");
}

#define CODE_TEXT 12 /* "-2147483648" */

static void log_a2a(const struct agw_a2a_summary *a, struct agw_access_record *r, char code[CODE_TEXT])
{
    r->a2a_method = a->method;
    r->a2a_task = a->task;
    r->a2a_context = a->context;
    r->a2a_state = agw_a2a_state_text(a->state);
    if (a->error)
        r->a2a_error = agw_str(code, (size_t)snprintf(code, CODE_TEXT, "%d", (int)a->error));
}

/* |a2a|: NULL unless the backend is an agent. */
static void log_exchange(const struct agw_exchange *x, const struct agw_a2a_summary *a2a, int close_code,
                         uint64_t duration_ns)
{
    char client[AGW_ADDR_TEXT], upstream[AGW_ADDR_TEXT], code[CODE_TEXT];
    const struct agw_policy_ctx *ctx = &x->ctx;
    struct agw_access_record r = {
        .wall_ns = x->start_wall_ns,
        .duration_ns = duration_ns,
        .bytes_in = x->bytes_in,
        .bytes_out = x->bytes_out,
        .status = (unsigned)x->status,
        .client = agw_str(client, agw_addr_format(ctx->client, client)),
        .client_identity = ctx->client_identity,
        .method = method_text(x->req),
        .host = ctx->original_authority,
        .path = ctx->original_path,
        .protocol = agw_str_c(protocol_name(x->req->version)),
        .request_id = agw_headers_value(&x->req->headers, AGW_HDR_X_REQUEST_ID),
        .user_agent = agw_headers_value(&x->req->headers, AGW_HDR_USER_AGENT),
        .mcp_method = x->mcp_method,
        .mcp_target = x->mcp_target,
        .grpc_status = agw_grpc_status_text(x->grpc_status),
        .error = error_text(x, close_code),
    };
    if (a2a)
        log_a2a(a2a, &r, code);
    if (ctx->listener)
        r.listener = ctx->listener->label;
    if (ctx->route)
        r.route = ctx->route->label;
    if (ctx->backend)
        r.backend = ctx->backend->name;
    if (x->endpoint && x->endpoint->addr.n > 0)
        r.upstream = agw_str(upstream, agw_addr_format(&x->endpoint->addr, upstream));
    else if (x->endpoint)
        r.upstream = x->endpoint->host;
    agw_access_log_write(x->worker->access_log, x->worker->loop.index, &r);
}

/* The connection refused the rest of a request whose head was fine, and answered by itself. */
static int refused_status(int close_code)
{
    switch (close_code) {
    case AGW_EPROTO:
        return 400;
    case AGW_ETIMEOUT:
        return 408;
    case AGW_ELIMIT:
        return 413;
    default:
        return 0;
    }
}

static void count_a2a(struct agw_metrics *m, struct agw_str backend, const struct agw_a2a_summary *a)
{
    if (a->method.n == 0)
        return;
    agw_metrics_a2a(m, backend, a->method);
    if (a->state != AGW_A2A_STATE_NONE)
        agw_metrics_a2a_state(m, backend, agw_a2a_state_text(a->state));
    if (a->error)
        agw_metrics_a2a_error(m, backend, agw_a2a_error_label(a->error));
}

void agw_exchange_account(struct agw_exchange *x, int close_code)
{
    if (x->status == 0)
        x->status = refused_status(close_code);
    const struct agw_policy_ctx *ctx = &x->ctx;
    uint64_t now = agw_clock_ns();
    struct agw_metrics_request m = {.code = (unsigned)x->status, .duration_ns = now - x->start_ns};
    if (ctx->listener)
        m.listener = ctx->listener->label;
    if (ctx->route)
        m.route = ctx->route->label;
    if (ctx->backend)
        m.backend = ctx->backend->name;
    agw_metrics_request(x->worker->metrics, &m);
    struct agw_a2a_summary a2a;
    if (x->agent) {
        a2a = agw_a2a_watch_summary(&x->agent->watch);
        count_a2a(x->worker->metrics, m.backend, &a2a);
    }
    if (x->grpc)
        agw_metrics_grpc(x->worker->metrics, m.route, m.backend, agw_grpc_status_text(x->grpc_status));
    if (x->worker->access_log)
        log_exchange(x, x->agent ? &a2a : NULL, close_code, m.duration_ns);
}

void agw_exchange_refused(struct agw_worker *w, struct agw_server_conn *c, int status, const char *reason)
{
    char client[AGW_ADDR_TEXT];
    struct agw_metrics_request m = {.code = (unsigned)status};
    agw_metrics_request(w->metrics, &m);
    if (!w->access_log)
        return;
    struct agw_access_record r = {
        .wall_ns = w->loop.wall_ns,
        .status = (unsigned)status,
        .client = agw_str(client, agw_addr_format(&c->conn.peer, client)),
        .client_identity = c->identity,
        .protocol = agw_str_c(protocol_name(strcmp(c->ops->name, "h2") == 0 ? AGW_HTTP_2 : AGW_HTTP_11)),
        .error = agw_str_c(reason),
    };
    agw_access_log_write(w->access_log, w->loop.index, &r);
}
