/* Clients of 2026-07-28 over one target and over two: what goes where, what comes back. */
#include "mcp/handler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "fake.h"
#include "failmalloc.h"

static struct agw_endpoint endpoints[] = {{.key = {"one", 3}, .host = {"h1", 2}, .port = 81},
                                          {.key = {"two", 3}, .host = {"h2", 2}, .port = 82}};
static const struct agw_endpoint *first[] = {&endpoints[0]}, *second[] = {&endpoints[1]};
static struct agw_backend places[] = {
    {.key = {"ns/one", 6}, .kind = AGW_BACKEND_STATIC, .endpoints = first, .endpoint_count = 1},
    {.key = {"ns/two", 6}, .kind = AGW_BACKEND_STATIC, .endpoints = second, .endpoint_count = 1}};
static struct agw_mcp_target targets[] = {{{"one", 3}, &places[0], {"/mcp", 4}, AGW_MCP_STREAMABLE_HTTP},
                                          {{"two", 3}, &places[1], {"/x", 2}, AGW_MCP_STREAMABLE_HTTP}};
static struct agw_mcp_backend conf;
static const struct agw_backend backend = {
    .key = {"ns/tools", 8}, .name = {"ns/tools", 8}, .kind = AGW_BACKEND_MCP, .mcp = &conf};
static const unsigned char key[32] = {1, 2, 3};

static struct agw_mcp *mcp;
static struct fake_down down;

#define JSON "application/json"
#define SSE "text/event-stream"
#define META                                                                                                 \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                                 \
    "\"io.modelcontextprotocol/clientCapabilities\":{}}"
#define ASK(method, params)                                                                                  \
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"" method "\",\"params\":{" params META "}}"
#define RESULT(members) "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{" members "}}"
#define ERROR(code) "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":" code ",\"message\":\"no\"}}"
#define HINTS(ttl, scope) "\"resultType\":\"complete\",\"ttlMs\":" ttl ",\"cacheScope\":\"" scope "\""

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
    targets[0].protocol = AGW_MCP_STREAMABLE_HTTP;
    mcp = agw_mcp_new(&fake_loop, NULL, NULL, key);
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

static void begin(const char *method, const char *name)
{
    fake_reset();
    fake_down_init(&down);
    fake_header(&down, "mcp-protocol-version", "2026-07-28");
    fake_header(&down, "mcp-method", method);
    if (name)
        fake_header(&down, "mcp-name", name);
}

static void ask(const char *method, const char *name, const char *body)
{
    begin(method, name);
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL, body);
}

static void finish(void)
{
    fake_turn();
    fake_close(&down, 0);
    fake_turn();
    assert_true(down.done);
    fake_down_free(&down);
}

static void assert_has(const char *text)
{
    if (!strstr(down.body, text))
        fail_msg("%s is not in %s", text, down.body);
}

static void assert_error(int status, const char *code)
{
    assert_true(down.ended);
    assert_int_equal(down.status, status);
    assert_has(code);
}

/* --- what it says about itself --- */

