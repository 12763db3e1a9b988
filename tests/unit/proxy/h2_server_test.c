/* The downstream HTTP/2 connection with the upstream one (lib/client) at its other end, over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "client/client.h"
#include "net/listen.h"
#include "proxy/server/h2_server.h"

#define MAX 128

/* One side of an exchange, as its owner saw it. */
struct seen {
    struct agw_stream *s; /* NULL when over */
    struct agw_arena arena;
    int heads, status, ends, closes, code, drains;
    bool head_end;
    size_t body;
    uint32_t trailers;
    struct agw_str path;
};

static struct {
    struct agw_loop loop;
    struct agw_listen listen;
    struct agw_client *client;
    struct agw_endpoint to;
    struct agw_arena arena;
    struct agw_server_conn *conn; /* the last accepted */
    int accepted, closed, refused;
    struct seen server[MAX], up[MAX];
    unsigned server_n, up_n;
    bool hold; /* the server does not consume */
    enum { MANUAL, ANSWER, ECHO } mode;
} t;

static struct agw_server_limits limits = {.idle_ms = 60000, .head_ms = 60000, .stall_ms = 60000};

/* --- both sides' events --- */

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct seen *e = s->owner;
    e->heads++;
    e->status = msg->status;
    e->head_end = end;
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct seen *e = s->owner;
    size_t n = data->bytes;
    bool server = e >= t.server && e < t.server + MAX;
    e->body += n;
    if (server && t.mode == ECHO)
        agw_stream_write_body(s, data);
    if (!server || !t.hold)
        agw_stream_consume(s, n);
}

static void answer(struct seen *e, size_t n)
{
    struct agw_msg m;
    struct agw_chain c;
    struct agw_block *b = agw_block_new(n + 1);
    agw_msg_init(&m, e->s->arena);
    agw_chain_init(&c);
    m.status = 200;
    m.length = (int64_t)n;
    memset(b->data, 'x', n);
    b->len = (uint32_t)n;
    assert_int_equal(agw_stream_write_head(e->s, &m, n == 0), 0);
    if (n > 0) {
        agw_chain_add(&c, b, b->data, n);
        assert_int_equal(agw_stream_write_body(e->s, &c), 0);
        agw_headers_add(&m.headers, AGW_HDR_OTHER, AGW_STR("x-sum"), AGW_STR("1"));
        assert_int_equal(agw_stream_write_end(e->s, &m.headers), 0);
    }
    agw_block_unref(b);
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    struct seen *e = s->owner;
    e->ends++;
    e->trailers = trailers ? trailers->n : 0;
    if (e < t.server || e >= t.server + MAX)
        return;
    if (t.mode == ECHO)
        agw_stream_write_end(s, NULL);
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
    e->s = NULL;
}

static const struct agw_stream_events stream_events = {on_head, on_body, on_end, on_drain, on_close};

/* --- the server --- */

static void on_request(struct agw_server_conn *c, struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct seen *e = &t.server[t.server_n++ % MAX];
    memset(e, 0, sizeof(*e));
    e->s = s;
    e->path = msg->path;
    s->owner = e;
    s->events = &stream_events;
    assert_true(agw_str_eq(msg->scheme, AGW_STR("http")));
    on_head(s, msg, end);
    if (t.mode == ANSWER) {
        answer(e, 1000);
    } else if (t.mode == ECHO) {
        struct agw_msg m;
        agw_msg_init(&m, s->arena);
        m.status = 200;
        m.length = AGW_LENGTH_UNKNOWN;
        agw_stream_write_head(s, &m, end);
    }
}

static void on_refused(struct agw_server_conn *c, int status, const char *reason)
{
    assert_int_equal(status, 400);
    assert_non_null(reason);
    t.refused++;
}

static void on_closed(struct agw_server_conn *c)
{
    t.closed++;
    if (t.conn == c)
        t.conn = NULL;
    free(c);
}

static const struct agw_server_handler handler = {on_request, on_refused, on_closed};

static void on_ready(struct agw_conn *conn)
{
    struct agw_input in;
    agw_input_init(&in);
    assert_int_equal(agw_h2_server_start(conn->user, &in), 0);
}

