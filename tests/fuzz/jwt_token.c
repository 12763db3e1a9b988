/* A set of keys, a line end and a token: whatever they hold, both are read or refused, and no token that
 * nobody signed is taken. */
#include "base/check.h"
#include "jwt/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char set[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
                              "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
    struct agw_str text = agw_str((const char *)data, size);
    ptrdiff_t cut = agw_str_find(text, '\n');
    struct agw_str token = cut < 0 ? text : agw_str_from(text, (size_t)cut + 1);
    struct agw_jwt_issuer issuer = {.name = AGW_STR("me")};
    const struct agw_json_doc *claims;
    struct agw_error err = {0};
    struct agw_jwks keys;
    struct agw_arena arena;
    const char *why = NULL;

    agw_arena_init(&arena, 4096, 0);
    int rc = cut < 0 ? 0 : agw_jwks_parse(agw_str(text.p, (size_t)cut), &arena, &keys, &err);
    agw_check(rc == 0 || ((rc == AGW_EINVAL || rc == AGW_ELIMIT) && *err.text));
    agw_check(agw_jwks_parse(AGW_STR(set), &arena, &issuer.keys, &err) == 0);
    rc = agw_jwt_verify(&issuer, 1, NULL, token, 0, &arena, &claims, &why);
    agw_check(rc == AGW_EINVAL && why);
    agw_arena_free(&arena);
    return 0;
}
