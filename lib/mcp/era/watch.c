/* What servers of 2026-07-28 announce, for the GET stream of a client of old: the gateway opens
 * subscriptions/listen for it, with the lists that the server has and the resources that the client's session
 * has subscribed to (standing.c). Another filter is another stream, which takes the place of the one before
 * when it is acknowledged: nothing is missed in between, and the client is told to look again at what is new.
 */
#include "mcp/era/era_int.h"

#define SLOW_MS 250 /* a client that reads too slowly is looked at again */

/* One subscriptions/listen, in its own exchange's arena. */
struct hearing {
    struct agw_mcp_watch *w;
    struct agw_mcp_exchange *x;
    uint8_t lists; /* asked for; then acknowledged */
    struct agw_mcp_uri *uris;
    uint32_t count;
    bool refused;
};

struct agw_mcp_watch {
    struct agw_list node; /* in its session's standing */
    struct agw_mcp_crossing *cr;
    struct hearing *current, *next; /* acknowledged; asked for */
    bool dirty;                     /* there is yet another filter */
    bool told;                      /* the client's stream is open */
    struct agw_timer slow;
};

static void close_hearing(struct hearing *h)
{
    if (!h)
        return;
    h->x->own = NULL;
    agw_mcp_exchange_close(h->x, 0);
}

/* To the client, unless it has left meanwhile. |uri|: JSON. */
static bool announce(struct agw_mcp_watch *w, uint8_t bit, struct agw_str uri)
{
    struct agw_mcp_crossing *cr = w->cr;
    struct agw_json_writer writer;
    struct agw_chain body;
    agw_chain_init(&body);
    agw_json_writer_init(&writer);
    int rc = agw_mcp_write_announcement(bit, AGW_STR(""), uri, &writer);
    if (agw_json_writer_finish(&writer, rc, &body) == 0)
        agw_mcp_cross_give(cr, &body);
    else
        agw_mcp_abort(cr->leg->x, AGW_ENOMEM);
    agw_chain_clear(&body);
    return cr->watch == w;
}

static bool announce_resource(struct agw_mcp_watch *w, struct agw_str uri)
{
    struct agw_json_writer writer;
    agw_json_writer_init(&writer);
    agw_json_string(&writer, uri);
    struct agw_str text =
        writer.error ? agw_str(NULL, 0) : agw_arena_str(&w->current->x->arena, agw_json_writer_text(&writer));
    agw_json_writer_free(&writer);
    return text.p ? announce(w, AGW_MCP_HEARS_UPDATES, text) : true;
}

/* --- its messages --- */

static bool has(const struct hearing *h, struct agw_str uri)
{
    for (uint32_t i = 0; h && i < h->count; i++)
        if (h->uris[i].accepted && agw_str_eq(h->uris[i].text, uri))
            return true;
    return false;
}

static void take_acknowledgement(struct hearing *h, const struct agw_json_doc *doc, uint32_t filter)
{
    uint32_t list = filter ? agw_json_get(doc, filter, AGW_STR("resourceSubscriptions")) : 0, n = 0;
    h->lists &= agw_mcp_hears_filter(doc, filter);
    if (list == 0 || agw_json_type(doc, list) != AGW_JSON_ARRAY)
        return;
    agw_json_each_item(doc, list, item)
    {
        if (n++ >= AGW_MCP_SUBSCRIBED_MAX)
            return;
        for (uint32_t i = 0; i < h->count && agw_json_type(doc, item) == AGW_JSON_STRING; i++)
            if (agw_json_is(doc, item, h->uris[i].text))
                h->uris[i].accepted = true;
    }
}

/* |again|: anything may have been missed. */
static bool look_again(struct agw_mcp_watch *w, const struct hearing *old, bool again)
{
    const struct hearing *h = w->current;
    for (uint8_t bit = 1; again && bit & AGW_MCP_HEARS_LISTS; bit = (uint8_t)(bit << 1))
        if ((h->lists & bit) && !announce(w, bit, AGW_STR("")))
            return false;
    for (uint32_t i = 0; (again || old) && i < h->count; i++)
        if (h->uris[i].accepted && !has(old, h->uris[i].text) && !announce_resource(w, h->uris[i].text))
            return false;
    return true;
}

