/* What a server of old asks while it is at work on a request of a client of 2026-07-28.
 *
 * The client's request is answered by input_required and ends; the request to the server goes on without it:
 * it is parked. The client's next request names it by requestState, sealed, and may come in on any worker.
 * From there its answer goes as a letter to where the request is parked, and what comes of it goes back the
 * same way:
 *
 *     worker 2: crossing ── letter: answer ──> worker 0: parked crossing ── POST: answer ──> server
 *               <────────── news: result, next question, progress, or that it failed ──
 *
 * The other way round, a server of 2026-07-28 asks by its result: each question becomes a request to the
 * client of old, on the stream of its own request, which goes on. The id of such a request is a place like
 * that, so that the client's response finds it.
 *
 * Callers are told apart as for their sessions: nobody answers for another. One question at a time: a server
 * that asks a second one at once is refused it. */
#include <stdlib.h>
#include "mcp/era/era_int.h"

enum news { NEWS_LETTER, NEWS_NOTICE, NEWS_RESULT, NEWS_QUESTION, NEWS_FAILED };

/* Where a request is parked, sealed into requestState. */
struct place {
    uint32_t mark, worker;
    struct agw_mcp_key key;
    uint32_t number; /* of the question, where there are several */
};

struct letter {
    struct agw_mcp_mail mail; /* first */
    enum news kind;
    struct agw_mcp_key to, from;
    unsigned worker; /* of |from| */
    uint32_t number;
    char digest[AGW_SHA256_SIZE];
    int code;
    struct agw_block *block; /* nobody else holds it; NULL: nothing */
};

static void free_letter(struct letter *l)
{
    agw_block_unref(l->block);
    free(l);
}

static struct letter *new_letter(enum news kind, struct agw_mcp_key to, struct agw_str text)
{
    struct letter *l = calloc(1, sizeof *l);
    if (!l || text.n == 0) {
        if (l)
            *l = (struct letter){.kind = kind, .to = to};
        return l;
    }
    *l = (struct letter){.kind = kind, .to = to, .block = agw_block_new(text.n)};
    if (!l->block) {
        free(l);
        return NULL;
    }
    memcpy(l->block->data, text.p, text.n); /* a block is counted on its own worker alone */
    l->block->len = (uint32_t)text.n;
    return l;
}

static struct agw_str text_of(const struct letter *l)
{
    return l->block ? agw_str((const char *)l->block->data, l->block->len) : AGW_STR("");
}

static struct agw_mcp *m_of(const struct agw_mcp_crossing *cr)
{
    return cr->leg->x->m;
}

static void post(struct agw_mcp *m, unsigned worker, struct letter *l,
                 void (*deliver)(struct agw_mcp_transports *t, struct agw_mcp_mail *mail))
{
    l->mail.deliver = deliver;
    agw_mcp_hub_send(agw_mcp_transports_hub(m->transports), worker, &l->mail);
}

/* --- the client's side --- */

/* |round|: of a question to a client of old; neither is good for the other. */
static struct agw_str context_of(const struct agw_mcp_exchange *x, bool round, struct agw_arena *arena)
{
    return agw_arena_printf(arena, round ? "mcp round %.*s" : "mcp ask %.*s", AGW_STRF(x->backend->key));
}

void agw_mcp_answer_drop(struct agw_mcp_crossing *cr)
{
    agw_mcp_slots_remove(&m_of(cr)->answering, cr->answers);
    cr->answers = (struct agw_mcp_key){0};
}

static void write_result(struct agw_mcp_crossing *cr, struct agw_str result, struct agw_chain *ret_body)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_raw(&w, "id", cr->id);
    agw_json_put_raw(&w, "result", result);
    agw_json_end_object(&w);
    (void)agw_json_writer_finish(&w, 0, ret_body); /* an empty message is refused by its reader */
}

static void take_news(struct agw_mcp_crossing *cr, const struct letter *l)
{
    struct agw_mcp_frame f = {.block = l->block, .text = text_of(l)};
    struct agw_chain body;
    bool gone;
    agw_chain_init(&body);
    if (l->kind == NEWS_NOTICE) {
        agw_mcp_cross_to_modern(cr, &f);
        return;
    }
    agw_mcp_answer_drop(cr);
    if (l->kind == NEWS_RESULT) {
        agw_mcp_cross_to_modern(cr, &f);
    } else if (l->kind == NEWS_QUESTION) {
        write_result(cr, f.text, &body);
        agw_mcp_cross_give(cr, &body);
    } else if (l->code == AGW_ENOTFOUND) {
        if (agw_mcp_cross_refuse(cr, AGW_JSONRPC_INVALID_PARAMS,
                                 AGW_STR("requestState is of no open request")) == 1)
            return;
    }
    gone = cr->gone;
    cr->pending = false;
    if (!gone)
        agw_mcp_cross_finish(cr, l->kind == NEWS_FAILED ? l->code : 0);
}

