/* Requests of the gateway's own over a caller's session, one after the other: resources/subscribe for what a
 * listener wants to hear, resources/unsubscribe for what nobody does any more. One at a time, so that one
 * request of a client is not many at once for the server. */
#include <stdlib.h>
#include "mcp/era/era_int.h"

struct agw_mcp_errand {
    struct agw_list node; /* in m->errands */
    struct agw_mcp_exchange *x;
    uint32_t target;
    uint64_t number; /* id of the first request */
    struct agw_str *uris;
    uint32_t count, at;
    bool good;                         /* the request in hand was accepted */
    struct agw_mcp_crossing *listener; /* NULL: nobody minds */
};

static void end(struct agw_mcp_errand *e)
{
    struct agw_mcp_exchange *x = e->x;
    agw_list_remove(&e->node);
    x->own = NULL;
    free(e);
    if (!x->m->ending)
        agw_mcp_exchange_close(x, 0);
}

static void on_head(struct agw_mcp_call *c) {}

static void on_bytes(struct agw_mcp_call *c, struct agw_chain *data)
{
    agw_chain_clear(data);
}

static void on_frame(struct agw_mcp_call *c, const struct agw_mcp_frame *f)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_mcp_errand *e = leg->x->own;
    struct agw_jsonrpc message;
    if (e && f->text.n && agw_mcp_read_frame(leg, f, &message) == 0 && message.kind == AGW_JSONRPC_RESULT)
        e->good = true;
}

static int next(struct agw_mcp_errand *e);

static void on_done(struct agw_mcp_call *c, int code)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_mcp_errand *e = leg->x->own;
    if (!agw_mcp_leg_over(leg) || !e)
        return;
    if (e->listener)
        agw_mcp_feed_subscribed(e->listener, e->at, e->good);
    e->at++;
    if (e->at < e->count && next(e) == 0)
        return;
    struct agw_mcp_crossing *listener = e->listener;
    end(e);
    if (listener)
        agw_mcp_feed_acknowledge(listener);
}

static const struct agw_mcp_call_ops ops = {on_head, on_frame, on_bytes, on_done};

static int next(struct agw_mcp_errand *e)
{
    struct agw_mcp_leg *leg = &e->x->legs[e->target];
    struct agw_json_writer w;
    struct agw_chain body;
    agw_chain_init(&body);
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_int(&w, "id", (int64_t)(e->number + e->at));
    agw_json_put_string(&w, "method",
                        e->listener ? AGW_STR("resources/subscribe") : AGW_STR("resources/unsubscribe"));
    agw_json_key(&w, AGW_STR("params"));
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "uri", e->uris[e->at]);
    agw_json_end_object(&w);
    agw_json_end_object(&w);
    int rc = agw_json_writer_finish(&w, 0, &body);
    if (rc != 0)
        return rc;
    e->good = false;
    leg->again = e->at > 0;
    agw_mcp_start_leg(leg, &ops, AGW_METHOD_POST, &body, AGW_MCP_CLEANUP_MS);
    agw_chain_clear(&body);
    return 0;
}

struct agw_mcp_errand *agw_mcp_errand_new(struct agw_mcp_caller *c, const struct agw_str *uris,
                                          uint32_t count, struct agw_mcp_crossing *listener)
{
    struct agw_mcp_errand *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->x = agw_mcp_caller_exchange(c);
    if (!e->x) {
        free(e);
        return NULL;
    }
    e->x->own = e;
    e->target = agw_mcp_caller_target(c); /* as in its own exchange, which may be newer than the listener's */
    e->listener = listener;
    e->count = count;
    e->uris = agw_arena_alloc(&e->x->arena, count * sizeof *e->uris);
    agw_list_push(&e->x->m->errands, &e->node);
    bool good = e->uris != NULL;
    for (uint32_t i = 0; good && i < count; i++)
        good = (e->uris[i] = agw_arena_str(&e->x->arena, uris[i])).p != NULL;
    for (uint32_t i = 0; i < count; i++)
        e->number = i ? (agw_mcp_caller_number(c), e->number) : agw_mcp_caller_number(c);
    if (good && next(e) == 0)
        return e;
    end(e);
    return NULL;
}

uint32_t agw_mcp_errand_drop(struct agw_mcp_errand *e)
{
    uint32_t at = e->at + 1 < e->count ? e->at + 1 : e->count;
    end(e);
    return at;
}

void agw_mcp_errands_free(struct agw_mcp *m)
{
    while (!agw_list_empty(&m->errands)) {
        struct agw_mcp_errand *e = agw_list_entry(m->errands.next, struct agw_mcp_errand, node);
        agw_list_remove(&e->node);
        free(e);
    }
}
