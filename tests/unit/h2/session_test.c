#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "http/stream.h"
#include "pair.h"

static struct pair p;

static struct rec *served(void)
{
    assert_true(p.s.n > 0);
    return &p.s.recs[p.s.n - 1];
}

static void test_get(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_GET, "/x?y=1", true);
    assert_non_null(r);
    pair_run(&p);
    struct rec *q = served();
    assert_int_equal(q->heads, 1);
    assert_true(q->head_end);
    assert_int_equal(q->msg->method, AGW_METHOD_GET);
    assert_string_equal(q->msg->path.p, "/x?y=1");
    assert_string_equal(q->msg->authority.p, "a.example");
    assert_int_equal(q->msg->version, AGW_HTTP_2);
    assert_int_equal(q->msg->length, 0);
    struct agw_msg *m = pair_response(q, 200);
    m->length = 5;
    agw_headers_add(&m->headers, AGW_HDR_OTHER, AGW_STR("x-a"), AGW_STR("b"));
    agw_headers_add_id(&m->headers, AGW_HDR_CONNECTION, AGW_STR("close"));
    assert_int_equal(agw_h2_respond(q->st, m, false), 0);
    assert_int_equal(pair_body(q, 5), 0);
    assert_int_equal(agw_h2_end(q->st, NULL), 0);
    pair_run(&p);
    assert_int_equal(r->heads, 1);
    assert_int_equal(r->msg->status, 200);
    assert_int_equal(r->msg->length, 5);
    assert_int_equal(r->msg->headers.n, 1);
    assert_int_equal(r->body, 5);
    assert_memory_equal(r->bytes, "abcde", 5);
    assert_int_equal(r->ends, 1);
    assert_int_equal(r->closes, 1);
    assert_int_equal(r->code, 0);
    assert_int_equal(q->closes, 1);
    assert_int_equal(q->code, 0);
    assert_int_equal(agw_h2_streams(p.s.h), 0);
    pair_free(&p);
}

static void test_trailers_both_ways(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_POST, "/", false);
    struct agw_headers t;
    agw_headers_init(&t, &r->arena);
    agw_headers_add(&t, AGW_HDR_OTHER, AGW_STR("grpc-status"), AGW_STR("0"));
    agw_headers_add_id(&t, AGW_HDR_CONTENT_LENGTH, AGW_STR("9"));
    agw_headers_add_id(&t, AGW_HDR_SET_COOKIE, AGW_STR("a=1"));
    pair_body(r, 30000);
    assert_int_equal(agw_h2_end(r->st, &t), 0);
    pair_run(&p);
    struct rec *q = served();
    assert_int_equal(q->body, 30000);
    assert_int_equal(q->msg->length, AGW_LENGTH_UNKNOWN);
    assert_int_equal(q->ends, 1);
    assert_non_null(q->trailers);
    assert_int_equal(q->trailers->n, 1);
    /* No body, trailers alone: nothing but HEADERS twice. */
    agw_h2_respond(q->st, pair_response(q, 200), false);
    assert_int_equal(agw_h2_end(q->st, &t), 0);
    pair_run(&p);
    assert_int_equal(r->body, 0);
    assert_int_equal(r->ends, 1);
    assert_non_null(r->trailers);
    assert_memory_equal(r->trailers->v[0].value.p, "0", 1);
    assert_int_equal(r->code, 0);
    assert_int_equal(r->closes, 1);
    pair_free(&p);
}

/* Nothing of them may follow a body: the stream ends as one without trailers. */
static void test_trailers_that_are_not_sent(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_POST, "/", false);
    struct agw_headers t;
    agw_headers_init(&t, &r->arena);
    agw_headers_add_id(&t, AGW_HDR_AUTHORIZATION, AGW_STR("x"));
    pair_body(r, 10);
    assert_int_equal(agw_h2_end(r->st, &t), 0);
    pair_run(&p);
    assert_int_equal(served()->body, 10);
    assert_int_equal(served()->ends, 1);
    assert_null(served()->trailers);
    pair_free(&p);
}

static void test_interim_responses(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_GET, "/", true);
    pair_run(&p);
    struct rec *q = served();
    assert_int_equal(agw_h2_respond(q->st, pair_response(q, 103), false), 0);
    pair_run(&p);
    assert_int_equal(r->heads, 1);
    assert_int_equal(r->last_1xx, 103);
    assert_false(r->head_end);
    assert_int_equal(agw_h2_respond(q->st, pair_response(q, 204), true), 0);
    assert_int_equal(agw_h2_respond(q->st, pair_response(q, 200), true), AGW_ECLOSED);
    pair_run(&p);
    assert_int_equal(r->heads, 2);
    assert_int_equal(r->msg->status, 204);
    assert_true(r->head_end);
    assert_int_equal(r->code, 0);
    pair_free(&p);
}

