#include "mcp/message/passage.h"

#include <stdlib.h>
#include <string.h>
#include "json/pointer.h"
#include "json/writer.h"
#include "mcp/message/names.h"

#define FIRST_HELD 1024
#define URI_ARENA 1024

enum key { OTHER, RESULT, LIST, TYPE, URI, RESOURCE };
enum { RESULT_DEPTH = 2, ITEMS_DEPTH = 3, ITEM_DEPTH = 4, RESOURCE_DEPTH = 5 };

void agw_mcp_passage_init(struct agw_mcp_passage *p, const struct agw_mcp_backend *b, uint32_t target,
                          bool read)
{
    *p = (struct agw_mcp_passage){.backend = b, .target = target, .reading = read};
}

void agw_mcp_passage_free(struct agw_mcp_passage *p)
{
    free(p->held);
    p->held = NULL;
}

/* --- what is in doubt --- */

static int hold(struct agw_mcp_passage *p, const unsigned char *from, size_t n)
{
    size_t cap = p->held_cap ? p->held_cap : FIRST_HELD;
    if (p->held_n + n > AGW_MCP_HELD_MAX)
        return AGW_ELIMIT;
    while (cap < p->held_n + n)
        cap *= 2;
    if (cap != p->held_cap) {
        char *grown = realloc(p->held, cap);
        if (!grown)
            return AGW_ENOMEM;
        p->held = grown;
        p->held_cap = cap;
    }
    if (n > 0)
        memcpy(p->held + p->held_n, from, n);
    p->held_n += n;
    return 0;
}

static int add_copy(struct agw_chain *out, struct agw_str s)
{
    struct agw_block *b = s.n ? agw_block_new(s.n) : NULL;
    if (!b)
        return s.n ? AGW_ENOMEM : 0;
    memcpy(b->data, s.p, s.n);
    b->len = (uint32_t)s.n;
    int rc = agw_chain_add(out, b, b->data, s.n);
    agw_block_unref(b);
    return rc;
}

/* |token|: a JSON string. Its client's form; itself where there is none. p NULL: no memory. */
static struct agw_str client_form(const struct agw_mcp_passage *p, struct agw_str token,
                                  struct agw_arena *arena)
{
    struct agw_json_doc doc;
    struct agw_str uri = {0}, name = p->backend->targets[p->target].name;
    agw_json_doc_init(&doc, 0);
    int rc = agw_json_parse(&doc, token, NULL);
    if (rc == 0)
        rc = agw_json_unescape(&doc, 0, arena, &uri);
    bool plain = rc == 0 && !(doc.tokens[0].flags & AGW_JSON_ESCAPED);
    agw_json_doc_free(&doc);
    int at = rc == 0 ? agw_mcp_uri_insert_at(uri) : -1;
    if (rc == AGW_ENOMEM)
        return agw_str(NULL, 0);
    if (at < 0)
        return token;
    struct agw_str head = agw_str(uri.p, (size_t)at), tail = agw_str_from(uri, (size_t)at);
    if (!plain) {
        head = agw_json_escape(head, arena);
        tail = agw_json_escape(tail, arena);
        if (!head.p || !tail.p)
            return agw_str(NULL, 0);
    }
    struct agw_str parts[] = {AGW_STR("\""), head, name, AGW_STR("+"), tail, AGW_STR("\"")};
    return agw_arena_join(arena, parts, 6);
}

/* Lets go of what is held; the URI at |which| in its client's form (negative: none). */
static int release(struct agw_mcp_passage *p, int which, struct agw_chain *out)
{
    struct agw_str held = agw_str(p->held, p->held_n), token, form;
    struct agw_arena arena;
    size_t n = p->held_n;
    p->holding = p->in_uri = false;
    p->held_n = 0;
    if (which < 0)
        return add_copy(out, agw_str(held.p, n));
    p->done = true;
    size_t at = p->uri_at[which], end = p->uri_end[which];
    token = agw_str(held.p + at, end - at);
    agw_arena_init(&arena, URI_ARENA, 0);
    form = client_form(p, token, &arena);
    int rc = form.p ? add_copy(out, agw_str(held.p, at)) : AGW_ENOMEM;
    if (rc == 0)
        rc = add_copy(out, form);
    if (rc == 0)
        rc = add_copy(out, agw_str_from(held, end));
    agw_arena_free(&arena);
    return rc;
}

/* --- keys and types --- */

/* What stands between the quotes; where it is escaped or too long it is none that is looked for... unless its
 * escapes spell one out: RFC 8259 section 8.3. */
