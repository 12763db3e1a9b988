#include "mcp/message/jsonrpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "failmalloc.h"

static struct agw_mcp_target targets[] = {{.name = {"a", 1}}, {.name = {"b-b", 3}}};
static const struct agw_mcp_backend two = {.targets = targets, .count = 2};
static struct agw_json_doc doc;
static struct agw_arena arena;
static struct agw_jsonrpc message;

static int setup(void **state)
{
    agw_json_doc_init(&doc, 0);
    agw_arena_init(&arena, 1024, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
    return 0;
}

static int read_text(const char *text)
{
    return agw_jsonrpc_read(&doc, agw_str_c(text), &arena, &message, NULL);
}

static void assert_text(struct agw_str got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void kinds(void **state)
{
    assert_int_equal(
        read_text("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/c\\u0061ll\",\"params\":{\"x\":1}}"), 0);
    assert_int_equal(message.kind, AGW_JSONRPC_REQUEST);
    assert_text(message.method, "tools/call");
    assert_text(agw_json_text(&doc, message.id), "1");
    assert_text(agw_json_text(&doc, message.params), "{\"x\":1}");
    assert_int_equal(read_text("{\"method\":\"n\",\"jsonrpc\":\"2.0\"}"), 0);
    assert_int_equal(message.kind, AGW_JSONRPC_NOTIFICATION);
    assert_int_equal(message.id, 0);
    assert_int_equal(read_text("{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}"), 0);
    assert_int_equal(message.kind, AGW_JSONRPC_RESULT);
    assert_int_equal(message.method.n, 0);
    assert_int_equal(read_text("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":1,\"message\":\"\"}}"),
                     0);
    assert_int_equal(message.kind, AGW_JSONRPC_ERROR);
    assert_int_equal(message.id, 0);
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"", AGW_EINVAL},
        {"{", AGW_EINVAL},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\\ud800\"}", AGW_EINVAL},
        {"[]", AGW_EUNSUPPORTED},
        {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}]", AGW_EUNSUPPORTED},
        {"null", AGW_EPROTO},
        {"\"x\"", AGW_EPROTO},
        {"{}", AGW_EPROTO},
        {"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"m\"}", AGW_EPROTO},
        {"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"m\"}", AGW_EPROTO},
        {"{\"id\":1,\"method\":\"m\"}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":1}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"m\"}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"m\"}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"m\"}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":[]}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":null}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"result\":{}}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"result\":{}}", AGW_EPROTO},
        /* said twice: which one counts? */
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"method\":\"b\"}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"m\\u0065thod\":\"b\"}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"a\"}", AGW_EPROTO},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{},\"params\":{}}", AGW_EPROTO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct agw_error err = {0};
        int rc = agw_jsonrpc_read(&doc, agw_str_c(cases[i].text), &arena, &message, &err);
        if (rc != cases[i].rc)
            print_error("%s\n", cases[i].text);
        assert_int_equal(rc, cases[i].rc);
        assert_int_equal(err.code, rc);
        assert_true(err.text[0] != 0);
    }
}

/* The id |json| of target 1, mapped, must come back as it was. */
static void round_trip(const char *json, const char *mapped)
{
    struct agw_json_doc copy;
    uint32_t target = 9;
    struct agw_str back;
    agw_json_doc_init(&copy, 0);
    assert_int_equal(agw_json_parse(&doc, agw_str_c(json), NULL), 0);
    struct agw_str id = agw_jsonrpc_map_id(&doc, 0, targets[1].name, &arena);
    assert_text(id, mapped);
    assert_int_equal(agw_json_parse(&copy, id, NULL), 0);
    assert_int_equal(agw_jsonrpc_unmap_id(&copy, 0, &two, &arena, &target, &back), 0);
    assert_int_equal(target, 1);
    assert_int_equal(agw_json_parse(&copy, back, NULL), 0);
    assert_true(agw_jsonrpc_same_id(&doc, 0, &copy, 0, &arena));
    agw_json_doc_free(&copy);
}

