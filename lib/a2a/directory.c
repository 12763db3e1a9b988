#include "a2a/directory.h"

#include <stdlib.h>
#include "base/map.h"
#include "client/fetch.h"
#include "http/msg.h"

struct entry {
    struct agw_list node; /* d->entries, the one used last at the end */
    struct agw_a2a_directory *d;
    struct agw_json_doc card; /* count 0: none yet; its text is |text| */
    char *text;
    uint64_t expires_ms; /* of the card, or of the failure to get one */

    struct agw_fetch fetch;
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

/* The card is whole: it takes the old one's place if it is one. */
static int take_card(struct entry *e)
{
    struct agw_json_doc card;
    struct agw_chain *body = &e->fetch.body;
    char *text = malloc(body->bytes + 1);
    if (!text)
        return AGW_ENOMEM;
    size_t n = agw_chain_peek(body, text, body->bytes);
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

static void on_fetched(struct agw_fetch *f, int code)
{
    struct entry *e = agw_container_of(f, struct entry, fetch);
    uint64_t now_ms = e->d->loop->now_ms;
    int status = f->head ? f->head->status : 0;
    if (status == 404 && !e->old_path) {
        e->old_path = true; /* by the next who asks, at once */
        e->expires_ms = 0;
    } else if (code == 0 && status == 200 && take_card(e) == 0) {
        e->expires_ms = now_ms + fresh_for(f->head);
    } else { /* nothing new is known: asked again after a while */
        e->expires_ms = now_ms + AGW_A2A_CARD_MS_MIN;
    }
    agw_chain_clear(&f->body);
    wake(e->d);
}

static void start(struct entry *e, const struct agw_endpoint *endpoint)
{
    struct agw_str path =
        e->old_path ? AGW_STR("/.well-known/agent.json") : AGW_STR("/.well-known/agent-card.json");
    if (agw_fetch_start(&e->fetch, endpoint, AGW_STR(""), path))
        e->expires_ms = e->d->loop->now_ms + AGW_A2A_CARD_MS_MIN;
}

/* --- entries --- */

static void entry_free(struct entry *e)
{
    agw_map_take(&e->d->by_key, agw_str(e->key, e->key_n));
    agw_list_remove(&e->node);
    e->d->count--;
    agw_json_doc_free(&e->card);
    free(e->text);
    agw_fetch_free(&e->fetch);
    free(e);
}

static struct entry *entry_new(struct agw_a2a_directory *d, struct agw_str key)
{
    struct entry *oldest = agw_list_entry(d->entries.next, struct entry, node);
    if (d->count >= AGW_A2A_CARDS_MAX && agw_fetch_running(&oldest->fetch)) /* somebody waits for it */
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
    agw_fetch_init(&e->fetch, d->loop, d->client, AGW_A2A_CARD_MAX, AGW_A2A_CARD_FETCH_MS, on_fetched);
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
    if (!agw_fetch_running(&e->fetch) && endpoint && d->loop->now_ms >= e->expires_ms)
        start(e, endpoint);
    if (e->card.count > 0) {
        *ret_card = &e->card;
        return AGW_A2A_CARD_HERE;
    }
    return agw_fetch_running(&e->fetch) ? AGW_A2A_CARD_COMING : AGW_A2A_CARD_UNKNOWN;
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
