/* What servers announce, over the border of the eras. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "eras.h"
#include "failmalloc.h"

#define SUB "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":2}"
#define NOTE(method, params) "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/" method "\"" params "}"
#define PARAMS(members) ",\"params\":{" members "}"
#define EVENT(text) "event: message\ndata: " text "\n\n"
#define ACK(filter) EVENT(NOTE("subscriptions/acknowledged", PARAMS(SUB ",\"notifications\":{" filter "}")))
#define LISTEN(filter) ASK("subscriptions/listen", "\"notifications\":{" filter "},")
#define LIVE_CAPS                                                                                            \
    "\"tools\":{\"listChanged\":true},\"prompts\":{},\"resources\":{\"listChanged\":true,\"subscribe\":"     \
    "true}"
#define ALL "\"toolsListChanged\":true,\"promptsListChanged\":true"

static void expect_body(const char *text)
{
    assert_string_equal(down.body, text);
    down.n = 0;
    down.body[0] = 0;
}

/* --- a client of 2026-07-28, a server of old --- */

static void listen_old(const char *filter)
{
    static char body[512]; /* is not copied */
    snprintf(body, sizeof body, LISTEN("%s"), filter);
    ask("subscriptions/listen", NULL, body);
}

static void first_listen_old(const char *filter)
{
    fake_era(mcp, &backend, false);
    listen_old(filter);
    open_session(0, "s1", LIVE_CAPS);
    fake_turn();
}

static void lists_of_old_are_announced(void **state)
{
    first_listen_old(ALL);
    assert_int_equal(fake_up_count, 3);
    assert_int_equal(fake_ups[2].method, AGW_METHOD_GET);
    assert_string_equal(fake_ups[2].session, "s1");
    assert_string_equal(down.body, "");
    fake_answer(&fake_ups[2], 200, SSE, NULL, NULL, false);
    expect_body(ACK("\"toolsListChanged\":true"));
    fake_more(&fake_ups[2], "data: " NOTE("tools/list_changed", "") "\n\n");
    expect_body(EVENT(NOTE("tools/list_changed", PARAMS(SUB))));
    fake_more(&fake_ups[2], "data: " NOTE("prompts/list_changed", "") "\n\ndata: " NOTE(
                                "resources/updated", PARAMS("\"uri\":\"a:1\"")) "\n\ndata: nothing\n\n");
    fake_more(&fake_ups[2], "data: " MESSAGE("7", "ping", "") "\n\n");
    expect_body("");
    assert_int_equal(fake_up_count, 4);
    assert_string_equal(fake_ups[3].body, RESULT_OF("7", ""));
    fake_answer(&fake_ups[3], 202, NULL, NULL, NULL, true);
    fake_close(&down, AGW_ERESET); /* the last one who listens */
    fake_turn();
    fake_turn();
    assert_true(fake_ups[2].reset);
    assert_int_equal(fake_up_count, 4);
    fake_down_free(&down);
}

static void resources_of_old_are_subscribed_to(void **state)
{
    first_listen_old("\"resourceSubscriptions\":[\"a:1\",\"a:2\"]");
    fake_answer(&fake_ups[2], 200, SSE, NULL, NULL, false);
    assert_int_equal(fake_up_count, 4);
    assert_string_equal(fake_ups[3].body, MESSAGE("1", "resources/subscribe", "\"uri\":\"a:1\""));
    fake_answer(&fake_ups[3], 200, JSON, NULL, RESULT_OF("1", ""), true);
    assert_int_equal(fake_up_count, 5); /* one after the other */
    assert_string_equal(fake_ups[4].body, MESSAGE("2", "resources/subscribe", "\"uri\":\"a:2\""));
    fake_answer(&fake_ups[4], 200, JSON, NULL, ERROR_OF("2", "-32002"), true);
    expect_body(ACK("\"resourceSubscriptions\":[\"a:1\"]"));
    fake_more(&fake_ups[2], "data: " NOTE("resources/updated", PARAMS("\"uri\":\"a:2\"")) "\n\n");
    expect_body("");
    fake_more(&fake_ups[2], "data: " NOTE("resources/updated", PARAMS("\"uri\":\"a\\u003a1/x\"")) "\n\n");
    expect_body(EVENT(NOTE("resources/updated", PARAMS(SUB ",\"uri\":\"a\\u003a1/x\""))));
    fake_close(&down, AGW_ERESET);
    fake_turn();
    assert_int_equal(fake_up_count, 6);
    assert_string_equal(fake_ups[5].body, MESSAGE("3", "resources/unsubscribe", "\"uri\":\"a:1\""));
    fake_answer(&fake_ups[5], 200, JSON, NULL, RESULT_OF("3", ""), true);
    fake_turn();
    fake_down_free(&down);
}