static void on_failed(struct agw_conn *conn, int code, const char *reason)
{
    fail();
}

static void on_nothing(struct agw_conn *conn) {}

static const struct agw_conn_events accept_events = {on_ready, on_failed, on_nothing, on_nothing};

static void on_timer(struct agw_timer *timer) {}

static void on_accept(struct agw_listen *l, int fd, const struct agw_addr *peer)
{
    struct agw_server_conn *c = calloc(1, sizeof(*c));
    c->handler = &handler;
    c->limits = &limits;
    agw_list_init(&c->node);
    agw_timer_init(&c->timer, on_timer);
    assert_int_equal(agw_conn_accept(&c->conn, l->loop, fd, peer, &accept_events), 0);
    c->conn.user = c;
    agw_conn_start(&c->conn);
    t.conn = c;
    t.accepted++;
}

static int set_up(void **state)
{
    struct agw_addr any;
    memset(&t, 0, sizeof(t));
    limits = (struct agw_server_limits){.idle_ms = 60000, .head_ms = 60000, .stall_ms = 60000};
    assert_int_equal(agw_loop_init(&t.loop, 0), 0);
    agw_arena_init(&t.arena, 1024, 0);
    agw_addr_ip(AGW_STR("127.0.0.1"), 0, &any);
    int fd = agw_listen_socket(&any, NULL);
    assert_true(fd >= 0);
    assert_int_equal(agw_listen_start(&t.listen, &t.loop, fd, on_accept), 0);
    t.client = agw_client_new(&t.loop, NULL, &agw_client_default_limits);
    t.to.addr = t.listen.addr;
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
    turns(5);
    if (t.conn)
        agw_server_conn_destroy(t.conn);
    agw_listen_stop(&t.listen);
    turns(1);
    for (unsigned i = 0; i < t.up_n; i++)
        agw_arena_free(&t.up[i].arena);
    agw_arena_free(&t.arena);
    assert_in_range(t.loop.blocks.live, 0, 1); /* the one that connections read into */
    agw_loop_free(&t.loop);
    return 0;
}

static void request(struct agw_msg *m, struct agw_arena *a, enum agw_method method, const char *path)
{
    agw_msg_init(m, a);
    m->method = method;
    m->method_text = agw_method_name(method);
    m->scheme = AGW_STR("http");
    m->authority = AGW_STR("a.example");
    m->path = agw_str_c(path);
    m->length = AGW_LENGTH_UNKNOWN;
}

static struct seen *open_up(const char *path, bool end)
{
    struct seen *e = &t.up[t.up_n++];
    struct agw_msg m;
    agw_arena_init(&e->arena, 1024, 0);
    e->s = agw_client_open(t.client, &t.to, &e->arena, &stream_events, e);
    assert_non_null(e->s);
    request(&m, &e->arena, end ? AGW_METHOD_GET : AGW_METHOD_POST, path);
    assert_int_equal(agw_stream_write_head(e->s, &m, end), 0);
    return e;
}

static void send_body(struct seen *e, size_t n)
{
    struct agw_chain c;
    struct agw_block *b = agw_block_new(n);
    agw_chain_init(&c);
    memset(b->data, 'y', n);
    b->len = (uint32_t)n;
    agw_chain_add(&c, b, b->data, n);
    agw_block_unref(b);
    assert_int_equal(agw_stream_write_body(e->s, &c), 0);
    assert_int_equal(c.bytes, 0);
}

static void until(const int *what, int value)
{
    for (int i = 0; i < 2000 && *what != value; i++)
        agw_loop_turn(&t.loop, 5);
    assert_int_equal(*what, value);
}

/* --- tests --- */

static void test_many_on_one_connection(void **state)
{
    t.mode = ANSWER;
    for (int i = 0; i < 100; i++)
        open_up("/x", true);
    for (int i = 0; i < 100; i++) {
        until(&t.up[i].closes, 1);
        assert_int_equal(t.up[i].code, 0);
        assert_int_equal(t.up[i].status, 200);
        assert_int_equal(t.up[i].body, 1000);
        assert_int_equal(t.up[i].trailers, 1);
        assert_int_equal(t.server[i].closes, 1);
        assert_int_equal(t.server[i].code, 0);
    }
    assert_int_equal(t.accepted, 1);
    assert_int_equal(agw_client_stats(t.client)->connects, 1);
}

