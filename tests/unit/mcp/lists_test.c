/* Lists that are kept: whom they are served to, until when, and what is asked in their place. */
#include "mcp/cache/lists.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
static struct agw_backend backend = {
    .key = {"ns/tools", 8}, .name = {"ns/tools", 8}, .kind = AGW_BACKEND_MCP, .mcp = &conf};
static const unsigned char key[32] = {1, 2, 3};

static struct agw_mcp *mcp;
static struct fake_down down, stream;
static char session[1024];
static uint64_t skew_ms; /* a turn of the loop reads the clock: this is added when a client asks */

#define JSON "application/json"
#define SSE "text/event-stream"
#define META                                                                                                 \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                                 \
    "\"io.modelcontextprotocol/clientCapabilities\":{}}"
#define ASK(method, params)                                                                                  \
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"" method "\",\"params\":{" params META "}}"
#define RESULT(members) "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{" members "}}"
#define HINTS(ttl, scope) "\"resultType\":\"complete\",\"ttlMs\":" ttl ",\"cacheScope\":\"" scope "\""
#define TOOL(name) "{ \"x\":1.50,\"name\":\"" name "\" }"
#define TOOLS(name, ttl, scope) RESULT("\"tools\":[" TOOL(name) "]," HINTS(ttl, scope))
#define LIST ASK("tools/list", "")
#define CHANGED "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n"

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
    backend.serial = 1;
    skew_ms = 0;
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

/* A client of 2026-07-28, with one more field unless |name| is NULL. */
static void ask_as(const char *name, const char *value, const char *method, const char *body)
{
    fake_reset();
    fake_down_init(&down);
    fake_loop.now_ms += skew_ms;
    fake_header(&down, "mcp-protocol-version", "2026-07-28");
    fake_header(&down, "mcp-method", method);
    if (name)
        fake_header(&down, name, value);
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

static void answer_both(const char *one, const char *two)
{
    assert_int_equal(fake_up_count, 2);
    fake_answer(&fake_ups[0], 200, JSON, NULL, one, true);
    fake_answer(&fake_ups[1], 200, JSON, NULL, two, true);
    assert_int_equal(down.status, 200);
    finish();
}

/* Both targets are asked and answer. */
static void fill(void)
{
    ask_as(NULL, NULL, "tools/list", LIST);
    answer_both(TOOLS("a", "300000", "public"), TOOLS("b", "500000", "private"));
}

/* Who is asked, as bits. */
static unsigned asked_as(const char *name, const char *value)
{
    unsigned bits = 0;
    ask_as(name, value, "tools/list", LIST);
    for (unsigned i = 0; i < fake_up_count; i++)
        bits |= fake_ups[i].to == &endpoints[0] ? 1 : 2;
    finish();
    return bits;
}

static unsigned asked(void)
{
    return asked_as(NULL, NULL);
}

static void kept_lists_are_answered_at_once(void **state)
{
    fill();
    skew_ms = 100000;
    ask_as(NULL, NULL, "tools/list", LIST);
    assert_int_equal(fake_up_count, 0);
    assert_true(down.ended);
    assert_has("[{ \"x\":1.50,\"name\":\"one_a\" },{ \"x\":1.50,\"name\":\"two_b\" }],");
    assert_has("\"cacheScope\":\"private\"");
    const char *ttl = strstr(down.body, "\"ttlMs\":");
    assert_non_null(ttl);
    assert_in_range(strtoul(ttl + 8, NULL, 10), 190000, 200000);
    finish();
    ask_as(NULL, NULL, "tools/list", ASK("tools/list", "\"filter\":1,")); /* who knows what that means */
    assert_int_equal(fake_up_count, 2);
    finish();
}

static void each_goes_at_its_time(void **state)
{
    fill();
    skew_ms = 290000;
    assert_int_equal(asked(), 0);
    skew_ms = 300000;
    assert_int_equal(asked(), 1);
    skew_ms = 500000;
    assert_int_equal(asked(), 3);
}

static void private_ones_are_their_users_alone(void **state)
{
    fill();
    assert_int_equal(asked_as("cookie", "u=1"), 2);
    assert_int_equal(asked_as("x-anything", "1"), 3); /* it may be what makes the list */
    assert_int_equal(asked_as("traceparent", "1"), 0);
    assert_int_equal(asked_as("mcp-session-id", "1"), 0); /* goes no further */
}

static void a_new_configuration_asks_anew(void **state)
{
    fill();
    backend.serial = 2;
    assert_int_equal(asked(), 3);
}

static void nothing_is_kept_without_leave(void **state)
{
    static const char *const none[] = {RESULT("\"tools\":[]"), TOOLS("a", "0", "public"),
                                       TOOLS("a", "-1", "public"),
                                       RESULT("\"tools\":[],\"resultType\":\"input_required\",\"ttlMs\":9")};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        ask_as(NULL, NULL, "tools/list", LIST);
        answer_both(none[i], none[i]);
        assert_int_equal(asked(), 3);
    }
}

