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

static void memory_may_run_out(void **state)
{
    static void (*const walks[])(void) = {walk_listen_old};
    for (size_t w = 0; w < sizeof walks / sizeof walks[0]; w++) {
        for (long n = 1;; n++) {
            agw_mcp_free(mcp);
            begin_endpoint();
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
            if (!reached)
                break;
        }
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, eras_setup, eras_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(lists_of_old_are_announced),
        CASE(resources_of_old_are_subscribed_to),
        CASE(listeners_share_a_stream),
        CASE(a_server_without_a_stream_has_nothing_to_announce),
        CASE(a_forgotten_session_is_begun_anew_to_listen),
        CASE(memory_may_run_out),
        CASE(silence_is_an_open_stream), /* last: it is ahead of the clock */
    };
    return cmocka_run_group_tests(tests, eras_group_setup, eras_group_teardown);
}
