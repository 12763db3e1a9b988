#include "a2a/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "a2a/relay.h"
#include "base/check.h"
#include "failmalloc.h"

static const unsigned char key[32] = {7};
static const struct agw_a2a_owner owner = {0x1122334455667789, 42};
static struct agw_siv *siv;
static struct agw_block_pool pool;

static int setup(void **state)
{
    siv = agw_siv_new(key, AGW_STR(AGW_A2A_PURPOSE));
    agw_block_pool_init(&pool, 4);
    return siv ? 0 : -1;
}

static int teardown(void **state)
{
    agw_siv_free(siv);
    agw_block_pool_free(&pool);
    return 0;
}

static struct agw_str sealed(const char *id, struct agw_arena *arena)
{
    struct agw_str s = agw_a2a_id_seal(siv, &owner, agw_str_c(id), arena);
    assert_non_null(s.p);
    return s;
}

/* |text| with each "<id>" as the sealed form of id. */
static struct agw_str with_sealed(const char *text, struct agw_arena *arena)
{
    char out[4096];
    size_t n = 0;
    for (; *text; text++) {
        const char *end = *text == '<' ? strchr(text, '>') : NULL;
        if (!end) {
            out[n++] = *text;
            continue;
        }
        char id[64] = {0};
        memcpy(id, text + 1, (size_t)(end - text - 1));
        struct agw_str s = sealed(id, arena);
        memcpy(out + n, s.p, s.n);
        n += s.n;
        text = end;
    }
    return agw_arena_str(arena, agw_str(out, n));
}

static struct agw_str plain(const char *text, struct agw_arena *arena)
{
    char out[4096];
    size_t n = 0;
    for (; *text; text++)
        if (*text != '<' && *text != '>')
            out[n++] = *text;
    return agw_arena_str(arena, agw_str(out, n));
}

static void assert_chain(struct agw_chain *c, struct agw_str want)
{
    char got[8192];
    size_t n = agw_chain_peek(c, got, sizeof(got));
    if (n != want.n || memcmp(got, want.p, n) != 0)
        fail_msg("got  %.*s\nwant %.*s", (int)n, got, AGW_STRF(want));
    agw_chain_clear(c);
}

static void ids_of_one_owner(void **state)
{
    struct agw_arena arena;
    struct agw_a2a_owner found;
    struct agw_str id;
    agw_arena_init(&arena, 1024, 0);
    struct agw_str text = sealed("t-1", &arena);
    assert_true(agw_str_starts(text, AGW_STR("agw.")));
    assert_true(agw_str_eq(text, sealed("t-1", &arena)));
    assert_int_equal(agw_a2a_id_open(siv, text, &arena, &found, &id), 0);
    assert_true(found.agent == owner.agent && found.replica == owner.replica &&
                agw_str_eq(id, AGW_STR("t-1")));
    assert_int_equal(agw_a2a_id_open(siv, AGW_STR("t-1"), &arena, &found, &id), AGW_ENOTFOUND);
    assert_int_equal(agw_a2a_id_open(siv, AGW_STR("agw.AAAA"), &arena, &found, &id), AGW_ENOTFOUND);
    char longer[AGW_A2A_OWNED_MAX + 1];
    memset(longer, 'x', sizeof(longer));
    struct agw_str whole = agw_str(longer, sizeof(longer));
    assert_true(agw_str_eq(agw_a2a_id_seal(siv, &owner, whole, &arena), whole));
    assert_true(agw_a2a_agent_hash(AGW_STR("ns/a")) != agw_a2a_agent_hash(AGW_STR("ns/b")));
    agw_arena_free(&arena);
}

