/* Targets of one era for clients of the other: what goes where, what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "eras.h"
#include "failmalloc.h"

/* --- a client of 2026-07-28, a server of old --- */

static void a_session_is_kept_for_the_client(void **state)
{
    ask("tools/call", "t", CALL);
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].rpc_method, "server/discover");
    assert_string_equal(fake_ups[0].version, "2026-07-28");
    fake_answer(&fake_ups[0], 400, JSON, NULL, ERROR_OF("null", "-32000"), true);
    open_session(1, "s1", "\"tools\":{}");
    assert_int_equal(fake_up_count, 4);
    assert_string_equal(fake_ups[3].session, "s1");
    assert_string_equal(fake_ups[3].rpc_method, "");
    assert_string_equal(fake_ups[3].rpc_name, "");
    assert_string_equal(fake_ups[3].body, MESSAGE("1", "tools/call", "\"name\":\"t\",\"_meta\":{}"));
    fake_answer(&fake_ups[3], 200, JSON, NULL, CALLED("1"), true);
    assert_string_equal(down.body, RESULT_OF("2", "\"resultType\":\"complete\",\"content\":[]"));
    finish();
    ask("tools/call", "t", CALL); /* neither asked nor initialized again */
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].session, "s1");
    assert_string_equal(fake_ups[0].body, MESSAGE("2", "tools/call", "\"name\":\"t\",\"_meta\":{}"));
    fake_answer(&fake_ups[0], 200, JSON, NULL, CALLED("2"), true);
    assert_int_equal(down.status, 200);
    finish();
}

/* What a server says to a method that it does not know, and whether it is of old. */
static void the_probe_reads_what_servers_say(void **state)
{
    static const struct {
        int status;
        const char *body;
        bool old;
    } cases[] = {
        {400, ERROR_OF("null", "-32000"), true},
        {404, ERROR_OF("0", "-32601"), true},
        {405, "no", true},
        {200, ERROR_OF("0", "-32601"), true},
        {200, ERROR_OF("0", "-32602"), true},
        {400, ERROR_OF("0", "-32022"), true},
        {200, RESULT_OF("0", "\"supportedVersions\":[\"2025-11-25\"]"), true},
        {401, "who?", false},
        {500, "no", false},
        {400, ERROR_OF("0", "-32020"), false},
        {200, ERROR_OF("0", "-32603"), false},
        {200, "no JSON", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        agw_mcp_free(mcp);
        begin_endpoint();
        ask("tools/call", "t", CALL);
        fake_answer(&fake_ups[0], cases[i].status, JSON, NULL, cases[i].body, true);
        fake_turn();
        if (fake_up_count != (cases[i].old ? 2 : 1))
            fail_msg("case %zu: %u requests", i, fake_up_count);
        if (cases[i].old)
            fake_break(&fake_ups[1], AGW_EREFUSED);
        assert_true(down.ended);
        if (cases[i].status == 401)
            assert_string_equal(down.body, "who?");
        finish();
    }
}

static void a_modern_server_gets_the_request_as_it_is(void **state)
{
    ask("tools/call", "t", CALL);
    fake_answer(&fake_ups[0], 200, JSON, NULL, DISCOVERED, true);
    assert_int_equal(fake_up_count, 2);
    assert_string_equal(fake_ups[1].rpc_name, "t");
    assert_string_equal(fake_ups[1].body, CALL);
    fake_answer(&fake_ups[1], 200, JSON, NULL, CALLED("2"), true);
    assert_string_equal(down.body, CALLED("2"));
    finish();
    pass_time(AGW_MCP_ERA_DOUBT_MS);
    ask("tools/call", "t", CALL);
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].rpc_method, "tools/call");
    fake_answer(&fake_ups[0], 400, JSON, NULL, ERROR_OF("null", "-32000"),
                true); /* somebody rolled it back */
    finish();
    ask("tools/call", "t", CALL);
    assert_string_equal(fake_ups[0].rpc_method, "server/discover");
    fake_break(&fake_ups[0], AGW_EREFUSED);
    assert_int_equal(down.status, 503);
    finish();
}

