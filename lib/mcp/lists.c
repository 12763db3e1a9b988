/* Lists that are kept: which answers of targets may be, and when they are served instead of asking.
 *
 * A target of 2026-07-28 says so itself, by ttlMs and cacheScope. One of an older revision says nothing of
 * the kind: its lists are kept for their session alone, and only while some worker reads a stream on which
 * the target has promised to announce changes. On a guess nothing is kept.
 *
 * Who reads such a stream tells the other workers by mail. That it has ended, or that a list has changed, is
 * told by a count that all see at once (hub.h). */
#include <stdlib.h>
#include <string.h>
#include "config/backend_auth.h"
#include "mcp/cache/view.h"
#include "mcp/exchange.h"
#include "mcp/message/found.h"
#include "mcp/virtual/search.h"

/* What a leg's answer would be kept as. */
struct agw_mcp_ticket {
    struct agw_mcp_list_key key;
    uint32_t epoch; /* when it was asked for */
};

static uint64_t subject_of(const struct agw_mcp_leg *leg, uint32_t kind)
{
    return leg->x->backend->serial << 16 ^ leg->target << 8 ^ kind;
}

/* The stream of the leg's session: another subject than all lists. */
static uint64_t stream_of(const struct agw_mcp_leg *leg)
{
    return agw_hash(agw_mcp_leg_peer(leg)->sid) ^ subject_of(leg, 0);
}

static uint32_t told(const struct agw_mcp_leg *leg, uint64_t subject)
{
    return agw_mcp_hub_told(agw_mcp_transports_hub(leg->x->m->transports), subject);
}

/* Another after each change that any worker has heard of, and after the end of each stream that tells of
 * them: counts only grow. */
static uint32_t epoch_of(const struct agw_mcp_leg *leg)
{
    uint32_t epoch = told(leg, subject_of(leg, leg->x->listing->cap));
    return leg->x->modern ? epoch : epoch + told(leg, stream_of(leg));
}

/* A token that the gateway took off the request goes to a target all the same: who asks is not in the fields
 * alone. */
static bool passes_token(const struct agw_mcp_exchange *x)
{
    bool found = x->client.auth && x->client.auth->passthrough;
    for (uint32_t i = 0; !found && i < x->conf->count; i++)
        found = x->conf->targets[i].auth && x->conf->targets[i].auth->passthrough;
    return found && x->client.token.n > 0;
}

/* Once an exchange. NULL: nothing of it can be kept. */
static const struct agw_mcp_view *view_of(struct agw_mcp_exchange *x)
{
    if (x->view || x->unseen)
        return x->view;
    bool own = x->wanted.n > 0; /* of the client's request only its _meta goes on, and that in one case */
    uint32_t params = x->message.params;
    x->unseen = !own && !agw_mcp_view_plain(&x->doc, params);
    if (x->unseen)
        return NULL;
    uint32_t meta = params && (x->modern || !own) ? agw_json_get(&x->doc, params, AGW_STR("_meta")) : 0;
    struct agw_mcp_view *view = agw_arena_alloc(&x->arena, sizeof *view);
    struct agw_str revision = x->modern ? x->version_text : agw_mcp_version_text(x->session.version);
    int rc = view ? agw_mcp_view_asker(&x->req->headers, agw_mcp_goes_on, &x->arena, view) : AGW_ENOMEM;
    if (rc == 0 && passes_token(x))
        rc = agw_mcp_view_mix(view->user, x->client.token, &x->arena);
    if (rc == 0)
        rc = agw_mcp_view_asked(&x->doc, meta, x->listing->name, revision, &x->arena, view);
    x->unseen = rc != 0;
    x->view = rc == 0 ? view : NULL;
    return x->view;
}

static bool is_watched(const struct agw_mcp_leg *leg)
{
    const struct agw_mcp_peer *peer = agw_mcp_leg_peer(leg);
    return peer && (peer->caps & AGW_MCP_CAP_ANNOUNCES) &&
           agw_mcp_lists_watched(leg->x->m->lists, leg->x->backend->serial, leg->target, peer->sid,
                                 told(leg, stream_of(leg)));
}

