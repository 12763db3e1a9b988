/* An HTTP API as a target: what an MCP server would say is said here, a tools/call is one request of its own.
 *
 * It has no session and speaks both eras: answers are of the one that the request is of. */
#include <string.h>
#include "config/backend_auth.h"
#include "json/pointer.h"
#include "json/writer.h"
#include "mcp/openapi/request.h"
#include "mcp/openapi/result.h"
#include "mcp/transport/transport_int.h"

#define NEWEST "2025-11-25"
#define MODERN "2026-07-28"
#define LIST_TTL_MS 60000     /* a document changes with the configuration alone */
#define INSTRUCTIONS_MAX 4096 /* bytes of a document's description: models read all of it at once */
#define METHOD_NOT_FOUND (-32601)
#define INVALID_PARAMS (-32602)

/* --- answering --- */

static void on_ready(struct agw_task *task)
{
    struct agw_mcp_call *c = agw_container_of(task, struct agw_mcp_rest, ready)->call;
    int status = c->rest->status;
    if (c->ignored)
        agw_mcp_call_finish(c, 0);
    else if (c->rest->message)
        agw_mcp_call_whole(c, c->rest->message, AGW_STR(""));
    else if (agw_mcp_call_answer(c, status, status > 299 ? AGW_MCP_FORM_RAW : AGW_MCP_FORM_EMPTY, 0,
                                 AGW_STR("")))
        agw_mcp_call_finish(c, 0);
}

/* By a status alone. */
static void answer_status(struct agw_mcp_call *c, int status)
{
    c->rest->status = status;
    agw_loop_defer(c->loop, &c->rest->ready);
}

/* A message from its parts: everything that a writer holds, after |rc|. */
static int answer_written(struct agw_mcp_call *c, struct agw_json_writer *w, int rc)
{
    struct agw_chain chain;
    struct agw_str text;
    agw_chain_init(&chain);
    rc = agw_json_writer_finish(w, rc, &chain);
    if (rc == 0)
        rc = agw_chain_flatten(&chain, &c->rest->message, &text);
    agw_chain_clear(&chain);
    if (rc == 0)
        agw_loop_defer(c->loop, &c->rest->ready);
    return rc;
}

static void begin_message(struct agw_mcp_call *c, struct agw_json_writer *w, const char *member)
{
    agw_json_writer_init(w);
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_raw(w, "id", c->rest->id);
    agw_json_key(w, agw_str_c(member));
    agw_json_begin_object(w);
}

static void server_info(const struct agw_openapi *o, struct agw_json_writer *w, const char *key)
{
    agw_json_key(w, agw_str_c(key));
    agw_json_begin_object(w);
    agw_json_put_string(w, "name", o->title.n ? o->title : AGW_STR("openapi"));
    agw_json_put_string(w, "version", o->version.n ? o->version : AGW_STR("0"));
    agw_json_end_object(w);
}

static void begin_result(struct agw_mcp_call *c, struct agw_json_writer *w)
{
    begin_message(c, w, "result");
    if (!c->rest->modern)
        return;
    agw_json_put_string(w, "resultType", AGW_STR("complete"));
    agw_json_key(w, AGW_STR("_meta"));
    agw_json_begin_object(w);
    server_info(c->target->openapi, w, "io.modelcontextprotocol/serverInfo");
    agw_json_end_object(w);
}

static int end_message(struct agw_mcp_call *c, struct agw_json_writer *w, int rc)
{
    if (rc == 0) {
        agw_json_end_object(w);
        agw_json_end_object(w);
    }
    return answer_written(c, w, rc);
}

static int answer_error(struct agw_mcp_call *c, int code, struct agw_str message)
{
    struct agw_json_writer w;
    c->rest->local = true;
    begin_message(c, &w, "error");
    agw_json_put_int(&w, "code", code);
    agw_json_put_string(&w, "message", message);
    return end_message(c, &w, 0);
}

/* --- what a server says of itself --- */

static void about(const struct agw_openapi *o, struct agw_json_writer *w)
{
    agw_json_key(w, AGW_STR("capabilities"));
    agw_json_begin_object(w);
    agw_json_key(w, AGW_STR("tools"));
    agw_json_begin_object(w);
    agw_json_end_object(w);
    agw_json_end_object(w);
    if (o->description.n && o->description.n <= INSTRUCTIONS_MAX)
        agw_json_put_string(w, "instructions", o->description);
}

