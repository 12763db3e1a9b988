/* Copies of requests: fed as the body comes, dropped when they lag or break, memory running out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "failmalloc.h"
#include "proxy/rig.h"

static struct peer client, backend, copy;
static int listener; /* where copies go */

static void never_freed(struct agw_shared *shared)
{
    fail_msg("it lives in the snapshot's arena");
}

static uint32_t add_backend(struct agw_arena *a, const struct agw_addr *addr)
{
    struct agw_endpoint *e = agw_arena_zalloc(a, sizeof(*e));
    const struct agw_endpoint **list = agw_arena_zalloc(a, sizeof(*list));
    struct agw_backend *b = agw_arena_zalloc(a, sizeof(*b));
    *e = (struct agw_endpoint){.addr = *addr, .http = AGW_UPSTREAM_HTTP1};
    assert_int_equal(agw_endpoint_key(e, AGW_STR(""), a), 0);
    list[0] = e;
    *b = (struct agw_backend){.kind = AGW_BACKEND_STATIC, .endpoints = list, .endpoint_count = 1};
    b->key = b->name = AGW_STR("ns/copy");
    b->id = rig.snap->backends.count;
    agw_shared_init(&b->shared, never_freed);
    assert_int_equal(agw_pmap_put(&rig.snap->backends, b->id, b, NULL), 0);
    return b->id;
}

static int set_up(void **state)
{
    static struct agw_mirror_ref ref = {.share = AGW_MIRROR_ALL};
    struct agw_addr addr;
    client = backend = copy = (struct peer){.fd = -1};
    int rc = rig_set_up(state);
    listener = peer_listen(&addr);
    ref.backend = add_backend(&rig.snap->arena, &addr);
    rig.route->mirrors = (struct agw_mirror_refs){&ref, 1};
    return rc;
}

static int tear_down(void **state)
{
    peer_close(&client);
    peer_close(&backend);
    peer_close(&copy);
    close(listener);
    peer_turns(&rig.worker.loop, 5);
    return rig_tear_down(state);
}

static void post(const char *rest)
{
    rig_connect(&client);
    peer_say(&client, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    peer_say(&client, rest);
    peer_accept(&copy, &rig.worker.loop, listener);
    rig_accept(&backend);
}

static void answer(struct peer *p)
{
    peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void test_body_in_pieces(void **state)
{
    post("body");
    peer_expect(&backend, "\r\n\r\nbody");
    peer_expect(&copy, "POST /x HTTP/1.1\r\n");
    peer_expect(&copy, "\r\n\r\nbody");
    peer_say(&client, "more");
    peer_expect(&copy, "more");
    peer_expect(&backend, "more");
    answer(&backend);
    peer_expect(&client, "\r\n\r\nok");
    peer_close(&client);
    peer_turns(&rig.worker.loop, 5);
    assert_int_equal(rig.worker.mirrors.count, 1); /* it outlives its request */
    answer(&copy);
    peer_turns(&rig.worker.loop, 5);
    assert_int_equal(rig.worker.mirrors.count, 0);
    assert_int_equal(rig.worker.mirrors.dropped, 0);
    assert_int_equal(agw_client_stats(rig.worker.client)->idle, 2);
}

static void test_copy_breaks_off(void **state)
{
    post("body");
    peer_reset(&copy);
    peer_turns(&rig.worker.loop, 5);
    assert_int_equal(rig.worker.mirrors.count, 0);
    assert_int_equal(rig.worker.mirrors.dropped, 1);
    peer_say(&client, "more");
    peer_expect(&backend, "bodymore");
    answer(&backend);
    peer_expect(&client, "\r\n\r\nok");
}

/* An answer before the end of the request: the rest is not sent. */
static void test_copy_is_answered_early(void **state)
{
    post("body");
    peer_expect(&copy, "body");
    answer(&copy);
    peer_expect_end(&copy);
    assert_int_equal(rig.worker.mirrors.count, 0);
    peer_say(&client, "more");
    peer_expect(&backend, "bodymore");
}

static void test_request_breaks_off(void **state)
{
    post("body");
    peer_expect(&copy, "body");
    peer_reset(&client);
    peer_expect_end(&copy);
    assert_int_equal(rig.worker.mirrors.count, 0);
}

/* The tear-down frees a worker whose copy is under way. */
static void test_stop(void **state)
{
    post("bodymore");
    peer_expect(&copy, "bodymore");
}

static void play(bool *ret_answered)
{
    struct peer *both[] = {&copy, &backend};
    for (int turn = 0; turn < 12; turn++) {
        char some[4096];
        for (int i = 0; i < 2; i++) {
            if (both[i]->fd < 0) {
                int fd = accept4(i ? rig.listener : listener, NULL, NULL, SOCK_NONBLOCK);
                *both[i] = (struct peer){.loop = &rig.worker.loop, .fd = fd};
            }
            ssize_t k = both[i]->fd < 0 ? -1 : recv(both[i]->fd, some, sizeof(some), MSG_DONTWAIT);
            if (k > 0 && memmem(some, (size_t)k, "more", 4))
                send(both[i]->fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38, MSG_NOSIGNAL);
        }
        agw_loop_turn(&rig.worker.loop, 1);
        ssize_t k = recv(client.fd, some, sizeof(some), MSG_DONTWAIT);
        if (k > 0 && memmem(some, (size_t)k, "HTTP/1.1 200", 12))
            *ret_answered = true;
    }
}

static void test_out_of_memory(void **state)
{
    unsigned served = 0;
    long n = 1;
    for (bool reached = true; reached; n++) {
        bool answered = false;
        rig_connect(&client);
        peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nbodymore");
        failmalloc_at(n);
        play(&answered);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        served += answered;
        peer_close(&client);
        peer_close(&backend);
        peer_close(&copy);
        peer_turns(&rig.worker.loop, 8);
        assert_int_equal(rig.worker.mirrors.count, 0);
        assert_int_equal(rig.snap->private->pins[0].count, 0);
        assert_int_equal(agw_client_stats(rig.worker.client)->open, 0);
        assert_true(n < 1000);
    }
    assert_true(n > 5);
    assert_true(served > 3); /* where only the copy lacked memory, the client has its answer */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_body_in_pieces),
        TEST(test_copy_breaks_off),
        TEST(test_copy_is_answered_early),
        TEST(test_request_breaks_off),
        TEST(test_stop),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
