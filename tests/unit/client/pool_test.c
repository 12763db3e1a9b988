/* The client's pools and its HTTP/1.1 connections, against scripted endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "client/client_int.h"
#include "failmalloc.h"
#include "net/peer.h"

#define MAX 64

enum in_event { NOTHING, RESET_IN_HEAD, RESET_IN_BODY, RESET_IN_END, DETACH_IN_END, OPEN_IN_CLOSE };

struct seen {
    struct agw_stream *s; /* NULL when over */
    struct agw_arena arena;
    int heads, interim, status, ends, closes, code, drains;
    bool reused, unsent, silent;
    size_t body;
    enum in_event act;
    bool hold; /* does not consume */
};

static struct {
    struct agw_loop loop;
    struct agw_client_limits limits;
    struct agw_client *client;
    struct agw_arena arena;
    struct agw_endpoint to;
    int listener;
    struct seen seen[MAX];
    unsigned n;
} t;

static struct seen *request(const char *path, bool end);

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct seen *e = s->owner;
    e->heads++;
    e->interim += msg->status < 200;
    e->status = msg->status;
    if (e->act == RESET_IN_HEAD) {
        agw_stream_reset(s, AGW_ECANCELED);
        e->s = NULL;
    }
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct seen *e = s->owner;
    e->body += data->bytes;
    if (e->act == RESET_IN_BODY) {
        agw_stream_reset(s, AGW_ECANCELED);
        e->s = NULL;
    } else if (!e->hold) {
        agw_stream_consume(s, data->bytes);
    }
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    struct seen *e = s->owner;
    e->ends++;
    if (e->act == RESET_IN_END)
        agw_stream_reset(s, AGW_ECANCELED);
    else if (e->act == DETACH_IN_END)
        agw_stream_detach(s);
    if (e->act == RESET_IN_END || e->act == DETACH_IN_END)
        e->s = NULL;
}

static void on_drain(struct agw_stream *s)
{
    struct seen *e = s->owner;
    e->drains++;
}

static void on_close(struct agw_stream *s, int code)
{
    struct seen *e = s->owner;
    e->closes++;
    e->code = code;
    e->reused = agw_client_reused(s);
    e->unsent = agw_client_unsent(s);
    e->silent = agw_client_silent(s);
    e->s = NULL;
    if (e->act == OPEN_IN_CLOSE)
        request("/again", true);
}

static const struct agw_stream_events events = {on_head, on_body, on_end, on_drain, on_close};

static struct seen *open_stream(void)
{
    assert_true(t.n < MAX);
    struct seen *e = &t.seen[t.n++];
    agw_arena_init(&e->arena, 1024, 0);
    e->s = agw_client_open(t.client, &t.to, &e->arena, &events, e);
    return e;
}

static void head(struct agw_msg *m, struct seen *e, enum agw_method method, const char *path)
{
    agw_msg_init(m, &e->arena);
    m->method = method;
    m->authority = AGW_STR("a");
    m->path = agw_str_c(path);
}

static struct seen *request(const char *path, bool end)
{
    struct seen *e = open_stream();
    struct agw_msg m;
    assert_non_null(e->s);
    head(&m, e, end ? AGW_METHOD_GET : AGW_METHOD_POST, path);
    m.length = end ? 0 : AGW_LENGTH_UNKNOWN;
    assert_int_equal(agw_stream_write_head(e->s, &m, end), 0);
    return e;
}

static int write_body(struct seen *e, size_t n)
{
    struct agw_chain c;
    struct agw_block *b = agw_block_new(n);
    assert_non_null(b);
    memset(b->data, 'x', n);
    b->len = (uint32_t)n;
    agw_chain_init(&c);
    agw_chain_add(&c, b, b->data, n);
    agw_block_unref(b);
    int rc = agw_stream_write_body(e->s, &c);
    assert_int_equal(c.bytes, 0);
    return rc;
}

static const struct agw_client_stats *stats(void)
{
    return agw_client_stats(t.client);
}

static void turns(int n)
{
    peer_turns(&t.loop, n);
}

static void check_counters(uint32_t open, uint32_t idle)
{
    assert_int_equal(stats()->open, open);
    assert_int_equal(stats()->idle, idle);
}

