#include "a2a/translate/card.h"

#include "json/pointer.h"

static bool says(const struct agw_json_doc *d, uint32_t object, const char *name, const char *text)
{
    uint32_t v = agw_json_get(d, object, agw_str_c(name));
    return v && agw_json_type(d, v) == AGW_JSON_STRING && agw_json_is(d, v, agw_str_c(text));
}

/* True if the version is there and is 0.something. */
static bool is_old(const struct agw_json_doc *d, uint32_t object)
{
    uint32_t v = agw_json_get(d, object, AGW_STR("protocolVersion"));
    return v && agw_json_type(d, v) == AGW_JSON_STRING &&
           agw_str_starts(agw_json_inside(d, v), AGW_STR("0."));
}

static const char *const bindings[] = {[AGW_A2A_OVER_JSONRPC] = "JSONRPC", [AGW_A2A_OVER_REST] = "HTTP+JSON"};

/* The URL, a string, of 1.0's list for the binding in this version; 0: none. */
static uint32_t listed(const struct agw_json_doc *d, enum agw_a2a_over over, bool old)
{
    uint32_t list = agw_json_get(d, 0, AGW_STR("supportedInterfaces"));
    if (!list)
        return 0;
    agw_json_each_item(d, list, i)
    {
        uint32_t url = agw_json_get(d, i, AGW_STR("url"));
        if (url && agw_json_type(d, url) == AGW_JSON_STRING && is_old(d, i) == old &&
            says(d, i, "protocolBinding", bindings[over]))
            return url;
    }
    return 0;
}

/* The same of 0.3's members. */
static uint32_t named(const struct agw_json_doc *d, enum agw_a2a_over over)
{
    uint32_t url = agw_json_get(d, 0, AGW_STR("url")),
             list = agw_json_get(d, 0, AGW_STR("additionalInterfaces"));
    if (!url || agw_json_type(d, url) != AGW_JSON_STRING)
        return 0;
    if (says(d, 0, "preferredTransport", bindings[over]) ||
        (over == AGW_A2A_OVER_JSONRPC && !agw_json_get(d, 0, AGW_STR("preferredTransport"))))
        return url;
    if (!list)
        return 0;
    agw_json_each_item(d, list, i)
    {
        url = agw_json_get(d, i, AGW_STR("url"));
        if (url && agw_json_type(d, url) == AGW_JSON_STRING && says(d, i, "transport", bindings[over]))
            return url;
    }
    return 0;
}

unsigned agw_a2a_card_speaks(const struct agw_json_doc *card, enum agw_a2a_over over)
{
    unsigned speaks = listed(card, over, false) ? 1u << AGW_A2A_ERA_10 : 0;
    if (listed(card, over, true) || named(card, over))
        speaks |= 1u << AGW_A2A_ERA_03;
    return speaks;
}

/* --- for both --- */

/* What clients of the other version miss: by binding the URL, 0: nothing. */
struct missing {
    uint32_t url[AGW_A2A_OVER_COUNT];
    bool newer[AGW_A2A_OVER_COUNT]; /* it is 1.0 that is there */
};

static struct missing find_missing(const struct agw_json_doc *card)
{
    struct missing m = {0};
    for (int o = 0; o < AGW_A2A_OVER_COUNT; o++) {
        enum agw_a2a_over over = (enum agw_a2a_over)o;
        unsigned speaks = agw_a2a_card_speaks(card, over);
        m.newer[o] = speaks == 1u << AGW_A2A_ERA_10;
        if (m.newer[o])
            m.url[o] = listed(card, over, false);
        else if (speaks == 1u << AGW_A2A_ERA_03)
            m.url[o] = listed(card, over, true) ? listed(card, over, true) : named(card, over);
    }
    return m;
}