static void acknowledged(struct hearing *h)
{
    struct agw_mcp_watch *w = h->w;
    struct agw_mcp_crossing *cr = w->cr;
    struct hearing *old = w->current;
    bool first = !w->told;
    w->current = h;
    w->next = NULL;
    w->told = true;
    if (first) {
        cr->leg->call.form = AGW_MCP_FORM_EVENTS;
        cr->ops->on_head(&cr->leg->call);
    }
    if (cr->watch == w && !look_again(w, old, first && cr->leg->again))
        w = NULL;
    close_hearing(old);
    if (!w || cr->watch != w || !w->dirty)
        return;
    w->dirty = false;
    agw_mcp_watch_refresh(w);
}

static void on_slow(struct agw_timer *t)
{
    struct agw_mcp_watch *w = agw_container_of(t, struct agw_mcp_watch, slow);
    struct agw_mcp_exchange *x = w->cr->leg->x;
    if (x->down && agw_stream_pending(x->down) > AGW_STREAM_HIGH)
        agw_timer_set(&x->m->loop->timers, t, x->m->loop->now_ms + SLOW_MS);
    else if (w->current)
        agw_mcp_call_resume(&w->current->x->legs[w->cr->leg->target].call);
}

static void on_notification(struct hearing *h, struct agw_mcp_call *c, const struct agw_jsonrpc *message)
{
    struct agw_mcp_watch *w = h->w;
    struct agw_mcp *m = h->x->m;
    struct agw_mcp_exchange *x = w->cr->leg->x;
    struct agw_str uri = {0}, raw = AGW_STR("");
    uint8_t bit = agw_mcp_hears_of(message->method);
    uint32_t token = bit == AGW_MCP_HEARS_UPDATES && message->params
                         ? agw_json_get(&m->scratch, message->params, AGW_STR("uri"))
                         : 0;
    if (token != 0 && agw_json_unescape(&m->scratch, token, &m->scratch_arena, &uri) == 0)
        raw = agw_json_text(&m->scratch, token);
    if (bit == 0 || w->current != h || (bit == AGW_MCP_HEARS_UPDATES && raw.n == 0) ||
        !agw_mcp_hears_about(h->lists, h->uris, h->count, bit, uri))
        return;
    if (announce(w, bit, raw) && x->down && agw_stream_pending(x->down) > AGW_STREAM_HIGH) {
        agw_mcp_call_pause(c);
        agw_timer_set(&m->loop->timers, &w->slow, m->loop->now_ms + SLOW_MS);
    }
}

static void on_frame(struct agw_mcp_call *c, const struct agw_mcp_frame *f)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_json_doc *doc = &leg->x->m->scratch;
    struct hearing *h = leg->x->own;
    struct agw_jsonrpc message;
    if (!h || f->text.n == 0 || agw_mcp_read_frame(leg, f, &message) != 0)
        return;
    h->refused |= message.kind == AGW_JSONRPC_ERROR;
    if (message.kind != AGW_JSONRPC_NOTIFICATION)
        return;
    if (!agw_str_eq(message.method, AGW_STR("notifications/subscriptions/acknowledged"))) {
        on_notification(h, c, &message);
    } else if (h == h->w->next) {
        take_acknowledgement(
            h, doc, message.params ? agw_json_get(doc, message.params, AGW_STR("notifications")) : 0);
        acknowledged(h);
    }
}

static void on_head(struct agw_mcp_call *c)
{
    struct hearing *h = AGW_MCP_LEG(c)->x->own;
    if (h && c->form == AGW_MCP_FORM_RAW)
        h->refused = true;
}

static void on_bytes(struct agw_mcp_call *c, struct agw_chain *data)
{
    agw_chain_clear(data);
}

static void on_done(struct agw_mcp_call *c, int code)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct hearing *h = leg->x->own;
    if (!agw_mcp_leg_over(leg) || !h)
        return;
    struct agw_mcp_watch *w = h->w;
    struct agw_mcp_crossing *cr = w->cr;
    bool refused = h->refused;
    if (h == w->next)
        w->next = NULL;
    else
        w->current = NULL;
    close_hearing(h);
    if (w->current || w->next)
        return; /* the other one goes on */
    bool told = w->told;
    agw_mcp_watch_leave(cr);
    int rc = refused && !told ? agw_mcp_cross_no_stream(cr) : 0;
    if (!refused || told || rc < 0)
        agw_mcp_cross_finish(cr, told ? 0 : rc ? rc : code ? code : AGW_EPROTO);
}

static const struct agw_mcp_call_ops ops = {on_head, on_frame, on_bytes, on_done};

/* --- opening --- */