static int set_up(void **state)
{
    memset(&t, 0, sizeof(t));
    t.limits = agw_client_default_limits;
    assert_int_equal(agw_loop_init(&t.loop, 0), 0);
    agw_arena_init(&t.arena, 1024, 0);
    t.client = agw_client_new(&t.loop, NULL, &t.limits);
    t.listener = peer_listen(&t.to.addr);
    t.to.http = AGW_UPSTREAM_HTTP1;
    assert_int_equal(agw_endpoint_key(&t.to, AGW_STR(""), &t.arena), 0);
    return 0;
}

static int tear_down(void **state)
{
    agw_client_free(t.client);
    for (unsigned i = 0; i < t.n; i++)
        agw_arena_free(&t.seen[i].arena);
    agw_arena_free(&t.arena);
    assert_int_equal(t.loop.blocks.live, t.loop.reading ? 1 : 0);
    agw_loop_free(&t.loop);
    close(t.listener);
    return 0;
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void accept_and_answer(struct peer *p)
{
    peer_accept(p, &t.loop, t.listener);
    peer_expect(p, "\r\n\r\n");
    peer_say(p, OK);
    turns(3);
}

static void test_one_connection_serves_many(void **state)
{
    struct peer p;
    struct seen *e = request("/1", true);
    check_counters(0, 0);
    accept_and_answer(&p);
    assert_int_equal(e->closes, 1);
    assert_int_equal(e->code, 0);
    assert_int_equal(e->body, 2);
    assert_false(e->reused);
    for (int i = 0; i < 3; i++) {
        check_counters(1, 1);
        e = request("/2", true);
        check_counters(1, 0);
        peer_expect(&p, "GET /2 HTTP/1.1\r\n");
        peer_say(&p, OK);
        turns(3);
        assert_int_equal(e->closes, 1);
        assert_true(e->reused);
    }
    assert_int_equal(stats()->connects, 1);
    assert_int_equal(stats()->reuses, 3);
    peer_close(&p);
    turns(3);
    check_counters(0, 0);
}

static void test_connections_are_limited(void **state)
{
    struct peer p[2];
    struct seen *e[4];
    t.limits.conns_max = 2;
    for (int i = 0; i < 4; i++)
        e[i] = request("/", true);
    peer_accept(&p[0], &t.loop, t.listener);
    peer_accept(&p[1], &t.loop, t.listener);
    assert_false(peer_waits(&t.loop, t.listener));
    check_counters(2, 0);
    peer_expect(&p[0], "\r\n\r\n");
    peer_say(&p[0], OK);
    peer_expect(&p[0], "\r\n\r\n"); /* the third */
    peer_say(&p[0], OK);
    peer_expect(&p[0], "\r\n\r\n"); /* the fourth */
    peer_say(&p[0], OK);
    turns(3);
    for (int i = 0; i < 4; i++)
        assert_int_equal(e[i]->closes, i != 1);
    check_counters(2, 1);
    peer_close(&p[0]);
    peer_close(&p[1]);
    turns(3);
    assert_int_equal(e[1]->code, AGW_ERESET);
    check_counters(0, 0);
}

/* Who waits gets a new connection when one that was in use is gone. */
static void test_a_broken_connection_makes_room(void **state)
{
    struct peer p;
    t.limits.conns_max = 1;
    struct seen *first = request("/1", true), *second = request("/2", true);
    peer_accept(&p, &t.loop, t.listener);
    peer_expect(&p, "GET /1 ");
    peer_close(&p);
    peer_accept(&p, &t.loop, t.listener);
    assert_int_equal(first->code, AGW_ERESET);
    peer_expect(&p, "GET /2 ");
    agw_stream_reset(second->s, AGW_ECANCELED);
    struct seen *third = request("/3", true);
    peer_expect_end(&p);
    peer_close(&p);
    accept_and_answer(&p);
    assert_int_equal(third->code, 0);
    assert_int_equal(third->closes, 1);
    assert_int_equal(second->closes, 0);
    peer_close(&p);
}

static void test_waiting_is_limited(void **state)
{
    t.limits.conns_max = 1;
    t.limits.waiting_max = 2;
    struct seen *e[4];
    for (int i = 0; i < 4; i++)
        e[i] = open_stream();
    assert_int_equal(e[3]->closes, 0); /* never from inside */
    turns(1);
    assert_int_equal(e[2]->closes, 1);
    assert_int_equal(e[2]->code, AGW_ELIMIT);
    assert_int_equal(e[3]->code, AGW_ELIMIT);
    /* Who leaves makes room. */
    agw_stream_reset(e[1]->s, 0);
    struct seen *late = open_stream();
    turns(1);
    assert_int_equal(late->closes, 0);
    struct agw_pool *pool = agw_map_get(&t.client->pools, t.to.key);
    assert_true(pool->waiting_count <= 2);
}

static void test_requests_are_limited(void **state)
{
    t.limits.requests_max = 2;
    struct seen *a = request("/1", true), *b = request("/2", true), *c = open_stream();
    assert_int_equal(stats()->waiting, 2);
    turns(3);
    assert_int_equal(c->code, AGW_ELIMIT);
    assert_true(c->unsent);
    assert_int_equal(a->closes + b->closes, 0);
    assert_int_equal(stats()->overflows, 1);
    struct peer p, q;
    accept_and_answer(&p);
    accept_and_answer(&q);
    assert_int_equal(a->status + b->status, 400);
    assert_int_equal(stats()->waiting, 0);
    struct seen *d = request("/4", true); /* there is room again */
    turns(3);
    assert_int_equal(d->closes, 0);
    peer_close(&p);
    peer_close(&q);
}

static void test_requests_of_a_connection_are_limited(void **state)
{
    struct peer p;
    t.limits.per_conn_max = 2;
    request("/1", true);
    accept_and_answer(&p);
    check_counters(1, 1);
    request("/2", true);
    turns(3);
    peer_expect(&p, "\r\n\r\n");
    peer_say(&p, OK);
    turns(3);
    assert_int_equal(t.seen[1].status, 200);
    check_counters(0, 0);
    peer_expect_end(&p);
    peer_close(&p);
    request("/3", true);
    accept_and_answer(&p);
    assert_int_equal(t.seen[2].status, 200);
    assert_int_equal(stats()->connects, 2);
    peer_close(&p);
}

static void test_connections_grow_old(void **state)
{
    struct peer p;
    t.limits.age_ms = 150;
    request("/1", true);
    accept_and_answer(&p);
    check_counters(1, 1);
    peer_sleep(&t.loop, 160);
    struct seen *e = request("/2", true); /* on another */
    turns(3);
    check_counters(1, 0);
    peer_expect_end(&p);
    peer_close(&p);
    accept_and_answer(&p);
    assert_int_equal(e->status, 200);
    assert_int_equal(stats()->connects, 2);
    peer_close(&p);
}

static void test_pools_that_requests_name_are_limited(void **state)
{
    struct agw_endpoint other = t.to;
    struct peer p;
    t.limits.dynamic_max = 1;
    t.to.dynamic = other.dynamic = true;
    agw_addr_set_port(&other.addr, 9);
    assert_int_equal(agw_endpoint_key(&other, AGW_STR(""), &t.arena), 0);
    assert_true(agw_client_admits(t.client, &t.to));
    request("/1", true);
    assert_true(agw_client_admits(t.client, &t.to)); /* it is there */
    assert_false(agw_client_admits(t.client, &other));
    assert_int_equal(stats()->overflows, 1);
    accept_and_answer(&p);
    assert_false(agw_client_admits(t.client, &other));
    peer_sleep(&t.loop, 1100); /* nobody uses it: it gives way */
    assert_true(agw_client_admits(t.client, &other));
    assert_null(agw_map_get(&t.client->pools, t.to.key));
    peer_close(&p);
}

static void test_refused(void **state)
{
    close(t.listener);
    struct seen *a = request("/1", true), *b = request("/2", true);
    a->act = OPEN_IN_CLOSE;
    turns(20);
    assert_int_equal(a->code, AGW_EREFUSED);
    assert_int_equal(b->code, AGW_EREFUSED);
    assert_int_equal(t.n, 3);
    assert_int_equal(t.seen[2].code, AGW_EREFUSED);
    assert_int_equal(stats()->connect_failures, 3);
    check_counters(0, 0);
    t.listener = -1;
}

static void test_connect_times_out(void **state)
{
    /* Of the block for documentation (RFC 5737): nobody answers; without a route it fails at once. */
    t.limits.connect_ms = 30;
    agw_addr_ip(AGW_STR("192.0.2.1"), 9, &t.to.addr);
    assert_int_equal(agw_endpoint_key(&t.to, AGW_STR(""), &t.arena), 0);
    struct seen *e = request("/", true);
    peer_sleep(&t.loop, 100);
    assert_int_equal(e->closes, 1);
    assert_true(e->code == AGW_ETIMEOUT || e->code == AGW_EIO || e->code == AGW_EREFUSED);
    struct agw_pool *pool = agw_map_get(&t.client->pools, t.to.key);
    assert_int_equal(pool->dialing, 0);
}

/* A connection that an impatient owner left behind is kept for the next. */
static void test_the_asker_leaves_while_dialing(void **state)
{
    struct peer p;
    struct seen *e = request("/1", true);
    agw_stream_reset(e->s, AGW_ECANCELED);
    peer_accept(&p, &t.loop, t.listener);
    turns(3);
    check_counters(1, 1);
    e = request("/2", true);
    peer_expect(&p, "GET /2 ");
    peer_expect(&p, "\r\n\r\n");
    peer_say(&p, OK);
    turns(3);
    assert_int_equal(e->code, 0);
    assert_int_equal(stats()->connects, 1);
    assert_int_equal(stats()->reuses, 0);
    peer_close(&p);
}

static void test_leaving_inside_events(void **state)
{
    static const enum in_event acts[] = {RESET_IN_HEAD, RESET_IN_BODY, RESET_IN_END, DETACH_IN_END};
    for (size_t i = 0; i < 4; i++) {
        struct peer p;
        struct seen *e = request("/1", true), *waits = NULL;
        e->act = acts[i];
        t.limits.conns_max = 1;
        waits = request("/2", true);
        accept_and_answer(&p);
        assert_int_equal(e->closes, 0);
        assert_null(e->s);
        if (acts[i] != DETACH_IN_END) { /* all but an orderly end cost the connection */
            peer_expect_end(&p);
            peer_close(&p);
            peer_accept(&p, &t.loop, t.listener);
        }
        peer_expect(&p, "GET /2 ");
        peer_expect(&p, "\r\n\r\n");
        peer_say(&p, OK);
        turns(3);
        assert_int_equal(waits->closes, 1);
        assert_int_equal(waits->code, 0);
        check_counters(1, 1);
        peer_close(&p);
        turns(3);
        check_counters(0, 0);
    }
}

static void test_asking_again_inside_close(void **state)
{
    struct peer p;
    request("/1", true)->act = OPEN_IN_CLOSE;
    accept_and_answer(&p);
    peer_expect(&p, "GET /again ");
    peer_expect(&p, "\r\n\r\n");
    peer_say(&p, OK);
    turns(3);
    assert_int_equal(t.seen[1].code, 0);
    assert_int_equal(t.seen[1].closes, 1);
    assert_int_equal(stats()->connects, 1);
    peer_close(&p);
}

/* The connection goes while it is not in use, in the very turn in which it is asked for. */
static void test_unsent(void **state)
{
    struct peer p;
    request("/1", true);
    accept_and_answer(&p);
    peer_close(&p);
    struct seen *e = request("/2", false);
    turns(3);
    assert_int_equal(e->code, AGW_ECLOSED);
    assert_true(e->unsent);
    /* And one that goes when the request is out. */
    request("/3", true);
    accept_and_answer(&p);
    e = request("/4", false);
    peer_expect(&p, "POST /4 ");
    peer_close(&p);
    turns(3);
    assert_int_equal(e->code, AGW_ECLOSED);
    assert_false(e->unsent);
}

/* Whether a byte of the answer was there before the connection was lost. */
static void test_silent(void **state)
{
    static const struct {
        const char *said;
        bool silent;
    } cases[] = {{"", true}, {"HTTP/1.1 2", false}, {"HTTP/1.1 103 Early Hints\r\n\r\n", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct peer p;
        struct seen *e = request("/", true);
        peer_accept(&p, &t.loop, t.listener);
        peer_expect(&p, "\r\n\r\n");
        peer_say(&p, cases[i].said);
        turns(2);
        peer_close(&p);
        turns(3);
        assert_int_equal(e->code, AGW_ERESET);
        assert_int_equal(e->silent, cases[i].silent);
    }
}

static void test_body_waits_for_the_connection(void **state)
{
    struct peer p;
    struct seen *e = request("/", false);
    assert_int_equal(write_body(e, 100), 0);
    assert_int_equal(agw_stream_pending(e->s), 100);
    assert_int_equal(write_body(e, AGW_STREAM_HIGH), 0);
    assert_true(agw_stream_pending(e->s) > AGW_STREAM_HIGH);
    assert_int_equal(agw_stream_write_end(e->s, NULL), 0);
    peer_accept(&p, &t.loop, t.listener);
    peer_expect(&p, "transfer-encoding: chunked\r\n");
    peer_expect(&p, "\r\n0\r\n\r\n");
    assert_int_equal(e->drains, 1);
    peer_say(&p, OK);
    turns(3);
    assert_int_equal(e->code, 0);
    peer_close(&p);
}

static void test_a_slow_owner_stops_the_endpoint(void **state)
{
    static char body[1u << 20];
    struct peer p;
    struct seen *e = request("/", true);
    e->hold = true;
    peer_accept(&p, &t.loop, t.listener);
    peer_expect(&p, "\r\n\r\n");
    peer_say(&p, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
    size_t given = 0;
    for (int i = 0; i < 200; i++) {
        if (i == 0)
            peer_say_n(&p, body, sizeof(body));
        turns(1);
        assert_true(e->body - given <= AGW_STREAM_WINDOW + 2 * AGW_BLOCK_SIZE);
        if (e->s && i % 2) {
            agw_stream_consume(e->s, e->body - given);
            given = e->body;
        }
    }
    assert_int_equal(e->body, sizeof(body));
    assert_int_equal(e->code, 0);
    assert_int_equal(e->closes, 1);
    peer_close(&p);
}

static void test_idle_connections_are_closed(void **state)
{
    struct peer p;
    t.limits.idle_ms = 20;
    request("/", true);
    accept_and_answer(&p);
    check_counters(1, 1);
    /* Over, though the clean-up was not there yet: not used any more. */
    peer_sleep(&t.loop, 50);
    request("/", true);
    peer_expect_end(&p);
    peer_close(&p);
    accept_and_answer(&p);
    peer_sleep(&t.loop, 1100);
    assert_int_equal(peer_expect_end(&p), 1);
    check_counters(0, 0);
    peer_sleep(&t.loop, 1100);
    assert_int_equal(t.client->pools.count, 0); /* the unused pool is gone too */
    peer_close(&p);
}

static void test_idle_connections_are_limited(void **state)
{
    struct peer p[3];
    t.limits.idle_max = 1;
    for (int i = 0; i < 3; i++)
        request("/", true);
    for (int i = 0; i < 3; i++)
        peer_accept(&p[i], &t.loop, t.listener);
    for (int i = 0; i < 3; i++) {
        peer_expect(&p[i], "\r\n\r\n");
        peer_say(&p[i], OK);
    }
    turns(5);
    check_counters(1, 1);
    for (int i = 0; i < 3; i++)
        peer_close(&p[i]);
}

static void test_bytes_on_an_idle_connection(void **state)
{
    struct peer p;
    request("/", true);
    accept_and_answer(&p);
    peer_say(&p, "HTTP/1.1 200 OK\r\n");
    peer_expect_end(&p);
    check_counters(0, 0);
    peer_close(&p);
}

static void test_interim(void **state)
{
    struct peer p;
    struct seen *e = request("/", true);
    peer_accept(&p, &t.loop, t.listener);
    peer_expect(&p, "\r\n\r\n");
    peer_say(&p, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 20");
    turns(3);
    assert_int_equal(e->interim, 2);
    peer_say(&p, "0 OK\r\nContent-Length: 0\r\n\r\n");
    turns(3);
    assert_int_equal(e->heads, 3);
    assert_int_equal(e->status, 200);
    assert_int_equal(e->code, 0);
    check_counters(1, 1);
    peer_close(&p);
}

/* Freed with streams in every state, among them one whose end is due. */
static void test_free_with_all_open(void **state)
{
    struct peer p[2];
    t.limits.conns_max = 2;
    request("/1", true);
    request("/2", true);
    peer_accept(&p[0], &t.loop, t.listener);
    peer_accept(&p[1], &t.loop, t.listener);
    turns(3);
    request("/3", true); /* waits */
    t.limits.waiting_max = 1;
    open_stream(); /* dying */
    peer_close(&p[0]);
    peer_close(&p[1]);
    agw_client_free(t.client);
    t.client = NULL;
    turns(3);
    for (unsigned i = 0; i < t.n; i++)
        assert_int_equal(t.seen[i].closes, 0);
}

/* Asks with a body, as far as memory goes. */
static void ask(struct seen *e)
{
    struct agw_msg m;
    struct agw_headers trailers;
    struct agw_chain c;
    *e = (struct seen){0};
    t.n = 1;
    agw_arena_init(&e->arena, 256, 0);
    e->s = agw_client_open(t.client, &t.to, &e->arena, &events, e);
    head(&m, e, AGW_METHOD_POST, "/");
    m.length = AGW_LENGTH_UNKNOWN;
    agw_headers_init(&trailers, &e->arena);
    agw_chain_init(&c);
    if (e->s && agw_stream_write_head(e->s, &m, false) == 0 &&
        agw_chain_copy(&c, &t.loop.blocks, "body", 4) == 0 && agw_stream_write_body(e->s, &c) == 0)
        agw_stream_write_end(e->s, &trailers);
    agw_chain_clear(&c);
}

/* The endpoint answers, if it is asked; a stream that hears nothing is reset in the end. */
static void play(struct seen *e, struct peer *p)
{
    for (int i = 0; i < 60 && e->s; i++) {
        agw_loop_turn(&t.loop, 1);
        int fd = p->fd < 0 ? accept(t.listener, NULL, NULL) : -1;
        if (fd >= 0)
            *p = (struct peer){.loop = &t.loop, .fd = fd};
        if (p->fd >= 0 && i % 4 == 3 && e->heads == 0)
            peer_say(p, OK);
    }
    if (e->s)
        agw_stream_reset(e->s, 0);
    e->s = NULL;
}

static bool is_expected(int code)
{
    return code == 0 || code == AGW_ENOMEM || code == AGW_ECLOSED || code == AGW_EPROTO;
}

/* Whatever fails, a stream that was opened ends with one on_close at the most, and nothing is left over. */
static void test_out_of_memory(void **state)
{
    struct seen *e = &t.seen[0];
    long n = 1, good = 0;
    for (bool reached = true; reached && n < 500; n++) {
        struct peer p = {.fd = -1};
        failmalloc_at(n);
        ask(e);
        play(e, &p);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        good += e->closes == 1 && e->code == 0;
        assert_true(e->closes <= 1);
        assert_true(is_expected(e->code));
        peer_close(&p);
        turns(3);
        peer_waits(&t.loop, t.listener); /* a connection that was too late to be asked on */
        turns(3);
        check_counters(0, 0);
        agw_arena_free(&e->arena);
        t.n = 0;
    }
    assert_true(n > 5 && n < 500);
    assert_true(good > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_connection_serves_many),
        TEST(test_connections_are_limited),
        TEST(test_a_broken_connection_makes_room),
        TEST(test_waiting_is_limited),
        TEST(test_requests_are_limited),
        TEST(test_requests_of_a_connection_are_limited),
        TEST(test_connections_grow_old),
        TEST(test_pools_that_requests_name_are_limited),
        TEST(test_refused),
        TEST(test_connect_times_out),
        TEST(test_the_asker_leaves_while_dialing),
        TEST(test_leaving_inside_events),
        TEST(test_asking_again_inside_close),
        TEST(test_unsent),
        TEST(test_silent),
        TEST(test_body_waits_for_the_connection),
        TEST(test_a_slow_owner_stops_the_endpoint),
        TEST(test_idle_connections_are_closed),
        TEST(test_idle_connections_are_limited),
        TEST(test_bytes_on_an_idle_connection),
        TEST(test_interim),
        TEST(test_free_with_all_open),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
