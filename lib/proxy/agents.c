/* What an exchange does for agents. A2A: cards are collected whole, their URLs pointed at the gateway, then
 * sent on; calls are looked at for the log. MCP: lib/mcp is the origin server behind the exchange, which
 * routes and accounts. */
#include <stdio.h>
#include "a2a/error.h"
#include "a2a/translate/card.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "http/date.h"
#include "http/uri.h"
#include "proxy/exchange_int.h"
#include "proxy/gateway.h"
#include "route/match.h"

/* --- A2A --- */
/* Cards are a few kilobytes; one with hundreds of skills stays below this. */
#define CARD_MAX (1024 * 1024)

/* What a client may know of a card goes by our bytes of it. */
static void ask_for_all(struct agw_exchange *x)
{
    struct agw_headers *h = &x->req->headers;
    const struct agw_header *known = agw_headers_find(h, AGW_STR("if-none-match"));
    x->agent->none_match = known ? known->value : AGW_STR("");
    agw_headers_remove(h, AGW_STR("if-none-match"));
    agw_headers_remove(h, AGW_STR("if-modified-since"));
    agw_headers_remove(h, AGW_STR("if-range"));
    agw_headers_remove(h, AGW_STR("range"));
}

static struct agw_exchange_agent *agent_of(struct agw_exchange *x)
{
    if (x->agent)
        return x->agent;
    x->agent = agw_arena_zalloc(x->ctx.arena, sizeof(*x->agent));
    if (!x->agent)
        return NULL;
    agw_chain_init(&x->agent->body);
    agw_a2a_watch_init(&x->agent->watch, x->req);
    agw_a2a_watch_request(&x->agent->watch, &x->held);
    return x->agent;
}

void agw_exchange_agent_free(struct agw_exchange *x)
{
    if (!x->agent)
        return;
    agw_chain_clear(&x->agent->body);
    agw_a2a_directory_leave(&x->agent->waiter);
    if (x->agent->relay)
        agw_a2a_relay_free(x->agent->relay);
}

int agw_exchange_agent_begin(struct agw_exchange *x)
{
    struct agw_exchange_agent *a = agent_of(x);
    if (!a)
        return AGW_ENOMEM;
    bool card =
        x->req->method == AGW_METHOD_GET && agw_a2a_card_paths(x->ctx.original_path, x->req->path, &a->base);
    a->answer = card ? AGW_AGENT_CARD : AGW_AGENT_PASS;
    if (card)
        ask_for_all(x);
    if (card || a->watch.call.binding != AGW_A2A_NONE) /* it is to be read here */
        agw_headers_remove_id(&x->req->headers, AGW_HDR_ACCEPT_ENCODING);
    return 0;
}

/* --- several agents, or replicas of one --- */

/* The agent that the route's reference |i| leads to; NULL: it leads to none. */
static const struct agw_backend *agent_at(const struct agw_exchange *x, uint32_t i)
{
    const struct agw_backend *b = agw_snapshot_backend(x->snap, x->ctx.route->backends[i].backend);
    return b->is_a2a ? b : NULL;
}

/* The same, if it may get new messages. */
static const struct agw_backend *open_agent_at(const struct agw_exchange *x, uint32_t i)
{
    return x->ctx.route->backends[i].weight > 0 ? agent_at(x, i) : NULL;
}

/* True if a later call could go to another agent or replica than this one. A service may get replicas at any
 * time. */
static bool shared(const struct agw_exchange *x)
{
    const struct agw_route *r = x->ctx.route;
    for (uint32_t i = 0; i < r->backend_count; i++) {
        const struct agw_backend *b = agent_at(x, i);
        if (b && (r->backend_count > 1 || b->endpoint_count > 1 || b->kind == AGW_BACKEND_SERVICE))
            return true;
    }
    return false;
}