static void discovery_is_answered_from_initialize(void **state)
{
    fake_era(mcp, &backend, false);
    ask("server/discover", NULL, ASK("server/discover", ""));
    open_session(0, "s1", "\"tools\":{},\"tasks\":{}");
    fake_turn();
    assert_int_equal(fake_up_count, 2);
    assert_string_equal(
        down.body, RESULT_OF("2", "\"supportedVersions\":[\"2026-07-28\",\"2025-11-25\"],"
                                  "\"capabilities\":{\"tools\":{}},\"instructions\":\"be kind\"," NO_HINTS
                                  ",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"o\","
                                  "\"version\":\"1\"}}"));
    finish();
}

static void a_forgotten_session_is_begun_anew(void **state)
{
    begin_call();
    fake_answer(&fake_ups[2], 404, JSON, NULL, ERROR_OF("null", "-32001"), true);
    open_session(3, "s2", "\"tools\":{}");
    assert_int_equal(fake_up_count, 6);
    assert_string_equal(fake_ups[5].session, "s2");
    fake_answer(&fake_ups[5], 404, JSON, NULL, ERROR_OF("null", "-32001"), true); /* once is enough */
    fake_turn();
    assert_int_equal(fake_up_count, 6);
    assert_true(down.ended);
    assert_has("-32001");
    finish();
}

static void callers_are_kept_apart(void **state)
{
    begin_call();
    fake_answer(&fake_ups[2], 200, JSON, NULL, CALLED("1"), true);
    finish();
    fake_reset();
    fake_down_init(&down);
    fake_header(&down, "mcp-protocol-version", "2026-07-28");
    fake_header(&down, "mcp-method", "tools/call");
    fake_header(&down, "mcp-name", "t");
    fake_header(&down, "authorization", "Bearer other");
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL, CALL);
    open_session(0, "s2", "\"tools\":{}");
    assert_string_equal(fake_ups[0].authorization, ""); /* is not the server's business */
    assert_string_equal(fake_ups[2].session, "s2");
    fake_answer(&fake_ups[2], 200, JSON, NULL, CALLED("1"), true);
    finish();
}

/* A token that was taken off the request and goes on all the same: with the gateway's own requests, too, and
 * to nobody else's session. */
static void tokens_that_were_taken_keep_callers_apart(void **state)
{
    static const struct agw_backend_auth through = {
        .passthrough = true, .passed = {"authorization", 13}, .prefix = {"Bearer ", 7}};
    fake_era(mcp, &backend, false);
    fake_auth = &through;
    for (unsigned i = 0; i < 3; i++) {
        fake_token = i == 1 ? AGW_STR("two") : AGW_STR("one");
        ask("tools/call", "t", CALL);
        if (i < 2)
            open_session(0, i ? "s2" : "s1", "\"tools\":{}");
        unsigned last = fake_up_count - 1;
        assert_int_equal(last, i < 2 ? 2 : 0);
        for (unsigned u = 0; u <= last; u++)
            assert_string_equal(fake_ups[u].authorization, i == 1 ? "Bearer two" : "Bearer one");
        assert_string_equal(fake_ups[last].session, i == 1 ? "s2" : "s1");
        fake_answer(&fake_ups[last], 200, JSON, NULL, CALLED("1"), true);
        finish();
    }
    fake_auth = NULL;
    fake_token = AGW_STR("");
}

static void an_unused_session_is_ended(void **state)
{
    begin_call();
    fake_answer(&fake_ups[2], 200, JSON, NULL, CALLED("1"), true);
    finish();
    for (int i = 0; i < 6; i++)
        pass_time(AGW_MCP_CALLER_IDLE_MS / 4);
    assert_int_equal(fake_up_count, 4);
    assert_int_equal(fake_ups[3].method, AGW_METHOD_DELETE);
    assert_string_equal(fake_ups[3].session, "s1");
    fake_answer(&fake_ups[3], 200, NULL, NULL, NULL, true);
    fake_turn();
}

