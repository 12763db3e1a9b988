/* What a client of old says once, for all its requests to servers of 2026-07-28: there is nobody to keep it
 * but the gateway. Each worker of the process knows; other replicas, and this one after a restart, do not.
 * And its word about a request that is under way, on whatever worker. */
#include <stdlib.h>
#include "mcp/bridge/level.h"
#include "mcp/era/era_int.h"

struct standing {
    struct agw_list node; /* in m->standing_list, the least recently used first */
    char key[AGW_SHA256_SIZE];
    agw_mcp_level level;
};

static struct agw_str key_of(const struct standing *s)
{
    return agw_str(s->key, sizeof s->key);
}

static struct agw_str session_of(const struct agw_mcp_exchange *x)
{
    return agw_headers_value(&x->req->headers, AGW_HDR_MCP_SESSION_ID);
}

static void drop(struct agw_mcp *m, struct standing *s)
{
    agw_map_take(&m->standings, key_of(s));
    agw_list_remove(&s->node);
    free(s);
}

/* NULL: nothing is known, or no memory. */
static struct standing *find(struct agw_mcp *m, const char key[AGW_SHA256_SIZE], bool make)
{
    struct standing *s = agw_map_get(&m->standings, agw_str(key, AGW_SHA256_SIZE));
    if (!s && make) {
        if (m->standings.count >= AGW_MCP_STANDINGS_MAX)
            drop(m, agw_list_entry(m->standing_list.next, struct standing, node));
        s = calloc(1, sizeof *s);
        if (!s)
            return NULL;
        memcpy(s->key, key, sizeof s->key);
        agw_list_init(&s->node);
        if (agw_map_put(&m->standings, key_of(s), s, NULL) != 0) {
            free(s);
            return NULL;
        }
    }
    if (s) {
        agw_list_remove(&s->node);
        agw_list_push(&m->standing_list, &s->node);
    }
    return s;
}

/* --- mail --- */

struct letter {
    struct agw_mcp_mail mail; /* first */
    char key[AGW_SHA256_SIZE];
    agw_mcp_level level;
    size_t n;
    char text[];
};

/* To every worker; |self|: to this one, too. AGW_ENOMEM: some were not told. */
static int post(struct agw_mcp *m, const struct letter *like, struct agw_str text, bool self)
{
    struct agw_mcp_hub *hub = agw_mcp_transports_hub(m->transports);
    int rc = 0;
    for (unsigned w = 0; agw_mcp_hub_has(hub, w); w++) {
        if (w == m->loop->index && !self)
            continue;
        struct letter *l = malloc(sizeof *l + text.n);
        if (!l) {
            rc = AGW_ENOMEM;
            continue;
        }
        *l = *like;
        l->n = text.n;
        if (text.n)
            memcpy(l->text, text.p, text.n);
        agw_mcp_hub_send(hub, w, &l->mail);
    }
    return rc;
}

/* --- the level --- */

static void deliver_level(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct letter *l = (struct letter *)mail;
    struct standing *s = t ? find(agw_mcp_transports_user(t), l->key, true) : NULL;
    if (s)
        s->level = l->level;
    free(l);
}

int agw_mcp_standing_level(struct agw_mcp_exchange *x, agw_mcp_level level)
{
    struct letter like = {.mail.deliver = deliver_level, .level = level};
    int rc = agw_sha256(session_of(x), (unsigned char *)like.key);
    struct standing *s = rc == 0 ? find(x->m, like.key, true) : NULL;
    if (!s)
        return rc ? rc : AGW_ENOMEM;
    if (s->level == level)
        return 0; /* every target is told: once is enough */
    s->level = level;
    return post(x->m, &like, AGW_STR(""), false);
}

agw_mcp_level agw_mcp_standing_level_of(struct agw_mcp_exchange *x)
{
    char key[AGW_SHA256_SIZE];
    if (x->m->standings.count == 0 || agw_sha256(session_of(x), (unsigned char *)key) != 0)
        return 0;
    struct standing *s = find(x->m, key, false);
    return s ? s->level : 0;
}

/* --- requests that can be cancelled --- */

void agw_mcp_cancellable_add(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_exchange *x = cr->leg->x;
    struct agw_str parts[] = {session_of(x), AGW_STR("\n"), cr->id};
    if (cr->cancel_key.n || parts[0].n == 0 || !x->down)
        return;
    struct agw_str key = agw_arena_join(&x->arena, parts, AGW_ARRAY_LEN(parts));
    /* One of two with the same id, or without memory: it is heard to its end. */
    if (key.p && !agw_map_get(&x->m->cancellable, key) && agw_map_put(&x->m->cancellable, key, cr, NULL) == 0)
        cr->cancel_key = key;
}

void agw_mcp_cancellable_remove(struct agw_mcp_crossing *cr)
{
    if (cr->cancel_key.n)
        agw_map_take(&cr->leg->x->m->cancellable, cr->cancel_key);
    cr->cancel_key = AGW_STR("");
}

/* The server learns it from the end of its stream. The client waits for no answer any more; its stream ends
 * without one. */
static void deliver_cancel(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct letter *l = (struct letter *)mail;
    struct agw_mcp *m = t ? agw_mcp_transports_user(t) : NULL;
    struct agw_mcp_crossing *cr = m ? agw_map_get(&m->cancellable, agw_str(l->text, l->n)) : NULL;
    struct agw_mcp_exchange *x = cr ? cr->leg->x : NULL;
    free(l);
    if (!x || x->closed || !agw_mcp_reply_events(x))
        return;
    agw_mcp_reply_end(x);
}

/* Whether an earlier target of the session hears the same message, and says so. */
static bool is_said(const struct agw_mcp_crossing *cr)
{
    const struct agw_mcp_session *s = &cr->leg->x->session;
    for (uint32_t i = 0; i < cr->leg->target; i++)
        if (s->peers[i].present && s->peers[i].version >= AGW_MCP_MODERN)
            return true;
    return false;
}

int agw_mcp_cancellable_end(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_exchange *x = cr->leg->x;
    struct agw_mcp_frame f = {.text = cr->text};
    struct letter like = {.mail.deliver = deliver_cancel};
    struct agw_jsonrpc message;
    int rc = agw_mcp_read_frame(cr->leg, &f, &message);
    uint32_t id =
        rc == 0 && message.params ? agw_json_get(&x->m->scratch, message.params, AGW_STR("requestId")) : 0;
    if (id == 0 || session_of(x).n == 0 || is_said(cr))
        return rc;
    struct agw_str parts[] = {session_of(x), AGW_STR("\n"), agw_json_text(&x->m->scratch, id)};
    struct agw_str key = agw_arena_join(&x->arena, parts, AGW_ARRAY_LEN(parts));
    return key.p ? post(x->m, &like, key, true) : AGW_ENOMEM;
}

/* --- all of it --- */

void agw_mcp_standings_init(struct agw_mcp *m)
{
    agw_list_init(&m->standing_list);
}

void agw_mcp_standings_free(struct agw_mcp *m)
{
    while (!agw_list_empty(&m->standing_list))
        drop(m, agw_list_entry(m->standing_list.next, struct standing, node));
    agw_map_free(&m->standings);
    agw_map_free(&m->cancellable);
}
