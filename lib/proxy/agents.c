/* What an exchange does for agents. A2A: cards are collected whole, their URLs pointed at the gateway, then
 * sent on; calls are looked at for the log. MCP: lib/mcp is the origin server behind the exchange, which
 * routes and accounts. */
#include <stdio.h>
#include "a2a/card.h"
#include "base/log.h"
#include "http/date.h"
#include "proxy/exchange_int.h"

/* --- A2A --- */
/* Cards are a few kilobytes; one with hundreds of skills stays below this. */
#define CARD_MAX (1024 * 1024)

void agw_exchange_a2a(struct agw_exchange *x)
{
    x->a2a = agw_arena_alloc(x->ctx.arena, sizeof(*x->a2a));
    if (!x->a2a)
        return;
    agw_a2a_watch_init(x->a2a, x->req);
    agw_a2a_watch_request(x->a2a, &x->held);
}

bool agw_exchange_wants_card(const struct agw_exchange *x)
{
    return x->ctx.backend->is_a2a && x->req->method == AGW_METHOD_GET && agw_a2a_is_card_path(x->req->path);
}

void agw_exchange_collect_card(struct agw_exchange *x, struct agw_chain *data)
{
    size_t n = data->bytes;
    if (x->card.bytes + n > CARD_MAX) {
        agw_exchange_fail(x, 502, "the agent card is too large");
        agw_exchange_run(x);
        return;
    }
    if (agw_chain_move(&x->card, data)) {
        agw_exchange_fail(x, 503, "out of memory");
        agw_exchange_run(x);
        return;
    }
    agw_stream_consume(x->up, n);
}

/* The scheme that the client used towards the outermost proxy. */
static struct agw_str client_scheme(const struct agw_exchange *x)
{
    struct agw_str forwarded = agw_headers_value(&x->req->headers, AGW_HDR_X_FORWARDED_PROTO);
    bool https = x->ctx.tls || agw_str_ieq(forwarded, AGW_STR("https"));
    return https ? AGW_STR("https") : AGW_STR("http");
}

static int rewrite(struct agw_exchange *x, struct agw_str *ret_card, struct agw_error *err)
{
    struct agw_a2a_base base = {
        .scheme = client_scheme(x),
        .authority = x->ctx.original_authority,
        .path = agw_a2a_card_base(x->ctx.original_path),
        .backend_path = agw_a2a_card_base(x->req->path),
    };
    char *flat = agw_arena_alloc(x->ctx.arena, x->card.bytes + 1);
    if (!flat)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    size_t n = agw_chain_peek(&x->card, flat, x->card.bytes);
    return agw_a2a_rewrite_card(agw_str(flat, n), &base, x->ctx.arena, ret_card, err);
}

void agw_exchange_send_card(struct agw_exchange *x)
{
    struct agw_error err = {0};
    struct agw_str card;
    struct agw_chain data;
    agw_chain_init(&data);
    x->is_card = false;
    if (rewrite(x, &card, &err)) {
        agw_warn("a2a", "agent card of %.*s: %s", AGW_STRF(x->ctx.backend->name), err.text);
        agw_exchange_fail(x, 502, "the agent card is not valid");
        return;
    }
    if (agw_chain_copy(&data, &x->worker->loop.blocks, card.p, card.n)) {
        agw_exchange_fail(x, 503, "out of memory");
        return;
    }
    /* They speak of the bytes that the agent sent. */
    agw_headers_remove(&x->resp->headers, AGW_STR("etag"));
    agw_headers_remove(&x->resp->headers, AGW_STR("content-digest"));
    agw_headers_remove(&x->resp->headers, AGW_STR("repr-digest"));
    x->resp->length = (int64_t)card.n;
    x->bytes_out = card.n;
    x->resp_head = true;
    if (agw_stream_write_head(x->down, x->resp, false) == 0 && agw_stream_write_body(x->down, &data) == 0)
        agw_stream_write_end(x->down, NULL);
    agw_chain_clear(&data);
}

/* --- MCP --- */
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