static void progress_and_questions_on_the_way(void **state)
{
    fake_era(mcp, &backend, false);
    ask("tools/call", "t",
        MESSAGE("\"x\"", "tools/call",
                "\"name\":\"t\",\"_meta\":{\"progressToken\":\"p\",\"a/b\":1," VERSION "," CAPS "}"));
    open_session(0, "s1", "\"tools\":{}");
    assert_string_equal(
        fake_ups[2].body,
        MESSAGE("1", "tools/call", "\"name\":\"t\",\"_meta\":{\"progressToken\":1,\"a/b\":1}"));
    fake_answer(&fake_ups[2], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[2], "id: 1\ndata: \n\n");
    fake_more(&fake_ups[2], "data: "
                            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
                            "progress\",\"params\":{\"progressToken\":1,\"progress\":3}}\n\n");
    assert_string_equal(down.body, "event: message\ndata: "
                                   "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
                                   "progress\",\"params\":{\"progressToken\":\"p\",\"progress\":3}}\n\n");
    down.n = 0;
    down.body[0] = 0;
    fake_more(&fake_ups[2],
              "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n");
    fake_more(&fake_ups[2], "data: " MESSAGE("7", "ping", "") "\n\n"
                                                              "data: " MESSAGE("8", "tasks/get", "") "\n\n");
    assert_string_equal(down.body, ""); /* no log without a level; questions are answered here */
    assert_int_equal(fake_up_count, 5);
    assert_string_equal(fake_ups[3].body, RESULT_OF("7", ""));
    assert_string_equal(fake_ups[3].session, "s1");
    assert_non_null(strstr(fake_ups[4].body, "\"id\":8,\"error\":{\"code\":-32601"));
    for (int i = 3; i < 5; i++)
        fake_answer(&fake_ups[i], 202, NULL, NULL, NULL, true);
    fake_more(&fake_ups[2], "data: " CALLED("1") "\n\n");
    assert_true(down.ended);
    assert_has(RESULT_OF("\"x\"", "\"resultType\":\"complete\",\"content\":[]"));
    fake_end(&fake_ups[2]);
    finish();
}

static void a_client_that_leaves_cancels(void **state)
{
    begin_call();
    fake_close(&down, AGW_ERESET);
    fake_turn();
    assert_true(fake_ups[2].reset);
    assert_int_equal(fake_up_count, 4);
    assert_non_null(strstr(fake_ups[3].body, "\"notifications/cancelled\",\"params\":{\"requestId\":1}"));
    fake_answer(&fake_ups[3], 202, NULL, NULL, NULL, true);
    fake_turn();
    fake_down_free(&down);
}

/* --- log levels of a client of 2026-07-28 --- */

#define LEVEL(level) "\"io.modelcontextprotocol/logLevel\":\"" level "\","
#define LOUD(level) MESSAGE("2", "tools/call", "\"name\":\"t\",\"_meta\":{" LEVEL(level) VERSION "," CAPS "}")
#define LOG(level)                                                                                           \
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"" level               \
    "\",\"data\":1}}"

/* What the server was told and is asked, each with the id that it has. */
static void expect_level(unsigned n, const char *id, const char *level)
{
    char want[128];
    snprintf(want, sizeof want, MESSAGE("%s", "logging/setLevel", "\"level\":\"%s\""), id, level);
    assert_string_equal(fake_ups[n].body, want);
    assert_string_equal(fake_ups[n].session, "s1");
}