static void put_interface(struct agw_json_writer *w, struct agw_str url, int over, const char *version)
{
    agw_json_begin_object(w);
    agw_json_put_raw(w, "url", url);
    agw_json_put_string(w, "protocolBinding", agw_str_c(bindings[over]));
    agw_json_put_string(w, "protocolVersion", agw_str_c(version));
    agw_json_end_object(w);
}

/* The list, after its |items|, with what is missing. */
static void put_list(const struct agw_json_doc *d, uint32_t items, const struct missing *m,
                     struct agw_json_writer *w)
{
    agw_json_key(w, AGW_STR("supportedInterfaces"));
    agw_json_begin_array(w);
    if (items)
        agw_json_each_item(d, items, i) agw_json_raw(w, agw_json_text(d, i));
    for (int o = 0; o < AGW_A2A_OVER_COUNT; o++) {
        if (!m->url[o])
            continue;
        struct agw_str url = agw_json_text(d, m->url[o]);
        put_interface(w, url, o, m->newer[o] ? "0.3" : "1.0");
        if (!items)
            put_interface(w, url, o, "0.3");
    }
    agw_json_end_array(w);
}

/* 0.3's members, for a card that has none: the first binding is at the top, the other one is additional. */
static void put_old(const struct agw_json_doc *d, const struct missing *m, struct agw_json_writer *w)
{
    bool rpc = m->url[AGW_A2A_OVER_JSONRPC] && m->newer[AGW_A2A_OVER_JSONRPC],
         rest = m->url[AGW_A2A_OVER_REST] && m->newer[AGW_A2A_OVER_REST];
    int top = rpc ? AGW_A2A_OVER_JSONRPC : AGW_A2A_OVER_REST;
    if ((!rpc && !rest) || agw_json_get(d, 0, AGW_STR("url")))
        return;
    agw_json_put_raw(w, "url", agw_json_text(d, m->url[top]));
    if (!agw_json_get(d, 0, AGW_STR("preferredTransport")))
        agw_json_put_string(w, "preferredTransport", agw_str_c(bindings[top]));
    if (!agw_json_get(d, 0, AGW_STR("protocolVersion")))
        agw_json_put_string(w, "protocolVersion", AGW_STR("0.3.0"));
    if (rpc && rest && !agw_json_get(d, 0, AGW_STR("additionalInterfaces"))) {
        agw_json_key(w, AGW_STR("additionalInterfaces"));
        agw_json_begin_array(w);
        agw_json_begin_object(w);
        agw_json_put_raw(w, "url", agw_json_text(d, m->url[AGW_A2A_OVER_REST]));
        agw_json_put_string(w, "transport", agw_str_c(bindings[AGW_A2A_OVER_REST]));
        agw_json_end_object(w);
        agw_json_end_array(w);
    }
}

bool agw_a2a_card_lacks(const struct agw_json_doc *card)
{
    struct missing m = find_missing(card);
    return m.url[AGW_A2A_OVER_JSONRPC] || m.url[AGW_A2A_OVER_REST];
}

int agw_a2a_card_for_both(const struct agw_json_doc *card, struct agw_json_writer *w)
{
    if (agw_json_type(card, 0) != AGW_JSON_OBJECT)
        return AGW_EINVAL;
    struct missing m = find_missing(card);
    bool any = m.url[AGW_A2A_OVER_JSONRPC] || m.url[AGW_A2A_OVER_REST];
    uint32_t list = agw_json_get(card, 0, AGW_STR("supportedInterfaces"));
    agw_json_begin_object(w);
    agw_json_each_member(card, 0, k)
    {
        uint32_t from = card->tokens[k].offset, to = card->tokens[k + 1].offset + card->tokens[k + 1].length;
        if (any && k + 1 == list && agw_json_type(card, list) == AGW_JSON_ARRAY)
            put_list(card, list, &m, w);
        else
            agw_json_raw(w, agw_str(card->text.p + from, to - from)); /* name and value as they stand */
    }
    if (any && !list)
        put_list(card, 0, &m, w);
    put_old(card, &m, w);
    agw_json_end_object(w);
    return w->error;
}
