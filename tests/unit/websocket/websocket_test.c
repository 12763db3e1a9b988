/* Key and accept of a WebSocket handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/err.h"
#include "failmalloc.h"
#include "websocket/websocket.h"

struct pair {
    struct agw_arena arena;
    struct agw_headers req, resp;
};

static void begin(struct pair *p, size_t first)
{
    agw_arena_init(&p->arena, first, 0);
    agw_headers_init(&p->req, &p->arena);
    agw_headers_init(&p->resp, &p->arena);
}

static struct agw_str value(const struct agw_headers *h, const char *name)
{
    const struct agw_header *f = agw_headers_find(h, agw_str_c(name));
    return f ? f->value : AGW_STR("");
}

static void protocol(void **state)
{
    assert_true(agw_websocket_is(AGW_STR("websocket")));
    assert_true(agw_websocket_is(AGW_STR("WebSocket")));
    assert_false(agw_websocket_is(AGW_STR("websocket2")));
    assert_false(agw_websocket_is(AGW_STR("")));
}

/* The example of RFC 6455 section 1.3. */
static void rfc_example(void **state)
{
    struct pair p;
    begin(&p, 1024);
    assert_int_equal(agw_websocket_add_key(&p.req, (const unsigned char *)"the sample nonce"), 0);
    assert_true(agw_str_eq(value(&p.req, "sec-websocket-key"), AGW_STR("dGhlIHNhbXBsZSBub25jZQ==")));
    assert_false(agw_websocket_accepted(&p.resp, &p.req));
    assert_int_equal(agw_websocket_add_accept(&p.resp, &p.req), 0);
    assert_true(agw_str_eq(value(&p.resp, "sec-websocket-accept"), AGW_STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    assert_true(agw_websocket_accepted(&p.resp, &p.req));
    /* a second key takes the place of the first, whose accept does not answer it */
    assert_int_equal(agw_websocket_add_key(&p.req, (const unsigned char *)"another nonce   "), 0);
    assert_int_equal(p.req.n, 1);
    assert_false(agw_websocket_accepted(&p.resp, &p.req));
    agw_arena_free(&p.arena);
}

static void bad_keys(void **state)
{
    char lengthy[80];
    const struct agw_str keys[] = {AGW_STR(""), agw_str(lengthy, sizeof(lengthy))};
    memset(lengthy, 'a', sizeof(lengthy));
    for (size_t i = 0; i < AGW_ARRAY_LEN(keys); i++) {
        struct pair p;
        begin(&p, 1024);
        assert_int_equal(agw_websocket_add_accept(&p.resp, &p.req), AGW_EINVAL);
        assert_int_equal(agw_headers_set(&p.req, AGW_STR("sec-websocket-key"), keys[i]), 0);
        assert_int_equal(agw_websocket_add_accept(&p.resp, &p.req), AGW_EINVAL);
        assert_int_equal(p.resp.n, 0);
        agw_arena_free(&p.arena);
    }
}

static int handshake(struct pair *p)
{
    int rc = agw_websocket_add_key(&p->req, (const unsigned char *)"the sample nonce");
    return rc ? rc : agw_websocket_add_accept(&p->resp, &p->req);
}

static void out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct pair p;
        begin(&p, 16);
        failmalloc_at(n);
        int rc = handshake(&p);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        agw_arena_free(&p.arena);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocol),
        cmocka_unit_test(rfc_example),
        cmocka_unit_test(bad_keys),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
