/* Exchanges of an HTTP/2 client, where a stream's memory goes in the moment it is reset. The client is
 * lib/client's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "failmalloc.h"
#include "proxy/rig.h"

struct seen {
    struct agw_stream *s; /* NULL when over */
    struct agw_arena arena;
    int heads, status, ends, closes, code;
    size_t body;
    char text[64]; /* the body's beginning */
};

static struct agw_client *client;
static struct agw_endpoint to;
static struct agw_arena arena;
static struct peer backend;
static struct seen seen[4];

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct seen *e = s->owner;
    e->heads++;
    e->status = msg->status;
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct seen *e = s->owner;
    if (e->body < sizeof(e->text) - 1)
        agw_chain_peek(data, e->text + e->body, sizeof(e->text) - 1 - e->body);
    e->body += data->bytes;
    agw_stream_consume(s, data->bytes);
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    struct seen *e = s->owner;
    e->ends++;
}

static void on_drain(struct agw_stream *s) {}

static void on_close(struct agw_stream *s, int code)
{
    struct seen *e = s->owner;
    e->closes++;
    e->code = code;
    e->s = NULL;
}

static const struct agw_stream_events events = {on_head, on_body, on_end, on_drain, on_close};

static int set_up(void **state)
{
    rig_set_up(state);
    memset(seen, 0, sizeof(seen));
    backend = (struct peer){.fd = -1};
    agw_arena_init(&arena, 1024, 0);
    client = agw_client_new(&rig.worker.loop, NULL, &agw_client_default_limits);
    to = (struct agw_endpoint){.addr = rig.addr, .http = AGW_UPSTREAM_HTTP2};
    assert_int_equal(agw_endpoint_key(&to, AGW_STR(""), &arena), 0);
    return 0;
}

static void leave(void)
{
    agw_client_free(client);
    client = NULL;
    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
        if (seen[i].arena.first)
            agw_arena_free(&seen[i].arena);
    memset(seen, 0, sizeof(seen));
    peer_turns(&rig.worker.loop, 5);
}

static int tear_down(void **state)
{
    peer_close(&backend);
    leave();
    agw_arena_free(&arena);
    return rig_tear_down(state);
}

static void open_request(struct seen *e, enum agw_method method, int64_t length)
{
    struct agw_msg m;
    agw_arena_init(&e->arena, 1024, 0);
    e->s = agw_client_open(client, &to, &e->arena, &events, e);
    agw_msg_init(&m, &e->arena);
    m.method = method;
    m.scheme = AGW_STR("http");
    m.authority = AGW_STR("a");
    m.path = AGW_STR("/x");
    m.length = length;
    if (e->s)
        agw_stream_write_head(e->s, &m, length == 0);
}

static void write_body(struct seen *e, size_t n, bool end)
{
    struct agw_chain c;
    struct agw_block *b = agw_block_new(n);
    agw_chain_init(&c);
    if (b && e->s) {
        memset(b->data, 'x', n);
        b->len = (uint32_t)n;
        agw_chain_add(&c, b, b->data, n);
        if (agw_stream_write_body(e->s, &c) == 0 && end)
            agw_stream_write_end(e->s, NULL);
    }
    agw_chain_clear(&c);
    agw_block_unref(b);
}

static void wait_for_close(struct seen *e)
{
    for (int i = 0; i < 3000 && e->closes == 0; i++)
        agw_loop_turn(&rig.worker.loop, 1);
    assert_int_equal(e->closes, 1);
}

