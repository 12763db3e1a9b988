/* The endpoint between a fake client and fake targets: what goes where, what comes back, and that every way
 * through ends clean, also when memory runs out anywhere. */
#include "mcp/handler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/clock.h"
#include "fake.h"
#include "failmalloc.h"
#include "mcp/exchange.h"

static struct agw_endpoint endpoints[] = {{.key = {"one", 3}, .host = {"h1", 2}, .port = 81},
                                          {.key = {"two", 3}, .host = {"h2", 2}, .port = 82}};
static const struct agw_endpoint *first[] = {&endpoints[0]}, *second[] = {&endpoints[1]};
static struct agw_backend places[] = {
    {.key = {"ns/one", 6}, .kind = AGW_BACKEND_STATIC, .endpoints = first, .endpoint_count = 1},
    {.key = {"ns/two", 6}, .kind = AGW_BACKEND_STATIC, .endpoints = second, .endpoint_count = 1}};
static struct agw_mcp_target targets[] = {{{"one", 3}, &places[0], {"/mcp", 4}, AGW_MCP_STREAMABLE_HTTP},
                                          {{"two", 3}, &places[1], {"/x", 2}, AGW_MCP_STREAMABLE_HTTP}};
static struct agw_mcp_backend conf = {.targets = targets, .count = 2};
static const struct agw_backend backend = {
    .key = {"ns/tools", 8}, .name = {"ns/tools", 8}, .kind = AGW_BACKEND_MCP, .mcp = &conf};
static const unsigned char key[32] = {1, 2, 3};

static struct agw_mcp *mcp;
static struct fake_down down;
static char session[1024];

#define INIT                                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-"     \
    "18\",\"capabilities\":{}}}"
#define INIT_RESULT(version, caps)                                                                           \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"" version "\",\"capabilities\":" caps   \
    ",\"serverInfo\":{}}}"
#define ALL_CAPS "{\"tools\":{},\"resources\":{},\"prompts\":{},\"logging\":{},\"completions\":{}}"
#define JSON "application/json"
#define SSE "text/event-stream"

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
    conf = (struct agw_mcp_backend){.targets = targets, .count = 2};
    mcp = agw_mcp_new(&fake_loop, NULL, NULL, key);
    session[0] = 0;
    return mcp ? 0 : -1;
}

static int teardown(void **state)
{
    fake_turn();
    assert_int_equal(agw_mcp_active(mcp), 0);
    agw_mcp_free(mcp);
    assert_int_equal(fake_loop.blocks.live, 0);
    return 0;
}

static void ask(enum agw_method method, const char *body)
{
    fake_reset();
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, method, session, body);
}

static void finish(void)
{
    fake_turn();
    fake_close(&down, 0);
    fake_turn();
    assert_true(down.done);
    fake_down_free(&down);
}

static void assert_answer(int status, const char *body)
{
    assert_true(down.ended);
    assert_int_equal(down.status, status);
    assert_string_equal(down.body, body);
}

/* A session with both targets. */
static void join(void)
{
    ask(AGW_METHOD_POST, INIT);
    assert_int_equal(fake_up_count, conf.count);
    fake_answer(&fake_ups[0], 200, JSON, "s-one", INIT_RESULT("2025-06-18", ALL_CAPS), true);
    if (conf.count > 1)
        fake_answer(&fake_ups[1], 200, SSE, "s-two", "data: " INIT_RESULT("2025-03-26", ALL_CAPS) "\n\n",
                    true);
    assert_int_equal(down.status, 200);
    assert_true(down.ended);
    snprintf(session, sizeof session, "%s", down.session);
    assert_true(session[0]);
    finish();
}

static void initialize_asks_all(void **state)
{
    join();
    assert_string_equal(fake_ups[0].host, "h1:81");
    assert_string_equal(fake_ups[1].host, "h2:82");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(fake_ups[i].body, INIT);
        assert_string_equal(fake_ups[i].extra, "mine");
        assert_string_equal(fake_ups[i].authorization, "");
        assert_string_equal(fake_ups[i].accept, "application/json, text/event-stream");
        assert_string_equal(fake_ups[i].session, "");
        assert_false(fake_ups[i].reset);
    }
    assert_non_null(strstr(down.body, "\"protocolVersion\":\"2025-03-26\"")); /* the oldest of all */
    assert_int_equal(down.report.close_code, 0);
    assert_true(agw_str_eq(down.report.method, AGW_STR("initialize")));
}