/* The reference to the agent that |owner| is; NULL: it is none of this route's. */
static const struct agw_backend_ref *find_owner(const struct agw_exchange *x,
                                                const struct agw_a2a_owner *owner)
{
    const struct agw_route *r = x->ctx.route;
    for (uint32_t i = 0; i < r->backend_count; i++) {
        const struct agw_backend *b = agent_at(x, i);
        if (b && agw_a2a_agent_hash(b->key) == owner->agent)
            return &r->backends[i];
    }
    return NULL;
}

/* The agent's card, as it is known now. */
static enum agw_a2a_known card_of(struct agw_exchange *x, const struct agw_backend *b,
                                  const struct agw_json_doc **ret_card)
{
    struct agw_pick pick;
    agw_balance_pick(x->worker->balancer, b, NULL, &pick);
    agw_balance_release(x->worker->balancer, &pick);
    return agw_a2a_directory_get(x->worker->agents, b->key, pick.endpoint, ret_card);
}

/* True if the agent does not speak version |era| over this binding, but the other one. */
static bool is_foreign(const struct agw_json_doc *card, enum agw_a2a_binding binding, enum agw_a2a_era era)
{
    bool rest = binding == AGW_A2A_REST;
    unsigned speaks = agw_a2a_card_speaks(card, rest ? AGW_A2A_OVER_REST : AGW_A2A_OVER_JSONRPC);
    return speaks != 0 && !(speaks & 1u << era);
}

static bool is_translated(const struct agw_a2a_call *call)
{
    return call->binding == AGW_A2A_JSONRPC ||
           (call->binding == AGW_A2A_REST && call->method != AGW_A2A_GET_EXTENDED_CARD);
}

/* By A2A-Version, whose absence means 0.3; but a client of HTTP+JSON without it that does not ask below /v1
 * is one of 1.0, too. */
static enum agw_a2a_era era_of(const struct agw_exchange *x, const struct agw_a2a_call *call)
{
    const struct agw_header *version = agw_headers_find(&x->req->headers, AGW_STR("a2a-version"));
    bool told = version && version->value.n > 0;
    bool newer =
        told ? !agw_str_starts(version->value, AGW_STR("0.")) : call->binding == AGW_A2A_REST && !call->old;
    return newer ? AGW_A2A_ERA_10 : AGW_A2A_ERA_03;
}

/* True if the call may have to be translated for the route's one agent. Of JSON-RPC the method is not known
 * yet. */
static bool may_be_foreign(struct agw_exchange *x)
{
    const struct agw_backend *b = x->ctx.route->backend_count == 1 ? agent_at(x, 0) : NULL;
    struct agw_exchange_agent *a = b ? agent_of(x) : NULL;
    const struct agw_json_doc *card;
    if (!a || !is_translated(&a->watch.call) || x->req->length > (int64_t)AGW_A2A_REQUEST_MAX)
        return false;
    enum agw_a2a_known known = card_of(x, b, &card);
    return known == AGW_A2A_CARD_COMING ||
           (known == AGW_A2A_CARD_HERE && is_foreign(card, a->watch.call.binding, era_of(x, &a->watch.call)));
}

bool agw_exchange_agent_holds(struct agw_exchange *x)
{
    if (x->agent && x->agent->relay)
        return true; /* the step runs again */
    bool sealed = shared(x);
    struct agw_exchange_agent *a = sealed || may_be_foreign(x) ? agent_of(x) : NULL;
    if (!a || (a->watch.call.binding != AGW_A2A_JSONRPC && a->watch.call.binding != AGW_A2A_REST))
        return false;
    a->relay = agw_arena_alloc(x->ctx.arena, sizeof(*a->relay));
    if (!a->relay)
        return false; /* it goes anywhere, or has no memory there, either */
    agw_a2a_relay_init(a->relay, sealed ? x->worker->gateway->task_ids : NULL, &x->worker->loop.blocks);
    agw_exchange_say_continue(x);
    return true;
}

static void hold_all(struct agw_exchange *x)
{
    x->credited = x->held.bytes; /* the client was given credit for all that it sent */
    if (x->req->length != 0)
        x->req->length = (int64_t)x->held.bytes;
}

