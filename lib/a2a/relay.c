#include "a2a/relay.h"

#include "a2a/translate/rest.h"

#define TOKENS_MAX (1u << 18) /* 4 MiB of tokens: a task's history has thousands of members */

void agw_a2a_relay_init(struct agw_a2a_relay *r, const struct agw_siv *key, struct agw_block_pool *pool)
{
    *r = (struct agw_a2a_relay){.key = key, .pool = pool};
    agw_arena_init(&r->scratch, 4096, 0);
    agw_json_doc_init(&r->doc, TOKENS_MAX);
    agw_sse_init(&r->events, NULL);
}

/* The message in hand is done with. Streams wait for the next one most of their lives: no memory waits with
 * them. */
static void forget(struct agw_a2a_relay *r)
{
    agw_arena_free(&r->scratch);
    agw_json_doc_free(&r->doc);
}

void agw_a2a_relay_free(struct agw_a2a_relay *r)
{
    forget(r);
    agw_sse_free(&r->events);
}

/* What a request tells on its way; NULL for answers. */
struct told {
    const struct agw_a2a_call *call;
    struct agw_arena *arena;
    struct agw_a2a_claim *claim;
    struct agw_a2a_need *need;
};

static int read_request(struct agw_a2a_relay *r, const struct told *t, struct agw_json_edits *edits)
{
    int rc = !r->key ? 0 : agw_a2a_ids_up(r->key, t->call, &r->doc, edits, t->claim);
    return rc ? rc : agw_a2a_need_read(t->call, &r->doc, t->arena, t->need);
}

/* The ids of an answer; none without a key. */
static int ids_down(struct agw_a2a_relay *r, struct agw_json_edits *edits)
{
    return r->key ? agw_a2a_ids_down(r->key, &r->owner, r->jsonrpc, &r->doc, edits) : 0;
}

/* Maps all of |body|, which is a request with |told|, else an answer. */
static int map_body(struct agw_a2a_relay *r, const struct told *told, struct agw_chain *body)
{
    struct agw_json_edits edits;
    struct agw_block *block;
    struct agw_str text;
    int rc = agw_chain_flatten(body, &block, &text);
    if (rc)
        return rc;
    agw_json_edits_init(&edits, &r->scratch);
    rc = agw_json_parse(&r->doc, text, NULL);
    if (rc == 0)
        rc = told ? read_request(r, told, &edits) : ids_down(r, &edits);
    if (rc != AGW_ENOMEM) /* what is no JSON goes as it came: the peer will say what it is */
        rc = agw_json_edits_apply(&edits, text, block, body);
    agw_block_unref(block);
    forget(r);
    return rc;
}

int agw_a2a_relay_request(struct agw_a2a_relay *r, const struct agw_a2a_call *call, struct agw_chain *body,
                          struct agw_arena *arena, struct agw_a2a_claim *claim, struct agw_a2a_need *need)
{
    struct told told = {call, arena, claim, need};
    *need = (struct agw_a2a_need){0};
    return body->bytes == 0 ? 0 : map_body(r, &told, body);
}

void agw_a2a_relay_answer(struct agw_a2a_relay *r, const struct agw_a2a_owner *owner, bool jsonrpc)
{
    r->owner = *owner;
    r->jsonrpc = jsonrpc;
}

/* |text| in the words of the other version; *ret_w holds it. *ret_request NULL: an answer. AGW_EINVAL: it is
 * no message. */
static int translate(struct agw_a2a_relay *r, struct agw_str text, enum agw_a2a_era to,
                     enum agw_a2a_result *ret_request, struct agw_json_writer *ret_w)
{
    int rc = agw_json_parse(&r->doc, text, NULL);
    if (rc == 0 && r->rest)
        rc = ret_request ? agw_a2a_rest_request(&r->doc, to, r->result, ret_w)
                         : agw_a2a_rest_answer(&r->doc, to, r->result, ret_w);
    else if (rc == 0)
        rc = ret_request ? agw_a2a_translate_request(&r->doc, to, ret_w, ret_request)
                         : agw_a2a_translate_answer(&r->doc, to, r->result, ret_w);
    return rc ? rc : agw_json_writer_end(ret_w);
}

static int translate_body(struct agw_a2a_relay *r, enum agw_a2a_era to, enum agw_a2a_result *ret_request,
                          struct agw_chain *body)
{
    struct agw_json_writer w;
    struct agw_block *block;
    struct agw_str text;
    int rc = agw_chain_flatten(body, &block, &text);
    if (rc)
        return rc;
    agw_json_writer_init(&w);
    rc = translate(r, text, to, ret_request, &w);
    agw_chain_clear(body);
    if (rc == 0)
        rc = agw_json_writer_take(&w, body);
    else if (rc != AGW_ENOMEM && rc != AGW_EUNSUPPORTED)
        rc = agw_chain_copy(body, r->pool, text.p, text.n);
    agw_json_writer_free(&w);
    agw_block_unref(block);
    forget(r);
    return rc;
}

