/* Batches of 2025-03-26: every way through ends clean, also when memory runs out anywhere. */
#include "mcp/handler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "fake.h"
#include "failmalloc.h"
#include "mcp/exchange.h"

static const unsigned char key[32] = {4, 5, 6};

static struct agw_mcp *mcp;
static struct fake_down down;
static char session[1024];

#define INIT                                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-03-"     \
    "26\",\"capabilities\":{}}}"
#define INITED                                                                                               \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2025-03-26\",\"capabilities\":{"        \
    "\"tools\":{}},\"serverInfo\":{}}}"
#define CALL(id) "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}"
#define CALLED(id) "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"result\":{\"content\":[]}}"
#define NOTE "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/roots/list_changed\"}"
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

static void over(void)
{
    fake_close(&down, 0);
    fake_turn();
    fake_down_free(&down);
}

static int setup(void **state)
{
    fake_reset();
    mcp = agw_mcp_new(&fake_loop, NULL, NULL, key);
    if (!mcp)
        return -1;
    fake_down_init(&down);
    fake_request(mcp, &down, &fake_backend, AGW_METHOD_POST, NULL, INIT);
    fake_answer(&fake_ups[0], 200, "application/json", "s-one", INITED, true);
    fake_turn();
    snprintf(session, sizeof session, "%s", down.session);
    over();
    return session[0] ? 0 : -1;
}

static int teardown(void **state)
{
    for (int k = 0; k < 3; k++) {
        for (unsigned i = 0; i < fake_up_count; i++)
            fake_break(&fake_ups[i], AGW_ERESET);
        fake_turn();
    }
    assert_int_equal(agw_mcp_active(mcp), 0);
    agw_mcp_free(mcp);
    fake_turn();
    assert_int_equal(fake_loop.blocks.live, 0);
    return 0;
}

static void say(const char *body)
{
    fake_down_init(&down);
    fake_request(mcp, &down, &fake_backend, AGW_METHOD_POST, session, body);
    fake_turn();
}

static void answers_come_as_they_are_there(void **state)
{
    say("[" CALL(7) ", " CALL(8) "," NOTE "]");
    assert_int_equal(fake_up_count, 4);
    assert_string_equal(fake_ups[1].body, CALL(7));
    assert_string_equal(fake_ups[2].body, CALL(8));
    assert_string_equal(fake_ups[3].body, NOTE);
    fake_answer(&fake_ups[2], 200, "application/json", NULL, CALLED(8), true);
    fake_turn();
    assert_string_equal(down.body, EVENT(CALLED(8)));
    fake_answer(&fake_ups[3], 202, NULL, NULL, NULL, true);
    fake_turn();
    assert_false(down.ended);
    fake_answer(&fake_ups[1], 200, "text/event-stream", NULL, "data: " CALLED(7) "\n\n", true);
    fake_turn();
    fake_turn();
    assert_string_equal(down.body, EVENT(CALLED(8)) EVENT(CALLED(7)));
    assert_true(down.ended);
    over();
}

static void without_requests_there_is_no_answer(void **state)
{
    say("[" NOTE "," NOTE "]");
    for (int i = 1; i < 3; i++)
        fake_answer(&fake_ups[i], 202, NULL, NULL, NULL, true);
    fake_turn();
    fake_turn();
    assert_int_equal(down.status, 202);
    assert_true(down.ended);
    over();
}

static void the_client_leaves(void **state)
{
    say("[" CALL(7) "," CALL(8) "]");
    fake_answer(&fake_ups[1], 200, "application/json", NULL, CALLED(7), true);
    fake_turn();
    fake_close(&down, AGW_ERESET);
    fake_turn();
    fake_turn();
    assert_int_equal(agw_mcp_active(mcp), 0);
    assert_true(fake_ups[2].reset);
    fake_down_free(&down);
}

static void freed_while_it_runs(void **state)
{
    say("[" CALL(7) "," CALL(8) "]");
    agw_mcp_free(mcp);
    assert_true(down.reset);
    fake_down_free(&down);
    fake_turn();
    mcp = agw_mcp_new(&fake_loop, NULL, NULL, key);
}

static void no_memory(void **state)
{
    for (long n = 1;; n++) {
        fake_fail_from = n;
        say("[" CALL(7) "," CALL(8) "]");
        for (unsigned i = 1; i < fake_up_count; i++)
            if (!fake_ups[i].answered && !fake_ups[i].reset)
                fake_answer(&fake_ups[i], 200, "application/json", NULL, CALLED(7), true);
        fake_turn();
        fake_turn();
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        fake_fail_from = 0;
        fake_turn();
        fake_close(&down, 0);
        fake_turn();
        for (unsigned i = 1; i < fake_up_count; i++)
            fake_break(&fake_ups[i], AGW_ERESET);
        fake_turn();
        fake_turn();
        assert_int_equal(agw_mcp_active(mcp), 0);
        fake_down_free(&down);
        if (!reached)
            break;
        fake_reset();
        assert_true(n < 2000);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_come_as_they_are_there),
        TEST(without_requests_there_is_no_answer),
        TEST(the_client_leaves),
        TEST(freed_while_it_runs),
        TEST(no_memory),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
