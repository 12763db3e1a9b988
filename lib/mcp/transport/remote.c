/* The caller's side of links: a call as a letter, and its replies as a server's answer would come. */
#include "mcp/transport/link.h"

#include <stdlib.h>
#include "json/pointer.h"

#define LETTER_ARENA 1024

/* --- sending --- */

static int copy_body(struct agw_mcp_letter *m, struct agw_chain *body)
{
    if (agw_chain_empty(body))
        return 0;
    /* A copy: references to a worker's blocks cannot be counted on another. */
    m->body = agw_block_new(body->bytes);
    if (!m->body)
        return AGW_ENOMEM;
    m->body->len = (uint32_t)agw_chain_peek(body, m->body->data, body->bytes);
    agw_chain_clear(body);
    return 0;
}

static int read_body(struct agw_mcp_call *c, struct agw_mcp_letter *m)
{
    static const char *const path[] = {"params", "_meta", "progressToken"};
    struct agw_json_doc *doc = &c->transports->doc;
    if (!m->body)
        return 0;
    int rc = agw_json_parse(doc, agw_str((const char *)m->body->data, m->body->len), NULL);
    if (rc != 0)
        return rc == AGW_ENOMEM ? rc : AGW_EPROTO;
    uint32_t method = agw_json_get(doc, 0, AGW_STR("method"));
    if (method == 0)
        return 0; /* an answer: it has the server's id */
    m->opening = c->fields.session.n == 0 && agw_json_is(doc, method, AGW_STR("initialize"));
    rc = agw_mcp_tag_read(doc, agw_json_get(doc, 0, AGW_STR("id")), &m->arena, &m->id);
    return rc == 0 ? agw_mcp_tag_read(doc, agw_json_path(doc, 0, path, 3), &m->arena, &m->token) : rc;
}

static struct agw_mcp_letter *new_letter(struct agw_mcp_call *c)
{
    struct agw_mcp_letter *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->mail.deliver = agw_mcp_letter_deliver;
    m->from = c->loop->index;
    m->once = c->once;
    m->kind = c->fields.method == AGW_METHOD_GET      ? AGW_MCP_LETTER_LISTEN
              : c->fields.method == AGW_METHOD_DELETE ? AGW_MCP_LETTER_END
                                                      : AGW_MCP_LETTER_SEND;
    agw_list_init(&m->waiting);
    agw_list_init(&m->out);
    agw_arena_init(&m->arena, LETTER_ARENA, 0);
    m->last = calloc(1, sizeof *m->last);
    if (m->last)
        return m;
    agw_mcp_letter_free(m);
    return NULL;
}

/* Finds the owner. A name that is not of this process finds nobody: one's own table says so as well as any.
 */
static int address(struct agw_mcp_call *c, struct agw_mcp_letter *m)
{
    struct agw_mcp_hub *hub = c->transports->hub;
    if (m->opening && c->target->protocol == AGW_MCP_STDIO)
        return agw_mcp_stdio_open(c, &m->to);
    if (m->opening)
        return agw_mcp_sse_open(c, m, &m->to);
    if (c->fields.session.n == 0)
        return AGW_EUNSUPPORTED;
    if (!agw_mcp_link_name_read(c->fields.session, &m->to) || m->to.mark != agw_mcp_hub_mark(hub) ||
        !agw_mcp_hub_has(hub, m->to.worker))
        m->to = (struct agw_mcp_link_name){.worker = (uint8_t)c->loop->index};
    return 0;
}

static int start(struct agw_mcp_call *c)
{
    struct agw_mcp_letter *m = new_letter(c);
    if (!m)
        return AGW_ENOMEM;
    int rc = copy_body(m, &c->body);
    if (rc == 0)
        rc = read_body(c, m);
    if (rc == 0 && c->endpoint)
        rc = agw_msg_copy(&m->head, &c->head, &m->arena);
    if (rc == 0 && !(c->remote.cancel = calloc(1, sizeof *c->remote.cancel)))
        rc = AGW_ENOMEM;
    if (rc == 0)
        rc = agw_mcp_slots_add(&c->transports->calls, c, UINT32_MAX, &c->remote.key);
    if (rc == 0)
        rc = address(c, m);
    if (rc != 0) {
        agw_mcp_letter_free(m);
        return rc;
    }
    m->key = c->remote.key;
    c->remote.to = m->to;
    c->remote.open = true;
    if (m->opening) /* before anything can happen to the link */
        agw_mcp_letter_deliver(c->transports, &m->mail);
    else
        agw_mcp_hub_send(c->transports->hub, m->to.worker, &m->mail);
    return 0;
}