/* The message as its agent is to get it, and whose it is. 0 or a status. */
static int read_request(struct agw_exchange *x, struct agw_a2a_claim *claim)
{
    struct agw_exchange_agent *a = x->agent;
    struct agw_a2a_call call = agw_a2a_watch_call(&a->watch);
    if (agw_a2a_relay_request(a->relay, &call, &x->held, x->ctx.arena, claim, &a->need) ||
        (a->relay->key &&
         agw_a2a_path_up(a->relay->key, &call, x->req->path, x->ctx.arena, claim, &x->req->path)))
        return 503;
    hold_all(x);
    return 0;
}

/* How well the agent fits what is asked; COMING in *ret_known: ask again. Of whom nothing is known, much is
 * hoped. */
static enum agw_a2a_fit fit_of(struct agw_exchange *x, const struct agw_backend *b,
                               enum agw_a2a_known *ret_known)
{
    const struct agw_json_doc *card;
    *ret_known = card_of(x, b, &card);
    return *ret_known == AGW_A2A_CARD_HERE ? agw_a2a_fits(card, &x->agent->need) : AGW_A2A_FITS_PARTLY;
}

static void on_cards(struct agw_a2a_waiter *w)
{
    agw_exchange_run(agw_container_of(w, struct agw_exchange_agent, waiter)->exchange);
}

static int ask_again(struct agw_exchange *x)
{
    struct agw_exchange_agent *a = x->agent;
    a->asking = true;
    a->exchange = x;
    a->waiter.ready = on_cards;
    agw_a2a_directory_wait(x->worker->agents, &a->waiter);
    return AGW_AGENT_ASKING;
}

/* By weight among those that fit best. */
static int choose_agent(struct agw_exchange *x, const char **ret_why)
{
    struct agw_exchange_agent *a = x->agent;
    const struct agw_route *r = x->ctx.route;
    enum agw_a2a_fit best = AGW_A2A_FITS_NOT;
    uint32_t total = 0;
    bool coming = false;
    for (uint32_t i = 0; i < r->backend_count; i++) {
        enum agw_a2a_known known;
        const struct agw_backend *b = open_agent_at(x, i);
        enum agw_a2a_fit fit = b ? fit_of(x, b, &known) : AGW_A2A_FITS_NOT;
        coming |= b && known == AGW_A2A_CARD_COMING;
        if (fit == AGW_A2A_FITS_NOT || fit < best)
            continue;
        total = fit > best ? 0 : total;
        best = fit;
        total += r->backends[i].weight;
        if (agw_rng_below(&x->worker->loop.rng, total) < r->backends[i].weight)
            a->ref = &r->backends[i];
    }
    if (coming)
        return ask_again(x);
    *ret_why = "no agent here has the skill that the message asks for";
    a->error = -32004; /* UnsupportedOperationError */
    return best == AGW_A2A_FITS_NOT ? 400 : 0;
}

/* True if one of several agents is to be chosen: for a new message, and for a call of no known owner, which
 * may have to be translated. */
static bool to_choose(const struct agw_exchange *x)
{
    struct agw_a2a_call call = agw_a2a_watch_call(&x->agent->watch);
    bool message = call.method == AGW_A2A_SEND_MESSAGE || call.method == AGW_A2A_SEND_STREAMING_MESSAGE;
    uint32_t agents = 0;
    for (uint32_t i = 0; i < x->ctx.route->backend_count; i++)
        agents += open_agent_at(x, i) != NULL;
    return agents > 1 && (message || (is_translated(&call) && call.method > AGW_A2A_METHOD_OTHER));
}

static int translate_rest(struct agw_exchange *x, const struct agw_a2a_call *call, enum agw_a2a_era to)
{
    int rc = agw_a2a_rest_path(x->req->path, call->method, to == AGW_A2A_ERA_03, x->ctx.arena, &x->req->path);
    if (rc == 0)
        rc = agw_a2a_relay_translate_rest(x->agent->relay, call, to, &x->held);
    if (rc == 0 && x->held.bytes > 0) /* 0.3 knows no other one */
        rc = agw_headers_set_id(&x->req->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("application/json"));
    return rc;
}