static void test_echo_with_back_pressure(void **state)
{
    t.mode = ECHO;
    t.hold = true;
    struct seen *e = open_up("/e", false);
    until(&e->heads, 1);
    for (int i = 0; i < 10; i++)
        send_body(e, 100000);
    turns(20);
    assert_int_equal(t.server[0].body, AGW_STREAM_WINDOW);
    assert_true(agw_stream_pending(e->s) > AGW_STREAM_HIGH);
    assert_int_equal(e->drains, 0);
    t.hold = false;
    agw_stream_consume(t.server[0].s, AGW_STREAM_WINDOW);
    until(&e->drains, 1);
    assert_int_equal(agw_stream_write_end(e->s, NULL), 0);
    until(&e->closes, 1);
    assert_int_equal(e->body, 1000000);
    assert_int_equal(e->code, 0);
}

static void test_server_resets(void **state)
{
    struct seen *e = open_up("/", true);
    until(&t.server[0].heads, 1);
    agw_stream_reset(t.server[0].s, AGW_EIO);
    until(&e->closes, 1);
    assert_int_equal(e->code, AGW_ERESET);
    assert_int_equal(t.server[0].closes, 0);
}

static void test_client_resets(void **state)
{
    struct seen *e = open_up("/", false);
    until(&t.server[0].heads, 1);
    agw_stream_reset(e->s, AGW_ECANCELED);
    until(&t.server[0].closes, 1);
    assert_int_equal(t.server[0].code, AGW_ERESET);
    assert_int_equal(e->closes, 0);
}

static void test_detach_early(void **state)
{
    struct seen *e = open_up("/", false);
    send_body(e, 1000);
    until(&t.server[0].heads, 1);
    answer(&t.server[0], 40000);
    agw_stream_detach(t.server[0].s);
    until(&e->closes, 1);
    assert_int_equal(e->code, 0);
    assert_int_equal(e->body, 40000);
}

/* A call that cannot be obeyed is an error to the caller, and on_close follows. */
static void test_failed_call(void **state)
{
    struct seen *e = open_up("/", true);
    until(&t.server[0].heads, 1);
    answer(&t.server[0], 10);
    struct agw_msg m;
    agw_msg_init(&m, t.server[0].s->arena);
    m.status = 200;
    assert_true(agw_stream_write_head(t.server[0].s, &m, true) < 0);
    assert_true(agw_stream_write_end(t.server[0].s, NULL) < 0);
    assert_int_equal(agw_stream_pending(t.server[0].s), 0);
    assert_int_equal(t.server[0].closes, 0);
    until(&t.server[0].closes, 1);
    assert_int_equal(t.server[0].code, AGW_ECLOSED);
    until(&e->closes, 1);
}

static void test_drain(void **state)
{
    struct seen *e = open_up("/", true);
    until(&t.server[0].heads, 1);
    agw_server_conn_drain(t.conn);
    agw_server_conn_drain(t.conn);
    turns(20);
    assert_int_equal(t.closed, 0);
    struct seen *other = open_up("/2", true); /* goes to a new connection */
    until(&t.accepted, 2);
    answer(&t.server[0], 5);
    until(&e->closes, 1);
    assert_int_equal(e->code, 0);
    until(&t.closed, 1);
    turns(20);
    assert_int_equal(t.server_n, 2);
    answer(&t.server[1], 5);
    until(&other->closes, 1);
    assert_int_equal(other->code, 0);
}

static void test_idle_closes(void **state)
{
    limits.idle_ms = 40;
    t.mode = ANSWER;
    struct seen *e = open_up("/", true);
    until(&e->closes, 1);
    assert_int_equal(t.closed, 0);
    until(&t.closed, 1);
    turns(5);
    assert_int_equal(agw_client_stats(t.client)->open, 0);
    e = open_up("/", true);
    until(&e->closes, 1);
    assert_int_equal(e->code, 0);
    until(&t.closed, 2);
}

