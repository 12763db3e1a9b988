#include "mcp/transport/transport.h"

#include <stdlib.h>
#include <string.h>
#include "config/backend_auth.h"
#include "json/pointer.h"
#include "mcp/transport/link.h"

struct agw_mcp_transports *agw_mcp_transports_new(struct agw_loop *loop, struct agw_client *client)
{
    struct agw_mcp_transports *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->loop = loop;
    t->client = client;
    t->own_hub = agw_mcp_hub_new_alone(loop);
    if (!t->own_hub) {
        free(t);
        return NULL;
    }
    agw_list_init(&t->link_list);
    agw_json_doc_init(&t->doc, 0);
    agw_mcp_transports_join(t, t->own_hub);
    return t;
}

void agw_mcp_transports_join(struct agw_mcp_transports *t, struct agw_mcp_hub *hub)
{
    t->hub = hub;
    agw_mcp_hub_seat(hub, t->loop, t);
}

struct agw_mcp_hub *agw_mcp_transports_hub(const struct agw_mcp_transports *t)
{
    return t->hub;
}

void agw_mcp_transports_balance(struct agw_mcp_transports *t, struct agw_balancer *balancer)
{
    t->balancer = balancer;
}

void agw_mcp_transports_belong(struct agw_mcp_transports *t, void *user)
{
    t->user = user;
}

void *agw_mcp_transports_user(const struct agw_mcp_transports *t)
{
    return t->user;
}

void agw_mcp_transports_free(struct agw_mcp_transports *t)
{
    if (!t)
        return;
    agw_mcp_links_close(t);
    agw_mcp_hub_seat(t->hub, t->loop, NULL);
    agw_mcp_hub_free(t->own_hub);
    agw_mcp_slots_free(&t->calls);
    agw_json_doc_free(&t->doc);
    free(t);
}

/* --- ending --- */

static void release(struct agw_mcp_call *c)
{
    agw_timer_cancel(&c->loop->timers, &c->timer);
    agw_task_cancel(&c->failed);
    agw_chain_clear(&c->body);
    c->transport->let_go(c);
    c->running = false;
    if (c->pick.stats)
        agw_balance_release(c->transports->balancer, &c->pick);
}

/* How the call went, for those who choose after it. */
static void judge(struct agw_mcp_call *c, int code)
{
    const struct agw_msg *head = c->rest && c->rest->head ? c->rest->head : c->response;
    enum agw_judgement judged = head ? agw_judge_head(head, true) : agw_judge_close(code);
    if (c->pick.stats && !(c->rest && c->rest->local))
        agw_balance_sample(c->transports->balancer, c->target->backend, &c->pick, judged);
}

void agw_mcp_call_finish(struct agw_mcp_call *c, int code)
{
    if (!c->running)
        return;
    judge(c, code);
    release(c);
    c->ops->on_done(c, code);
}

void agw_mcp_call_cancel(struct agw_mcp_call *c)
{
    if (c->running)
        release(c);
}

static void on_deadline(struct agw_timer *t)
{
    agw_mcp_call_finish(agw_container_of(t, struct agw_mcp_call, timer), AGW_ETIMEOUT);
}

static void on_start_failed(struct agw_task *t)
{
    struct agw_mcp_call *c = agw_container_of(t, struct agw_mcp_call, failed);
    agw_mcp_call_finish(c, c->fail_code);
}

/* --- the answer's head --- */

void agw_mcp_call_head_came(struct agw_mcp_call *c)
{
    if (c->deadline_to_head)
        agw_timer_cancel(&c->loop->timers, &c->timer);
    c->ops->on_head(c);
}

bool agw_mcp_call_answer(struct agw_mcp_call *c, int status, enum agw_mcp_form form, size_t length,
                         struct agw_str session)
{
    struct agw_msg *m = agw_arena_alloc(c->arena, sizeof *m);
    if (m) {
        agw_msg_init(m, c->arena);
        m->status = status;
        m->length = form == AGW_MCP_FORM_EVENTS ? AGW_LENGTH_UNKNOWN : (int64_t)length;
    }
    if (!m ||
        (length && agw_headers_add_id(&m->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("application/json")) != 0) ||
        (session.n && agw_headers_add_id(&m->headers, AGW_HDR_MCP_SESSION_ID, session) != 0)) {
        agw_mcp_call_finish(c, AGW_ENOMEM);
        return false;
    }
    c->response = m;
    c->form = form;
    agw_mcp_call_head_came(c);
    return c->running;
}