static void requests_are_checked(void **state)
{
    static const struct {
        const char *version, *method, *name, *body, *code;
        int status;
    } cases[] = {
        {NULL, "tools/call", "one_t", ASK("tools/call", "\"name\":\"one_t\","), "-32020", 400},
        {"2025-11-25", "tools/call", "one_t", ASK("tools/call", "\"name\":\"one_t\","), "-32020", 400},
        {"2026-07-28", NULL, "one_t", ASK("tools/call", "\"name\":\"one_t\","), "-32020", 400},
        {"2026-07-28", "tools/list", "one_t", ASK("tools/call", "\"name\":\"one_t\","), "-32020", 400},
        {"2026-07-28", "tools/call", "two_t", ASK("tools/call", "\"name\":\"one_t\","), "-32020", 400},
        {"2026-07-28", "tools/call", NULL, ASK("tools/call", "\"name\":\"one_t\","), "-32020", 400},
        {"2026-07-28", "tools/list", NULL, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}",
         "-32602", 400},
        {"2026-07-28", "ping", NULL, ASK("ping", ""), "-32601", 404},
        {"2026-07-28", "initialize", NULL, ASK("initialize", ""), "-32601", 404},
        {"2026-07-28", "logging/setLevel", NULL, ASK("logging/setLevel", ""), "-32601", 404},
        {"2026-07-28", "resources/subscribe", NULL, ASK("resources/subscribe", "\"uri\":\"one+a:b\","),
         "-32601", 404},
        {"2026-07-28", "x/y", NULL, ASK("x/y", ""), "-32601", 404},
        {"2026-07-28", NULL, NULL, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}", "-32600", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_reset();
        fake_down_init(&down);
        if (cases[i].version)
            fake_header(&down, "mcp-protocol-version", cases[i].version);
        if (cases[i].method)
            fake_header(&down, "mcp-method", cases[i].method);
        if (cases[i].name)
            fake_header(&down, "mcp-name", cases[i].name);
        fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL, cases[i].body);
        assert_int_equal(fake_up_count, 0);
        assert_error(cases[i].status, cases[i].code);
        finish();
    }
}

static void another_revision_is_refused_by_name(void **state)
{
    fake_down_init(&down);
    fake_header(&down, "mcp-protocol-version", "2099-01-01");
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL,
                 "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\",\"params\":{\"_meta\":{"
                 "\"io.modelcontextprotocol/protocolVersion\":\"2099-01-01\","
                 "\"io.modelcontextprotocol/clientCapabilities\":{}}}}");
    assert_error(400, "-32022");
    assert_has("\"supported\":[\"2026-07-28\"],");
    assert_has("\"requested\":\"2099-01-01\"");
    finish();
}

/* --- one target --- */

static void calls_get_the_targets_own_names(void **state)
{
    ask("tools/call", "two_t", ASK("tools/call", "\"name\":\"two_t\","));
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].host, "h2:82");
    assert_string_equal(fake_ups[0].version, "2026-07-28");
    assert_string_equal(fake_ups[0].session, "");
    assert_string_equal(fake_ups[0].rpc_method, "tools/call");
    assert_string_equal(fake_ups[0].rpc_name, "t");
    assert_string_equal(fake_ups[0].body, ASK("tools/call", "\"name\":\"t\","));
    fake_answer(
        &fake_ups[0], 200, JSON, NULL,
        RESULT("\"resultType\":\"input_required\",\"inputRequests\":{\"a\":{\"method\":\"roots/list\"}},"
               "\"requestState\":\"opaque\""),
        true);
    assert_true(down.ended);
    assert_string_equal(down.body,
                        RESULT("\"resultType\":\"input_required\",\"inputRequests\":{\"a\":{\"method\":"
                               "\"roots/list\"}},\"requestState\":\"opaque\""));
    finish();
}

static void names_that_no_field_holds_are_coded(void **state)
{
    ask("resources/read", "=?base64?b25lK2E6w6Q=?=", ASK("resources/read", "\"uri\":\"one+a:\xc3\xa4\","));
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].rpc_name, "=?base64?YTrDpA==?=");
    finish();
}

static void a_targets_status_is_passed_on(void **state)
{
    ask("tools/call", "one_t", ASK("tools/call", "\"name\":\"one_t\","));
    fake_answer(&fake_ups[0], 400, JSON, NULL, ERROR("-32021"), true);
    assert_error(400, "-32021");
    finish();
}

static void servers_may_not_ask_on_the_stream(void **state)
{
    ask("tools/call", "one_t", ASK("tools/call", "\"name\":\"one_t\","));
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[0], "data: {\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"roots/list\"}\n\n");
    assert_error(502, "-32603");
    finish();
}

