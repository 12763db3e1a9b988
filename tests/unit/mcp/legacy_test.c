/* Clients of HTTP+SSE: what is posted, here to the same worker, is answered on the stream; every way through
 * ends clean, also when memory runs out anywhere. */
#include "mcp/handler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "fake.h"
#include "failmalloc.h"
#include "mcp/exchange.h"

static const unsigned char key[32] = {1, 2, 3};

static struct agw_mcp *mcp;
static struct fake_down stream, post;
static bool stream_taken;
static char url[512];
static size_t heard; /* of stream.body */

#define JSON "application/json"
#define INIT                                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2024-11-"     \
    "05\",\"capabilities\":{}}}"
#define INITED                                                                                               \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2024-11-05\",\"capabilities\":{"        \
    "\"tools\":{}},\"serverInfo\":{}}}"
#define CALL "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}"
#define CALLED "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[]}}"
#define NOTICE "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}"
#define EVENT(text) "event: message\ndata: " text "\n\n"

static int group_setup(void **state)
{
    return agw_loop_init(&fake_loop, 0);
}

static int group_teardown(void **state)
{
    agw_loop_free(&fake_loop);
    return 0;
}

static int setup(void **state)
{
    fake_reset();
    mcp = agw_mcp_new(&fake_loop, NULL, NULL, key);
    return mcp ? 0 : -1;
}

static int teardown(void **state)
{
    fake_turn();
    fake_turn();
    for (unsigned i = 0; i < fake_up_count; i++)
        fake_break(&fake_ups[i], AGW_ERESET);
    fake_turn();
    assert_int_equal(agw_mcp_active(mcp), 0);
    agw_mcp_free(mcp);
    fake_turn();
    assert_int_equal(fake_loop.blocks.live, 0);
    return 0;
}

static void open_stream(void)
{
    fake_down_init(&stream);
    stream.req.path = AGW_STR("/sse");
    fake_request(mcp, &stream, &fake_backend, AGW_METHOD_GET, NULL, NULL);
    stream_taken = fake_taken;
    url[0] = 0;
    heard = 0;
    if (sscanf(stream.body, "event: endpoint\ndata: %500s\n\n", url + 4) == 1)
        memcpy(url, "/sse", 4);
    heard = stream.n;
}

static void say(const char *body)
{
    fake_down_init(&post);
    post.req.path = agw_str_c(url);
    fake_request(mcp, &post, &fake_backend, AGW_METHOD_POST, NULL, body);
    fake_turn();
    fake_turn();
}

static void sent(int status)
{
    assert_true(post.ended);
    assert_int_equal(post.status, status);
    fake_close(&post, 0);
    fake_turn();
    fake_down_free(&post);
}

static void hear(const char *text)
{
    fake_turn();
    assert_string_equal(stream.body + heard, text);
    heard = stream.n;
}

static void close_stream(void)
{
    fake_taken = stream_taken;
    fake_close(&stream, AGW_ERESET);
    fake_turn();
    fake_turn();
    fake_down_free(&stream);
}

/* fake_ups[0] is initialize. */
static void join(void)
{
    open_stream();
    assert_string_equal(stream.type, "text/event-stream");
    assert_true(url[0]);
    say(INIT);
    sent(202);
    assert_string_equal(fake_ups[0].body, INIT);
    assert_string_equal(fake_ups[0].extra, "mine");
    assert_string_equal(fake_ups[0].authorization, "");
    fake_answer(&fake_ups[0], 200, JSON, "s-one", INITED, true);
    hear(EVENT(INITED));
}

static struct fake_up *last(void)
{
    return &fake_ups[fake_up_count - 1];
}

static void answers_come_on_the_stream(void **state)
{
    join();
    say(CALL);
    sent(202);
    assert_string_equal(last()->session, "s-one");
    fake_answer(last(), 200, JSON, NULL, CALLED, true);
    hear(EVENT(CALLED));
    close_stream();
    assert_int_equal(last()->method, AGW_METHOD_DELETE);
    assert_string_equal(last()->session, "s-one");
    fake_answer(last(), 200, NULL, NULL, NULL, true);
}

static void events_of_a_call_keep_their_order(void **state)
{
    join();
    say(CALL);
    sent(202);
    fake_answer(last(), 200, "text/event-stream", NULL, "id: 7\ndata: " NOTICE "\n\ndata: " CALLED "\n\n",
                true);
    hear(EVENT(NOTICE) EVENT(CALLED));
    close_stream();
}