static void a_level_is_set_on_the_session_once(void **state)
{
    fake_era(mcp, &backend, false);
    ask("tools/call", "t", LOUD("warning"));
    open_session(0, "s1", "\"tools\":{},\"logging\":{}");
    assert_int_equal(fake_up_count, 3);
    expect_level(2, "1", "warning");
    fake_answer(&fake_ups[2], 200, JSON, NULL, RESULT_OF("1", ""), true);
    assert_int_equal(fake_up_count, 4);
    assert_string_equal(fake_ups[3].body, MESSAGE("2", "tools/call", "\"name\":\"t\",\"_meta\":{}"));
    fake_answer(&fake_ups[3], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[3], "data: " LOG("info") "\n\n");
    assert_string_equal(down.body, "");
    fake_more(&fake_ups[3], "data: " LOG("error") "\n\n");
    assert_string_equal(down.body, "event: message\ndata: " LOG("error") "\n\n");
    fake_more(&fake_ups[3], "data: " CALLED("2") "\n\n");
    fake_end(&fake_ups[3]);
    finish();
    ask("tools/call", "t", LOUD("error")); /* gets less of what comes anyway */
    assert_int_equal(fake_up_count, 1);
    fake_answer(&fake_ups[0], 200, JSON, NULL, CALLED("3"), true);
    finish();
    ask("tools/call", "t", LOUD("debug"));
    expect_level(0, "4", "debug");
    fake_answer(&fake_ups[0], 500, JSON, NULL, ERROR_OF("null", "-32603"),
                true); /* is no reason not to ask */
    assert_int_equal(fake_up_count, 2);
    fake_answer(&fake_ups[1], 200, JSON, NULL, CALLED("5"), true);
    assert_has("\"id\":2,\"result\"");
    finish();
}

static void a_session_forgotten_at_the_level_is_begun_anew(void **state)
{
    fake_era(mcp, &backend, false);
    ask("tools/call", "t", LOUD("info"));
    open_session(0, "s0", "\"logging\":{}");
    fake_answer(&fake_ups[2], 404, JSON, NULL, ERROR_OF("null", "-32001"), true);
    open_session(3, "s1", "\"logging\":{}");
    expect_level(5, "1", "info");
    fake_answer(&fake_ups[5], 200, JSON, NULL, RESULT_OF("1", ""), true);
    fake_answer(&fake_ups[6], 200, JSON, NULL, CALLED("2"), true);
    assert_int_equal(down.status, 200);
    finish();
    pass_time(1);
    ask("tools/call", "t", LOUD("debug"));
    expect_level(0, "3", "debug");
    fake_break(&fake_ups[0], AGW_ERESET); /* the server itself is gone */
    assert_int_equal(down.status, 502);
    finish();
}

static void servers_without_log_are_told_no_level(void **state)
{
    fake_era(mcp, &backend, false);
    ask("tools/call", "t", LOUD("debug"));
    open_session(0, "s1", "\"tools\":{}");
    assert_int_equal(fake_up_count, 3);
    assert_non_null(strstr(fake_ups[2].body, "tools/call"));
    fake_answer(&fake_ups[2], 200, JSON, NULL, CALLED("1"), true);
    finish();
}

static void removed_methods_are_not_asked_for(void **state)
{
    static const char *const methods[] = {"ping", "logging/setLevel", "resources/subscribe"};
    for (int i = 0; i < 3; i++) {
        char body[256];
        fake_era(mcp, &backend, false);
        snprintf(body, sizeof body, ASK("%s", ""), methods[i]);
        ask(methods[i], NULL, body);
        if (i == 0)
            open_session(0, "s1", "");
        fake_turn();
        assert_has("-32601");
        finish();
    }
}

/* --- a client of old, a server of 2026-07-28 --- */

/* |status|, |body|: what it says to `initialize`. */
static void join_new(int status, const char *body)
{
    conf.targets = targets + 1;
    post(INIT);
    assert_int_equal(fake_up_count, 1);
    fake_answer(&fake_ups[0], status, JSON, NULL, body, true);
    assert_int_equal(fake_up_count, 2);
    assert_string_equal(fake_ups[1].version, "2026-07-28");
    assert_string_equal(fake_ups[1].rpc_method, "server/discover");
    assert_string_equal(fake_ups[1].body, MESSAGE("0", "server/discover", "\"_meta\":{" CLIENT "}"));
    fake_answer(&fake_ups[1], 200, JSON, NULL, DISCOVERED, true);
    assert_string_equal(
        down.body,
        RESULT_OF("1",
                  "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{\"listChanged\":true}},"
                  "\"serverInfo\":{\"name\":\"new\",\"version\":\"unknown\"}"));
    snprintf(session, sizeof session, "%s", down.session);
    finish();
}