static struct agw_mcp_ticket *ticket_of(struct agw_mcp_leg *leg, struct agw_str cursor)
{
    struct agw_mcp_exchange *x = leg->x;
    bool kept = x->listing->cap != AGW_MCP_CAP_TASKS && (x->modern || is_watched(leg));
    const struct agw_mcp_view *view = kept ? view_of(x) : NULL;
    struct agw_mcp_ticket *t = view ? agw_arena_alloc(&x->arena, sizeof *t) : NULL;
    if (!t)
        return NULL;
    t->epoch = epoch_of(leg);
    t->key = (struct agw_mcp_list_key){x->backend->serial, leg->target, x->listing->cap};
    memcpy(t->key.asked, view->asked, sizeof view->asked);
    memcpy(t->key.asker, view->user, sizeof view->user);
    int rc = cursor.p ? agw_mcp_view_mix(t->key.asked, cursor, &x->arena) : 0;
    if (rc == 0 && !x->modern)
        rc = agw_mcp_view_mix(t->key.asker, agw_mcp_leg_peer(leg)->sid, &x->arena);
    return rc == 0 ? t : NULL;
}

static struct agw_mcp_listing *find(struct agw_mcp_exchange *x, const struct agw_mcp_ticket *t)
{
    uint64_t now = x->m->loop->now_ms;
    struct agw_mcp_listing *e = agw_mcp_lists_find(x->m->lists, &t->key, t->epoch, now);
    if (e || !x->modern)
        return e;
    struct agw_mcp_list_key key = t->key;
    memcpy(key.asker, x->view->anyone, sizeof key.asker);
    return agw_mcp_lists_find(x->m->lists, &key, t->epoch, now);
}

bool agw_mcp_take_kept(struct agw_mcp_leg *leg, struct agw_str cursor)
{
    struct agw_mcp_exchange *x = leg->x;
    leg->ticket = ticket_of(leg, cursor);
    struct agw_mcp_listing *e = leg->ticket ? find(x, leg->ticket) : NULL;
    x->asked += e == NULL;
    if (!e)
        return false;
    x->kept++;
    struct agw_mcp_page *page = agw_arena_zalloc(&x->arena, sizeof *page);
    if (!page) {
        agw_mcp_listing_unref(e);
        return false;
    }
    *page = (struct agw_mcp_page){.listing = e, .doc = e->doc, .result = e->result, .taken_ms = e->taken_ms};
    agw_mcp_add_page(leg, page);
    return true;
}

void agw_mcp_keep_list(struct agw_mcp_leg *leg, const struct agw_json_doc *doc, uint32_t result)
{
    struct agw_mcp_exchange *x = leg->x;
    struct agw_mcp_ticket *t = leg->ticket;
    uint64_t ttl = AGW_MCP_LISTS_TTL_MAX_MS;
    leg->ticket = NULL;
    if (!t || t->epoch != epoch_of(leg))
        return;
    if (x->modern) {
        struct agw_mcp_hint hint = agw_mcp_hint_read(doc, result);
        ttl = (uint64_t)hint.ttl_ms;
        if (!hint.is_private)
            memcpy(t->key.asker, x->view->anyone, sizeof t->key.asker);
    }
    agw_mcp_lists_keep(x->m->lists, &t->key, t->epoch, doc, result, x->m->loop->now_ms, ttl);
}

/* --- one target that keeps its own names --- */

/* Its own bytes, but for the request's id and what is left of its time. */
static int write_kept(struct agw_mcp_exchange *x, const struct agw_mcp_page *page, struct agw_chain *ret_body)
{
    const struct agw_json_doc *doc = &page->doc;
    uint32_t id = agw_json_get(doc, 0, AGW_STR("id")),
             ttl = agw_json_get(doc, page->result, AGW_STR("ttlMs"));
    int64_t left =
        agw_mcp_hint_read(doc, page->result).ttl_ms - (int64_t)(x->m->loop->now_ms - page->taken_ms);
    struct agw_json_edits edits;
    struct agw_json_writer w;
    agw_json_edits_init(&edits, &x->arena);
    int rc = id ? agw_json_edits_token(&edits, doc, id, x->id) : 0;
    if (rc == 0 && ttl != 0) {
        struct agw_str text = agw_arena_printf(&x->arena, "%lld", left > 0 ? (long long)left : 0);
        rc = text.p ? agw_json_edits_token(&edits, doc, ttl, text) : AGW_ENOMEM;
    }
    agw_json_writer_init_chain(&w, ret_body, &x->m->loop->blocks);
    if (rc == 0)
        rc = agw_json_edits_write(&edits, doc->text, 0, (uint32_t)doc->text.n, &w);
    return agw_json_writer_finish(&w, rc, NULL);
}

