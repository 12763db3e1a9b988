/* The endpoint over a target of HTTP+SSE: one stream, messages by POST; every way through ends clean, also
 * when memory runs out anywhere. */
#include "mcp/handler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "fake.h"
#include "failmalloc.h"
#include "mcp/exchange.h"
#include "mcp/transport/link.h"

static struct agw_endpoint endpoint = {.key = {"old", 3}, .host = {"h1", 2}, .port = 81};
static const struct agw_endpoint *first[] = {&endpoint};
static struct agw_backend place = {
    .key = {"ns/old", 6}, .kind = AGW_BACKEND_STATIC, .endpoints = first, .endpoint_count = 1};
static struct agw_mcp_target target = {{"old", 3}, &place, {"/a/sse", 6}, AGW_MCP_SSE};
static struct agw_mcp_backend conf = {.targets = &target, .count = 1};
static const struct agw_backend backend = {
    .key = {"ns/tools", 8}, .name = {"ns/tools", 8}, .kind = AGW_BACKEND_MCP, .mcp = &conf};
static const unsigned char key[32] = {1, 2, 3};

static struct agw_mcp *mcp;
static struct fake_down down;
static char session[1024];

#define SSE "text/event-stream"
#define INIT                                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2024-11-"     \
    "05\",\"capabilities\":{}}}"
#define INITED                                                                                               \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2024-11-05\",\"capabilities\":{"        \
    "\"tools\":{}},\"serverInfo\":{}}}"
#define CALL                                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"t\",\"_meta\":{"         \
    "\"progressToken\":7}}}"
#define CALLED "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[]}}"
#define PROGRESS                                                                                             \
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":7}}"
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
    session[0] = 0;
    return mcp ? 0 : -1;
}

static int teardown(void **state)
{
    fake_turn();
    fake_turn();
    assert_int_equal(agw_mcp_active(mcp), 0);
    agw_mcp_free(mcp);
    fake_turn();
    assert_int_equal(fake_loop.blocks.live, 0);
    return 0;
}

static void ask(enum agw_method method, const char *body)
{
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, method, session, body);
    fake_turn();
}

static void finish(void)
{
    fake_turn();
    fake_close(&down, 0);
    fake_turn();
    assert_true(down.done || !fake_taken);
    fake_down_free(&down);
}

/* fake_ups[0] is the stream from now on. */
static void join(void)
{
    ask(AGW_METHOD_POST, INIT);
    assert_int_equal(fake_up_count, 1);
    fake_answer(&fake_ups[0], 200, SSE, NULL, "event: endpoint\ndata: messages?s=1\n\n", false);
    assert_int_equal(fake_up_count, 2);
    fake_answer(&fake_ups[1], 202, NULL, NULL, NULL, true);
    fake_more(&fake_ups[0], EVENT(INITED));
    fake_turn();
    assert_int_equal(down.status, 200);
    assert_string_equal(down.body, INITED);
    snprintf(session, sizeof session, "%s", down.session);
    finish();
}

static void a_session_is_one_stream(void **state)
{
    join();
    assert_int_equal(fake_ups[0].method, AGW_METHOD_GET);
    assert_string_equal(fake_ups[0].accept, SSE);
    assert_string_equal(fake_ups[0].extra, "mine");
    assert_string_equal(fake_ups[0].authorization, "");
    assert_int_equal(fake_ups[1].method, AGW_METHOD_POST);
    assert_string_equal(fake_ups[1].body, INIT);
    ask(AGW_METHOD_POST, CALL);
    assert_int_equal(fake_up_count, 3);
    assert_string_equal(fake_ups[2].session, "");
    fake_more(&fake_ups[0], EVENT(CALLED)); /* before the POST is answered */
    fake_turn();
    assert_string_equal(down.body, CALLED);
    fake_answer(&fake_ups[2], 202, NULL, NULL, "Accepted", true);
    finish();
    assert_true(fake_ups[0].open);
}

