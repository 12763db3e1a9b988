/* subscriptions/listen: one stream for the client, made of one a target. The filter goes to the targets that
 * it concerns, with their own URIs; what they agreed to becomes one acknowledgement.
 *
 * What a target announces before the acknowledgement is out, or may have announced while its stream was down,
 * is told afterwards: all these notifications say "look again", so telling once too often does no harm. */
#include "mcp/bridge/announce.h"
#include "mcp/exchange.h"
#include "mcp/modern/envelope.h"
#include "mcp/message/names.h"

enum state {
    NOT_ASKED,
    WAITING, /* for its acknowledgement */
    LIVE,
    OVER, /* it ended: to be asked again */
    GONE, /* it will not have it */
};

static const struct kind {
    struct agw_str filter, method;
} kinds[] = {
    {{"toolsListChanged", 16}, {"notifications/tools/list_changed", 32}},
    {{"promptsListChanged", 18}, {"notifications/prompts/list_changed", 34}},
    {{"resourcesListChanged", 20}, {"notifications/resources/list_changed", 36}},
};
#define KINDS 3
static const struct agw_str updated = {"notifications/resources/updated", 31};

struct resource {
    struct agw_str uri, own; /* the client's, the target's */
    uint32_t target;
    bool accepted, missed;
};

struct side {
    enum state state;
    uint8_t accepted, missed; /* bits of |kinds| */
};

struct agw_mcp_subscription {
    uint8_t wanted; /* bits of |kinds| */
    struct resource *resources;
    uint32_t count;
    struct side *sides; /* one a target */
    bool acknowledged;
    unsigned reopened;
};

static struct side *side_of(const struct agw_mcp_leg *leg)
{
    return &leg->x->subscription->sides[leg->target];
}

static void no_memory(struct agw_mcp_exchange *x)
{
    agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
}

/* --- filters --- */

/* A URI of the client; those that are nobody's are left out. */
static int add_resource(struct agw_mcp_exchange *x, uint32_t token)
{
    struct agw_mcp_subscription *sub = x->subscription;
    struct resource r = {0};
    int rc = agw_json_unescape(&x->doc, token, &x->arena, &r.uri);
    r.own = r.uri;
    if (rc == 0 && agw_mcp_uris_prefixed(x->conf))
        rc = agw_mcp_uri_split(x->conf, r.uri, &x->arena, &r.target, &r.own);
    if (rc == 0 && !agw_mcp_may_ask(&x->client.rights, agw_mcp_method_find(AGW_STR("resources/read")),
                                    &x->doc, 0, x->conf->targets[r.target].name, r.own))
        rc = AGW_ENOTFOUND;
    if (rc == 0)
        sub->resources[sub->count++] = r;
    return rc == AGW_ENOTFOUND ? 0 : rc;
}

/* AGW_EINVAL: no filter as it must be. AGW_ELIMIT: too many resources. */
static int read_filter(struct agw_mcp_exchange *x, uint32_t *ret_token)
{
    uint32_t params = x->message.params, filter = 0, n = 0;
    int rc = 0;
    if (agw_json_get_unique(&x->doc, params, AGW_STR("notifications"), &filter) != 0 || filter == 0 ||
        agw_json_type(&x->doc, filter) != AGW_JSON_OBJECT)
        return AGW_EINVAL;
    *ret_token = filter;
    x->subscription->wanted = agw_mcp_hears_filter(&x->doc, filter);
    uint32_t list = agw_json_get(&x->doc, filter, AGW_STR("resourceSubscriptions"));
    if (list == 0)
        return 0;
    if (agw_json_type(&x->doc, list) != AGW_JSON_ARRAY)
        return AGW_EINVAL;
    x->subscription->resources =
        agw_arena_zalloc(&x->arena, AGW_MCP_SUBSCRIBED_MAX * sizeof(struct resource));
    if (!x->subscription->resources)
        return AGW_ENOMEM;
    agw_json_each_item(&x->doc, list, item)
    {
        rc = n++ < AGW_MCP_SUBSCRIBED_MAX ? add_resource(x, item) : AGW_ELIMIT;
        if (rc != 0)
            break;
    }
    return rc;
}

