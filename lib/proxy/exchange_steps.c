#include "balance/dynamic.h"
#include "http/date.h"
#include "http/path.h"
#include "proxy/exchange_int.h"
#include "proxy/gateway.h"
#include "route/match.h"

static struct agw_timer_wheel *timers(struct agw_exchange *x)
{
    return &x->worker->loop.timers;
}

static void arm(struct agw_exchange *x, struct agw_timer *t, uint32_t ms)
{
    if (ms)
        agw_timer_set(timers(x), t, x->worker->loop.now_ms + ms);
}

static bool idempotent(enum agw_method m)
{
    return m == AGW_METHOD_GET || m == AGW_METHOD_HEAD || m == AGW_METHOD_OPTIONS || m == AGW_METHOD_PUT ||
           m == AGW_METHOD_DELETE || m == AGW_METHOD_TRACE;
}

/* Every line of X-Forwarded-For, and |client| behind them, in one: the last line must not be a client's own
 * word. p is NULL when memory is out. */
static struct agw_str forwarded_for(const struct agw_headers *h, struct agw_str client)
{
    size_t n = client.n;
    for (uint32_t i = 0; i < h->n; i++)
        if (h->v[i].id == AGW_HDR_X_FORWARDED_FOR)
            n += h->v[i].value.n + 2;
    char *text = agw_arena_alloc(h->arena, n), *at = text;
    for (uint32_t i = 0; text && i < h->n; i++) {
        struct agw_str value = h->v[i].value;
        if (h->v[i].id != AGW_HDR_X_FORWARDED_FOR || value.n == 0)
            continue;
        at = mempcpy(mempcpy(at, value.p, value.n), ", ", 2);
    }
    return text ? agw_str(text, (size_t)((char *)mempcpy(at, client.p, client.n) - text)) : agw_str(NULL, 0);
}

/* Who the client is by its certificate is the same for all requests of a connection. */
static int forward_client_cert(struct agw_exchange *x, bool trusted)
{
    struct agw_server_conn *c = x->conn;
    enum agw_client_cert_mode mode = x->worker->gateway->options.client_cert;
    if (mode != AGW_CLIENT_CERT_SANITIZE && !c->has_client_cert) {
        if (agw_client_cert_text(x->ctx.tls_filter, &c->client_cert))
            return AGW_ENOMEM;
        c->has_client_cert = true;
    }
    return agw_client_cert_forward(&x->req->headers, mode, c->client_cert, trusted);
}

/* Appends the client to X-Forwarded-For and says which scheme it used, for backends and for agent cards. What
 * such fields say counts if a proxy of ours sent them; anybody else may not write them. */
static int add_forwarded(struct agw_exchange *x)
{
    char ip[AGW_ADDR_TEXT];
    struct agw_headers *h = &x->req->headers;
    bool trusted = agw_cidrs_have(&x->worker->gateway->options.trusted, x->ctx.client);
    if (forward_client_cert(x, trusted))
        return AGW_ENOMEM;
    if (!trusted) {
        agw_headers_remove_id(h, AGW_HDR_X_FORWARDED_FOR);
        agw_headers_remove_id(h, AGW_HDR_X_FORWARDED_HOST);
        agw_headers_remove_id(h, AGW_HDR_X_FORWARDED_PROTO);
    }
    struct agw_str value = forwarded_for(h, agw_str(ip, agw_addr_format_ip(x->ctx.client, ip)));
    if (!value.p)
        return AGW_ENOMEM;
    int rc = agw_headers_set_id(h, AGW_HDR_X_FORWARDED_FOR, value);
    if (rc == 0 && !agw_headers_get(h, AGW_HDR_X_FORWARDED_PROTO))
        rc = agw_headers_add_id(h, AGW_HDR_X_FORWARDED_PROTO, x->req->scheme);
    return rc;
}

