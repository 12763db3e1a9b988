/* Clients of 2024-11-05 (HTTP+SSE): GET /sse is a stream whose first event names where to post; what is
 * posted is answered 202, and its answer comes on the stream.
 *
 * The stream is an exchange that never asks a target itself. Each message posted becomes a turn (turn.c), and
 * another one holds the GET stream of the session. A post may come in on any worker: it goes to the stream's
 * as a letter (transport/hub.h). */
#include <stdlib.h>
#include "base/log.h"
#include "http/uri.h"
#include "mcp/exchange.h"
#include "mcp/transport/hub.h"

#define FIRST_ARENA 2048
#define LISTEN_AGAIN_MS 1000 /* a GET stream that ended: its target may be starting anew */

/* --- the stream --- */

static void listen_soon(struct agw_mcp_exchange *x, uint32_t ms)
{
    if (x->down)
        agw_timer_set(&x->m->loop->timers, &x->legacy->listen, x->m->loop->now_ms + ms);
}

static int on_head(struct agw_mcp_turns *all, const struct agw_msg *m)
{
    struct agw_mcp_legacy *l = all->x->legacy;
    struct agw_str session = agw_headers_value(&m->headers, AGW_HDR_MCP_SESSION_ID);
    if (session.n == 0 || l->session.n)
        return 0;
    l->session = agw_arena_str(&all->x->arena, session);
    if (!l->session.p)
        return AGW_ENOMEM;
    listen_soon(all->x, 0);
    return 0;
}

static void on_over(struct agw_mcp_turns *all, enum agw_method method, int status)
{
    struct agw_mcp_exchange *x = all->x;
    if (status == 404 && x->legacy->session.n)
        agw_mcp_reply_end(x); /* only a new stream makes a new session */
    else if (method == AGW_METHOD_GET && status == 200)
        listen_soon(x, LISTEN_AGAIN_MS);
}

static const struct agw_mcp_turn_ops turn_ops = {on_head, on_over};

/* |body| NULL: listens. */
static int start_turn(struct agw_mcp_exchange *x, const struct agw_msg *from, struct agw_block *body,
                      struct agw_str id)
{
    struct agw_mcp_turn_request r = {.from = from, .session = x->legacy->session, .body = body, .id = id};
    if (body)
        r.text = agw_str((const char *)body->data, body->len);
    return agw_mcp_turn_start(&x->legacy->turns, &r);
}

static void on_listen(struct agw_timer *timer)
{
    struct agw_mcp_legacy *l = agw_container_of(timer, struct agw_mcp_legacy, listen);
    if (start_turn(l->x, l->x->req, NULL, AGW_STR("")) != 0)
        agw_mcp_abort(l->x, AGW_ENOMEM);
}

static struct agw_str context_of(const struct agw_mcp_exchange *x, struct agw_arena *arena)
{
    return agw_arena_printf(arena, "mcp sse %.*s", AGW_STRF(x->backend->key));
}

/* "?sessionId=...": by whatever path the client has reached us, it does so again. */
static int write_endpoint(struct agw_mcp_exchange *x)
{
    struct agw_mcp_legacy_name n = {agw_mcp_hub_mark(agw_mcp_transports_hub(x->m->transports)),
                                    x->m->loop->index, x->legacy->key};
    struct agw_str context = context_of(x, &x->arena);
    char *id = agw_arena_alloc(&x->arena, AGW_SEAL_SIZE(sizeof n));
    size_t size;
    if (!id || !context.p ||
        agw_seal_close(x->m->seal, agw_str((const char *)&n, sizeof n), context, id, &size) != 0)
        return AGW_ENOMEM;
    struct agw_str event =
        agw_arena_printf(&x->arena, "event: endpoint\ndata: ?sessionId=%.*s\n\n", (int)size, id);
    return event.p ? agw_mcp_reply_text(x, event) : AGW_ENOMEM;
}

void agw_mcp_legacy_listen(struct agw_mcp_exchange *x)
{
    struct agw_mcp_legacy *l = calloc(1, sizeof *l);
    if (!l || agw_mcp_slots_add(&x->m->legacy, x, AGW_MCP_LEGACY_MAX, &l->key) != 0) {
        free(l);
        agw_mcp_reply_status(x, 503);
        return;
    }
    x->legacy = l;
    x->turns = &l->turns;
    l->x = x;
    agw_mcp_turns_init(&l->turns, x, &turn_ops);
    agw_timer_init(&l->listen, on_listen);
    if (agw_mcp_reply_events(x) && write_endpoint(x) != 0)
        agw_mcp_abort(x, AGW_ENOMEM);
}

/* Nobody will answer for the session any more: the targets' go with it. */
static void end_session(struct agw_mcp_exchange *x)
{
    struct agw_mcp_exchange *c = agw_mcp_exchange_new(x->m, x->backend, x->snap);
    if (!c)
        return; /* the targets' own expiry must do */
    if (agw_mcp_act_for(c, x) != 0 ||
        agw_mcp_session_open(c->m->seal, c->backend, x->legacy->session, &c->arena, &c->session) != 0) {
        agw_mcp_exchange_close(c, AGW_ENOMEM);
        return;
    }
    c->timeout_ms = AGW_MCP_CLEANUP_MS;
    agw_mcp_end_session(c);
}

