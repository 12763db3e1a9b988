/* Retries by policy, move by move: what the backend hears again, when the client is answered, memory running
 * out, the end of the worker and of the client between two tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include "failmalloc.h"
#include "proxy/rig.h"

static struct peer client, backend;
static struct agw_retry retry;

static enum agw_verdict set_retry(const void *conf, struct agw_policy_ctx *ctx)
{
    ctx->retry = conf;
    return AGW_CONTINUE;
}

static int set_up(void **state)
{
    static const struct agw_policy_ops ops = {.kind = AGW_POLICY_RETRY, .request = set_retry};
    static const struct agw_policy_use use = {&ops, &retry};
    client = backend = (struct peer){.fd = -1};
    int rc = rig_set_up(state);
    retry = (struct agw_retry){.attempts = 2, .backoff_ms = 5};
    retry.codes[(503 - AGW_RETRY_CODE_MIN) / 64] |= 1ull << (503 - AGW_RETRY_CODE_MIN) % 64;
    rig.route->policies = (struct agw_policy_set){&use, 1};
    return rc;
}

static int tear_down(void **state)
{
    peer_close(&client);
    peer_close(&backend);
    peer_turns(&rig.worker.loop, 5);
    return rig_tear_down(state);
}

static void post(void)
{
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
}

/* The backend hears try |n| on a new connection. */
static void expect_try(const char *n)
{
    rig_accept(&backend);
    peer_expect(&backend, "POST / HTTP/1.1\r\n");
    if (*n) {
        peer_expect(&backend, "x-retry-attempt: ");
        peer_expect(&backend, n);
    }
    peer_expect(&backend, "\r\n\r\nbody");
}

static void refuse(void)
{
    peer_say(&backend, "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy");
    peer_expect_end(&backend);
    peer_close(&backend);
}

static void test_status_then_reset_then_answer(void **state)
{
    post();
    expect_try("");
    refuse();
    expect_try("1\r\n");
    peer_reset(&backend);
    expect_try("2\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "HTTP/1.1 200 OK\r\n");
    peer_expect(&client, "\r\n\r\nok");
    assert_int_equal(agw_client_stats(rig.worker.client)->idle, 1);
}

static void test_exhausted(void **state)
{
    post();
    expect_try("");
    for (const char *n = "12"; *n; n++) {
        refuse();
        expect_try((char[]){*n, 0});
    }
    peer_say(&backend, "HTTP/1.1 503 Busy\r\nX-Last: yes\r\nContent-Length: 4\r\n\r\nbusy");
    peer_expect(&client, "HTTP/1.1 503 Busy\r\n");
    peer_expect(&client, "x-last: yes\r\n");
    peer_expect(&client, "\r\n\r\nbusy");
}

/* An answer that is over in time leaves its connection to the next try. */
static void test_connection_is_kept(void **state)
{
    post();
    expect_try("");
    peer_say(&backend, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    peer_expect(&backend, "x-retry-attempt: 1\r\n");
    peer_expect(&backend, "\r\n\r\nbody");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "\r\n\r\nok");
    assert_int_equal(agw_client_stats(rig.worker.client)->connects, 1);
}

/* One that is not is broken off when the pause is over. */
static void test_endless_refusal(void **state)
{
    struct peer first;
    post();
    expect_try("");
    peer_say(&backend, "HTTP/1.1 503 Busy\r\nContent-Length: 99\r\n\r\nbusy");
    first = backend;
    expect_try("1\r\n");
    peer_expect_end(&first);
    peer_close(&first);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "\r\n\r\nok");
}

static void test_client_leaves_between_tries(void **state)
{
    retry.backoff_ms = 50;
    post();
    expect_try("");
    refuse();
    peer_close(&client);
    assert_int_equal(rig_conns(), 0);
    peer_sleep(&rig.worker.loop, 80);
    assert_false(peer_waits(&rig.worker.loop, rig.listener));
}

/* The tear-down ends the worker while the exchange pauses and an answer runs out. */
static void test_stop_between_tries(void **state)
{
    retry.backoff_ms = 10000;
    post();
    expect_try("");
    peer_say(&backend, "HTTP/1.1 503 Busy\r\nContent-Length: 99\r\n\r\nbusy");
    peer_turns(&rig.worker.loop, 5);
}

/* The backend refuses its first request and answers the second, as far as memory lets it come. */
static void play(bool *ret_answered)
{
    static const char *const answers[] = {"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};
    for (int turn = 0, said = 0; turn < 25; turn++) {
        char some[4096];
        int fd = accept4(rig.listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd >= 0) {
            peer_close(&backend);
            backend = (struct peer){.loop = &rig.worker.loop, .fd = fd};
        }
        ssize_t k = backend.fd >= 0 ? recv(backend.fd, some, sizeof(some), MSG_DONTWAIT) : -1;
        if (k > 0 && said < 2 && memmem(some, (size_t)k, "body", 4)) {
            send(backend.fd, answers[said], strlen(answers[said]), MSG_NOSIGNAL);
            said++;
        }
        agw_loop_turn(&rig.worker.loop, 1);
        k = recv(client.fd, some, sizeof(some), MSG_DONTWAIT);
        if (k > 0 && memmem(some, (size_t)k, "HTTP/1.1 200", 12))
            *ret_answered = true;
        if (k >= 0)
            return;
    }
}

static void test_out_of_memory(void **state)
{
    unsigned served = 0;
    long n = 1;
    for (bool reached = true; reached; n++) {
        bool answered = false;
        post();
        failmalloc_at(n);
        play(&answered);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        served += answered;
        peer_close(&client);
        peer_close(&backend);
        peer_turns(&rig.worker.loop, 8);
        assert_int_equal(rig.worker.conn_count, 0);
        assert_int_equal(rig.snap->private->pins[0].count, 0);
        assert_true(n < 1000);
    }
    assert_true(n > 3);
    assert_true(served > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_status_then_reset_then_answer),
        TEST(test_exhausted),
        TEST(test_connection_is_kept),
        TEST(test_endless_refusal),
        TEST(test_client_leaves_between_tries),
        TEST(test_stop_between_tries),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