int agw_a2a_relay_translate(struct agw_a2a_relay *r, enum agw_a2a_era to, struct agw_chain *body)
{
    int rc = translate_body(r, to, &r->result, body);
    if (rc)
        return rc;
    r->translates = true;
    r->era = to == AGW_A2A_ERA_10 ? AGW_A2A_ERA_03 : AGW_A2A_ERA_10;
    return 0;
}

static enum agw_a2a_result result_of(enum agw_a2a_method method)
{
    static const enum agw_a2a_result results[] = {[AGW_A2A_SEND_MESSAGE] = AGW_A2A_RESULT_EVENT,
                                                  [AGW_A2A_SEND_STREAMING_MESSAGE] = AGW_A2A_RESULT_EVENT,
                                                  [AGW_A2A_GET_TASK] = AGW_A2A_RESULT_TASK,
                                                  [AGW_A2A_CANCEL_TASK] = AGW_A2A_RESULT_TASK,
                                                  [AGW_A2A_SUBSCRIBE_TO_TASK] = AGW_A2A_RESULT_EVENT,
                                                  [AGW_A2A_CREATE_PUSH] = AGW_A2A_RESULT_PUSH,
                                                  [AGW_A2A_GET_PUSH] = AGW_A2A_RESULT_PUSH,
                                                  [AGW_A2A_LIST_PUSH] = AGW_A2A_RESULT_PUSH_LIST,
                                                  [AGW_A2A_DELETE_PUSH] = AGW_A2A_RESULT_NOTHING,
                                                  [AGW_A2A_GET_EXTENDED_CARD] = AGW_A2A_RESULT_RAW};
    return results[method];
}

int agw_a2a_relay_translate_rest(struct agw_a2a_relay *r, const struct agw_a2a_call *call,
                                 enum agw_a2a_era to, struct agw_chain *body)
{
    enum agw_a2a_result ignored;
    r->rest = true;
    r->result = result_of(call->method);
    r->translates = true;
    r->era = to == AGW_A2A_ERA_10 ? AGW_A2A_ERA_03 : AGW_A2A_ERA_10;
    return body->bytes == 0 ? 0 : translate_body(r, to, &ignored, body);
}

int agw_a2a_relay_json(struct agw_a2a_relay *r, struct agw_chain *body)
{
    int rc = map_body(r, NULL, body);
    return rc || !r->translates || body->bytes == 0 ? rc : translate_body(r, r->era, NULL, body);
}

static int write_event(struct agw_a2a_relay *r, struct agw_sse_event *e, struct agw_chain *out)
{
    struct agw_json_edits edits;
    struct agw_json_writer w, other;
    agw_json_edits_init(&edits, &r->scratch);
    agw_json_writer_init(&w);
    agw_json_writer_init(&other);
    int rc = agw_json_parse(&r->doc, e->data, NULL);
    if (rc == 0)
        rc = ids_down(r, &edits);
    if (rc == 0 && edits.count > 0) {
        rc = agw_json_edits_write(&edits, e->data, 0, (uint32_t)e->data.n, &w);
        if (rc == 0)
            rc = agw_json_writer_end(&w);
        e->data = agw_json_writer_text(&w);
    }
    if (rc == 0 && r->translates && (rc = translate(r, e->data, r->era, NULL, &other)) == 0)
        e->data = agw_json_writer_text(&other);
    if (rc != AGW_ENOMEM)
        rc = agw_sse_write(out, r->pool, e);
    agw_json_writer_free(&w);
    agw_json_writer_free(&other);
    forget(r);
    return rc;
}

static int read_piece(struct agw_a2a_relay *r, const unsigned char *p, size_t n, struct agw_chain *out)
{
    while (n > 0) {
        struct agw_sse_event e;
        size_t used;
        int rc = agw_sse_next(&r->events, p, n, &used, &e);
        if (rc < 0)
            return rc;
        if (rc == AGW_SSE_EVENT && (rc = write_event(r, &e, out)) < 0)
            return rc;
        p += used;
        n -= used;
    }
    return 0;
}

int agw_a2a_relay_events(struct agw_a2a_relay *r, struct agw_chain *data)
{
    struct agw_chain out;
    int rc = 0;
    if (data->bytes == 0)
        return 0;
    const struct agw_slice *last = agw_chain_at(data, data->count - 1);
    bool comment = !r->in_line && agw_chain_at(data, 0)->p[0] == ':';
    r->in_line = last->p[last->n - 1] != '\n' && last->p[last->n - 1] != '\r';
    agw_chain_init(&out);
    for (uint32_t i = 0; rc == 0 && i < data->count; i++) {
        const struct agw_slice *s = agw_chain_at(data, i);
        rc = read_piece(r, s->p, s->n, &out);
    }
    if (rc == 0 && comment && out.bytes == 0)
        rc = agw_sse_write_comment(&out, r->pool, AGW_STR(""));
    agw_chain_clear(data);
    if (rc == 0)
        rc = agw_chain_move(data, &out);
    agw_chain_clear(&out);
    return rc;
}
