#include "mcp/transport/link.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/rng.h"
#include "json/pointer.h"

/* --- names --- */

static void put_hex(char **p, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *(*p)++ = digits[bytes[i] >> 4];
        *(*p)++ = digits[bytes[i] & 15];
    }
}

/* 8-4-4-4-12, as a UUID: sealed sessions keep those in 16 bytes. */
static const unsigned groups[] = {4, 2, 2, 2, 6};

void agw_mcp_link_name_write(const struct agw_mcp_link_name *n, char out[AGW_MCP_LINK_NAME_SIZE])
{
    unsigned char bytes[16];
    memcpy(bytes, &n->mark, 4);
    bytes[4] = n->worker;
    bytes[5] = (unsigned char)n->key.slot;
    bytes[6] = (unsigned char)(n->key.slot >> 8);
    bytes[7] = (unsigned char)(n->key.slot >> 16);
    memcpy(bytes + 8, &n->key.turn, 4);
    memcpy(bytes + 12, &n->random, 4);
    const unsigned char *at = bytes;
    for (size_t i = 0; i < AGW_ARRAY_LEN(groups); i++) {
        if (i)
            *out++ = '-';
        put_hex(&out, at, groups[i]);
        at += groups[i];
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_group(const char **p, unsigned char *out, unsigned n)
{
    for (unsigned i = 0; i < n; i++, *p += 2) {
        int high = hex_digit((*p)[0]), low = hex_digit((*p)[1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

bool agw_mcp_link_name_read(struct agw_str text, struct agw_mcp_link_name *ret_name)
{
    unsigned char bytes[16], *out = bytes;
    const char *p = text.p;
    if (text.n != AGW_MCP_LINK_NAME_SIZE)
        return false;
    for (size_t i = 0; i < AGW_ARRAY_LEN(groups); i++) {
        if (i && *p++ != '-')
            return false;
        if (!read_group(&p, out, groups[i]))
            return false;
        out += groups[i];
    }
    struct agw_mcp_link_name n = {.worker = bytes[4]};
    memcpy(&n.mark, bytes, 4);
    n.key.slot = bytes[5] | (uint32_t)bytes[6] << 8 | (uint32_t)bytes[7] << 16;
    memcpy(&n.key.turn, bytes + 8, 4);
    memcpy(&n.random, bytes + 12, 4);
    *ret_name = n;
    return true;
}

/* --- tags --- */

int agw_mcp_tag_read(const struct agw_json_doc *doc, uint32_t token, struct agw_arena *arena,
                     struct agw_mcp_tag *ret_tag)
{
    struct agw_mcp_tag tag = {0};
    enum agw_json_type type = token ? agw_json_type(doc, token) : AGW_JSON_NULL;
    if (type == AGW_JSON_STRING || type == AGW_JSON_NUMBER)
        tag.json = agw_json_text(doc, token);
    if (type == AGW_JSON_STRING && agw_json_unescape(doc, token, arena, &tag.text) != 0)
        return AGW_ENOMEM;
    *ret_tag = tag;
    return 0;
}

bool agw_mcp_tag_is(const struct agw_mcp_tag *tag, const struct agw_json_doc *doc, uint32_t token)
{
    if (!tag->json.n || !token)
        return false;
    if (agw_json_type(doc, token) == AGW_JSON_STRING)
        return tag->text.p && agw_json_is(doc, token, tag->text);
    return !tag->text.p && agw_str_eq(tag->json, agw_json_text(doc, token));
}

/* --- letters --- */

void agw_mcp_letter_free(struct agw_mcp_letter *m)
{
    if (m->last)
        free(m->last);
    agw_block_unref(m->body);
    agw_arena_free(&m->arena);
    free(m);
}

static void free_if_over(struct agw_mcp_letter *m)
{
    if (!m->busy && agw_list_empty(&m->waiting))
        agw_mcp_letter_free(m);
}

void agw_mcp_letter_release(struct agw_mcp_letter *m)
{
    m->busy = false;
    free_if_over(m);
}

static void post_reply(struct agw_mcp_transports *t, struct agw_mcp_letter *m, struct agw_mcp_reply *r)
{
    r->key = m->key;
    r->mail.deliver = agw_mcp_reply_deliver;
    agw_mcp_hub_send(t->hub, m->from, &r->mail);
}

/* The letter's last reply: nothing is heard of it any more. It may be freed. */
static void reply_last(struct agw_mcp_transports *t, struct agw_mcp_letter *m, enum agw_mcp_reply_kind kind,
                       int status, int code, struct agw_block *block)
{
    struct agw_mcp_reply *r = m->last;
    struct agw_mcp_link *l = m->link;
    m->last = NULL;
    r->kind = kind;
    r->status = status;
    r->code = code;
    r->block = block;
    r->final = true;
    if (l) {
        r->opened = m->opening;
        r->name = l->name;
        if (l->listener == m)
            l->listener = NULL;
        if (m->paused && --l->paused == 0)
            l->ops->pause(l, false);
        l->waiting_count--;
        agw_list_remove(&m->waiting);
        l->used_ms = t->loop->now_ms;
    }
    post_reply(t, m, r);
    free_if_over(m);
}

/* --- the life of a link --- */

static void pin(struct agw_mcp_link *l, struct agw_snapshot *snap)
{
    l->snap = snap;
    if (snap)
        agw_snapshot_pin(snap, l->transports->loop->index);
}

static void drop_kept(struct agw_mcp_link *l)
{
    struct agw_mcp_reply *r = agw_list_entry(agw_list_pop(&l->kept), struct agw_mcp_reply, node);
    l->kept_count--;
    l->kept_bytes -= r->block->len;
    agw_block_unref(r->block);
    free(r);
}

/* Leaves it to its transport to free the memory. */
static void close_link(struct agw_mcp_link *l)
{
    struct agw_mcp_transports *t = l->transports;
    struct agw_snapshot *snap = l->snap;
    while (l->kept_count)
        drop_kept(l);
    agw_timer_cancel(&t->loop->timers, &l->idle);
    agw_task_cancel(&l->reap);
    agw_list_remove(&l->node);
    agw_mcp_slots_remove(&t->links, l->name.key);
    l->ops->close(l);
    if (snap)
        agw_snapshot_unpin(snap, t->loop->index);
}

static void reap(struct agw_task *task)
{
    close_link(agw_container_of(task, struct agw_mcp_link, reap));
}

void agw_mcp_link_broken(struct agw_mcp_link *l, int status, int code)
{
    struct agw_list *node, *tmp;
    if (l->broken)
        return;
    l->broken = true;
    agw_list_each (node, tmp, &l->waiting) {
        struct agw_mcp_letter *m = agw_list_entry(node, struct agw_mcp_letter, waiting);
        bool listener = m == l->listener; /* its stream just ends: asking again will tell */
        reply_last(l->transports, m, AGW_MCP_REPLY_ENDED, listener ? 0 : status, listener ? 0 : code, NULL);
    }
    agw_mcp_slots_remove(&l->transports->links, l->name.key);
    agw_loop_defer(l->transports->loop, &l->reap);
}

static void on_idle(struct agw_timer *timer)
{
    struct agw_mcp_link *l = agw_container_of(timer, struct agw_mcp_link, idle);
    uint64_t now = l->transports->loop->now_ms;
    if (l->waiting_count)
        l->used_ms = now;
    if (now - l->used_ms >= AGW_MCP_LINK_IDLE_MS)
        agw_mcp_link_broken(l, 0, AGW_ETIMEOUT);
    else
        agw_timer_set(&l->transports->loop->timers, timer, l->used_ms + AGW_MCP_LINK_IDLE_MS);
}

/* The one that nobody has used for longest: its client has most likely forgotten it. False: all are in use.
 */
static bool make_room(struct agw_mcp_transports *t)
{
    struct agw_mcp_link *oldest = NULL;
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &t->link_list) {
        struct agw_mcp_link *l = agw_list_entry(node, struct agw_mcp_link, node);
        if (!l->broken && l->waiting_count == 0 && (!oldest || l->used_ms < oldest->used_ms))
            oldest = l;
    }
    if (oldest)
        agw_mcp_link_broken(oldest, 404, 0);
    return oldest != NULL;
}

int agw_mcp_link_init(struct agw_mcp_link *l, const struct agw_mcp_link_ops *ops,
                      struct agw_mcp_transports *t, struct agw_snapshot *snap)
{
    l->ops = ops;
    l->transports = t;
    int rc = agw_mcp_slots_add(&t->links, l, AGW_MCP_LINKS_MAX, &l->name.key);
    if (rc == AGW_ELIMIT && make_room(t))
        rc = agw_mcp_slots_add(&t->links, l, AGW_MCP_LINKS_MAX, &l->name.key);
    if (rc != 0)
        return rc;
    l->name.mark = agw_mcp_hub_mark(t->hub);
    l->name.worker = (uint8_t)t->loop->index;
    agw_random(&l->name.random, sizeof l->name.random);
    agw_list_init(&l->waiting);
    agw_list_init(&l->kept);
    agw_task_init(&l->reap, reap);
    agw_timer_init(&l->idle, on_idle);
    l->used_ms = t->loop->now_ms;
    agw_timer_set(&t->loop->timers, &l->idle, l->used_ms + AGW_MCP_LINK_IDLE_MS);
    agw_list_push(&t->link_list, &l->node);
    pin(l, snap);
    return 0;
}

void agw_mcp_links_close(struct agw_mcp_transports *t)
{
    struct agw_list *node, *tmp;
    while ((node = t->link_list.next) != &t->link_list) {
        struct agw_mcp_link *l = agw_list_entry(node, struct agw_mcp_link, node);
        struct agw_list left;
        agw_list_move(&left, &l->waiting);
        agw_list_each (node, tmp, &left) {
            agw_list_remove(node);
            free_if_over(agw_list_entry(node, struct agw_mcp_letter, waiting));
        }
        close_link(l);
    }
    agw_mcp_slots_free(&t->links);
}

struct agw_mcp_link *agw_mcp_link_find(struct agw_mcp_transports *t, const struct agw_mcp_link_name *name)
{
    struct agw_mcp_link *l = agw_mcp_slots_get(&t->links, name->key);
    return l && l->name.random == name->random && l->name.mark == name->mark ? l : NULL;
}

/* --- what clients send --- */

static void flush_kept(struct agw_mcp_link *l)
{
    while (l->kept_count) {
        struct agw_mcp_reply *r = agw_list_entry(agw_list_pop(&l->kept), struct agw_mcp_reply, node);
        l->kept_count--;
        l->kept_bytes -= r->block->len;
        post_reply(l->transports, l->listener, r);
    }
}

/* One listener a session: whoever comes last is the client that came back. */
static void begin_listening(struct agw_mcp_link *l, struct agw_mcp_letter *m)
{
    struct agw_mcp_reply *r = calloc(1, sizeof *r);
    if (!r) {
        reply_last(l->transports, m, AGW_MCP_REPLY_ENDED, 0, AGW_ENOMEM, NULL);
        return;
    }
    if (l->listener)
        reply_last(l->transports, l->listener, AGW_MCP_REPLY_ENDED, 0, 0, NULL);
    l->listener = m;
    r->kind = AGW_MCP_REPLY_LISTENS;
    post_reply(l->transports, m, r);
    flush_kept(l);
}

static bool id_in_use(const struct agw_mcp_link *l, const struct agw_mcp_letter *m)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &l->waiting) {
        struct agw_mcp_letter *other = agw_list_entry(node, struct agw_mcp_letter, waiting);
        if (other != m && m->id.json.n && agw_str_eq(other->id.json, m->id.json))
            return true;
    }
    return false;
}

static void take_letter(struct agw_mcp_link *l, struct agw_mcp_letter *m)
{
    bool full = l->waiting_count >= AGW_MCP_LINK_WAITING_MAX;
    m->link = l;
    l->used_ms = l->transports->loop->now_ms;
    l->waiting_count++;
    agw_list_push(&l->waiting, &m->waiting);
    if (full || id_in_use(l, m)) {
        reply_last(l->transports, m, AGW_MCP_REPLY_ENDED, 0, full ? AGW_ELIMIT : AGW_EEXISTS, NULL);
    } else if (m->kind == AGW_MCP_LETTER_LISTEN) {
        begin_listening(l, m);
    } else if (m->kind == AGW_MCP_LETTER_END) {
        reply_last(l->transports, m, AGW_MCP_REPLY_ACCEPTED, 204, 0, NULL);
        agw_mcp_link_broken(l, 404, 0);
    } else {
        l->ops->send(l, m);
    }
}

void agw_mcp_letter_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct agw_mcp_letter *m = (struct agw_mcp_letter *)mail;
    struct agw_mcp_link *l = t ? agw_mcp_link_find(t, &m->to) : NULL;
    if (l)
        take_letter(l, m);
    else if (t)
        reply_last(t, m, AGW_MCP_REPLY_ENDED, 404, 0, NULL);
    else
        agw_mcp_letter_free(m);
}

static struct agw_mcp_letter *find_letter(struct agw_mcp_link *l, const struct agw_mcp_note *n)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &l->waiting) {
        struct agw_mcp_letter *m = agw_list_entry(node, struct agw_mcp_letter, waiting);
        if (m->from == n->from && m->key.slot == n->key.slot && m->key.turn == n->key.turn)
            return m;
    }
    return NULL;
}