static void event_ids_stay_here(void **state)
{
    ask("tools/call", "one_t", ASK("tools/call", "\"name\":\"one_t\","));
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[0],
              "id: 1\ndata:\n\nid: 2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n");
    assert_has("notifications/message");
    assert_null(strstr(down.body, "id: "));
    fake_more(&fake_ups[0], "data: " RESULT("\"resultType\":\"complete\"") "\n\n");
    assert_true(down.ended);
    fake_end(&fake_ups[0]);
    finish();
}

/* --- lists --- */

/* The client's go to no target, unless they are passed through; the target's own count before what all get.
 */
static void credentials_reach_whom_they_are_for(void **state)
{
    static const struct agw_credential mine = {{"authorization", 13}, {"Bearer one", 10}};
    static const struct agw_backend_auth own = {.v = &mine, .count = 1}, missing = {.missing = true},
                                         through = {.passthrough = true,
                                                    .passed = {"authorization", 13},
                                                    .prefix = {"Bearer ", 7}};
    targets[0].auth = &own;
    ask("tools/list", NULL, ASK("tools/list", ""));
    assert_string_equal(fake_ups[0].authorization, "Bearer one");
    assert_string_equal(fake_ups[1].authorization, "");
    assert_false(fake_ups[0].cookie || fake_ups[1].cookie);
    finish();
    fake_auth = &through;
    ask("tools/list", NULL, ASK("tools/list", ""));
    assert_string_equal(fake_ups[0].authorization, "Bearer one");
    assert_string_equal(fake_ups[1].authorization, "Bearer me");
    assert_false(fake_ups[0].cookie || fake_ups[1].cookie);
    finish();
    targets[0].auth = NULL;
    fake_auth = &missing;
    ask("tools/list", NULL, ASK("tools/list", ""));
    fake_turn();
    assert_int_equal(fake_up_count, 0); /* nobody is asked without */
    assert_true(down.ended && down.status >= 500);
    finish();
    fake_auth = NULL;
}

static void lists_say_how_long_they_hold(void **state)
{
    ask("tools/list", NULL, ASK("tools/list", ""));
    assert_int_equal(fake_up_count, 2);
    assert_string_equal(fake_ups[0].rpc_method, "tools/list");
    fake_answer(&fake_ups[0], 200, JSON, NULL, RESULT("\"tools\":[{\"name\":\"a\"}]," HINTS("500", "public")),
                true);
    fake_answer(&fake_ups[1], 200, JSON, NULL, RESULT("\"tools\":[{\"name\":\"b\"}]," HINTS("90", "private")),
                true);
    assert_true(down.ended);
    assert_has("[{\"name\":\"one_a\"},{\"name\":\"two_b\"}]," HINTS("90", "private"));
    assert_has("\"io.modelcontextprotocol/serverInfo\":{\"name\":\"agentgateway\"");
    finish();
}

static void a_target_without_the_method_has_none(void **state)
{
    ask("prompts/list", NULL, ASK("prompts/list", ""));
    fake_answer(&fake_ups[0], 404, JSON, NULL, ERROR("-32601"), true);
    fake_answer(&fake_ups[1], 200, JSON, NULL,
                RESULT("\"prompts\":[{\"name\":\"b\"}]," HINTS("90", "public")), true);
    assert_int_equal(down.status, 200);
    assert_has("[{\"name\":\"two_b\"}]," HINTS("90", "public"));
    finish();
    ask("resources/list", NULL, ASK("resources/list", ""));
    fake_answer(&fake_ups[0], 404, JSON, NULL, ERROR("-32601"), true);
    fake_answer(&fake_ups[1], 200, JSON, NULL, ERROR("-32601"), true);
    assert_error(404, "-32601"); /* nobody has it */
    finish();
}

static void a_list_without_a_target_is_not_kept(void **state)
{
    conf.fail_open = true;
    ask("tools/list", NULL, ASK("tools/list", ""));
    fake_break(&fake_ups[0], AGW_EREFUSED);
    fake_answer(&fake_ups[1], 200, JSON, NULL, RESULT("\"tools\":[]," HINTS("90", "public")), true);
    assert_has("\"tools\":[]," HINTS("0", "public"));
    finish();
}