static void deliver_news(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct letter *l = (struct letter *)mail;
    struct agw_mcp *m = t ? agw_mcp_transports_user(t) : NULL;
    struct agw_mcp_crossing *cr = m ? agw_mcp_slots_get(&m->answering, l->to) : NULL;
    if (cr)
        take_news(cr, l);
    free_letter(l);
}

/* --- where the request is parked --- */

static void tell(struct agw_mcp_crossing *cr, enum news kind, struct agw_str text, int code)
{
    struct letter *l = new_letter(kind, cr->hears, text);
    if (!l)
        return; /* whoever waits gives up one day */
    l->code = code;
    if (kind != NEWS_NOTICE)
        cr->hears = (struct agw_mcp_key){0};
    post(m_of(cr), cr->heard_by, l, deliver_news);
}

void agw_mcp_unpark(struct agw_mcp_crossing *cr, int code)
{
    if (!cr->parked.turn)
        return;
    agw_timer_cancel(&m_of(cr)->loop->timers, &cr->patience);
    agw_mcp_slots_remove(&m_of(cr)->parked, cr->parked);
    cr->parked = (struct agw_mcp_key){0};
    if (cr->hears.turn)
        tell(cr, NEWS_FAILED, AGW_STR(""), code ? code : AGW_EPROTO);
}

/* Nobody came back. */
static void on_impatience(struct agw_timer *t)
{
    struct agw_mcp_crossing *cr = agw_container_of(t, struct agw_mcp_crossing, patience);
    struct agw_mcp_leg *leg = cr->leg;
    agw_mcp_unpark(cr, AGW_ETIMEOUT);
    agw_mcp_cross_cancel(leg);
    agw_mcp_call_cancel(&leg->call);
    (void)agw_mcp_leg_over(leg);
}

static int seal_place(struct agw_mcp_crossing *cr, struct agw_mcp_key key, uint32_t number,
                      struct agw_str *ret_state)
{
    struct agw_mcp *m = m_of(cr);
    struct place p = {agw_mcp_hub_mark(agw_mcp_transports_hub(m->transports)), m->loop->index, key, number};
    struct agw_arena *arena = &cr->leg->x->arena;
    struct agw_str context = context_of(cr->leg->x, cr->kind == AGW_MCP_TO_MODERN, arena);
    char *text = agw_arena_alloc(arena, AGW_SEAL_SIZE(sizeof p));
    size_t n;
    if (!text || !context.p ||
        agw_seal_close(m->seal, agw_str((const char *)&p, sizeof p), context, text, &n) != 0)
        return AGW_ENOMEM;
    *ret_state = agw_str(text, n);
    return 0;
}

/* An InputRequiredResult with the server's request in it, but for its own id. */
static int write_question(struct agw_mcp_crossing *cr, const struct agw_jsonrpc *message,
                          struct agw_json_writer *w)
{
    const struct agw_json_doc *doc = &m_of(cr)->scratch;
    struct agw_str state;
    int rc = seal_place(cr, cr->parked, 0, &state);
    if (rc != 0)
        return rc;
    agw_json_begin_object(w);
    agw_json_put_string(w, "resultType", AGW_STR("input_required"));
    agw_json_key(w, AGW_STR("inputRequests"));
    agw_json_begin_object(w);
    agw_json_key(w, AGW_STR("server"));
    agw_json_begin_object(w);
    agw_json_put_string(w, "method", message->method);
    if (message->params)
        agw_json_put_raw(w, "params", agw_json_text(doc, message->params));
    agw_json_end_object(w);
    agw_json_end_object(w);
    agw_json_put_string(w, "requestState", state);
    agw_json_end_object(w);
    return w->error;
}

static bool is_question(struct agw_str method)
{
    return agw_str_eq(method, AGW_STR("elicitation/create")) ||
           agw_str_eq(method, AGW_STR("sampling/createMessage")) || agw_str_eq(method, AGW_STR("roots/list"));
}