static void listen_and_change(const char *message)
{
    fake_reset();
    fake_down_init(&stream);
    fake_header(&stream, "mcp-protocol-version", "2026-07-28");
    fake_header(&stream, "mcp-method", "subscriptions/listen");
    fake_request(mcp, &stream, &backend, AGW_METHOD_POST, NULL,
                 ASK("subscriptions/listen", "\"notifications\":{\"toolsListChanged\":true},"));
    for (int i = 0; i < 2; i++) {
        fake_answer(&fake_ups[i], 200, SSE, NULL, NULL, false);
        fake_more(&fake_ups[i],
                  "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\","
                  "\"params\":{\"notifications\":{\"toolsListChanged\":true}}}\n\n");
    }
    fake_more(&fake_ups[1], message);
}

static void end_stream(void)
{
    fake_close(&stream, AGW_ERESET);
    fake_turn();
    fake_down_free(&stream);
}

static void what_has_changed_is_asked_for(void **state)
{
    fill();
    listen_and_change(CHANGED);
    end_stream();
    assert_int_equal(asked(), 2);
    ask_as(NULL, NULL, "tools/list", LIST);
    listen_and_change(CHANGED); /* while the list is on its way: it may be the old one */
    end_stream();
    finish();
    assert_int_equal(asked(), 2);
}

static void an_answer_from_before_the_change_is_not_kept(void **state)
{
    fill();
    listen_and_change(CHANGED);
    fake_down_init(&down);
    fake_header(&down, "mcp-protocol-version", "2026-07-28");
    fake_header(&down, "mcp-method", "tools/list");
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL, LIST);
    assert_int_equal(fake_up_count, 3);
    fake_more(&fake_ups[1], CHANGED);
    fake_answer(&fake_ups[2], 200, JSON, NULL, TOOLS("old", "500000", "public"), true);
    assert_true(down.ended);
    finish();
    end_stream();
    assert_int_equal(asked(), 2);
}

static void pages_are_kept_by_their_cursors(void **state)
{
    char body[512], *next, *end;
    ask_as(NULL, NULL, "tools/list", LIST);
    fake_answer(&fake_ups[0], 200, JSON, NULL,
                RESULT("\"tools\":[" TOOL("a") "],\"nextCursor\":\"c\"," HINTS("300000", "public")), true);
    fake_answer(&fake_ups[1], 200, JSON, NULL, TOOLS("b", "300000", "public"), true);
    assert_non_null(next = strstr(down.body, "\"nextCursor\":\""));
    assert_non_null(end = strchr(next + 14, '"'));
    snprintf(body, sizeof body, ASK("tools/list", "\"cursor\":\"%.*s\","), (int)(end - next - 14), next + 14);
    finish();
    ask_as(NULL, NULL, "tools/list", body);
    assert_int_equal(fake_up_count, 1);
    fake_answer(&fake_ups[0], 200, JSON, NULL, TOOLS("a2", "300000", "public"), true);
    finish();
    ask_as(NULL, NULL, "tools/list", body);
    assert_int_equal(fake_up_count, 0);
    assert_has("[{ \"x\":1.50,\"name\":\"one_a2\" }]");
    finish();
}

