/* gRPC's fields: request detection, deadlines, status of errors, trailers-only answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/err.h"
#include "failmalloc.h"
#include "grpc/message.h"

static void requests(void **state)
{
    static const struct {
        const char *type;
        bool grpc;
    } cases[] = {{"application/grpc", true},
                 {"application/grpc+proto", true},
                 {"Application/GRPC;charset=utf-8", true},
                 {"application/grpc-web", false},
                 {"application/grpc-web+proto", false},
                 {"application/grp", false},
                 {"application/json", false},
                 {NULL, false}};
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_arena arena;
        struct agw_msg m;
        agw_arena_init(&arena, 1024, 0);
        agw_msg_init(&m, &arena);
        m.version = AGW_HTTP_2;
        if (cases[i].type)
            assert_int_equal(agw_headers_add_id(&m.headers, AGW_HDR_CONTENT_TYPE, agw_str_c(cases[i].type)),
                             0);
        assert_int_equal(agw_grpc_is_request(&m), cases[i].grpc);
        m.version = AGW_HTTP_11;
        assert_false(agw_grpc_is_request(&m));
        agw_arena_free(&arena);
    }
}

static void timeouts(void **state)
{
    static const struct {
        const char *text;
        uint32_t ms;
    } good[] = {{"1H", 3600000},
                {"2M", 120000},
                {"3S", 3000},
                {"250m", 250},
                {"1500u", 1},
                {"2500000n", 2},
                {"0S", 1},
                {"1n", 1},
                {"99999999n", 99},
                {"99999999u", 99999},
                {"99999999H", UINT32_MAX},
                {"99999999S", UINT32_MAX}};
    static const char *const bad[] = {"",           "1",   "S",   "1s",  "-1S", "1.5S",
                                      "123456789S", " 1S", "1 S", "1SS", "xS"};
    uint32_t ms;
    for (size_t i = 0; i < AGW_ARRAY_LEN(good); i++) {
        assert_int_equal(agw_grpc_timeout_ms(agw_str_c(good[i].text), &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    ms = 7;
    for (size_t i = 0; i < AGW_ARRAY_LEN(bad); i++)
        assert_int_equal(agw_grpc_timeout_ms(agw_str_c(bad[i]), &ms), AGW_EINVAL);
    assert_int_equal(ms, 7);
}

static void http_statuses(void **state)
{
    static const int map[][2] = {{400, 13}, {401, 16}, {403, 7}, {404, 12}, {405, 2},  {413, 2}, {421, 2},
                                 {429, 14}, {500, 2},  {501, 2}, {502, 14}, {503, 14}, {504, 4}};
    for (size_t i = 0; i < AGW_ARRAY_LEN(map); i++)
        assert_int_equal(agw_grpc_status_of(map[i][0]), map[i][1]);
}

static void status_in_headers(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"0", 0}, {"16", 16}, {"17", -1}, {"", -1}, {"-1", -1}, {"x", -1}, {"99999999999999999999", -1}};
    assert_int_equal(agw_grpc_status_in(NULL), AGW_GRPC_NONE);
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_arena arena;
        struct agw_headers h;
        agw_arena_init(&arena, 1024, 0);
        agw_headers_init(&h, &arena);
        assert_int_equal(agw_grpc_status_in(&h), AGW_GRPC_NONE);
        assert_int_equal(agw_headers_add(&h, AGW_HDR_OTHER, AGW_STR("grpc-status"), agw_str_c(cases[i].text)),
                         0);
        assert_int_equal(agw_grpc_status_in(&h), cases[i].code);
        agw_arena_free(&arena);
    }
    assert_true(agw_str_eq(agw_grpc_status_text(AGW_GRPC_UNAVAILABLE), AGW_STR("14")));
    assert_int_equal(agw_grpc_status_text(AGW_GRPC_NONE).n, 0);
}

static int make(struct agw_arena *arena, struct agw_msg *m)
{
    agw_msg_init(m, arena);
    m->status = 503;
    m->length = 12;
    int rc = agw_headers_add_id(&m->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("text/plain"));
    if (rc == 0)
        rc = agw_headers_add_id(&m->headers, AGW_HDR_RETRY_AFTER, AGW_STR("1"));
    return rc ? rc : agw_grpc_make_reply(m, AGW_STR(" 5% of\n\xc3\xa9 "));
}

static void replies(void **state)
{
    struct agw_arena arena;
    struct agw_msg m;
    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(make(&arena, &m), 0);
    assert_int_equal(m.status, 200);
    assert_int_equal(m.length, AGW_LENGTH_UNKNOWN);
    assert_true(agw_str_eq(agw_headers_value(&m.headers, AGW_HDR_CONTENT_TYPE), AGW_STR("application/grpc")));
    assert_true(agw_str_eq(agw_headers_value(&m.headers, AGW_HDR_RETRY_AFTER), AGW_STR("1")));
    assert_true(agw_str_eq(agw_headers_find(&m.headers, AGW_STR("grpc-status"))->value, AGW_STR("14")));
    assert_true(agw_str_eq(agw_headers_find(&m.headers, AGW_STR("grpc-message"))->value,
                           AGW_STR("%205%25 of%0A%C3%A9%20")));
    agw_arena_free(&arena);
}

static void out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct agw_arena arena;
        struct agw_msg m;
        agw_arena_init(&arena, 32, 0); /* many blocks */
        failmalloc_at(n);
        int rc = make(&arena, &m);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        agw_arena_free(&arena);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),          cmocka_unit_test(timeouts), cmocka_unit_test(http_statuses),
        cmocka_unit_test(status_in_headers), cmocka_unit_test(replies),  cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
