/* An issuer's metadata, whatever it holds: it is refused, or goes out with the gateway's registration
 * endpoint; clients are registered below the issuer's origin or nowhere. */
#include "base/check.h"
#include "json/pointer.h"
#include "policy/auth/auth_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_shown(struct agw_str text, struct agw_str registration)
{
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    agw_check(agw_json_parse(&doc, text, NULL) == 0 && agw_json_type(&doc, 0) == AGW_JSON_OBJECT);
    uint32_t token = agw_json_get(&doc, 0, AGW_STR("registration_endpoint"));
    agw_check(token == 0 || agw_json_is(&doc, token, registration));
    agw_json_doc_free(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct agw_key_source keys = {.path = AGW_STR("/k")};
    struct agw_str text = agw_str((const char *)data, size), url = AGW_STR("https://gw.example/r"), out;
    struct agw_auth_server s = {0};
    struct agw_error err = {0};
    struct agw_arena arena;

    if (size > 65536)
        return 0;
    agw_arena_init(&arena, 4096, 0);
    agw_check(agw_auth_server_set(&s, AGW_STR("https://id.example/a"), &keys, &arena, &err) == 0);
    if (agw_auth_server_rewrite(&s, text, url, &arena, &out) == 0)
        check_shown(out, url);
    if (agw_auth_server_registration(&s, text, &arena, &out) == 0) {
        agw_check(out.n > 0 && out.p[0] == '/');
        for (size_t i = 0; i < out.n; i++)
            agw_check((unsigned char)out.p[i] > ' ' && out.p[i] != 0x7f && out.p[i] != '#');
    }
    agw_arena_free(&arena);
    return 0;
}
