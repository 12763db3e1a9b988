/* Rewrites any bytes as a card; what comes out must be JSON, name the gateway, and carry no signatures. */
#include <stdlib.h>
#include "a2a/card.h"
#include "base/check.h"
#include "json/pointer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_card(struct agw_str card)
{
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    agw_check(agw_json_parse(&doc, card, NULL) == 0);
    agw_check(agw_json_get(&doc, 0, AGW_STR("signatures")) == 0);
    uint32_t url = agw_json_get(&doc, 0, AGW_STR("url"));
    struct agw_str text = url ? agw_json_inside(&doc, url) : AGW_STR("");
    if (agw_str_starts(text, AGW_STR("http://")) || agw_str_starts(text, AGW_STR("https://")))
        agw_check(agw_str_starts(text, AGW_STR("http://gw/agents/a")));
    agw_json_doc_free(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct agw_a2a_base base = {{"http", 4}, {"gw", 2}, {"/agents/a", 9}, {"/svc", 4}};
    struct agw_str in = agw_str((const char *)data, size), out;
    struct agw_arena arena;
    struct agw_error err;
    agw_arena_init(&arena, 4096, 0);
    if (agw_a2a_rewrite_card(in, false, &base, &arena, &out, &err) == 0)
        check_card(out);
    struct agw_a2a_base paths;
    if (agw_a2a_card_paths(in, in, &paths))
        agw_check(paths.path.n + sizeof "/v1/card" - 1 <= size);
    agw_a2a_call_paths(in, agw_str(in.p, size / 2), &paths);
    agw_check(paths.path.n <= size && paths.backend_path.n <= size / 2);
    if (agw_a2a_rewrite_card(in, true, &base, &arena, &out, &err) == 0)
        agw_check(out.n > 0);
    agw_arena_free(&arena);
    return 0;
}