/* The first question goes to the client that is there, each further one to who brought the last answer. */
static void put_question(struct agw_mcp_crossing *cr, struct agw_str result, bool first)
{
    struct agw_chain body;
    uint64_t due = m_of(cr)->loop->now_ms + AGW_MCP_PARKED_MS;
    cr->patience.fire = on_impatience;
    agw_timer_set(&m_of(cr)->loop->timers, &cr->patience, due);
    if (!first) {
        tell(cr, NEWS_QUESTION, result, 0);
        return;
    }
    cr->leg->parked = true;
    agw_mcp_call_resume(&cr->leg->call); /* it was as slow as its client */
    agw_chain_init(&body);
    write_result(cr, result, &body);
    agw_mcp_cross_give(cr, &body);
}

bool agw_mcp_ask(struct agw_mcp_crossing *cr, const struct agw_jsonrpc *message)
{
    struct agw_mcp *m = m_of(cr);
    struct agw_str id = agw_json_text(&m->scratch, message->id);
    struct agw_json_writer w;
    bool first = !cr->parked.turn;
    if (cr->leg->x->finish || !is_question(message->method) || cr->question.n ||
        m->scratch.text.n > AGW_MCP_QUESTION_MAX || (!first && !cr->hears.turn))
        return false;
    if (first && agw_mcp_slots_add(&m->parked, cr, AGW_MCP_PARKED_MAX, &cr->parked) != 0)
        return false;
    agw_json_writer_init(&w);
    int rc = write_question(cr, message, &w);
    if (rc == 0 && !(cr->question = agw_arena_str(&cr->leg->x->arena, id)).p)
        rc = AGW_ENOMEM;
    if (rc == 0)
        put_question(cr, agw_json_writer_text(&w), first);
    else if (first)
        agw_mcp_unpark(cr, rc);
    agw_json_writer_free(&w);
    return rc == 0;
}

void agw_mcp_parked_frame(struct agw_mcp_crossing *cr, const struct agw_mcp_frame *f)
{
    struct agw_mcp *m = m_of(cr);
    struct agw_jsonrpc message;
    if (f->text.n == 0 || agw_mcp_read_frame(cr->leg, f, &message) != 0)
        return;
    bool final = message.kind == AGW_JSONRPC_RESULT || message.kind == AGW_JSONRPC_ERROR;
    if (message.kind == AGW_JSONRPC_REQUEST)
        agw_mcp_cross_to_modern(cr, f); /* a further question, or it is refused */
    else if (cr->hears.turn &&
             (!final || message.id == 0 || agw_str_eq(agw_json_text(&m->scratch, message.id), cr->number)))
        tell(cr, final ? NEWS_RESULT : NEWS_NOTICE, f->text, 0);
    else if (final && agw_chain_empty(&cr->held)) /* it did not wait: kept for who comes */
        (void)agw_chain_add(&cr->held, f->block, f->text.p, f->text.n);
}

/* The client's answer, as the server's: null if there is none. */
static int write_answer(struct agw_mcp_crossing *cr, struct agw_str responses, struct agw_json_writer *w)
{
    struct agw_json_doc *doc = &m_of(cr)->scratch;
    int rc = agw_json_parse(doc, responses, NULL);
    uint32_t answer = rc == 0 ? agw_json_get(doc, 0, AGW_STR("server")) : 0;
    if (answer == 0) {
        agw_jsonrpc_write_error(w, cr->question, AGW_JSONRPC_INTERNAL, AGW_STR("the client gave no answer"),
                                AGW_STR(""));
        return w->error;
    }
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_raw(w, "id", cr->question);
    agw_json_put_raw(w, "result", agw_json_text(doc, answer));
    agw_json_end_object(w);
    return w->error;
}

static void take_answer(struct agw_mcp_crossing *cr, const struct letter *l)
{
    struct agw_json_writer w;
    struct agw_block *block = NULL;
    struct agw_str text;
    if (cr->hears.turn)
        tell(cr, NEWS_FAILED, AGW_STR(""), AGW_ECANCELED); /* the client asks once more */
    cr->hears = l->from;
    cr->heard_by = l->worker;
    if (!agw_chain_empty(&cr->held) && agw_chain_flatten(&cr->held, &block, &text) == 0) {
        tell(cr, NEWS_RESULT, text, 0);
        agw_block_unref(block);
        return;
    }
    agw_json_writer_init(&w);
    if (cr->question.n && write_answer(cr, text_of(l), &w) == 0)
        agw_mcp_caller_tell(cr->guest.caller, agw_json_writer_text(&w));
    agw_json_writer_free(&w);
    cr->question = AGW_STR("");
}