static bool concerns(const struct agw_mcp_subscription *sub, uint32_t target)
{
    for (uint32_t i = 0; i < sub->count; i++)
        if (sub->resources[i].target == target)
            return true;
    return sub->wanted != 0;
}

static void write_kinds(struct agw_json_writer *w, uint8_t bits)
{
    for (unsigned k = 0; k < KINDS; k++) {
        if (!(bits & 1u << k))
            continue;
        agw_json_key(w, kinds[k].filter);
        agw_json_bool(w, true);
    }
}

/* The filter for |target|. p NULL: no memory. */
static struct agw_str filter_for(struct agw_mcp_exchange *x, uint32_t target)
{
    const struct agw_mcp_subscription *sub = x->subscription;
    struct agw_json_writer w;
    bool any = false;
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    write_kinds(&w, sub->wanted);
    for (uint32_t i = 0; i < sub->count; i++) {
        if (sub->resources[i].target != target)
            continue;
        if (!any) {
            agw_json_key(&w, AGW_STR("resourceSubscriptions"));
            agw_json_begin_array(&w);
        }
        any = true;
        agw_json_string(&w, sub->resources[i].own);
    }
    if (any)
        agw_json_end_array(&w);
    agw_json_end_object(&w);
    struct agw_str text = w.error ? agw_str(NULL, 0) : agw_arena_str(&x->arena, agw_json_writer_text(&w));
    agw_json_writer_free(&w);
    return text;
}

/* --- messages of our own --- */

static void begin_message(struct agw_mcp_exchange *x, struct agw_json_writer *w, struct agw_str method)
{
    agw_json_writer_init(w);
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    agw_json_key(w, AGW_STR("method"));
    agw_json_string(w, method);
    agw_json_key(w, AGW_STR("params"));
    agw_json_begin_object(w);
    agw_json_key(w, AGW_STR("_meta"));
    agw_json_begin_object(w);
    agw_json_put_raw(w, AGW_MCP_META_SUBSCRIPTION, x->id);
    agw_json_end_object(w);
}

static void send_message(struct agw_mcp_exchange *x, struct agw_json_writer *w)
{
    struct agw_chain body;
    agw_chain_init(&body);
    agw_json_end_object(w);
    agw_json_end_object(w);
    if (agw_json_writer_finish(w, 0, &body) != 0)
        agw_mcp_abort(x, AGW_ENOMEM);
    else
        agw_mcp_reply_event(x, &body, NULL, 0, false);
    agw_chain_clear(&body);
}

static void tell_resource(struct agw_mcp_exchange *x, struct resource *r)
{
    struct agw_json_writer w;
    r->missed = false;
    begin_message(x, &w, updated);
    agw_json_put_string(&w, "uri", r->uri);
    send_message(x, &w);
}

/* What somebody announced while the client could not be told. */
static void tell_missed(struct agw_mcp_exchange *x)
{
    struct agw_mcp_subscription *sub = x->subscription;
    struct agw_json_writer w;
    uint8_t bits = 0;
    for (uint32_t i = 0; i < x->conf->count; i++) {
        bits |= sub->sides[i].missed;
        sub->sides[i].missed = 0;
    }
    for (unsigned k = 0; k < KINDS; k++) {
        if (!(bits & 1u << k))
            continue;
        begin_message(x, &w, kinds[k].method);
        send_message(x, &w);
    }
    for (uint32_t i = 0; i < sub->count; i++)
        if (sub->resources[i].missed)
            tell_resource(x, &sub->resources[i]);
}