static void a_version_we_do_not_know_becomes_our_newest(void **state)
{
    ask(AGW_METHOD_POST, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
                         "\"protocolVersion\":\"2099-01-01\"}}");
    assert_non_null(strstr(fake_ups[0].body, "\"protocolVersion\":\"2025-11-25\""));
    finish();
    ask(AGW_METHOD_POST, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{}}");
    assert_int_equal(fake_up_count, 0);
    assert_non_null(strstr(down.body, "-32602"));
    finish();
}

static void a_failed_target_ends_the_sessions_of_the_others(void **state)
{
    ask(AGW_METHOD_POST, INIT);
    fake_answer(&fake_ups[0], 200, JSON, "s-one", INIT_RESULT("2025-06-18", "{}"), true);
    fake_break(&fake_ups[1], AGW_EREFUSED);
    assert_int_equal(down.status, 503);
    assert_non_null(strstr(down.body, "-32603"));
    assert_non_null(strstr(down.body, "two"));
    finish();
    assert_int_equal(fake_up_count, 3);
    assert_int_equal(fake_ups[2].method, AGW_METHOD_DELETE);
    assert_string_equal(fake_ups[2].session, "s-one");
    assert_int_equal(agw_mcp_active(mcp), 1);
    fake_answer(&fake_ups[2], 200, NULL, NULL, NULL, true);
}

static void open_backends_do_without_it(void **state)
{
    conf.fail_open = true;
    ask(AGW_METHOD_POST, INIT);
    fake_answer(&fake_ups[0], 500, "text/plain", NULL, "oops", true);
    fake_answer(&fake_ups[1], 200, JSON, "s-two", INIT_RESULT("2025-06-18", ALL_CAPS), true);
    assert_int_equal(down.status, 200);
    snprintf(session, sizeof session, "%s", down.session);
    finish();
    ask(AGW_METHOD_POST, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}");
    assert_int_equal(fake_up_count, 1);
    fake_answer(&fake_ups[0], 200, JSON, NULL,
                "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"t\"}]}}", true);
    assert_answer(
        200, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":"
             "{\"level\":\"warning\",\"logger\":\"agentgateway\",\"data\":{\"target\":\"one\","
             "\"missingFrom\":\"tools/list\",\"reason\":\"it did not answer initialize, and is not part "
             "of this session\"}}}\n\n"
             "event: message\ndata: "
             "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"two_t\"}]}}\n\n");
    finish();
    ask(AGW_METHOD_POST,
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"one_t\"}}");
    assert_int_equal(fake_up_count, 0);
    assert_non_null(strstr(down.body, "Unknown tool: one_t"));
    finish();
    ask(AGW_METHOD_POST, INIT);
    session[0] = 0;
    fake_answer(&fake_ups[0], 500, "text/plain", NULL, "first", true);
    fake_break(&fake_ups[1], AGW_EDNS);
    assert_answer(500, "first"); /* nobody is left: the first failure, as it came */
    finish();
}

#define CALL                                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"%s\",\"arguments\":{}}}"
#define CALLED "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[]}}"

static void call(const char *name)
{
    static char body[256];
    snprintf(body, sizeof body, CALL, name);
    ask(AGW_METHOD_POST, body);
}

static void calls_go_to_their_target(void **state)
{
    join();
    call("two_t");
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].host, "h2:82");
    assert_string_equal(fake_ups[0].session, "s-two");
    assert_string_equal(fake_ups[0].version, "2025-03-26");
    assert_non_null(strstr(fake_ups[0].body, "{\"name\":\"t\",\"arguments\":{}}"));
    fake_answer(&fake_ups[0], 200, JSON, NULL, CALLED, true);
    assert_answer(200, CALLED);
    assert_string_equal(down.type, JSON);
    assert_false(fake_ups[0].reset);
    finish();
    assert_true(agw_str_eq(down.report.target, AGW_STR("two")));
}

static void break_unsent(struct fake_up *u)
{
    u->unsent = true;
    fake_break(u, AGW_ECLOSED);
}