static void deliver_answer(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct letter *l = (struct letter *)mail;
    struct agw_mcp *m = t ? agw_mcp_transports_user(t) : NULL;
    struct agw_mcp_crossing *cr = m ? agw_mcp_slots_get(&m->parked, l->to) : NULL;
    if (cr && cr->guest.caller && agw_mcp_caller_is(cr->guest.caller, l->digest)) {
        take_answer(cr, l);
    } else if (m) {
        struct letter *back = new_letter(NEWS_FAILED, l->from, AGW_STR(""));
        if (back) {
            back->code = AGW_ENOTFOUND;
            post(m, l->worker, back, deliver_news);
        }
    }
    free_letter(l);
}

/* --- bringing the answer --- */

/* AGW_ENOTFOUND: nothing of this process. */
static int open_place(struct agw_mcp_crossing *cr, struct agw_str state, struct place *ret_place)
{
    struct agw_mcp_exchange *x = cr->leg->x;
    struct agw_mcp_hub *hub = agw_mcp_transports_hub(x->m->transports);
    struct agw_str context = context_of(x, cr->kind == AGW_MCP_TO_MODERN, &x->arena);
    unsigned char *plain = agw_arena_alloc(&x->arena, state.n + 1);
    size_t n;
    if (!plain || !context.p)
        return AGW_ENOMEM;
    int rc = agw_seal_open(x->m->seal, state, context, plain, state.n + 1, &n);
    if (rc != 0 || n != sizeof *ret_place)
        return rc == AGW_ENOMEM ? rc : AGW_ENOTFOUND;
    memcpy(ret_place, plain, n);
    bool ours = ret_place->mark == agw_mcp_hub_mark(hub) && agw_mcp_hub_has(hub, ret_place->worker);
    return ours ? 0 : AGW_ENOTFOUND;
}

int agw_mcp_answer(struct agw_mcp_crossing *cr)
{
    static const char *const path[] = {"_meta", "progressToken"};
    struct agw_mcp_exchange *x = cr->leg->x;
    struct agw_mcp_frame f = {.text = cr->text};
    struct agw_jsonrpc message;
    struct place place = {0};
    struct agw_str state = {0}, responses = AGW_STR("");
    char digest[AGW_SHA256_SIZE];
    int rc = agw_mcp_read_frame(cr->leg, &f, &message);
    if (rc != 0)
        return rc;
    uint32_t token = agw_json_get(&x->m->scratch, message.params, AGW_STR("requestState"));
    uint32_t given = agw_json_get(&x->m->scratch, message.params, AGW_STR("inputResponses"));
    if (given != 0)
        responses = agw_json_text(&x->m->scratch, given);
    uint32_t progress = agw_json_path(&x->m->scratch, message.params, path, 2);
    if (progress != 0)
        cr->token = agw_json_text(&x->m->scratch, progress); /* in the request's own bytes */
    rc = agw_json_unescape(&x->m->scratch, token, &x->m->scratch_arena, &state);
    rc = rc == AGW_EINVAL ? AGW_ENOTFOUND : rc == 0 ? open_place(cr, state, &place) : rc;
    if (rc == AGW_ENOTFOUND || responses.n > AGW_MCP_QUESTION_MAX)
        return 0;
    if (rc == 0)
        rc = agw_mcp_caller_digest(x, cr->leg->target, digest);
    struct letter *l = rc == 0 ? new_letter(NEWS_LETTER, place.key, responses) : NULL;
    if (rc == 0 && (!l || agw_mcp_slots_add(&x->m->answering, cr, UINT32_MAX, &cr->answers) != 0))
        rc = AGW_ENOMEM;
    if (rc != 0) {
        if (l)
            free_letter(l);
        return rc;
    }
    memcpy(l->digest, digest, sizeof digest);
    l->from = cr->answers;
    l->worker = x->m->loop->index;
    cr->pending = true;
    post(x->m, place.worker, l, deliver_answer);
    return 1;
}

/* --- a server of 2026-07-28 asks a client of old --- */