static void send_note(struct agw_mcp_call *c, struct agw_mcp_note *n, enum agw_mcp_note_kind kind)
{
    n->mail.deliver = agw_mcp_note_deliver;
    n->kind = kind;
    n->to = c->remote.to;
    n->from = c->loop->index;
    n->key = c->remote.key;
    agw_mcp_hub_send(c->transports->hub, n->to.worker, &n->mail);
}

static void let_go(struct agw_mcp_call *c)
{
    agw_mcp_slots_remove(&c->transports->calls, c->remote.key);
    if (c->remote.open)
        send_note(c, c->remote.cancel, AGW_MCP_NOTE_CANCEL);
    else
        free(c->remote.cancel);
    c->remote.cancel = NULL;
    c->remote.open = false;
}

static void set_paused(struct agw_mcp_call *c, enum agw_mcp_note_kind kind)
{
    struct agw_mcp_note *n = c->remote.open ? calloc(1, sizeof *n) : NULL;
    if (n) {
        send_note(c, n, kind);
    } else if (c->remote.open && kind == AGW_MCP_NOTE_RESUME) { /* it would wait for ever */
        c->fail_code = AGW_ENOMEM;
        agw_loop_defer(c->loop, &c->failed);
    }
}

static void pause_call(struct agw_mcp_call *c)
{
    set_paused(c, AGW_MCP_NOTE_PAUSE);
}

static void resume_call(struct agw_mcp_call *c)
{
    set_paused(c, AGW_MCP_NOTE_RESUME);
}

const struct agw_mcp_transport agw_mcp_remote = {start, let_go, pause_call, resume_call};

/* --- what comes back --- */

static struct agw_str session_of(struct agw_mcp_call *c, const struct agw_mcp_reply *r)
{
    char *text = agw_arena_alloc(c->arena, AGW_MCP_LINK_NAME_SIZE);
    if (!text)
        return agw_str(NULL, 0);
    agw_mcp_link_name_write(&r->name, text);
    return agw_str(text, AGW_MCP_LINK_NAME_SIZE);
}

/* The final answer comes first of all: it may pass as the JSON body it would be. */
static void take_whole(struct agw_mcp_call *c, struct agw_mcp_reply *r)
{
    struct agw_str session = r->opened ? session_of(c, r) : AGW_STR("");
    if (session.p)
        agw_mcp_call_whole(c, r->block, session);
    else
        agw_mcp_call_finish(c, AGW_ENOMEM);
}

static void take_message(struct agw_mcp_call *c, struct agw_mcp_reply *r)
{
    if (r->final && !c->response) {
        take_whole(c, r);
        return;
    }
    if (!c->response && !agw_mcp_call_answer(c, 200, AGW_MCP_FORM_EVENTS, 0, AGW_STR("")))
        return;
    struct agw_mcp_frame f = {.block = r->block, .text = {(const char *)r->block->data, r->block->len}};
    c->ops->on_frame(c, &f);
    if (r->final)
        agw_mcp_call_finish(c, 0);
}

static void take_end(struct agw_mcp_call *c, const struct agw_mcp_reply *r)
{
    if (r->status == 0 || c->response)
        agw_mcp_call_finish(c, r->status ? AGW_ERESET : r->code);
    else if (agw_mcp_call_answer(c, r->status, AGW_MCP_FORM_RAW, 0, AGW_STR("")))
        agw_mcp_call_finish(c, 0);
}

static void take_reply(struct agw_mcp_call *c, struct agw_mcp_reply *r)
{
    if (r->final)
        c->remote.open = false;
    if (c->ignored) {
        if (r->final)
            agw_mcp_call_finish(c, 0);
        return;
    }
    switch (r->kind) {
    case AGW_MCP_REPLY_ACCEPTED:
        if (agw_mcp_call_answer(c, r->status, AGW_MCP_FORM_EMPTY, 0, AGW_STR("")))
            agw_mcp_call_finish(c, 0);
        return;
    case AGW_MCP_REPLY_LISTENS:
        (void)agw_mcp_call_answer(c, 200, AGW_MCP_FORM_EVENTS, 0, AGW_STR(""));
        return;
    case AGW_MCP_REPLY_MESSAGE:
        take_message(c, r);
        return;
    case AGW_MCP_REPLY_ENDED:
        take_end(c, r);
        return;
    }
}

void agw_mcp_reply_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct agw_mcp_reply *r = (struct agw_mcp_reply *)mail;
    struct agw_mcp_call *c = t ? agw_mcp_slots_get(&t->calls, r->key) : NULL;
    if (c)
        take_reply(c, r);
    agw_block_unref(r->block);
    free(r);
}