static void initialize_is_answered_from_discovery(void **state)
{
    join_new(400, ERROR_OF("1", "-32022"));
    session[0] = 0;
    post(INIT); /* known by now */
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].rpc_method, "server/discover");
    fake_answer(&fake_ups[0], 200, JSON, NULL, DISCOVERED, true);
    assert_int_equal(down.status, 200);
    finish();
}

static void a_refusal_of_both_is_the_first(void **state)
{
    conf.targets = targets + 1;
    post(INIT);
    fake_answer(&fake_ups[0], 200, JSON, NULL, ERROR_OF("1", "-32601"), true);
    fake_answer(&fake_ups[1], 400, JSON, NULL, "what?", true);
    assert_string_equal(down.body, ERROR_OF("1", "-32601"));
    finish();
    static const int statuses[] = {403, 400};
    for (int i = 0; i < 2; i++) {
        post(INIT);
        fake_answer(&fake_ups[0], statuses[i], JSON, NULL, ERROR_OF("null", "-32000"), true);
        if (i == 1)
            fake_answer(&fake_ups[1], 400, JSON, NULL, ERROR_OF("null", "-32000"), true);
        assert_int_equal(fake_up_count, i + 1);
        assert_int_equal(down.status, statuses[i]);
        assert_string_equal(down.body, ERROR_OF("null", "-32000"));
        finish();
    }
}

static void calls_say_who_asks(void **state)
{
    join_new(404, ERROR_OF("1", "-32601"));
    post(MESSAGE("5", "tools/call", "\"name\":\"t\",\"_meta\":{\"progressToken\":1}"));
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].version, "2026-07-28");
    assert_string_equal(fake_ups[0].session, "");
    assert_string_equal(fake_ups[0].rpc_method, "tools/call");
    assert_string_equal(fake_ups[0].rpc_name, "t");
    assert_string_equal(
        fake_ups[0].body,
        MESSAGE("5", "tools/call", "\"name\":\"t\",\"_meta\":{" CLIENT ",\"progressToken\":1}"));
    fake_answer(&fake_ups[0], 200, JSON, NULL,
                RESULT_OF("5", "\"content\":[],\"structuredContent\":[1],\"resultType\":\"complete\""), true);
    assert_string_equal(down.body, RESULT_OF("5", "\"content\":[],\"resultType\":\"complete\""));
    finish();
}

static void statuses_of_new_are_messages_of_old(void **state)
{
    static const struct {
        int status;
        const char *body, *answer;
        int got;
    } cases[] = {
        {404, ERROR_OF("5", "-32601"), ERROR_OF("5", "-32601"), 200},
        {400, ERROR_OF("null", "-32020"), ERROR_OF("5", "-32020"), 200},
        {401, "who?", "who?", 401},
        {403, ERROR_OF("null", "-32000"), ERROR_OF("null", "-32000"), 403},
        {404, "no page", "target new", 502}, /* not as if a session were gone */
    };
    join_new(405, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        post(MESSAGE("5", "tools/call", "\"name\":\"t\""));
        fake_answer(&fake_ups[0], cases[i].status, JSON, NULL, cases[i].body, true);
        assert_int_equal(down.status, cases[i].got);
        assert_has(cases[i].answer);
        finish();
    }
}

static void levels_of_a_session_go_with_each_request(void **state)
{
    join_new(400, ERROR_OF("1", "-32022"));
    post(MESSAGE("5", "logging/setLevel", "\"level\":\"loud\""));
    fake_turn();
    assert_has("-32602");
    finish();
    post(MESSAGE("5", "logging/setLevel", "\"level\":\"notice\""));
    fake_turn();
    assert_int_equal(fake_up_count, 0);
    assert_string_equal(down.body, RESULT_OF("5", ""));
    finish();
    post(MESSAGE("6", "tools/call", "\"name\":\"t\""));
    assert_string_equal(fake_ups[0].body,
                        MESSAGE("6", "tools/call",
                                "\"_meta\":{" CLIENT
                                ",\"io.modelcontextprotocol/logLevel\":\"notice\"},\"name\":\"t\""));
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[0], "data: " LOG("error") "\n\n");
    assert_string_equal(down.body, "event: message\ndata: " LOG("error") "\n\n");
    fake_more(&fake_ups[0], "data: " CALLED("6") "\n\n");
    fake_end(&fake_ups[0]);
    finish();
}