static void set_paused(struct agw_mcp_link *l, struct agw_mcp_letter *m, bool paused)
{
    if (m->paused == paused)
        return;
    m->paused = paused;
    l->paused += paused ? 1 : -1u;
    if (l->paused == (paused ? 1 : 0))
        l->ops->pause(l, paused);
}

void agw_mcp_note_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct agw_mcp_note *n = (struct agw_mcp_note *)mail;
    struct agw_mcp_link *l = t ? agw_mcp_link_find(t, &n->to) : NULL;
    struct agw_mcp_letter *m = l ? find_letter(l, n) : NULL;
    if (m && n->kind == AGW_MCP_NOTE_CANCEL) {
        bool opening = m->opening;
        reply_last(t, m, AGW_MCP_REPLY_ENDED, 0, AGW_ECANCELED,
                   NULL); /* its call is gone, and lets it fall */
        if (opening)
            agw_mcp_link_broken(l, 404, 0);
    } else if (m) {
        set_paused(l, m, n->kind == AGW_MCP_NOTE_PAUSE);
    }
    free(n);
}

void agw_mcp_link_sent(struct agw_mcp_link *l, struct agw_mcp_letter *m, int status, int code)
{
    bool accepted = code == 0 && status >= 200 && status < 300, opening = m->opening;
    if (agw_list_empty(&m->waiting) || (accepted && m->id.json.n))
        return;
    reply_last(l->transports, m, accepted ? AGW_MCP_REPLY_ACCEPTED : AGW_MCP_REPLY_ENDED,
               accepted ? 202 : status, code, NULL);
    if (opening)
        agw_mcp_link_broken(l, 404, 0);
}