static int initialize(struct agw_mcp_call *c, const struct agw_json_doc *doc, uint32_t params)
{
    static const char *const versions[] = {"2025-06-18", "2025-03-26", "2024-11-05"};
    uint32_t asked = params ? agw_json_get(doc, params, AGW_STR("protocolVersion")) : 0;
    struct agw_str version = AGW_STR(NEWEST);
    struct agw_json_writer w;
    for (size_t i = 0; asked && i < sizeof versions / sizeof versions[0]; i++)
        if (agw_json_is(doc, asked, agw_str_c(versions[i])))
            version = agw_str_c(versions[i]);
    c->rest->modern = false;
    begin_result(c, &w);
    agw_json_put_string(&w, "protocolVersion", version);
    server_info(c->target->openapi, &w, "serverInfo");
    about(c->target->openapi, &w);
    return end_message(c, &w, 0);
}

static void cacheable(struct agw_mcp_call *c, struct agw_json_writer *w)
{
    if (!c->rest->modern)
        return;
    agw_json_put_int(w, "ttlMs", LIST_TTL_MS);
    agw_json_put_string(w, "cacheScope", AGW_STR("public"));
}

static int discover(struct agw_mcp_call *c)
{
    struct agw_json_writer w;
    c->rest->modern = true;
    begin_result(c, &w);
    agw_json_key(&w, AGW_STR("supportedVersions"));
    agw_json_begin_array(&w);
    agw_json_string(&w, AGW_STR(MODERN));
    agw_json_end_array(&w);
    server_info(c->target->openapi, &w, "serverInfo");
    about(c->target->openapi, &w);
    cacheable(c, &w);
    return end_message(c, &w, 0);
}

static int list(struct agw_mcp_call *c)
{
    const struct agw_openapi *o = c->target->openapi;
    struct agw_json_writer w;
    begin_result(c, &w);
    agw_json_key(&w, AGW_STR("tools"));
    agw_json_begin_array(&w);
    for (uint32_t i = 0; i < o->count; i++)
        agw_json_raw(&w, o->tools[i].json);
    agw_json_end_array(&w);
    cacheable(c, &w);
    return end_message(c, &w, 0);
}

static int ping(struct agw_mcp_call *c)
{
    struct agw_json_writer w;
    begin_result(c, &w);
    return end_message(c, &w, 0);
}

/* --- tools/call: what comes back --- */

static int answer_failure(struct agw_mcp_call *c, const char *reason)
{
    struct agw_json_writer w;
    begin_result(c, &w);
    agw_openapi_failure(&w, agw_str_c(reason));
    return end_message(c, &w, 0);
}

static void or_end(struct agw_mcp_call *c, int rc)
{
    if (rc != 0)
        agw_mcp_call_finish(c, rc);
}

static void drop_stream(struct agw_mcp_call *c)
{
    if (c->http.stream)
        agw_stream_reset(c->http.stream, AGW_ECANCELED);
    c->http.stream = NULL;
    agw_chain_clear(&c->http.input);
}

static void answer_ended(struct agw_mcp_call *c)
{
    struct agw_msg *m = c->rest->head;
    struct agw_openapi_answer a = {.status = m->status,
                                   .media = agw_headers_value(&m->headers, AGW_HDR_CONTENT_TYPE)};
    struct agw_str coding = agw_headers_value(&m->headers, AGW_HDR_CONTENT_ENCODING);
    struct agw_block *block = NULL;
    struct agw_json_writer w;
    agw_stream_detach(c->http.stream);
    c->http.stream = NULL;
    if (coding.n && !agw_str_ieq(coding, AGW_STR("identity")) && c->http.input.bytes) {
        or_end(c, answer_failure(c, "the answer has a content coding that was not asked for"));
        return;
    }
    int rc = agw_chain_flatten(&c->http.input, &block, &a.body);
    if (rc == 0) {
        begin_result(c, &w);
        rc = agw_openapi_result(c->rest->tool, &a, &c->transports->doc, &w);
        rc = end_message(c, &w, rc);
    }
    agw_block_unref(block);
    or_end(c, rc);
}

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct agw_mcp_call *c = s->owner;
    if (msg->status < 200)
        return;
    agw_chain_clear(&c->body);
    c->rest->head = msg;
    if (end)
        answer_ended(c);
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_mcp_call *c = s->owner;
    c->http.held += data->bytes;
    int rc = agw_chain_move(&c->http.input, data);
    if (rc == 0 && c->http.input.bytes > AGW_OPENAPI_ANSWER_MAX) {
        drop_stream(c);
        rc = answer_failure(c, "the answer has more than 2 MiB");
    } else if (rc == 0 && !c->paused) {
        agw_mcp_http_give_back(c);
    }
    or_end(c, rc);
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    answer_ended(s->owner);
}