enum agw_step_result agw_step_begin(struct agw_exchange *x)
{
    struct agw_msg *req = x->req;
    agw_exchange_grpc_begin(x);
    if (agw_unlikely(agw_worker_memory(x->worker) != AGW_MEMORY_FINE))
        return agw_exchange_fail(x, 503, "memory is short");
    if (agw_unlikely(x->conn->limits->body_max > 0) && req->length > 0 &&
        (uint64_t)req->length > x->conn->limits->body_max)
        return agw_exchange_fail(x, 413, "the request body is too large");
    if (req->method == AGW_METHOD_CONNECT)
        return agw_exchange_fail(x, 405, "CONNECT is not served");
    if (req->authority.n == 0 && req->version != AGW_HTTP_10)
        return agw_exchange_fail(x, 400, "no Host");
    int rc = agw_path_normalize(&req->path, req->arena);
    if (rc)
        return agw_exchange_fail(x, rc == AGW_ENOMEM ? 503 : 400, "the path leaves its root");
    if (agw_exchange_upgrade_begin(x))
        return agw_exchange_fail(x, 503, "out of memory");
    x->idempotent = idempotent(req->method) && req->upgrade.n == 0;
    return agw_exchange_next(x, AGW_STEP_LISTENER);
}

enum agw_step_result agw_step_listener(struct agw_exchange *x)
{
    struct agw_acceptor *a = x->conn->user;
    const struct agw_bind *bind = agw_acceptor_bind(a, x->snap);
    if (!bind)
        return agw_exchange_fail(x, 404, "no listener");
    const struct agw_listener *l;
    if (x->conn->secure) {
        const struct agw_filter *tls = x->ctx.tls_filter;
        struct agw_str sni = tls ? agw_tls_sni(tls) : AGW_STR("");
        l = agw_listener_for_sni(bind, sni);
        if (l && agw_listener_misdirected(bind, l, x->req->authority))
            return agw_exchange_fail(x, 421, "another listener serves this host");
    } else {
        l = agw_listener_for_host(bind, x->req->authority);
    }
    if (!l)
        return agw_exchange_fail(x, 404, "no listener for this host");
    x->ctx.listener = l;
    x->ctx.port = l->port;
    return agw_exchange_next(x, AGW_STEP_ROUTE);
}

enum agw_step_result agw_step_route(struct agw_exchange *x)
{
    const struct agw_match *m = agw_route_match(x->ctx.listener, x->req, x->ctx.arena);
    if (!m)
        return agw_exchange_fail(x, 404, "no route");
    x->ctx.match = m;
    x->ctx.route = m->route;
    x->ctx.request_timeout_ms = m->route->request_timeout_ms;
    x->ctx.backend_timeout_ms = m->route->backend_timeout_ms;
    return agw_exchange_next(x, AGW_STEP_ROUTE_POLICY);
}

void agw_exchange_say_continue(struct agw_exchange *x)
{
    struct agw_msg m;
    if (!x->req->expect_continue || x->req_end || x->held.bytes > 0)
        return;
    x->req->expect_continue = false; /* answered */
    agw_msg_init(&m, x->ctx.arena);
    m.status = 100;
    agw_stream_write_head(x->down, &m, false); /* a stream that is broken will say so */
}

/* A policy answered: its message, or a plain one. */
static enum agw_step_result policy_reply(struct agw_exchange *x)
{
    if (!x->ctx.resp || x->ctx.resp->status < 200)
        return agw_exchange_fail(x, 500, "a policy failed");
    x->status = x->ctx.resp->status;
    return agw_exchange_next(x, AGW_STEP_REPLY);
}

static void on_keys(struct agw_keys_waiter *w)
{
    agw_exchange_run(agw_container_of(w, struct agw_exchange, keys));
}

/* The step runs again. */
static enum agw_step_result await_keys(struct agw_exchange *x)
{
    x->keys.ready = on_keys;
    agw_keys_wait(x->worker->keys, &x->keys);
    return AGW_STEP_WAIT;
}

