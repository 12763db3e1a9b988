/* The upstream HTTP/2 connection against a scripted server: frames written by hand, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "client/client.h"
#include "net/listen.h"

#define MAX 16

struct seen {
    struct agw_stream *s;
    struct agw_arena arena;
    int heads, status, ends, closes, code;
    size_t body;
    bool reused;
};

static struct {
    struct agw_loop loop;
    struct agw_client *client;
    struct agw_endpoint to;
    struct agw_arena arena;
    int listener, fd; /* fd: the server's end, -1 before it accepted */
    struct seen up[MAX];
    unsigned n;
    unsigned char got[65536]; /* what the client sent on fd */
    size_t got_n;
} t;

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct seen *e = s->owner;
    e->heads++;
    e->status = msg->status;
    e->reused = agw_client_reused(s);
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct seen *e = s->owner;
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
    struct agw_addr any;
    memset(&t, 0, sizeof(t));
    t.fd = -1;
    assert_int_equal(agw_loop_init(&t.loop, 0), 0);
    agw_arena_init(&t.arena, 1024, 0);
    agw_addr_ip(AGW_STR("127.0.0.1"), 0, &any);
    t.listener = agw_listen_socket(&any, NULL);
    assert_true(t.listener >= 0);
    t.to.addr.n = sizeof(t.to.addr.u);
    getsockname(t.listener, &t.to.addr.u.sa, &t.to.addr.n);
    t.client = agw_client_new(&t.loop, NULL, &agw_client_default_limits);
    t.to.http = AGW_UPSTREAM_HTTP2;
    assert_int_equal(agw_endpoint_key(&t.to, AGW_STR(""), &t.arena), 0);
    return 0;
}

static void turns(int n)
{
    for (int i = 0; i < n; i++)
        agw_loop_turn(&t.loop, 1);
}

static int tear_down(void **state)
{
    agw_client_free(t.client);
    turns(2);
    if (t.fd >= 0)
        close(t.fd);
    close(t.listener);
    for (unsigned i = 0; i < t.n; i++)
        agw_arena_free(&t.up[i].arena);
    agw_arena_free(&t.arena);
    assert_in_range(t.loop.blocks.live, 0, 1);
    agw_loop_free(&t.loop);
    return 0;
}

static struct seen *request(bool end)
{
    struct seen *e = &t.up[t.n++];
    struct agw_msg m;
    agw_arena_init(&e->arena, 1024, 0);
    e->s = agw_client_open(t.client, &t.to, &e->arena, &events, e);
    assert_non_null(e->s);
    agw_msg_init(&m, &e->arena);
    m.method = end ? AGW_METHOD_GET : AGW_METHOD_POST;
    m.method_text = agw_method_name(m.method);
    m.scheme = AGW_STR("http");
    m.authority = AGW_STR("a");
    m.path = AGW_STR("/");
    m.length = AGW_LENGTH_UNKNOWN;
    assert_int_equal(agw_stream_write_head(e->s, &m, end), 0);
    return e;
}

static void accept_conn(void)
{
    t.fd = -1;
    t.got_n = 0;
    for (int i = 0; i < 500 && t.fd < 0; i++) {
        turns(1);
        t.fd = accept4(t.listener, NULL, NULL, SOCK_NONBLOCK);
    }
    assert_true(t.fd >= 0);
}

#define SEND(literal)                                                                                        \
    do {                                                                                                     \
        static const char bytes[] = literal;                                                                 \
        assert_int_equal(write(t.fd, bytes, sizeof(bytes) - 1), (ssize_t)sizeof(bytes) - 1);                 \
        turns(10);                                                                                           \
    } while (0)

#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define OK(id) "\0\0\1\1\5\0\0\0" id "\x88"

/* How many frames of |type| the client has sent. */
static int frames(uint8_t type)
{
    ssize_t n = read(t.fd, t.got + t.got_n, sizeof(t.got) - t.got_n);
    int count = 0;
    t.got_n += n > 0 ? (size_t)n : 0;
    for (size_t at = 24; at + 9 <= t.got_n;) {
        const unsigned char *f = t.got + at;
        count += f[3] == type;
        at += 9 + ((size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2]);
    }
    return count;
}