static void notifications_are_accepted_with_their_post(void **state)
{
    join();
    ask(AGW_METHOD_POST, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    assert_false(down.head);
    fake_answer(&fake_ups[2], 200, NULL, NULL, NULL, true);
    fake_turn();
    assert_int_equal(down.status, 202);
    finish();
}

static void what_belongs_to_a_call_comes_with_it(void **state)
{
    join();
    ask(AGW_METHOD_POST, CALL);
    fake_answer(&fake_ups[2], 202, NULL, NULL, NULL, true);
    fake_more(&fake_ups[0], EVENT(PROGRESS) "event: other\ndata: x\n\n" EVENT("no json") EVENT(CALLED));
    fake_turn();
    assert_string_equal(down.body,
                        "event: message\ndata: " PROGRESS "\n\nevent: message\ndata: " CALLED "\n\n");
    finish();
}

static void what_nobody_hears_is_kept_up_to_a_limit(void **state)
{
    char wanted[65536] = "", event[256];
    join();
    for (int i = 0; i < AGW_MCP_LINK_KEPT_MAX + 5; i++) {
        snprintf(event, sizeof event,
                 "data: {\"jsonrpc\":\"2.0\",\"method\":\"n\",\"params\":{\"n\":%d}}\n\n", i);
        fake_more(&fake_ups[0], event);
        if (i >= 5)
            snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "event: message\n%s", event);
    }
    ask(AGW_METHOD_GET, NULL);
    fake_turn();
    assert_string_equal(down.type, SSE);
    assert_string_equal(down.body, wanted);
    finish();
}

static void a_slow_client_slows_the_stream(void **state)
{
    join();
    ask(AGW_METHOD_GET, NULL);
    size_t before = fake_ups[0].consumed;
    down.pending = AGW_STREAM_HIGH + 1;
    fake_more(&fake_ups[0], EVENT(NOTICE));
    fake_turn();
    fake_turn();
    size_t paused = fake_ups[0].consumed;
    assert_true(paused > before);
    fake_more(&fake_ups[0], EVENT(NOTICE));
    fake_turn();
    assert_int_equal(fake_ups[0].consumed, paused);
    down.pending = 0;
    down.stream.events->on_drain(&down.stream);
    fake_turn();
    assert_true(fake_ups[0].consumed > paused);
    finish();
}

static void failures(void **state)
{
    ask(AGW_METHOD_POST, INIT);
    fake_break(&fake_ups[0], AGW_EREFUSED);
    fake_turn();
    assert_int_equal(down.status, 503);
    finish();
    fake_reset();
    ask(AGW_METHOD_POST, INIT);
    fake_answer(&fake_ups[0], 404, NULL, NULL, NULL, true);
    fake_turn();
    assert_int_equal(down.status, 404);
    finish();
    fake_reset();
    ask(AGW_METHOD_POST, INIT);
    fake_answer(&fake_ups[0], 200, "text/html", NULL, "x", false);
    fake_turn();
    assert_int_equal(down.status, 502);
    finish();
    assert_true(fake_ups[0].reset);
}

static void a_lost_stream_ends_calls_and_session(void **state)
{
    join();
    ask(AGW_METHOD_POST, CALL);
    fake_break(&fake_ups[0], AGW_ERESET);
    fake_turn();
    assert_int_equal(down.status, 502);
    finish();
    ask(AGW_METHOD_POST, CALL);
    fake_turn();
    assert_int_equal(down.status, 404);
    finish();
}

static void a_stale_connection_is_tried_again(void **state)
{
    join();
    ask(AGW_METHOD_POST, CALL);
    fake_ups[2].unsent = true;
    fake_break(&fake_ups[2], AGW_ECLOSED);
    assert_int_equal(fake_up_count, 4);
    assert_string_equal(fake_ups[3].body, CALL);
    fake_break(&fake_ups[3], AGW_ECLOSED); /* it may have got there */
    fake_turn();
    assert_int_equal(fake_up_count, 4);
    assert_int_equal(down.status, 503);
    finish();
}

static void ids_are_free_again_when_their_client_is_gone(void **state)
{
    join();
    ask(AGW_METHOD_POST, CALL);
    finish(); /* the client is gone: its id is free again */
    ask(AGW_METHOD_POST, CALL);
    fake_more(&fake_ups[0], EVENT(CALLED));
    fake_turn();
    assert_string_equal(down.body, CALLED);
    finish();
}