/* 0 or a status. */
static int translate(struct agw_exchange *x, const struct agw_a2a_call *call, enum agw_a2a_era to,
                     const char **ret_why)
{
    int rc = call->binding == AGW_A2A_REST ? translate_rest(x, call, to)
                                           : agw_a2a_relay_translate(x->agent->relay, to, &x->held);
    if (rc == 0)
        rc = agw_headers_set(&x->req->headers, AGW_STR("a2a-version"),
                             to == AGW_A2A_ERA_10 ? AGW_STR("1.0") : AGW_STR("0.3"));
    hold_all(x);
    if (rc == AGW_EUNSUPPORTED) {
        *ret_why = "the agent speaks another version of A2A, which has no such method";
        x->agent->error = -32004; /* UnsupportedOperationError */
        return 400;
    }
    return rc ? 503 : 0;
}

/* The call in the version that its agent speaks. 0, a status, or ASKING. */
static int adapt(struct agw_exchange *x, const char **ret_why)
{
    struct agw_exchange_agent *a = x->agent;
    const struct agw_route *r = x->ctx.route;
    const struct agw_backend_ref *ref = a->ref ? a->ref : r->backend_count == 1 ? &r->backends[0] : NULL;
    const struct agw_backend *b = ref ? agw_snapshot_backend(x->snap, ref->backend) : NULL;
    struct agw_a2a_call call = agw_a2a_watch_call(&a->watch);
    enum agw_a2a_era era = call.binding == AGW_A2A_REST ? era_of(x, &call)
                           : call.old                   ? AGW_A2A_ERA_03
                                                        : AGW_A2A_ERA_10;
    const struct agw_json_doc *card;
    a->chosen = true;
    if (!b || !b->is_a2a || !is_translated(&call) || call.method <= AGW_A2A_METHOD_OTHER)
        return 0;
    enum agw_a2a_known known = card_of(x, b, &card);
    if (known == AGW_A2A_CARD_COMING)
        return ask_again(x);
    *ret_why = "out of memory";
    return known == AGW_A2A_CARD_HERE && is_foreign(card, call.binding, era)
               ? translate(x, &call, era == AGW_A2A_ERA_10 ? AGW_A2A_ERA_03 : AGW_A2A_ERA_10, ret_why)
               : 0;
}

/* Who gets the call: 0, a status, or ASKING. */
static int find(struct agw_exchange *x, const char **ret_why)
{
    struct agw_exchange_agent *a = x->agent;
    struct agw_a2a_claim claim = {.by = AGW_A2A_CLAIM_NONE};
    *ret_why = "out of memory";
    if (!a->asking && read_request(x, &claim))
        return 503;
    if (claim.by == AGW_A2A_CLAIM_NONE)
        return to_choose(x) ? choose_agent(x, ret_why) : 0;
    a->ref = find_owner(x, &claim.owner);
    a->replica = claim.owner.replica;
    *ret_why = "the task's agent is not served here";
    return a->ref ? 0 : 404;
}

int agw_exchange_agent_find(struct agw_exchange *x, const char **ret_why)
{
    int status = x->agent->chosen ? 0 : find(x, ret_why);
    return status ? status : adapt(x, ret_why);
}

void agw_exchange_agent_collect(struct agw_exchange *x, struct agw_chain *data)
{
    size_t n = data->bytes;
    uint32_t own = x->conn->limits->buffer_max;
    if (x->held.bytes + n > (own ? own : AGW_A2A_REQUEST_MAX))
        agw_exchange_fail(x, 413, "the message is too large to be routed");
    else if (agw_chain_move(&x->held, data))
        agw_exchange_fail(x, 503, "out of memory");
    else {
        agw_stream_consume(x->down, n);
        return;
    }
    agw_exchange_run(x);
}