/* To where a policy says. */
static enum agw_step_result forward(struct agw_exchange *x)
{
    const struct agw_backend *b = agw_snapshot_backend(x->snap, x->ctx.forward);
    x->ctx.backend = b;
    x->ctx.persistence = NULL;
    if ((b->kind != AGW_BACKEND_STATIC && b->kind != AGW_BACKEND_SERVICE) ||
        agw_policy_request(&b->policies, &x->ctx) != AGW_CONTINUE)
        return agw_exchange_fail(x, 502, "the issuer cannot be reached");
    agw_exchange_say_continue(x);
    return agw_exchange_next(x, AGW_STEP_CONNECT);
}

enum agw_step_result agw_step_route_policy(struct agw_exchange *x)
{
    if (!x->begun) {
        x->begun = true;
        if (add_forwarded(x))
            return agw_exchange_fail(x, 503, "out of memory");
        agw_exchange_grpc_deadline(x);
        arm(x, &x->request_timer, x->ctx.request_timeout_ms);
    }
    switch (agw_policy_request(&x->ctx.route->policies, &x->ctx)) {
    case AGW_RESPOND:
        return policy_reply(x);
    case AGW_WAIT:
        return agw_exchange_delay(x);
    case AGW_AWAIT:
        return await_keys(x);
    case AGW_FORWARD:
        return forward(x);
    default:
        return agw_exchange_next(x, AGW_STEP_AGENT);
    }
}

enum agw_step_result agw_step_agent(struct agw_exchange *x)
{
    const char *why = NULL;
    int status = 0;
    if (agw_exchange_agent_holds(x)) {
        if (!x->req_end)
            return AGW_STEP_WAIT;
        status = agw_exchange_agent_find(x, &why);
        if (status == AGW_AGENT_ASKING)
            return AGW_STEP_WAIT;
    }
    return status ? agw_exchange_fail(x, status, why) : agw_exchange_next(x, AGW_STEP_BACKEND);
}

static uint32_t now_s(const struct agw_exchange *x)
{
    return (uint32_t)(x->worker->loop.wall_ns / 1000000000);
}

static int read_session(struct agw_exchange *x)
{
    x->session = agw_arena_alloc(x->ctx.arena, sizeof(*x->session));
    if (!x->session)
        return AGW_ENOMEM;
    *x->session =
        agw_session_read(x->worker->gateway->sessions, x->ctx.persistence, x->ctx.route, x->req, now_s(x));
    return 0;
}

/* Whose a call is, or a client's session, before chance. */
static const struct agw_backend_ref *choose_ref(struct agw_exchange *x)
{
    const struct agw_backend_ref *ref = x->agent ? x->agent->ref : NULL;
    if (!ref && x->session)
        ref = agw_session_ref(x->session, x->ctx.route, x->snap);
    return ref ? ref : agw_balance_backend(x->ctx.route, &x->worker->loop.rng);
}

/* The session that |x| brought, or the new one, to the client. */
static int write_session(struct agw_exchange *x)
{
    return agw_session_write(x->worker->gateway->sessions, x->ctx.persistence, x->session, x->ctx.match,
                             x->ctx.backend, x->endpoint, x->conn->secure, now_s(x), &x->resp->headers);
}

enum agw_step_result agw_step_backend(struct agw_exchange *x)
{
    if (x->ctx.persistence && read_session(x))
        return agw_exchange_fail(x, 503, "out of memory");
    x->ref = choose_ref(x);
    if (!x->ref)
        return agw_exchange_fail(x, 500, "the route has no backend");
    const struct agw_backend *b = agw_snapshot_backend(x->snap, x->ref->backend);
    x->ctx.backend = b;
    if (b->kind == AGW_BACKEND_INVALID)
        return agw_exchange_fail(x, 500, b->reason);
    if ((x->ctx.route->mirrors.count | x->ref->mirrors.count) && b->kind != AGW_BACKEND_MCP)
        agw_exchange_mirror(x);
    return agw_exchange_next(x, AGW_STEP_BACKEND_POLICY);
}

