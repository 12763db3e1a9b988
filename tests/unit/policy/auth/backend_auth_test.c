#include "config/backend_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "config/snapshot.h"
#include "failmalloc.h"
#include "policy/auth/auth_int.h"

static char secret[] = " s3cret\n", line[] = "a\nb", none[] = " ", name[] = "X-Key", other[] = "two",
            bearer[] = "Bearer x";

struct fixture {
    struct agw_arena arena;
    struct agw_policy_ctx ctx;
    struct agw_msg req;
    struct agw_backend backend;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){0};
    agw_arena_init(&f->arena, 1024, 0);
    agw_msg_init(&f->req, &f->arena);
    assert_int_equal(agw_headers_add_id(&f->req.headers, AGW_HDR_AUTHORIZATION, agw_str_c(bearer)), 0);
    f->ctx = (struct agw_policy_ctx){.arena = &f->arena, .req = &f->req, .backend = &f->backend};
}

static enum agw_verdict run(struct fixture *f, const Pb__BackendAuthPolicy *in, const void **ret_conf)
{
    struct agw_error err = {0};
    if (agw_policy_backend_auth.compile(in, &f->arena, ret_conf, &err) != 0)
        fail_msg("%s", err.text);
    return agw_policy_backend_auth.request(*ret_conf, &f->ctx);
}

static void expect(struct fixture *f, const char *field, const char *want)
{
    const struct agw_header *h = agw_headers_find(&f->req.headers, agw_str_c(field));
    struct agw_str got = h ? h->value : AGW_STR("");
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void keys_take_the_place_of_the_client_s(void **state)
{
    Pb__BackendAuthPolicy in = PB__BACKEND_AUTH_POLICY__INIT;
    Pb__BackendAuthCredential more = PB__BACKEND_AUTH_CREDENTIAL__INIT, *list[] = {&more};
    Pb__AuthorizationLocation where = PB__AUTHORIZATION_LOCATION__INIT;
    Pb__AuthorizationLocation__Header header = PB__AUTHORIZATION_LOCATION__HEADER__INIT;
    Pb__Key key = PB__KEY__INIT;
    struct fixture f;
    const void *conf;
    begin(&f);
    header.name = name;
    where.kind_case = PB__AUTHORIZATION_LOCATION__KIND_HEADER;
    where.header = &header;
    more.location = &where;
    more.value = other;
    key.secret = secret;
    in.kind_case = PB__BACKEND_AUTH_POLICY__KIND_KEY;
    in.key = &key;
    in.credentials = list;
    in.n_credentials = 1;
    assert_int_equal(run(&f, &in, &conf), AGW_CONTINUE);
    expect(&f, "authorization", "Bearer s3cret");
    expect(&f, "x-key", "two");
    key.secret = none; /* a Secret that is not there: nothing goes out without it */
    assert_int_equal(run(&f, &in, &conf), AGW_RESPOND);
    assert_null(f.ctx.resp);
    agw_arena_free(&f.arena);
}

static void tokens_that_the_gateway_took_are_given_back(void **state)
{
    Pb__BackendAuthPolicy in = PB__BACKEND_AUTH_POLICY__INIT;
    Pb__Passthrough through = PB__PASSTHROUGH__INIT;
    struct fixture f;
    const void *conf;
    begin(&f);
    in.kind_case = PB__BACKEND_AUTH_POLICY__KIND_PASSTHROUGH;
    in.passthrough = &through;
    assert_int_equal(run(&f, &in, &conf), AGW_CONTINUE);
    expect(&f, "authorization", "Bearer x");
    agw_headers_remove(&f.req.headers, AGW_STR("authorization"));
    f.ctx.token = AGW_STR("jwt");
    assert_int_equal(run(&f, &in, &conf), AGW_CONTINUE);
    expect(&f, "authorization", "Bearer jwt");
    agw_arena_free(&f.arena);
}

static void what_is_for_targets_of_mcp_is_left_to_them(void **state)
{
    Pb__BackendAuthPolicy in = PB__BACKEND_AUTH_POLICY__INIT;
    Pb__Key key = PB__KEY__INIT;
    struct fixture f;
    const void *conf, *second;
    begin(&f);
    f.backend.kind = AGW_BACKEND_MCP;
    key.secret = secret;
    in.kind_case = PB__BACKEND_AUTH_POLICY__KIND_KEY;
    in.key = &key;
    assert_int_equal(run(&f, &in, &conf), AGW_CONTINUE);
    assert_int_equal(run(&f, &in, &second), AGW_CONTINUE);
    expect(&f, "authorization", "Bearer x");
    assert_ptr_equal(f.ctx.backend_auth, conf); /* the reference's own comes first */
    agw_arena_free(&f.arena);
}

static void credentials_that_are_held_back(void **state)
{
    static const struct {
        const char *name;
        bool held, passed;
    } cases[] = {{"authorization", true, false},
                 {"cookie", true, true},
                 {"proxy-authorization", true, true},
                 {"x-api-key", false, false}};
    static const struct agw_backend_auth through = {.passthrough = true, .passed = {"authorization", 13}};
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_str n = agw_str_c(cases[i].name);
        const struct agw_header h = {.id = agw_hdr_lookup(n), .name = n};
        assert_int_equal(agw_backend_auth_holds_back(NULL, &h), cases[i].held);
        assert_int_equal(agw_backend_auth_holds_back(&through, &h), cases[i].passed);
    }
}

static void what_is_refused(void **state)
{
    Pb__BackendAuthPolicy in = PB__BACKEND_AUTH_POLICY__INIT;
    Pb__Key key = PB__KEY__INIT;
    Pb__Gcp gcp = PB__GCP__INIT;
    struct agw_error err = {0};
    struct agw_arena arena;
    const void *conf = NULL;
    agw_arena_init(&arena, 0, 0);
    assert_int_equal(agw_policy_backend_auth.compile(&in, &arena, &conf, &err), AGW_EUNSUPPORTED);
    in.kind_case = PB__BACKEND_AUTH_POLICY__KIND_GCP;
    in.gcp = &gcp;
    assert_int_equal(agw_policy_backend_auth.compile(&in, &arena, &conf, &err), AGW_EUNSUPPORTED);
    in.kind_case = PB__BACKEND_AUTH_POLICY__KIND_KEY;
    in.key = &key;
    key.secret = line;
    assert_int_equal(agw_policy_backend_auth.compile(&in, &arena, &conf, &err), AGW_EINVAL);
    assert_null(conf);
    agw_arena_free(&arena);
    key.secret = secret;
    for (long n = 1;; n++) {
        agw_arena_init(&arena, 1, 0);
        failmalloc_at(n);
        int rc = agw_policy_backend_auth.compile(&in, &arena, &conf, &err);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_arena_free(&arena);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_take_the_place_of_the_client_s),
        cmocka_unit_test(tokens_that_the_gateway_took_are_given_back),
        cmocka_unit_test(what_is_for_targets_of_mcp_is_left_to_them),
        cmocka_unit_test(credentials_that_are_held_back),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
