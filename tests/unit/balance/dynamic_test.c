#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "balance/dynamic.h"
#include "failmalloc.h"

static struct agw_arena arena;
static struct agw_endpoint like = {.host = {"", 0}, .dynamic = true};
static const struct agw_endpoint *list[] = {&like};
static const struct agw_backend backend = {
    .kind = AGW_BACKEND_DYNAMIC, .endpoints = list, .endpoint_count = 1};

static int make(const char *authority, const struct agw_endpoint **ret)
{
    return agw_balance_dynamic(&backend, agw_str_c(authority), &arena, ret);
}

static const struct agw_endpoint *good(const char *authority, const char *host, unsigned port)
{
    const struct agw_endpoint *e = NULL;
    assert_int_equal(make(authority, &e), 0);
    assert_true(agw_str_eq(e->host, agw_str_c(host)));
    assert_int_equal(e->port, port);
    assert_true(e->dynamic);
    assert_int_equal(e->hash, agw_hash(e->key));
    return e;
}

static void test_hosts(void **state)
{
    const struct agw_endpoint *a = good("Example.com", "example.com", 80);
    const struct agw_endpoint *b = good("example.com:8080", "example.com", 8080);
    assert_int_equal(a->addr.n, 0);
    assert_false(agw_str_eq(a->key, b->key));
    assert_true(agw_str_eq(a->key, good("example.com:80", "example.com", 80)->key));
    assert_true(good("10.0.0.1:81", "10.0.0.1", 81)->addr.n > 0);
    like.tls = (struct agw_tls_client *)&arena; /* only looked at for being there */
    good("example.com", "example.com", 443);
    like.tls = NULL;
}

static void test_what_names_no_host(void **state)
{
    static const char *const bad[] = {"", ":80", "a:0", "a:65536", "a:999999", "a:8x", "a:b:c"};
    const struct agw_endpoint *e = NULL;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(make(bad[i], &e), AGW_EINVAL);
    assert_null(e);
}

static void test_out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        const struct agw_endpoint *e = NULL;
        agw_arena_free(&arena);
        failmalloc_at(n);
        int code = make("example.com:81", &e);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(code, reached ? AGW_ENOMEM : 0);
        if (!reached)
            break;
    }
}

static int begin(void **state)
{
    agw_arena_init(&arena, 256, 0);
    return agw_endpoint_key(&like, AGW_STR(""), &arena);
}

static int end(void **state)
{
    agw_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hosts, begin, end),
        cmocka_unit_test_setup_teardown(test_what_names_no_host, begin, end),
        cmocka_unit_test_setup_teardown(test_out_of_memory, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