/* The target may have done what was asked before it closed. */
static void a_call_is_not_made_twice(void **state)
{
    join();
    call("one_t");
    fake_break(&fake_ups[0], AGW_ECLOSED);
    assert_int_equal(fake_up_count, 1);
    assert_int_equal(down.status, 503);
    finish();
    ask(AGW_METHOD_POST,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"one+a:b\"}}");
    fake_break(&fake_ups[0], AGW_ECLOSED);
    assert_int_equal(fake_up_count, 2);
    fake_answer(&fake_ups[1], 200, JSON, NULL, CALLED, true);
    assert_int_equal(down.status, 200);
    finish();
}

static void a_stale_connection_is_tried_again(void **state)
{
    join();
    call("one_t");
    for (int i = 0; i < AGW_MCP_TRIES_MAX - 1; i++)
        break_unsent(&fake_ups[i]);
    assert_int_equal(fake_up_count, AGW_MCP_TRIES_MAX);
    assert_string_equal(fake_ups[fake_up_count - 1].body, fake_ups[0].body);
    fake_answer(&fake_ups[fake_up_count - 1], 200, JSON, NULL, CALLED, true);
    assert_answer(200, CALLED);
    finish();
    call("one_t");
    for (int i = 0; i < AGW_MCP_TRIES_MAX; i++)
        break_unsent(&fake_ups[i]);
    assert_int_equal(fake_up_count, AGW_MCP_TRIES_MAX);
    assert_int_equal(down.status, 503);
    finish();
}

static void a_single_event_becomes_json(void **state)
{
    join();
    call("one_t");
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[0], "id: 7\ndata: \n\n");
    assert_false(down.head);
    fake_more(&fake_ups[0], "event: message\nid: 8\ndata: " CALLED "\n\n");
    assert_answer(200, CALLED);
    assert_string_equal(down.type, JSON);
    assert_true(fake_ups[0].open); /* its end is awaited: the connection serves again */
    fake_close(&down, 0);
    fake_turn();
    assert_int_equal(agw_mcp_active(mcp), 1);
    fake_end(&fake_ups[0]);
    assert_false(fake_ups[0].reset);
    finish();
}

static void events_come_as_they_are_sent(void **state)
{
    join();
    call("two_t");
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[0],
              "id: 7\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n");
    assert_string_equal(down.type, SSE);
    assert_string_equal(down.body,
                        "event: message\nid: p1.7\ndata: "
                        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n");
    fake_more(&fake_ups[0], "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":5,\"method\":\"roots/list\"}\n\n");
    assert_non_null(
        strstr(down.body,
               "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":\"agw_two_n_5\",\"method\":\"roots/list\"}\n\n"));
    fake_more(&fake_ups[0], "data: " CALLED "\n\n");
    assert_true(down.ended);
    assert_non_null(strstr(down.body, "data: " CALLED "\n\n"));
    fake_end(&fake_ups[0]);
    finish();
    fake_reset();
    ask(AGW_METHOD_POST, "{\"jsonrpc\":\"2.0\",\"id\":\"agw_two_n_5\",\"result\":{\"roots\":[]}}");
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].session, "s-two");
    assert_string_equal(fake_ups[0].body, "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"roots\":[]}}");
    fake_answer(&fake_ups[0], 202, NULL, NULL, NULL, true);
    assert_answer(202, "");
    finish();
}

static void a_stream_cut_short_is_an_error_or_to_be_resumed(void **state)
{
    join();
    call("one_t");
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[0],
              "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n");
    fake_break(&fake_ups[0], AGW_ERESET);
    assert_true(down.ended);
    assert_non_null(strstr(down.body, "\"id\":2,\"error\":{\"code\":-32603"));
    finish();
    call("one_t");
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[0], "id: e\ndata: \n\n");
    fake_end(&fake_ups[0]);
    assert_true(down.ended);
    assert_string_equal(down.body, "id: p0.e\ndata: \n\n");
    finish();
    call("one_t");
    fake_answer(&fake_ups[0], 200, SSE, NULL, "data: not json\n\n", false);
    assert_int_equal(down.status, 502);
    assert_true(fake_ups[0].reset);
    finish();
}

static void http_errors_pass_as_they_are(void **state)
{
    join();
    call("one_t");
    fake_answer(&fake_ups[0], 404, JSON, NULL, "{\"gone\":1}", true);
    assert_non_null(strstr(fake_ups[1].body, "\"initialize\"")); /* first we try ourselves */
    fake_break(&fake_ups[1], AGW_EREFUSED);
    assert_answer(404, "{\"gone\":1}");
    finish();
    call("one_t");
    fake_answer(&fake_ups[0], 401, "text/plain", NULL, NULL, true);
    assert_answer(401, "");
    finish();
}