static void bare_names_are_looked_up(void **state)
{
    conf.prefix = AGW_MCP_PREFIX_NEVER;
    ask("tools/call", "b",
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"b\",\"_meta\":{"
        "\"progressToken\":5,\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
        "\"io.modelcontextprotocol/clientCapabilities\":{}}}}");
    assert_int_equal(fake_up_count, 2);
    assert_string_equal(fake_ups[0].body, ASK("tools/list", ""));
    assert_string_equal(fake_ups[0].rpc_method, "tools/list");
    assert_string_equal(fake_ups[0].rpc_name, "");
    fake_answer(&fake_ups[0], 200, JSON, NULL, RESULT("\"tools\":[]"), true);
    fake_answer(&fake_ups[1], 200, JSON, NULL, RESULT("\"tools\":[{\"name\":\"b\"}]"), true);
    fake_turn();
    assert_int_equal(fake_up_count, 3);
    assert_string_equal(fake_ups[2].host, "h2:82");
    assert_string_equal(fake_ups[2].rpc_method, "tools/call");
    assert_string_equal(fake_ups[2].rpc_name, "b");
    fake_answer(&fake_ups[2], 200, JSON, NULL, RESULT("\"content\":[]"), true);
    assert_true(down.ended);
    finish();
}

/* --- server/discover --- */

#define DISCOVERED(versions, caps, more)                                                                     \
    RESULT("\"supportedVersions\":[" versions "],\"capabilities\":{" caps "}," more HINTS("60", "public"))

static void discovery_is_merged(void **state)
{
    ask("server/discover", NULL, ASK("server/discover", ""));
    assert_int_equal(fake_up_count, 2);
    fake_answer(&fake_ups[0], 200, JSON, NULL,
                DISCOVERED("\"2026-07-28\",\"2025-11-25\"",
                           "\"tools\":{\"listChanged\":true},\"extensions\":{\"a/x\":{\"n\":1},\"a/y\":{},"
                           "\"io.modelcontextprotocol/tasks\":{}}",
                           "\"instructions\":\"be kind\","),
                true);
    fake_answer(
        &fake_ups[1], 200, JSON, NULL,
        DISCOVERED("\"2099-01-01\",\"2026-07-28\"",
                   "\"tools\":{},\"resources\":{\"subscribe\":true},\"completions\":{},\"extensions\":{\"a/"
                   "x\":{\"n\":2},\"a/z\":{\"k\":0}}",
                   ""),
        true);
    assert_int_equal(down.status, 200);
    assert_has("\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{\"listChanged\":true},"
               "\"resources\":{\"subscribe\":true},\"completions\":{},"
               "\"extensions\":{\"a/x\":{},\"a/y\":{},\"a/z\":{\"k\":0}}}");
    assert_has("[one]\\nbe kind");
    assert_has(HINTS("60", "public"));
    finish();
}

static void an_older_target_asks_for_initialize(void **state)
{
    static const struct {
        int status;
        const char *body;
    } cases[] = {{400, ERROR("-32000")}, {404, ERROR("-32601")},
                 {200, ERROR("-32601")}, {405, "no"},
                 {400, ERROR("-32022")}, {200, DISCOVERED("\"2025-11-25\"", "", "")}};
    conf.fail_open = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask("server/discover", NULL, ASK("server/discover", ""));
        fake_answer(&fake_ups[0], 200, JSON, NULL, DISCOVERED("\"2026-07-28\"", "", ""), true);
        fake_answer(&fake_ups[1], cases[i].status, JSON, NULL, cases[i].body, true);
        assert_error(400, "-32022");
        assert_has("\"supported\":[\"2025-11-25\",");
        finish();
    }
}

/* --- subscriptions/listen --- */