/* --- answers --- */

static void map_answer(struct agw_exchange *x)
{
    struct agw_exchange_agent *a = x->agent;
    struct agw_str type = agw_headers_value(&x->resp->headers, AGW_HDR_CONTENT_TYPE);
    struct agw_a2a_owner owner = {agw_a2a_agent_hash(x->ctx.backend->key), agw_balance_token(x->endpoint)};
    agw_a2a_relay_answer(a->relay, &owner, a->watch.call.binding == AGW_A2A_JSONRPC);
    if (agw_str_starts(type, AGW_STR("text/event-stream")))
        a->answer = AGW_AGENT_EVENTS;
    else if (agw_str_starts(type, AGW_STR("application/json")) ||
             agw_str_starts(type, AGW_STR("application/a2a+json")))
        a->answer = AGW_AGENT_JSON;
    else
        return;
    x->resp->length = AGW_LENGTH_UNKNOWN;
    /* 0.3 knows no other type. Where memory is out the agent's stays: it is JSON by either name. */
    if (a->answer == AGW_AGENT_JSON && a->relay->rest && a->relay->era == AGW_A2A_ERA_03)
        agw_headers_set_id(&x->resp->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("application/json"));
}

bool agw_exchange_agent_head(struct agw_exchange *x)
{
    struct agw_exchange_agent *a = x->agent;
    agw_a2a_watch_head(&a->watch, x->resp);
    if (x->resp_end)
        a->answer = AGW_AGENT_PASS;
    else if (a->answer == AGW_AGENT_CARD && x->status != 200)
        a->answer = AGW_AGENT_PASS;
    else if (a->answer == AGW_AGENT_PASS && x->status == 200 && agw_a2a_watch_asks_card(&a->watch)) {
        agw_a2a_call_paths(x->ctx.original_path, x->req->path, &a->base);
        a->answer = AGW_AGENT_CARD;
    } else if (a->answer == AGW_AGENT_PASS && a->relay && (a->relay->key || a->relay->translates))
        map_answer(x);
    return a->answer == AGW_AGENT_CARD || a->answer == AGW_AGENT_JSON;
}

/* False: x has failed. */
static bool collect(struct agw_exchange *x, struct agw_chain *data)
{
    struct agw_exchange_agent *a = x->agent;
    size_t n = data->bytes, max = a->answer == AGW_AGENT_CARD ? CARD_MAX : AGW_A2A_ANSWER_MAX;
    if (x->conn->limits->buffer_max)
        max = x->conn->limits->buffer_max;
    if (a->body.bytes + n > max) {
        agw_exchange_fail(
            x, 502, a->answer == AGW_AGENT_CARD ? "the agent card is too large" : "the answer is too large");
        return false;
    }
    if (agw_chain_move(&a->body, data)) {
        agw_exchange_fail(x, 503, "out of memory");
        return false;
    }
    agw_stream_consume(x->up, n);
    return true;
}

bool agw_exchange_agent_body(struct agw_exchange *x, struct agw_chain *data)
{
    struct agw_exchange_agent *a = x->agent;
    agw_a2a_watch_answer(&a->watch, data);
    if (a->answer == AGW_AGENT_PASS)
        return false;
    if (a->answer == AGW_AGENT_EVENTS) {
        if (agw_a2a_relay_events(a->relay, data) == 0)
            return false;
        agw_exchange_fail(x, 502, "the agent's events cannot be read");
    } else if (collect(x, data)) {
        return true;
    }
    agw_exchange_run(x);
    return true;
}

/* The first of the list that proxies before us wrote; the exchange has removed what others did. */
static struct agw_str forwarded(const struct agw_exchange *x, enum agw_hdr field)
{
    struct agw_str rest = agw_headers_value(&x->req->headers, field), first = {NULL, 0};
    agw_str_split(&rest, ',', &first);
    return first;
}