void agw_mcp_list_whole(struct agw_mcp_exchange *x)
{
    struct agw_str cursor = {0};
    struct agw_chain body;
    uint32_t token = x->message.params ? agw_json_get(&x->doc, x->message.params, AGW_STR("cursor")) : 0;
    bool plain = token == 0 || agw_json_unescape(&x->doc, token, &x->arena, &cursor) == 0;
    struct agw_mcp_leg *leg = agw_mcp_make_leg(x, 0);
    x->listing = x->method;
    if (!leg || !plain || !agw_mcp_take_kept(leg, cursor)) {
        agw_mcp_relay_whole(x, 0);
        return;
    }
    agw_chain_init(&body);
    x->report.target = x->conf->targets[0].name;
    if (write_kept(x, leg->pages, &body) != 0)
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
    else
        agw_mcp_reply_json(x, 200, &body);
    agw_chain_clear(&body);
}

/* --- changes --- */

/* Before the client hears of it: its next request may come in on any worker. */
void agw_mcp_forget_lists(struct agw_mcp_leg *leg, uint32_t kinds)
{
    struct agw_mcp_hub *hub = agw_mcp_transports_hub(leg->x->m->transports);
    for (uint32_t kind = 1; kind <= AGW_MCP_CAP_LISTS; kind <<= 1)
        if (kinds & kind)
            agw_mcp_hub_tell(hub, subject_of(leg, kind));
}

void agw_mcp_heed_change(struct agw_mcp_leg *leg, const struct agw_jsonrpc *message)
{
    static const struct {
        struct agw_str method;
        uint32_t kind;
    } known[] = {
        {{"notifications/tools/list_changed", 32}, AGW_MCP_CAP_TOOLS},
        {{"notifications/prompts/list_changed", 34}, AGW_MCP_CAP_PROMPTS},
        {{"notifications/resources/list_changed", 36}, AGW_MCP_CAP_RESOURCES},
    };
    for (size_t i = 0; message->kind == AGW_JSONRPC_NOTIFICATION && i < AGW_ARRAY_LEN(known); i++)
        if (agw_str_eq(message->method, known[i].method))
            agw_mcp_forget_lists(leg, known[i].kind);
}

/* --- streams --- */

struct opened {
    struct agw_mcp_mail mail; /* first */
    uint64_t backend;
    uint32_t target, epoch, n;
    char session[];
};

static void on_opened(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct opened *o = (struct opened *)mail;
    struct agw_mcp *m = t ? agw_mcp_transports_user(t) : NULL;
    if (m)
        agw_mcp_lists_watch(m->lists, o->backend, o->target, agw_str(o->session, o->n), o->epoch);
    free(o);
}

/* Who does not get the mail goes on asking. */
static void tell_opened(struct agw_mcp_leg *leg, struct agw_str session, uint32_t epoch)
{
    struct agw_mcp_hub *hub = agw_mcp_transports_hub(leg->x->m->transports);
    for (unsigned i = 0; agw_mcp_hub_has(hub, i); i++) {
        struct opened *o = i != leg->x->m->loop->index ? malloc(sizeof *o + session.n) : NULL;
        if (!o)
            continue;
        *o = (struct opened){.mail.deliver = on_opened,
                             .backend = leg->x->backend->serial,
                             .target = leg->target,
                             .epoch = epoch,
                             .n = (uint32_t)session.n};
        memcpy(o->session, session.p, session.n);
        agw_mcp_hub_send(hub, i, &o->mail);
    }
}

