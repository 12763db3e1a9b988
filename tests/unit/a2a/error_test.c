#include "a2a/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"

static struct agw_str body(struct agw_a2a_watch *w, enum agw_a2a_binding binding, const char *request,
                           int status, struct agw_arena *arena)
{
    memset(w, 0, sizeof(*w));
    w->call.binding = binding;
    agw_a2a_scan_request(&w->request, &w->call);
    agw_a2a_scan_bytes(&w->request, (const unsigned char *)request, strlen(request));
    return agw_a2a_error_body(w, status, 0, AGW_STR("no \"agent\""), arena);
}

static void bodies_of_each_binding(void **state)
{
#define ERROR(code) "\"error\":{\"code\":" code ",\"message\":\"no \\\"agent\\\"\"}}"
    static const struct {
        enum agw_a2a_binding binding;
        const char *request;
        int status;
        const char *want;
    } cases[] = {
        {AGW_A2A_JSONRPC, "{\"id\":7,\"method\":\"GetTask\"", 503,
         "{\"jsonrpc\":\"2.0\",\"id\":7," ERROR("-32603")},
        {AGW_A2A_JSONRPC, "{\"id\":\"x\"}", 413, "{\"jsonrpc\":\"2.0\",\"id\":\"x\"," ERROR("-32600")},
        {AGW_A2A_JSONRPC, "{\"id\":1\"x}", 503, "{\"jsonrpc\":\"2.0\",\"id\":null," ERROR("-32603")},
        {AGW_A2A_JSONRPC, "", 504, "{\"jsonrpc\":\"2.0\",\"id\":null," ERROR("-32603")},
        {AGW_A2A_REST, "", 503,
         "{\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\",\"message\":\"no "
         "\\\"agent\\\"\",\"details\":[]}}"},
        {AGW_A2A_REST, "", 418,
         "{\"error\":{\"code\":418,\"status\":\"UNKNOWN\",\"message\":\"no \\\"agent\\\"\",\"details\":[]}}"},
        {AGW_A2A_GRPC, "", 503, ""},
        {AGW_A2A_NONE, "", 503, ""},
    };
    struct agw_arena arena;
    struct agw_a2a_watch w;
    agw_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_str got = body(&w, cases[i].binding, cases[i].request, cases[i].status, &arena);
        if (!got.p || !agw_str_eq(got, agw_str_c(cases[i].want)))
            fail_msg("%d: %.*s", (int)i, AGW_STRF(got));
    }
    agw_arena_free(&arena);
}

static void memory_that_runs_out(void **state)
{
    struct agw_a2a_watch w;
    bool reached = true;
    for (long n = 1; reached; n++) {
        struct agw_arena arena;
        agw_arena_init(&arena, 64, 0);
        failmalloc_at(n);
        struct agw_str got = body(&w, AGW_A2A_REST, "", 503, &arena);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(got.p == NULL, reached);
        agw_arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_each_binding),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
