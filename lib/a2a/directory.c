#include "a2a/directory.h"

#include <stdlib.h>
#include "base/map.h"
#include "http/msg.h"

struct entry {
    struct agw_list node; /* d->entries, the one used last at the end */
    struct agw_a2a_directory *d;
    struct agw_json_doc card; /* count 0: none yet; its text is |text| */
    char *text;
    uint64_t expires_ms; /* of the card, or of the failure to get one */

    /* the fetch under way; stream NULL: none */
    struct agw_stream *stream;
    struct agw_timer deadline;
    struct agw_arena arena;
    struct agw_chain body;
    uint32_t fresh_ms;
    bool old_path; /* the path of 0.2 is tried */

    size_t key_n;
    char key[];
};

struct agw_a2a_directory {
    struct agw_loop *loop;
    struct agw_client *client;
    struct agw_map by_key;
    struct agw_list entries, waiters;
    uint32_t count;
};

static void wake(struct agw_a2a_directory *d)
{
    struct agw_list waiting, *node;
    agw_list_move(&waiting, &d->waiters);
    while ((node = agw_list_pop(&waiting))) {
        struct agw_a2a_waiter *w = agw_list_entry(node, struct agw_a2a_waiter, node);
        w->ready(w);
    }
}

static void end_fetch(struct entry *e)
{
    agw_timer_cancel(&e->d->loop->timers, &e->deadline);
    agw_chain_clear(&e->body);
    e->stream = NULL;
}

/* Nothing new is known: asked again after a while. */
static void failed(struct entry *e)
{
    end_fetch(e);
    e->expires_ms = e->d->loop->now_ms + AGW_A2A_CARD_MS_MIN;
    wake(e->d);
}

static void on_deadline(struct agw_timer *t)
{
    struct entry *e = agw_container_of(t, struct entry, deadline);
    agw_stream_reset(e->stream, AGW_ETIMEOUT);
    failed(e);
}

/* max-age of Cache-Control (RFC 9111 section 5.2.2.1), within our limits. */
static uint32_t fresh_for(const struct agw_msg *resp)
{
    struct agw_str rest = agw_headers_value(&resp->headers, AGW_HDR_CACHE_CONTROL), one,
                   name = AGW_STR("max-age=");
    uint64_t seconds = AGW_A2A_CARD_MS / 1000;
    while (agw_str_split(&rest, ',', &one))
        if (one.n > name.n && agw_str_ieq(agw_str(one.p, name.n), name))
            agw_str_u64(agw_str_from(one, name.n), &seconds);
    if (seconds > AGW_A2A_CARD_MS_MAX / 1000)
        return AGW_A2A_CARD_MS_MAX;
    return seconds * 1000 < AGW_A2A_CARD_MS_MIN ? AGW_A2A_CARD_MS_MIN : (uint32_t)seconds * 1000;
}

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct entry *e = s->owner;
    if (msg->status < 200)
        return;
    if (msg->status == 200 && !end) {
        e->fresh_ms = fresh_for(msg);
        return;
    }
    agw_stream_reset(s, AGW_ECANCELED);
    e->stream = NULL;
    if (msg->status == 404 && !e->old_path) {
        end_fetch(e);
        e->old_path = true; /* by the next who asks, at once */
        e->expires_ms = 0;
        wake(e->d);
    } else {
        failed(e);
    }
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct entry *e = s->owner;
    size_t n = data->bytes;
    if (e->body.bytes + n <= AGW_A2A_CARD_MAX && agw_chain_move(&e->body, data) == 0) {
        agw_stream_consume(s, n);
        return;
    }
    agw_stream_reset(s, AGW_ELIMIT);
    failed(e);
}

/* The card is whole: it takes the old one's place if it is one. */
static int take_card(struct entry *e)
{
    struct agw_json_doc card;
    char *text = malloc(e->body.bytes + 1);
    if (!text)
        return AGW_ENOMEM;
    size_t n = agw_chain_peek(&e->body, text, e->body.bytes);
    agw_json_doc_init(&card, 0);
    int rc = agw_json_parse(&card, agw_str(text, n), NULL);
    if (rc == 0 && agw_json_type(&card, 0) != AGW_JSON_OBJECT)
        rc = AGW_EINVAL;
    if (rc) {
        agw_json_doc_free(&card);
        free(text);
        return rc;
    }
    agw_json_doc_free(&e->card);
    free(e->text);
    e->card = card;
    e->text = text;
    return 0;
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    struct entry *e = s->owner;
    (void)trailers;
    int rc = take_card(e);
    agw_stream_detach(s);
    if (rc) {
        failed(e);
        return;
    }
    end_fetch(e);
    e->expires_ms = e->d->loop->now_ms + e->fresh_ms;
    wake(e->d);
}

static void on_drain(struct agw_stream *s)
{
    (void)s;
}

static void on_close(struct agw_stream *s, int code)
{
    (void)code;
    failed(s->owner);
}

static const struct agw_stream_events events = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

