/* What a client of old says once, for all its requests to servers of 2026-07-28: there is nobody to keep it
 * but the gateway. Each worker of the process knows; other replicas, and this one after a restart, do not.
 * And its word about a request that is under way, on whatever worker. */
#include <stdlib.h>
#include "mcp/era/era_int.h"

/* A resource that the session has subscribed to. */
struct wish {
    struct wish *next;
    uint32_t target;
    size_t n;
    char uri[];
};

struct standing {
    struct agw_list node; /* in m->standing_list, the least recently used first */
    char key[AGW_SHA256_SIZE];
    agw_mcp_level level;
    struct agw_list watches; /* of this worker */
    struct wish *wishes;
    uint32_t count;
};

static struct agw_str key_of(const struct standing *s)
{
    return agw_str(s->key, sizeof s->key);
}

static struct agw_str session_of(const struct agw_mcp_exchange *x)
{
    return agw_headers_value(&x->req->headers, AGW_HDR_MCP_SESSION_ID);
}

static void free_wish(struct agw_mcp *m, struct wish **at)
{
    struct wish *w = *at;
    *at = w->next;
    m->wish_bytes -= sizeof *w + w->n;
    free(w);
}

static void drop(struct agw_mcp *m, struct standing *s)
{
    while (s->wishes)
        free_wish(m, &s->wishes);
    while (!agw_list_empty(&s->watches))
        (void)agw_list_pop(&s->watches);
    agw_map_take(&m->standings, key_of(s));
    agw_list_remove(&s->node);
    free(s);
}

/* The least recently used that nobody reads a stream for. */
static bool drop_oldest(struct agw_mcp *m)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &m->standing_list) {
        struct standing *s = agw_list_entry(node, struct standing, node);
        if (!agw_list_empty(&s->watches))
            continue;
        drop(m, s);
        return true;
    }
    return false;
}

/* NULL: nothing is known, or no memory. */
static struct standing *find(struct agw_mcp *m, const char key[AGW_SHA256_SIZE], bool make)
{
    struct standing *s = agw_map_get(&m->standings, agw_str(key, AGW_SHA256_SIZE));
    if (!s && make) {
        if (m->standings.count >= AGW_MCP_STANDINGS_MAX && !drop_oldest(m))
            return NULL;
        s = calloc(1, sizeof *s);
        if (!s)
            return NULL;
        memcpy(s->key, key, sizeof s->key);
        agw_list_init(&s->node);
        agw_list_init(&s->watches);
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
    uint32_t target;
    bool on;
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

/* --- resources --- */

static struct wish **find_wish(struct standing *s, uint32_t target, struct agw_str uri)
{
    struct wish **at = &s->wishes;
    while (*at && ((*at)->target != target || !agw_str_eq(agw_str((*at)->uri, (*at)->n), uri)))
        at = &(*at)->next;
    return at;
}

static bool has_room(struct agw_mcp *m, const struct standing *s, size_t n)
{
    return s->count < AGW_MCP_SUBSCRIBED_MAX &&
           m->wish_bytes + sizeof(struct wish) + n <= AGW_MCP_WISHES_BYTES;
}

/* False: nothing has changed. */
static bool change(struct agw_mcp *m, struct standing *s, const struct letter *l)
{
    struct wish **at = find_wish(s, l->target, agw_str(l->text, l->n));
    if ((*at != NULL) == l->on)
        return false;
    if (*at) {
        free_wish(m, at);
        s->count--;
        return true;
    }
    struct wish *w = has_room(m, s, l->n) ? malloc(sizeof *w + l->n) : NULL;
    if (!w)
        return false;
    *w = (struct wish){.target = l->target, .n = l->n};
    memcpy(w->uri, l->text, l->n);
    *at = w;
    m->wish_bytes += sizeof *w + w->n;
    s->count++;
    return true;
}

static void deliver_wish(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct letter *l = (struct letter *)mail;
    struct agw_mcp *m = t ? agw_mcp_transports_user(t) : NULL;
    struct standing *s = m ? find(m, l->key, l->on) : NULL;
    struct agw_list *node, *tmp;
    if (s && change(m, s, l))
        agw_list_each (node, tmp, &s->watches)
            if (agw_mcp_watch_target(agw_mcp_watch_at(node)) == l->target)
                agw_mcp_watch_refresh(agw_mcp_watch_at(node));
    free(l);
}

int agw_mcp_standing_wish(struct agw_mcp_exchange *x, uint32_t target, struct agw_str uri, bool on)
{
    struct letter like = {.mail.deliver = deliver_wish, .target = target, .on = on};
    struct standing *s;
    int rc = agw_sha256(session_of(x), (unsigned char *)like.key);
    if (rc != 0)
        return rc;
    while (on && x->m->wish_bytes + sizeof(struct wish) + uri.n > AGW_MCP_WISHES_BYTES && drop_oldest(x->m))
        ;
    s = find(x->m, like.key, on);
    if (on && !s)
        return AGW_ENOMEM;
    if (on && !*find_wish(s, target, uri) && !has_room(x->m, s, uri.n))
        return AGW_ELIMIT;
    return post(x->m, &like, uri, true);
}

/* What is known of the session of |x|. NULL: nothing, or no memory. */
static struct standing *standing_of(struct agw_mcp_exchange *x, bool make)
{
    char key[AGW_SHA256_SIZE];
    return agw_sha256(session_of(x), (unsigned char *)key) == 0 ? find(x->m, key, make) : NULL;
}

int agw_mcp_standing_uris(struct agw_mcp_exchange *x, uint32_t target, struct agw_arena *arena,
                          struct agw_mcp_uri **ret_uris, uint32_t *ret_count)
{
    const struct standing *s = standing_of(x, false);
    *ret_count = 0;
    *ret_uris = agw_arena_zalloc(arena, ((s ? s->count : 0) + 1) * sizeof **ret_uris);
    if (!*ret_uris)
        return AGW_ENOMEM;
    for (const struct wish *w = s ? s->wishes : NULL; w; w = w->next) {
        if (w->target != target)
            continue;
        struct agw_str uri = agw_arena_str(arena, agw_str(w->uri, w->n));
        if (!uri.p)
            return AGW_ENOMEM;
        (*ret_uris)[(*ret_count)++].text = uri;
    }
    return 0;
}

int agw_mcp_standing_watch(struct agw_mcp_exchange *x, struct agw_list *node)
{
    struct standing *s = standing_of(x, true);
    if (!s)
        return AGW_ENOMEM;
    agw_list_push(&s->watches, node);
    return 0;
}

static void deliver_end(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct letter *l = (struct letter *)mail;
    struct agw_mcp *m = t ? agw_mcp_transports_user(t) : NULL;
    struct standing *s = m ? find(m, l->key, false) : NULL;
    struct agw_list watches, *node;
    free(l);
    if (!s)
        return;
    agw_list_move(&watches, &s->watches);
    drop(m, s);
    while ((node = agw_list_pop(&watches)))
        agw_mcp_watch_end(agw_mcp_watch_at(node));
}

void agw_mcp_standing_end(struct agw_mcp *m, const struct agw_msg *req)
{
    struct letter like = {.mail.deliver = deliver_end};
    struct agw_str session = agw_headers_value(&req->headers, AGW_HDR_MCP_SESSION_ID);
    if (agw_sha256(session, (unsigned char *)like.key) == 0)
        (void)post(m, &like, AGW_STR(""), true); /* without memory: until the client's stream ends */
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