static void acknowledge(struct agw_mcp_exchange *x)
{
    struct agw_mcp_subscription *sub = x->subscription;
    struct agw_json_writer w;
    uint8_t bits = 0;
    bool any = false;
    for (uint32_t i = 0; i < x->conf->count; i++)
        bits |= sub->sides[i].accepted;
    begin_message(x, &w, AGW_STR("notifications/subscriptions/acknowledged"));
    agw_json_key(&w, AGW_STR("notifications"));
    agw_json_begin_object(&w);
    write_kinds(&w, bits);
    for (uint32_t i = 0; i < sub->count; i++) {
        if (!sub->resources[i].accepted)
            continue;
        if (!any) {
            agw_json_key(&w, AGW_STR("resourceSubscriptions"));
            agw_json_begin_array(&w);
        }
        any = true;
        agw_json_string(&w, sub->resources[i].uri);
    }
    if (any)
        agw_json_end_array(&w);
    agw_json_end_object(&w);
    sub->acknowledged = true;
    send_message(x, &w);
    tell_missed(x);
}

/* The end in good order: the client may ask anew. */
static void end_gracefully(struct agw_mcp_exchange *x)
{
    struct agw_json_writer w;
    struct agw_chain body;
    agw_chain_init(&body);
    agw_json_writer_init(&w);
    int rc = agw_mcp_write_listened(x->id, &w);
    if (agw_json_writer_finish(&w, rc, &body) != 0)
        agw_mcp_abort(x, AGW_ENOMEM);
    else
        agw_mcp_reply_message(x, &body);
    agw_chain_clear(&body);
}

/* --- what all targets together come to --- */

static unsigned count_state(const struct agw_mcp_exchange *x, enum state state)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < x->conf->count; i++)
        n += x->subscription->sides[i].state == state;
    return n;
}

static void settle(struct agw_mcp_exchange *x)
{
    struct agw_mcp_subscription *sub = x->subscription;
    if (x->out == AGW_MCP_OUT_ENDED || count_state(x, WAITING) > 0)
        return;
    bool live = count_state(x, LIVE) > 0, asked = count_state(x, NOT_ASKED) < x->conf->count;
    if (sub->acknowledged) {
        if (!live && count_state(x, OVER) == 0)
            end_gracefully(x);
        return;
    }
    for (uint32_t i = 0; asked && !live && i < x->conf->count; i++) {
        if (x->legs[i].failure.set) {
            agw_mcp_reply_failure(x, &x->legs[i]);
            return;
        }
    }
    acknowledge(x);
}

/* |code|: why, or 0 for what the target said itself. */
static void fail(struct agw_mcp_leg *leg, int code)
{
    struct agw_mcp_exchange *x = leg->x;
    bool first = !x->subscription->acknowledged;
    leg->failure.set = true;
    leg->failure.code = code;
    side_of(leg)->state = code == 0 ? GONE : OVER;
    if (first && !x->conf->fail_open && !agw_mcp_lacks_method(leg))
        agw_mcp_reply_failure(x, leg);
    else
        settle(x);
}

/* --- a target's messages --- */

static void take_resources(struct agw_mcp_leg *leg, uint32_t list)
{
    const struct agw_mcp_subscription *sub = leg->x->subscription;
    const struct agw_json_doc *doc = &leg->x->m->scratch;
    uint32_t n = 0;
    agw_json_each_item(doc, list, item)
    {
        if (n++ >= AGW_MCP_SUBSCRIBED_MAX)
            return;
        for (uint32_t i = 0; i < sub->count && agw_json_type(doc, item) == AGW_JSON_STRING; i++)
            if (sub->resources[i].target == leg->target && agw_json_is(doc, item, sub->resources[i].own))
                sub->resources[i].accepted = true;
    }
}

/* A stream that was opened again may have missed anything. */
static void miss_all(struct agw_mcp_leg *leg)
{
    const struct agw_mcp_subscription *sub = leg->x->subscription;
    agw_mcp_forget_lists(leg, AGW_MCP_CAP_LISTS);
    side_of(leg)->missed = side_of(leg)->accepted;
    for (uint32_t i = 0; i < sub->count; i++)
        if (sub->resources[i].target == leg->target)
            sub->resources[i].missed = sub->resources[i].accepted;
}

