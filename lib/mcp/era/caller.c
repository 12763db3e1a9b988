/* Sessions that the gateway keeps with servers of old: for clients of 2026-07-28, that have none, and for
 * clients of old whose session a server has forgotten.
 *
 * One a worker, target and caller: whatever a server could tell two clients apart by, header fields and what
 * they say of themselves, keeps their sessions apart; for clients of old their own session id does, too. It
 * begins with the first request that needs it:
 *
 *     PROBE (server/discover, if it is not known what the target speaks) -> INITIALIZE -> INITIALIZED ->
 * READY
 *
 * and ends when nobody has used it for a while, or when the server has forgotten it. */
#include <stdio.h>
#include <stdlib.h>
#include "mcp/bridge/request.h"
#include "mcp/bridge/result.h"
#include "mcp/era/era_int.h"
#include "mcp/message/jsonrpc.h"
#include "mcp/modern/envelope.h"

#define FIRST_ARENA 1024

enum step { PROBE, INITIALIZE, INITIALIZED, READY };

struct agw_mcp_caller {
    struct agw_mcp *m;
    struct agw_list node; /* in m->caller_list, the least recently used first */
    char digest[AGW_SHA256_SIZE];
    bool listed; /* can be found */
    struct agw_arena arena;
    struct agw_snapshot *snap; /* pinned; holds |backend| */
    const struct agw_backend *backend;
    uint32_t target;
    struct agw_msg *req;                 /* the first client's, for requests of our own */
    const struct agw_backend_auth *auth; /* what they are authorized by; lives as long as |snap| */
    struct agw_str token;                /* the client's own, for |auth| */
    struct agw_str client;               /* as agw_mcp_client_read */
    bool renewed;                        /* in place of a client's session that a server forgot */
    enum agw_mcp_version version;
    enum step step;
    struct agw_mcp_exchange *x; /* that asks; NULL once READY */
    struct agw_list guests;
    struct agw_mcp_peer peer;
    struct agw_str initialized;
    uint64_t used_ms, number;
    agw_mcp_level level;
    struct agw_mcp_feed *feed; /* NULL: nobody listens */
};

/* --- who it is --- */

struct agw_msg *agw_mcp_plain_request(const struct agw_mcp_exchange *x, struct agw_arena *arena)
{
    struct agw_msg *req = agw_arena_alloc(arena, sizeof *req);
    uint32_t kept = 0;
    if (!req || agw_msg_copy(req, x->req, arena) != 0)
        return NULL;
    for (uint32_t i = 0; i < req->headers.n; i++)
        if (!agw_str_starts(req->headers.v[i].name, AGW_STR("mcp-")))
            req->headers.v[kept++] = req->headers.v[i];
    req->headers.n = kept;
    return req;
}

/* Fields that differ from request to request of one client. */
static bool is_passing(const struct agw_header *h)
{
    return h->id == AGW_HDR_TRACEPARENT || h->id == AGW_HDR_X_REQUEST_ID || h->id == AGW_HDR_DATE ||
           agw_str_starts(h->name, AGW_STR("mcp-")) || agw_str_starts(h->name, AGW_STR("x-b3-")) ||
           agw_str_eq(h->name, AGW_STR("tracestate")) || agw_str_eq(h->name, AGW_STR("baggage")) ||
           agw_str_eq(h->name, AGW_STR("b3"));
}

static int digest_of(struct agw_mcp_exchange *x, uint32_t target, char out[AGW_SHA256_SIZE])
{
    const struct agw_headers *h = &x->req->headers;
    struct agw_str *parts = agw_arena_alloc(&x->arena, (7 + 4 * (size_t)h->n) * sizeof *parts);
    size_t n = 0;
    if (!parts)
        return AGW_ENOMEM;
    parts[n++] = agw_mcp_place(x->backend, target, &x->arena);
    parts[n++] = AGW_STR("\n");
    parts[n++] = x->session.client;
    parts[n++] = AGW_STR("\n");
    parts[n++] = x->modern ? AGW_STR("") : agw_headers_value(h, AGW_HDR_MCP_SESSION_ID);
    parts[n++] = AGW_STR("\n");
    parts[n++] = x->client.token; /* that is in no field any more */
    if (!parts[0].p)
        return AGW_ENOMEM;
    for (uint32_t i = 0; i < h->n; i++) {
        if (is_passing(&h->v[i]))
            continue;
        parts[n++] = AGW_STR("\n");
        parts[n++] = h->v[i].name;
        parts[n++] = AGW_STR(":");
        parts[n++] = h->v[i].value;
    }
    struct agw_str all = agw_arena_join(&x->arena, parts, n);
    return all.p ? agw_sha256(all, (unsigned char *)out) : AGW_ENOMEM;
}

