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

/* --- a server of 2026-07-28 asks a client of old --- */

#define NEW_CALL MESSAGE("5", "tools/call", "\"name\":\"t\"")
#define QUESTIONS                                                                                            \
    "\"resultType\":\"input_required\",\"requestState\":\"st\",\"inputRequests\":{"                          \
    "\"a\":{\"method\":\"roots/list\"},\"b\":{\"method\":\"elicitation/"                                     \
    "create\",\"params\":{\"message\":\"who\"}}}"

static void join_new(void)
{
    conf.targets = targets + 1;
    post(INIT);
    fake_answer(&fake_ups[0], 400, JSON, NULL, ERROR_OF("1", "-32022"), true);
    fake_answer(&fake_ups[1], 200, JSON, NULL, DISCOVERED, true);
    snprintf(session, sizeof session, "%s", down.session);
    finish();
}

/* The id of the |n|-th request that the client got. */
static const char *id_of(const struct fake_down *d, int n)
{
    static char id[2][256];
    const char *at = d->body;
    for (int i = 0; i <= n && at; i++)
        at = strstr(at + 1, "\"id\":\"");
    if (!at)
        return NULL;
    snprintf(id[n], sizeof id[n], "%.*s", (int)strcspn(at + 6, "\""), at + 6);
    return id[n];
}

/* The client's response goes in on a stream of its own. */
static void respond(const char *id, const char *members)
{
    struct fake_down other;
    char body[512];
    snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",%s}", id, members);
    fake_down_init(&other);
    fake_request(mcp, &other, &backend, AGW_METHOD_POST, session, body);
    fake_turn();
    fake_turn();
    assert_true(other.status == 202 || fake_fail_from);
    fake_close(&other, 0);
    fake_turn();
    fake_down_free(&other);
    fake_taken = true; /* the one that is asked */
}

static void a_result_becomes_questions_on_the_stream(void **unused)
{
    join_new();
    post(NEW_CALL);
    fake_answer(&fake_ups[0], 200, JSON, NULL, RESULT_OF("5", QUESTIONS), true);
    assert_string_equal(down.type, SSE);
    assert_false(down.ended);
    assert_has("\"method\":\"roots/list\"}");
    assert_has("\"method\":\"elicitation/create\",\"params\":{\"message\":\"who\"}}");
    respond(id_of(&down, 1),
            "\"error\":{\"code\":-1,\"message\":\"no\"}"); /* an elicitation may be cancelled */
    respond(id_of(&down, 1), "\"result\":{\"late\":1}");
    assert_int_equal(fake_up_count, 1);
    respond(id_of(&down, 0), "\"result\":{\"roots\":[]}");
    assert_int_equal(fake_up_count, 2);
    assert_string_equal(fake_ups[1].rpc_name, "t");
    assert_string_equal(
        fake_ups[1].body,
        MESSAGE("5", "tools/call",
                "\"inputResponses\":{\"a\":{\"roots\":[]},\"b\":{\"action\":\"cancel\"}},"
                "\"requestState\":\"st\",\"_meta\":{" VERSION
                ",\"io.modelcontextprotocol/clientCapabilities\":{\"roots\":{}},"
                "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"c\",\"version\":\"1\"}},\"name\":\"t\""));
    fake_answer(&fake_ups[1], 200, JSON, NULL, CALLED("5"), true);
    assert_true(down.ended);
    assert_has("data: " CALLED("5"));
    finish();
}

static void what_cannot_be_asked_is_an_error(void **unused)
{
    static const char *const results[] = {
        "\"resultType\":\"input_required\"",
        "\"resultType\":\"input_required\",\"inputRequests\":{\"a\":{\"method\":\"tools/call\"}}",
        "\"resultType\":\"input_required\",\"inputRequests\":{\"a\":7}",
        "\"resultType\":\"input_required\",\"inputRequests\":{\"1\":{\"method\":\"roots/"
        "list\"},\"2\":{\"method\":\"roots/"
        "list\"},\"3\":{\"method\":\"roots/list\"},\"4\":{\"method\":\"roots/"
        "list\"},\"5\":{\"method\":\"roots/list\"},\"6\":{"
        "\"method\":\"roots/list\"},\"7\":{\"method\":\"roots/list\"},\"8\":{\"method\":\"roots/"
        "list\"},\"9\":{\"method\":"
        "\"roots/list\"}}",
    };
    join_new();
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        char body[1024];
        snprintf(body, sizeof body, RESULT_OF("5", "%s"), results[i]);
        post(NEW_CALL);
        fake_answer(&fake_ups[0], 200, JSON, NULL, body, true);
        assert_true(down.ended);
        assert_has("\"id\":5,\"error\":{\"code\":-32603");
        finish();
    }
}

static void a_client_may_refuse_or_leave(void **unused)
{
    join_new();
    post(NEW_CALL);
    fake_answer(&fake_ups[0], 200, JSON, NULL, RESULT_OF("5", QUESTIONS), true);
    respond(id_of(&down, 0), "\"error\":{\"code\":-1,\"message\":\"no\"}");
    respond(id_of(&down, 1), "\"result\":{\"action\":\"decline\"}");
    assert_int_equal(fake_up_count, 1);
    assert_true(down.ended);
    assert_has("\"id\":5,\"error\":{\"code\":-32603");
    finish();
    post(NEW_CALL);
    fake_answer(&fake_ups[0], 200, JSON, NULL, RESULT_OF("5", QUESTIONS), true);
    char id[256];
    snprintf(id, sizeof id, "%s", id_of(&down, 0));
    finish();
    respond(id, "\"result\":{\"roots\":[]}"); /* nobody is there any more */
    assert_int_equal(fake_up_count, 1);
}

/* --- memory runs out --- */

static void walk_round(void)
{
    post(NEW_CALL);
    if (fake_up_count == 0)
        return;
    fake_answer(&fake_ups[0], 200, JSON, NULL, RESULT_OF("5", QUESTIONS), true);
}

static void walk_responses(void)
{
    long n = fake_fail_from;
    fake_fail_from = 0;
    walk_round();
    respond(id_of(&down, 0), "\"result\":{\"roots\":[]}");
    fake_fail_from = n;
    respond(id_of(&down, 1), "\"result\":{\"action\":\"decline\"}");
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
    static void (*const walks[])(void) = {walk_question, walk_answer, walk_round, walk_responses};
    static char joined[1024];
    join_new();
    memcpy(joined, session, sizeof joined);
    for (size_t w = 0; w < sizeof walks / sizeof walks[0]; w++) {
        for (long n = 1;; n++) {
            agw_mcp_free(mcp);
            begin_endpoint();
            conf.targets = w < 2 ? targets : targets + 1;
            memcpy(session, joined, sizeof joined);
            fake_fail_from = n;
            walks[w]();
            bool reached = fake_end_walk(&down, n);
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
        CASE(a_result_becomes_questions_on_the_stream),
        CASE(what_cannot_be_asked_is_an_error),
        CASE(a_client_may_refuse_or_leave),
        CASE(memory_may_run_out),
        CASE(patience_ends), /* the wheel does not turn back */
    };
    return cmocka_run_group_tests(tests, eras_group_setup, eras_group_teardown);
}