static bool text_is(struct agw_mcp_passage *p, const char *want)
{
    char token[sizeof p->text + 2];
    struct agw_json_doc doc;
    struct agw_str text = agw_str(p->text, p->text_n);
    if (p->text_n >= sizeof p->text)
        return false;
    if (agw_str_find(text, '\\') < 0)
        return agw_str_eq(text, agw_str_c(want));
    token[0] = '"';
    memcpy(token + 1, p->text, p->text_n);
    token[p->text_n + 1] = '"';
    agw_json_doc_init(&doc, 1);
    int rc = agw_json_parse(&doc, agw_str(token, p->text_n + 2), NULL);
    if (rc == AGW_ENOMEM)
        p->error = rc;
    bool same = rc == 0 && agw_json_is(&doc, 0, agw_str_c(want));
    agw_json_doc_free(&doc);
    return same;
}

static enum key named(struct agw_mcp_passage *p)
{
    switch (p->depth) {
    case RESULT_DEPTH - 1:
        return text_is(p, "result") ? RESULT : OTHER;
    case RESULT_DEPTH:
        return text_is(p, p->reading ? "contents" : "content") ? LIST : OTHER;
    case ITEM_DEPTH:
        return text_is(p, "uri")        ? URI
               : text_is(p, "type")     ? TYPE
               : text_is(p, "resource") ? RESOURCE
                                        : OTHER;
    case RESOURCE_DEPTH:
        return text_is(p, "uri") ? URI : OTHER;
    default:
        return OTHER;
    }
}

/* Of keys that stand there twice the first one counts, as for everybody who looks into a document. */
static enum key key_of(struct agw_mcp_passage *p)
{
    enum key key = named(p);
    unsigned bit = 1u << (key + (p->depth == RESOURCE_DEPTH ? RESOURCE : 0));
    if (key == OTHER || key == RESULT)
        return key;
    if (p->seen & bit)
        return OTHER;
    p->seen |= bit;
    return key;
}

/* The URI that an item of this kind has; negative: none. */
static int wanted(const struct agw_mcp_passage *p)
{
    return p->kind == AGW_MCP_ITEM_LINK ? 0 : p->kind == AGW_MCP_ITEM_EMBEDDED ? 1 : -1;
}

static int take_type(struct agw_mcp_passage *p, struct agw_chain *out)
{
    if (p->kind != AGW_MCP_ITEM_UNKNOWN)
        return 0;
    p->kind = text_is(p, "resource_link") ? AGW_MCP_ITEM_LINK
              : text_is(p, "resource")    ? AGW_MCP_ITEM_EMBEDDED
                                          : AGW_MCP_ITEM_OTHER;
    int which = wanted(p);
    return release(p, which >= 0 && p->uri_end[which] ? which : -1, out);
}

static int take_uri(struct agw_mcp_passage *p, struct agw_chain *out)
{
    int which = p->depth == ITEM_DEPTH ? 0 : 1;
    p->in_uri = false;
    p->uri_end[which] = p->held_n;
    return p->kind == AGW_MCP_ITEM_UNKNOWN ? 0 : release(p, which, out);
}

/* --- where we are --- */

static bool at_path(const struct agw_mcp_passage *p)
{
    return p->depth <= AGW_MCP_PATH && p->path[p->depth];
}

static bool is_uri(const struct agw_mcp_passage *p)
{
    int which = p->depth == ITEM_DEPTH ? 0 : p->depth == RESOURCE_DEPTH ? 1 : -1;
    if (which < 0 || !at_path(p) || p->key[p->depth] != URI || p->done)
        return false;
    return p->kind == AGW_MCP_ITEM_UNKNOWN ? p->uri_end[which] == 0 : which == wanted(p);
}

static void open_container(struct agw_mcp_passage *p, bool object)
{
    static const struct {
        bool object;
        enum key key; /* of the container around it */
    } want[AGW_MCP_PATH + 1] = {[1] = {true, OTHER},
                                [2] = {true, RESULT},
                                [3] = {false, LIST},
                                [4] = {true, OTHER},
                                [5] = {true, RESOURCE}};
    unsigned d = ++p->depth;
    p->key_next = object;
    if (d > AGW_MCP_PATH)
        return;
    p->object[d] = object;
    p->key[d] = OTHER;
    p->path[d] = object == want[d].object && (d == 1 || (p->path[d - 1] && p->key[d - 1] == want[d].key));
    if (d == RESOURCE_DEPTH && p->reading)
        p->path[d] = false;
}

static void begin_item(struct agw_mcp_passage *p)
{
    p->kind = p->reading ? AGW_MCP_ITEM_LINK : AGW_MCP_ITEM_UNKNOWN;
    p->done = false;
    p->holding = !p->reading;
    p->uri_end[0] = p->uri_end[1] = 0;
    p->seen &= 1u << LIST;
}

