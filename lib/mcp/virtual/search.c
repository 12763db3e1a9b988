#include "mcp/virtual/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "json/pointer.h"

#define WORD_MAX 64 /* bytes of a word that count */
#define PARAMETERS_MAX 64
#define QUERY_MAX 1024

/* --- words --- */

struct word {
    char text[WORD_MAX];
    unsigned n;
};

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Bytes of other scripts are parts of words: there is no telling where those end. */
static bool is_part(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

/* Takes the next word off |text|, in lower case and without a plural's s. False: there is none. */
static bool next_word(struct agw_str *text, struct word *w)
{
    size_t i = 0;
    w->n = 0;
    while (i < text->n && !is_part(text->p[i]))
        i++;
    for (size_t from = i; i < text->n && is_part(text->p[i]); i++) {
        char c = text->p[i];
        if (i > from && is_upper(c) && !is_upper(text->p[i - 1]))
            break;
        if (w->n < WORD_MAX)
            w->text[w->n++] = is_upper(c) ? (char)(c | 0x20) : c;
    }
    *text = agw_str_from(*text, i);
    if (w->n > 3 && w->text[w->n - 1] == 's' && w->text[w->n - 2] != 's')
        w->n--;
    return w->n > 0;
}

struct query {
    struct word terms[AGW_MCP_SEARCH_TERMS_MAX];
    unsigned count;
};

static bool has_term(const struct query *q, const struct word *w)
{
    for (unsigned i = 0; i < q->count; i++)
        if (q->terms[i].n == w->n && memcmp(q->terms[i].text, w->text, w->n) == 0)
            return true;
    return false;
}

static void read_query(struct query *q, struct agw_str text)
{
    struct word w;
    q->count = 0;
    text.n = text.n < QUERY_MAX ? text.n : QUERY_MAX;
    while (q->count < AGW_MCP_SEARCH_TERMS_MAX && next_word(&text, &w))
        if (!has_term(q, &w))
            q->terms[q->count++] = w;
}

/* --- BM25 --- */

/* The whole word counts in full, one that begins with the term by half. */
static void count_words(struct agw_mcp_candidate *c, const struct query *q, struct agw_str text, float weight)
{
    struct word w;
    text.n = text.n < AGW_MCP_SEARCH_TEXT_MAX ? text.n : AGW_MCP_SEARCH_TEXT_MAX;
    while (next_word(&text, &w)) {
        c->length += 1;
        for (unsigned i = 0; i < q->count; i++) {
            const struct word *t = &q->terms[i];
            if (w.n >= t->n && memcmp(w.text, t->text, t->n) == 0 && (w.n == t->n || t->n >= 3))
                c->tf[i] += w.n == t->n ? weight : weight / 2;
        }
    }
}

static void count_parameters(struct agw_mcp_candidate *c, const struct query *q)
{
    static const char *const path[] = {"inputSchema", "properties"};
    uint32_t properties = agw_json_path(c->doc, c->item, path, 2);
    unsigned n = 0;
    if (properties == 0)
        return;
    agw_json_each_member(c->doc, properties, key)
    {
        if (n++ == PARAMETERS_MAX)
            return;
        count_words(c, q, agw_json_inside(c->doc, key), 1);
    }
}

static void score(struct agw_mcp_candidate *v, uint32_t count, const struct query *q, float mean)
{
    static const float k1 = 1.2f, b = 0.75f; /* as is usual */
    for (unsigned t = 0; t < q->count; t++) {
        uint32_t with = 0;
        for (uint32_t i = 0; i < count; i++)
            with += v[i].tf[t] > 0;
        float idf = logf(1 + ((float)(count - with) + 0.5f) / ((float)with + 0.5f));
        for (uint32_t i = 0; i < count; i++) {
            float tf = v[i].tf[t];
            if (tf > 0)
                v[i].score += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * v[i].length / mean));
        }
    }
}

/* Best first; equals by name, so that the order is the same each time. */
static int compare(const void *x, const void *y)
{
    const struct agw_mcp_candidate *a = x, *b = y;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return agw_str_cmp(a->name, b->name);
}

uint32_t agw_mcp_rank(struct agw_mcp_candidate *v, uint32_t count, struct agw_str query)
{
    struct query q;
    float total = 0;
    uint32_t hits = 0;
    read_query(&q, query);
    for (uint32_t i = 0; i < count; i++) {
        v[i].score = v[i].length = 0;
        memset(v[i].tf, 0, sizeof v[i].tf);
        count_words(&v[i], &q, v[i].name, 3);
        count_words(&v[i], &q, v[i].title, 2);
        count_words(&v[i], &q, v[i].description, 1);
        count_parameters(&v[i], &q);
        total += v[i].length;
    }
    score(v, count, &q, total > 0 ? total / (float)count : 1);
    for (uint32_t i = 0; i < count; i++) {
        struct agw_mcp_candidate hit = v[i];
        if (hit.score <= 0)
            continue;
        v[i] = v[hits];
        v[hits++] = hit;
    }
    if (hits > 1)
        qsort(v, hits, sizeof *v, compare);
    return hits;
}

static int text_of(const struct agw_json_doc *doc, uint32_t item, const char *key, struct agw_arena *arena,
                   struct agw_str *ret)
{
    uint32_t token = agw_json_get(doc, item, agw_str_c(key));
    *ret = AGW_STR("");
    return token != 0 && agw_json_type(doc, token) == AGW_JSON_STRING
               ? agw_json_unescape(doc, token, arena, ret)
               : 0;
}