static void on_drain(struct agw_stream *s) {}

static const struct agw_stream_events events = {on_head, on_body, on_end, on_drain, agw_mcp_http_closed};

/* --- tools/call: what goes out --- */

/* Of what the client said goes on what its credentials and its trace are; the rest was for an MCP server. */
static bool goes_on(const struct agw_header *h)
{
    switch (h->id) {
    case AGW_HDR_ACCEPT:
    case AGW_HDR_CONTENT_TYPE:
    case AGW_HDR_ORIGIN:
    case AGW_HDR_LAST_EVENT_ID:
    case AGW_HDR_MCP_SESSION_ID:
    case AGW_HDR_MCP_PROTOCOL_VERSION:
        return false;
    default:
        return !agw_str_starts(h->name, AGW_STR("mcp-")) && !agw_str_starts(h->name, AGW_STR("sec-"));
    }
}

/* A cookie of arguments stands beside those that are there by configuration. */
static int set_field(struct agw_mcp_call *c, const struct agw_header *h)
{
    struct agw_header *there = h->id == AGW_HDR_COOKIE ? agw_headers_get(&c->head.headers, h->id) : NULL;
    if (!there)
        return agw_headers_set(&c->head.headers, h->name, h->value);
    struct agw_str parts[] = {there->value, AGW_STR("; "), h->value};
    struct agw_str joined = agw_arena_join(c->arena, parts, 3);
    if (!joined.p)
        return AGW_ENOMEM;
    there->value = joined;
    return 0;
}

/* What the gateway adds of its own is set last: no argument takes its place. */
static int make_head(struct agw_mcp_call *c, const struct agw_openapi_request *r)
{
    const struct agw_backend_auth *auth = c->target->auth ? c->target->auth : c->fields.auth;
    struct agw_headers *h = &c->head.headers;
    uint32_t kept = 0;
    int rc = 0;
    for (uint32_t i = 0; i < h->n; i++)
        if (goes_on(&h->v[i]))
            h->v[kept++] = h->v[i];
    h->n = kept;
    for (uint32_t i = 0; i < r->headers.n && rc == 0; i++)
        rc = set_field(c, &r->headers.v[i]);
    if (rc == 0)
        rc = agw_backend_auth_apply(auth, c->fields.token, h, c->arena);
    c->head.method = agw_method_lookup(c->rest->tool->method);
    c->head.method_text = c->rest->tool->method;
    c->head.path = r->path;
    c->head.length = (int64_t)r->body.n;
    return rc;
}

static int make_body(struct agw_mcp_call *c, struct agw_str body)
{
    struct agw_block *b = body.n ? agw_block_new(body.n) : NULL;
    agw_chain_clear(&c->body);
    if (body.n == 0)
        return 0;
    if (!b)
        return AGW_ENOMEM;
    memcpy(b->data, body.p, body.n);
    b->len = (uint32_t)body.n;
    int rc = agw_chain_add(&c->body, b, b->data, b->len);
    agw_block_unref(b);
    return rc;
}

static int unknown_tool(struct agw_mcp_call *c, struct agw_str name)
{
    struct agw_str shown = agw_str(name.n ? name.p : "", name.n < 128 ? name.n : 128);
    struct agw_str text = agw_arena_printf(c->arena, "Unknown tool: %.*s", AGW_STRF(shown));
    return text.p ? answer_error(c, INVALID_PARAMS, text) : AGW_ENOMEM;
}

static int ask(struct agw_mcp_call *c, const struct agw_openapi_request *r)
{
    int rc = c->endpoint ? make_head(c, r) : AGW_ENOTFOUND;
    if (rc == 0)
        rc = make_body(c, r->body);
    return rc == 0 ? agw_mcp_http_open(c, &events) : rc;
}