/* --- what the server sends --- */

static struct agw_mcp_letter *asked_by(struct agw_mcp_link *l, uint32_t id)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &l->waiting) {
        struct agw_mcp_letter *m = agw_list_entry(node, struct agw_mcp_letter, waiting);
        if (agw_mcp_tag_is(&m->id, &l->transports->doc, id))
            return m;
    }
    return NULL;
}

static void take_answer(struct agw_mcp_link *l, struct agw_block *block, uint32_t id)
{
    struct agw_mcp_letter *m = asked_by(l, id);
    bool failed = agw_json_get(&l->transports->doc, 0, AGW_STR("result")) == 0;
    if (!m) { /* nobody waits any more */
        agw_block_unref(block);
        return;
    }
    bool opening = m->opening;
    if (opening && !failed)
        l->opened = true;
    reply_last(l->transports, m, AGW_MCP_REPLY_MESSAGE, 0, 0, block);
    if (opening && failed)
        agw_mcp_link_broken(l, 404, 0);
}

static struct agw_mcp_letter *latest_request(struct agw_mcp_link *l)
{
    for (struct agw_list *node = l->waiting.prev; node != &l->waiting; node = node->prev) {
        struct agw_mcp_letter *m = agw_list_entry(node, struct agw_mcp_letter, waiting);
        if (m->id.json.n)
            return m;
    }
    return NULL;
}