void agw_mcp_call_whole(struct agw_mcp_call *c, struct agw_block *block, struct agw_str session)
{
    enum agw_mcp_form form = c->raw_json ? AGW_MCP_FORM_RAW : AGW_MCP_FORM_JSON;
    agw_block_ref(block); /* the call may end on the way */
    if (agw_mcp_call_answer(c, 200, form, block->len, session)) {
        struct agw_mcp_frame f = {.block = block, .text = {(const char *)block->data, block->len}};
        struct agw_chain data;
        agw_chain_init(&data);
        if (form == AGW_MCP_FORM_JSON)
            c->ops->on_frame(c, &f);
        else if (agw_chain_add(&data, block, block->data, block->len) == 0)
            c->ops->on_bytes(c, &data);
        agw_chain_clear(&data);
        agw_mcp_call_finish(c, 0);
    }
    agw_block_unref(block);
}

static bool is_batch(struct agw_str text)
{
    for (size_t i = 0; i < text.n && i < 8; i++)
        if (!strchr(" \t\r\n", text.p[i]))
            return text.p[i] == '[';
    return false;
}

/* The document is not kept over a callback: where the messages stand is. */
static int find_messages(struct agw_json_doc *doc, struct agw_str text,
                         struct agw_str messages[AGW_MCP_ANSWER_BATCH_MAX], uint32_t *ret_count)
{
    uint32_t n = 0;
    int rc = agw_json_parse(doc, text, NULL);
    if (rc != 0)
        return rc == AGW_ENOMEM ? rc : AGW_EPROTO;
    agw_json_each_item(doc, 0, i)
    {
        if (n == AGW_MCP_ANSWER_BATCH_MAX || agw_json_type(doc, i) != AGW_JSON_OBJECT)
            return AGW_EPROTO;
        messages[n++] = agw_json_text(doc, i);
    }
    *ret_count = n;
    return n > 0 ? 0 : AGW_EPROTO;
}

int agw_mcp_call_frame(struct agw_mcp_call *c, const struct agw_mcp_frame *f)
{
    struct agw_str messages[AGW_MCP_ANSWER_BATCH_MAX];
    uint32_t n = 0;
    if (!is_batch(f->text)) {
        c->ops->on_frame(c, f);
        return 0;
    }
    int rc = find_messages(&c->transports->doc, f->text, messages, &n);
    for (uint32_t i = 0; rc == 0 && i < n && c->running && !c->ignored; i++) {
        struct agw_mcp_frame one = {.block = f->block};
        if (i + 1 == n)
            one = *f;
        one.text = messages[i];
        c->ops->on_frame(c, &one);
    }
    return rc;
}

/* --- the way --- */

static void hold_nothing(struct agw_mcp_call *c) {}

static int start_unknown(struct agw_mcp_call *c)
{
    return AGW_EUNSUPPORTED;
}

static const struct agw_mcp_transport unknown = {start_unknown, hold_nothing, NULL, NULL};

static const struct agw_mcp_transport *transport_of(const struct agw_mcp_target *target)
{
    switch (target->protocol) {
    case AGW_MCP_STREAMABLE_HTTP:
        return &agw_mcp_streamable;
    case AGW_MCP_SSE:
    case AGW_MCP_STDIO:
        return &agw_mcp_remote;
    case AGW_MCP_OPENAPI:
        return &agw_mcp_rest;
    }
    return &unknown;
}

static void pick(struct agw_mcp_call *c, uint64_t pin)
{
    const struct agw_backend *b = c->target->backend;
    struct agw_balancer *balancer = c->transports->balancer;
    for (uint32_t i = 0; pin && b && i < b->endpoint_count; i++)
        if (agw_mcp_pin(b->endpoints[i]->key) == pin)
            c->pick.endpoint = b->endpoints[i];
    if (b && !c->pick.endpoint && balancer)
        agw_balance_pick(balancer, b, NULL, &c->pick);
    else if (b && !c->pick.endpoint)
        c->pick.endpoint = agw_balance_endpoint(b, &c->loop->rng);
    c->endpoint = c->pick.endpoint;
}