static const struct {
    enum agw_a2a_method method;
    bool old;
    const char *body; /* what stands in <> is an id of ours in front and the agent's behind */
    int by;
} requests[] = {
    {AGW_A2A_GET_TASK, false, "{\"id\":\"x\",\"params\":{\"id\":\"<t>\",\"historyLength\":2.50}}",
     AGW_A2A_CLAIM_TASK},
    {AGW_A2A_SEND_MESSAGE, true,
     "{\"params\":{\"message\":{\"taskId\":\"<t>\",\"contextId\":\"<c>\",\"referenceTaskIds\":[\"<r>\","
     "\"other\"],"
     "\"parts\":[{\"data\":{\"taskId\":\"t\"}}],\"metadata\":{\"contextId\":\"c\"}}}}",
     AGW_A2A_CLAIM_TASK},
    {AGW_A2A_SEND_MESSAGE, false, "{\"params\":{\"message\":{\"contextId\":\"<c>\",\"taskId\":\"\"}}}",
     AGW_A2A_CLAIM_CONTEXT},
    {AGW_A2A_SEND_MESSAGE, false, "{\"params\":{\"message\":{\"referenceTaskIds\":[\"<r>\"]}}}",
     AGW_A2A_CLAIM_REFERENCE},
    {AGW_A2A_SEND_MESSAGE, false, "{\"params\":{\"message\":{\"taskId\":7}},\"id\":\"t\"}",
     AGW_A2A_CLAIM_NONE},
    {AGW_A2A_GET_PUSH, false, "{\"params\":{\"taskId\":\"<t>\",\"id\":\"config\"}}", AGW_A2A_CLAIM_TASK},
    {AGW_A2A_GET_PUSH, true, "{\"params\":{\"id\":\"<t>\",\"pushNotificationConfigId\":\"config\"}}",
     AGW_A2A_CLAIM_TASK},
    {AGW_A2A_LIST_TASKS, false, "{\"params\":{\"contextId\":\"<c>\"}}", AGW_A2A_CLAIM_CONTEXT},
    {AGW_A2A_LIST_TASKS, false, "{\"method\":\"ListTasks\"}", AGW_A2A_CLAIM_NONE},
    {AGW_A2A_GET_TASK, false, "no json", AGW_A2A_CLAIM_NONE},
    {AGW_A2A_CREATE_PUSH, true,
     "{\"params\":{\"parent\":\"tasks/<t>\",\"config\":{\"name\":\"tasks/<t>/pushNotificationConfigs/c\","
     "\"pushNotificationConfig\":{\"id\":\"c\"}}}}",
     AGW_A2A_CLAIM_TASK},
    {AGW_A2A_CREATE_PUSH, true, "{\"params\":{\"parent\":\"tasks/\",\"config\":{\"name\":\"x\"}}}",
     AGW_A2A_CLAIM_NONE},
    {AGW_A2A_SEND_MESSAGE, true,
     "{\"params\":{\"message\":{\"name\":\"tasks/t\",\"content\":[{\"taskId\":\"t\"}]}}}",
     AGW_A2A_CLAIM_NONE},
};

static void requests_go_to_the_owner(void **state)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(requests); i++) {
        struct agw_a2a_call call = {
            .binding = AGW_A2A_JSONRPC, .method = requests[i].method, .old = requests[i].old};
        struct agw_a2a_claim claim = {.by = AGW_A2A_CLAIM_NONE};
        struct agw_a2a_relay relay;
        struct agw_a2a_need need;
        struct agw_arena arena;
        struct agw_chain body;
        agw_arena_init(&arena, 1024, 0);
        agw_chain_init(&body);
        agw_a2a_relay_init(&relay, siv, &pool);
        struct agw_str in = with_sealed(requests[i].body, &arena);
        assert_int_equal(agw_chain_copy(&body, &pool, in.p, in.n), 0);
        assert_int_equal(agw_a2a_relay_request(&relay, &call, &body, &arena, &claim, &need), 0);
        assert_chain(&body, plain(requests[i].body, &arena));
        assert_int_equal(claim.by, requests[i].by);
        assert_true(claim.by == AGW_A2A_CLAIM_NONE || claim.owner.replica == owner.replica);
        agw_a2a_relay_free(&relay);
        agw_arena_free(&arena);
    }
}

