/* Several addresses for one name: RFC 8305. The name is "localhost": 127.0.0.1, then ::1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>
#include "client/client_int.h"
#include "failmalloc.h"
#include "net/peer.h"

enum { FILL = 8 };

static struct {
    struct agw_loop loop;
    struct agw_client_limits limits;
    struct agw_client *client;
    struct agw_dns *dns;
    struct agw_arena arena;
    struct agw_endpoint to;
    int v4, v6;
    int filler[FILL];
    int closes, code, heads;
    struct agw_addr peer;
} t;

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    t.heads++;
    t.peer = *agw_client_peer(s);
}

static void on_body(struct agw_stream *s, struct agw_chain *data) {}
static void on_end(struct agw_stream *s, struct agw_headers *trailers) {}
static void on_drain(struct agw_stream *s) {}

static void on_close(struct agw_stream *s, int code)
{
    t.closes++;
    t.code = code;
}

static const struct agw_stream_events events = {on_head, on_body, on_end, on_drain, on_close};

static int listen_v6(uint16_t port)
{
    struct agw_addr a;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    agw_addr_ip(AGW_STR("::1"), port, &a);
    if (fd < 0 || bind(fd, &a.u.sa, a.n) || listen(fd, 16)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int set_up(void **state)
{
    struct agw_error err;
    struct agw_addr a;
    memset(&t, 0, sizeof(t));
    t.limits = agw_client_default_limits;
    agw_loop_init(&t.loop, 0);
    agw_arena_init(&t.arena, 1024, 0);
    t.dns = agw_dns_new(&t.loop, &err);
    t.client = agw_client_new(&t.loop, t.dns, &t.limits);
    t.v4 = peer_listen(&a);
    t.to.port = agw_addr_port(&a);
    t.v6 = listen_v6(t.to.port);
    t.to.host = AGW_STR("localhost");
    return agw_endpoint_key(&t.to, AGW_STR(""), &t.arena);
}

static int tear_down(void **state)
{
    agw_client_free(t.client);
    agw_dns_free(t.dns);
    agw_arena_free(&t.arena);
    agw_loop_free(&t.loop);
    for (int i = 0; i < FILL; i++)
        if (t.filler[i] > 0)
            close(t.filler[i]);
    if (t.v4 >= 0)
        close(t.v4);
    if (t.v6 >= 0)
        close(t.v6);
    return 0;
}

/* Connections beyond what 127.0.0.1 takes wait for an answer that never comes. */
static void stall_v4(void)
{
    struct agw_addr a;
    agw_addr_ip(AGW_STR("127.0.0.1"), t.to.port, &a);
    assert_int_equal(listen(t.v4, 0), 0);
    for (int i = 0; i < FILL; i++) {
        t.filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(t.filler[i], &a.u.sa, a.n);
    }
}

static struct agw_stream *request(void)
{
    struct agw_msg m;
    struct agw_stream *s = agw_client_open(t.client, &t.to, &t.arena, &events, NULL);
    agw_msg_init(&m, &t.arena);
    m.method = AGW_METHOD_GET;
    m.authority = AGW_STR("a");
    m.path = AGW_STR("/");
    if (s)
        agw_stream_write_head(s, &m, true);
    return s;
}

static void answer(int listener)
{
    struct peer p;
    peer_accept(&p, &t.loop, listener);
    peer_expect(&p, "\r\n\r\n");
    peer_say(&p, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_turns(&t.loop, 5);
    peer_close(&p);
}

static const struct agw_pool *pool(void)
{
    return agw_map_get(&t.client->pools, t.to.key);
}

static void test_the_first_address_is_enough(void **state)
{
    request();
    answer(t.v4);
    assert_int_equal(t.heads, 1);
    assert_int_equal(t.peer.u.sa.sa_family, AF_INET);
    assert_int_equal(agw_client_stats(t.client)->connects, 1);
    peer_sleep(&t.loop, 300);
    if (t.v6 >= 0)
        assert_false(peer_waits(&t.loop, t.v6));
}

static void test_a_refusal_brings_the_next_at_once(void **state)
{
    if (t.v6 < 0)
        skip();
    close(t.v4);
    t.v4 = -1;
    uint64_t begun = t.loop.now_ms;
    request();
    answer(t.v6);
    assert_int_equal(t.heads, 1);
    assert_int_equal(t.peer.u.sa.sa_family, AF_INET6);
    assert_true(t.loop.now_ms - begun < 240);
    assert_int_equal(agw_client_stats(t.client)->connect_failures, 0);
}

static void test_a_stall_brings_the_next_soon(void **state)
{
    if (t.v6 < 0)
        skip();
    stall_v4();
    uint64_t begun = t.loop.now_ms;
    request();
    answer(t.v6);
    assert_int_equal(t.heads, 1);
    assert_int_equal(t.peer.u.sa.sa_family, AF_INET6);
    assert_in_range(t.loop.now_ms - begun, 240, 3000);
    assert_int_equal(pool()->dialing, 0);
}

static void test_all_refuse(void **state)
{
    if (t.v6 >= 0)
        close(t.v6);
    close(t.v4);
    t.v4 = t.v6 = -1;
    request();
    peer_turns(&t.loop, 20);
    assert_int_equal(t.closes, 1);
    assert_int_equal(t.code, AGW_EREFUSED);
    assert_int_equal(agw_client_stats(t.client)->connect_failures, 1);
}

/* One stalls and the other refuses: the first goes on until the endpoint's own deadline. */
static void test_the_endpoints_own_deadline(void **state)
{
    if (t.v6 >= 0)
        close(t.v6);
    t.v6 = -1;
    stall_v4();
    t.to.connect_ms = 400;
    assert_int_equal(agw_endpoint_key(&t.to, AGW_STR(""), &t.arena), 0);
    request();
    peer_sleep(&t.loop, 330);
    assert_int_equal(t.closes, 0);
    peer_sleep(&t.loop, 200);
    assert_int_equal(t.closes, 1);
    assert_int_equal(t.code, AGW_ETIMEOUT);
}

static void test_leaving_while_two_are_under_way(void **state)
{
    stall_v4();
    request();
    peer_sleep(&t.loop, 20);
    assert_int_equal(pool()->dialing, 1); /* tear_down ends them */
}

static void test_keepalive_tells_pools_apart(void **state)
{
    struct agw_str before = t.to.key;
    t.to.keepalive = (struct agw_keepalive){.on = true, .idle_s = 7, .interval_s = 3, .probes = 2};
    assert_int_equal(agw_endpoint_key(&t.to, AGW_STR(""), &t.arena), 0);
    assert_false(agw_str_eq(before, t.to.key));
    request();
    answer(t.v4);
    assert_int_equal(t.heads, 1);
}

static void test_out_of_memory(void **state)
{
    for (long n = 1; n < 200; n++) {
        t.closes = t.heads = 0;
        failmalloc_at(n);
        struct agw_stream *s = request();
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        if (s)
            peer_turns(&t.loop, 10);
        if (t.closes == 0 && s)
            agw_stream_reset(s, AGW_ECANCELED);
        agw_client_free(t.client);
        t.client = agw_client_new(&t.loop, t.dns, &t.limits);
        agw_endpoint_key(&t.to, AGW_STR(""), &t.arena);
        if (!reached)
            return;
    }
    fail();
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_address_is_enough),  TEST(test_a_refusal_brings_the_next_at_once),
        TEST(test_a_stall_brings_the_next_soon), TEST(test_all_refuse),
        TEST(test_the_endpoints_own_deadline),   TEST(test_leaving_while_two_are_under_way),
        TEST(test_keepalive_tells_pools_apart),  TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