bool agw_mcp_target_stateless(const struct agw_mcp_target *target)
{
    return target->protocol == AGW_MCP_STREAMABLE_HTTP || target->protocol == AGW_MCP_OPENAPI;
}

uint64_t agw_mcp_pin(struct agw_str key)
{
    uint64_t h = agw_path_hash(AGW_PATH_HASH, key.p, key.n);
    return h ? h : 1;
}

uint64_t agw_mcp_call_pin(const struct agw_mcp_call *c)
{
    const struct agw_backend *b = c->target->backend;
    return b && b->endpoint_count > 1 && c->endpoint ? agw_mcp_pin(c->endpoint->key) : 0;
}

void agw_mcp_call_init(struct agw_mcp_call *c, const struct agw_mcp_call_ops *ops,
                       struct agw_mcp_transports *transports, struct agw_arena *arena,
                       const struct agw_mcp_target *target, uint64_t pin)
{
    *c = (struct agw_mcp_call){
        .ops = ops, .transports = transports, .loop = transports->loop, .arena = arena, .target = target};
    c->transport = transport_of(target);
    pick(c, pin);
    agw_chain_init(&c->body);
    agw_timer_init(&c->timer, on_deadline);
    agw_task_init(&c->failed, on_start_failed);
}

void agw_mcp_call_start(struct agw_mcp_call *c, int code)
{
    int rc = code;
    c->running = true;
    if (rc == 0)
        rc = c->transport->start(c);
    if (rc != 0) {
        agw_chain_clear(&c->body);
        c->fail_code = rc;
        agw_loop_defer(c->loop, &c->failed);
        return;
    }
    if (c->deadline_ms)
        agw_timer_set(&c->loop->timers, &c->timer, c->loop->now_ms + c->deadline_ms);
}

void agw_mcp_call_linger(struct agw_mcp_call *c, uint32_t ms)
{
    if (!c->running)
        return;
    c->ignored = true;
    agw_timer_set(&c->loop->timers, &c->timer, c->loop->now_ms + ms);
    agw_mcp_call_resume(c);
}

void agw_mcp_call_pause(struct agw_mcp_call *c)
{
    if (!c->paused && c->running && c->transport->pause)
        c->transport->pause(c);
    c->paused = true;
}

void agw_mcp_call_resume(struct agw_mcp_call *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    if (c->running && c->transport->resume)
        c->transport->resume(c);
}

/* --- the request --- */

/* Fields of the client that are about its own connection, session or body (RFC 9110 section 7.6.1). */
static bool is_own(enum agw_hdr id)
{
    static const bool own[AGW_HDR_COUNT] = {
        [AGW_HDR_HOST] = true,
        [AGW_HDR_CONTENT_TYPE] = true,
        [AGW_HDR_CONTENT_LENGTH] = true,
        [AGW_HDR_CONTENT_ENCODING] = true,
        [AGW_HDR_ACCEPT] = true,
        [AGW_HDR_ACCEPT_ENCODING] = true,
        [AGW_HDR_EXPECT] = true,
        [AGW_HDR_TE] = true,
        [AGW_HDR_TRAILER] = true,
        [AGW_HDR_CONNECTION] = true,
        [AGW_HDR_KEEP_ALIVE] = true,
        [AGW_HDR_PROXY_CONNECTION] = true,
        [AGW_HDR_TRANSFER_ENCODING] = true,
        [AGW_HDR_UPGRADE] = true,
        [AGW_HDR_MCP_SESSION_ID] = true,
        [AGW_HDR_MCP_PROTOCOL_VERSION] = true,
        [AGW_HDR_LAST_EVENT_ID] = true,
    };
    return own[id];
}

/* Repeats a part of the body, which is edited on the way. */
static bool is_standard(const struct agw_header *h)
{
    return agw_str_eq(h->name, AGW_STR("mcp-method")) || agw_str_eq(h->name, AGW_STR("mcp-name"));
}