enum agw_step_result agw_step_backend_policy(struct agw_exchange *x)
{
    const struct agw_backend *b = x->ctx.backend;
    enum agw_verdict verdict = x->ref_passed ? AGW_CONTINUE : agw_policy_request(&x->ref->policies, &x->ctx);
    if (verdict == AGW_CONTINUE) {
        x->ref_passed = true;
        verdict = agw_policy_request(&b->policies, &x->ctx);
    }
    if (verdict == AGW_AWAIT)
        return await_keys(x);
    if (verdict == AGW_FORWARD)
        return forward(x);
    if (verdict != AGW_CONTINUE)
        return policy_reply(x);
    if (b->kind == AGW_BACKEND_MCP) {
        /* An origin server inside the gateway owns the stream from here on. */
        agw_exchange_say_continue(x);
        return agw_exchange_mcp(x) ? agw_exchange_fail(x, 503, "out of memory") : AGW_STEP_DONE;
    }
    if (b->is_a2a && agw_exchange_agent_begin(x))
        return agw_exchange_fail(x, 503, "out of memory");
    return agw_exchange_next(x, AGW_STEP_CONNECT);
}

/* Sets x->endpoint; false: there is none, and x fails. */
static bool pick_endpoint(struct agw_exchange *x)
{
    struct agw_worker *w = x->worker;
    struct agw_pick_hint hint = {
        .avoid = x->endpoint,
        .prefer = x->agent ? x->agent->replica : 0,
        .hash = agw_request_hash(x->ctx.backend->balancer, x->req, x->ctx.client, x->ctx.arena)};
    if (!hint.prefer && x->session && x->tries == 0)
        hint.prefer = x->session->replica;
    agw_balance_pick(w->balancer, x->ctx.backend, &hint, &x->pick);
    x->endpoint = x->pick.endpoint;
    x->judged = false;
    if (!x->endpoint) {
        agw_exchange_fail(x, 503, "the backend has no endpoint");
        return false;
    }
    if (x->ctx.backend->kind != AGW_BACKEND_DYNAMIC)
        return true;
    int code = agw_balance_dynamic(x->ctx.backend, x->req->authority, x->ctx.arena, &x->endpoint);
    if (code)
        agw_exchange_fail(x, code == AGW_ENOMEM ? 503 : 400, "the request names no host to go to");
    else if (!agw_client_admits(w->client, x->endpoint))
        agw_exchange_fail(x, 503, "requests name too many hosts");
    else
        return true;
    return false;
}

enum agw_step_result agw_step_connect(struct agw_exchange *x)
{
    struct agw_worker *w = x->worker;
    if (!pick_endpoint(x))
        return AGW_STEP_MORE;
    if (x->tries++ > 0 && agw_exchange_rewind(x))
        return agw_exchange_fail(x, 503, "out of memory");
    if (x->ctx.retry && agw_exchange_retry_begin(x))
        return agw_exchange_fail(x, 503, "out of memory");
    const struct agw_endpoint *to = x->endpoint;
    if (x->grpc && to->may_h2)
        to = agw_endpoint_by_h2(to, x->ctx.arena);
    if (to)
        x->up = agw_client_open(w->client, to, x->ctx.arena, &agw_exchange_up_events, x);
    if (!x->up)
        return agw_exchange_fail(x, 503, "out of memory");
    x->req->scheme = x->endpoint->tls ? AGW_STR("https") : AGW_STR("http");
    bool end = x->req_end && x->held.bytes == 0 && !x->req_trailers && !x->upgrade_due;
    x->req_sent = end;
    arm(x, &x->backend_timer, x->ctx.backend_timeout_ms);
    arm(x, &x->idle_timer, x->conn->limits->stream_idle_ms);
    x->moved_ms = w->loop.now_ms;
    x->step = AGW_STEP_AWAIT;
    if (agw_stream_write_head(x->up, x->req, end) == 0)
        agw_exchange_push_request(x);
    return AGW_STEP_MORE;
}

enum agw_step_result agw_step_pause(struct agw_exchange *x)
{
    (void)x;
    return AGW_STEP_WAIT;
}

enum agw_step_result agw_step_await(struct agw_exchange *x)
{
    (void)x;
    return AGW_STEP_WAIT;
}