static void listeners_share_a_stream(void **state)
{
    static struct fake_down second;
    first_listen_old("\"resourceSubscriptions\":[\"a:1\"]");
    fake_answer(&fake_ups[2], 200, SSE, NULL, NULL, false);
    fake_answer(&fake_ups[3], 200, JSON, NULL, RESULT_OF("1", ""), true);
    fake_down_init(&second);
    fake_header(&second, "mcp-protocol-version", "2026-07-28");
    fake_header(&second, "mcp-method", "subscriptions/listen");
    fake_request(mcp, &second, &backend, AGW_METHOD_POST, NULL,
                 LISTEN("\"toolsListChanged\":true,\"resourceSubscriptions\":[\"a:1\"]"));
    fake_turn();
    assert_int_equal(fake_up_count, 5); /* no second GET, but its own wish */
    fake_answer(&fake_ups[4], 200, JSON, NULL, RESULT_OF("2", ""), true);
    down.n = second.n = 0;
    down.body[0] = second.body[0] = 0;
    fake_more(&fake_ups[2], "data: " NOTE("tools/list_changed", "") "\n\n");
    assert_string_equal(down.body, "");
    assert_string_equal(second.body, EVENT(NOTE("tools/list_changed", PARAMS(SUB))));
    fake_close(&second, AGW_ERESET);
    fake_turn();
    fake_turn();
    assert_int_equal(fake_up_count, 5); /* somebody still wants it */
    assert_false(fake_ups[2].reset);
    fake_down_free(&second);
    fake_close(&down, AGW_ERESET);
    for (int i = 0; i < 3; i++)
        fake_turn();
    assert_true(fake_ups[2].reset);
    fake_answer(&fake_ups[5], 200, JSON, NULL, RESULT_OF("3", ""), true);
    fake_turn();
    fake_down_free(&down);
}

static void a_server_without_a_stream_has_nothing_to_announce(void **state)
{
    first_listen_old(ALL);
    fake_answer(&fake_ups[2], 405, NULL, NULL, NULL, true);
    fake_turn();
    assert_has("-32601");
    finish();
    listen_old("");
    fake_turn();
    assert_int_equal(fake_up_count, 0); /* nothing to wait for */
    expect_body(ACK(""));
    fake_close(&down, AGW_ERESET);
    fake_turn();
    fake_down_free(&down);
}

static void silence_is_an_open_stream(void **state)
{
    first_listen_old(ALL);
    assert_string_equal(down.body, "");
    pass_time(AGW_MCP_SILENCE_MS);
    expect_body(ACK("\"toolsListChanged\":true"));
    fake_break(&fake_ups[2], AGW_ERESET);
    fake_turn();
    expect_body("");
    pass_time(AGW_MCP_KEEPALIVE_MS + 1000); /* it is opened again, and what may have been missed is told */
    fake_turn();
    assert_int_equal(fake_up_count, 4);
    fake_answer(&fake_ups[3], 200, SSE, NULL, NULL, false);
    assert_has(EVENT(NOTE("tools/list_changed", PARAMS(SUB))));
    fake_close(&down, AGW_ERESET);
    fake_turn();
    fake_turn();
    fake_down_free(&down);
}

static void a_server_that_hangs_is_not_waited_for(void **state)
{
    first_listen_old("\"resourceSubscriptions\":[\"a:1\"]");
    fake_answer(&fake_ups[2], 200, SSE, NULL, NULL, false);
    assert_int_equal(fake_up_count, 4);
    pass_time(AGW_MCP_CLEANUP_MS + 1000);
    fake_turn();
    assert_true(fake_ups[3].reset);
    expect_body(ACK(""));
    fake_close(&down, AGW_ERESET);
    for (int k = 0; k < 3; k++)
        fake_turn();
    assert_true(fake_ups[2].reset);
    fake_down_free(&down);
}

