/* Targets that fail: what the client gets meanwhile, who is asked and who is not. */
#include "mcp/guard/circuit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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
static struct fake_down down;
static uint64_t skew_ms; /* a turn of the loop reads the clock: this is added when a client asks */

#define JSON "application/json"
#define META                                                                                                 \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                                 \
    "\"io.modelcontextprotocol/clientCapabilities\":{}}"
#define ASK(method, params)                                                                                  \
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"" method "\",\"params\":{" params META "}}"
#define RESULT(members) "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{" members "}}"
#define LIST ASK("tools/list", "")
#define TOOLS "\"tools\":[{\"name\":\"t\"}]"

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

/* A client of 2026-07-28 asks for tools. */
static void ask(const char *body)
{
    fake_reset();
    fake_down_init(&down);
    fake_loop.now_ms += skew_ms;
    fake_header(&down, "mcp-protocol-version", "2026-07-28");
    fake_header(&down, "mcp-method", "tools/list");
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

enum fault { NONE, DEAD, SLOW, GARBAGE, HTTP_ERROR, NO_METHOD };

static void answer(struct fake_up *u, enum fault fault)
{
    switch (fault) {
    case NONE:
        fake_answer(u, 200, JSON, NULL, RESULT(TOOLS), true);
        break;
    case DEAD:
        fake_break(u, AGW_EREFUSED);
        break;
    case SLOW:
        agw_timer_wheel_advance(&fake_loop.timers, fake_loop.now_ms + AGW_MCP_FANOUT_MS + 1);
        break;
    case GARBAGE:
        fake_answer(u, 200, JSON, NULL, "{\"nonsense", true);
        break;
    case HTTP_ERROR:
        fake_answer(u, 503, "text/html", NULL, "<html>", true);
        break;
    case NO_METHOD:
        fake_answer(u, 200, JSON, NULL,
                    "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32601,\"message\":\"no\"}}", true);
        break;
    }
}

/* Asks once more; |asked|: how many targets should be. The first is well, the second is not. */
static void round_of(enum fault fault, unsigned asked)
{
    ask(LIST);
    assert_int_equal(fake_up_count, asked);
    answer(&fake_ups[0], NONE);
    if (asked > 1)
        answer(&fake_ups[1], fault);
    fake_turn();
    assert_true(down.ended);
}

static void open_circuit(enum fault fault)
{
    for (int i = 0; i < AGW_MCP_CIRCUIT_FAILURES; i++) {
        round_of(fault, 2);
        finish();
    }
}

static void who_fails_again_and_again_is_not_asked(void **state)
{
    static const enum fault faults[] = {DEAD, SLOW, GARBAGE, HTTP_ERROR};
    conf.fail_open = true;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        backend.serial = 1 + i;
        open_circuit(faults[i]);
        round_of(NONE, 1);
        assert_int_equal(down.status, 200);
        assert_has("\"tools\":[{\"name\":\"one_t\"}],\"resultType\":\"complete\",\"ttlMs\":0");
        finish();
    }
}

static void who_answers_is_asked_again(void **state)
{
    static const enum fault faults[] = {NONE, NO_METHOD};
    conf.fail_open = true;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        for (int k = 0; k < 2 * AGW_MCP_CIRCUIT_FAILURES; k++) {
            round_of(faults[i], 2);
            assert_has("one_t");
            finish();
        }
    }
}

static void one_tries_after_a_while(void **state)
{
    conf.fail_open = true;
    open_circuit(DEAD);
    skew_ms = AGW_MCP_CIRCUIT_OPEN_MS + 1000;
    round_of(DEAD, 2);
    finish();
    round_of(NONE, 1);
    finish();
    skew_ms += 2 * AGW_MCP_CIRCUIT_OPEN_MS;
    round_of(NONE, 2);
    assert_has("two_t");
    finish();
    round_of(NONE, 2);
    finish();
}

static void closed_backends_fail_at_once(void **state)
{
    for (int i = 0; i < AGW_MCP_CIRCUIT_FAILURES; i++) {
        ask(LIST);
        answer(&fake_ups[1], SLOW);
        assert_int_equal(down.status, 504);
        finish();
    }
    ask(LIST);
    assert_int_equal(fake_up_count, 1);
    fake_turn();
    assert_int_equal(down.status, 504);
    assert_has("target two: timed out");
    finish();
}

