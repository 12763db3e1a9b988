#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "failmalloc.h"
#include "mcp/exchange.h"

struct fake_up fake_ups[FAKE_UPS];
unsigned fake_up_count;
struct agw_loop fake_loop;
long fake_fail_from;
bool fake_taken;

static void put(char *out, size_t cap, struct agw_str s)
{
    snprintf(out, cap, "%.*s", AGW_STRF(s));
}

static void put_field(char *out, size_t cap, const struct agw_headers *headers, const char *name)
{
    struct agw_header *h = agw_headers_find(headers, agw_str_c(name));
    put(out, cap, h ? h->value : AGW_STR(""));
}

static size_t append(char *out, size_t at, size_t cap, struct agw_chain *data)
{
    size_t n = agw_chain_peek(data, out + at, cap - at - 1);
    agw_chain_clear(data);
    out[at + n] = 0;
    return at + n;
}

/* --- targets --- */

static int up_head(struct agw_stream *s, const struct agw_msg *m, bool end)
{
    struct fake_up *u = (struct fake_up *)s;
    u->method = m->method;
    put(u->session, sizeof u->session, agw_headers_value(&m->headers, AGW_HDR_MCP_SESSION_ID));
    put(u->version, sizeof u->version, agw_headers_value(&m->headers, AGW_HDR_MCP_PROTOCOL_VERSION));
    put(u->accept, sizeof u->accept, agw_headers_value(&m->headers, AGW_HDR_ACCEPT));
    put(u->last_id, sizeof u->last_id, agw_headers_value(&m->headers, AGW_HDR_LAST_EVENT_ID));
    const struct agw_header *extra = agw_headers_find(&m->headers, AGW_STR("x-extra"));
    put(u->extra, sizeof u->extra, extra ? extra->value : AGW_STR(""));
    put(u->authorization, sizeof u->authorization, agw_headers_value(&m->headers, AGW_HDR_AUTHORIZATION));
    u->cookie = agw_headers_find(&m->headers, AGW_STR("cookie")) != NULL;
    put_field(u->rpc_method, sizeof u->rpc_method, &m->headers, "mcp-method");
    put_field(u->rpc_name, sizeof u->rpc_name, &m->headers, "mcp-name");
    put(u->host, sizeof u->host, m->authority);
    u->sent = end;
    return 0;
}

static int up_body(struct agw_stream *s, struct agw_chain *data)
{
    struct fake_up *u = (struct fake_up *)s;
    u->n = append(u->body, u->n, sizeof u->body, data);
    return 0;
}

static int up_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    ((struct fake_up *)s)->sent = true;
    return 0;
}

static size_t up_pending(const struct agw_stream *s)
{
    return 0;
}

static void up_consume(struct agw_stream *s, size_t n)
{
    ((struct fake_up *)s)->consumed += n;
}

static void up_reset(struct agw_stream *s, int code)
{
    struct fake_up *u = (struct fake_up *)s;
    u->open = false;
    u->reset = true;
}

static void up_detach(struct agw_stream *s)
{
    ((struct fake_up *)s)->open = false;
}

static const struct agw_stream_ops up_ops = {up_head,    up_body,  up_end,   up_pending,
                                             up_consume, up_reset, up_detach};

bool agw_client_unsent(const struct agw_stream *s)
{
    return ((const struct fake_up *)s)->unsent;
}

struct agw_stream *agw_client_open(struct agw_client *c, const struct agw_endpoint *to,
                                   struct agw_arena *arena, const struct agw_stream_events *events,
                                   void *owner)
{
    assert_true(fake_up_count < FAKE_UPS);
    struct fake_up *u = &fake_ups[fake_up_count++];
    *u = (struct fake_up){.stream = {&up_ops, events, owner, arena}, .to = to, .arena = arena, .open = true};
    return &u->stream;
}

void fake_more(struct fake_up *u, const char *body)
{
    struct agw_chain data;
    size_t n = strlen(body);
    if (!u->open)
        return;
    struct agw_block *b = agw_block_new(n);
    if (!b) {
        fake_break(u, AGW_ENOMEM);
        return;
    }
    memcpy(b->data, body, n);
    b->len = (uint32_t)n;
    agw_chain_init(&data);
    if (agw_chain_add(&data, b, b->data, n) == 0)
        u->stream.events->on_body(&u->stream, &data);
    agw_chain_clear(&data);
    agw_block_unref(b);
}

void fake_end(struct fake_up *u)
{
    if (u->open)
        u->stream.events->on_end(&u->stream, NULL);
}

void fake_break(struct fake_up *u, int code)
{
    if (!u->open)
        return;
    u->open = false;
    u->stream.events->on_close(&u->stream, code);
}

void fake_answer(struct fake_up *u, int status, const char *type, const char *session, const char *body,
                 bool end)
{
    u->answered = true;
    if (!u->open)
        return;
    struct agw_msg *m = agw_arena_alloc(u->arena, sizeof *m);
    if (!m) {
        fake_break(u, AGW_ENOMEM);
        return;
    }
    agw_msg_init(m, u->arena);
    m->status = status;
    m->length = body ? (int64_t)strlen(body) : end ? 0 : AGW_LENGTH_UNKNOWN;
    if ((type && agw_headers_add_id(&m->headers, AGW_HDR_CONTENT_TYPE, agw_str_c(type)) != 0) ||
        (session && agw_headers_add_id(&m->headers, AGW_HDR_MCP_SESSION_ID, agw_str_c(session)) != 0)) {
        fake_break(u, AGW_ENOMEM);
        return;
    }
    u->stream.events->on_head(&u->stream, m, end && !body);
    if (body)
        fake_more(u, body);
    if (end && body)
        fake_end(u);
}