static void a_forgotten_session_is_begun_anew_to_listen(void **state)
{
    first_listen_old(ALL);
    fake_answer(&fake_ups[2], 404, JSON, NULL, ERROR_OF("null", "-32001"), true);
    fake_turn();
    open_session(3, "s2", LIVE_CAPS);
    fake_turn();
    fake_turn();
    assert_int_equal(fake_up_count, 6);
    assert_int_equal(fake_ups[5].method, AGW_METHOD_GET);
    assert_string_equal(fake_ups[5].session, "s2");
    fake_answer(&fake_ups[5], 200, SSE, NULL, NULL, false);
    expect_body(ACK("\"toolsListChanged\":true"));
    fake_close(&down, AGW_ERESET);
    fake_turn();
    fake_turn();
    fake_down_free(&down);
}

/* --- a client of old, a server of 2026-07-28 --- */

static struct fake_down stream; /* the session's GET */

#define LIVE_DISCOVERED                                                                                      \
    RESULT_OF("0", "\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{" LIVE_CAPS                     \
                   "},\"resultType\":\"complete\",\"ttlMs\":5,\"cacheScope\":\"public\"")

static void join_new(void)
{
    conf.targets = targets + 1;
    post(INIT);
    fake_answer(&fake_ups[0], 400, JSON, NULL, ERROR_OF("1", "-32022"), true);
    fake_answer(&fake_ups[1], 200, JSON, NULL, LIVE_DISCOVERED, true);
    assert_has("\"capabilities\":{" LIVE_CAPS "}");
    memcpy(session, down.session, sizeof down.session);
    finish();
}

static void open_stream(void)
{
    fake_reset();
    fake_down_init(&stream);
    fake_request(mcp, &stream, &backend, AGW_METHOD_GET, session, NULL);
}

static void close_stream(void)
{
    fake_close(&stream, AGW_ERESET);
    for (int i = 0; i < 3; i++)
        fake_turn();
    fake_down_free(&stream);
}

static void expect_stream(const char *text)
{
    assert_string_equal(stream.body, text);
    stream.n = 0;
    stream.body[0] = 0;
}

#define HEAR(uris)                                                                                           \
    "{\"jsonrpc\":\"2.0\",\"method\":\"subscriptions/listen\",\"id\":0,\"params\":{\"_meta\":{" CLIENT       \
    "},\"notifications\":{\"toolsListChanged\":true,\"promptsListChanged\":true,\"resourcesListChanged\":"   \
    "true" uris "}}}"
#define TAG(id) "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":" id "}"
#define HEARD(filter) NOTE("subscriptions/acknowledged", PARAMS(TAG("0") ",\"notifications\":{" filter "}"))

static void acknowledge(unsigned n, const char *filter)
{
    char text[512];
    snprintf(text, sizeof text, "data: " HEARD("%s") "\n\n", filter);
    fake_answer(&fake_ups[n], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[n], text);
}

/* Another request of the session beside its stream. */
static void post_beside(const char *body)
{
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, session, body);
    fake_turn();
    fake_turn();
    fake_close(&down, 0);
    fake_turn();
    fake_down_free(&down);
}

#define SUBSCRIBE(uri) MESSAGE("5", "resources/subscribe", "\"uri\":\"" uri "\"")
#define UNSUBSCRIBE(uri) MESSAGE("5", "resources/unsubscribe", "\"uri\":\"" uri "\"")

static void lists_of_new_are_announced(void **state)
{
    join_new();
    open_stream();
    assert_int_equal(fake_up_count, 1);
    assert_int_equal(fake_ups[0].method, AGW_METHOD_POST);
    assert_string_equal(fake_ups[0].rpc_method, "subscriptions/listen");
    assert_string_equal(fake_ups[0].version, "2026-07-28");
    assert_string_equal(fake_ups[0].session, "");
    assert_string_equal(fake_ups[0].body, HEAR(""));
    assert_false(stream.head);
    acknowledge(0, "\"toolsListChanged\":true");
    assert_int_equal(stream.status, 200);
    expect_stream("");
    fake_more(&fake_ups[0], "data: " NOTE("tools/list_changed", PARAMS(TAG("0"))) "\n\n");
    expect_stream(EVENT(NOTE("tools/list_changed", "")));
    fake_more(&fake_ups[0], "data: " NOTE("prompts/list_changed", PARAMS(TAG("0"))) "\n\n");
    fake_more(&fake_ups[0], "data: nothing\n\ndata: " MESSAGE("7", "ping", "") "\n\n");
    expect_stream("");
    close_stream();
    assert_true(fake_ups[0].reset);
    assert_int_equal(fake_up_count, 1);
}