void agw_mcp_legacy_close(struct agw_mcp_exchange *x, bool silent)
{
    struct agw_mcp_legacy *l = x->legacy;
    if (!l)
        return;
    agw_timer_cancel(&x->m->loop->timers, &l->listen);
    agw_mcp_slots_remove(&x->m->legacy, l->key);
    agw_mcp_turns_close(&l->turns, silent);
    if (!silent && l->session.n)
        end_session(x);
    x->legacy = NULL;
    x->turns = NULL;
    free(l);
}

/* --- messages from other workers --- */

static void free_letter(struct agw_mcp_legacy_letter *letter)
{
    agw_block_unref(letter->body);
    agw_arena_free(&letter->arena);
    free(letter);
}

static int take_letter(struct agw_mcp *m, struct agw_mcp_legacy_letter *letter)
{
    struct agw_mcp_exchange *x = agw_mcp_slots_get(&m->legacy, letter->to.key);
    if (!x || x->closed || x->out != AGW_MCP_OUT_EVENTS)
        return 404;
    if (x->legacy->turns.count >= AGW_MCP_LEGACY_TURNS_MAX)
        return 429;
    return start_turn(x, &letter->head, letter->body, letter->id) == 0 ? 202 : 503;
}

static void reply_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct agw_mcp_legacy_letter *letter = (struct agw_mcp_legacy_letter *)mail;
    struct agw_mcp *m = t ? agw_mcp_transports_user(t) : NULL;
    struct agw_mcp_exchange *x = m ? agw_mcp_slots_get(&m->posts, letter->from_key) : NULL;
    if (x)
        agw_mcp_reply_status(x, letter->status);
    free_letter(letter);
}

/* The letter goes back with its outcome. */
static void letter_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct agw_mcp_legacy_letter *letter = (struct agw_mcp_legacy_letter *)mail;
    if (!t) {
        free_letter(letter);
        return;
    }
    letter->status = take_letter(agw_mcp_transports_user(t), letter);
    agw_block_unref(letter->body); /* a turn may hold it: it stays on this worker */
    letter->body = NULL;
    letter->mail.deliver = reply_deliver;
    agw_mcp_hub_send(agw_mcp_transports_hub(t), letter->from, &letter->mail);
}

/* --- POST --- */

/* Whose session it is: AGW_ENOTFOUND: nobody's here. */
static int read_name(struct agw_mcp_exchange *x, struct agw_str id, struct agw_mcp_legacy_name *ret_name)
{
    struct agw_mcp_hub *hub = agw_mcp_transports_hub(x->m->transports);
    struct agw_str context = context_of(x, &x->arena);
    unsigned char *plain = agw_arena_alloc(&x->arena, id.n + 1);
    size_t n;
    if (!plain || !context.p)
        return AGW_ENOMEM;
    int rc = agw_seal_open(x->m->seal, id, context, plain, id.n + 1, &n);
    if (rc != 0 || n != sizeof *ret_name)
        return rc == AGW_ENOMEM ? rc : AGW_ENOTFOUND;
    memcpy(ret_name, plain, n);
    bool ours = ret_name->mark == agw_mcp_hub_mark(hub) && agw_mcp_hub_has(hub, ret_name->worker);
    return ours ? 0 : AGW_ENOTFOUND;
}

static struct agw_mcp_legacy_letter *write_letter(struct agw_mcp_exchange *x)
{
    struct agw_mcp_legacy_letter *letter = calloc(1, sizeof *letter);
    if (!letter)
        return NULL;
    agw_arena_init(&letter->arena, FIRST_ARENA, 0);
    letter->mail.deliver = letter_deliver;
    letter->from = x->m->loop->index;
    letter->body = agw_block_new(x->text.n);
    letter->id = agw_arena_str(&letter->arena, x->id);
    if (!letter->body || !letter->id.p || agw_msg_copy(&letter->head, x->req, &letter->arena) != 0) {
        free_letter(letter);
        return NULL;
    }
    memcpy(letter->body->data, x->text.p, x->text.n); /* a block is counted on its own worker alone */
    letter->body->len = (uint32_t)x->text.n;
    return letter;
}

void agw_mcp_legacy_post(struct agw_mcp_exchange *x)
{
    struct agw_str path, query, id = {0};
    struct agw_mcp_legacy_name name;
    bool has_query;
    agw_path_split(x->req->path, &path, &query, &has_query);
    if (!has_query || !agw_query_get(query, AGW_STR("sessionId"), &x->arena, &id) || id.n == 0) {
        agw_mcp_reply_error(x, 400, AGW_JSONRPC_SERVER, AGW_STR("Bad Request: sessionId is required"));
        return;
    }
    int rc = read_name(x, id, &name);
    struct agw_mcp_legacy_letter *letter = rc == 0 ? write_letter(x) : NULL;
    if (rc == 0 && (!letter || agw_mcp_slots_add(&x->m->posts, x, UINT32_MAX, &x->post) != 0))
        rc = AGW_ENOMEM;
    if (rc == 0) {
        letter->to = name;
        letter->from_key = x->post;
        agw_mcp_hub_send(agw_mcp_transports_hub(x->m->transports), name.worker, &letter->mail);
        return;
    }
    if (letter)
        free_letter(letter);
    if (rc == AGW_ENOTFOUND)
        agw_mcp_reply_error(x, 404, AGW_JSONRPC_SESSION, AGW_STR("Session not found"));
    else
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
}

bool agw_mcp_legacy_path(const struct agw_msg *req)
{
    struct agw_str path, query;
    bool has_query;
    agw_path_split(req->path, &path, &query, &has_query);
    return agw_str_eq(path, AGW_STR("/sse"));
}