static void test_head_keeps_length(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_HEAD, "/", true);
    pair_run(&p);
    struct rec *q = served();
    struct agw_msg *m = pair_response(q, 200);
    m->length = 1234;
    agw_h2_respond(q->st, m, true);
    pair_run(&p);
    assert_int_equal(r->msg->length, 1234);
    assert_true(r->head_end);
    assert_int_equal(r->code, 0);
    pair_free(&p);
}

static void test_window_stops_one_stream_only(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    p.s.hold = true;
    struct rec *a = pair_open(&p, AGW_METHOD_POST, "/a", false);
    for (int i = 0; i < 4; i++)
        pair_body(a, 50000);
    pair_run(&p);
    struct rec *q = served();
    assert_int_equal(q->body, AGW_STREAM_WINDOW);
    assert_int_equal(agw_h2_pending(a->st), 200000 - AGW_STREAM_WINDOW);
    struct rec *b = pair_open(&p, AGW_METHOD_POST, "/b", false);
    pair_body(b, 1000);
    agw_h2_end(b->st, NULL);
    pair_run(&p);
    assert_int_equal(served()->body, 1000);
    assert_int_equal(served()->ends, 1);
    /* Giving bytes back lets more come; the writer hears when its queue has drained. */
    assert_int_equal(a->drains, 0);
    agw_h2_consume(q->st, 65536);
    pair_run(&p);
    assert_int_equal(q->body, 2 * AGW_STREAM_WINDOW);
    agw_h2_consume(q->st, 65536);
    pair_run(&p);
    assert_int_equal(a->drains, 1);
    agw_h2_consume(q->st, 65536);
    pair_run(&p);
    assert_int_equal(q->body, 200000);
    assert_int_equal(agw_h2_pending(a->st), 0);
    pair_free(&p);
}

/* What a stream took of the connection's window comes back when it goes. */
static void test_reset_gives_window_back(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    p.s.hold = true;
    for (int i = 0; i < 40; i++) {
        struct rec *a = pair_open(&p, AGW_METHOD_POST, "/a", false);
        pair_body(a, 65536);
        pair_run(&p);
        assert_int_equal(served()->body, 65536);
        if (i % 3 == 0)
            agw_h2_reset(a->st, AGW_ERESET);
        else if (i % 3 == 1)
            agw_h2_reset(served()->st, AGW_EIO);
        else {
            agw_h2_respond(served()->st, pair_response(served(), 200), true);
            agw_h2_detach(served()->st);
        }
        pair_run(&p);
    }
    assert_int_equal(agw_h2_streams(p.s.h), 0);
    assert_int_equal(agw_h2_streams(p.c.h), 0);
    pair_free(&p);
}

static void test_detach_still_sends(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_POST, "/", false);
    pair_body(r, 100);
    pair_run(&p);
    struct rec *q = served();
    agw_h2_respond(q->st, pair_response(q, 413), false);
    pair_body(q, 40000);
    agw_h2_end(q->st, NULL);
    agw_h2_detach(q->st);
    pair_run(&p);
    assert_int_equal(r->msg->status, 413);
    assert_int_equal(r->body, 40000);
    assert_int_equal(r->ends, 1);
    /* NO_ERROR after a whole answer is no failure, although the request was not over. */
    assert_int_equal(r->closes, 1);
    assert_int_equal(r->code, 0);
    assert_int_equal(q->closes, 0);
    pair_free(&p);
}

static void test_resets(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_GET, "/", true);
    pair_run(&p);
    agw_h2_reset(served()->st, AGW_EREFUSED);
    pair_run(&p);
    assert_int_equal(r->closes, 1);
    assert_int_equal(r->code, AGW_EREFUSED);
    assert_int_equal(served()->closes, 0);
    r = pair_open(&p, AGW_METHOD_POST, "/", false);
    pair_run(&p);
    agw_h2_reset(r->st, AGW_ETIMEOUT);
    pair_run(&p);
    assert_int_equal(r->closes, 0);
    assert_int_equal(served()->closes, 1);
    assert_int_equal(served()->code, AGW_ERESET);
    p.s.refuse = true;
    r = pair_open(&p, AGW_METHOD_GET, "/", true);
    pair_run(&p);
    assert_int_equal(r->code, AGW_EREFUSED);
    /* Reset before anything was sent: the peer never hears of it. */
    r = pair_open(&p, AGW_METHOD_GET, "/", true);
    agw_h2_reset(r->st, AGW_ERESET);
    pair_run(&p);
    assert_int_equal(agw_h2_streams(p.c.h), 0);
    assert_int_equal(r->closes, 0);
    pair_free(&p);
}