static void an_expired_session_is_told_even_when_open(void **state)
{
    conf.fail_open = true;
    join();
    ask(AGW_METHOD_POST, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"prompts/list\"}");
    fake_answer(&fake_ups[1], 404, "text/plain", NULL, "no session", true);
    fake_answer(&fake_ups[2], 500, "text/plain", NULL, "nor a new one", true);
    assert_answer(404, "no session");
    assert_true(fake_ups[0].reset);
    finish();
}

static void lists_are_joined_page_by_page(void **state)
{
    char again[512];
    join();
    ask(AGW_METHOD_POST, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}");
    fake_answer(&fake_ups[1], 200, JSON, NULL,
                "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"b\"}]}}", true);
    assert_false(down.head);
    fake_answer(
        &fake_ups[0], 200, SSE, NULL,
        "data: "
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"a\"}],\"nextCursor\":\"p2\"}}\n\n",
        true);
    const char *cursor = strstr(down.body, "\"nextCursor\":\"");
    assert_non_null(cursor);
    assert_non_null(strstr(down.body, "[{\"name\":\"one_a\"},{\"name\":\"two_b\"}]"));
    snprintf(again, sizeof again,
             "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/list\",\"params\":{\"cursor\":\"%.*s\"}}",
             (int)strcspn(cursor + 14, "\""), cursor + 14);
    finish();
    ask(AGW_METHOD_POST, again);
    assert_int_equal(fake_up_count, 1); /* the other target has no more */
    assert_non_null(strstr(fake_ups[0].body, "\"cursor\":\"p2\""));
    fake_answer(&fake_ups[0], 200, JSON, NULL,
                "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"tools\":[{\"name\":\"c\"}]}}", true);
    assert_answer(200, "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"tools\":[{\"name\":\"one_c\"}]}}");
    finish();
    ask(AGW_METHOD_POST,
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/list\",\"params\":{\"cursor\":\"made up\"}}");
    assert_int_equal(fake_up_count, 0);
    assert_non_null(strstr(down.body, "Invalid cursor"));
    finish();
}

static void bare_names_find_their_owner(void **state)
{
    conf.prefix = AGW_MCP_PREFIX_NEVER;
    join();
    call("t");
    assert_int_equal(fake_up_count, 2);
    assert_non_null(strstr(fake_ups[0].body, "\"method\":\"tools/list\""));
    fake_answer(
        &fake_ups[0], 200, JSON, NULL,
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"x\"}],\"nextCursor\":\"2\"}}",
        true);
    assert_int_equal(fake_up_count, 3);
    assert_non_null(strstr(fake_ups[2].body, "\"cursor\":\"2\""));
    fake_answer(&fake_ups[1], 200, JSON, NULL,
                "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"t\"}]}}", true);
    fake_answer(&fake_ups[2], 200, JSON, NULL,
                "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"y\"}]}}", true);
    assert_int_equal(fake_up_count, 4);
    assert_string_equal(fake_ups[3].host, "h2:82");
    assert_non_null(strstr(fake_ups[3].body, "\"tools/call\""));
    fake_answer(&fake_ups[3], 200, JSON, NULL, CALLED, true);
    assert_answer(200, CALLED);
    finish();
}

static void notifications_reach_all(void **state)
{
    join();
    ask(AGW_METHOD_POST, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    assert_int_equal(fake_up_count, 2);
    fake_answer(&fake_ups[0], 202, NULL, NULL, NULL, true);
    assert_false(down.head);
    fake_answer(&fake_ups[1], 204, NULL, NULL, NULL, true);
    assert_answer(202, "");
    finish();
    ask(AGW_METHOD_POST,
        "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"logging/setLevel\",\"params\":{\"level\":\"info\"}}");
    assert_int_equal(fake_up_count, 2);
    for (int i = 0; i < 2; i++)
        fake_answer(&fake_ups[i], 200, JSON, NULL, "{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}", true);
    assert_answer(200, "{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}");
    finish();
    ask(AGW_METHOD_POST, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}");
    assert_int_equal(fake_up_count, 0);
    assert_answer(200, "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}");
    finish();
    ask(AGW_METHOD_DELETE, NULL);
    assert_int_equal(fake_up_count, 2);
    assert_string_equal(fake_ups[1].session, "s-two");
    fake_break(&fake_ups[0], AGW_EREFUSED); /* it is gone already */
    fake_answer(&fake_ups[1], 405, NULL, NULL, NULL, true);
    assert_answer(202, "");
    finish();
}

#define LOG                                                                                                  \
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}"