/* What the request in hand says of its client. */
static int read_client(struct agw_mcp_exchange *x)
{
    uint32_t params = x->message.params, meta = params ? agw_json_get(&x->doc, params, AGW_STR("_meta")) : 0;
    if (x->session.client.p)
        return 0;
    return agw_mcp_client_read(
        &x->doc, meta ? agw_json_get(&x->doc, meta, AGW_STR(AGW_MCP_META_CAPABILITIES)) : 0,
        meta ? agw_json_get(&x->doc, meta, AGW_STR(AGW_MCP_META_CLIENT)) : 0, &x->arena, &x->session.client);
}

/* --- its life --- */

static struct agw_str key_of(const struct agw_mcp_caller *c)
{
    return agw_str(c->digest, sizeof c->digest);
}

static void unlist(struct agw_mcp_caller *c)
{
    if (c->listed)
        agw_map_take(&c->m->callers, key_of(c));
    c->listed = false;
}

static void free_caller(struct agw_mcp_caller *c)
{
    unlist(c);
    agw_mcp_feed_free(c->feed);
    if (c->x) {
        c->x->opens = NULL;
        agw_mcp_exchange_close(c->x, 0);
    }
    agw_list_remove(&c->node);
    c->m->renewed -= c->renewed;
    if (c->snap)
        agw_snapshot_unpin(c->snap, c->m->loop->index);
    agw_arena_free(&c->arena);
    free(c);
}

/* An exchange of our own with the caller's target. NULL: no memory. */
static struct agw_mcp_exchange *own_exchange(struct agw_mcp_caller *c)
{
    struct agw_mcp_exchange *x = agw_mcp_exchange_new(c->m, c->backend, c->snap);
    if (!x)
        return NULL;
    x->req = agw_arena_alloc(&x->arena, sizeof *x->req);
    x->session.count = x->conf->count;
    x->session.peers = agw_arena_zalloc(&x->arena, x->conf->count * sizeof *x->session.peers);
    x->client.auth = c->auth;
    x->client.token = agw_arena_str(&x->arena, c->token);
    if (!x->req || !x->session.peers || !x->client.token.p || agw_msg_copy(x->req, c->req, &x->arena) != 0 ||
        agw_mcp_make_legs(x) != 0) {
        agw_mcp_exchange_close(x, AGW_ENOMEM);
        return NULL;
    }
    x->legs[c->target].plain = true;
    return x;
}

struct agw_mcp_exchange *agw_mcp_caller_exchange(struct agw_mcp_caller *c)
{
    struct agw_mcp_exchange *x = own_exchange(c);
    struct agw_mcp_peer *peer = x ? &x->session.peers[c->target] : NULL;
    if (!x)
        return NULL;
    *peer = c->peer;
    peer->sid = agw_arena_str(&x->arena, c->peer.sid);
    if (!peer->sid.p) {
        agw_mcp_exchange_close(x, AGW_ENOMEM);
        return NULL;
    }
    x->timeout_ms = AGW_MCP_CLEANUP_MS;
    x->tolerant = true;
    return x;
}

void agw_mcp_caller_tell(struct agw_mcp_caller *c, struct agw_str text)
{
    struct agw_mcp_exchange *x = agw_mcp_caller_exchange(c);
    struct agw_chain body;
    if (!x)
        return;
    agw_chain_init(&body);
    if (agw_chain_copy(&body, &c->m->loop->blocks, text.p, text.n) == 0)
        agw_mcp_notify_one(x, c->target, &body);
    else
        agw_mcp_exchange_close(x, AGW_ENOMEM);
    agw_chain_clear(&body);
}