static void test_destroy(void **state)
{
    struct seen *e = open_up("/", true);
    until(&t.server[0].heads, 1);
    agw_server_conn_destroy(t.conn);
    assert_int_equal(t.server[0].closes, 1);
    assert_int_equal(t.server[0].code, AGW_ECANCELED);
    assert_int_equal(t.closed, 1);
    until(&e->closes, 1);
    assert_int_equal(e->code, AGW_ERESET); /* a fresh connection: not safe to repeat */
}

static void test_reused_connection_dies(void **state)
{
    t.mode = ANSWER;
    struct seen *e = open_up("/", true);
    until(&e->closes, 1);
    t.mode = MANUAL;
    e = open_up("/", true);
    until(&t.server[1].heads, 1);
    agw_server_conn_destroy(t.conn);
    until(&e->closes, 1);
    assert_int_equal(e->code, AGW_ECLOSED);
    assert_true(t.accepted == 1);
}

static int plain_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fd, &t.listen.addr.u.sa, t.listen.addr.n);
    return fd;
}

static void test_bad_request(void **state)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const unsigned char head[] = {
        0,    0,    14,   1, 5, 0,   0, 0, 1, /* HEADERS: GET / of a, but host: b */
        0x82, 0x86, 0x84, 1, 1, 'a', 0, 4, 'h', 'o', 's', 't', 1, 'b'};
    int fd = plain_socket();
    turns(5);
    assert_int_equal(write(fd, start, sizeof(start) - 1), (ssize_t)sizeof(start) - 1);
    assert_int_equal(write(fd, head, sizeof(head)), (ssize_t)sizeof(head));
    until(&t.refused, 1);
    assert_int_equal(t.server_n, 0);
    close(fd);
    until(&t.closed, 1);
}

static void test_not_http2(void **state)
{
    int fd = plain_socket();
    turns(5);
    assert_int_equal(write(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27), 27);
    until(&t.closed, 1);
    close(fd);
}

/* A peer that asks for much and reads nothing is dropped, and costs little meanwhile. */
static void test_slow_reader(void **state)
{
    limits.stall_ms = 50;
    t.mode = MANUAL;
    int fd = plain_socket();
    turns(5);
    static const unsigned char start[] =
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\6\4\0\0\0\0\0\0\4\x7f\xff\xff\xff"
        "\0\0\4\10\0\0\0\0\0\x7f\0\0\0"
        "\0\0\6\1\5\0\0\0\1\x82\x86\x84\1\1a";
    assert_int_equal(write(fd, start, sizeof(start) - 1), (ssize_t)sizeof(start) - 1);
    until(&t.server[0].heads, 1);
    struct agw_msg m;
    agw_msg_init(&m, t.server[0].s->arena);
    m.status = 200;
    m.length = AGW_LENGTH_UNKNOWN;
    agw_stream_write_head(t.server[0].s, &m, false);
    for (int i = 0; i < 2000 && t.server[0].s && agw_stream_pending(t.server[0].s) < AGW_STREAM_HIGH; i++) {
        send_body(&t.server[0], 60000);
        turns(1);
    }
    until(&t.server[0].closes, 1);
    assert_int_equal(t.server[0].code, AGW_ETIMEOUT);
    until(&t.closed, 1);
    close(fd);
}

#define START "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
/* POST / of host a, whose body is to come; with content-type: application/grpc */
#define POST "\0\0\6\1\4\0\0\0\1\x83\x86\x84\1\1a"
#define POST_GRPC                                                                                            \
    "\0\0\31\1\4\0\0\0\1\x83\x86\x84\1\1a\x0f\x10\x10"                                                       \
    "application/grpc"
#define BYTE "\0\0\1\0\0\0\0\0\1x"

static int raw_client(const char *bytes, size_t n)
{
    int fd = plain_socket();
    turns(5);
    assert_int_equal(write(fd, START, sizeof(START) - 1), (ssize_t)sizeof(START) - 1);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    return fd;
}