static void the_end_closes_the_stream(void **state)
{
    join();
    ask(AGW_METHOD_DELETE, NULL);
    fake_turn();
    assert_int_equal(down.status, 202);
    finish();
    assert_true(fake_ups[0].reset);
}

static void a_client_that_leaves_before_the_session_ends_it(void **state)
{
    ask(AGW_METHOD_POST, INIT);
    fake_close(&down, AGW_ERESET);
    fake_turn();
    fake_turn();
    fake_down_free(&down);
    assert_true(fake_ups[0].reset);
}

static void the_longest_unused_session_makes_room(void **state)
{
    char old[sizeof session];
    join();
    snprintf(old, sizeof old, "%s", session);
    fake_reset();
    session[0] = 0;
    join();
    struct agw_mcp_slots *links = &mcp->transports->links;
    uint32_t used = links->used;
    links->used = AGW_MCP_LINKS_MAX;
    fake_reset();
    session[0] = 0;
    ask(AGW_METHOD_POST, INIT);
    assert_int_equal(fake_up_count, 1);
    links->used = used;
    finish();
    snprintf(session, sizeof session, "%s", old);
    ask(AGW_METHOD_POST, CALL);
    fake_turn();
    assert_int_equal(down.status, 404);
    finish();
}

static void walk_initialize(void)
{
    ask(AGW_METHOD_POST, INIT);
    if (fake_up_count > 0)
        fake_answer(&fake_ups[0], 200, SSE, NULL, "event: endpoint\ndata: ../messages?s=1\n\n", false);
    if (fake_up_count > 1)
        fake_answer(&fake_ups[1], 202, NULL, NULL, NULL, true);
    if (fake_up_count > 0)
        fake_more(&fake_ups[0], EVENT(INITED));
    fake_turn();
}

static void walk_call(void)
{
    ask(AGW_METHOD_POST, CALL);
    fake_more(&fake_ups[0], EVENT(PROGRESS));
    fake_turn();
    fake_more(&fake_ups[0], EVENT(CALLED));
    fake_turn();
}

static void walk_get(void)
{
    fake_more(&fake_ups[0], EVENT(NOTICE));
    ask(AGW_METHOD_GET, NULL);
    down.pending = AGW_STREAM_HIGH + 1;
    fake_more(&fake_ups[0], EVENT(NOTICE));
    fake_turn();
    if (fake_taken && !down.reset && !down.done)
        down.stream.events->on_drain(&down.stream);
    fake_turn();
}

static void walk_delete(void)
{
    ask(AGW_METHOD_DELETE, NULL);
    fake_turn();
}

static void no_memory(void **state)
{
    static void (*const walks[])(void) = {walk_initialize, walk_call, walk_get, walk_delete};
    for (size_t i = 0; i < sizeof walks / sizeof walks[0]; i++) {
        for (long n = 1;; n++) {
            session[0] = 0;
            fake_reset();
            if (i > 0)
                join();
            fake_fail_from = n;
            walks[i]();
            bool reached = failmalloc_count() >= n;
            failmalloc_at(0);
            fake_fail_from = 0;
            fake_turn();
            finish();
            for (unsigned k = 0; k < fake_up_count; k++)
                fake_break(&fake_ups[k], AGW_ERESET);
            fake_turn();
            fake_turn();
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
        TEST(a_session_is_one_stream),
        TEST(notifications_are_accepted_with_their_post),
        TEST(what_belongs_to_a_call_comes_with_it),
        TEST(what_nobody_hears_is_kept_up_to_a_limit),
        TEST(a_slow_client_slows_the_stream),
        TEST(failures),
        TEST(a_lost_stream_ends_calls_and_session),
        TEST(a_stale_connection_is_tried_again),
        TEST(ids_are_free_again_when_their_client_is_gone),
        TEST(the_end_closes_the_stream),
        TEST(a_client_that_leaves_before_the_session_ends_it),
        TEST(the_longest_unused_session_makes_room),
        TEST(no_memory),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
