/* MCP backends: the exchange routes and accounts, lib/mcp is the origin server behind it. */
#include <stdio.h>
#include "http/date.h"
#include "proxy/exchange_int.h"

static void on_response(void *ctx, struct agw_msg *head)
{
    struct agw_exchange *x = ctx;
    x->ctx.resp = head;
    x->resp_head = true;
    x->status = head->status;
    agw_headers_add_date(&head->headers,
                         x->worker->loop.wall_ns); /* without memory the answer goes out bare */
    agw_exchange_response(x);
}

static void on_done(void *ctx, const struct agw_mcp_report *report)
{
    struct agw_exchange *x = ctx;
    char reason[40];
    if (report->error) {
        snprintf(reason, sizeof(reason), "JSON-RPC error %d", report->error);
        x->reason = reason; /* read by agw_exchange_end, below */
    }
    x->status = report->status;
    x->bytes_in = report->request_bytes;
    x->bytes_out = report->response_bytes;
    x->mcp_method = report->method;
    x->mcp_target = report->name.n > 0 ? report->name : report->target;
    agw_exchange_end(x, report->close_code);
}

static const struct agw_mcp_hooks hooks = {.on_response = on_response, .on_done = on_done};

static uint32_t shorter(uint32_t a, uint32_t b)
{
    return a == 0 || (b > 0 && b < a) ? b : a; /* 0: none */
}

int agw_exchange_mcp(struct agw_exchange *x)
{
    struct agw_mcp *m = x->worker->mcp;
    uint32_t ms = shorter(x->ctx.request_timeout_ms, x->ctx.backend_timeout_ms);
    int rc = agw_mcp_handle(m, x->ctx.backend, x->snap, x->down, x->req, &x->held, x->req_end, &hooks, x);
    if (rc)
        return rc;
    /* The stream is no longer ours to answer on. */
    agw_timer_cancel(&x->worker->loop.timers, &x->request_timer);
    if (ms)
        agw_mcp_set_deadline(x->down, ms);
    return 0;
}