static void notifications_say_nothing(void **state)
{
    join();
    say("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    sent(202);
    fake_answer(last(), 202, NULL, NULL, NULL, true);
    hear("");
    close_stream();
}

static void errors_become_messages(void **state)
{
    join();
    say(CALL);
    sent(202);
    fake_answer(last(), 403, "text/plain", NULL, "no", true);
    hear(EVENT("{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32603,\"message\":\"HTTP error 403\"}}"));
    say(CALL);
    sent(202);
    fake_break(last(), AGW_EREFUSED);
    hear(
        EVENT("{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32603,\"message\":\"target one: connection "
              "refused\"}}"));
    say(CALL);
    sent(202);
    fake_answer(last(), 404, NULL, NULL, NULL, true);
    fake_answer(last(), 404, NULL, NULL, NULL, true); /* `initialize`, too */
    fake_turn();
    assert_true(stream.ended); /* a new stream makes a new session */
    close_stream();
}

static void what_a_target_says_comes_too(void **state)
{
    join();
    fake_turn();
    while (last()->method != AGW_METHOD_GET)
        agw_loop_turn(&fake_loop, 10);
    assert_string_equal(last()->session, "s-one");
    fake_answer(last(), 200, "text/event-stream", NULL, "data: " NOTICE "\n\n", false);
    hear(EVENT(NOTICE));
    close_stream();
}

static void posts_find_their_stream_or_nothing(void **state)
{
    char kept[sizeof url];
    join();
    snprintf(kept, sizeof kept, "%s", url);
    snprintf(url, sizeof url, "/sse");
    say(CALL);
    sent(400);
    snprintf(url, sizeof url, "/sse?sessionId=abc");
    say(CALL);
    sent(404);
    snprintf(url, sizeof url, "%s", kept);
    say("{");
    sent(400);
    close_stream();
    say(CALL);
    sent(404);
}

static void so_many_at_once(void **state)
{
    join();
    for (int i = 0; i < AGW_MCP_LEGACY_TURNS_MAX - 8; i++) { /* as many as there are fake targets */
        say(CALL);
        sent(202);
    }
    struct agw_mcp_exchange *x = stream.stream.owner;
    x->legacy->turns.count += 8;
    say(CALL);
    sent(429);
    x->legacy->turns.count -= 8;
    close_stream();
}

static void a_slow_client_slows_the_targets(void **state)
{
    join();
    say(CALL);
    sent(202);
    struct fake_up *up = last();
    stream.pending = AGW_STREAM_HIGH + 1;
    fake_answer(up, 200, "text/event-stream", NULL, "data: " NOTICE "\n\n", false);
    size_t paused = up->consumed;
    fake_more(up, "data: " NOTICE "\n\n");
    assert_int_equal(up->consumed, paused);
    stream.pending = 0;
    stream.stream.events->on_drain(&stream.stream);
    assert_true(up->consumed > paused);
    close_stream();
}

static void freed_while_it_runs(void **state)
{
    join();
    say(CALL);
    sent(202);
    agw_mcp_free(mcp);
    assert_true(stream.reset);
    fake_down_free(&stream);
    fake_turn();
    mcp = agw_mcp_new(&fake_loop, NULL, NULL, key);
}

/* --- out of memory --- */

static void walk_open(void)
{
    open_stream();
}

static void walk_post(void)
{
    say(CALL);
    if (fake_up_count > 1)
        fake_answer(last(), 200, "text/event-stream", NULL, "data: " NOTICE "\n\ndata: " CALLED "\n\n", true);
    fake_turn();
}

static void walk_error(void)
{
    say(CALL);
    if (fake_up_count > 1)
        fake_answer(last(), 403, JSON, NULL, "{}", true);
    fake_turn();
}

static void no_memory(void **state)
{
    static void (*const walks[])(void) = {walk_open, walk_post, walk_error};
    for (size_t i = 0; i < sizeof walks / sizeof walks[0]; i++) {
        for (long n = 1;; n++) {
            fake_reset();
            if (i > 0)
                join();
            fake_fail_from = n;
            walks[i]();
            bool reached = failmalloc_count() >= n;
            failmalloc_at(0);
            fake_fail_from = 0;
            fake_turn();
            if (i > 0) {
                fake_close(&post, 0);
                fake_turn();
                fake_down_free(&post);
            }
            close_stream();
            for (int k = 0; k < 3; k++) {
                for (unsigned j = 0; j < fake_up_count; j++)
                    fake_break(&fake_ups[j], AGW_ERESET);
                fake_turn();
            }
            assert_int_equal(agw_mcp_active(mcp), 0);
            if (!reached)
                break;
            assert_true(n < 2000);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_come_on_the_stream),
        TEST(events_of_a_call_keep_their_order),
        TEST(notifications_say_nothing),
        TEST(errors_become_messages),
        TEST(what_a_target_says_comes_too),
        TEST(posts_find_their_stream_or_nothing),
        TEST(so_many_at_once),
        TEST(a_slow_client_slows_the_targets),
        TEST(freed_while_it_runs),
        TEST(no_memory),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