struct agw_mcp_round {
    unsigned rounds; /* so far */
    uint32_t count, left;
    bool refused;
    struct agw_str state; /* requestState, JSON; empty: none */
    struct {
        struct agw_str name, answer; /* JSON */
        bool elicits;
    } v[AGW_MCP_ROUND_MAX];
};

void agw_mcp_round_drop(struct agw_mcp_crossing *cr)
{
    agw_mcp_slots_remove(&m_of(cr)->rounds, cr->round);
    cr->round = (struct agw_mcp_key){0};
}

/* One question as a request, in the arena. */
static int write_request(struct agw_mcp_crossing *cr, uint32_t question, uint32_t number,
                         struct agw_str *ret_text)
{
    const struct agw_json_doc *doc = &m_of(cr)->scratch;
    uint32_t method = agw_json_get(doc, question, AGW_STR("method"));
    uint32_t params = agw_json_get(doc, question, AGW_STR("params"));
    struct agw_json_writer w;
    struct agw_str id, name;
    if (method == 0 || agw_json_unescape(doc, method, &m_of(cr)->scratch_arena, &name) != 0 ||
        !is_question(name))
        return AGW_EPROTO;
    int rc = seal_place(cr, cr->round, number, &id);
    if (rc != 0)
        return rc;
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_string(&w, "id", id);
    agw_json_put_string(&w, "method", name);
    if (params != 0)
        agw_json_put_raw(&w, "params", agw_json_text(doc, params));
    agw_json_end_object(&w);
    *ret_text = w.error ? agw_str(NULL, 0) : agw_arena_str(&cr->leg->x->arena, agw_json_writer_text(&w));
    agw_json_writer_free(&w);
    cr->asks->v[number].elicits = agw_str_eq(name, AGW_STR("elicitation/create"));
    return ret_text->p ? 0 : AGW_ENOMEM;
}

/* Reads the questions of a result. AGW_EPROTO: not as they must be. AGW_ELIMIT. */
static int read_questions(struct agw_mcp_crossing *cr, uint32_t result,
                          struct agw_str texts[AGW_MCP_ROUND_MAX])
{
    const struct agw_json_doc *doc = &m_of(cr)->scratch;
    struct agw_arena *arena = &cr->leg->x->arena;
    struct agw_mcp_round *r = cr->asks;
    uint32_t state = agw_json_get(doc, result, AGW_STR("requestState"));
    uint32_t list = agw_json_get(doc, result, AGW_STR("inputRequests"));
    r->count = r->left = 0;
    r->state = agw_arena_str(arena, state ? agw_json_text(doc, state) : AGW_STR(""));
    if (list == 0 || !r->state.p)
        return list == 0 ? AGW_EPROTO : AGW_ENOMEM;
    agw_json_each_member(doc, list, key)
    {
        if (r->count == AGW_MCP_ROUND_MAX)
            return AGW_ELIMIT;
        r->v[r->count].answer = AGW_STR("");
        r->v[r->count].name = agw_arena_str(arena, agw_json_text(doc, key));
        int rc = r->v[r->count].name.p ? write_request(cr, key + 1, r->count, &texts[r->count]) : AGW_ENOMEM;
        if (rc != 0)
            return rc;
        r->count++;
    }
    r->left = r->count;
    return 0;
}

bool agw_mcp_round_begin(struct agw_mcp_crossing *cr, const struct agw_jsonrpc *message)
{
    struct agw_mcp_exchange *x = cr->leg->x;
    struct agw_str texts[AGW_MCP_ROUND_MAX];
    struct agw_chain body;
    if (!cr->asks)
        cr->asks = agw_arena_zalloc(&x->arena, sizeof *cr->asks);
    if (!cr->asks || x->finish || cr->round.turn || cr->asks->rounds++ == AGW_MCP_ROUNDS_MAX ||
        m_of(cr)->scratch.text.n > AGW_MCP_QUESTION_MAX ||
        agw_mcp_slots_add(&x->m->rounds, cr, UINT32_MAX, &cr->round) != 0)
        return false;
    if (read_questions(cr, message->result, texts) != 0) {
        agw_mcp_round_drop(cr);
        return false;
    }
    for (uint32_t i = 0; i < cr->asks->count && cr->round.turn && x->out != AGW_MCP_OUT_ENDED; i++) {
        agw_chain_init(&body);
        if (agw_chain_copy(&body, &x->m->loop->blocks, texts[i].p, texts[i].n) == 0)
            agw_mcp_cross_give(cr, &body);
        else
            agw_mcp_abort(x, AGW_ENOMEM);
        agw_chain_clear(&body);
    }
    return true;
}

