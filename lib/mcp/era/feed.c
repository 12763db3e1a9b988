/* What a server of old announces, for clients of 2026-07-28 that listen. One GET stream a caller, for servers
 * give a session no more: its feed. Each subscriptions/listen of the caller is a listener on it.
 *
 *     listener ── errand.c: resources/subscribe ──> acknowledged ── announcements with its own id ──>
 *
 * A feed that ends ends its listeners in good order: they are opened again, and told to look again. */
#include <stdlib.h>
#include "mcp/era/era_int.h"

#define SLOW_MS 250 /* a client that reads too slowly is looked at again */

struct agw_mcp_feed {
    struct agw_mcp_caller *caller;
    struct agw_mcp_exchange *x;
    uint32_t target; /* in the configuration of |x|; the caller goes on with newer ones */
    struct agw_list listeners;
    bool open;
    int status; /* with which it was refused; 0: it was not */
    struct agw_timer timer;
    struct agw_task end; /* nobody listens */
};

struct agw_mcp_listener {
    struct agw_list node;
    struct agw_mcp_crossing *cr;
    struct agw_mcp_feed *feed; /* NULL: none yet, or it is over */
    struct agw_task start;
    uint8_t lists; /* that the client wants and the server announces */
    struct agw_mcp_uri *uris;
    uint32_t count;
    bool acknowledged, hit;
    struct agw_mcp_errand *errand;
};

static struct agw_mcp *m_of(const struct agw_mcp_crossing *cr)
{
    return cr->leg->x->m;
}

/* What was written goes to the leg. */
static void give(struct agw_mcp_crossing *cr, struct agw_json_writer *w)
{
    struct agw_chain body;
    agw_chain_init(&body);
    if (agw_json_writer_finish(w, 0, &body) == 0)
        agw_mcp_cross_give(cr, &body);
    else
        agw_mcp_abort(cr->leg->x, AGW_ENOMEM);
    agw_chain_clear(&body);
}

/* --- a listener --- */

void agw_mcp_feed_acknowledge(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_listener *l = cr->listener;
    struct agw_json_writer w;
    l->errand = NULL;
    l->acknowledged = true;
    agw_json_writer_init(&w);
    (void)agw_mcp_write_acknowledged(cr->id, l->lists, l->uris, l->count, &w);
    give(cr, &w);
}

void agw_mcp_feed_subscribed(struct agw_mcp_crossing *cr, uint32_t at, bool accepted)
{
    cr->listener->uris[at].accepted = accepted;
}

/* The stream is there: what it is to carry is asked for. */
static void begin(struct agw_mcp_listener *l)
{
    struct agw_arena *arena = &l->cr->leg->x->arena;
    struct agw_str *uris = l->count ? agw_arena_alloc(arena, l->count * sizeof *uris) : NULL;
    if (l->errand || l->acknowledged)
        return;
    for (uint32_t i = 0; uris && i < l->count; i++)
        uris[i] = l->uris[i].text;
    if (uris)
        l->errand = agw_mcp_errand_new(l->cr->guest.caller, uris, l->count, l->cr);
    if (!l->errand)
        agw_mcp_feed_acknowledge(l->cr); /* at least of what needs no asking */
}

/* --- the feed --- */

static void begin_all(struct agw_mcp_feed *f)
{
    struct agw_list *node, *tmp;
    f->open = true;
    agw_list_each (node, tmp, &f->listeners)
        begin(agw_list_entry(node, struct agw_mcp_listener, node));
}

/* Before it is open, silence is consent: some servers send the head with the first event. Afterwards:
 * somebody was slow. */
static void on_timer(struct agw_timer *t)
{
    struct agw_mcp_feed *f = agw_container_of(t, struct agw_mcp_feed, timer);
    struct agw_mcp *m = f->x->m;
    struct agw_list *node, *tmp;
    if (!f->open) {
        begin_all(f);
        return;
    }
    agw_list_each (node, tmp, &f->listeners) {
        struct agw_stream *down = agw_list_entry(node, struct agw_mcp_listener, node)->cr->leg->x->down;
        if (down && agw_stream_pending(down) > AGW_STREAM_HIGH) {
            agw_timer_set(&m->loop->timers, t, m->loop->now_ms + SLOW_MS);
            return;
        }
    }
    agw_mcp_call_resume(&f->x->legs[f->target].call);
}