bool agw_mcp_goes_on(const struct agw_header *h)
{
    return !is_own(h->id) && !is_standard(h);
}

struct agw_str agw_mcp_authority(const struct agw_endpoint *e, struct agw_arena *arena)
{
    char ip[AGW_ADDR_TEXT];
    if (e->host.n == 0)
        return agw_arena_str(arena, agw_str(ip, agw_addr_format(&e->addr, ip)));
    bool v6 = agw_str_find(e->host, ':') >= 0 && e->host.p[0] != '[';
    if (e->port == (e->tls ? 443 : 80))
        return v6 ? agw_arena_printf(arena, "[%.*s]", AGW_STRF(e->host)) : e->host;
    return agw_arena_printf(arena, v6 ? "[%.*s]:%u" : "%.*s:%u", AGW_STRF(e->host), e->port);
}

static int add(struct agw_headers *h, enum agw_hdr id, struct agw_str value)
{
    return value.n ? agw_headers_add_id(h, id, value) : 0;
}

/* What this request is, whoever asked for it. */
static int add_fields(struct agw_headers *h, const struct agw_mcp_call_fields *fields, struct agw_str session)
{
    bool post = fields->method == AGW_METHOD_POST, get = fields->method == AGW_METHOD_GET;
    struct agw_str accept = post  ? AGW_STR("application/json, text/event-stream")
                            : get ? AGW_STR("text/event-stream")
                                  : agw_str(NULL, 0);
    int rc = add(h, AGW_HDR_CONTENT_TYPE, post ? AGW_STR("application/json") : agw_str(NULL, 0));
    if (rc == 0)
        rc = add(h, AGW_HDR_ACCEPT, accept);
    if (rc == 0)
        rc = add(h, AGW_HDR_MCP_SESSION_ID, session);
    if (rc == 0)
        rc = add(h, AGW_HDR_MCP_PROTOCOL_VERSION, fields->version);
    if (rc == 0)
        rc = add(h, AGW_HDR_LAST_EVENT_ID, fields->last_event_id);
    if (rc == 0 && fields->rpc_method.n)
        rc = agw_headers_add(h, AGW_HDR_OTHER, AGW_STR("mcp-method"), fields->rpc_method);
    if (rc == 0 && fields->rpc_name.n)
        rc = agw_headers_add(h, AGW_HDR_OTHER, AGW_STR("mcp-name"), fields->rpc_name);
    return rc;
}

int agw_mcp_call_head(struct agw_mcp_call *c, const struct agw_msg *from,
                      const struct agw_mcp_call_fields *fields)
{
    struct agw_msg *m = &c->head;
    const struct agw_backend_auth *auth = c->target->auth ? c->target->auth : fields->auth;
    c->fields = *fields;
    if (!c->endpoint)
        return 0; /* agw_mcp_call_start reports it */
    agw_msg_init(m, c->arena);
    m->method = fields->method;
    m->method_text = agw_method_name(fields->method);
    m->scheme = c->endpoint->tls ? AGW_STR("https") : AGW_STR("http");
    m->authority = agw_mcp_authority(c->endpoint, c->arena);
    m->path = c->target->path.n ? c->target->path : AGW_STR("/mcp");
    m->length = (int64_t)c->body.bytes;
    int rc = m->authority.p ? 0 : AGW_ENOMEM;
    for (uint32_t i = 0; rc == 0 && i < from->headers.n; i++) {
        const struct agw_header *h = &from->headers.v[i];
        if (!is_own(h->id) && !(fields->rpc_method.n && is_standard(h)) &&
            !agw_backend_auth_holds_back(auth, h))
            rc = agw_headers_add(&m->headers, h->id, h->name, h->value);
    }
    if (rc == 0)
        rc = agw_backend_auth_apply(auth, fields->token, &m->headers, c->arena);
    /* a link's name means nothing to its server */
    struct agw_str session = c->target->protocol == AGW_MCP_STREAMABLE_HTTP ? fields->session : AGW_STR("");
    return rc == 0 ? add_fields(&m->headers, fields, session) : rc;
}