static void test_slow_body(void **state)
{
    limits.body_ms = 100;
    limits.body_rate = 200;
    int fd = raw_client(POST, sizeof(POST) - 1), said = 0;
    until(&t.server[0].heads, 1);
    for (; said < 100 && !t.server[0].closes; said++) {
        assert_int_equal(write(fd, BYTE, sizeof(BYTE) - 1), (ssize_t)sizeof(BYTE) - 1);
        for (uint64_t end = t.loop.now_ms + 10; t.loop.now_ms < end;)
            turns(1);
    }
    assert_in_range(said, 11, 50);
    assert_int_equal(t.server[0].code, AGW_ETIMEOUT);
    assert_int_equal(t.closed, 0); /* the stream alone */
    close(fd);
    until(&t.closed, 1);
}

static void test_body_of_grpc_may_be_silent(void **state)
{
    limits.body_ms = 20;
    limits.body_rate = 200;
    int fd = raw_client(POST_GRPC, sizeof(POST_GRPC) - 1);
    until(&t.server[0].heads, 1);
    turns(150);
    assert_int_equal(t.server[0].closes, 0);
    close(fd);
    until(&t.closed, 1);
}

static void test_slow_answer_is_no_slow_body(void **state)
{
    limits.body_ms = 20;
    limits.body_rate = 200;
    int fd = raw_client(POST BYTE, sizeof(POST BYTE) - 1);
    until(&t.server[0].heads, 1);
    struct agw_msg m;
    agw_msg_init(&m, t.server[0].s->arena);
    m.status = 200;
    m.length = AGW_LENGTH_UNKNOWN;
    agw_stream_write_head(t.server[0].s, &m, false);
    turns(150);
    assert_int_equal(t.server[0].closes, 0);
    close(fd);
    until(&t.closed, 1);
}

static void test_slow_head(void **state)
{
    limits.head_ms = 30;
    int fd = raw_client(POST, sizeof(POST) - 3);
    until(&t.closed, 1);
    assert_int_equal(t.server_n, 0);
    close(fd);
}

static void test_silent_peer_is_asked_for_life(void **state)
{
    char seen[512];
    limits.ping_ms = limits.pong_ms = 30;
    int fd = raw_client(POST, sizeof(POST) - 1);
    until(&t.closed, 1);
    assert_int_equal(t.server[0].code, AGW_ETIMEOUT);
    ssize_t n = read(fd, seen, sizeof(seen));
    assert_non_null(memmem(seen, n > 0 ? (size_t)n : 0, "\0\0\10\6\0\0\0\0\0", 9));
    close(fd);
    struct seen *e = open_up("/", true); /* our own client answers */
    until(&t.server[1].heads, 1);
    turns(200);
    assert_int_equal(e->closes, 0);
    answer(&t.server[1], 5);
    until(&e->closes, 1);
    assert_int_equal(e->code, 0);
}

static void test_old_connection_finishes(void **state)
{
    struct seen *e = open_up("/", true);
    until(&t.server[0].heads, 1);
    limits.stall_ms = 20; /* the next look */
    t.conn->expires_ms = t.loop.now_ms + 20;
    agw_timer_set(&t.loop.timers, &t.conn->timer, t.loop.now_ms + 20);
    turns(100);
    assert_int_equal(e->closes, 0);
    answer(&t.server[0], 5);
    until(&e->closes, 1);
    assert_int_equal(e->code, 0);
    until(&t.closed, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_many_on_one_connection),
        T(test_echo_with_back_pressure),
        T(test_server_resets),
        T(test_client_resets),
        T(test_detach_early),
        T(test_failed_call),
        T(test_drain),
        T(test_idle_closes),
        T(test_destroy),
        T(test_reused_connection_dies),
        T(test_bad_request),
        T(test_not_http2),
        T(test_slow_reader),
        T(test_slow_body),
        T(test_body_of_grpc_may_be_silent),
        T(test_slow_answer_is_no_slow_body),
        T(test_slow_head),
        T(test_silent_peer_is_asked_for_life),
        T(test_old_connection_finishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