static void the_owner_of_a_bare_name_is_known(void **state)
{
    conf.prefix = AGW_MCP_PREFIX_NEVER;
    ask_as(NULL, NULL, "tools/list", LIST);
    fake_answer(&fake_ups[0], 200, JSON, NULL, TOOLS("a", "300000", "public"), true);
    fake_answer(&fake_ups[1], 200, JSON, NULL,
                RESULT("\"tools\":[" TOOL("b") "],\"nextCursor\":\"c\"," HINTS("300000", "public")), true);
    fake_turn();
    assert_int_equal(fake_up_count, 3);
    fake_answer(&fake_ups[2], 200, JSON, NULL, TOOLS("b2", "300000", "public"), true);
    fake_turn();
    assert_has("{ \"x\":1.50,\"name\":\"a\" },{ \"x\":1.50,\"name\":\"b\" },{ \"x\":1.50,\"name\":\"b2\" }");
    finish();
    ask_as("mcp-name", "b2", "tools/call", ASK("tools/call", "\"name\":\"b2\","));
    assert_int_equal(fake_up_count, 1); /* nobody was asked for lists */
    assert_string_equal(fake_ups[0].host, "h2:82");
    assert_string_equal(fake_ups[0].rpc_method, "tools/call");
    finish();
}

/* --- one target, with its own names --- */

#define ONE(id, ttl)                                                                                         \
    "{\"result\":{ \"_meta\":{\"x\":1e2},\"ttlMs\":" ttl                                                     \
    ",\"tools\":[" TOOL("a") "], \"cacheScope\":\"public\"} ,"                                               \
                             "\"id\":" id ",\"jsonrpc\":\"2.0\"}"

static void one_target_is_quoted(void **state)
{
    conf.count = 1;
    ask_as(NULL, NULL, "tools/list", LIST);
    assert_int_equal(fake_up_count, 1);
    fake_answer(&fake_ups[0], 200, JSON, NULL, ONE("2", "500000"), true);
    assert_string_equal(down.body, ONE("2", "500000"));
    finish();
    skew_ms = 550000; /* it is over; then anew */
    ask_as(NULL, NULL, "tools/list", LIST);
    assert_int_equal(fake_up_count, 1);
    fake_answer(&fake_ups[0], 200, JSON, NULL, ONE("2", "500000"), true);
    skew_ms = 0;
    finish();
    fake_reset();
    fake_down_init(&down);
    fake_loop.now_ms += 550000;
    fake_header(&down, "mcp-protocol-version", "2026-07-28");
    fake_header(&down, "mcp-method", "tools/list");
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL,
                 "{\"jsonrpc\":\"2.0\",\"id\":\"other\",\"method\":\"tools/list\",\"params\":{" META "}}");
    assert_int_equal(fake_up_count, 0);
    assert_string_equal(down.type, JSON);
    char *ttl = strstr(down.body, "\"ttlMs\":");
    assert_non_null(ttl);
    assert_in_range(strtoul(ttl + 8, NULL, 10), 490000, 500000);
    memcpy(ttl + 8, "500000", 6);
    assert_string_equal(down.body, ONE("\"other\"", "500000"));
    finish();
}

static void errors_of_one_target_are_not_kept(void **state)
{
    conf.count = 1;
    for (int i = 0; i < 2; i++) {
        ask_as(NULL, NULL, "tools/list", LIST);
        assert_int_equal(fake_up_count, 1);
        fake_answer(&fake_ups[0], 200, JSON, NULL,
                    "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-1,\"message\":\"\"}}", true);
        assert_has("\"code\":-1");
        finish();
        ask_as(NULL, NULL, "tools/list", LIST);
        fake_answer(&fake_ups[0], 503, "text/plain", NULL, "busy", true);
        assert_int_equal(down.status, 503);
        assert_has("busy");
        finish();
    }
}

/* --- sessions of older targets --- */

#define INIT                                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-"     \
    "18\","                                                                                                  \
    "\"capabilities\":{}}}"
