#include "a2a/card.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"

static struct agw_arena arena;
static const struct agw_a2a_base base = {
    {"https", 5}, {"gw.example:8443", 15}, {"/agents/hello", 13}, {"", 0}};

static int setup(void **state)
{
    agw_arena_init(&arena, 1024, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_arena_free(&arena);
    return 0;
}

static void assert_rewritten(const struct agw_a2a_base *b, const char *card, const char *want)
{
    struct agw_str got;
    struct agw_error err = {0};
    int rc = agw_a2a_rewrite_card(agw_str_c(card), false, b, &arena, &got, &err);
    if (rc != 0)
        print_error("%s: %s\n", card, err.text);
    assert_int_equal(rc, 0);
    if (got.n != strlen(want) || memcmp(got.p, want, got.n) != 0)
        print_error("got  %.*s\nwant %s\n", AGW_STRF(got), want);
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void paths_of_cards(void **state)
{
    static const struct {
        const char *path, *backend_path, *want, *backend_want; /* want NULL: no card */
    } cases[] = {
        {"/agents/a/.well-known/agent-card.json", "/.well-known/agent-card.json", "/agents/a", ""},
        {"/a/.well-known/agent.json?x=/y", "/a/b/.well-known/agent.json?x=/y", "/a", "/a/b"},
        {"/a/extendedAgentCard", "/tenant/extendedAgentCard", "/a", "/tenant"},
        {"/a/v1/card", "/v1/card", "/a", ""},
        {"/a/rest/extendedAgentCard", "/rest/extendedAgentCard", "/a", ""},
        {"/a/rest/v1/card", "/x/rest/v1/card", "/a", "/x"},
        {"/card-of-a", "/.well-known/agent-card.json", "/card-of-a", ""},
        {"/.well-known/agent-card.json/", "/.well-known/agent-card.json/", NULL, NULL},
        {"/x", "/x.well-known/agent.json", NULL, NULL},
        {"/?/.well-known/agent.json", "/?/.well-known/agent.json", NULL, NULL},
        {"", "", NULL, NULL},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_a2a_base b = {0};
        bool card = agw_a2a_card_paths(agw_str_c(cases[i].path), agw_str_c(cases[i].backend_path), &b);
        assert_int_equal(card, cases[i].want != NULL);
        assert_true(agw_str_eq(b.path, agw_str_c(cases[i].want)));
        assert_true(agw_str_eq(b.backend_path, agw_str_c(cases[i].backend_want)));
    }
}

static void paths_of_calls(void **state)
{
    static const struct {
        const char *path, *backend_path, *want, *backend_want;
    } cases[] = {
        {"/agents/a", "/", "/agents/a", "/"},
        {"/agents/a/rpc?q", "/rpc?q", "/agents/a", ""},
        {"/agents/a/v2/rpc", "/svc/v2/rpc", "/agents/a", "/svc"},
        {"/same/rpc", "/same/rpc", "", ""},
        {"/x/arpc", "/y/brpc", "/x/arpc", "/y/brpc"},
        {"", "", "", ""},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_a2a_base b;
        agw_a2a_call_paths(agw_str_c(cases[i].path), agw_str_c(cases[i].backend_path), &b);
        if (!agw_str_eq(b.path, agw_str_c(cases[i].want)) ||
            !agw_str_eq(b.backend_path, agw_str_c(cases[i].backend_want)))
            fail_msg("%s: %.*s, %.*s", cases[i].path, AGW_STRF(b.path), AGW_STRF(b.backend_path));
    }
}

static void cards_in_jsonrpc(void **state)
{
    static const struct {
        const char *message, *want;
    } cases[] = {
        {"{\"id\":1,\"result\":{\"signatures\":[],\"url\":\"http://a/rpc\"},\"url\":\"http://a/\"}",
         "{\"id\":1,\"result\":{\"url\":\"https://gw.example:8443/agents/hello/rpc\"},\"url\":\"http://a/"
         "\"}"},
        {"{\"id\":1,\"error\":{\"code\":-32007}}", "{\"id\":1,\"error\":{\"code\":-32007}}"},
    };
    struct agw_str got;
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        assert_int_equal(agw_a2a_rewrite_card(agw_str_c(cases[i].message), true, &base, &arena, &got, NULL),
                         0);
        assert_true(agw_str_eq(got, agw_str_c(cases[i].want)));
    }
    assert_int_equal(agw_a2a_rewrite_card(AGW_STR("{\"result\":7}"), true, &base, &arena, &got, NULL),
                     AGW_EINVAL);
}

static void cards_of_0_3(void **state)
{
    assert_rewritten(&base, "{\"name\":\"x\", \"url\" : \"http:\\/\\/localhost:4000\\/\",\"v\":1.0}",
                     "{\"name\":\"x\", \"url\" : \"https://gw.example:8443/agents/hello/\",\"v\":1.0}");
    assert_rewritten(
        &base,
        "{\"url\":\"http://a/rpc\",\"additionalInterfaces\":[{\"url\":\"http://a/"
        "rest?x=1\",\"transport\":\"HTTP+JSON\"},"
        "{\"transport\":\"GRPC\",\"url\":\"a:50051\"}],\"documentationUrl\":\"http://a/docs\"}",
        "{\"url\":\"https://gw.example:8443/agents/hello/rpc\",\"additionalInterfaces\":[{\"url\":"
        "\"https://gw.example:8443/agents/hello/"
        "rest?x=1\",\"transport\":\"HTTP+JSON\"},{\"transport\":\"GRPC\",\"url\":"
        "\"a:50051\"}],\"documentationUrl\":\"http://a/docs\"}");
}

static void cards_of_1_0(void **state)
{
    assert_rewritten(&base, "{\"supportedInterfaces\":[{\"url\":\"https://a\"},{\"url\":\"HTTP://a/v1#f\"}]}",
                     "{\"supportedInterfaces\":[{\"url\":\"https://gw.example:8443/agents/hello\"},{\"url\":"
                     "\"https://gw.example:8443/agents/hello/v1#f\"}]}");
}

static void interface_paths_are_relative_to_the_backend(void **state)
{
    static const struct {
        const char *path, *backend_path, *url, *want;
    } cases[] = {
        {"/agents/a", "/svc", "http://h/svc/rpc", "http://gw/agents/a/rpc"},
        {"/agents/a", "/svc", "http://h/svc", "http://gw/agents/a"},
        {"/agents/a", "/svc/", "http://h/svc/", "http://gw/agents/a/"},
        {"/agents/a", "/svc", "http://h/svc2/rpc", "http://gw/agents/a/svc2/rpc"}, /* whole segments */
        {"/agents/a", "/agents/a", "http://h/agents/a/rpc",
         "http://gw/agents/a/rpc"}, /* no rewrite on the route */
        {"/agents/a/", "", "http://h/rpc", "http://gw/agents/a/rpc"},
        {"", "", "http://h/rpc", "http://gw/rpc"},
        {"", "/svc", "http://h/svc?x", "http://gw?x"},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        char card[128], want[128];
        struct agw_a2a_base b = {AGW_STR("http"), AGW_STR("gw"), agw_str_c(cases[i].path),
                                 agw_str_c(cases[i].backend_path)};
        snprintf(card, sizeof card, "{\"url\":\"%s\"}", cases[i].url);
        snprintf(want, sizeof want, "{\"url\":\"%s\"}", cases[i].want);
        assert_rewritten(&b, card, want);
    }
}

static void signatures_are_dropped(void **state)
{
    assert_rewritten(&base, "{\"signatures\":[{\"protected\":\"x\"}],\"url\":\"grpc:1\"}",
                     "{\"url\":\"grpc:1\"}");
    assert_rewritten(&base, "{\"url\":\"grpc:1\" , \"signatures\" : []}", "{\"url\":\"grpc:1\"}");
    assert_rewritten(&base, "{\"a\":{},\"signatures\":[1],\"url\":\"grpc:1\"}",
                     "{\"a\":{},\"url\":\"grpc:1\"}");
    assert_rewritten(&base, "{\"skills\":[{\"signatures\":1}],\"url\":\"grpc:1\"}",
                     "{\"skills\":[{\"signatures\":1}],\"url\":\"grpc:1\"}");
}

static void bad_cards(void **state)
{
    static const char *const cases[] = {
        "",
        "{",
        "[]",
        "\"x\"",
        "{}",
        "{\"name\":\"x\"}",
        "{\"url\":7}",
        "{\"url\":null}",
        "{\"url\":\"http://a\",\"url\":\"http://b\"}",
        "{\"url\":\"http://a\",\"u\\u0072l\":\"http://b\"}",
        "{\"supportedInterfaces\":[{}]}",
        "{\"supportedInterfaces\":[7]}",
        "{\"supportedInterfaces\":[{\"url\":\"http://a\",\"url\":\"http://b\"}]}",
        "{\"supportedInterfaces\":{}}",
        "{\"url\":\"http://a\",\"signatures\":1,\"signatures\":2}",
        "{\"url\":\"http://a\",\"additionalInterfaces\":[{\"url\":[]}]}",
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_str got = AGW_STR("kept");
        struct agw_error err = {0};
        int rc = agw_a2a_rewrite_card(agw_str_c(cases[i]), false, &base, &arena, &got, &err);
        if (rc != AGW_EINVAL)
            print_error("%s\n", cases[i]);
        assert_int_equal(rc, AGW_EINVAL);
        assert_true(err.text[0] != 0);
        assert_true(agw_str_eq(got, AGW_STR("kept")));
    }
}

static void out_of_memory(void **state)
{
    static const struct agw_str card = AGW_STR(
        "{\"url\":\"http:\\/\\/a\",\"supportedInterfaces\":[{\"url\":\"http://b\"}],\"signatures\":[]}");
    for (long n = 1;; n++) {
        struct agw_arena a;
        struct agw_str got;
        agw_arena_init(&a, 256, 0);
        failmalloc_at(n);
        int rc = agw_a2a_rewrite_card(card, false, &base, &a, &got, NULL);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_arena_free(&a);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_of_cards),
        cmocka_unit_test(paths_of_calls),
        cmocka_unit_test_setup_teardown(cards_in_jsonrpc, setup, teardown),
        cmocka_unit_test(cards_of_0_3),
        cmocka_unit_test(cards_of_1_0),
        cmocka_unit_test(interface_paths_are_relative_to_the_backend),
        cmocka_unit_test(signatures_are_dropped),
        cmocka_unit_test(bad_cards),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