static void paths(void **state)
{
    struct agw_arena arena;
    struct agw_a2a_claim claim = {.by = AGW_A2A_CLAIM_NONE};
    struct agw_str path, got;
    char text[512];
    agw_arena_init(&arena, 1024, 0);
    int n = snprintf(text, sizeof(text), "/v1/tasks/%.*s:cancel?x=1", AGW_STRF(sealed("a/b", &arena)));
    path = agw_str(text, (size_t)n);
    struct agw_a2a_call call = {.binding = AGW_A2A_REST, .task = agw_str(text + 10, (size_t)n - 10 - 11)};
    assert_int_equal(agw_a2a_path_up(siv, &call, path, &arena, &claim, &got), 0);
    assert_true(agw_str_eq(got, AGW_STR("/v1/tasks/a%2Fb:cancel?x=1")));
    assert_int_equal(claim.by, AGW_A2A_CLAIM_TASK);
    call.task = AGW_STR("");
    assert_int_equal(agw_a2a_path_up(siv, &call, path, &arena, &claim, &got), 0);
    assert_true(agw_str_eq(got, path));
    agw_arena_free(&arena);
}

static void contexts_in_queries(void **state)
{
    static const struct {
        const char *before, *id, *after, *want;
    } cases[] = {
        {"/tasks?contextId=", "c d", "", "/tasks?contextId=c%20d"},
        {"/tasks?pageSize=1&contextId=", "c", "&status=x", "/tasks?pageSize=1&contextId=c&status=x"},
        {"/tasks?xcontextId=", NULL, "c", "/tasks?xcontextId=c"},
        {"/tasks?contextId=", NULL, "", "/tasks?contextId="},
        {"/tasks?contextId=", NULL, "own", "/tasks?contextId=own"},
        {"/tasks", NULL, "", "/tasks"},
    };
    struct agw_a2a_call call = {.binding = AGW_A2A_REST, .method = AGW_A2A_LIST_TASKS};
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_arena arena;
        struct agw_a2a_claim claim = {.by = AGW_A2A_CLAIM_NONE};
        struct agw_str got;
        agw_arena_init(&arena, 1024, 0);
        struct agw_str id = cases[i].id ? sealed(cases[i].id, &arena) : AGW_STR("");
        struct agw_str parts[] = {agw_str_c(cases[i].before), id, agw_str_c(cases[i].after)};
        struct agw_str path = agw_arena_join(&arena, parts, AGW_ARRAY_LEN(parts));
        assert_int_equal(agw_a2a_path_up(siv, &call, path, &arena, &claim, &got), 0);
        assert_true(agw_str_eq(got, agw_str_c(cases[i].want)));
        assert_int_equal(claim.by, cases[i].id ? AGW_A2A_CLAIM_CONTEXT : AGW_A2A_CLAIM_NONE);
        agw_arena_free(&arena);
    }
}

static const struct {
    bool jsonrpc;
    const char *body;
} answers[] = {
    {true, "{\"id\":\"x\",\"result\":{\"id\":\"<t>\",\"contextId\":\"<c>\",\"status\":{\"state\":\"working\","
           "\"message\":{\"taskId\":"
           "\"<t>\"}},\"history\":[{\"contextId\":\"<c>\"}],\"artifacts\":[{\"taskId\":\"t\"}]}}"},
    {true, "{\"result\":{\"task\":{\"id\":\"<t>\",\"status\":{}}}}"},
    {true, "{\"result\":{\"tasks\":[{\"id\":\"<a>\",\"status\":{}},{\"id\":\"<b>\",\"status\":{}}],"
           "\"nextPageToken\":\"t\"}}"},
    {true,
     "{\"result\":{\"taskId\":\"<t>\",\"id\":\"config\",\"pushNotificationConfig\":{\"id\":\"config\"}}}"},
    {true, "{\"error\":{\"code\":-32001,\"data\":[{\"taskId\":\"t\"}]},\"id\":1}"},
    {false, "{\"statusUpdate\":{\"taskId\":\"<t>\",\"contextId\":\"<c>\",\"status\":{\"state\":\"TASK_STATE_"
            "WORKING\"}}}"},
    {false, "[]"},
};