int agw_mcp_candidate_read(const struct agw_mcp_backend *b, uint32_t target, bool prefixed,
                           const struct agw_json_doc *doc, uint32_t item, struct agw_arena *arena,
                           struct agw_mcp_candidate *ret)
{
    *ret = (struct agw_mcp_candidate){.doc = doc, .item = item};
    int rc = text_of(doc, item, "name", arena, &ret->name);
    const struct agw_mcp_tool_rule *rule = rc == 0 ? agw_mcp_tool_rule_of(b, target, ret->name) : NULL;
    if (rc == 0)
        rc = text_of(doc, item, "title", arena, &ret->title);
    if (rc == 0)
        rc = text_of(doc, item, "description", arena, &ret->description);
    if (rule && rule->title.n)
        ret->title = rule->title;
    if (rule && rule->description.n)
        ret->description = rule->description;
    if (rule && rule->rename.n) {
        ret->name = rule->rename;
    } else if (rc == 0 && prefixed) {
        struct agw_str parts[] = {b->targets[target].name, AGW_STR("_"), ret->name};
        ret->name = agw_arena_join(arena, parts, 3);
        rc = ret->name.p ? 0 : AGW_ENOMEM;
    }
    return rc;
}

/* --- the gateway's own tools --- */

bool agw_mcp_own_tool(struct agw_str name)
{
    return agw_str_eq(name, AGW_STR(AGW_MCP_SEARCH_TOOL)) || agw_str_eq(name, AGW_STR(AGW_MCP_CALL_TOOL));
}

void agw_mcp_own_tools_write(const struct agw_mcp_backend *b, struct agw_json_writer *w)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "name", AGW_STR(AGW_MCP_SEARCH_TOOL));
    agw_json_put_string(w, "description",
                        AGW_STR("Finds tools by what they do. There are more tools than are listed: search "
                                "before you conclude that something cannot be done. The answer has the "
                                "definitions of the tools that fit best; call them by name, or by "
                                "call_tool."));
    agw_json_key(w, AGW_STR("inputSchema"));
    agw_json_raw(w, AGW_STR("{\"type\":\"object\",\"properties\":{\"query\":{\"type\":\"string\","
                            "\"description\":\"Words that say what the tool should do.\"},\"limit\":{"
                            "\"type\":\"integer\",\"minimum\":1,\"maximum\":"));
    char digits[16];
    int n = snprintf(digits, sizeof digits, "%u", b->search->max_results);
    agw_json_more(w, agw_str(digits, (size_t)n));
    agw_json_more(w, AGW_STR("}},\"required\":[\"query\"]}"));
    agw_json_put_raw(w, "outputSchema",
                     AGW_STR("{\"type\":\"object\",\"properties\":{\"tools\":{\"type\":\"array\",\"items\":{"
                             "\"type\":\"object\"}}},\"required\":[\"tools\"]}"));
    agw_json_put_raw(w, "annotations", AGW_STR("{\"readOnlyHint\":true}"));
    agw_json_end_object(w);
    agw_json_begin_object(w);
    agw_json_put_string(w, "name", AGW_STR(AGW_MCP_CALL_TOOL));
    agw_json_put_string(w, "description",
                        AGW_STR("Calls a tool that search_tools has found, with arguments as its inputSchema "
                                "asks. The answer is that tool's own."));
    agw_json_put_raw(w, "inputSchema",
                     AGW_STR("{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},"
                             "\"arguments\":{\"type\":\"object\"}},\"required\":[\"name\"]}"));
    agw_json_end_object(w);
}

static uint32_t argument(const struct agw_json_doc *doc, uint32_t params, const char *name)
{
    uint32_t arguments = params ? agw_json_get(doc, params, AGW_STR("arguments")) : 0;
    return arguments ? agw_json_get(doc, arguments, agw_str_c(name)) : 0;
}

int agw_mcp_search_read(const struct agw_mcp_backend *b, const struct agw_json_doc *doc, uint32_t params,
                        struct agw_arena *arena, struct agw_str *ret_query, uint32_t *ret_limit)
{
    uint32_t query = argument(doc, params, "query"), limit = argument(doc, params, "limit");
    int64_t n = 0;
    *ret_limit = b->search->max_results;
    if (limit != 0 && agw_json_to_i64(doc, limit, &n) == 0 && n >= 1 && n < *ret_limit)
        *ret_limit = (uint32_t)n;
    if (query == 0 || agw_json_type(doc, query) != AGW_JSON_STRING)
        return AGW_EINVAL;
    return agw_json_unescape(doc, query, arena, ret_query);
}

int agw_mcp_call_tool_edit(const struct agw_json_doc *doc, uint32_t params, struct agw_json_edits *edits)
{
    uint32_t name = argument(doc, params, "name"), arguments = argument(doc, params, "arguments"), outer, all;
    struct agw_str text;
    if (name == 0 || agw_json_type(doc, name) != AGW_JSON_STRING ||
        (arguments != 0 && agw_json_type(doc, arguments) != AGW_JSON_OBJECT) ||
        agw_json_get_unique(doc, params, AGW_STR("name"), &outer) != 0 || outer == 0 ||
        agw_json_get_unique(doc, params, AGW_STR("arguments"), &all) != 0)
        return AGW_EINVAL;
    int rc = agw_json_unescape(doc, name, edits->arena, &text);
    if (rc != 0 || agw_mcp_own_tool(text))
        return rc != 0 ? rc : AGW_EINVAL;
    rc = agw_json_edits_token(edits, doc, outer, agw_json_text(doc, name));
    return rc != 0 ? rc
                   : agw_json_edits_token(edits, doc, all,
                                          arguments ? agw_json_text(doc, arguments) : AGW_STR("{}"));
}