/* Another request of the same client, while |down| goes on. */
static void post_beside(struct fake_down *d, const char *body)
{
    fake_down_init(d);
    fake_request(mcp, d, &backend, AGW_METHOD_POST, session, body);
    fake_turn();
    fake_turn();
    assert_int_equal(d->status, 202);
    fake_close(d, 0);
    fake_turn();
    fake_down_free(d);
}

#define CANCEL(id)                                                                                           \
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":" id "}}"

static void a_cancelled_request_closes_the_servers_stream(void **state)
{
    static struct fake_down second;
    join_new(400, ERROR_OF("1", "-32022"));
    post(MESSAGE("\"q\"", "tools/call", "\"name\":\"t\""));
    post_beside(&second, CANCEL("\"r\""));
    post_beside(&second, CANCEL("7"));
    assert_false(fake_ups[0].reset);
    session[0] ^= 1; /* of somebody else: refused before it is heard */
    fake_down_init(&second);
    fake_request(mcp, &second, &backend, AGW_METHOD_POST, session, CANCEL("\"q\""));
    assert_int_equal(second.status, 404);
    fake_turn();
    fake_close(&second, 0);
    fake_turn();
    fake_down_free(&second);
    session[0] ^= 1;
    assert_false(fake_ups[0].reset);
    post_beside(&second, CANCEL("\"q\""));
    assert_true(fake_ups[0].reset);
    assert_int_equal(fake_up_count, 1);
    assert_true(down.ended);
    assert_string_equal(down.body, ""); /* nobody waits for an answer */
    finish();
}

static void what_the_server_cannot_hear_is_not_sent(void **state)
{
    join_new(400, ERROR_OF("1", "-32022"));
    post("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    fake_turn();
    assert_int_equal(down.status, 202);
    assert_int_equal(fake_up_count, 0);
    finish();
    post(MESSAGE("6", "logging/setLevel", "\"level\":\"info\""));
    fake_turn();
    assert_string_equal(down.body, RESULT_OF("6", ""));
    finish();
}

/* --- both of old --- */

static void join_old(void)
{
    post(INIT);
    fake_answer(&fake_ups[0], 200, JSON, "s1",
                RESULT_OF("1", "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{}}"), true);
    snprintf(session, sizeof session, "%s", down.session);
    finish();
}

/* The server has forgotten what ups[0] went over. */
static void renew(const char *sid)
{
    fake_answer(&fake_ups[0], 404, NULL, NULL, NULL, true);
    assert_int_equal(fake_up_count, 2);
    assert_string_equal(fake_ups[1].body,
                        MESSAGE("0", "initialize",
                                "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"roots\":{}},"
                                "\"clientInfo\":{\"name\":\"c\",\"version\":\"1\"}"));
    open_session(1, sid, "\"tools\":{}");
    assert_int_equal(fake_up_count, 4);
    assert_string_equal(fake_ups[3].session, sid);
}

#define OLD_CALL MESSAGE("5", "tools/call", "\"name\":\"t\"")

static void a_clients_session_is_renewed(void **state)
{
    join_old();
    post(OLD_CALL);
    assert_string_equal(fake_ups[0].session, "s1");
    renew("s2");
    assert_string_equal(fake_ups[3].body, OLD_CALL);
    fake_answer(&fake_ups[3], 200, JSON, NULL, CALLED("5"), true);
    assert_string_equal(down.body, CALLED("5"));
    finish();
    post("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"); /* known by now */
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].session, "s2");
    renew("s3"); /* and forgotten again */
    fake_answer(&fake_ups[3], 202, NULL, NULL, NULL, true);
    assert_int_equal(down.status, 202);
    finish();
    fake_reset();
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, AGW_METHOD_DELETE, session, NULL);
    assert_string_equal(fake_ups[0].session, "s3");
    fake_answer(&fake_ups[0], 200, NULL, NULL, NULL, true);
    finish();
    post(OLD_CALL); /* who has ended it must begin anew */
    assert_string_equal(fake_ups[0].session, "s1");
    fake_answer(&fake_ups[0], 404, NULL, NULL, NULL, true);
    assert_int_equal(fake_up_count, 1);
    assert_int_equal(down.status, 404);
    finish();
}