/* The members that the next request has besides: p NULL: no memory. */
static struct agw_str members_of(struct agw_mcp_crossing *cr)
{
    const struct agw_mcp_round *r = cr->asks;
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    agw_json_raw(&w, AGW_STR("\"inputResponses\":{"));
    for (uint32_t i = 0; i < r->count; i++) {
        agw_json_more(&w, i ? AGW_STR(",") : AGW_STR(""));
        agw_json_more(&w, r->v[i].name);
        agw_json_more(&w, AGW_STR(":"));
        agw_json_more(&w, r->v[i].answer);
    }
    agw_json_more(&w, r->state.n ? AGW_STR("},\"requestState\":") : AGW_STR("}"));
    agw_json_more(&w, r->state);
    agw_json_more(&w, AGW_STR(","));
    struct agw_str text =
        w.error ? agw_str(NULL, 0) : agw_arena_str(&cr->leg->x->arena, agw_json_writer_text(&w));
    agw_json_writer_free(&w);
    return text;
}

void agw_mcp_round_go_on(struct agw_mcp_crossing *cr)
{
    cr->pending = true;
    if (cr->asks->left > 0)
        return;
    agw_mcp_round_drop(cr);
    cr->pending = false;
    cr->extra = cr->asks->refused ? AGW_STR("") : members_of(cr);
    int rc = cr->extra.p ? 0 : AGW_ENOMEM;
    if (rc == 0 && cr->asks->refused)
        rc = agw_mcp_cross_refuse(cr, AGW_JSONRPC_INTERNAL,
                                  AGW_STR("the client refused what the server asked"));
    else if (rc == 0)
        rc = agw_mcp_cross_send_modern(cr);
    if (rc < 0)
        agw_mcp_cross_finish(cr, rc);
}

/* A response of the client. Who will not say may cancel an elicitation; nothing else has a word for it. */
static void take_response(struct agw_mcp_crossing *cr, uint32_t number, struct agw_str text)
{
    struct agw_mcp *m = m_of(cr);
    struct agw_mcp_round *r = cr->asks;
    struct agw_jsonrpc message;
    struct agw_mcp_frame f = {.text = text};
    if (number >= r->count || r->v[number].answer.n || agw_mcp_read_frame(cr->leg, &f, &message) != 0)
        return;
    bool given = message.kind == AGW_JSONRPC_RESULT;
    r->v[number].answer = agw_arena_str(&cr->leg->x->arena, given ? agw_json_text(&m->scratch, message.result)
                                                                  : AGW_STR("{\"action\":\"cancel\"}"));
    r->refused |= (!given && !r->v[number].elicits) || !r->v[number].answer.p;
    r->left--;
    if (!cr->leg->call.running)
        agw_mcp_round_go_on(cr);
}

static void deliver_response(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct letter *l = (struct letter *)mail;
    struct agw_mcp *m = t ? agw_mcp_transports_user(t) : NULL;
    struct agw_mcp_crossing *cr = m ? agw_mcp_slots_get(&m->rounds, l->to) : NULL;
    if (cr)
        take_response(cr, l->number, text_of(l));
    free_letter(l);
}

int agw_mcp_round_answer(struct agw_mcp_crossing *cr)
{
    struct agw_mcp *m = m_of(cr);
    struct agw_mcp_frame f = {.text = cr->text};
    struct agw_jsonrpc message;
    struct place place;
    struct agw_str id;
    int rc = agw_mcp_read_frame(cr->leg, &f, &message);
    if (rc != 0 || message.kind == AGW_JSONRPC_NOTIFICATION || message.id == 0 ||
        agw_json_type(&m->scratch, message.id) != AGW_JSON_STRING || cr->text.n > AGW_MCP_QUESTION_MAX)
        return rc;
    rc = agw_json_unescape(&m->scratch, message.id, &m->scratch_arena, &id);
    if (rc == 0)
        rc = open_place(cr, id, &place);
    if (rc != 0)
        return rc == AGW_ENOMEM ? rc : 0;
    struct letter *l = new_letter(NEWS_LETTER, place.key, cr->text);
    if (!l)
        return AGW_ENOMEM;
    l->number = place.number;
    post(m, place.worker, l, deliver_response);
    return 0;
}