/* *card for clients of both versions, as calls of both are served. */
static int for_both(struct agw_exchange *x, struct agw_str *card, struct agw_error *err)
{
    struct agw_json_writer w;
    struct agw_json_doc doc;
    struct agw_str text = {NULL, 0};
    agw_json_writer_init(&w);
    agw_json_doc_init(&doc, 0);
    int rc = agw_json_parse(&doc, *card, err);
    if (rc == 0 && agw_a2a_card_lacks(&doc)) {
        rc = agw_a2a_card_for_both(&doc, &w);
        if (rc == 0 && (rc = agw_json_writer_end(&w)) == 0)
            text = agw_arena_str(x->ctx.arena, agw_json_writer_text(&w));
        if (text.p)
            *card = text;
        else
            rc = agw_error_set(err, AGW_ENOMEM, "out of memory");
    }
    agw_json_writer_free(&w);
    agw_json_doc_free(&doc);
    return rc;
}

static int rewrite(struct agw_exchange *x, struct agw_str *ret_card, struct agw_error *err)
{
    struct agw_exchange_agent *a = x->agent;
    struct agw_str host = forwarded(x, AGW_HDR_X_FORWARDED_HOST), name, port;
    struct agw_str proto = forwarded(x, AGW_HDR_X_FORWARDED_PROTO);
    bool https = x->ctx.tls || agw_str_ieq(proto, AGW_STR("https"));
    char *flat = agw_arena_alloc(x->ctx.arena, a->body.bytes + 1);
    a->base.scheme = https ? AGW_STR("https") : AGW_STR("http");
    a->base.authority =
        host.n > 0 && agw_authority_split(host, &name, &port) == 0 ? host : x->ctx.original_authority;
    if (!flat)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    size_t n = agw_chain_peek(&a->body, flat, a->body.bytes);
    int rc = agw_a2a_rewrite_card(agw_str(flat, n), agw_a2a_watch_asks_card(&a->watch), &a->base,
                                  x->ctx.arena, ret_card, err);
    return rc || agw_a2a_watch_asks_card(&a->watch) ? rc : for_both(x, ret_card, err);
}

/* Strong, the same at every replica: the bytes are. p NULL: no memory. */
static struct agw_str tag_of(struct agw_str card, struct agw_arena *arena)
{
    unsigned char digest[AGW_SHA256_SIZE];
    uint64_t half;
    if (agw_sha256(card, digest))
        return (struct agw_str){NULL, 0};
    memcpy(&half, digest, sizeof(half));
    return agw_arena_printf(arena, "\"%016llx\"", (unsigned long long)half);
}

/* RFC 9110 section 13.1.2: weak comparison. */
static bool known(struct agw_str none_match, struct agw_str tag)
{
    struct agw_str one;
    while (agw_str_split(&none_match, ',', &one)) {
        if (agw_str_starts(one, AGW_STR("W/")))
            one = agw_str_from(one, 2);
        if (agw_str_eq(one, AGW_STR("*")) || agw_str_eq(one, tag))
            return true;
    }
    return false;
}

/* The head for our bytes of the card. A cache may keep what the agent lets it keep; of one that says nothing,
 * and of extended cards, it has to ask again. AGW_ENOMEM. */
static int card_head(struct agw_exchange *x, struct agw_str card)
{
    struct agw_headers *h = &x->resp->headers;
    bool extended = x->agent->watch.call.binding != AGW_A2A_NONE;
    struct agw_str tag = tag_of(card, x->ctx.arena);
    if (!tag.p)
        return AGW_ENOMEM;
    agw_headers_remove(h, AGW_STR("etag"));
    agw_headers_remove(h, AGW_STR("last-modified"));
    agw_headers_remove(h, AGW_STR("content-digest"));
    agw_headers_remove(h, AGW_STR("repr-digest"));
    x->resp->length = (int64_t)card.n;
    if (x->req->method != AGW_METHOD_GET)
        return 0;
    if (known(x->agent->none_match, tag))
        x->resp->status = x->status = 304;
    if (!agw_headers_get(h, AGW_HDR_CACHE_CONTROL) &&
        agw_headers_add_id(h, AGW_HDR_CACHE_CONTROL,
                           extended ? AGW_STR("private, no-cache") : AGW_STR("no-cache")))
        return AGW_ENOMEM;
    return agw_headers_set(h, AGW_STR("etag"), tag);
}