static void throttle(struct agw_mcp_feed *f, struct agw_mcp_call *c, const struct agw_mcp_exchange *x)
{
    struct agw_mcp *m = f->x->m;
    if (!x->down || agw_stream_pending(x->down) <= AGW_STREAM_HIGH || agw_timer_armed(&f->timer))
        return;
    agw_mcp_call_pause(c);
    agw_timer_set(&m->loop->timers, &f->timer, m->loop->now_ms + SLOW_MS);
}

static void on_head(struct agw_mcp_call *c)
{
    struct agw_mcp_feed *f = AGW_MCP_LEG(c)->x->own;
    if (!f)
        return;
    if (c->form == AGW_MCP_FORM_EVENTS && !f->open) {
        agw_timer_cancel(&f->x->m->loop->timers, &f->timer);
        begin_all(f);
    } else if (c->form != AGW_MCP_FORM_EVENTS) {
        f->status = c->response->status;
    }
}

static void on_bytes(struct agw_mcp_call *c, struct agw_chain *data)
{
    agw_chain_clear(data);
}

static void announce(struct agw_mcp_feed *f, struct agw_mcp_call *c, uint8_t bit, struct agw_str uri)
{
    struct agw_list *node, *tmp;
    struct agw_json_writer w;
    agw_list_each (node, tmp, &f->listeners) {
        struct agw_mcp_listener *l = agw_list_entry(node, struct agw_mcp_listener, node);
        if (!l->hit)
            continue;
        l->hit = false;
        agw_json_writer_init(&w);
        (void)agw_mcp_write_announcement(bit, l->cr->id, uri, &w);
        struct agw_mcp_exchange *x = l->cr->leg->x;
        give(l->cr, &w);
        throttle(f, c, x);
    }
}

static void on_frame(struct agw_mcp_call *c, const struct agw_mcp_frame *frame)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_mcp_feed *f = leg->x->own;
    struct agw_json_doc *doc = &leg->x->m->scratch;
    struct agw_jsonrpc message;
    struct agw_list *node, *tmp;
    struct agw_str uri = {0}, raw = {0};
    if (!f || frame->text.n == 0 || agw_mcp_read_frame(leg, frame, &message) != 0)
        return;
    if (message.kind == AGW_JSONRPC_REQUEST) {
        agw_mcp_caller_answer(f->caller, &message);
        return;
    }
    uint8_t bit = message.kind == AGW_JSONRPC_NOTIFICATION ? agw_mcp_hears_of(message.method) : 0;
    uint32_t token = bit == AGW_MCP_HEARS_UPDATES && message.params
                         ? agw_json_get(doc, message.params, AGW_STR("uri"))
                         : 0;
    if (token != 0 && agw_json_unescape(doc, token, &leg->x->m->scratch_arena, &uri) == 0)
        raw = agw_json_text(doc, token); /* in the frame's own bytes: what follows parses others */
    if (bit == 0 || (bit == AGW_MCP_HEARS_UPDATES && raw.n == 0))
        return;
    agw_list_each (node, tmp, &f->listeners) {
        struct agw_mcp_listener *l = agw_list_entry(node, struct agw_mcp_listener, node);
        l->hit = l->acknowledged && agw_mcp_hears_about(l->lists, l->uris, l->count, bit, uri);
    }
    announce(f, c, bit, raw);
}

/* It is nobody's any more; |f| is freed. */
static void close_feed(struct agw_mcp_feed *f)
{
    struct agw_mcp_exchange *x = f->x;
    struct agw_mcp *m = agw_mcp_caller_owner(f->caller);
    *agw_mcp_caller_feed(f->caller) = NULL;
    m->feeds--;
    agw_task_cancel(&f->end);
    agw_timer_cancel(&m->loop->timers, &f->timer);
    free(f);
    if (m->ending || !x)
        return; /* went with the exchanges */
    x->own = NULL;
    agw_mcp_exchange_close(x, 0);
}