void agw_mcp_watch_lists(struct agw_mcp_leg *leg)
{
    const struct agw_mcp_peer *peer = agw_mcp_leg_peer(leg);
    if (leg->watching || !peer || !(peer->caps & AGW_MCP_CAP_ANNOUNCES) || peer->sid.n == 0)
        return;
    uint32_t epoch = told(leg, stream_of(leg));
    leg->watching = true;
    agw_mcp_lists_watch(leg->x->m->lists, leg->x->backend->serial, leg->target, peer->sid, epoch);
    tell_opened(leg, peer->sid, epoch);
}

void agw_mcp_unwatch_lists(struct agw_mcp_leg *leg)
{
    if (!leg->watching)
        return;
    leg->watching = false;
    agw_mcp_hub_tell(agw_mcp_transports_hub(leg->x->m->transports), stream_of(leg));
}

/* --- tools that are found, not listed --- */

/* |rc|: of what was written. */
static void reply_written(struct agw_mcp_exchange *x, struct agw_json_writer *w, int rc)
{
    struct agw_chain body;
    agw_chain_init(&body);
    if (agw_json_writer_finish(w, rc, &body) != 0)
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
    else
        agw_mcp_reply_message(x, &body);
    agw_chain_clear(&body);
}

static void refuse_arguments(struct agw_mcp_exchange *x, int rc, struct agw_str why)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    reply_written(x, &w, rc == AGW_ENOMEM ? rc : agw_mcp_found_refuse(why, x->id, x->modern, &w));
}

static int read_search(struct agw_mcp_exchange *x, struct agw_str *ret_query, uint32_t *ret_limit)
{
    return agw_mcp_search_read(x->conf, &x->doc, x->message.params, &x->arena, ret_query, ret_limit);
}

static void finish_search(struct agw_mcp_exchange *x)
{
    struct agw_str query;
    uint32_t count, limit;
    struct agw_json_writer w;
    struct agw_mcp_part *parts = agw_mcp_found_parts(x, &count);
    if (!parts)
        return;
    agw_json_writer_init(&w);
    int rc = read_search(x, &query, &limit);
    if (rc == 0)
        rc = agw_mcp_found_write(x->conf, parts, count, query, limit, x->id, x->modern, &x->arena, &w);
    if (rc == 0)
        agw_mcp_warn_of_missing(x);
    reply_written(x, &w, rc);
}

/* The call that call_tool stands for takes its place. Views of the first text live on: x->body holds it. */
static int unwrap(struct agw_mcp_exchange *x)
{
    struct agw_json_edits edits;
    struct agw_chain body;
    struct agw_block *block = NULL;
    struct agw_str text;
    struct agw_error err;
    agw_json_edits_init(&edits, &x->arena);
    int rc = agw_mcp_call_tool_edit(&x->doc, x->message.params, &edits);
    if (rc != 0)
        return rc;
    rc = agw_mcp_request_body(x, &edits, &body);
    if (rc == 0)
        rc = agw_chain_add(&x->body, x->block, x->text.p, x->text.n);
    if (rc == 0)
        rc = agw_chain_flatten(&body, &block, &text);
    agw_chain_clear(&body);
    if (rc != 0)
        return AGW_ENOMEM;
    agw_block_unref(x->block);
    x->block = block;
    x->text = text;
    if (agw_jsonrpc_read(&x->doc, text, &x->arena, &x->message, &err) != 0)
        return AGW_ENOMEM;
    x->id = agw_json_text(&x->doc, x->message.id);
    return 0;
}

bool agw_mcp_own_call(struct agw_mcp_exchange *x, struct agw_str name)
{
    struct agw_str query;
    uint32_t limit;
    int rc;
    if (agw_str_eq(name, AGW_STR(AGW_MCP_CALL_TOOL))) {
        rc = unwrap(x);
        if (rc != 0)
            refuse_arguments(x, rc, AGW_STR("name must be that of a tool, and arguments an object"));
        return rc == 0;
    }
    if (!agw_str_eq(name, AGW_STR(AGW_MCP_SEARCH_TOOL)))
        return true;
    rc = read_search(x, &query, &limit);
    if (rc != 0)
        refuse_arguments(x, rc, AGW_STR("query must be a string"));
    else
        agw_mcp_find(x, name, finish_search);
    return false;
}