/* The request that asked for this progress. */
static struct agw_mcp_letter *progress_of(struct agw_mcp_link *l)
{
    static const char *const path[] = {"params", "progressToken"};
    const struct agw_json_doc *doc = &l->transports->doc;
    uint32_t token = agw_json_path(doc, 0, path, 2);
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &l->waiting) {
        struct agw_mcp_letter *m = agw_list_entry(node, struct agw_mcp_letter, waiting);
        if (agw_mcp_tag_is(&m->token, doc, token))
            return m;
    }
    return NULL;
}

/* These transports do not say what a message is about. Progress names its request; a server asks something
 * mostly because of a request; the rest is for whoever listens, or else for the last who asked. */
static struct agw_mcp_letter *reader_of(struct agw_mcp_link *l, bool request)
{
    struct agw_mcp_letter *m = progress_of(l), *asking;
    if (m || !l->opened)
        return m; /* before the session has begun the client would not know what to make of it */
    asking = latest_request(l);
    if (request)
        return asking ? asking : l->listener;
    return l->listener ? l->listener : asking;
}

static void keep(struct agw_mcp_link *l, struct agw_mcp_reply *r)
{
    agw_list_push(&l->kept, &r->node);
    l->kept_count++;
    l->kept_bytes += r->block->len;
    while (l->kept_count > AGW_MCP_LINK_KEPT_MAX ||
           (l->kept_count > 1 && l->kept_bytes > AGW_MCP_LINK_KEPT_BYTES))
        drop_kept(l);
}