static void take_acknowledgement(struct agw_mcp_leg *leg, const struct agw_jsonrpc *message)
{
    const struct agw_json_doc *doc = &leg->x->m->scratch;
    struct agw_mcp_subscription *sub = leg->x->subscription;
    struct side *side = side_of(leg);
    uint32_t filter = message->params ? agw_json_get(doc, message->params, AGW_STR("notifications")) : 0;
    if (side->state != WAITING)
        return;
    side->state = LIVE;
    side->accepted = filter ? agw_mcp_hears_filter(doc, filter) & sub->wanted : 0;
    uint32_t list = filter ? agw_json_get(doc, filter, AGW_STR("resourceSubscriptions")) : 0;
    if (list != 0)
        take_resources(leg, list);
    if (sub->acknowledged) {
        miss_all(leg);
        tell_missed(leg->x);
    } else {
        settle(leg->x);
    }
}

static void note_missed(struct agw_mcp_leg *leg, const struct agw_jsonrpc *message)
{
    const struct agw_json_doc *doc = &leg->x->m->scratch;
    const struct agw_mcp_subscription *sub = leg->x->subscription;
    for (unsigned k = 0; k < KINDS; k++)
        if (agw_str_eq(message->method, kinds[k].method))
            side_of(leg)->missed |= (uint8_t)(1u << k);
    uint32_t uri = message->params ? agw_json_get(doc, message->params, AGW_STR("uri")) : 0;
    if (uri == 0 || agw_json_type(doc, uri) != AGW_JSON_STRING || !agw_str_eq(message->method, updated))
        return;
    for (uint32_t i = 0; i < sub->count; i++)
        if (sub->resources[i].target == leg->target && agw_json_is(doc, uri, sub->resources[i].own))
            sub->resources[i].missed = true;
}

static int take_notification(struct agw_mcp_leg *leg, const struct agw_mcp_frame *f,
                             const struct agw_jsonrpc *message)
{
    struct agw_chain body;
    struct agw_mcp_exchange *x = leg->x;
    if (agw_str_eq(message->method, AGW_STR("notifications/subscriptions/acknowledged"))) {
        take_acknowledgement(leg, message);
        return 0;
    }
    if (side_of(leg)->state != LIVE)
        return AGW_EPROTO; /* the acknowledgement must come first */
    if (!x->subscription->acknowledged) {
        note_missed(leg, message);
        return 0;
    }
    int rc = agw_mcp_edited(leg, f, message, &body);
    if (rc == 0)
        agw_mcp_reply_event(x, &body, NULL, leg->target, false);
    return rc;
}

static void on_frame(struct agw_mcp_call *c, const struct agw_mcp_frame *f)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_jsonrpc message;
    int rc = f->text.n ? agw_mcp_read_frame(leg, f, &message) : 0;
    if (rc == 0 && f->text.n == 0)
        return;
    if (rc == 0 && message.kind == AGW_JSONRPC_NOTIFICATION) {
        rc = take_notification(leg, f, &message);
    } else if (rc == 0 && message.kind == AGW_JSONRPC_ERROR) {
        leg->answered = leg->failure.set = true;
        rc = agw_chain_add(&leg->failure.body, f->block, f->text.p, f->text.n);
    } else if (rc == 0) {
        leg->answered = true; /* the target's own end in good order */
        rc = message.kind == AGW_JSONRPC_RESULT ? 0 : AGW_EPROTO;
    }
    if (rc == 0 || !c->running || leg->x->out == AGW_MCP_OUT_ENDED)
        return;
    agw_mcp_call_cancel(c);
    leg->x->running--;
    fail(leg, rc);
}

static void on_head(struct agw_mcp_call *c)
{
    if (c->form == AGW_MCP_FORM_RAW)
        AGW_MCP_LEG(c)->failure.response = c->response;
}

static void on_bytes(struct agw_mcp_call *c, struct agw_chain *data)
{
    agw_mcp_keep_error(AGW_MCP_LEG(c), data);
}