static int call_tool(struct agw_mcp_call *c, const struct agw_json_doc *doc, uint32_t params)
{
    uint32_t name = params ? agw_json_get(doc, params, AGW_STR("name")) : 0;
    uint32_t arguments = params ? agw_json_get(doc, params, AGW_STR("arguments")) : 0;
    struct agw_openapi_request r;
    struct agw_error err = {0};
    struct agw_str text = {0};
    int rc = name ? agw_json_unescape(doc, name, c->arena, &text) : AGW_EINVAL;
    if (rc == AGW_ENOMEM)
        return rc;
    c->rest->tool = rc == 0 ? agw_openapi_find(c->target->openapi, text) : NULL;
    if (!c->rest->tool)
        return unknown_tool(c, text);
    rc = agw_openapi_request(c->rest->tool, doc, arguments, c->arena, &r, &err);
    if (rc == 0)
        return ask(c, &r);
    if (rc != AGW_EINVAL && rc != AGW_ELIMIT)
        return rc;
    c->rest->local = true;
    return answer_failure(c, err.text);
}

/* --- which it is --- */

static int dispatch(struct agw_mcp_call *c, const struct agw_json_doc *doc)
{
    static const char *const version[] = {"params", "_meta", "io.modelcontextprotocol/protocolVersion"};
    uint32_t method = agw_json_get(doc, 0, AGW_STR("method")), id = agw_json_get(doc, 0, AGW_STR("id"));
    uint32_t params = agw_json_get(doc, 0, AGW_STR("params"));
    c->rest->local = !(method && agw_json_is(doc, method, AGW_STR("tools/call")));
    if (!method || !id) { /* an answer, or a notification */
        answer_status(c, 202);
        return 0;
    }
    c->rest->id = agw_arena_str(c->arena, agw_json_text(doc, id));
    c->rest->modern = agw_json_path(doc, 0, version, 3) != 0;
    if (!c->rest->id.p)
        return AGW_ENOMEM;
    if (!c->rest->local)
        return call_tool(c, doc, params);
    if (agw_json_is(doc, method, AGW_STR("initialize")))
        return initialize(c, doc, params);
    if (agw_json_is(doc, method, AGW_STR("server/discover")))
        return discover(c);
    if (agw_json_is(doc, method, AGW_STR("tools/list")))
        return list(c);
    if (agw_json_is(doc, method, AGW_STR("ping")))
        return ping(c);
    return answer_error(c, METHOD_NOT_FOUND, AGW_STR("Method not found"));
}

static int start(struct agw_mcp_call *c)
{
    struct agw_json_doc *doc = &c->transports->doc;
    struct agw_str text;
    c->rest = agw_arena_zalloc(c->arena, sizeof *c->rest);
    if (!c->rest)
        return AGW_ENOMEM;
    c->rest->call = c;
    agw_task_init(&c->rest->ready, on_ready);
    if (c->fields.method != AGW_METHOD_POST) { /* no stream to listen to, no session to end */
        c->rest->local = true;
        answer_status(c, 405);
        return 0;
    }
    /* A copy: the request's parts are views of it, and the body's blocks are let go of. */
    char *copy = agw_arena_alloc(c->arena, c->body.bytes + 1);
    if (!copy)
        return AGW_ENOMEM;
    text = agw_str(copy, agw_chain_peek(&c->body, copy, c->body.bytes));
    int rc = agw_json_parse(doc, text, NULL);
    if (rc == 0 && agw_json_type(doc, 0) != AGW_JSON_OBJECT)
        rc = AGW_EUNSUPPORTED;
    return rc == 0 ? dispatch(c, doc) : rc == AGW_ENOMEM ? rc : AGW_EPROTO;
}

static void let_go(struct agw_mcp_call *c)
{
    if (!c->rest) /* it was not started */
        return;
    agw_task_cancel(&c->rest->ready);
    agw_block_unref(c->rest->message);
    c->rest->message = NULL;
    if (c->http.events)
        agw_mcp_http_let_go(c);
}

static void resume(struct agw_mcp_call *c)
{
    if (c->http.events)
        agw_mcp_http_give_back(c);
}

const struct agw_mcp_transport agw_mcp_rest = {start, let_go, NULL, resume};
