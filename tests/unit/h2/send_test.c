#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "failmalloc.h"
#include "http/stream.h"
#include "pair.h"

static struct pair p;

/* Large bodies go out as the blocks they are in; small ones beside their frame head in one slice. */
static void test_slices(void **state)
{
    struct agw_chain out;
    assert_true(pair_init(&p, NULL, NULL));
    pair_run(&p);
    struct rec *r = pair_open(&p, AGW_METHOD_POST, "/", false);
    pair_run(&p);
    pair_body(r, 40000);
    agw_chain_init(&out);
    assert_int_equal(agw_h2_output(p.c.h, &out, 1 << 20), 0);
    assert_int_equal(out.bytes, 40000 + 3 * 9);
    assert_int_equal(out.count, 6);
    assert_true(agw_chain_at(&out, 1)->block == agw_chain_at(&out, 3)->block);
    assert_true(agw_chain_at(&out, 0)->block == agw_chain_at(&out, 2)->block);
    agw_chain_clear(&out);
    pair_body(r, 500);
    pair_body(r, 500);
    assert_int_equal(agw_h2_output(p.c.h, &out, 1 << 20), 0);
    assert_int_equal(out.bytes, 1009);
    assert_int_equal(out.count, 1);
    agw_chain_clear(&out);
    pair_free(&p);
}

static void test_output_stops_at_max(void **state)
{
    struct agw_chain out;
    assert_true(pair_init(&p, NULL, NULL));
    pair_run(&p);
    struct rec *r = pair_open(&p, AGW_METHOD_POST, "/", false);
    pair_body(r, 60000);
    agw_chain_init(&out);
    assert_int_equal(agw_h2_output(p.c.h, &out, 20000), 0);
    assert_in_range(out.bytes, 20000, 20000 + 16384 + 9);
    size_t first = out.bytes;
    assert_int_equal(agw_h2_output(p.c.h, &out, 20000), 0);
    assert_int_equal(out.bytes, first);
    assert_true(agw_h2_want_write(p.c.h));
    assert_int_equal(agw_h2_output(p.c.h, &out, 1 << 20), 0);
    assert_true(out.bytes > 60000);
    agw_chain_clear(&out);
    pair_free(&p);
}

/* Long answers without a priority share the connection; none waits for another's end. */
static void test_long_answers_share(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r[3];
    for (int i = 0; i < 3; i++)
        r[i] = pair_open(&p, AGW_METHOD_GET, "/", true);
    pair_run(&p);
    for (int i = 0; i < 3; i++) {
        struct rec *q = &p.s.recs[i];
        agw_h2_respond(q->st, pair_response(q, 200), false);
        pair_body(q, 60000);
    }
    struct agw_chain out;
    agw_chain_init(&out);
    assert_int_equal(agw_h2_output(p.s.h, &out, 49152), 0);
    for (int i = 0; i < 3; i++)
        assert_true(agw_h2_pending(p.s.recs[i].st) < 60000);
    agw_chain_clear(&out);
    (void)r;
    pair_free(&p);
}

