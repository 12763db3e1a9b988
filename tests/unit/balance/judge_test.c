#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "balance/judge.h"

static struct agw_arena arena;

static struct agw_msg answer(int status, const char *type, const char *grpc_status)
{
    struct agw_msg m;
    agw_msg_init(&m, &arena);
    m.status = status;
    if (type)
        agw_headers_add_id(&m.headers, AGW_HDR_CONTENT_TYPE, agw_str_c(type));
    if (grpc_status)
        agw_headers_set(&m.headers, AGW_STR("grpc-status"), agw_str_c(grpc_status));
    return m;
}

static enum agw_judgement head(int status, const char *type, const char *grpc_status, bool end)
{
    struct agw_msg m = answer(status, type, grpc_status);
    return agw_judge_head(&m, end);
}

static void test_statuses(void **state)
{
    assert_int_equal(head(200, NULL, NULL, true), AGW_JUDGED_GOOD);
    assert_int_equal(head(404, "text/plain", NULL, false), AGW_JUDGED_GOOD);
    assert_int_equal(head(499, NULL, NULL, true), AGW_JUDGED_GOOD);
    assert_int_equal(head(500, NULL, NULL, true), AGW_JUDGED_BAD);
    assert_int_equal(head(503, "application/grpc", NULL, false), AGW_JUDGED_BAD);
}

static void test_grpc(void **state)
{
    assert_int_equal(head(200, "application/grpc", "0", true), AGW_JUDGED_GOOD);
    assert_int_equal(head(200, "application/grpc+proto", "14", true), AGW_JUDGED_BAD);
    assert_int_equal(head(200, "application/grpc", NULL, false), AGW_JUDGED_NOT);
    assert_int_equal(head(200, "application/grpc-web", NULL, false), AGW_JUDGED_GOOD);
    struct agw_msg good = answer(200, NULL, "0"), bad = answer(200, NULL, "13"),
                   none = answer(200, NULL, NULL);
    assert_int_equal(agw_judge_trailers(&good.headers), AGW_JUDGED_GOOD);
    assert_int_equal(agw_judge_trailers(&bad.headers), AGW_JUDGED_BAD);
    assert_int_equal(agw_judge_trailers(&none.headers), AGW_JUDGED_BAD);
    assert_int_equal(agw_judge_trailers(NULL), AGW_JUDGED_BAD);
}

static void test_broken_streams(void **state)
{
    assert_int_equal(agw_judge_close(AGW_EREFUSED), AGW_JUDGED_BAD);
    assert_int_equal(agw_judge_close(AGW_ETIMEOUT), AGW_JUDGED_BAD);
    assert_int_equal(agw_judge_close(AGW_ERESET), AGW_JUDGED_BAD);
    assert_int_equal(agw_judge_close(0), AGW_JUDGED_NOT);
    assert_int_equal(agw_judge_close(AGW_ECANCELED), AGW_JUDGED_NOT);
    assert_int_equal(agw_judge_close(AGW_ELIMIT), AGW_JUDGED_NOT);
    assert_int_equal(agw_judge_close(AGW_ENOMEM), AGW_JUDGED_NOT);
}

static int free_arena(void **state)
{
    agw_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_grpc),
        cmocka_unit_test(test_broken_streams),
    };
    agw_arena_init(&arena, 1024, 0);
    return cmocka_run_group_tests(tests, NULL, free_arena);
}