static void a_server_that_forgets_at_once_is_left_alone(void **state)
{
    join_old();
    post(OLD_CALL);
    renew("s2");
    fake_answer(&fake_ups[3], 404, JSON, NULL, "gone", true);
    fake_turn();
    assert_int_equal(fake_up_count, 4);
    assert_int_equal(down.status, 404);
    assert_string_equal(down.body, "gone");
    finish();
}

/* --- both at once --- */

static void one_list_of_both(void **state)
{
    conf.count = 2;
    ask("tools/list", NULL, ASK("tools/list", ""));
    assert_int_equal(fake_up_count, 2);
    fake_answer(&fake_ups[1], 200, JSON, NULL, DISCOVERED, true);
    fake_answer(&fake_ups[0], 404, JSON, NULL, ERROR_OF("0", "-32601"), true);
    assert_int_equal(fake_up_count, 4);
    assert_string_equal(fake_ups[2].host, "h2:82");
    fake_answer(&fake_ups[2], 200, JSON, NULL,
                RESULT_OF("2", "\"tools\":[{\"name\":\"b\"}],\"ttlMs\":9,\"cacheScope\":\"public\""), true);
    open_session(3, "s1", "\"tools\":{}");
    fake_answer(&fake_ups[5], 200, JSON, NULL, RESULT_OF("1", "\"tools\":[{\"name\":\"a\"}]"), true);
    assert_int_equal(down.status, 200);
    assert_has("[{\"name\":\"old_a\"},{\"name\":\"new_b\"}]," NO_HINTS);
    finish();
}

/* --- memory runs out --- */

static void answer_all(const char *last)
{
    for (unsigned i = 0; i < fake_up_count; i++) {
        bool probe = !strcmp(fake_ups[i].rpc_method, "server/discover");
        bool level = strstr(fake_ups[i].body, "setLevel") != NULL;
        bool opening = strstr(fake_ups[i].body, "\"initialize\"") != NULL;
        bool told = strstr(fake_ups[i].body, "notifications/") != NULL;
        if (!fake_ups[i].open)
            continue;
        fake_answer(&fake_ups[i],
                    probe  ? 400
                    : told ? 202
                           : 200,
                    told ? NULL : JSON, opening ? "s1" : NULL,
                    probe     ? ERROR_OF("0", "-32022")
                    : opening ? INITIALIZED("\"tools\":{},\"logging\":{}")
                    : told    ? NULL
                    : level   ? RESULT_OF("1", "")
                              : last,
                    true);
        fake_turn();
    }
}

static void walk_to_old(void)
{
    ask("tools/call", "t", CALL);
    answer_all(CALLED("1"));
}

static void walk_discover(void)
{
    ask("server/discover", NULL, ASK("server/discover", ""));
    answer_all("");
}

static void walk_refused(void)
{
    ask("tools/call", "t", CALL);
    if (fake_up_count)
        fake_answer(&fake_ups[0], 401, JSON, NULL, "who?", true);
}

static void walk_to_new(void)
{
    conf.targets = targets + 1;
    post(INIT);
    if (fake_up_count)
        fake_answer(&fake_ups[0], 400, JSON, NULL, ERROR_OF("1", "-32022"), true);
    if (fake_up_count > 1)
        fake_answer(&fake_ups[1], 200, JSON, NULL, DISCOVERED, true);
}