/* The head with |data|, all of the body, and the end. */
static void send_all(struct agw_exchange *x, struct agw_chain *data)
{
    bool bare = x->status == 304 || data->bytes == 0;
    x->bytes_out = bare ? 0 : data->bytes;
    x->resp_head = true;
    if (agw_stream_write_head(x->down, x->resp, bare) == 0 && !bare &&
        agw_stream_write_body(x->down, data) == 0)
        agw_stream_write_end(x->down, NULL);
}

static void send_card(struct agw_exchange *x)
{
    struct agw_error err = {0};
    struct agw_str card;
    struct agw_chain data;
    agw_chain_init(&data);
    if (rewrite(x, &card, &err)) {
        agw_warn("a2a", "agent card of %.*s: %s", AGW_STRF(x->ctx.backend->name), err.text);
        agw_exchange_fail(x, 502, "the agent card is not valid");
    } else if (card_head(x, card) || agw_chain_copy(&data, &x->worker->loop.blocks, card.p, card.n)) {
        agw_exchange_fail(x, 503, "out of memory");
    } else {
        send_all(x, &data);
    }
    agw_chain_clear(&data);
}

static void send_json(struct agw_exchange *x)
{
    struct agw_exchange_agent *a = x->agent;
    if (agw_a2a_relay_json(a->relay, &a->body)) {
        agw_exchange_fail(x, 503, "out of memory");
        return;
    }
    x->resp->length = (int64_t)a->body.bytes;
    send_all(x, &a->body);
}

bool agw_exchange_agent_end(struct agw_exchange *x)
{
    int answer = x->agent->answer;
    x->agent->answer = AGW_AGENT_PASS;
    if (answer == AGW_AGENT_CARD)
        send_card(x);
    else if (answer == AGW_AGENT_JSON)
        send_json(x);
    return answer == AGW_AGENT_CARD || answer == AGW_AGENT_JSON;
}

int agw_exchange_agent_reply(struct agw_exchange *x, struct agw_msg *m, struct agw_str *body)
{
    if (!x->agent || m->status < 400 || !x->reason)
        return 0;
    struct agw_str text =
        agw_a2a_error_body(&x->agent->watch, m->status, x->agent->error, agw_str_c(x->reason), x->ctx.arena);
    if (!text.p)
        return AGW_ENOMEM;
    if (text.n == 0)
        return 0; /* gRPC's, or no call */
    *body = text;
    return agw_headers_set_id(&m->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("application/json"));
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
    const struct agw_mcp_client client = {
        .hooks = &hooks,
        .ctx = x,
        .origin = {.authority = x->ctx.original_authority,
                   .named = agw_headers_value(&x->req->headers, AGW_HDR_ORIGIN).n > 0 &&
                            agw_host_named(x->ctx.listener, x->ctx.original_authority),
                   .allowed = x->ctx.cors_origin.n > 0},
        .rights = {.caller = {.req = x->req, .claims = x->ctx.claims},
                   .sets = x->ctx.access,
                   .count = x->ctx.access_count},
        .auth = x->ctx.backend_auth,
        .token = x->ctx.token,
    };
    uint32_t ms = shorter(x->ctx.request_timeout_ms, x->ctx.backend_timeout_ms);
    agw_mcp_body_max(m, x->conn->limits->buffer_max);
    int rc = agw_mcp_handle(m, x->ctx.backend, x->snap, x->down, x->req, &x->held, x->req_end, &client);
    if (rc)
        return rc;
    /* The stream is no longer ours to answer on. */
    agw_timer_cancel(&x->worker->loop.timers, &x->request_timer);
    if (ms)
        agw_mcp_set_deadline(x->down, ms);
    return 0;
}