static void take_unasked(struct agw_mcp_link *l, struct agw_block *block, bool request)
{
    struct agw_mcp_reply *r = calloc(1, sizeof *r);
    if (!r) {
        agw_block_unref(block);
        agw_mcp_link_broken(l, 0, AGW_ENOMEM);
        return;
    }
    r->kind = AGW_MCP_REPLY_MESSAGE;
    r->block = block;
    struct agw_mcp_letter *m = reader_of(l, request);
    if (m)
        post_reply(l->transports, m, r);
    else
        keep(l, r);
}

void agw_mcp_link_message(struct agw_mcp_link *l, struct agw_block *block)
{
    struct agw_json_doc *doc = &l->transports->doc;
    int rc =
        l->broken ? AGW_ECLOSED : agw_json_parse(doc, agw_str((const char *)block->data, block->len), NULL);
    if (rc != 0 || agw_json_type(doc, 0) != AGW_JSON_OBJECT) {
        agw_block_unref(block);
        if (rc == AGW_ENOMEM)
            agw_mcp_link_broken(l, 0, rc);
        return;
    }
    uint32_t id = agw_json_get(doc, 0, AGW_STR("id"));
    if (agw_json_get(doc, 0, AGW_STR("method")) == 0)
        take_answer(l, block, id);
    else
        take_unasked(l, block, id != 0);
}