static void test_answer(void **state)
{
    open_request(&seen[0], AGW_METHOD_POST, AGW_LENGTH_UNKNOWN);
    write_body(&seen[0], 100, true);
    rig_accept(&backend);
    peer_expect(&backend, "0\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    wait_for_close(&seen[0]);
    assert_int_equal(seen[0].status, 200);
    assert_string_equal(seen[0].text, "ok");
    assert_int_equal(seen[0].code, 0);
}

static void test_backend_breaks_inside_the_answer(void **state)
{
    open_request(&seen[0], AGW_METHOD_GET, 0);
    open_request(&seen[1], AGW_METHOD_GET, 0);
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
    struct peer other;
    rig_accept(&other);
    peer_expect(&other, "\r\n\r\n");
    peer_close(&backend);
    struct seen *broken = &seen[0], *good = &seen[1];
    for (int i = 0; i < 1000 && seen[0].closes + seen[1].closes == 0; i++)
        agw_loop_turn(&rig.worker.loop, 1);
    if (seen[1].closes) {
        broken = &seen[1];
        good = &seen[0];
    }
    wait_for_close(broken);
    assert_true(broken->code != 0);
    assert_string_equal(broken->text, "short");
    assert_int_equal(good->closes, 0); /* its neighbour goes on */
    peer_say(&other, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    wait_for_close(good);
    assert_int_equal(good->code, 0);
    peer_close(&other);
}

static void test_timeout_inside_the_answer(void **state)
{
    rig.route->request_timeout_ms = 50;
    open_request(&seen[0], AGW_METHOD_GET, 0);
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
    wait_for_close(&seen[0]);
    assert_true(seen[0].code != 0);
    peer_expect_end(&backend);
}

static void test_own_answer(void **state)
{
    rig.backend->endpoint_count = 0;
    open_request(&seen[0], AGW_METHOD_POST, AGW_LENGTH_UNKNOWN);
    write_body(&seen[0], 1000, false); /* the rest never comes */
    wait_for_close(&seen[0]);
    assert_int_equal(seen[0].status, 503);
    assert_int_equal(seen[0].ends, 1);
    peer_turns(&rig.worker.loop, 5);
    assert_int_equal(rig.snap->private->pins[0].count, 0);
}

static void test_early_mcp_answer(void **state)
{
    rig_make_mcp();
    open_request(&seen[0], AGW_METHOD_PATCH, AGW_LENGTH_UNKNOWN);
    write_body(&seen[0], 1000, false);
    wait_for_close(&seen[0]);
    assert_int_equal(seen[0].status, 405);
    peer_turns(&rig.worker.loop, 5);
    assert_int_equal(agw_mcp_active(rig.worker.mcp), 0);
    assert_int_equal(rig.snap->private->pins[0].count, 0);
}

static void test_client_resets(void **state)
{
    open_request(&seen[0], AGW_METHOD_GET, 0);
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    agw_stream_reset(seen[0].s, AGW_ECANCELED);
    peer_expect_end(&backend);
    assert_int_equal(rig.snap->private->pins[0].count, 0);
}

/* What is sent twice to the backend was given back once to the client. */
static void test_retry_gives_back_once(void **state)
{
    struct peer second;
    open_request(&seen[0], AGW_METHOD_GET, 0);
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    wait_for_close(&seen[0]);
    open_request(&seen[1], AGW_METHOD_PUT, AGW_LENGTH_UNKNOWN);
    write_body(&seen[1], 30000, false);
    peer_expect(&backend, "PUT /x ");
    peer_expect_n(&backend, 30000);
    peer_close(&backend);
    rig_accept(&second);
    peer_expect(&second, "PUT /x ");
    peer_expect_n(&second, 30000);
    write_body(&seen[1], 200000, true); /* more than the window: it opens as the backend reads */
    peer_expect_n(&second, 230000);
    peer_say(&second, "HTTP/1.1 204 No Content\r\n\r\n");
    wait_for_close(&seen[1]);
    assert_int_equal(seen[1].status, 204);
    peer_close(&second);
}

/* Lets the exchange go on, whatever is left of it. */
static void play(struct seen *e)
{
    bool answered = false;
    for (int i = 0; i < 150 && e->closes == 0; i++) {
        agw_loop_turn(&rig.worker.loop, i > 50);
        int fd = backend.fd < 0 ? accept4(rig.listener, NULL, NULL, SOCK_NONBLOCK) : -1;
        if (fd >= 0)
            backend = (struct peer){.loop = &rig.worker.loop, .fd = fd};
        char some[4096];
        ssize_t k = backend.fd >= 0 ? recv(backend.fd, some, sizeof(some), MSG_DONTWAIT) : -1;
        static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nokokokoko";
        if (k > 0 && !answered && memmem(some, (size_t)k, "\r\n\r\n", 4)) {
            answered = true;
            k = send(backend.fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
        }
    }
}

static void test_out_of_memory(void **state)
{
    long n = 1, good = 0;
    for (bool reached = true; reached; n += n < 200 ? 1 : 3) {
        agw_client_free(client);
        client = agw_client_new(&rig.worker.loop, NULL, &agw_client_default_limits);
        failmalloc_at(n);
        open_request(&seen[0], AGW_METHOD_POST, AGW_LENGTH_UNKNOWN);
        write_body(&seen[0], 100, true);
        if (seen[0].s)
            play(&seen[0]);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        good += seen[0].closes == 1 && seen[0].code == 0 && seen[0].status == 200;
        peer_close(&backend);
        agw_client_free(client);
        client = agw_client_new(&rig.worker.loop, NULL, &agw_client_default_limits);
        agw_arena_free(&seen[0].arena);
        memset(&seen[0], 0, sizeof(seen[0]));
        peer_turns(&rig.worker.loop, 6);
        assert_int_equal(rig.worker.conn_count, 0);
        assert_int_equal(rig.snap->private->pins[0].count, 0);
        assert_int_equal(agw_client_stats(rig.worker.client)->open, 0);
        assert_true(n < 3000);
    }
    assert_true(n > 20);
    assert_true(good > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answer),
        TEST(test_backend_breaks_inside_the_answer),
        TEST(test_timeout_inside_the_answer),
        TEST(test_own_answer),
        TEST(test_early_mcp_answer),
        TEST(test_client_resets),
        TEST(test_retry_gives_back_once),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