static void resources_of_new_are_subscribed_to(void **state)
{
    join_new();
    post_beside(SUBSCRIBE("a:1")); /* before there is a stream */
    open_stream();
    assert_string_equal(fake_ups[0].body, HEAR(",\"resourceSubscriptions\":[\"a:1\"]"));
    acknowledge(0, "\"resourceSubscriptions\":[\"a:1\"]");
    fake_more(&fake_ups[0], "data: " NOTE("resources/updated", PARAMS("\"uri\":\"a:1\"," TAG("0"))) "\n\n");
    expect_stream(EVENT(NOTE("resources/updated", PARAMS("\"uri\":\"a:1\""))));
    post_beside(SUBSCRIBE("a:2"));
    post_beside(SUBSCRIBE("a:2")); /* once is enough */
    assert_int_equal(fake_up_count, 2);
    assert_string_equal(fake_ups[1].body, HEAR(",\"resourceSubscriptions\":[\"a:1\",\"a:2\"]"));
    post_beside(UNSUBSCRIBE("a:1")); /* meanwhile */
    assert_int_equal(fake_up_count, 2);
    fake_more(&fake_ups[0], "data: " NOTE("resources/updated", PARAMS("\"uri\":\"a:1\"," TAG("0"))) "\n\n");
    expect_stream(EVENT(NOTE("resources/updated", PARAMS("\"uri\":\"a:1\""))));
    assert_false(fake_ups[0].reset);
    acknowledge(1, "\"resourceSubscriptions\":[\"a:2\",\"a:1\"]");
    assert_true(fake_ups[0].reset); /* the other one has its place */
    expect_stream(EVENT(NOTE("resources/updated", PARAMS("\"uri\":\"a:2\"")))); /* what was missed */
    assert_int_equal(fake_up_count, 3);
    assert_string_equal(fake_ups[2].body, HEAR(",\"resourceSubscriptions\":[\"a:2\"]"));
    fake_answer(&fake_ups[2], 500, JSON, NULL, ERROR_OF("0", "-32603"), true);
    fake_more(&fake_ups[1], "data: " NOTE("resources/updated", PARAMS("\"uri\":\"a:2/x\"")) "\n\n");
    expect_stream(EVENT(NOTE("resources/updated", PARAMS("\"uri\":\"a:2/x\"")))); /* goes on */
    close_stream();
}

static void a_new_server_that_announces_nothing_gives_no_stream(void **state)
{
    join_new();
    open_stream();
    fake_answer(&fake_ups[0], 404, JSON, NULL, ERROR_OF("0", "-32601"), true);
    fake_turn();
    assert_int_equal(stream.status, 405);
    close_stream();
    post_beside(MESSAGE("5", "resources/subscribe", "\"uri\":7"));
    post_beside(UNSUBSCRIBE("a:9"));
    post(MESSAGE("5", "resources/subscribe", ""));
    fake_turn();
    assert_has("-32602");
    finish();
}

static void the_end_of_the_session_ends_its_streams(void **state)
{
    static struct fake_down last;
    join_new();
    open_stream();
    acknowledge(0, "\"toolsListChanged\":true");
    fake_down_init(&last);
    fake_request(mcp, &last, &backend, AGW_METHOD_DELETE, session, NULL);
    for (int i = 0; i < 3; i++)
        fake_turn();
    assert_true(fake_ups[0].reset);
    assert_true(stream.ended);
    fake_close(&last, 0);
    fake_turn();
    fake_down_free(&last);
    close_stream();
    open_stream(); /* of a session that is no more */
    fake_turn();
    assert_int_equal(stream.status, 405);
    assert_int_equal(fake_up_count, 0);
    close_stream();
}