/* The bytes of a tunnel may go to and fro from now on; only silence times it out. */
static void open_tunnel(struct agw_exchange *x)
{
    agw_timer_cancel(timers(x), &x->request_timer);
    agw_timer_cancel(timers(x), &x->backend_timer);
    if (x->up)
        agw_exchange_push_request(x);
}

enum agw_step_result agw_step_respond(struct agw_exchange *x)
{
    x->ctx.resp = x->resp;
    const char *why = NULL;
    int refused = x->upgrade_due ? agw_exchange_upgrade_answer(x, &why) : 0;
    if (refused)
        return agw_exchange_fail(x, refused, why);
    agw_exchange_response(x);
    if (x->session && write_session(x))
        return agw_exchange_fail(x, 503, "out of memory");
    x->status = x->resp->status;
    if (x->grpc && x->resp_end)
        agw_exchange_grpc_note(x, &x->resp->headers);
    if (x->agent && agw_exchange_agent_head(x))
        return agw_exchange_next(x, AGW_STEP_RELAY);
    x->resp_head = true;
    agw_stream_write_head(x->down, x->resp, x->resp_end && !x->upgraded);
    if (x->upgraded && x->resp_end)
        agw_stream_write_end(x->down, NULL);
    if (x->upgraded)
        open_tunnel(x);
    return agw_exchange_next(x, AGW_STEP_RELAY);
}

enum agw_step_result agw_step_relay(struct agw_exchange *x)
{
    if (!x->resp_end || (x->upgraded && !x->req_end))
        return AGW_STEP_WAIT;
    return agw_exchange_next(x, AGW_STEP_FINISH);
}

static struct agw_msg *plain_reply(struct agw_exchange *x, struct agw_str *ret_body)
{
    struct agw_msg *m = agw_arena_alloc(x->ctx.arena, sizeof(*m));
    if (!m)
        return NULL;
    agw_msg_init(m, x->ctx.arena);
    m->status = x->status;
    *ret_body = agw_arena_printf(x->ctx.arena, "%s\n", x->reason ? x->reason : agw_http_reason(x->status));
    if (!ret_body->p || agw_headers_add_id(&m->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("text/plain")))
        return NULL;
    return m;
}

enum agw_step_result agw_step_reply(struct agw_exchange *x)
{
    struct agw_str body = x->ctx.resp_body;
    struct agw_chain data;
    struct agw_msg *m = x->reason ? plain_reply(x, &body) : x->ctx.resp;
    x->resp_end = x->resp_head = true;
    x->step = AGW_STEP_FINISH;
    agw_chain_init(&data);
    x->ctx.resp = m;
    if (m)
        agw_exchange_response(x); /* a route's header filters are for all its answers */
    if (!m || agw_exchange_agent_reply(x, m, &body) || agw_exchange_grpc_reply(x, m, &body) ||
        agw_chain_copy(&data, &x->worker->loop.blocks, body.p, body.n)) {
        agw_chain_clear(&data);
        x->broken = AGW_ENOMEM;
        return AGW_STEP_MORE;
    }
    agw_headers_add_date(&m->headers, x->worker->loop.wall_ns); /* without memory the answer goes out bare */
    if (body.n > 0 || !x->grpc)
        m->length = (int64_t)body.n;
    x->bytes_out = body.n;
    bool end = body.n == 0 || x->req->method == AGW_METHOD_HEAD;
    agw_stream_write_head(x->down, m, end);
    if (!end && agw_stream_write_body(x->down, &data) == 0)
        agw_stream_write_end(x->down, NULL);
    agw_chain_clear(&data);
    return AGW_STEP_MORE;
}

enum agw_step_result agw_step_finish(struct agw_exchange *x)
{
    agw_timer_cancel(timers(x), &x->request_timer);
    agw_timer_cancel(timers(x), &x->backend_timer);
    agw_timer_cancel(timers(x), &x->idle_timer);
    /* A client may take its time with a request that is answered: not on our account. */
    x->leaving = !x->req_end;
    return AGW_STEP_DONE;
}