static void walk_call_new(void)
{
    conf.targets = targets + 1;
    post(MESSAGE("5", "tools/call", "\"name\":\"t\""));
    if (fake_up_count)
        fake_answer(&fake_ups[0], 404, JSON, NULL, ERROR_OF("5", "-32601"), true);
}

static void walk_renew(void)
{
    post(OLD_CALL);
    if (fake_up_count)
        fake_answer(&fake_ups[0], 404, JSON, NULL, "gone", true);
    fake_turn();
    answer_all(CALLED("5"));
}

static void walk_level(void)
{
    ask("tools/call", "t", LOUD("info"));
    answer_all(CALLED("1"));
}

static void walk_session_level(void)
{
    conf.targets = targets + 1;
    post(MESSAGE("5", "logging/setLevel", "\"level\":\"info\""));
    fake_turn();
}

static struct fake_down first; /* that is cancelled */

static void walk_cancel(void)
{
    long from = fake_fail_from;
    conf.targets = targets + 1;
    fake_reset();
    fake_down_init(&first);
    fake_fail_from = 0;
    fake_request(mcp, &first, &backend, AGW_METHOD_POST, session,
                 MESSAGE("6", "tools/call", "\"name\":\"t\""));
    fake_fail_from = from;
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, session, CANCEL("6"));
    fake_turn();
}

static void memory_may_run_out(void **state)
{
    static void (*const walks[])(void) = {walk_to_old, walk_discover,      walk_refused,
                                          walk_to_new, walk_call_new,      walk_renew,
                                          walk_level,  walk_session_level, walk_cancel};
    static char joined[1024], joined_old[1024];
    join_old();
    memcpy(joined_old, session, sizeof joined_old);
    session[0] = 0;
    join_new(404, ERROR_OF("1", "-32601"));
    memcpy(joined, session, sizeof joined);
    for (size_t w = 0; w < sizeof walks / sizeof walks[0]; w++) {
        for (long n = 1;; n++) {
            agw_mcp_free(mcp);
            begin_endpoint();
            conf.targets = targets;
            memcpy(session, joined, sizeof joined);
            if (walks[w] == walk_renew)
                memcpy(session, joined_old, sizeof joined_old);
            if (walks[w] == walk_to_new)
                session[0] = 0;
            fake_fail_from = n;
            walks[w]();
            bool reached = fake_end_walk(&down, n);
            if (walks[w] == walk_cancel) {
                fake_taken = true; /* the first was */
                fake_close(&first, 0);
                fake_turn();
                fake_down_free(&first);
            }
            assert_int_equal(agw_mcp_active(mcp), 0);
            fake_down_free(&down);
            if (!reached)
                break;
        }
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, eras_setup, eras_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_session_is_kept_for_the_client),
        CASE(the_probe_reads_what_servers_say),
        CASE(discovery_is_answered_from_initialize),
        CASE(a_forgotten_session_is_begun_anew),
        CASE(a_level_is_set_on_the_session_once),
        CASE(a_session_forgotten_at_the_level_is_begun_anew),
        CASE(servers_without_log_are_told_no_level),
        CASE(levels_of_a_session_go_with_each_request),
        CASE(a_cancelled_request_closes_the_servers_stream),
        CASE(callers_are_kept_apart),
        CASE(tokens_that_were_taken_keep_callers_apart),
        CASE(progress_and_questions_on_the_way),
        CASE(a_client_that_leaves_cancels),
        CASE(removed_methods_are_not_asked_for),
        CASE(initialize_is_answered_from_discovery),
        CASE(a_refusal_of_both_is_the_first),
        CASE(calls_say_who_asks),
        CASE(statuses_of_new_are_messages_of_old),
        CASE(what_the_server_cannot_hear_is_not_sent),
        CASE(a_clients_session_is_renewed),
        CASE(a_server_that_forgets_at_once_is_left_alone),
        CASE(one_list_of_both),
        CASE(memory_may_run_out),
        CASE(an_unused_session_is_ended),
        CASE(a_modern_server_gets_the_request_as_it_is), /* the wheel does not turn back */
    };
    return cmocka_run_group_tests(tests, eras_group_setup, eras_group_teardown);
}