static void test_request_forms(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    pair_run(&p);
    static struct rec spare;
    agw_arena_init(&spare.arena, 1024, 0);
    struct agw_msg *m = pair_request(&spare, AGW_METHOD_POST, "/up");
    m->length = 0;
    m->te_trailers = true;
    m->expect_continue = true;
    agw_headers_add_id(&m->headers, AGW_HDR_HOST, AGW_STR("other"));
    agw_headers_add_id(&m->headers, AGW_HDR_TRANSFER_ENCODING, AGW_STR("chunked"));
    agw_headers_add_id(&m->headers, AGW_HDR_CONTENT_LENGTH, AGW_STR("77"));
    agw_headers_add_id(&m->headers, AGW_HDR_ACCEPT, AGW_STR("*/*"));
    assert_int_equal(agw_h2_request(p.c.h, m, false, &spare.arena, &spare, &spare.st), 0);
    pair_run(&p);
    struct agw_msg *got = p.s.recs[0].msg;
    assert_non_null(got);
    assert_int_equal(got->length, 0);
    assert_true(got->te_trailers);
    assert_true(got->expect_continue);
    assert_int_equal(got->headers.n, 1);
    assert_true(agw_str_eq(got->authority, AGW_STR("a.example")));
    agw_h2_reset(spare.st, 0);
    m = pair_request(&spare, AGW_METHOD_CONNECT, "h:443");
    assert_int_equal(agw_h2_request(p.c.h, m, false, &spare.arena, &spare, &spare.st), 0);
    pair_run(&p);
    assert_true(agw_str_eq(p.s.recs[1].msg->path, AGW_STR("h:443")));
    agw_h2_reset(spare.st, 0);
    m = pair_request(&spare, AGW_METHOD_GET, "/chat");
    m->upgrade = AGW_STR("websocket");
    assert_int_equal(agw_h2_request(p.c.h, m, false, &spare.arena, &spare, &spare.st), 0);
    pair_run(&p);
    assert_true(agw_str_eq(p.s.recs[2].msg->upgrade, AGW_STR("websocket")));
    assert_true(agw_str_eq(p.s.recs[2].msg->path, AGW_STR("/chat")));
    agw_h2_reset(spare.st, 0);
    agw_arena_free(&spare.arena);
    pair_free(&p);
}

/* RFC 8441: an upgrade is extended CONNECT, its grant is 200, and bytes go both ways. */
static void test_upgrade(void **state)
{
    struct rec spare = {0};
    assert_true(pair_init(&p, NULL, NULL));
    agw_arena_init(&spare.arena, 1024, 0);
    struct agw_msg *m = pair_request(&spare, AGW_METHOD_GET, "/chat");
    m->upgrade = AGW_STR("websocket");
    assert_int_equal(agw_h2_takes_upgrades(p.c.h), AGW_EAGAIN);
    assert_int_equal(agw_h2_request(p.c.h, m, false, &spare.arena, &spare, &spare.st), AGW_EUNSUPPORTED);
    pair_run(&p);
    assert_int_equal(agw_h2_takes_upgrades(p.c.h), 1);
    assert_int_equal(agw_headers_add(&m->headers, AGW_HDR_OTHER, AGW_STR("sec-websocket-key"), AGW_STR("k")),
                     0);
    assert_int_equal(
        agw_headers_add(&m->headers, AGW_HDR_OTHER, AGW_STR("sec-websocket-version"), AGW_STR("13")), 0);
    assert_int_equal(agw_h2_request(p.c.h, m, false, &spare.arena, &spare, &spare.st), 0);
    pair_run(&p);
    struct rec *q = &p.s.recs[0];
    assert_int_equal(q->msg->method, AGW_METHOD_GET);
    assert_int_equal(q->msg->headers.n, 1);
    assert_false(q->head_end);
    m = pair_response(q, 101);
    assert_int_equal(agw_h2_respond(q->st, m, false), 0);
    assert_int_equal(pair_body(q, 5), 0);
    pair_run(&p);
    assert_int_equal(spare.heads, 1);
    assert_int_equal(spare.msg->status, 101);
    assert_int_equal(spare.body, 5);
    assert_int_equal(pair_body(&spare, 3), 0);
    assert_int_equal(agw_h2_end(spare.st, NULL), 0);
    assert_int_equal(agw_h2_end(q->st, NULL), 0);
    pair_run(&p);
    assert_int_equal(q->body, 3);
    assert_int_equal(q->closes, 1);
    assert_int_equal(q->code, 0);
    assert_int_equal(spare.closes, 1);
    assert_int_equal(spare.code, 0);
    agw_arena_free(&spare.arena);
    pair_free(&p);
}