/* Once an event is out, the answer is the last event, whoever writes it. */
static void an_answer_after_events_is_an_event(void **state)
{
    join();
    ask(AGW_METHOD_POST,
        "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"logging/setLevel\",\"params\":{\"level\":\"info\"}}");
    fake_answer(&fake_ups[0], 200, SSE, NULL,
                "data: " LOG "\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}\n\n", true);
    fake_answer(&fake_ups[1], 200, JSON, NULL, "{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}", true);
    assert_true(down.ended);
    assert_non_null(strstr(down.body, LOG));
    assert_non_null(strstr(down.body, "data: {\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}\n"));
    finish();

    conf.prefix = AGW_MCP_PREFIX_NEVER;
    call("t");
    fake_answer(&fake_ups[0], 200, SSE, NULL,
                "data: " LOG "\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[]}}\n\n", true);
    fake_answer(&fake_ups[1], 200, JSON, NULL,
                "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"t\"}]}}", true);
    fake_answer(&fake_ups[2], 200, JSON, NULL, CALLED, true);
    assert_true(down.ended);
    assert_non_null(strstr(down.body, "data: " CALLED "\n"));
    finish();
}

static void the_get_stream_joins_all(void **state)
{
    join();
    ask(AGW_METHOD_GET, NULL);
    assert_int_equal(fake_up_count, 2);
    fake_answer(&fake_ups[0], 405, NULL, NULL, NULL, true);
    assert_false(down.head);
    fake_answer(&fake_ups[1], 200, SSE, NULL, NULL, false);
    assert_string_equal(down.type, SSE);
    fake_more(&fake_ups[1], "id: 1\ndata: "
                            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/"
                            "updated\",\"params\":{\"uri\":\"m:1\"}}\n\n");
    assert_string_equal(down.body, "event: message\nid: g1.1\ndata: "
                                   "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/"
                                   "updated\",\"params\":{\"uri\":\"two+m:1\"}}\n\n");
    agw_timer_wheel_advance(&fake_loop.timers, fake_loop.now_ms + AGW_MCP_KEEPALIVE_MS + 1);
    agw_timer_wheel_advance(&fake_loop.timers, fake_loop.now_ms + 2 * AGW_MCP_KEEPALIVE_MS + 2);
    assert_non_null(strstr(down.body, "\n\n:\n\n"));
    fake_close(&down, AGW_ERESET);
    assert_true(fake_ups[1].reset);
    finish();
    fake_reset();
    fake_down_init(&down);
    fake_header(&down, "last-event-id", "p1.abc");
    fake_request(mcp, &down, &backend, AGW_METHOD_GET, session, NULL);
    assert_int_equal(fake_up_count, 1); /* an answer's stream: its target alone */
    assert_string_equal(fake_ups[0].last_id, "abc");
    fake_answer(&fake_ups[0], 405, NULL, NULL, NULL, true);
    assert_answer(405, "");
    finish();
}

static void old_keys_open_their_sessions(void **state)
{
    static const unsigned char next[32] = {9};
    join();
    agw_mcp_free(mcp);
    mcp = agw_mcp_new(&fake_loop, NULL, NULL, next);
    call("two_t");
    assert_int_equal(down.status, 404);
    finish();
    assert_int_equal(agw_mcp_configure(mcp, &(struct agw_mcp_settings){.old_keys = key, .old_key_count = 1}),
                     0);
    call("two_t");
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].session, "s-two");
    finish();
    join();
    call("two_t");
    assert_int_equal(fake_up_count, 1);
    finish();
    static const unsigned char many[AGW_SEAL_KEYS_MAX][32];
    assert_int_equal(agw_mcp_configure(mcp, &(struct agw_mcp_settings){.old_keys = many[0],
                                                                       .old_key_count = AGW_SEAL_KEYS_MAX}),
                     AGW_ELIMIT);
}