#define LISTEN(filter) ASK("subscriptions/listen", "\"notifications\":{" filter "},")
#define SUBSCRIPTION "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":2}"
#define ACK(filter)                                                                                          \
    "data: "                                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{" SUBSCRIPTION \
    ",\"notifications\":{" filter "}}}\n\n"
#define CHANGED                                                                                              \
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\",\"params\":{" SUBSCRIPTION "}}"
#define UPDATED(uri)                                                                                         \
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{" SUBSCRIPTION          \
    ",\"uri\":\"" uri "\"}}"

static void open_stream(unsigned up, const char *text)
{
    fake_answer(&fake_ups[up], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[up], text);
}

static void one_acknowledgement_for_all(void **state)
{
    ask("subscriptions/listen", NULL,
        LISTEN("\"toolsListChanged\":true,\"promptsListChanged\":true,\"resourceSubscriptions\":[\"two+m:1\","
               "\"nobody+m:1\",\"two+m:2\"]"));
    assert_int_equal(fake_up_count, 2);
    assert_string_equal(fake_ups[0].body, LISTEN("\"toolsListChanged\":true,\"promptsListChanged\":true"));
    assert_string_equal(
        fake_ups[1].body,
        LISTEN("\"toolsListChanged\":true,\"promptsListChanged\":true,\"resourceSubscriptions\":["
               "\"m:1\",\"m:2\"]"));
    open_stream(0, ACK("\"toolsListChanged\":true"));
    fake_more(&fake_ups[0], "data: " CHANGED "\n\n"); /* before the client may hear of it */
    assert_false(down.head);
    open_stream(1, ACK("\"resourceSubscriptions\":[\"m:2\"],\"resourcesListChanged\":true"));
    assert_string_equal(down.body,
                        "event: message\n" ACK("\"toolsListChanged\":true,\"resourceSubscriptions\":[\"two+m:"
                                               "2\"]") "event: message\ndata: " CHANGED "\n\n");
    down.n = 0;
    fake_more(&fake_ups[1], "id: 7\ndata: " UPDATED("m:2") "\n\n");
    assert_string_equal(down.body, "event: message\ndata: " UPDATED("two+m:2") "\n\n");
    assert_false(down.ended);
    fake_close(&down, AGW_ECANCELED); /* the client goes: so do the targets' streams */
    fake_turn();
    assert_true(fake_ups[0].reset && fake_ups[1].reset);
    fake_down_free(&down);
}

static void only_those_concerned_are_asked(void **state)
{
    ask("subscriptions/listen", NULL, LISTEN("\"resourceSubscriptions\":[\"two+m:1\"]"));
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].host, "h2:82");
    finish();
    ask("subscriptions/listen", NULL, LISTEN(""));
    assert_int_equal(fake_up_count, 0);
    assert_string_equal(down.body, "event: message\n" ACK(""));
    finish();
}

static enum agw_rule_answer is_one(const void *rule, const struct agw_caller *caller,
                                   const struct agw_mcp_access *access)
{
    return access->object == AGW_MCP_RESOURCE && agw_str_eq(access->name, AGW_STR("m:1")) ? AGW_RULE_YES
                                                                                          : AGW_RULE_NO;
}

/* A resource that may not be read is nobody's. */
static void what_may_not_be_read_is_not_listened_to(void **state)
{
    static const struct agw_access_rule deny = {AGW_RULE_DENY, is_one, NULL};
    static const struct agw_access_rules set = {&deny, 1};
    static const struct agw_access_rules *const sets[] = {&set};
    fake_rights = (struct agw_mcp_rights){.sets = sets, .count = 1};
    ask("subscriptions/listen", NULL, LISTEN("\"resourceSubscriptions\":[\"two+m:1\",\"two+m:2\"]"));
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].body, LISTEN("\"resourceSubscriptions\":[\"m:2\"]"));
    fake_rights = (struct agw_mcp_rights){0};
    finish();
}