/* Refused: an ordinary answer. */
static void test_refused_upgrade(void **state)
{
    struct rec spare = {0};
    assert_true(pair_init(&p, NULL, NULL));
    pair_run(&p);
    agw_arena_init(&spare.arena, 1024, 0);
    struct agw_msg *m = pair_request(&spare, AGW_METHOD_GET, "/chat");
    m->upgrade = AGW_STR("websocket");
    assert_int_equal(agw_h2_request(p.c.h, m, false, &spare.arena, &spare, &spare.st), 0);
    pair_run(&p);
    struct rec *q = &p.s.recs[0];
    assert_int_equal(agw_h2_respond(q->st, pair_response(q, 404), true), 0);
    pair_run(&p);
    assert_int_equal(spare.msg->status, 404);
    assert_true(spare.head_end);
    agw_h2_reset(spare.st, 0);
    agw_arena_free(&spare.arena);
    pair_free(&p);
}

static void test_many_fields(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_GET, "/", true);
    pair_run(&p);
    struct rec *q = &p.s.recs[0];
    struct agw_msg *m = pair_response(q, 200);
    for (int i = 0; i < 200; i++)
        agw_headers_add(&m->headers, AGW_HDR_OTHER, agw_arena_printf(&q->arena, "x-%d", i), AGW_STR("v"));
    assert_int_equal(agw_h2_respond(q->st, m, true), 0);
    pair_run(&p);
    assert_int_equal(r->msg->headers.n, 200);
    assert_true(agw_str_eq(r->msg->headers.v[199].name, AGW_STR("x-199")));
    pair_free(&p);
}

/* A response head that no frame takes must not leave the client waiting. */
static void test_head_too_large(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_GET, "/", true);
    pair_run(&p);
    struct rec *q = &p.s.recs[0];
    struct agw_msg *m = pair_response(q, 200);
    char *big = agw_arena_alloc(&q->arena, 60000);
    memset(big, 'b', 60000);
    for (int i = 0; i < 10; i++)
        agw_headers_add(&m->headers, AGW_HDR_OTHER, AGW_STR("x-big"), agw_str(big, 60000));
    assert_int_equal(agw_h2_respond(q->st, m, true), 0);
    pair_run(&p);
    assert_int_equal(r->closes, 1);
    assert_int_not_equal(r->code, 0);
    assert_int_equal(q->closes, 1);
    pair_free(&p);
}

/* --- out of memory --- */

static void talk(void)
{
    if (!pair_init(&p, NULL, NULL))
        return;
    struct rec *r = pair_open(&p, AGW_METHOD_POST, "/", false);
    if (r) {
        struct agw_headers t;
        agw_headers_init(&t, &r->arena);
        agw_headers_add(&t, AGW_HDR_OTHER, AGW_STR("x-sum"), AGW_STR("1"));
        if (pair_body(r, 20000) == 0 && r->st)
            agw_h2_end(r->st, &t);
    }
    pair_run(&p);
    if (p.s.n > 0 && p.s.recs[0].st && p.s.recs[0].heads) {
        struct rec *q = &p.s.recs[0];
        struct agw_msg *m = pair_response(q, 200);
        if (m) {
            agw_headers_add_id(&m->headers, AGW_HDR_SERVER, AGW_STR("s"));
            if (agw_h2_respond(q->st, m, false) == 0 && pair_body(q, 100) == 0)
                agw_h2_end(q->st, &m->headers);
        }
    }
    pair_run(&p);
    pair_free(&p);
}

static void test_out_of_memory(void **state)
{
    long n = 1;
    for (;; n++) {
        failmalloc_at(n);
        talk();
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        if (!reached)
            break;
        assert_true(p.s.n == 0 || p.s.recs[0].closes <= 1);
        assert_true(p.c.n == 0 || p.c.recs[0].closes <= 1);
    }
    assert_true(n > 40); /* it did count */
    assert_int_equal(p.c.recs[0].code, 0);
    assert_int_equal(p.c.recs[0].body, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),        cmocka_unit_test(test_output_stops_at_max),
        cmocka_unit_test(test_request_forms), cmocka_unit_test(test_long_answers_share),
        cmocka_unit_test(test_upgrade),       cmocka_unit_test(test_refused_upgrade),
        cmocka_unit_test(test_many_fields),   cmocka_unit_test(test_head_too_large),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