static void the_clients_stream_ends_with_the_only_one(void **state)
{
    join_new();
    open_stream();
    acknowledge(0, "\"toolsListChanged\":true");
    fake_break(&fake_ups[0], AGW_ERESET);
    fake_turn();
    assert_true(stream.ended); /* it was the only one: the client opens it again */
    close_stream();
}

/* --- clients that read too slowly --- */

/* |up| is not read on until |slow|, which got something, has read. */
static void expect_patience(struct fake_down *slow, struct fake_up *up)
{
    slow->pending = AGW_STREAM_HIGH + 1;
    fake_more(up, "data: " NOTE("tools/list_changed", "") "\n\n");
    size_t paused = up->consumed;
    fake_more(up, "data: " NOTE("tools/list_changed", "") "\n\n");
    pass_time(300);
    assert_int_equal(up->consumed, paused);
    slow->pending = 0;
    pass_time(300);
    assert_true(up->consumed > paused);
}

static void slow_clients_hold_up_their_servers(void **state)
{
    first_listen_old(ALL);
    fake_answer(&fake_ups[2], 200, SSE, NULL, NULL, false);
    expect_patience(&down, &fake_ups[2]);
    fake_close(&down, AGW_ERESET);
    for (int i = 0; i < 3; i++)
        fake_turn();
    fake_down_free(&down);
    join_new();
    open_stream();
    acknowledge(0, "\"toolsListChanged\":true");
    expect_patience(&stream, &fake_ups[0]);
    close_stream();
}

/* One stream of two breaks: it is opened again, and the client is told to look again, in its own names. */
static void a_stream_of_several_is_opened_again(void **state)
{
    conf.count = 2;
    post(INIT);
    assert_int_equal(fake_up_count, 2);
    fake_answer(&fake_ups[0], 200, JSON, "s1",
                RESULT_OF("1", "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{" LIVE_CAPS "}"), true);
    fake_answer(&fake_ups[1], 400, JSON, NULL, ERROR_OF("1", "-32022"), true);
    fake_answer(&fake_ups[2], 200, JSON, NULL, LIVE_DISCOVERED, true);
    memcpy(session, down.session, sizeof down.session);
    finish();
    post_beside(SUBSCRIBE("new+a:1"));
    open_stream();
    assert_int_equal(fake_up_count, 2);
    assert_int_equal(fake_ups[0].method, AGW_METHOD_GET);
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    acknowledge(1, "\"promptsListChanged\":true,\"resourceSubscriptions\":[\"a:1\"]");
    fake_break(&fake_ups[1], AGW_ERESET);
    fake_turn();
    assert_false(stream.ended);
    pass_time(AGW_MCP_KEEPALIVE_MS + 1000);
    assert_int_equal(fake_up_count, 3);
    assert_string_equal(fake_ups[2].body, HEAR(",\"resourceSubscriptions\":[\"a:1\"]"));
    stream.n = 0;
    acknowledge(2, "\"promptsListChanged\":true,\"resourceSubscriptions\":[\"a:1\"]");
    expect_stream(EVENT(NOTE("prompts/list_changed", ""))
                      EVENT(NOTE("resources/updated", PARAMS("\"uri\":\"new+a:1\""))));
    pass_time(AGW_MCP_KEEPALIVE_MS + 1000);
    assert_int_equal(fake_up_count, 3); /* it is open: nothing is to be done */
    close_stream();
}

/* --- memory runs out --- */

static void walk_listen_old(void)
{
    listen_old("\"toolsListChanged\":true,\"resourceSubscriptions\":[\"a:1\",\"a:2\"]");
    for (unsigned i = 0; i < fake_up_count; i++) {
        bool opening = strstr(fake_ups[i].body, "\"initialize\"") != NULL;
        bool told = strstr(fake_ups[i].body, "notifications/") != NULL;
        bool get = fake_ups[i].method == AGW_METHOD_GET;
        bool probe = !strcmp(fake_ups[i].rpc_method, "server/discover");
        if (fake_ups[i].open)
            fake_answer(&fake_ups[i],
                        probe  ? 400
                        : told ? 202
                               : 200,
                        told  ? NULL
                        : get ? SSE
                              : JSON,
                        opening ? "s1" : NULL,
                        probe     ? ERROR_OF("0", "-32022")
                        : opening ? INITIALIZED(LIVE_CAPS)
                        : get     ? "data: " NOTE("tools/list_changed", "") "\n\n"
                        : told    ? NULL
                                  : RESULT_OF("1", ""),
                        !get);
        fake_turn();
    }
    for (unsigned i = 0; i < fake_up_count; i++)
        if (fake_ups[i].open && fake_ups[i].method == AGW_METHOD_GET)
            fake_more(&fake_ups[i], "data: " NOTE("resources/updated", PARAMS("\"uri\":\"a:1\"")) "\n\n");
}

