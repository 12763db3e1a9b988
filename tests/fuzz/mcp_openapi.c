/* Any document, and any arguments for its first tools, after a NUL byte: what comes of them is well-formed
 * and stays in its place. */
#include "base/check.h"
#include "mcp/openapi/request.h"
#include "mcp/openapi/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const struct agw_openapi_request *r)
{
    agw_check(r->path.n > 0 && r->path.p[0] == '/' && r->path.n <= AGW_OPENAPI_TARGET_MAX);
    for (size_t i = 0; i < r->path.n; i++)
        agw_check(r->path.p[i] > 0x20 && r->path.p[i] < 0x7f && r->path.p[i] != '#');
    for (uint32_t i = 0; i < r->headers.n; i++) {
        agw_check(agw_header_name_valid(r->headers.v[i].name) &&
                  agw_header_value_valid(r->headers.v[i].value));
        agw_check(!agw_hdr_is_framing(r->headers.v[i].id) && r->headers.v[i].id != AGW_HDR_AUTHORIZATION);
    }
}

static void check_tool(const struct agw_openapi_tool *t, struct agw_str arguments, struct agw_arena *arena)
{
    struct agw_json_doc doc;
    struct agw_openapi_request r;
    struct agw_json_writer w;
    agw_json_doc_init(&doc, 0);
    agw_check(agw_json_parse(&doc, t->json, NULL) == 0);
    agw_check(agw_json_is(&doc, agw_json_get(&doc, 0, AGW_STR("name")), t->name));
    if (agw_json_parse(&doc, arguments, NULL) == 0 && doc.count > 1 &&
        agw_openapi_request(t, &doc, 1, arena, &r, NULL) == 0)
        check_request(&r);
    struct agw_openapi_answer a = {.status = 200, .media = t->media, .body = arguments};
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_check(agw_openapi_result(t, &a, &doc, &w) == 0);
    agw_json_end_object(&w);
    agw_check(agw_json_writer_end(&w) == 0 && agw_json_parse(&doc, agw_json_writer_text(&w), NULL) == 0);
    agw_json_writer_free(&w);
    agw_json_doc_free(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct agw_openapi *o;
    struct agw_error err = {0};
    struct agw_arena arena;
    struct agw_str text = agw_str((const char *)data, size);
    ptrdiff_t nul = agw_str_find(text, '\0');
    struct agw_str document = agw_str(text.p, nul < 0 ? text.n : (size_t)nul);
    struct agw_str arguments = nul < 0 ? AGW_STR("[{}]") : agw_str_from(text, (size_t)nul + 1);
    agw_arena_init(&arena, 4096, 0);
    if (agw_openapi_load(document, &arena, &o, &err) == 0) {
        for (uint32_t i = 0; i < o->count && i < 8; i++)
            check_tool(&o->tools[i], arguments, &arena);
    } else {
        agw_check(err.text[0]);
    }
    agw_arena_free(&arena);
    return 0;
}