static void sessions_that_are_too_old_are_ended(void **state)
{
    assert_int_equal(agw_mcp_configure(mcp, &(struct agw_mcp_settings){.session_age_s = 60}), 0);
    join();
    call("two_t");
    assert_int_equal(fake_up_count, 1);
    finish();
    fake_reset();
    fake_down_init(&down);
    fake_loop.wall_ns += 61 * AGW_NS_PER_S;
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, session,
                 "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}");
    assert_int_equal(down.status, 404);
    assert_int_equal(fake_up_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fake_ups[i].method, AGW_METHOD_DELETE);
        assert_string_equal(fake_ups[i].session, i == 0 ? "s-one" : "s-two");
        fake_answer(&fake_ups[i], 200, NULL, NULL, NULL, true);
    }
    finish();
}

/* Bytes that the stream under way has taken of its arenas. */
static size_t taken(void)
{
    struct agw_mcp_exchange *x = agw_list_entry(mcp->exchanges.next, struct agw_mcp_exchange, node);
    size_t n = x->arena.used;
    for (uint32_t i = 0; i < x->conf->count; i++)
        n += x->legs[i].arena.used;
    return n;
}

/* A server may end its stream whenever it likes; the client's lives for days. */
static void streams_that_are_opened_again_take_no_memory(void **state)
{
    size_t after_two = 0;
    join();
    ask(AGW_METHOD_GET, NULL);
    fake_answer(&fake_ups[1], 200, SSE, NULL, NULL, false);
    struct fake_up *ending = &fake_ups[0];
    fake_answer(ending, 200, SSE, NULL, NULL, false);
    for (unsigned i = 1; i <= 50; i++) {
        fake_more(ending, "id: last\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n\n");
        fake_end(ending);
        agw_timer_wheel_advance(&fake_loop.timers, fake_loop.now_ms + i * (AGW_MCP_KEEPALIVE_MS + 1));
        assert_int_equal(fake_up_count, 2 + i);
        ending = &fake_ups[1 + i];
        assert_string_equal(ending->last_id, "last");
        fake_answer(ending, 200, SSE, NULL, NULL, false);
        if (i == 2)
            after_two = taken();
    }
    assert_int_equal(taken(), after_two);
    fake_close(&down, AGW_ERESET);
    finish();
}

static void a_slow_client_slows_the_target(void **state)
{
    join();
    call("one_t");
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    down.pending = AGW_STREAM_HIGH + 1;
    fake_more(&fake_ups[0], "data: {\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n\n");
    assert_int_equal(fake_ups[0].consumed, 0);
    down.pending = 0;
    down.stream.events->on_drain(&down.stream);
    assert_true(fake_ups[0].consumed > 0);
    fake_close(&down, AGW_ERESET);
    assert_true(fake_ups[0].reset);
    finish();
    assert_int_equal(down.report.close_code, AGW_ERESET);
}

static void requests_that_are_refused(void **state)
{
    static const struct {
        const char *session, *body;
        int status;
    } cases[] = {
        {"", CALLED, 400},
        {"", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", 400},
        {"nonsense", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", 404},
        {"", "", 400},
        {"", "[]", 400},
        {"", "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(session, sizeof session, "%s", cases[i].session);
        ask(AGW_METHOD_POST, cases[i].body);
        assert_int_equal(fake_up_count, 0);
        assert_int_equal(down.status, cases[i].status);
        finish();
    }
    session[0] = 0;
    ask(AGW_METHOD_PUT, NULL);
    assert_int_equal(down.status, 405);
    finish();
    fake_down_init(&down);
    fake_header(&down, "mcp-protocol-version", "2099-01-01");
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, "",
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}");
    assert_int_equal(down.status, 400);
    assert_non_null(strstr(down.body, "-32022"));
    finish();
}

#define DISCOVER                                                                                             \
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"server/discover\",\"params\":{\"_meta\":{"                   \
    "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                                            \
    "\"io.modelcontextprotocol/clientCapabilities\":{}}}}"

static void one_modern_target_is_passed_through(void **state)
{
    conf.count = 1;
    fake_down_init(&down);
    fake_header(&down, "mcp-protocol-version", "2026-07-28");
    fake_header(&down, "mcp-method", "server/discover");
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, "", DISCOVER);
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].version, "2026-07-28");
    assert_string_equal(fake_ups[0].session, "");
    fake_answer(&fake_ups[0], 200, JSON, NULL, CALLED, true);
    assert_answer(200, CALLED);
    finish();
}

/* --- memory runs out --- */