static void end_session(struct agw_mcp_caller *c)
{
    struct agw_mcp_exchange *x = c->step == READY && c->peer.sid.n ? agw_mcp_caller_exchange(c) : NULL;
    if (x)
        agw_mcp_end_session(x);
}

static void sweep(struct agw_timer *t)
{
    struct agw_mcp *m = agw_container_of(t, struct agw_mcp, caller_timer);
    struct agw_list *node, *tmp;
    uint64_t now = m->loop->now_ms;
    agw_list_each (node, tmp, &m->caller_list) {
        struct agw_mcp_caller *c = agw_list_entry(node, struct agw_mcp_caller, node);
        uint64_t idle_ms = c->renewed ? AGW_MCP_RENEWED_IDLE_MS : AGW_MCP_CALLER_IDLE_MS;
        if (!agw_list_empty(&c->guests) || c->x || c->used_ms + idle_ms > now)
            continue;
        end_session(c);
        free_caller(c);
    }
    if (!agw_list_empty(&m->caller_list))
        agw_timer_set(&m->loop->timers, t, now + AGW_MCP_CALLER_IDLE_MS / 4);
}

/* The one unused for longest goes. False: all are in use. */
static bool make_room(struct agw_mcp *m)
{
    struct agw_list *node, *tmp;
    if (m->callers.count < AGW_MCP_CALLERS_MAX)
        return true;
    agw_list_each (node, tmp, &m->caller_list) {
        struct agw_mcp_caller *c = agw_list_entry(node, struct agw_mcp_caller, node);
        if (!agw_list_empty(&c->guests) || c->x)
            continue;
        end_session(c);
        free_caller(c);
        return true;
    }
    return false;
}

void agw_mcp_callers_init(struct agw_mcp *m)
{
    agw_list_init(&m->caller_list);
    agw_timer_init(&m->caller_timer, sweep);
}

void agw_mcp_callers_free(struct agw_mcp *m)
{
    struct agw_list *node;
    agw_timer_cancel(&m->loop->timers, &m->caller_timer);
    while ((node = m->caller_list.next) != &m->caller_list) {
        struct agw_mcp_caller *c = agw_list_entry(node, struct agw_mcp_caller, node);
        c->x = NULL; /* went with the exchanges */
        free_caller(c);
    }
    agw_map_free(&m->callers);
}

/* --- beginning it --- */

static void decide(struct agw_mcp_caller *c, enum agw_mcp_verdict verdict, struct agw_mcp_leg *failed)
{
    struct agw_list waiting, *node;
    struct agw_mcp_exchange *x = c->x;
    if (verdict != AGW_MCP_VERDICT_READY)
        unlist(c);
    else
        c->step = READY;
    agw_list_move(&waiting, &c->guests);
    while ((node = agw_list_pop(&waiting))) {
        struct agw_mcp_guest *g = agw_list_entry(node, struct agw_mcp_guest, node);
        if (verdict == AGW_MCP_VERDICT_READY)
            agw_list_push(&c->guests, &g->node);
        else
            g->caller = NULL;
        g->decided(g, verdict, failed);
    }
    c->x = NULL; /* until here nobody who leaves takes the caller with him */
    if (verdict != AGW_MCP_VERDICT_READY)
        free_caller(c);
    x->opens = NULL;
    agw_mcp_exchange_close(x, 0);
}

static int begin_step(struct agw_mcp_caller *c, enum step step);

static void fail(struct agw_mcp_caller *c, int code)
{
    struct agw_mcp_leg *leg = &c->x->legs[c->target];
    leg->failure.set = true;
    if (code != 0)
        leg->failure.code = code;
    decide(c, AGW_MCP_VERDICT_FAILED, leg);
}

static void go_on(struct agw_mcp_caller *c, enum step step)
{
    int rc = begin_step(c, step);
    if (rc != 0)
        fail(c, rc);
}

static void on_head(struct agw_mcp_call *call)
{
    if (call->form == AGW_MCP_FORM_RAW)
        AGW_MCP_LEG(call)->failure.response = call->response;
}