static void on_done(struct agw_mcp_call *c, int code)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct side *side = side_of(leg);
    if (!agw_mcp_leg_over(leg))
        return;
    if (code == 0 && (leg->failure.set || leg->failure.response)) {
        fail(leg, 0);
    } else if (side->state == WAITING) {
        fail(leg, code ? code : AGW_EPROTO);
    } else {
        side->state = OVER;
    }
}

static const struct agw_mcp_call_ops ops = {on_head, on_frame, on_bytes, on_done};

/* --- asking --- */

static int ask(struct agw_mcp_leg *leg, uint32_t filter)
{
    struct agw_mcp_exchange *x = leg->x;
    struct agw_json_edits edits;
    struct agw_chain body;
    struct agw_str text = filter_for(x, leg->target);
    if (!text.p)
        return AGW_ENOMEM;
    agw_json_edits_init(&edits, &x->arena);
    int rc = agw_json_edits_token(&edits, &x->doc, filter, text);
    if (rc == 0)
        rc = agw_mcp_request_body(x, &edits, &body);
    if (rc != 0)
        return rc;
    agw_chain_clear(&leg->failure.body);
    leg->failure.set = leg->answered = false;
    leg->failure.response = NULL;
    side_of(leg)->state = WAITING;
    leg->to_head = true;
    agw_mcp_start_leg(leg, &ops, AGW_METHOD_POST, &body, x->m->settings.fanout_ms);
    agw_chain_clear(&body);
    return 0;
}

/* A target that took the request and says nothing. */
static void on_silence(struct agw_timer *t)
{
    struct agw_mcp_exchange *x = agw_container_of(t, struct agw_mcp_exchange, keepalive);
    for (uint32_t i = 0; i < x->conf->count; i++) {
        struct agw_mcp_leg *leg = &x->legs[i];
        if (x->out == AGW_MCP_OUT_ENDED || side_of(leg)->state != WAITING || !agw_mcp_leg_busy(leg))
            continue;
        if (leg->cross)
            x->m->bridge->cancel(leg);
        agw_mcp_call_cancel(&leg->call);
        x->running--;
        fail(leg, AGW_ETIMEOUT);
    }
}

static int begin(struct agw_mcp_exchange *x)
{
    struct agw_mcp_subscription *sub = agw_arena_zalloc(&x->arena, sizeof *sub);
    uint32_t filter = 0;
    if (!sub || !(sub->sides = agw_arena_zalloc(&x->arena, x->conf->count * sizeof *sub->sides)))
        return AGW_ENOMEM;
    x->subscription = sub;
    int rc = agw_mcp_make_legs(x);
    if (rc == 0)
        rc = read_filter(x, &filter);
    for (uint32_t i = 0; rc == 0 && i < x->conf->count; i++)
        if (concerns(sub, i))
            rc = ask(&x->legs[i], filter);
    return rc;
}

void agw_mcp_subscribe(struct agw_mcp_exchange *x)
{
    int rc = begin(x);
    if (rc == AGW_EINVAL || rc == AGW_ELIMIT) {
        agw_mcp_reply_error(
            x, 200, AGW_JSONRPC_INVALID_PARAMS,
            rc == AGW_EINVAL ? AGW_STR("params.notifications must be a filter: an object")
                             : AGW_STR("params.notifications.resourceSubscriptions: too many, 256 at most"));
    } else if (rc != 0) {
        no_memory(x);
    } else {
        agw_timer_init(&x->keepalive, on_silence);
        agw_timer_set(&x->m->loop->timers, &x->keepalive, x->m->loop->now_ms + x->m->settings.fanout_ms);
        settle(x);
    }
}

void agw_mcp_subscribe_again(struct agw_mcp_exchange *x)
{
    struct agw_mcp_subscription *sub = x->subscription;
    uint32_t filter = agw_json_get(&x->doc, x->message.params, AGW_STR("notifications"));
    for (uint32_t i = 0; i < x->conf->count; i++) {
        if (sub->sides[i].state != OVER || x->legs[i].call.running)
            continue;
        if (sub->reopened++ >= AGW_MCP_REOPEN_MAX || ask(&x->legs[i], filter) != 0) {
            end_gracefully(x);
            return;
        }
    }
}