static int make_head(struct entry *e, struct agw_msg *m, const struct agw_endpoint *to)
{
    char text[AGW_ADDR_TEXT];
    struct agw_str name = to->host;
    agw_msg_init(m, &e->arena);
    m->method = AGW_METHOD_GET;
    m->method_text = AGW_STR("GET");
    m->scheme = to->tls || to->own ? AGW_STR("https") : AGW_STR("http");
    m->path = e->old_path ? AGW_STR("/.well-known/agent.json") : AGW_STR("/.well-known/agent-card.json");
    m->authority = name.n > 0 ? agw_arena_printf(&e->arena, "%.*s:%u", AGW_STRF(name), to->port)
                              : agw_arena_str(&e->arena, agw_str(text, agw_addr_format(&to->addr, text)));
    return m->authority.p ? agw_headers_add_id(&m->headers, AGW_HDR_ACCEPT, AGW_STR("application/json"))
                          : AGW_ENOMEM;
}

static void start(struct entry *e, const struct agw_endpoint *endpoint)
{
    struct agw_loop *loop = e->d->loop;
    struct agw_msg head;
    agw_arena_reset(&e->arena);
    e->fresh_ms = AGW_A2A_CARD_MS;
    if (make_head(e, &head, endpoint) == 0)
        e->stream = agw_client_open(e->d->client, endpoint, &e->arena, &events, e);
    if (!e->stream) {
        e->expires_ms = loop->now_ms + AGW_A2A_CARD_MS_MIN;
        return;
    }
    agw_timer_set(&loop->timers, &e->deadline, loop->now_ms + AGW_A2A_CARD_FETCH_MS);
    agw_stream_write_head(e->stream, &head, true); /* a failure comes by on_close */
}

/* --- entries --- */

static void entry_free(struct entry *e)
{
    if (e->stream)
        agw_stream_reset(e->stream, AGW_ECANCELED);
    end_fetch(e);
    agw_map_take(&e->d->by_key, agw_str(e->key, e->key_n));
    agw_list_remove(&e->node);
    e->d->count--;
    agw_json_doc_free(&e->card);
    free(e->text);
    agw_arena_free(&e->arena);
    free(e);
}

static struct entry *entry_new(struct agw_a2a_directory *d, struct agw_str key)
{
    struct entry *oldest = agw_list_entry(d->entries.next, struct entry, node);
    if (d->count >= AGW_A2A_CARDS_MAX && oldest->stream) /* somebody waits for it */
        return NULL;
    if (d->count >= AGW_A2A_CARDS_MAX)
        entry_free(oldest);
    struct entry *e = calloc(1, sizeof(*e) + key.n);
    if (!e)
        return NULL;
    e->d = d;
    e->key_n = key.n;
    memcpy(e->key, key.p, key.n);
    agw_json_doc_init(&e->card, 0);
    agw_chain_init(&e->body);
    agw_arena_init(&e->arena, 1024, 0);
    agw_timer_init(&e->deadline, on_deadline);
    if (agw_map_put(&d->by_key, agw_str(e->key, e->key_n), e, NULL)) {
        free(e);
        return NULL;
    }
    agw_list_push(&d->entries, &e->node);
    d->count++;
    return e;
}

struct agw_a2a_directory *agw_a2a_directory_new(struct agw_loop *loop, struct agw_client *client)
{
    struct agw_a2a_directory *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->loop = loop;
    d->client = client;
    agw_map_init(&d->by_key);
    agw_list_init(&d->entries);
    agw_list_init(&d->waiters);
    return d;
}

void agw_a2a_directory_free(struct agw_a2a_directory *d)
{
    if (!d)
        return;
    while (!agw_list_empty(&d->entries))
        entry_free(agw_list_entry(d->entries.next, struct entry, node));
    agw_map_free(&d->by_key);
    free(d);
}

enum agw_a2a_known agw_a2a_directory_get(struct agw_a2a_directory *d, struct agw_str key,
                                         const struct agw_endpoint *endpoint,
                                         const struct agw_json_doc **ret_card)
{
    struct entry *e = agw_map_get(&d->by_key, key);
    if (!e && !(e = entry_new(d, key)))
        return AGW_A2A_CARD_UNKNOWN;
    agw_list_remove(&e->node);
    agw_list_push(&d->entries, &e->node);
    if (!e->stream && endpoint && d->loop->now_ms >= e->expires_ms)
        start(e, endpoint);
    if (e->card.count > 0) {
        *ret_card = &e->card;
        return AGW_A2A_CARD_HERE;
    }
    return e->stream ? AGW_A2A_CARD_COMING : AGW_A2A_CARD_UNKNOWN;
}

void agw_a2a_directory_wait(struct agw_a2a_directory *d, struct agw_a2a_waiter *w)
{
    agw_list_push(&d->waiters, &w->node);
}

void agw_a2a_directory_leave(struct agw_a2a_waiter *w)
{
    if (w->node.next)
        agw_list_remove(&w->node);
}