static void on_bytes(struct agw_mcp_call *call, struct agw_chain *data)
{
    agw_mcp_keep_error(AGW_MCP_LEG(call), data);
}

/* The InitializeResult: the session is there, and the rest of the server's life is known by it. */
static int take_initialized(struct agw_mcp_caller *c, struct agw_mcp_leg *leg, const struct agw_mcp_frame *f,
                            uint32_t result)
{
    struct agw_str sid = agw_headers_value(&leg->call.response->headers, AGW_HDR_MCP_SESSION_ID);
    if (f->text.n > AGW_MCP_INITIALIZED_MAX || !agw_mcp_valid_sid(sid))
        return AGW_EPROTO;
    int rc = agw_mcp_read_initialize(&c->m->scratch, result, &c->peer);
    if (rc != 0)
        return rc;
    c->peer.present = true;
    c->peer.sid = agw_arena_str(&c->arena, sid);
    c->peer.pin = agw_mcp_call_pin(&leg->call);
    c->initialized = agw_arena_str(&c->arena, f->text);
    return c->peer.sid.p && c->initialized.p ? 0 : AGW_ENOMEM;
}

static void on_frame(struct agw_mcp_call *call, const struct agw_mcp_frame *f)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(call);
    struct agw_mcp_caller *c = leg->x->opens;
    struct agw_jsonrpc message;
    if (!c || leg->answered || f->text.n == 0)
        return;
    int rc = agw_mcp_read_frame(leg, f, &message);
    if (rc == 0 && (message.kind == AGW_JSONRPC_REQUEST || message.kind == AGW_JSONRPC_NOTIFICATION))
        return; /* before the session exists nobody could answer */
    leg->answered = true;
    if (rc == 0 && message.kind == AGW_JSONRPC_ERROR) {
        leg->failure.set = true;
        rc = agw_chain_add(&leg->failure.body, f->block, f->text.p, f->text.n);
    } else if (rc == 0 && c->step == PROBE) {
        leg->bridged = agw_mcp_discovered_modern(&c->m->scratch, message.result);
    } else if (rc == 0) {
        rc = take_initialized(c, leg, f, message.result);
    }
    leg->failure.code = rc;
}

/* What a server of old says to `server/discover`: that it knows no such method, that there is no session, or
 * whatever its framework makes of it. A server of this revision must know the method. */
static bool is_older(const struct agw_mcp_leg *leg)
{
    int status = leg->failure.response ? leg->failure.response->status : 200;
    int64_t code = agw_mcp_error_code(leg);
    return leg->failure.set && leg->failure.code == 0 && code != AGW_JSONRPC_HEADER_MISMATCH &&
           code != AGW_JSONRPC_CAPABILITY && code != AGW_JSONRPC_INTERNAL &&
           (status == 200 || status == 400 || status == 404 || status == 405);
}

/* What `server/discover` came to. */
static void probed(struct agw_mcp_caller *c, struct agw_mcp_leg *leg)
{
    if (leg->answered && !leg->failure.set && leg->failure.code == 0) {
        agw_mcp_era_learn(c->x, c->target, true, leg->bridged ? AGW_MCP_YES : AGW_MCP_NO);
        if (leg->bridged)
            decide(c, AGW_MCP_VERDICT_MODERN, NULL);
        else
            go_on(c, INITIALIZE);
    } else if (is_older(leg)) {
        agw_mcp_era_learn(c->x, c->target, true, AGW_MCP_NO);
        go_on(c, INITIALIZE);
    } else {
        fail(c, leg->failure.code);
    }
}

static void on_done(struct agw_mcp_call *call, int code)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(call);
    struct agw_mcp_caller *c = leg->x->opens;
    if (!agw_mcp_leg_over(leg) || !c)
        return;
    if (!leg->answered && leg->failure.response)
        leg->failure.set = true;
    else if (!leg->answered && c->step != INITIALIZED)
        leg->failure.code = code ? code : AGW_EPROTO;
    if (c->step == PROBE)
        probed(c, leg);
    else if (c->step == INITIALIZED)
        decide(c, AGW_MCP_VERDICT_READY, NULL);
    else if (!leg->failure.set && leg->failure.code == 0)
        go_on(c, INITIALIZED);
    else {
        agw_mcp_era_doubt(c->x, c->target);
        fail(c, leg->failure.code);
    }
}