#define INITIALIZED(caps)                                                                                    \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":" caps    \
    ",\"serverInfo\":{}}}"
#define OLD_LIST "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}"

/* Target one announces its changes, two has it for its tools alone. */
static void join(void)
{
    fake_reset();
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL, INIT);
    fake_answer(&fake_ups[0], 200, JSON, "s-one", INITIALIZED("{\"tools\":{\"listChanged\":true}}"), true);
    fake_answer(&fake_ups[1], 200, JSON, "s-two",
                INITIALIZED("{\"tools\":{\"listChanged\":true},\"prompts\":{}}"), true);
    snprintf(session, sizeof session, "%s", down.session);
    finish();
}

/* Who is asked for tools, as bits; they answer. Streams that are open stay so. */
static unsigned old_asked(void)
{
    unsigned bits = 0, before = fake_up_count;
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, session, OLD_LIST);
    for (unsigned i = before; i < fake_up_count; i++) {
        bits |= fake_ups[i].to == &endpoints[0] ? 1 : 2;
        fake_answer(&fake_ups[i], 200, JSON, NULL, RESULT("\"tools\":[" TOOL("a") "]"), true);
    }
    assert_true(down.ended);
    assert_has(RESULT("\"tools\":[{ \"x\":1.50,\"name\":\"one_a\" },{ \"x\":1.50,\"name\":\"two_a\" }]"));
    finish();
    return bits;
}

static void open_stream(void)
{
    fake_reset();
    fake_down_init(&stream);
    fake_request(mcp, &stream, &backend, AGW_METHOD_GET, session, NULL);
    assert_int_equal(fake_up_count, 2);
    fake_answer(&fake_ups[0], 200, SSE, NULL, NULL, false);
    fake_answer(&fake_ups[1], 200, SSE, NULL, NULL, false);
}

static void older_lists_are_kept_while_changes_would_be_heard(void **state)
{
    join();
    assert_int_equal(old_asked(), 3);
    assert_int_equal(old_asked(), 3);
    open_stream();
    assert_int_equal(old_asked(), 3);
    assert_int_equal(old_asked(), 2); /* it does not announce all that it has */
    fake_more(&fake_ups[0], CHANGED);
    assert_int_equal(old_asked(), 3);
    assert_int_equal(old_asked(), 2);
    fake_end(&fake_ups[0]);
    fake_turn();
    assert_int_equal(old_asked(), 3);
    end_stream();
}

static void another_session_has_lists_of_its_own(void **state)
{
    char mine[1024];
    join();
    open_stream();
    assert_int_equal(old_asked(), 3);
    assert_int_equal(old_asked(), 2);
    memcpy(mine, session, sizeof mine);
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL, INIT);
    unsigned n = fake_up_count;
    fake_answer(&fake_ups[n - 2], 200, JSON, "t-one", INITIALIZED("{\"tools\":{\"listChanged\":true}}"),
                true);
    fake_answer(&fake_ups[n - 1], 200, JSON, "t-two", INITIALIZED("{\"tools\":{}}"), true);
    snprintf(session, sizeof session, "%s", down.session);
    finish();
    assert_int_equal(old_asked(), 3);
    memcpy(session, mine, sizeof mine);
    assert_int_equal(old_asked(), 2);
    end_stream();
    assert_int_equal(old_asked(), 3);
}

static void fill_one(void)
{
    ask_as(NULL, NULL, "tools/list", LIST);
    fake_answer(&fake_ups[0], 200, JSON, NULL, TOOLS("a", "300000", "public"), true);
    finish();
}

static void memory_may_run_out(void **state)
{
    static void (*const fills[])(void) = {fill_one, fill};
    for (unsigned k = 0; k < 2; k++) {
        conf.count = k + 1;
        for (long n = 1;; n++) {
            fills[k]();
            fake_fail_from = n;
            ask_as(NULL, NULL, "tools/list", LIST);
            bool reached = failmalloc_count() >= n;
            fake_fail_from = 0;
            failmalloc_at(0);
            if (!reached)
                assert_int_equal(fake_up_count, 0);
            fake_turn();
            fake_close(&down, AGW_ECANCELED);
            fake_turn();
            assert_int_equal(agw_mcp_active(mcp), 0);
            fake_down_free(&down);
            backend.serial++;
            if (!reached)
                break;
        }
    }
}