static void one_that_knows_no_subscriptions_is_left_out(void **state)
{
    ask("subscriptions/listen", NULL, LISTEN("\"toolsListChanged\":true"));
    fake_answer(&fake_ups[0], 404, JSON, NULL, ERROR("-32601"), true);
    open_stream(1, ACK("\"toolsListChanged\":true"));
    assert_string_equal(down.body, "event: message\n" ACK("\"toolsListChanged\":true"));
    finish();
    ask("subscriptions/listen", NULL, LISTEN("\"toolsListChanged\":true"));
    fake_answer(&fake_ups[0], 404, JSON, NULL, ERROR("-32601"), true);
    fake_answer(&fake_ups[1], 404, JSON, NULL, ERROR("-32601"), true);
    assert_error(404, "-32601");
    finish();
}

static void a_dead_target_fails_it_or_not(void **state)
{
    ask("subscriptions/listen", NULL, LISTEN("\"toolsListChanged\":true"));
    fake_break(&fake_ups[0], AGW_EREFUSED);
    assert_error(503, "target one");
    finish();
    conf.fail_open = true;
    ask("subscriptions/listen", NULL, LISTEN("\"toolsListChanged\":true"));
    fake_break(&fake_ups[0], AGW_EREFUSED);
    open_stream(1, ACK("\"toolsListChanged\":true"));
    assert_string_equal(down.body, "event: message\n" ACK("\"toolsListChanged\":true"));
    finish();
}

static void pass_time(uint64_t ms)
{
    fake_loop.now_ms += ms;
    agw_timer_wheel_advance(&fake_loop.timers, fake_loop.now_ms);
}

static void a_stream_that_ended_is_opened_again(void **state)
{
    ask("subscriptions/listen", NULL, LISTEN("\"toolsListChanged\":true"));
    open_stream(0, ACK("\"toolsListChanged\":true"));
    open_stream(1, ACK("\"toolsListChanged\":true"));
    fake_end(&fake_ups[1]);
    assert_false(down.ended);
    down.n = 0;
    pass_time(AGW_MCP_KEEPALIVE_MS);
    assert_int_equal(fake_up_count, 3);
    assert_string_equal(fake_ups[2].host, "h2:82");
    open_stream(2, ACK("\"toolsListChanged\":true"));
    assert_non_null(strstr(down.body, "data: " CHANGED)); /* who knows what was missed */
    assert_null(strstr(down.body, "acknowledged"));
    finish();
}

static void silence_is_a_failure(void **state)
{
    ask("subscriptions/listen", NULL, LISTEN("\"toolsListChanged\":true"));
    open_stream(0, ACK("\"toolsListChanged\":true"));
    open_stream(1, ":\n\n");
    pass_time(AGW_MCP_FANOUT_MS);
    assert_error(504, "target two");
    finish();
}

static void filters_have_a_form_and_a_limit(void **state)
{
    static char body[8192];
    ask("subscriptions/listen", NULL, ASK("subscriptions/listen", ""));
    assert_error(200, "-32602");
    finish();
    ask("subscriptions/listen", NULL, LISTEN("\"resourceSubscriptions\":7"));
    assert_error(200, "-32602");
    finish();
    size_t n = (size_t)snprintf(body, sizeof body,
                                "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"subscriptions/listen\","
                                "\"params\":{" META ",\"notifications\":{\"resourceSubscriptions\":[");
    for (int i = 0; i < 257; i++)
        n += (size_t)snprintf(body + n, sizeof body - n, "%s\"one+a:%d\"", i ? "," : "", i);
    snprintf(body + n, sizeof body - n, "]}}}");
    ask("subscriptions/listen", NULL, body);
    assert_error(200, "256 at most");
    finish();
}

/* --- memory runs out --- */

static void walk_discover(void)
{
    ask("server/discover", NULL, ASK("server/discover", ""));
    for (unsigned i = 0; i < fake_up_count; i++)
        fake_answer(&fake_ups[i], 200, JSON, NULL,
                    DISCOVERED("\"2026-07-28\"", "\"tools\":{},\"extensions\":{\"a/x\":{}}",
                               "\"instructions\":\"x\","),
                    true);
}