/* What the feed's end is for one that listened. */
static void lose(struct agw_mcp_listener *l, int status, int code)
{
    struct agw_mcp_crossing *cr = l->cr;
    struct agw_json_writer w;
    l->feed = NULL;
    if (l->acknowledged) {
        agw_json_writer_init(&w);
        (void)agw_mcp_write_listened(cr->id, &w);
        give(cr, &w);
        if (!cr->gone)
            agw_mcp_cross_finish(cr, 0);
    } else if (status == 404 && !cr->again) {
        cr->pending = false;
        agw_mcp_feed_leave(cr);
        agw_mcp_cross_try_again(cr);
    } else if (status != 0) {
        int rc = agw_mcp_cross_refuse(cr, AGW_JSONRPC_METHOD_NOT_FOUND, AGW_STR("Method not found"));
        if (rc < 0)
            agw_mcp_cross_finish(cr, rc);
    } else {
        agw_mcp_cross_finish(cr, code ? code : AGW_EPROTO);
    }
}

static void on_done(struct agw_mcp_call *c, int code)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_mcp_feed *f = leg->x->own;
    struct agw_list over, *node;
    if (!agw_mcp_leg_over(leg) || !f)
        return;
    int status = f->status;
    agw_list_move(&over, &f->listeners);
    close_feed(f);
    while ((node = agw_list_pop(&over)))
        lose(agw_list_entry(node, struct agw_mcp_listener, node), status, code);
}

static const struct agw_mcp_call_ops ops = {on_head, on_frame, on_bytes, on_done};

static void on_end(struct agw_task *t)
{
    struct agw_mcp_feed *f = agw_container_of(t, struct agw_mcp_feed, end);
    if (agw_list_empty(&f->listeners))
        close_feed(f);
}

void agw_mcp_feed_free(struct agw_mcp_feed *f)
{
    if (f)
        close_feed(f);
}

static struct agw_mcp_feed *open_feed(struct agw_mcp_caller *c)
{
    struct agw_mcp *m = agw_mcp_caller_owner(c);
    struct agw_mcp_feed *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->caller = c;
    f->target = agw_mcp_caller_target(c);
    agw_list_init(&f->listeners);
    agw_timer_init(&f->timer, on_timer);
    agw_task_init(&f->end, on_end);
    *agw_mcp_caller_feed(c) = f;
    m->feeds++;
    f->x = agw_mcp_caller_exchange(c);
    if (!f->x) {
        close_feed(f);
        return NULL;
    }
    f->x->own = f;
    agw_timer_set(&m->loop->timers, &f->timer, m->loop->now_ms + AGW_MCP_SILENCE_MS);
    agw_mcp_start_leg(&f->x->legs[f->target], &ops, AGW_METHOD_GET, NULL, 0);
    return f;
}

/* --- coming and going --- */

static void on_start(struct agw_task *t)
{
    struct agw_mcp_listener *l = agw_container_of(t, struct agw_mcp_listener, start);
    struct agw_mcp_caller *c = l->cr->guest.caller;
    struct agw_mcp_feed *f = *agw_mcp_caller_feed(c);
    if (l->lists == 0 && l->count == 0) { /* nothing will come; the client may stay all the same */
        agw_mcp_feed_acknowledge(l->cr);
        return;
    }
    struct agw_mcp *m = m_of(l->cr);
    if (!f && m->feeds >= AGW_MCP_FEEDS_MAX) {
        int rc = agw_mcp_cross_refuse(l->cr, AGW_JSONRPC_INTERNAL, AGW_STR("too many subscriptions"));
        if (rc < 0)
            agw_mcp_cross_finish(l->cr, rc);
        return;
    }
    if (!f)
        f = open_feed(c);
    if (!f) {
        agw_mcp_cross_finish(l->cr, AGW_ENOMEM);
        return;
    }
    l->feed = f;
    agw_list_push(&f->listeners, &l->node);
    if (f->open)
        begin(l);
}

/* The server's capabilities, by what it said to `initialize`. */
static uint8_t promised(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_frame f = {.text = agw_mcp_caller_initialized(cr->guest.caller)};
    struct agw_jsonrpc message;
    struct agw_json_doc *doc = &m_of(cr)->scratch;
    return agw_mcp_read_frame(cr->leg, &f, &message) == 0
               ? agw_mcp_hears_promised(doc, agw_json_get(doc, message.result, AGW_STR("capabilities")))
               : 0;
}