/* With all the memory that it needs. */
static void beforehand(void (*f)(void))
{
    long from = fake_fail_from;
    fake_fail_from = 0;
    f();
    fake_fail_from = from;
}

static void subscribed(void)
{
    post_beside(SUBSCRIBE("a:1"));
}

static void streaming(void)
{
    open_stream();
    acknowledge(0, "\"toolsListChanged\":true");
}

static void walk_subscribe(void)
{
    beforehand(streaming);
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, session, SUBSCRIBE("a:2"));
    fake_turn();
    if (fake_up_count > 1 && fake_ups[1].open)
        acknowledge(1, "\"resourceSubscriptions\":[\"a:2\"]");
}

static void walk_listen_new(void)
{
    beforehand(subscribed);
    fake_reset();
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, AGW_METHOD_GET, session, NULL);
    if (fake_up_count > 0)
        acknowledge(0, "\"toolsListChanged\":true,\"resourceSubscriptions\":[\"a:1\"]");
    if (fake_up_count > 0 && fake_ups[0].open)
        fake_more(&fake_ups[0], "data: " NOTE("resources/updated", PARAMS("\"uri\":\"a:1\"")) "\n\n");
}

static void memory_may_run_out(void **state)
{
    static void (*const walks[])(void) = {walk_listen_old, walk_listen_new, walk_subscribe};
    static char joined[1024];
    join_new();
    memcpy(joined, session, sizeof joined);
    for (size_t w = 0; w < sizeof walks / sizeof walks[0]; w++) {
        for (long n = 1;; n++) {
            agw_mcp_free(mcp);
            begin_endpoint();
            conf.targets = w ? targets + 1 : targets;
            memcpy(session, joined, sizeof joined);
            fake_fail_from = n;
            walks[w]();
            bool reached = failmalloc_count() >= n;
            fake_fail_from = 0;
            failmalloc_at(0);
            fake_turn();
            fake_close(&down, AGW_ECANCELED);
            for (int i = 0; i < 4; i++)
                fake_turn();
            for (unsigned i = 0; i < fake_up_count; i++)
                if (fake_ups[i].open)
                    fake_break(&fake_ups[i], AGW_ERESET);
            for (int i = 0; i < 4; i++)
                fake_turn();
            fake_down_free(&down);
            fake_taken = true; /* the stream was */
            if (walks[w] == walk_subscribe)
                close_stream();
            assert_int_equal(agw_mcp_active(mcp), 0);
            if (!reached)
                break;
        }
    }
}

/* Some tests leave the clock's timers ahead of it: each has a loop of its own. */
static int setup(void **state)
{
    return eras_group_setup(state) ? -1 : eras_setup(state);
}

static int teardown(void **state)
{
    return eras_teardown(state) ? -1 : eras_group_teardown(state);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(lists_of_old_are_announced),
        CASE(resources_of_old_are_subscribed_to),
        CASE(listeners_share_a_stream),
        CASE(a_server_without_a_stream_has_nothing_to_announce),
        CASE(a_forgotten_session_is_begun_anew_to_listen),
        CASE(lists_of_new_are_announced),
        CASE(resources_of_new_are_subscribed_to),
        CASE(a_new_server_that_announces_nothing_gives_no_stream),
        CASE(the_end_of_the_session_ends_its_streams),
        CASE(the_clients_stream_ends_with_the_only_one),
        CASE(memory_may_run_out),
        CASE(a_server_that_hangs_is_not_waited_for),
        CASE(slow_clients_hold_up_their_servers),
        CASE(silence_is_an_open_stream),
        CASE(a_stream_of_several_is_opened_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
