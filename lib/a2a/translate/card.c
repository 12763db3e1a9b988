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

/* The URL, a string, of 1.0's list for JSON-RPC in this version; 0: none. */
static uint32_t listed(const struct agw_json_doc *d, bool old)
{
    uint32_t list = agw_json_get(d, 0, AGW_STR("supportedInterfaces"));
    if (!list)
        return 0;
    agw_json_each_item(d, list, i)
    {
        uint32_t url = agw_json_get(d, i, AGW_STR("url"));
        if (url && agw_json_type(d, url) == AGW_JSON_STRING && is_old(d, i) == old &&
            says(d, i, "protocolBinding", "JSONRPC"))
            return url;
    }
    return 0;
}

/* The same of 0.3's members. */
static uint32_t named(const struct agw_json_doc *d)
{
    uint32_t url = agw_json_get(d, 0, AGW_STR("url")),
             list = agw_json_get(d, 0, AGW_STR("additionalInterfaces"));
    if (!url || agw_json_type(d, url) != AGW_JSON_STRING)
        return 0;
    if (!agw_json_get(d, 0, AGW_STR("preferredTransport")) || says(d, 0, "preferredTransport", "JSONRPC"))
        return url;
    if (!list)
        return 0;
    agw_json_each_item(d, list, i)
    {
        url = agw_json_get(d, i, AGW_STR("url"));
        if (url && agw_json_type(d, url) == AGW_JSON_STRING && says(d, i, "transport", "JSONRPC"))
            return url;
    }
    return 0;
}

unsigned agw_a2a_card_speaks(const struct agw_json_doc *card)
{
    unsigned speaks = listed(card, false) ? 1u << AGW_A2A_ERA_10 : 0;
    if (listed(card, true) || named(card))
        speaks |= 1u << AGW_A2A_ERA_03;
    return speaks;
}

static void put_interface(struct agw_json_writer *w, struct agw_str url, const char *version)
{
    agw_json_begin_object(w);
    agw_json_put_raw(w, "url", url);
    agw_json_put_string(w, "protocolBinding", AGW_STR("JSONRPC"));
    agw_json_put_string(w, "protocolVersion", agw_str_c(version));
    agw_json_end_object(w);
}

/* The list, after its |items|, with the interface of version |missing|. */
static void put_list(const struct agw_json_doc *d, uint32_t items, struct agw_str url, const char *missing,
                     struct agw_json_writer *w)
{
    agw_json_key(w, AGW_STR("supportedInterfaces"));
    agw_json_begin_array(w);
    if (items)
        agw_json_each_item(d, items, i) agw_json_raw(w, agw_json_text(d, i));
    put_interface(w, url, missing);
    if (!items)
        put_interface(w, url, "0.3");
    agw_json_end_array(w);
}

/* The URL of JSON-RPC in the one version that the card has; 0: it has both or none. */
static uint32_t only(const struct agw_json_doc *card, unsigned speaks)
{
    if (speaks == 1u << AGW_A2A_ERA_10)
        return listed(card, false);
    if (speaks == 1u << AGW_A2A_ERA_03)
        return listed(card, true) ? listed(card, true) : named(card);
    return 0;
}

int agw_a2a_card_for_both(const struct agw_json_doc *card, struct agw_json_writer *w)
{
    unsigned speaks = agw_a2a_card_speaks(card);
    uint32_t url = only(card, speaks), list = agw_json_get(card, 0, AGW_STR("supportedInterfaces"));
    bool newer = speaks == 1u << AGW_A2A_ERA_10;
    if (agw_json_type(card, 0) != AGW_JSON_OBJECT)
        return AGW_EINVAL;
    agw_json_begin_object(w);
    agw_json_each_member(card, 0, k)
    {
        uint32_t from = card->tokens[k].offset, to = card->tokens[k + 1].offset + card->tokens[k + 1].length;
        if (url && k + 1 == list && agw_json_type(card, list) == AGW_JSON_ARRAY)
            put_list(card, list, agw_json_text(card, url), newer ? "0.3" : "1.0", w);
        else
            agw_json_raw(w, agw_str(card->text.p + from, to - from)); /* name and value as they stand */
    }
    if (url && !newer && !list)
        put_list(card, 0, agw_json_text(card, url), "1.0", w);
    if (url && newer && !agw_json_get(card, 0, AGW_STR("url"))) {
        agw_json_put_raw(w, "url", agw_json_text(card, url));
        if (!agw_json_get(card, 0, AGW_STR("preferredTransport")))
            agw_json_put_string(w, "preferredTransport", AGW_STR("JSONRPC"));
        if (!agw_json_get(card, 0, AGW_STR("protocolVersion")))
            agw_json_put_string(w, "protocolVersion", AGW_STR("0.3.0"));
    }
    agw_json_end_object(w);
    return w->error;
}