static void walk_initialize(void)
{
    session[0] = 0;
    ask(AGW_METHOD_POST, INIT);
    for (unsigned i = 0; i < fake_up_count; i++)
        fake_answer(&fake_ups[i], 200, i ? SSE : JSON, "s",
                    i ? "data: " INIT_RESULT("2025-03-26", ALL_CAPS) "\n\n"
                      : INIT_RESULT("2025-06-18", ALL_CAPS),
                    true);
}

static void walk_call(void)
{
    ask(AGW_METHOD_POST,
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"resources/read\",\"params\":{\"uri\":\"two+m:1\"}}");
    if (fake_up_count == 0)
        return;
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[0], "id: 1\ndata: \n\n");
    fake_more(&fake_ups[0], "id: 2\ndata: {\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"roots/list\"}\n\n");
    fake_more(&fake_ups[0],
              "data: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"contents\":[{\"uri\":\"m:1\"}]}}\n\n");
    fake_end(&fake_ups[0]);
}

static void walk_list(void)
{
    ask(AGW_METHOD_POST, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}");
    for (unsigned i = 0; i < fake_up_count && i < FAKE_UPS; i++)
        fake_answer(
            &fake_ups[i], 200, JSON, NULL,
            "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"a\"}],\"nextCursor\":\"p\"}}",
            true);
}

static void walk_pages(void)
{
    ask(AGW_METHOD_POST,
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"a\"}}");
    for (unsigned i = 0; i < fake_up_count; i++)
        fake_answer(&fake_ups[i], 200, JSON, NULL,
                    i == 0   ? "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[],\"nextCursor\":\"p\"}}"
                    : i == 1 ? "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"a\"}]}}"
                             : "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[]}}",
                    true);
}

static void walk_get(void)
{
    ask(AGW_METHOD_GET, NULL);
    for (unsigned i = 0; i < fake_up_count; i++) {
        fake_answer(&fake_ups[i], 200, SSE, NULL, NULL, false);
        fake_more(&fake_ups[i], "id: 1\ndata: {\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"roots/list\"}\n\n");
    }
    for (unsigned i = 0; i < fake_up_count; i++)
        fake_end(&fake_ups[i]);
}

/* fake_request itself allocates the request's fields before the gateway sees it. */
static void exhaust(void (*walk)(void))
{
    char kept[sizeof session];
    snprintf(kept, sizeof kept, "%s", session);
    for (long n = 1;; n++) {
        snprintf(session, sizeof session, "%s", kept);
        fake_fail_from = n;
        walk();
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        fake_fail_from = 0;
        fake_turn();
        fake_close(&down, 0);
        for (unsigned i = 0; i < fake_up_count; i++)
            fake_break(&fake_ups[i], AGW_ERESET);
        fake_turn();
        for (unsigned i = 0; i < fake_up_count; i++)
            fake_break(&fake_ups[i], AGW_ERESET);
        fake_turn();
        assert_int_equal(agw_mcp_active(mcp), 0);
        assert_true(down.done || !fake_taken);
        fake_down_free(&down);
        if (!reached)
            break;
        assert_true(n < 2000);
    }
}

static void out_of_memory(void **state)
{
    exhaust(walk_initialize);
    join();
    exhaust(walk_call);
    exhaust(walk_list);
    exhaust(walk_get);
    conf.prefix = AGW_MCP_PREFIX_NEVER;
    exhaust(walk_pages);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(initialize_asks_all),
        CASE(a_version_we_do_not_know_becomes_our_newest),
        CASE(a_failed_target_ends_the_sessions_of_the_others),
        CASE(open_backends_do_without_it),
        CASE(calls_go_to_their_target),
        CASE(a_call_is_not_made_twice),
        CASE(a_stale_connection_is_tried_again),
        CASE(a_single_event_becomes_json),
        CASE(events_come_as_they_are_sent),
        CASE(a_stream_cut_short_is_an_error_or_to_be_resumed),
        CASE(http_errors_pass_as_they_are),
        CASE(an_expired_session_is_told_even_when_open),
        CASE(lists_are_joined_page_by_page),
        CASE(bare_names_find_their_owner),
        CASE(notifications_reach_all),
        CASE(an_answer_after_events_is_an_event),
        CASE(the_get_stream_joins_all),
        CASE(streams_that_are_opened_again_take_no_memory),
        CASE(old_keys_open_their_sessions),
        CASE(sessions_that_are_too_old_are_ended),
        CASE(a_slow_client_slows_the_target),
        CASE(requests_that_are_refused),
        CASE(one_modern_target_is_passed_through),
        CASE(out_of_memory),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