static void answers_name_the_owner(void **state)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(answers); i++) {
        struct agw_a2a_relay relay;
        struct agw_arena arena;
        struct agw_chain body;
        agw_arena_init(&arena, 1024, 0);
        agw_chain_init(&body);
        agw_a2a_relay_init(&relay, siv, &pool);
        agw_a2a_relay_answer(&relay, &owner, answers[i].jsonrpc);
        struct agw_str in = plain(answers[i].body, &arena);
        assert_int_equal(agw_chain_copy(&body, &pool, in.p, in.n), 0);
        assert_int_equal(agw_a2a_relay_json(&relay, &body), 0);
        assert_chain(&body, with_sealed(answers[i].body, &arena));
        agw_a2a_relay_free(&relay);
        agw_arena_free(&arena);
    }
}

static void events_come_out_however_they_are_cut(void **state)
{
    static const char in[] =
        "id: 1\r\ndata: {\"result\":{\"task\":{\"id\":\"t\",\"status\":{}}}}\r\n\r\ndata: text\n\nevent: "
        "x\ndata: {\"result\":{\"statusUpdate\":"
        "{\"contextId\":\"c\"}}}\n\n",
                      want[] = "id: 1\ndata: {\"result\":{\"task\":{\"id\":\"<t>\",\"status\":{}}}}\n\ndata: "
                               "text\n\nevent: x\ndata: "
                               "{\"result\":{\"statusUpdate\":{\"contextId\":\"<c>\"}}}\n\n";
    for (size_t step = 1; step < sizeof(in); step++) {
        struct agw_a2a_relay relay;
        struct agw_arena arena;
        struct agw_chain out, piece;
        agw_arena_init(&arena, 1024, 0);
        agw_chain_init(&out);
        agw_chain_init(&piece);
        agw_a2a_relay_init(&relay, siv, &pool);
        agw_a2a_relay_answer(&relay, &owner, true);
        for (size_t i = 0; i < sizeof(in) - 1; i += step) {
            size_t n = sizeof(in) - 1 - i < step ? sizeof(in) - 1 - i : step;
            assert_int_equal(agw_chain_copy(&piece, &pool, in + i, n), 0);
            assert_int_equal(agw_a2a_relay_events(&relay, &piece), 0);
            assert_int_equal(agw_chain_move(&out, &piece), 0);
        }
        struct agw_str expected = with_sealed(want, &arena);
        assert_chain(&out, expected);
        agw_a2a_relay_free(&relay);
        agw_arena_free(&arena);
    }
}

static void comments_keep_the_stream_alive(void **state)
{
    struct agw_a2a_relay relay;
    struct agw_chain piece;
    agw_chain_init(&piece);
    agw_a2a_relay_init(&relay, siv, &pool);
    agw_a2a_relay_answer(&relay, &owner, true);
    assert_int_equal(agw_chain_copy(&piece, &pool, ": ping\n\n", 8), 0);
    assert_int_equal(agw_a2a_relay_events(&relay, &piece), 0);
    assert_true(piece.bytes > 0);
    agw_chain_clear(&piece);
    agw_a2a_relay_free(&relay);
}

static void memory_that_runs_out(void **state)
{
    bool reached = true;
    for (long n = 1; reached; n++) {
        struct agw_a2a_relay relay;
        struct agw_chain body;
        static const char text[] = "{\"result\":{\"id\":\"t\",\"contextId\":\"c\",\"status\":{}}}";
        agw_chain_init(&body);
        agw_a2a_relay_init(&relay, siv, &pool);
        agw_a2a_relay_answer(&relay, &owner, true);
        assert_int_equal(agw_chain_copy(&body, &pool, text, sizeof(text) - 1), 0);
        failmalloc_at(n);
        int rc = agw_a2a_relay_json(&relay, &body);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_chain_clear(&body);
        agw_a2a_relay_free(&relay);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_one_owner),
        cmocka_unit_test(requests_go_to_the_owner),
        cmocka_unit_test(paths),
        cmocka_unit_test(contexts_in_queries),
        cmocka_unit_test(answers_name_the_owner),
        cmocka_unit_test(events_come_out_however_they_are_cut),
        cmocka_unit_test(comments_keep_the_stream_alive),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