static void test_shutdown_finishes(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_GET, "/", true);
    pair_run(&p);
    struct rec *q = served();
    agw_h2_shutdown(p.s.h);
    pair_run(&p);
    assert_int_equal(p.c.goaways, 2);
    assert_int_equal(agw_h2_room(p.c.h), 0);
    assert_false(agw_h2_done(p.s.h));
    agw_h2_respond(q->st, pair_response(q, 200), true);
    pair_run(&p);
    assert_int_equal(r->code, 0);
    assert_int_equal(r->closes, 1);
    assert_true(agw_h2_done(p.s.h));
    assert_true(agw_h2_done(p.c.h));
    pair_free(&p);
}

/* A request on its way while the server says goodbye is served, one above the last id may be tried elsewhere.
 */
static void test_shutdown_race(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    pair_run(&p);
    agw_h2_shutdown(p.s.h);
    struct rec *a = pair_open(&p, AGW_METHOD_GET, "/a", true);
    pair_move(&p, &p.c, &p.s);
    agw_h2_shutdown(p.s.h);
    struct rec *b = pair_open(&p, AGW_METHOD_GET, "/b", true);
    pair_move(&p, &p.s, &p.c);
    pair_run(&p);
    assert_int_equal(p.s.n, 1);
    assert_int_equal(b->closes, 1);
    assert_int_equal(b->code, AGW_EREFUSED);
    agw_h2_respond(served()->st, pair_response(served(), 200), true);
    pair_run(&p);
    assert_int_equal(a->code, 0);
    assert_int_equal(a->msg->status, 200);
    pair_free(&p);
}

static void test_room(void **state)
{
    struct agw_h2_limits small = agw_h2_default_limits;
    small.streams = 3;
    assert_true(pair_init(&p, NULL, &small));
    pair_run(&p);
    assert_int_equal(agw_h2_room(p.c.h), 3);
    struct rec *r = pair_open(&p, AGW_METHOD_GET, "/", true);
    pair_open(&p, AGW_METHOD_GET, "/", true);
    assert_int_equal(agw_h2_room(p.c.h), 1);
    pair_run(&p);
    agw_h2_reset(r->st, 0);
    pair_run(&p);
    assert_int_equal(agw_h2_room(p.c.h), 2);
    pair_free(&p);
}

static void test_free_tells(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_POST, "/", false);
    pair_body(r, 100000);
    pair_run(&p);
    agw_h2_free(p.c.h, AGW_EIO);
    p.c.h = NULL;
    assert_int_equal(r->closes, 1);
    assert_int_equal(r->code, AGW_EIO);
    pair_free(&p);
}

static void test_sweep(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    p.s.hold = true;
    struct rec *a = pair_open(&p, AGW_METHOD_POST, "/a", false);
    pair_body(a, 100000);
    struct rec *b = pair_open(&p, AGW_METHOD_POST, "/b", false);
    pair_run(&p);
    assert_int_equal(agw_h2_sweep(p.c.h), 0);
    assert_int_equal(a->closes, 0);
    agw_h2_consume(p.s.recs[0].st, 32768); /* it moves: another period */
    pair_run(&p);
    assert_int_equal(agw_h2_sweep(p.c.h), 0);
    assert_int_equal(a->closes, 0);
    assert_int_equal(agw_h2_sweep(p.c.h), 0);
    assert_int_equal(a->closes, 1);
    assert_int_equal(a->code, AGW_ETIMEOUT);
    pair_run(&p);
    assert_int_equal(b->closes, 0); /* nothing waits: silence is fine */
    pair_free(&p);
}

static void test_calls_after_the_end(void **state)
{
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *r = pair_open(&p, AGW_METHOD_GET, "/", true);
    assert_int_equal(pair_body(r, 10), AGW_ECLOSED);
    assert_int_equal(agw_h2_end(r->st, NULL), AGW_ECLOSED);
    pair_run(&p);
    struct rec *q = served();
    assert_int_equal(pair_body(q, 10), AGW_ECLOSED);
    agw_h2_consume(q->st, 1000000);
    agw_h2_respond(q->st, pair_response(q, 200), false);
    agw_h2_end(q->st, NULL);
    assert_int_equal(pair_body(q, 10), AGW_ECLOSED);
    assert_int_equal(agw_h2_end(q->st, NULL), AGW_ECLOSED);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_trailers_both_ways),
        cmocka_unit_test(test_trailers_that_are_not_sent),
        cmocka_unit_test(test_interim_responses),
        cmocka_unit_test(test_head_keeps_length),
        cmocka_unit_test(test_window_stops_one_stream_only),
        cmocka_unit_test(test_reset_gives_window_back),
        cmocka_unit_test(test_detach_still_sends),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_shutdown_finishes),
        cmocka_unit_test(test_shutdown_race),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_free_tells),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_calls_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