static void who_makes_clients_leave_fails(void **state)
{
    conf.fail_open = true;
    for (int i = 0; i < 2 * AGW_MCP_CIRCUIT_FAILURES; i++) {
        ask(LIST);
        assert_int_equal(fake_up_count, 2);
        answer(&fake_ups[0], NONE);
        fake_close(&down, AGW_ERESET); /* at once: nobody's fault */
        fake_turn();
        fake_down_free(&down);
    }
    for (int i = 0; i < AGW_MCP_CIRCUIT_FAILURES; i++) {
        ask(LIST);
        assert_int_equal(fake_up_count, 2);
        answer(&fake_ups[0], NONE);
        fake_loop.now_ms += 6000;
        fake_close(&down, AGW_ERESET);
        fake_turn();
        fake_down_free(&down);
    }
    round_of(NONE, 1);
    finish();
    backend.serial++;
    assert_int_equal(agw_mcp_configure(mcp, &(struct agw_mcp_settings){.fanout_ms = 1000000}), 0);
    for (int i = 0; i < AGW_MCP_CIRCUIT_FAILURES; i++) { /* or a timeout of the route's */
        ask(LIST);
        answer(&fake_ups[0], NONE);
        agw_mcp_set_deadline(&down.stream, 6000);
        fake_loop.now_ms += 6001;
        agw_timer_wheel_advance(&fake_loop.timers, fake_loop.now_ms + 2 * AGW_MCP_FANOUT_MS);
        assert_int_equal(down.status, 504);
        finish();
    }
    round_of(NONE, 1);
    finish();
}

static void calls_go_to_their_target_all_the_same(void **state)
{
    conf.fail_open = true;
    open_circuit(DEAD);
    fake_reset();
    fake_down_init(&down);
    fake_header(&down, "mcp-protocol-version", "2026-07-28");
    fake_header(&down, "mcp-method", "tools/call");
    fake_header(&down, "mcp-name", "two_t");
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL, ASK("tools/call", "\"name\":\"two_t\","));
    assert_int_equal(fake_up_count, 1);
    finish();
}

static void warnings_are_for_those_who_want_them(void **state)
{
    static const struct {
        const char *level;
        bool told;
    } cases[] = {{"debug", true}, {"warning", true}, {"error", false}, {"loud", false}};
    char body[512];
    conf.fail_open = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(body, sizeof body,
                 "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\",\"params\":{\"_meta\":{"
                 "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
                 "\"io.modelcontextprotocol/clientCapabilities\":{},"
                 "\"io.modelcontextprotocol/logLevel\":\"%s\"}}}",
                 cases[i].level);
        ask(body);
        answer(&fake_ups[0], NONE);
        answer(&fake_ups[1], i % 2 ? GARBAGE : HTTP_ERROR);
        assert_true(down.ended);
        assert_has("{\"name\":\"one_t\"}");
        assert_int_equal(strstr(down.body, "\"level\":\"warning\"") != NULL, cases[i].told);
        if (cases[i].told)
            assert_has(i % 2
                           ? "\"target\":\"two\",\"missingFrom\":\"tools/list\",\"reason\":\"protocol error\""
                           : "\"reason\":\"it answered with an error\"");
        finish();
        backend.serial++;
    }
}

static void the_time_for_a_target_can_be_set(void **state)
{
    conf.fail_open = true;
    agw_mcp_configure(mcp, &(struct agw_mcp_settings){.fanout_ms = 50});
    ask(LIST);
    answer(&fake_ups[0], NONE);
    agw_timer_wheel_advance(&fake_loop.timers, fake_loop.now_ms + 51);
    assert_true(down.ended);
    assert_has("{\"name\":\"one_t\"}");
    finish();
}

static void memory_may_run_out(void **state)
{
    conf.fail_open = true;
    for (long n = 1;; n++) {
        fake_fail_from = n;
        ask(LIST);
        for (unsigned i = 0; i < fake_up_count; i++)
            if (fake_ups[i].open)
                answer(&fake_ups[i], i == 0 ? NONE : HTTP_ERROR);
        bool reached = failmalloc_count() >= n;
        fake_fail_from = 0;
        failmalloc_at(0);
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

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(who_fails_again_and_again_is_not_asked),
        CASE(who_answers_is_asked_again),
        CASE(one_tries_after_a_while),
        CASE(closed_backends_fail_at_once),
        CASE(who_makes_clients_leave_fails),
        CASE(calls_go_to_their_target_all_the_same),
        CASE(warnings_are_for_those_who_want_them),
        CASE(the_time_for_a_target_can_be_set),
        CASE(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
