/* What a server of old asks a client of 2026-07-28. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "eras.h"
#include "failmalloc.h"

static char asked_state[512];

/* Reads requestState of the answer. */
static void read_state(void)
{
    const char *at = strstr(down.body, "\"requestState\":\"");
    assert_non_null(at);
    snprintf(asked_state, sizeof asked_state, "%.*s", (int)strcspn(at + 16, "\""), at + 16);
}

static struct fake_up *asked(void)
{
    begin_call();
    fake_answer(&fake_ups[2], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[2], "data: " MESSAGE("7", "elicitation/create", "\"message\":\"who\"") "\n\n");
    assert_true(down.ended);
    assert_has("{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"resultType\":\"input_required\","
               "\"inputRequests\":{\"server\":{"
               "\"method\":\"elicitation/create\",\"params\":{\"message\":\"who\"}}},\"requestState\":\"");
    read_state();
    finish();
    assert_true(fake_ups[2].open); /* it waits */
    return &fake_ups[2];
}

/* The client comes back; the parked request stays among ups. */
static void answer(const char *authorization)
{
    static char body[1024];
    snprintf(
        body, sizeof body,
        MESSAGE(
            "3", "tools/call",
            "\"name\":\"t\",\"inputResponses\":{\"server\":{\"action\":\"decline\"}},\"requestState\":\"%s\","
            "\"_meta\":{\"progressToken\":\"p\"," VERSION "," CAPS "}"),
        asked_state);
    fake_down_init(&down);
    fake_header(&down, "mcp-protocol-version", "2026-07-28");
    fake_header(&down, "mcp-method", "tools/call");
    fake_header(&down, "mcp-name", "t");
    if (authorization)
        fake_header(&down, "authorization", authorization);
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL, body);
    fake_turn();
    fake_turn();
}

static void a_question_becomes_a_result_and_its_answer_goes_on(void **unused)
{
    struct fake_up *call = asked();
    answer(NULL);
    assert_int_equal(fake_up_count, 4);
    assert_string_equal(fake_ups[3].body, RESULT_OF("7", "\"action\":\"decline\""));
    assert_string_equal(fake_ups[3].session, "s1");
    fake_answer(&fake_ups[3], 202, NULL, NULL, NULL, true);
    fake_more(
        call,
        "data: "
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1}}\n\n");
    fake_turn();
    assert_has("\"progressToken\":\"p\"");
    fake_more(call, "data: " MESSAGE("8", "roots/list", "") "\n\n"); /* one more */
    fake_turn();
    assert_true(down.ended);
    assert_has("\"id\":3,\"result\":{\"resultType\":\"input_required\",\"inputRequests\":{\"server\":{"
               "\"method\":\"roots/list\"");
    read_state();
    finish();
    answer(NULL);
    assert_non_null(strstr(fake_ups[4].body, "\"id\":8,\"result\":{\"action\""));
    fake_answer(&fake_ups[4], 202, NULL, NULL, NULL, true);
    fake_more(call, "data: " CALLED("1") "\n\n");
    fake_turn();
    assert_string_equal(down.body, RESULT_OF("3", "\"resultType\":\"complete\",\"content\":[]"));
    finish();
    fake_end(call);
    fake_turn();
    answer(NULL); /* it is over */
    assert_has("-32602");
    finish();
}

static void nobody_answers_for_another(void **unused)
{
    struct fake_up *call = asked();
    answer("Bearer other");
    fake_turn();
    assert_has("-32602");
    assert_int_equal(fake_up_count, 3);
    finish();
    fake_break(call, AGW_ERESET);
    fake_turn();
}

static void a_result_that_did_not_wait_is_kept(void **unused)
{
    struct fake_up *call = asked();
    fake_more(call, "data: " CALLED("1") "\n\n");
    answer(NULL);
    assert_string_equal(down.body, RESULT_OF("3", "\"resultType\":\"complete\",\"content\":[]"));
    finish();
    fake_end(call);
    fake_turn();
}

static void a_broken_request_tells_who_waits(void **unused)
{
    struct fake_up *call = asked();
    answer(NULL);
    fake_answer(&fake_ups[3], 202, NULL, NULL, NULL, true);
    fake_break(call, AGW_ERESET);
    fake_turn();
    assert_true(down.ended);
    assert_int_equal(down.status, 502);
    finish();
}

static void patience_ends(void **unused)
{
    struct fake_up *call = asked();
    pass_time(AGW_MCP_PARKED_MS + 1);
    fake_turn();
    assert_true(call->reset);
    assert_non_null(strstr(fake_ups[3].body, "notifications/cancelled"));
    fake_answer(&fake_ups[3], 202, NULL, NULL, NULL, true);
    fake_turn();
}

static void walk_question(void)
{
    ask("tools/call", "t", CALL);
    for (unsigned i = 0; i < 3 && i < fake_up_count; i++) {
        fake_answer(&fake_ups[i],
                    i == 0   ? 400
                    : i == 1 ? 200
                             : 202,
                    i < 2 ? JSON : NULL, i == 1 ? "s1" : NULL,
                    i == 0   ? ERROR_OF("0", "-32022")
                    : i == 1 ? INITIALIZED("")
                             : NULL,
                    true);
        fake_turn();
    }
    if (fake_up_count < 4 || !fake_ups[3].open)
        return;
    fake_answer(&fake_ups[3], 200, SSE, NULL, NULL, false);
    fake_more(&fake_ups[3], "data: " MESSAGE("7", "roots/list", "") "\n\n");
    if (!down.ended || !strstr(down.body, "requestState"))
        return;
    read_state();
    if (fake_fail_from)
        return;
    finish();
}

static void walk_answer(void)
{
    long n = fake_fail_from;
    fake_fail_from = 0;
    walk_question();
    fake_fail_from = n;
    answer(NULL);
    fake_more(&fake_ups[3], "data: " CALLED("1") "\n\n");
    fake_turn();
}

static void memory_may_run_out(void **state)
{
    static void (*const walks[])(void) = {walk_question, walk_answer};
    for (size_t w = 0; w < sizeof walks / sizeof walks[0]; w++) {
        for (long n = 1;; n++) {
            agw_mcp_free(mcp);
            mcp = agw_mcp_new(&fake_loop, NULL, NULL, eras_key);
            fake_fail_from = n;
            walks[w]();
            bool reached = failmalloc_count() >= n;
            fake_fail_from = 0;
            failmalloc_at(0);
            fake_turn();
            fake_close(&down, AGW_ECANCELED);
            fake_turn();
            for (unsigned i = 0; i < fake_up_count; i++)
                if (fake_ups[i].open)
                    fake_break(&fake_ups[i], AGW_ERESET);
            fake_turn();
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
        CASE(a_question_becomes_a_result_and_its_answer_goes_on),
        CASE(nobody_answers_for_another),
        CASE(a_result_that_did_not_wait_is_kept),
        CASE(a_broken_request_tells_who_waits),
        CASE(memory_may_run_out),
        CASE(patience_ends), /* the wheel does not turn back */
    };
    return cmocka_run_group_tests(tests, eras_group_setup, eras_group_teardown);
}