static void ids_are_mapped_both_ways(void **state)
{
    round_trip("7", "\"agw_b-b_n_7\"");
    round_trip("-1.5e3", "\"agw_b-b_n_-1.5e3\"");
    round_trip("9007199254740993", "\"agw_b-b_n_9007199254740993\"");
    round_trip("\"\"", "\"agw_b-b_s_\"");
    round_trip("\"7\"", "\"agw_b-b_s_7\"");
    round_trip("\"a_b\\\"\\u00e9\\n\"", "\"agw_b-b_s_a_b\\\"\\u00e9\\n\"");
}

static void foreign_ids_are_not_ours(void **state)
{
    static const char *const cases[] = {
        "7",
        "\"7\"",
        "\"agw_\"",
        "\"agw_a\"",
        "\"agw_a_\"",
        "\"agw_a_n\"",
        "\"agw_a_n_\"",
        "\"agw_a_n_x\"",
        "\"agw_a_n_1,2\"",
        "\"agw_a_n_[]\"",
        "\"agw_a_x_1\"",
        "\"agw_c_n_1\"",
        "\"agw_a_n_01\"",
        "\"agw_a_n_1}\"",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t target;
        struct agw_str back;
        assert_int_equal(agw_json_parse(&doc, agw_str_c(cases[i]), NULL), 0);
        assert_int_equal(agw_jsonrpc_unmap_id(&doc, 0, &two, &arena, &target, &back), AGW_ENOTFOUND);
    }
}

static void same_ids(void **state)
{
    struct agw_json_doc other;
    agw_json_doc_init(&other, 0);
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {{"1", "1", true},         {"1", "\"1\"", false},          {"1", "2", false},
                 {"\"a\"", "\"a\"", true}, {"\"\\u0061\"", "\"a\"", true}, {"\"a\"", "\"b\"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(agw_json_parse(&doc, agw_str_c(cases[i].a), NULL), 0);
        assert_int_equal(agw_json_parse(&other, agw_str_c(cases[i].b), NULL), 0);
        assert_int_equal(agw_jsonrpc_same_id(&doc, 0, &other, 0, &arena), cases[i].same);
    }
    agw_json_doc_free(&other);
}

static void errors(void **state)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    agw_jsonrpc_write_error(&w, AGW_STR("\"x\""), AGW_JSONRPC_INVALID_PARAMS, AGW_STR("no \"y\""),
                            AGW_STR("{\"z\":1}"));
    assert_text(agw_json_writer_text(&w),
                "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"error\":{\"code\":-32602,\"message\":\"no "
                "\\\"y\\\"\",\"data\":{\"z\":1}}}");
    agw_json_writer_free(&w);
    agw_json_writer_init(&w);
    agw_jsonrpc_write_error(&w, agw_str(NULL, 0), -1, AGW_STR("m"), agw_str(NULL, 0));
    assert_text(agw_json_writer_text(&w), "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-1,\"message\":\"m\"}}");
    agw_json_writer_free(&w);
}

static void out_of_memory(void **state)
{
    static const struct agw_str text =
        AGW_STR("{\"jsonrpc\":\"2.0\",\"id\":\"agw_a_s_\\\"\",\"method\":\"a\\n\"}");
    for (long n = 1;; n++) {
        struct agw_json_doc d;
        struct agw_arena a;
        uint32_t target;
        struct agw_str back;
        agw_json_doc_init(&d, 0);
        agw_arena_init(&a, 256, 0);
        failmalloc_at(n);
        int rc = agw_jsonrpc_read(&d, text, &a, &message, NULL);
        if (rc == 0)
            rc = agw_jsonrpc_unmap_id(&d, message.id, &two, &a, &target, &back);
        if (rc == 0 && !agw_jsonrpc_map_id(&d, message.id, targets[0].name, &a).p)
            rc = AGW_ENOMEM;
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_json_doc_free(&d);
        agw_arena_free(&a);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(ids_are_mapped_both_ways),
        cmocka_unit_test(foreign_ids_are_not_ours),
        cmocka_unit_test(same_ids),
        cmocka_unit_test(errors),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