static void test_ok(void **state)
{
    struct seen *a = request(true);
    accept_conn();
    turns(5);
    assert_int_equal(frames(1), 1);
    assert_memory_equal(t.got, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    SEND(SETTINGS OK("\1"));
    assert_int_equal(a->status, 200);
    assert_int_equal(a->closes, 1);
    assert_int_equal(a->code, 0);
    struct seen *b = request(true);
    turns(5);
    SEND("\0\0\1\1\4\0\0\0\3\x88\0\0\2\0\1\0\0\0\3hi");
    assert_int_equal(b->body, 2);
    assert_int_equal(b->ends, 1);
    assert_true(b->reused);
    assert_false(a->reused);
}

static void test_peers_stream_limit(void **state)
{
    struct seen *a = request(true);
    accept_conn();
    SEND("\0\0\6\4\0\0\0\0\0\0\3\0\0\0\1"); /* MAX_CONCURRENT_STREAMS 1 */
    assert_int_equal(frames(1), 1);
    struct seen *b = request(true); /* needs a connection of its own */
    int first = t.fd;
    accept_conn();
    turns(5);
    assert_int_equal(frames(1), 1);
    SEND(SETTINGS OK("\1"));
    assert_int_equal(b->closes, 1);
    assert_int_equal(a->closes, 0);
    close(t.fd);
    t.fd = first;
    SEND(OK("\1"));
    assert_int_equal(a->code, 0);
    assert_int_equal(a->closes, 1);
}

static void test_refused(void **state)
{
    struct seen *a = request(true);
    accept_conn();
    SEND(SETTINGS "\0\0\4\3\0\0\0\0\1\0\0\0\7");
    assert_int_equal(a->closes, 1);
    assert_int_equal(a->code, AGW_EREFUSED);
}

static void test_goaway(void **state)
{
    struct seen *a = request(true), *b = request(true);
    accept_conn();
    turns(5);
    SEND(SETTINGS "\0\0\x8\7\0\0\0\0\0\0\0\0\1\0\0\0\0"); /* the first is still answered */
    assert_int_equal(b->closes, 1);
    assert_int_equal(b->code, AGW_EREFUSED);
    assert_int_equal(a->closes, 0);
    int first = t.fd;
    struct seen *c = request(true);
    accept_conn();
    SEND(SETTINGS OK("\1"));
    assert_int_equal(c->code, 0);
    assert_int_equal(c->closes, 1);
    close(t.fd);
    t.fd = first;
    SEND(OK("\1"));
    assert_int_equal(a->closes, 1);
    assert_int_equal(a->code, 0);
    char end;
    assert_true(read(t.fd, t.got, sizeof(t.got)) >= 0);
    assert_true(read(t.fd, &end, 1) <= 0); /* it closed after the last */
    assert_int_not_equal(errno, EAGAIN);
}

static void test_connection_lost(void **state)
{
    struct seen *a = request(true);
    accept_conn();
    SEND(SETTINGS OK("\1"));
    assert_int_equal(a->code, 0);
    struct seen *b = request(true), *c = request(true);
    turns(5);
    SEND("\0\0\1\1\4\0\0\0\5\x88"); /* c has its head */
    close(t.fd);
    t.fd = -1;
    turns(10);
    assert_int_equal(b->closes, 1);
    assert_int_equal(b->code, AGW_ECLOSED);
    assert_int_equal(c->closes, 1);
    assert_int_equal(c->code, AGW_ERESET);
    assert_int_equal(agw_client_stats(t.client)->open, 0);
}

static void test_not_http2(void **state)
{
    struct seen *a = request(true);
    accept_conn();
    SEND("HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_int_equal(a->closes, 1);
    assert_int_equal(a->code, AGW_EPROTO);
}

/* The answer came in full before the request's end: no failure, the rest is not wanted. */
static void test_early_answer(void **state)
{
    struct seen *a = request(false);
    accept_conn();
    turns(5);
    SEND(SETTINGS "\0\0\1\1\5\0\0\0\1\x88\0\0\4\3\0\0\0\0\1\0\0\0\0");
    assert_int_equal(a->heads, 1);
    assert_int_equal(a->closes, 1);
    assert_int_equal(a->code, 0);
}

static void test_reset_waiting(void **state)
{
    struct seen *a = request(true);
    agw_stream_reset(a->s, AGW_ECANCELED);
    accept_conn();
    turns(5);
    SEND(SETTINGS);
    assert_int_equal(frames(1), 0);
    assert_int_equal(a->closes, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_ok),           T(test_peers_stream_limit), T(test_refused),       T(test_goaway),
        T(test_early_answer), T(test_connection_lost),    T(test_reset_waiting), T(test_not_http2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
