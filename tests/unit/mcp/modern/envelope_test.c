#include "mcp/modern/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "failmalloc.h"

#define META                                                                                                 \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                                 \
    "\"io.modelcontextprotocol/clientCapabilities\":{}}"

static struct agw_arena arena;
static struct agw_json_doc doc;
static struct agw_headers headers;
static struct agw_error err;
static struct agw_str version;

static int setup(void **state)
{
    agw_arena_init(&arena, 256, 0);
    agw_json_doc_init(&doc, 0);
    agw_headers_init(&headers, &arena);
    err = (struct agw_error){0};
    version = agw_str(NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
    return 0;
}

static void field(const char *name, const char *value)
{
    struct agw_str n = agw_str_c(name);
    assert_int_equal(agw_headers_add(&headers, agw_hdr_lookup(n), n, agw_str_c(value)), 0);
}

static uint32_t params(const char *json)
{
    assert_int_equal(agw_json_parse(&doc, agw_str_c(json), NULL), 0);
    return agw_json_get(&doc, 0, AGW_STR("params"));
}

static int read_version(const char *json, bool request)
{
    return agw_mcp_envelope_version(&doc, params(json), request, &headers, &arena, &version, &err);
}

static int check_fields(const char *json, bool request, const char *method)
{
    return agw_mcp_envelope_fields(&doc, params(json), request, agw_str_c(method), &headers, &arena, &err);
}

static void the_body_names_the_revision(void **state)
{
    assert_int_equal(read_version("{\"params\":{" META "}}", true), 0);
    assert_true(agw_str_eq(version, AGW_STR("2026-07-28")));
    assert_true(agw_mcp_envelope_claimed(&doc, params("{\"params\":{" META "}}")));
    assert_false(agw_mcp_envelope_claimed(&doc, params("{\"params\":{\"_meta\":{}}}")));
    assert_false(agw_mcp_envelope_claimed(&doc, params("{}")));
    field("mcp-protocol-version", "2026-07-28");
    assert_int_equal(read_version("{\"params\":{" META "}}", true), 0);
    assert_int_equal(read_version("{}", false), 0); /* a notification may leave it to the field */
    assert_true(agw_str_eq(version, AGW_STR("2026-07-28")));
}

static void a_field_that_differs_is_refused(void **state)
{
    field("mcp-protocol-version", "2025-11-25");
    assert_int_equal(read_version("{\"params\":{" META "}}", true), AGW_EPROTO);
    assert_non_null(strstr(err.text, "MCP-Protocol-Version says 2025-11-25, the body 2026-07-28"));
}

static void what_is_missing_is_named(void **state)
{
    static const struct {
        const char *json, *reason;
    } cases[] = {
        {"{}", "protocolVersion"},
        {"{\"params\":{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":7}}}", "must be a string"},
        {"{\"params\":{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}}",
         "clientCapabilities"},
        {"{\"params\":{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
         "\"io.modelcontextprotocol/clientCapabilities\":[]}}}",
         "an object"},
        {"{\"params\":{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
         "\"io.modelcontextprotocol/protocolVersion\":\"2025-11-25\"}}}",
         "twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_version(cases[i].json, true), AGW_EINVAL);
        assert_non_null(strstr(err.text, cases[i].reason));
    }
}

static void fields_must_be_there(void **state)
{
    const char *call = "{\"params\":{\"name\":\"t\"}}";
    assert_int_equal(check_fields(call, true, "tools/call"), AGW_EPROTO);
    assert_non_null(strstr(err.text, "MCP-Protocol-Version"));
    field("mcp-protocol-version", "2026-07-28");
    assert_int_equal(check_fields(call, true, "tools/call"), AGW_EPROTO);
    assert_non_null(strstr(err.text, "Mcp-Method"));
    field("mcp-method", " tools/call ");
    assert_int_equal(check_fields(call, true, "tools/call"), AGW_EPROTO);
    assert_non_null(strstr(err.text, "Mcp-Name"));
    field("mcp-name", " t ");
    assert_int_equal(check_fields(call, true, "tools/call"), 0);
    assert_int_equal(check_fields(call, true, "tools/list"), AGW_EPROTO); /* a body of another method */
    assert_int_equal(check_fields("{\"params\":{\"name\":\"u\"}}", true, "tools/call"), AGW_EPROTO);
    assert_non_null(strstr(err.text, "params.name"));
}