/* --- the client --- */

static int down_head(struct agw_stream *s, const struct agw_msg *m, bool end)
{
    struct fake_down *d = (struct fake_down *)s;
    assert_false(d->head);
    d->head = true;
    d->status = m->status;
    d->ended = end;
    put(d->type, sizeof d->type, agw_headers_value(&m->headers, AGW_HDR_CONTENT_TYPE));
    put(d->session, sizeof d->session, agw_headers_value(&m->headers, AGW_HDR_MCP_SESSION_ID));
    return 0;
}

static int down_body(struct agw_stream *s, struct agw_chain *data)
{
    struct fake_down *d = (struct fake_down *)s;
    assert_true(d->head && !d->ended);
    d->n = append(d->body, d->n, sizeof d->body, data);
    return 0;
}

static int down_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    struct fake_down *d = (struct fake_down *)s;
    assert_true(d->head && !d->ended);
    d->ended = true;
    return 0;
}

static size_t down_pending(const struct agw_stream *s)
{
    return ((const struct fake_down *)s)->pending;
}

static void down_consume(struct agw_stream *s, size_t n) {}

static void down_reset(struct agw_stream *s, int code)
{
    ((struct fake_down *)s)->reset = true;
}

static void down_detach(struct agw_stream *s)
{
    fail(); /* the endpoint waits for on_close */
}

static const struct agw_stream_ops down_ops = {down_head,    down_body,  down_end,   down_pending,
                                               down_consume, down_reset, down_detach};

static void on_done(void *ctx, const struct agw_mcp_report *report)
{
    struct fake_down *d = ctx;
    assert_false(d->done);
    d->done = true;
    d->report = *report;
}

static const struct agw_mcp_hooks hooks = {.on_done = on_done};

void fake_down_init(struct fake_down *d)
{
    *d = (struct fake_down){.stream.ops = &down_ops};
    agw_arena_init(&d->arena, 1024, 0);
    agw_msg_init(&d->req, &d->arena);
    d->stream.arena = &d->arena;
}

void fake_header(struct fake_down *d, const char *name, const char *value)
{
    struct agw_str n = agw_str_c(name);
    assert_int_equal(agw_headers_add(&d->req.headers, agw_hdr_lookup(n), n, agw_str_c(value)), 0);
}

struct agw_mcp_origin fake_origin;
const struct agw_backend_auth *fake_auth;
struct agw_str fake_token;
struct agw_mcp_rights fake_rights;

void fake_request(struct agw_mcp *m, struct fake_down *d, const struct agw_backend *b, enum agw_method method,
                  const char *session, const char *body)
{
    struct agw_chain data;
    d->req.method = method;
    d->req.length = body ? (int64_t)strlen(body) : 0;
    fake_header(d, "content-type", "application/json");
    fake_header(d, "accept", "application/json, text/event-stream");
    fake_header(d, "authorization", "Bearer me");
    fake_header(d, "cookie", "a=b");
    fake_header(d, "x-extra", "mine");
    if (session && *session)
        fake_header(d, "mcp-session-id", session);
    agw_chain_init(&data);
    if (body)
        assert_int_equal(agw_chain_add_static(&data, body, strlen(body)), 0);
    const struct agw_mcp_client client = {.hooks = &hooks,
                                          .ctx = d,
                                          .origin = fake_origin,
                                          .auth = fake_auth,
                                          .token = fake_token,
                                          .rights = fake_rights};
    failmalloc_at(fake_fail_from);
    int rc = agw_mcp_handle(m, b, NULL, &d->stream, &d->req, &data, true, &client);
    assert_true(rc == 0 || (rc == AGW_ENOMEM && fake_fail_from));
    fake_taken = rc == 0;
    agw_chain_clear(&data);
}

void fake_close(struct fake_down *d, int code)
{
    if (fake_taken && !d->reset && !d->done)
        d->stream.events->on_close(&d->stream, code);
}

void fake_down_free(struct fake_down *d)
{
    agw_arena_free(&d->arena);
}

void fake_reset(void)
{
    fake_up_count = 0;
}

void fake_turn(void)
{
    agw_loop_turn(&fake_loop, 0);
}

bool fake_end_walk(struct fake_down *d, long n)
{
    bool reached = failmalloc_count() >= n;
    fake_fail_from = 0;
    failmalloc_at(0);
    fake_turn();
    fake_close(d, AGW_ECANCELED);
    fake_turn();
    for (unsigned i = 0; i < fake_up_count; i++)
        if (fake_ups[i].open)
            fake_break(&fake_ups[i], AGW_ERESET);
    fake_turn();
    return reached;
}

static struct agw_endpoint endpoint = {.key = {"one", 3}, .host = {"h1", 2}, .port = 81};
static const struct agw_endpoint *first[] = {&endpoint};
static struct agw_backend place = {
    .key = {"ns/one", 6}, .kind = AGW_BACKEND_STATIC, .endpoints = first, .endpoint_count = 1};
static struct agw_mcp_target target = {{"one", 3}, &place, {"/mcp", 4}, AGW_MCP_STREAMABLE_HTTP};
static struct agw_mcp_backend conf = {.targets = &target, .count = 1};
const struct agw_backend fake_backend = {
    .key = {"ns/tools", 8}, .name = {"ns/tools", 8}, .kind = AGW_BACKEND_MCP, .mcp = &conf};
