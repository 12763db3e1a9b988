/* Parses any bytes; what is accepted must be consistent, unescape, and survive an edit that changes nothing.
 */
#include <stdlib.h>
#include "base/check.h"
#include "json/edit.h"
#include "json/pointer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tokens(const struct agw_json_doc *doc, struct agw_arena *arena)
{
    for (uint32_t i = 0; i < doc->count; i++) {
        const struct agw_json_token *t = &doc->tokens[i];
        struct agw_str s;
        int64_t v;
        agw_check((size_t)t->offset + t->length <= doc->text.n && t->length > 0);
        agw_check(t->next > i && t->next <= doc->count && t->depth <= AGW_JSON_DEPTH);
        if (t->type == AGW_JSON_STRING) {
            agw_check(agw_json_unescape(doc, i, arena, &s) == 0 && agw_str_is_utf8(s));
            agw_check(agw_json_is(doc, i, s));
        } else {
            (void)agw_json_to_i64(doc, i, &v);
        }
        uint32_t value;
        (void)agw_json_get_unique(doc, i, AGW_STR("a"), &value);
    }
}

static void check_edit(const struct agw_json_doc *doc, struct agw_arena *arena)
{
    struct agw_json_edits e;
    struct agw_chain out;
    agw_chain_init(&out);
    agw_json_edits_init(&e, arena);
    for (uint32_t i = 0; i < doc->count; i++)
        if (doc->tokens[i].type == AGW_JSON_NUMBER)
            agw_json_edits_token(&e, doc, i, agw_json_text(doc, i));
    agw_check(agw_json_edits_apply(&e, doc->text, NULL, &out) == 0);
    agw_check(out.bytes == doc->text.n);
    char *copy = malloc(out.bytes);
    agw_check(copy);
    agw_chain_peek(&out, copy, out.bytes);
    agw_check(memcmp(copy, doc->text.p, out.bytes) == 0);
    free(copy);
    agw_chain_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_json_doc doc;
    struct agw_arena arena;
    agw_json_doc_init(&doc, 1u << 16);
    agw_arena_init(&arena, 4096, 0);
    if (agw_json_parse(&doc, agw_str((const char *)data, size), NULL) == 0) {
        check_tokens(&doc, &arena);
        check_edit(&doc, &arena);
    }
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
    return 0;
}
