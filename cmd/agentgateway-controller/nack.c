#include "cmd/agentgateway-controller/nack.h"

#include "base/log.h"
#include "json/pointer.h"

static struct agw_str cut(struct agw_str s)
{
    return agw_str(s.p, s.n > NACK_MAX_REASON ? NACK_MAX_REASON : s.n);
}

static struct agw_str member(const struct agw_json_doc *doc, uint32_t object, const char *name,
                             struct agw_arena *arena)
{
    struct agw_str text;
    uint32_t value = agw_json_get(doc, object, agw_str_c(name));
    return value && agw_json_unescape(doc, value, arena, &text) == 0 ? cut(text) : AGW_STR("");
}

/* [{"key":"<name>","error":"<reason>"} or {"key":..,"warn":..}, ...] */
static void log_list(const struct agw_delta_nack *nack, const struct agw_json_doc *doc,
                     struct agw_arena *arena)
{
    unsigned lines = 0;
    agw_json_each_item(doc, 0, i)
    {
        if (++lines > NACK_MAX_LINES)
            continue;
        struct agw_str key = member(doc, i, "key", arena), error = member(doc, i, "error", arena);
        struct agw_str warn = error.n ? error : member(doc, i, "warn", arena);
        agw_warn("nack", "gateway %.*s (%.*s): %.*s: %s: %.*s", AGW_STRF(nack->role), AGW_STRF(nack->node_id),
                 AGW_STRF(key), error.n ? "refused" : "taken with a warning", AGW_STRF(warn));
    }
    if (lines > NACK_MAX_LINES)
        agw_warn("nack", "gateway %.*s (%.*s): and %u more", AGW_STRF(nack->role), AGW_STRF(nack->node_id),
                 lines - NACK_MAX_LINES);
}

void nack_log(const struct agw_delta_nack *nack)
{
    struct agw_json_doc doc;
    struct agw_arena arena;
    agw_json_doc_init(&doc, 0);
    agw_arena_init(&arena, 1024, 1u << 20);
    bool list = agw_json_parse(&doc, nack->message, NULL) == 0 && agw_json_type(&doc, 0) == AGW_JSON_ARRAY &&
                doc.tokens[0].next > 1;
    if (list)
        log_list(nack, &doc, &arena);
    else
        agw_warn("nack", "gateway %.*s (%.*s): %.*s: %.*s", AGW_STRF(nack->role), AGW_STRF(nack->node_id),
                 AGW_STRF(nack->type), AGW_STRF(cut(nack->message)));
    agw_arena_free(&arena);
    agw_json_doc_free(&doc);
}