/* An exchange of our own for the client, with its target alone. NULL: no memory. */
static struct agw_mcp_exchange *own_exchange(const struct agw_mcp_exchange *x, uint32_t target)
{
    struct agw_mcp_exchange *own = agw_mcp_exchange_new(x->m, x->backend, x->snap);
    if (!own)
        return NULL;
    own->modern = true;
    own->session.count = x->conf->count;
    own->session.peers = agw_arena_zalloc(&own->arena, x->conf->count * sizeof *own->session.peers);
    if (!own->session.peers || agw_mcp_act_for(own, x) != 0 || agw_mcp_make_legs(own) != 0 ||
        !(own->legs[target].from = agw_mcp_plain_request(own, &own->arena))) {
        agw_mcp_exchange_close(own, AGW_ENOMEM);
        return NULL;
    }
    own->session.peers[target] = (struct agw_mcp_peer){
        .present = true, .version = AGW_MCP_MODERN, .pin = x->session.peers[target].pin};
    own->legs[target].plain = own->legs[target].to_head = true;
    own->legs[target].own_method = AGW_STR("subscriptions/listen");
    return own;
}

static int open_hearing(struct agw_mcp_watch *w)
{
    struct agw_mcp_exchange *x = w->cr->leg->x;
    uint32_t target = w->cr->leg->target;
    struct agw_mcp_exchange *own = own_exchange(x, target);
    struct hearing *h = own ? agw_arena_zalloc(&own->arena, sizeof *h) : NULL;
    struct agw_json_writer writer;
    struct agw_chain body;
    agw_chain_init(&body);
    int rc = h ? agw_mcp_standing_uris(x, target, &own->arena, &h->uris, &h->count) : AGW_ENOMEM;
    if (rc == 0) {
        *h = (struct hearing){.w = w, .x = own, .uris = h->uris, .count = h->count};
        h->lists = x->session.peers[target].caps & AGW_MCP_HEARS_LISTS;
        agw_json_writer_init(&writer);
        rc = agw_mcp_write_listen(x->session.client, h->lists, h->uris, h->count, &writer);
        rc = agw_json_writer_finish(&writer, rc, &body);
    }
    if (rc != 0) {
        if (own)
            agw_mcp_exchange_close(own, rc);
        return rc;
    }
    own->own = w->next = h;
    agw_mcp_start_leg(&own->legs[target], &ops, AGW_METHOD_POST, &body, x->m->settings.fanout_ms);
    agw_chain_clear(&body);
    return 0;
}

int agw_mcp_watch_begin(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_exchange *x = cr->leg->x;
    if (agw_mcp_ended_has(x->m, x->req) || x->m->watches >= AGW_MCP_HEARINGS_MAX)
        return agw_mcp_cross_no_stream(cr);
    struct agw_mcp_watch *w = cr->watch_room ? cr->watch_room : agw_arena_alloc(&x->arena, sizeof *w);
    if (!w)
        return AGW_ENOMEM;
    *w = (struct agw_mcp_watch){.cr = cr};
    cr->watch_room = w;
    agw_list_init(&w->node);
    agw_timer_init(&w->slow, on_slow);
    if (agw_mcp_standing_watch(x, &w->node) != 0)
        return AGW_ENOMEM;
    cr->watch = w;
    x->m->watches++;
    int rc = open_hearing(w);
    if (rc != 0) {
        agw_mcp_watch_leave(cr);
        return rc;
    }
    cr->pending = true;
    return 1;
}

void agw_mcp_watch_refresh(struct agw_mcp_watch *w)
{
    if (w->next)
        w->dirty = true;
    else
        (void)open_hearing(w); /* without memory: what is heard so far goes on */
}

struct agw_mcp_watch *agw_mcp_watch_at(struct agw_list *node)
{
    return agw_list_entry(node, struct agw_mcp_watch, node);
}

uint32_t agw_mcp_watch_target(const struct agw_mcp_watch *w)
{
    return w->cr->leg->target;
}

void agw_mcp_watch_end(struct agw_mcp_watch *w)
{
    struct agw_mcp_crossing *cr = w->cr;
    agw_mcp_watch_leave(cr);
    agw_mcp_cross_finish(cr, 0);
}

void agw_mcp_watch_leave(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_watch *w = cr->watch;
    struct agw_mcp *m = cr->leg->x->m;
    if (!w)
        return;
    cr->watch = NULL;
    m->watches--;
    agw_list_remove(&w->node);
    agw_timer_cancel(&m->loop->timers, &w->slow);
    if (m->ending)
        return; /* they went with the exchanges */
    close_hearing(w->current);
    close_hearing(w->next);
}
