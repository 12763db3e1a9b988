#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "failmalloc.h"
#include "policy/auth/auth_int.h"

#define ISSUER "https://id.example/realms/a"
#define GATEWAY "https://gw.example/.well-known/oauth-authorization-server/mcp/client-registration"

static const struct agw_key_source keys = {.backend = 7, .fresh_ms = 300000, .path = {"/certs", 6}};

static int made(struct agw_auth_server *s, const char *issuer, struct agw_arena *arena)
{
    struct agw_error err = {0};
    *s = (struct agw_auth_server){0};
    return agw_auth_server_set(s, agw_str_c(issuer), &keys, arena, &err);
}

static void test_the_document_is_where_the_issuer_says(void **state)
{
    struct agw_arena arena;
    struct agw_auth_server s;
    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(made(&s, ISSUER, &arena), 0);
    assert_true(s.on && s.document.backend == 7 && s.document.fresh_ms == 300000);
    assert_true(agw_str_eq(s.document.path, AGW_STR("/realms/a/.well-known/openid-configuration")));
    assert_true(agw_str_eq(s.authority, AGW_STR("id.example")));
    assert_int_equal(made(&s, "http://id.example:8080/", &arena), 0);
    assert_true(agw_str_eq(s.document.path, AGW_STR("/.well-known/openid-configuration")));
    assert_true(agw_str_eq(s.authority, AGW_STR("id.example:8080")));
    assert_int_equal(made(&s, "joe", &arena), AGW_EINVAL);
    assert_int_equal(made(&s, "https://id.example/?a=b", &arena), AGW_EINVAL);
    agw_arena_free(&arena);
}

static const struct {
    const char *text, *shown; /* NULL: refused */
    int code;                 /* of a registration */
    const char *path;
} documents[] = {
    {"{\"issuer\":\"" ISSUER "\", \"registration_endpoint\": \"https://id.example/reg?x=1\",\"n\":1.0}",
     "{\"issuer\":\"" ISSUER "\", \"registration_endpoint\": \"" GATEWAY "\",\"n\":1.0}", 0, "/reg?x=1"},
    {"{\"issuer\":\"" ISSUER "\"}", "{\"issuer\":\"" ISSUER "\"}", AGW_ENOTFOUND, NULL},
    {"{\"issuer\":\"https://evil.example\"}", NULL, AGW_EINVAL, NULL},
    {"{\"registration_endpoint\":\"https://id.example/reg\"}", NULL, AGW_EINVAL, NULL},
    {"{\"issuer\":\"" ISSUER "\",\"issuer\":\"" ISSUER "\"}", NULL, AGW_EINVAL, NULL},
    {"{\"issuer\":\"" ISSUER "\",\"registration_endpoint\":7}", NULL, AGW_EINVAL, NULL},
    {"[]", NULL, AGW_EINVAL, NULL},
    {"{", NULL, AGW_EINVAL, NULL},
};

static const char *const elsewhere[] = {
    "https://evil.example/reg",
    "http://id.example/reg",
    "https://id.example.evil/reg",
    "https://id.example:8443/reg",
    "https://id.example",
    "https://id.example@evil.example/reg",
    "//id.example/reg",
    "/reg",
    "https://id.example/reg#f",
    "https://id.example/a b\\r\\nX: y",
};

static void test_documents(void **state)
{
    struct agw_arena arena;
    struct agw_auth_server s;
    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(made(&s, ISSUER, &arena), 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(documents); i++) {
        struct agw_str shown = {0}, path = {0}, text = agw_str_c(documents[i].text);
        int code = agw_auth_server_rewrite(&s, text, AGW_STR(GATEWAY), &arena, &shown);
        assert_int_equal(code, documents[i].shown ? 0 : AGW_EINVAL);
        if (code == 0)
            assert_true(agw_str_eq(shown, agw_str_c(documents[i].shown)));
        assert_int_equal(agw_auth_server_registration(&s, text, &arena, &path), documents[i].code);
        if (documents[i].path)
            assert_true(agw_str_eq(path, agw_str_c(documents[i].path)));
    }
    agw_arena_free(&arena);
}

static void test_clients_are_registered_at_the_issuer_alone(void **state)
{
    struct agw_arena arena;
    struct agw_auth_server s;
    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(made(&s, ISSUER, &arena), 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(elsewhere); i++) {
        struct agw_str path;
        struct agw_str text = agw_arena_printf(
            &arena, "{\"issuer\":\"" ISSUER "\",\"registration_endpoint\":\"%s\"}", elsewhere[i]);
        assert_int_equal(agw_auth_server_registration(&s, text, &arena, &path), AGW_EUNSUPPORTED);
    }
    agw_arena_free(&arena);
}

static void test_memory_runs_out_at_each_allocation(void **state)
{
    for (long n = 1;; n++) {
        struct agw_arena arena;
        struct agw_auth_server s;
        struct agw_str shown, path, text = agw_str_c(documents[0].text);
        agw_arena_init(&arena, 64, 0);
        failmalloc_at(n);
        int a = made(&s, ISSUER, &arena);
        int b = a ? a : agw_auth_server_rewrite(&s, text, AGW_STR(GATEWAY), &arena, &shown);
        int c = b ? b : agw_auth_server_registration(&s, text, &arena, &path);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_true(c == 0 || c == AGW_ENOMEM);
        assert_true(reached || c == 0);
        agw_arena_free(&arena);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_document_is_where_the_issuer_says),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_clients_are_registered_at_the_issuer_alone),
        cmocka_unit_test(test_memory_runs_out_at_each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