/* --- bytes --- */

struct span { /* of the slice in hand */
    struct agw_block *block;
    const unsigned char *from, *at; /* not gone yet; the byte in hand */
};

/* What came before |at| goes, or is held. */
static int settle(struct agw_mcp_passage *p, struct span *s, struct agw_chain *out)
{
    size_t n = (size_t)(s->at - s->from);
    int rc = p->holding ? hold(p, s->from, n) : agw_chain_add(out, s->block, s->from, n);
    s->from = s->at;
    return rc;
}

static int begin_string(struct agw_mcp_passage *p, struct span *s, struct agw_chain *out)
{
    int rc = 0;
    p->in_string = true;
    p->escaped = false;
    p->is_key = p->key_next && at_path(p) && p->object[p->depth];
    p->text_n = 0;
    if (!p->is_key && is_uri(p)) {
        rc = settle(p, s, out);
        p->holding = p->in_uri = true;
        p->uri_at[p->depth == ITEM_DEPTH ? 0 : 1] = p->held_n;
    }
    return rc;
}

static bool is_text(const struct agw_mcp_passage *p)
{
    return p->is_key || (p->depth == ITEM_DEPTH && at_path(p) && p->key[ITEM_DEPTH] == TYPE);
}

/* |s->at| is behind its closing quote. */
static int end_string(struct agw_mcp_passage *p, struct span *s, struct agw_chain *out)
{
    p->in_string = false;
    if (p->is_key) {
        p->key[p->depth] = (unsigned char)key_of(p);
        return 0;
    }
    if (!p->in_uri && !is_text(p))
        return 0;
    int rc = settle(p, s, out);
    if (rc == 0)
        rc = p->in_uri ? take_uri(p, out) : take_type(p, out);
    return rc;
}

static const unsigned char *pass_string(struct agw_mcp_passage *p, const unsigned char *at,
                                        const unsigned char *end, bool *ret_over)
{
    bool text = is_text(p);
    *ret_over = false;
    for (; at < end; at++) {
        if (!p->escaped && *at == '"') {
            *ret_over = true;
            return at + 1;
        }
        p->escaped = !p->escaped && *at == '\\';
        if (text && p->text_n < sizeof p->text)
            p->text[p->text_n++] = (char)*at;
    }
    return at;
}

static int close_container(struct agw_mcp_passage *p, struct span *s, struct agw_chain *out)
{
    int rc = 0;
    if (p->depth == ITEM_DEPTH && at_path(p) && p->holding) {
        rc = settle(p, s, out);
        if (rc == 0)
            rc = release(p, -1, out); /* of no type */
    }
    if (p->depth > 0)
        p->depth--;
    p->key_next = false;
    return rc;
}

/* A byte outside of strings, |s->at| is behind it. */
static int take_byte(struct agw_mcp_passage *p, unsigned char c, struct span *s, struct agw_chain *out)
{
    switch (c) {
    case '"':
        s->at--;
        int rc = begin_string(p, s, out);
        s->at++;
        return rc;
    case '{':
    case '[':
        open_container(p, c == '{');
        if (p->depth != ITEM_DEPTH || !at_path(p))
            return 0;
        rc = settle(p, s, out);
        begin_item(p);
        return rc;
    case '}':
    case ']':
        return close_container(p, s, out);
    case ',':
        p->key_next = p->depth <= AGW_MCP_PATH && p->object[p->depth];
        return 0;
    case ':':
        p->key_next = false;
        return 0;
    default:
        return 0;
    }
}

static int feed_slice(struct agw_mcp_passage *p, const struct agw_slice *in, struct agw_chain *out)
{
    struct span s = {in->block, in->p, in->p};
    const unsigned char *end = in->p + in->n;
    int rc = 0;
    while (rc == 0 && s.at < end) {
        if (p->in_string) {
            bool over;
            s.at = pass_string(p, s.at, end, &over);
            rc = over ? end_string(p, &s, out) : 0;
        } else {
            unsigned char c = *s.at++;
            rc = take_byte(p, c, &s, out);
        }
    }
    if (rc == 0)
        rc = settle(p, &s, out);
    return rc == 0 ? p->error : rc;
}

int agw_mcp_passage_feed(struct agw_mcp_passage *p, struct agw_chain *in, struct agw_chain *out)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < in->count; i++)
        rc = feed_slice(p, agw_chain_at(in, i), out);
    agw_chain_clear(in);
    return rc;
}

int agw_mcp_passage_end(struct agw_mcp_passage *p, struct agw_chain *out)
{
    return p->holding ? release(p, -1, out) : 0;
}