static void walk_list(void)
{
    ask("tools/list", NULL, ASK("tools/list", ""));
    for (unsigned i = 0; i < fake_up_count; i++)
        fake_answer(&fake_ups[i], i ? 200 : 404, JSON, NULL,
                    i ? RESULT("\"tools\":[{\"name\":\"a\"}]") : ERROR("-32601"), true);
}

static void walk_call(void)
{
    ask("resources/read", "=?base64?b25lK2E6w6Q=?=", ASK("resources/read", "\"uri\":\"one+a:\xc3\xa4\","));
    if (fake_up_count)
        fake_answer(&fake_ups[0], 200, JSON, NULL, RESULT("\"contents\":[{\"uri\":\"a:b\"}]"), true);
}

static void walk_find(void)
{
    conf.prefix = AGW_MCP_PREFIX_NEVER;
    ask("tools/call", "b", ASK("tools/call", "\"name\":\"b\","));
    for (unsigned i = 0; i < fake_up_count; i++) {
        fake_answer(&fake_ups[i], 200, JSON, NULL,
                    i < 2 ? RESULT("\"tools\":[{\"name\":\"b\"}]") : RESULT(""), true);
        fake_turn();
    }
    conf.prefix = AGW_MCP_PREFIX_CONDITIONAL;
}

static void walk_listen(void)
{
    ask("subscriptions/listen", NULL,
        LISTEN("\"toolsListChanged\":true,\"resourceSubscriptions\":[\"one+m:1\",\"two+m:1\"]"));
    for (unsigned i = 0; i < fake_up_count && i < 2; i++) {
        open_stream(i, ACK("\"toolsListChanged\":true,\"resourceSubscriptions\":[\"m:1\"]"));
        fake_more(&fake_ups[i], "data: " CHANGED "\n\ndata: " UPDATED("m:1") "\n\n");
    }
}

static void walk_version(void)
{
    fake_reset();
    fake_down_init(&down);
    fake_header(&down, "mcp-protocol-version", "2099-01-01");
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL,
                 "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"x\"}");
}

static void memory_may_run_out(void **state)
{
    static void (*const walks[])(void) = {walk_discover, walk_list,   walk_call,
                                          walk_find,     walk_listen, walk_version};
    for (size_t w = 0; w < sizeof walks / sizeof walks[0]; w++) {
        for (long n = 1;; n++) {
            fake_fail_from = n;
            walks[w]();
            bool reached = fake_end_walk(&down, n); /* a probe of our own may be under way */
            assert_int_equal(agw_mcp_active(mcp), 0);
            fake_down_free(&down);
            if (!reached)
                break;
        }
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(requests_are_checked),
        CASE(another_revision_is_refused_by_name),
        CASE(calls_get_the_targets_own_names),
        CASE(names_that_no_field_holds_are_coded),
        CASE(a_targets_status_is_passed_on),
        CASE(servers_may_not_ask_on_the_stream),
        CASE(event_ids_stay_here),
        CASE(credentials_reach_whom_they_are_for),
        CASE(lists_say_how_long_they_hold),
        CASE(a_target_without_the_method_has_none),
        CASE(a_list_without_a_target_is_not_kept),
        CASE(bare_names_are_looked_up),
        CASE(discovery_is_merged),
        CASE(an_older_target_asks_for_initialize),
        CASE(one_acknowledgement_for_all),
        CASE(only_those_concerned_are_asked),
        CASE(what_may_not_be_read_is_not_listened_to),
        CASE(one_that_knows_no_subscriptions_is_left_out),
        CASE(a_dead_target_fails_it_or_not),
        CASE(a_stream_that_ended_is_opened_again),
        CASE(silence_is_a_failure),
        CASE(filters_have_a_form_and_a_limit),
        CASE(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