static const struct agw_mcp_call_ops ops = {on_head, on_frame, on_bytes, on_done};

static int write_step(struct agw_mcp_caller *c, struct agw_chain *ret_body)
{
    static const struct agw_str initialized =
        AGW_STR("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    struct agw_json_writer w;
    if (c->step == INITIALIZED)
        return agw_chain_add_static(ret_body, initialized.p, initialized.n);
    agw_json_writer_init(&w);
    int rc = c->step == PROBE ? agw_mcp_write_discover(c->client, &w)
                              : agw_mcp_write_initialize(c->client, c->version, true, &c->x->arena, &w);
    return agw_json_writer_finish(&w, rc, ret_body);
}

static int begin_step(struct agw_mcp_caller *c, enum step step)
{
    struct agw_mcp_leg *leg = &c->x->legs[c->target];
    struct agw_mcp_peer *peer = &c->x->session.peers[c->target];
    struct agw_chain body;
    c->step = step;
    agw_chain_init(&body);
    agw_chain_clear(&leg->failure.body);
    leg->failure.set = leg->answered = leg->bridged = false;
    leg->failure.response = NULL;
    leg->failure.code = 0;
    leg->own_method = step == PROBE ? AGW_STR("server/discover") : AGW_STR("");
    *peer = (struct agw_mcp_peer){.version = step == PROBE ? AGW_MCP_MODERN : AGW_MCP_VERSION_NONE};
    if (step == INITIALIZED)
        *peer = c->peer;
    int rc = write_step(c, &body);
    if (rc == 0)
        agw_mcp_start_leg(leg, &ops, AGW_METHOD_POST, &body, c->m->settings.fanout_ms);
    agw_chain_clear(&body);
    return rc;
}

/* --- using it --- */

static struct agw_mcp_caller *new_caller(struct agw_mcp_exchange *x, uint32_t target,
                                         const char digest[AGW_SHA256_SIZE])
{
    struct agw_mcp_caller *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->m = x->m;
    memcpy(c->digest, digest, sizeof c->digest);
    agw_arena_init(&c->arena, FIRST_ARENA, 0);
    agw_list_init(&c->guests);
    c->backend = x->backend;
    c->target = target;
    c->renewed = !x->modern;
    c->version = x->modern ? AGW_MCP_LEGACY_NEWEST : x->session.version;
    c->m->renewed += c->renewed;
    c->snap = x->snap;
    if (c->snap)
        agw_snapshot_pin(c->snap, c->m->loop->index);
    agw_list_push(&c->m->caller_list, &c->node);
    c->req = agw_mcp_plain_request(x, &c->arena);
    c->auth = x->client.auth;
    c->token = agw_arena_str(&c->arena, x->client.token);
    c->client = agw_arena_str(&c->arena, x->session.client);
    if (!c->req || !c->client.p || !c->token.p || !(c->x = own_exchange(c)) ||
        agw_map_put(&c->m->callers, key_of(c), c, NULL) != 0) {
        free_caller(c);
        return NULL;
    }
    c->listed = true;
    c->x->opens = c;
    c->x->modern = true;
    c->x->method = agw_mcp_method_find(AGW_STR("server/discover"));
    if (!agw_timer_armed(&c->m->caller_timer))
        agw_timer_set(&c->m->loop->timers, &c->m->caller_timer,
                      c->m->loop->now_ms + AGW_MCP_CALLER_IDLE_MS / 4);
    return c;
}

/* The configuration may have changed: the old one is not to be kept for a session that goes on. */
static void use(struct agw_mcp_caller *c, struct agw_mcp_exchange *x, uint32_t target)
{
    c->used_ms = c->m->loop->now_ms;
    agw_list_remove(&c->node);
    agw_list_push(&c->m->caller_list, &c->node);
    if (c->snap == x->snap || c->x)
        return;
    if (x->snap)
        agw_snapshot_pin(x->snap, c->m->loop->index);
    if (c->snap)
        agw_snapshot_unpin(c->snap, c->m->loop->index);
    c->snap = x->snap;
    c->backend = x->backend;
    c->target = target;
    c->auth = x->client.auth;
}

int agw_mcp_caller_join(struct agw_mcp_exchange *x, uint32_t target, bool begin, struct agw_mcp_guest *g)
{
    char digest[AGW_SHA256_SIZE];
    int rc = read_client(x);
    if (rc == 0)
        rc = digest_of(x, target, digest);
    if (rc != 0)
        return rc;
    struct agw_mcp_caller *c = agw_map_get(&x->m->callers, agw_str(digest, sizeof digest));
    bool fresh = !c, probe = x->modern && agw_mcp_era(x, target, true) != AGW_MCP_NO;
    if (fresh && !begin)
        return AGW_ENOTFOUND;
    if (fresh && !make_room(x->m))
        return AGW_ELIMIT;
    if (fresh && !(c = new_caller(x, target, digest)))
        return AGW_ENOMEM;
    g->caller = c;
    agw_list_push(&c->guests, &g->node);
    use(c, x, target);
    if (fresh)
        rc = begin_step(c, probe ? PROBE : INITIALIZE);
    if (rc == 0)
        return c->step == READY;
    g->caller = NULL;
    agw_list_remove(&g->node);
    free_caller(c);
    return rc;
}

void agw_mcp_caller_leave(struct agw_mcp_guest *g)
{
    struct agw_mcp_caller *c = g->caller;
    if (!c)
        return;
    g->caller = NULL;
    agw_list_remove(&g->node);
    c->used_ms = c->m->loop->now_ms;
    if (!c->listed && !c->x && agw_list_empty(&c->guests))
        free_caller(c);
}

void agw_mcp_caller_expired(struct agw_mcp_caller *c)
{
    unlist(c);
}

const struct agw_mcp_peer *agw_mcp_caller_peer(const struct agw_mcp_caller *c)
{
    return &c->peer;
}

struct agw_str agw_mcp_caller_initialized(const struct agw_mcp_caller *c)
{
    return c->initialized;
}

bool agw_mcp_caller_is(const struct agw_mcp_caller *c, const char digest[AGW_SHA256_SIZE])
{
    return memcmp(c->digest, digest, AGW_SHA256_SIZE) == 0;
}

int agw_mcp_caller_digest(struct agw_mcp_exchange *x, uint32_t target, char ret_digest[AGW_SHA256_SIZE])
{
    int rc = read_client(x);
    return rc == 0 ? digest_of(x, target, ret_digest) : rc;
}

struct agw_mcp *agw_mcp_caller_owner(const struct agw_mcp_caller *c)
{
    return c->m;
}

uint32_t agw_mcp_caller_target(const struct agw_mcp_caller *c)
{
    return c->target;
}

struct agw_mcp_feed **agw_mcp_caller_feed(struct agw_mcp_caller *c)
{
    return &c->feed;
}

void agw_mcp_caller_answer(struct agw_mcp_caller *c, const struct agw_jsonrpc *message)
{
    struct agw_str id = agw_json_text(&c->m->scratch, message->id);
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    if (agw_str_eq(message->method, AGW_STR("ping"))) {
        agw_json_begin_object(&w);
        agw_json_put_string(&w, "jsonrpc", AGW_STR("2.0"));
        agw_json_put_raw(&w, "id", id);
        agw_json_put_raw(&w, "result", AGW_STR("{}"));
        agw_json_end_object(&w);
    } else {
        agw_jsonrpc_write_error(&w, id, AGW_JSONRPC_METHOD_NOT_FOUND, AGW_STR("the client cannot be asked"),
                                AGW_STR(""));
    }
    if (!w.error)
        agw_mcp_caller_tell(c, agw_json_writer_text(&w));
    agw_json_writer_free(&w);
}

agw_mcp_level agw_mcp_caller_level(const struct agw_mcp_caller *c)
{
    return c->level;
}

void agw_mcp_caller_set_level(struct agw_mcp_caller *c, agw_mcp_level level)
{
    c->level = level;
}

uint64_t agw_mcp_caller_number(struct agw_mcp_caller *c)
{
    return ++c->number;
}