static int read_uris(struct agw_mcp_listener *l, const struct agw_json_doc *doc, uint32_t list)
{
    struct agw_arena *arena = &l->cr->leg->x->arena;
    uint32_t n = 0;
    agw_json_each_item(doc, list, item) n++;
    if (n > AGW_MCP_SUBSCRIBED_MAX)
        return AGW_ELIMIT;
    l->uris = agw_arena_zalloc(arena, (n + 1) * sizeof *l->uris);
    if (!l->uris)
        return AGW_ENOMEM;
    agw_json_each_item(doc, list, uri)
    {
        int rc = agw_json_unescape(doc, uri, arena, &l->uris[l->count].text);
        if (rc != 0)
            return rc;
        l->count++;
    }
    return 0;
}

int agw_mcp_feed_join(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_listener *l = agw_arena_zalloc(&cr->leg->x->arena, sizeof *l);
    struct agw_mcp_frame f = {.text = cr->text};
    struct agw_json_doc *doc = &m_of(cr)->scratch;
    struct agw_jsonrpc message;
    uint8_t can = promised(cr);
    int rc = l ? agw_mcp_read_frame(cr->leg, &f, &message) : AGW_ENOMEM;
    if (rc != 0)
        return rc;
    l->cr = cr;
    agw_list_init(&l->node);
    agw_task_init(&l->start, on_start);
    uint32_t filter = message.params ? agw_json_get(doc, message.params, AGW_STR("notifications")) : 0;
    uint32_t list = filter ? agw_json_get(doc, filter, AGW_STR("resourceSubscriptions")) : 0;
    l->lists = can & agw_mcp_hears_filter(doc, filter);
    if (list != 0 && (can & AGW_MCP_HEARS_UPDATES))
        rc = agw_json_type(doc, list) == AGW_JSON_ARRAY ? read_uris(l, doc, list) : AGW_EINVAL;
    if (rc == AGW_EINVAL || rc == AGW_ELIMIT)
        return agw_mcp_cross_refuse(
            cr, AGW_JSONRPC_INVALID_PARAMS,
            AGW_STR("params.notifications must be a filter of 256 resources at most"));
    if (rc != 0)
        return rc;
    cr->listener = l;
    cr->pending = true;
    agw_loop_defer(m_of(cr)->loop, &l->start);
    return 1;
}

/* Whether another listener of the feed wants to hear of |uri|. */
static bool is_shared(const struct agw_mcp_listener *l, struct agw_str uri)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &l->feed->listeners) {
        const struct agw_mcp_listener *other = agw_list_entry(node, struct agw_mcp_listener, node);
        for (uint32_t i = 0; other != l && i < other->count; i++)
            if (agw_str_eq(other->uris[i].text, uri))
                return true;
    }
    return false;
}

/* |asked|: of the listener's URIs so many were asked for. */
static void unsubscribe(struct agw_mcp_listener *l, uint32_t asked)
{
    struct agw_str *uris = asked ? agw_arena_alloc(&l->cr->leg->x->arena, asked * sizeof *uris) : NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; uris && i < asked; i++)
        if ((l->uris[i].accepted || !l->acknowledged) && !is_shared(l, l->uris[i].text))
            uris[n++] = l->uris[i].text;
    if (n > 0)
        (void)agw_mcp_errand_new(l->cr->guest.caller, uris, n, NULL);
}

void agw_mcp_feed_leave(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_listener *l = cr->listener;
    struct agw_mcp_feed *f = l ? l->feed : NULL;
    if (!l)
        return;
    cr->listener = NULL;
    agw_task_cancel(&l->start);
    uint32_t asked = l->acknowledged ? l->count : 0;
    if (l->errand)
        asked = agw_mcp_errand_drop(l->errand);
    if (f && !m_of(cr)->ending && cr->guest.caller)
        unsubscribe(l, asked);
    agw_list_remove(&l->node);
    if (f && agw_list_empty(&f->listeners))
        agw_loop_defer(m_of(cr)->loop, &f->end);
}