/* --- tools that are found --- */

#define SEARCH(query) ASK("tools/call", "\"name\":\"search_tools\",\"arguments\":{\"query\":\"" query "\"},")
#define CALL(name) ASK("tools/call", "\"name\":\"call_tool\",\"arguments\":{\"name\":\"" name "\"},")

static void searched(void)
{
    static const struct agw_str pinned[] = {{"one_a", 5}};
    static const struct agw_mcp_tool_search search = {.pinned = pinned, .pinned_count = 1, .max_results = 5};
    static const struct agw_mcp_tool_rule rules[] = {{.target = 0, .pattern = {"*", 1}},
                                                     {.target = 1, .name = {"b", 1}, .title = {"Bee", 3}}};
    conf.search = &search;
    conf.rules = rules;
    conf.rule_count = 2;
}

/* What is marked for one answer must not be for the next. */
static void searches_read_kept_lists(void **state)
{
    searched();
    fill();
    for (int i = 0; i < 2; i++) {
        ask_as("mcp-name", "search_tools", "tools/call", SEARCH("bees"));
        assert_int_equal(fake_up_count, 0);
        assert_has("\"structuredContent\":{\"tools\":[{\"title\":\"Bee\", \"x\":1.50,\"name\":\"two_b\" }]}");
        finish();
        ask_as(NULL, NULL, "tools/list", LIST);
        assert_int_equal(fake_up_count, 0);
        assert_has("{ \"x\":1.50,\"name\":\"one_a\" }]");
        assert_null(strstr(down.body, "two_b"));
        finish();
    }
    ask_as("mcp-name", "call_tool", "tools/call", CALL("two_b"));
    assert_int_equal(fake_up_count, 1);
    assert_string_equal(fake_ups[0].host, "h2:82");
    assert_string_equal(fake_ups[0].rpc_name, "b");
    finish();
    listen_and_change(CHANGED);
    ask_as("mcp-name", "search_tools", "tools/call", SEARCH("bees"));
    assert_true(fake_up_count > 0);
    finish();
    end_stream();
}

static void memory_may_run_out_in_a_search(void **state)
{
    static const char *const names[] = {"search_tools", "call_tool"}, *const calls[] = {SEARCH("b"),
                                                                                        CALL("two_b")};
    searched();
    for (unsigned k = 0; k < 2; k++) {
        for (long n = 1;; n++) {
            fill();
            fake_fail_from = n;
            ask_as("mcp-name", names[k], "tools/call", calls[k]);
            bool reached = failmalloc_count() >= n;
            fake_fail_from = 0;
            failmalloc_at(0);
            if (!reached)
                assert_int_equal(fake_up_count, k);
            fake_turn();
            fake_close(&down, AGW_ECANCELED);
            fake_turn();
            assert_int_equal(agw_mcp_active(mcp), 0);
            fake_down_free(&down);
            backend.serial++;
            if (!reached)
                break;
        }
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(kept_lists_are_answered_at_once),
        CASE(each_goes_at_its_time),
        CASE(private_ones_are_their_users_alone),
        CASE(a_new_configuration_asks_anew),
        CASE(nothing_is_kept_without_leave),
        CASE(what_has_changed_is_asked_for),
        CASE(an_answer_from_before_the_change_is_not_kept),
        CASE(pages_are_kept_by_their_cursors),
        CASE(the_owner_of_a_bare_name_is_known),
        CASE(one_target_is_quoted),
        CASE(errors_of_one_target_are_not_kept),
        CASE(older_lists_are_kept_while_changes_would_be_heard),
        CASE(another_session_has_lists_of_its_own),
        CASE(memory_may_run_out),
        CASE(searches_read_kept_lists),
        CASE(memory_may_run_out_in_a_search),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
