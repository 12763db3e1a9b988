#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "config/resource.h"
#include "failmalloc.h"

static size_t pack_bind(const char *key, unsigned port, uint8_t *out)
{
    Pb__Resource r;
    Pb__Bind b;
    pb__resource__init(&r);
    pb__bind__init(&b);
    b.key = (char *)(uintptr_t)key;
    b.port = port;
    r.kind_case = PB__RESOURCE__KIND_BIND;
    r.bind = &b;
    return pb__resource__pack(&r, out);
}

static void test_decode(void **state)
{
    uint8_t data[64];
    size_t n = pack_bind("80/ns/gw", 80, data);
    struct agw_resource *r;
    assert_int_equal(agw_resource_decode(data, n, &r, NULL), 0);
    assert_int_equal(r->kind, AGW_RESOURCE_BIND);
    assert_string_equal(r->id.p, "bind/80/ns/gw");
    assert_true(agw_str_eq(r->key, AGW_STR("80/ns/gw")));
    assert_int_equal(r->bind->port, 80);
    agw_resource_unref(r);
}

static void test_decode_address(void **state)
{
    Istio__Address a;
    Istio__Service s;
    uint8_t data[64];
    struct agw_resource *r;
    istio__address__init(&a);
    istio__service__init(&s);
    s.namespace_ = (char *)(uintptr_t) "ns";
    s.hostname = (char *)(uintptr_t) "a.ns.svc";
    a.type_case = ISTIO__ADDRESS__TYPE_SERVICE;
    a.service = &s;
    size_t n = istio__address__pack(&a, data);
    assert_int_equal(agw_resource_decode_address(data, n, &r, NULL), 0);
    assert_string_equal(r->id.p, "service/ns/a.ns.svc");
    agw_resource_unref(r);
}

static void test_bad_bytes(void **state)
{
    uint8_t data[64];
    struct agw_resource *r = NULL;
    struct agw_error err;
    size_t n = pack_bind("", 80, data);
    assert_int_equal(agw_resource_decode(data, n, &r, &err), AGW_EINVAL); /* no key */
    assert_int_equal(agw_resource_decode("", 0, &r, &err), AGW_EINVAL);   /* no kind */
    assert_int_equal(agw_resource_decode("\xfa\x07\x00", 3, &r, &err),
                     AGW_EINVAL); /* a kind from the future */
    n = pack_bind("k", 80, data);
    for (size_t cut = 1; cut < n; cut++) {
        int code = agw_resource_decode(data, cut, &r, &err);
        assert_true(code == AGW_EPROTO || code == AGW_EINVAL);
    }
    assert_null(r);
    char *big = calloc(1, AGW_RESOURCE_MAX_BYTES + 1);
    assert_int_equal(agw_resource_decode(big, AGW_RESOURCE_MAX_BYTES + 1, &r, &err), AGW_ELIMIT);
    free(big);
}

static void test_same(void **state)
{
    uint8_t data[64];
    struct agw_resource *a, *b, *c;
    size_t n = pack_bind("k", 80, data);
    assert_int_equal(agw_resource_decode(data, n, &a, NULL), 0);
    assert_int_equal(agw_resource_decode(data, n, &b, NULL), 0);
    n = pack_bind("k", 81, data);
    assert_int_equal(agw_resource_decode(data, n, &c, NULL), 0);
    assert_true(agw_resource_same(a, b));
    assert_false(agw_resource_same(a, c));
    agw_resource_unref(a);
    agw_resource_unref(b);
    agw_resource_unref(c);
}

static void test_side_counts(void **state)
{
    Pb__Bind b;
    struct agw_addr addr[2];
    memset(addr, 0, sizeof(addr));
    assert_int_equal(agw_addr_ip(AGW_STR("127.0.0.1"), 0, &addr[0]), 0);
    assert_int_equal(agw_addr_ip(AGW_STR("::1"), 0, &addr[1]), 0);
    struct agw_side sides[] = {{0},
                               {.created_ns = 5},
                               {.addrs = addr, .addr_count = 1},
                               {.addrs = addr + 1, .addr_count = 1},
                               {.addrs = addr, .addr_count = 2}};
    struct agw_resource *r[5];
    pb__bind__init(&b);
    b.key = (char *)(uintptr_t) "k";
    for (int i = 0; i < 5; i++)
        assert_int_equal(agw_resource_make(AGW_RESOURCE_BIND, &b, &sides[i], &r[i], NULL), 0);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 5; k++)
            assert_int_equal(agw_resource_same(r[i], r[k]), i == k);
    addr[0].n = 0; /* the resource has its own copy */
    assert_true(agw_addr_is_loopback(&r[2]->side.addrs[0]));
    for (int i = 0; i < 5; i++)
        agw_resource_unref(r[i]);
}

static void test_set_refuses_twice(void **state)
{
    struct agw_resource_set set;
    struct agw_error err;
    Pb__Bind b;
    agw_resource_set_init(&set);
    pb__bind__init(&b);
    b.key = (char *)(uintptr_t) "k";
    assert_int_equal(agw_resource_set_add(&set, AGW_RESOURCE_BIND, &b, NULL, &err), 0);
    assert_int_equal(agw_resource_set_add(&set, AGW_RESOURCE_BIND, &b, NULL, &err), AGW_EEXISTS);
    assert_non_null(strstr(err.text, "bind/k"));
    assert_non_null(agw_resource_set_get(&set, AGW_RESOURCE_BIND, AGW_STR("k")));
    assert_null(agw_resource_set_get(&set, AGW_RESOURCE_ROUTE, AGW_STR("k")));
    agw_resource_set_free(&set);
}

static void test_out_of_memory(void **state)
{
    uint8_t data[64];
    size_t n = pack_bind("some/longer/key", 80, data);
    for (long at = 1;; at++) {
        struct agw_resource_set set;
        struct agw_resource *r = NULL;
        agw_resource_set_init(&set);
        failmalloc_at(at);
        int code = agw_resource_decode(data, n, &r, NULL);
        if (!code)
            code = agw_resource_set_put(&set, r, NULL);
        bool reached = failmalloc_count() >= at;
        failmalloc_at(0);
        assert_true(code == 0 || code == AGW_ENOMEM);
        agw_resource_set_free(&set);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),        cmocka_unit_test(test_decode_address),
        cmocka_unit_test(test_bad_bytes),     cmocka_unit_test(test_same),
        cmocka_unit_test(test_side_counts),   cmocka_unit_test(test_set_refuses_twice),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