static void notifications_need_none(void **state)
{
    assert_int_equal(check_fields("{}", false, "notifications/cancelled"), 0);
    field("mcp-method", "tools/call");
    assert_int_equal(check_fields("{}", false, "notifications/cancelled"), AGW_EPROTO);
}

static void the_name_may_be_coded(void **state)
{
    field("mcp-protocol-version", "2026-07-28");
    field("mcp-method", "resources/read");
    field("mcp-name", "=?base64?ZmlsZTovLy/DpA==?=");
    assert_int_equal(check_fields("{\"params\":{\"uri\":\"file:///\\u00e4\"}}", true, "resources/read"), 0);
    assert_int_equal(check_fields("{\"params\":{\"uri\":\"file:///a\"}}", true, "resources/read"),
                     AGW_EPROTO);
    agw_headers_remove(&headers, AGW_STR("mcp-name"));
    field("mcp-name", "=?base64?!?=");
    assert_int_equal(check_fields("{\"params\":{\"uri\":\"a:b\"}}", true, "resources/read"), AGW_EPROTO);
    assert_non_null(strstr(err.text, "not well encoded"));
}

static void values_come_back_the_same(void **state)
{
    static const struct {
        struct agw_str text;
        bool plain;
    } cases[] = {{{"echo", 4}, true},
                 {{"two words", 9}, true},
                 {{" edge", 5}, false},
                 {{"a\nb", 3}, false},
                 {{"\xc3\xa4", 2}, false},
                 {{"", 0}, true},
                 {{"=?base64?YQ==?=", 15}, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct agw_str back, coded = agw_mcp_field_encode(cases[i].text, &arena);
        assert_non_null(coded.p);
        assert_int_equal(agw_str_eq(coded, cases[i].text), cases[i].plain);
        for (size_t k = 0; k < coded.n; k++)
            assert_true(coded.p[k] >= 0x20 && coded.p[k] < 0x7f);
        assert_int_equal(agw_mcp_field_decode(coded, &arena, &back), 0);
        assert_true(agw_str_eq(back, cases[i].text));
    }
}

static void memory_may_run_out(void **state)
{
    field("mcp-protocol-version", "2026-07-28");
    field("mcp-method", "tools/call");
    field("mcp-name", "=?base64?w6Q=?=");
    uint32_t p = params("{\"params\":{\"name\":\"\\u00e4\",\"_meta\":{"
                        "\"io.modelcontextprotocol/protocolVersion\":\"2026\\u002d07-28\","
                        "\"io.modelcontextprotocol/clientCapabilities\":{}}}}");
    for (long n = 1;; n++) {
        struct agw_arena a;
        struct agw_str coded = {0};
        agw_arena_init(&a, 1, 0);
        failmalloc_at(n);
        int rc = agw_mcp_envelope_version(&doc, p, true, &headers, &a, &version, NULL);
        if (rc == 0)
            rc = agw_mcp_envelope_fields(&doc, p, true, AGW_STR("tools/call"), &headers, &a, NULL);
        if (rc == 0)
            coded = agw_mcp_field_encode(AGW_STR("\xc3\xa4"), &a);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_true(rc == 0 || (reached && rc == AGW_ENOMEM));
        assert_true(reached || coded.p);
        agw_arena_free(&a);
        if (!reached)
            break;
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_body_names_the_revision), CASE(a_field_that_differs_is_refused),
        CASE(what_is_missing_is_named),    CASE(fields_must_be_there),
        CASE(notifications_need_none),     CASE(the_name_may_be_coded),
        CASE(values_come_back_the_same),   CASE(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
