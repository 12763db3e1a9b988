#include "mcp/cache/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "failmalloc.h"

static struct agw_arena arena;

static int setup(void **state)
{
    agw_arena_init(&arena, 4096, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_arena_free(&arena);
    return 0;
}

static bool sent(const struct agw_header *h)
{
    return !agw_str_eq(h->name, AGW_STR("connection"));
}

/* |fields|: name, value, ..., NULL. */
static struct agw_mcp_view asker(const char *const *fields)
{
    struct agw_headers h;
    struct agw_mcp_view view;
    agw_headers_init(&h, &arena);
    for (; *fields; fields += 2)
        assert_int_equal(agw_headers_add(&h, AGW_HDR_OTHER, agw_str_c(fields[0]), agw_str_c(fields[1])), 0);
    assert_int_equal(agw_mcp_view_asker(&h, sent, &arena, &view), 0);
    return view;
}

#define FIELDS(...) asker((const char *const[]){__VA_ARGS__, NULL})

static bool same(const unsigned char *a, const unsigned char *b)
{
    return memcmp(a, b, AGW_SHA256_SIZE) == 0;
}

static void each_field_that_goes_on_makes_another_user(void **state)
{
    static const struct {
        const char *fields[5];
        bool user, anyone; /* as without any of it */
    } cases[] = {
        {{"authorization", "Bearer a"}, false, true},
        {{"cookie", "a=b"}, false, true},
        {{"x-forwarded-for", "192.0.2.1"}, false, true},
        {{"x-tenant", "a"}, false, false},
        {{"user-agent", "a"}, false, false},
        {{"connection", "close"}, true, true},
        {{"traceparent", "00-1-2-01"}, true, true},
        {{"x-request-id", "7"}, true, true},
        {{"b3", "7", "tracestate", "x"}, true, true},
    };
    struct agw_mcp_view none = FIELDS("connection", "keep-alive");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct agw_mcp_view view = asker(cases[i].fields);
        assert_int_equal(same(view.user, none.user), cases[i].user);
        assert_int_equal(same(view.anyone, none.anyone), cases[i].anyone);
    }
    assert_false(same(none.user, none.anyone));
}

static void values_count_and_cannot_be_shifted(void **state)
{
    struct agw_mcp_view a = FIELDS("authorization", "Bearer a"), b = FIELDS("authorization", "Bearer b");
    assert_false(same(a.user, b.user));
    assert_true(same(a.user, FIELDS("authorization", "Bearer a", "traceparent", "1").user));
    assert_false(same(FIELDS("a", "b", "c", "d").user, FIELDS("a", "b:c", "", "d").user));
    assert_false(same(FIELDS("a", "b", "c", "d").user, FIELDS("c", "d", "a", "b").user));
}

static bool ask(const char *params, const char *method, const char *revision, struct agw_mcp_view *view)
{
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    char text[256];
    snprintf(text, sizeof text, "{\"params\":%s}", params);
    assert_int_equal(agw_json_parse(&doc, agw_str_c(text), NULL), 0);
    uint32_t token = agw_json_get(&doc, 0, AGW_STR("params"));
    bool plain = agw_mcp_view_plain(&doc, token);
    assert_int_equal(agw_mcp_view_asked(&doc, agw_json_get(&doc, token, AGW_STR("_meta")), agw_str_c(method),
                                        agw_str_c(revision), &arena, view),
                     0);
    agw_json_doc_free(&doc);
    return plain;
}

static void what_is_asked_counts(void **state)
{
    static const struct {
        const char *params, *method, *revision;
        bool same;
    } cases[] = {
        {"{\"_meta\":{\"a\":1}}", "tools/list", "2026-07-28", true},
        {"{\"cursor\":\"x\",\"_meta\":{\"a\":1}}", "tools/list", "2026-07-28", true},
        {"{\"_meta\":{\"a\":1,\"progressToken\":7,\"traceparent\":\"t\"}}", "tools/list", "2026-07-28", true},
        {"{\"_meta\":{\"a\":2}}", "tools/list", "2026-07-28", false},
        {"{\"_meta\":{\"a\":1,\"b\":1}}", "tools/list", "2026-07-28", false},
        {"{\"_meta\":{\"a\":1}}", "prompts/list", "2026-07-28", false},
        {"{\"_meta\":{\"a\":1}}", "tools/list", "2025-11-25", false},
        {"{}", "tools/list", "2026-07-28", false},
    };
    struct agw_mcp_view first, view;
    assert_true(ask(cases[0].params, cases[0].method, cases[0].revision, &first));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(ask(cases[i].params, cases[i].method, cases[i].revision, &view));
        assert_int_equal(same(view.asked, first.asked), cases[i].same);
    }
}

static void what_no_list_has_is_not_kept(void **state)
{
    struct agw_mcp_view view;
    assert_false(ask("{\"filter\":1}", "tools/list", "2026-07-28", &view));
    assert_false(ask("{\"_meta\":{},\"_meta\":{\"a\":1}}", "tools/list", "2026-07-28", &view));
}

static void mixing_makes_another(void **state)
{
    unsigned char a[AGW_SHA256_SIZE] = {1}, b[AGW_SHA256_SIZE] = {1};
    assert_int_equal(agw_mcp_view_mix(a, AGW_STR("x"), &arena), 0);
    assert_false(same(a, b));
    assert_int_equal(agw_mcp_view_mix(b, AGW_STR("y"), &arena), 0);
    assert_false(same(a, b));
}

static void every_allocation_may_fail(void **state)
{
    struct agw_headers none = {0};
    struct agw_mcp_view view;
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_json_parse(&doc, AGW_STR("{\"_meta\":{\"a\":1}}"), NULL), 0);
    for (long n = 1;; n++) {
        agw_arena_free(&arena);
        failmalloc_from(n);
        int rc = agw_mcp_view_asker(&none, sent, &arena, &view);
        if (rc == 0)
            rc = agw_mcp_view_asked(&doc, 0, AGW_STR("tools/list"), AGW_STR("x"), &arena, &view);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        if (!reached)
            break;
    }
    agw_json_doc_free(&doc);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(each_field_that_goes_on_makes_another_user),
        CASE(values_count_and_cannot_be_shifted),
        CASE(what_is_asked_counts),
        CASE(what_no_list_has_is_not_kept),
        CASE(mixing_makes_another),
        CASE(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
