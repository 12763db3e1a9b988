/* A message of one era as the other's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "failmalloc.h"
#include "mcp/bridge/request.h"
#include "mcp/bridge/result.h"

static struct agw_arena arena;
static struct agw_json_doc doc;
static struct agw_jsonrpc message;
static struct agw_json_edits edits;

static int setup(void **state)
{
    agw_arena_init(&arena, 4096, 0);
    agw_json_doc_init(&doc, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_arena_free(&arena);
    agw_json_doc_free(&doc);
    return 0;
}

static void read_text(const char *text)
{
    assert_int_equal(agw_jsonrpc_read(&doc, agw_str_c(text), &arena, &message, NULL), 0);
    agw_json_edits_init(&edits, &arena);
}

static void assert_edited(const char *want)
{
    struct agw_chain out;
    char text[2048];
    agw_chain_init(&out);
    assert_int_equal(agw_json_edits_apply(&edits, doc.text, NULL, &out), 0);
    text[agw_chain_peek(&out, text, sizeof text - 1)] = 0;
    agw_chain_clear(&out);
    assert_string_equal(text, want);
    assert_int_equal(agw_json_parse(&doc, agw_str_c(want), NULL), 0);
}

#define REQUEST(params) "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"m\"" params "}"
#define CAPS "\"io.modelcontextprotocol/clientCapabilities\":"
#define VERSION "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\""

static void requests_to_servers_of_old(void **state)
{
    static const struct {
        const char *in, *out, *token;
    } cases[] = {
        {REQUEST(""), "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"m\"}", ""},
        {REQUEST(",\"params\":{\"_meta\":{" VERSION "," CAPS "{}}}"),
         "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"m\",\"params\":{\"_meta\":{}}}", ""},
        {REQUEST(
             ",\"params\":{\"x\": [1],\"_meta\":{\"k\":{},\"progressToken\":\"t\",\"io.modelcontextprotocol/"
             "logLevel\":\"info\"}}"),
         "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"m\",\"params\":{\"x\": [1],\"_meta\":{\"k\":{},"
         "\"progressToken\":9}}}",
         "\"t\""},
        {REQUEST(",\"params\":{\"_meta\":{\"io.modelcontextprotocol\\/clientInfo\":{},\"\\u0061\":2}}"),
         "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"m\",\"params\":{\"_meta\":{\"\\u0061\":2}}}", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct agw_str token;
        read_text(cases[i].in);
        assert_int_equal(agw_mcp_request_to_legacy(&doc, &message, AGW_STR("9"), &edits, &token), 0);
        assert_true(agw_str_eq(token, agw_str_c(cases[i].token)));
        assert_edited(cases[i].out);
    }
}

static void requests_to_servers_of_new(void **state)
{
    static const char *const cases[][2] = {
        {REQUEST(""), REQUEST(",\"params\":{\"_meta\":{" VERSION "," CAPS "{}}}")},
        {REQUEST(",\"params\":{}"), REQUEST(",\"params\":{\"_meta\":{" VERSION "," CAPS "{}}}")},
        {REQUEST(",\"params\":{\"a\":1}"),
         REQUEST(",\"params\":{\"_meta\":{" VERSION "," CAPS "{}},\"a\":1}")},
        {REQUEST(",\"params\":{\"_meta\":{}}"), REQUEST(",\"params\":{\"_meta\":{" VERSION "," CAPS "{}}}")},
        {REQUEST(",\"params\":{\"_meta\":{\"k\":1}}"),
         REQUEST(",\"params\":{\"_meta\":{" VERSION "," CAPS "{},\"k\":1}}")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        read_text(cases[i][0]);
        assert_int_equal(agw_mcp_request_to_modern(&doc, &message, AGW_STR(""), &edits), 0);
        assert_edited(cases[i][1]);
    }
}

static struct agw_str client_of(const char *params)
{
    struct agw_str client = {0};
    assert_int_equal(agw_json_parse(&doc, agw_str_c(params), NULL), 0);
    assert_int_equal(agw_mcp_client_read(&doc, agw_json_get(&doc, 0, AGW_STR("capabilities")),
                                         agw_json_get(&doc, 0, AGW_STR("clientInfo")), &arena, &client),
                     0);
    return client;
}

static void clients_are_remembered_within_a_limit(void **state)
{
    static char huge[2048];
    struct agw_str client = client_of("{\"capabilities\":{\"x\":{}},\"clientInfo\":{\"name\":\"c\"}}");
    assert_string_equal(client.p, CAPS "{\"x\":{}},\"io.modelcontextprotocol/clientInfo\":{\"name\":\"c\"}}");
    assert_int_equal(client.n + 1, strlen(client.p)); /* the brace stays behind */
    client = client_of("{\"capabilities\":7}");
    assert_true(agw_str_eq(client, agw_str_c(CAPS "{}")));
    snprintf(huge, sizeof huge,
             "{\"capabilities\":{\"roots\":{\"listChanged\":true},\"sampling\":{},\"x\":\"%0*d\"}}",
             AGW_MCP_CLIENT_MAX, 0);
    client = client_of(huge);
    assert_true(agw_str_eq(client, agw_str_c(CAPS "{\"sampling\":{},\"roots\":{}}")));
}

static void written(struct agw_json_writer *w, int rc, const char *want)
{
    assert_int_equal(rc, 0);
    struct agw_str text = agw_json_writer_text(w);
    if (!agw_str_eq(text, agw_str_c(want)))
        fail_msg("%.*s", AGW_STRF(text));
    agw_json_writer_free(w);
}

static void a_session_begins_for_a_client(void **state)
{
    struct agw_json_writer w;
    struct agw_str client =
        client_of("{\"capabilities\":{\"roots\":{}},\"clientInfo\":{\"name\":\"c\",\"version\":\"1\"}}");
    agw_json_writer_init(&w);
    written(&w, agw_mcp_write_initialize(client, AGW_MCP_2025_11_25, true, &arena, &w),
            "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-"
            "11-25\","
            "\"capabilities\":{\"roots\":{}},\"clientInfo\":{\"name\":\"c\",\"version\":\"1\"}}}");
    agw_json_writer_init(&w);
    written(
        &w, agw_mcp_write_initialize(AGW_STR(CAPS "{\"roots\":{}}"), AGW_MCP_2024_11_05, false, &arena, &w),
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2024-11-"
        "05\","
        "\"capabilities\":{},\"clientInfo\":{\"name\":\"agentgateway\",\"version\":\"" AGW_VERSION "\"}}}");
    agw_json_writer_init(&w);
    written(&w, agw_mcp_write_discover(AGW_STR(""), &w),
            "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"server/discover\",\"params\":{\"_meta\":{" VERSION
            "," CAPS "{}}}}");
}

#define RESULT(id, members) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{" members "}}"
#define TYPE "\"resultType\":\"complete\""
#define HINTS "\"ttlMs\":0,\"cacheScope\":\"private\""

static void responses_to_clients_of_new(void **state)
{
    static const struct {
        const char *method, *in, *out;
    } cases[] = {
        {"tools/call", RESULT("9", "\"content\":[]"), RESULT("\"a\"", TYPE ",\"content\":[]")},
        {"tools/call", RESULT("9", ""), RESULT("\"a\"", TYPE)},
        {"tools/list", RESULT("9", "\"tools\":[]"), RESULT("\"a\"", TYPE "," HINTS ",\"tools\":[]")},
        {"resources/read", RESULT("9", ""), RESULT("\"a\"", TYPE "," HINTS)},
        {"tools/list", RESULT("9", "\"ttlMs\":5"), RESULT("\"a\"", TYPE ",\"ttlMs\":5")},
        {"tools/list", RESULT("9", "\"resultType\":\"x\""), RESULT("\"a\"", HINTS ",\"resultType\":\"x\"")},
        {"tools/call", RESULT("9", "\"resultType\":\"x\""), RESULT("\"a\"", "\"resultType\":\"x\"")},
        {"resources/read", "{\"jsonrpc\":\"2.0\",\"id\":9,\"error\":{\"code\":-32002,\"message\":\"\"}}",
         "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"error\":{\"code\":-32602,\"message\":\"\"}}"},
        {"resources/read", "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-1}}",
         "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-1}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        read_text(cases[i].in);
        assert_int_equal(
            agw_mcp_response_to_modern(&doc, &message, agw_str_c(cases[i].method), AGW_STR("\"a\""), &edits),
            0);
        assert_edited(cases[i].out);
    }
}

#define LOG(level)                                                                                           \
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"" level "\"}}"

static void notices_to_clients_of_new(void **state)
{
    static const struct {
        const char *text, *token;
        agw_mcp_level level;
        bool passes;
    } cases[] = {
        {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":9}}", "7",
         0, true},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":9}}", "",
         0, false},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}", "7", 0, false},
        {LOG("debug"), "", 1, true},
        {LOG("debug"), "", 2, false},
        {LOG("error"), "", 4, true},
        {LOG("emergency"), "", 8, true},
        {LOG("error"), "", 0, false},
        {LOG("loud"), "", 1, false},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}", "", 1, false},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}", "7", 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rc;
        read_text(cases[i].text);
        assert_int_equal(
            agw_mcp_notice_to_modern(&doc, &message, agw_str_c(cases[i].token), cases[i].level, &edits, &rc),
            cases[i].passes);
        assert_int_equal(rc, 0);
    }
}

static void responses_to_clients_of_old(void **state)
{
    static const char *const cases[][2] = {
        {"\"structuredContent\":{}", "\"structuredContent\":{}"},
        {"\"structuredContent\":[1]", ""},
        {"\"structuredContent\":1,\"content\":[]", "\"content\":[]"},
        {"\"content\":[] , \"structuredContent\":null", "\"content\":[] "},
        {"\"a\":1,\"structuredContent\":\"s\",\"b\":2", "\"a\":1,\"b\":2"},
        {"\"tools\":[{\"name\":\"a\",\"outputSchema\":{\"type\":\"array\"}},{\"outputSchema\":{\"type\":"
         "\"object\"}},"
         "{\"outputSchema\":{},\"name\":\"c\"},7]",
         "\"tools\":[{\"name\":\"a\"},{\"outputSchema\":{\"type\":\"object\"}},{\"name\":\"c\"},7]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char in[512], out[512];
        snprintf(in, sizeof in, RESULT("9", "%s"), cases[i][0]);
        snprintf(out, sizeof out, RESULT("9", "%s"), cases[i][1]);
        read_text(in);
        assert_int_equal(agw_mcp_response_to_legacy(&doc, &message, &edits), 0);
        assert_edited(out);
    }
    read_text(RESULT("9", "\"resultType\":\"input_required\""));
    assert_true(agw_mcp_input_required(&doc, &message));
    read_text(RESULT("9", TYPE));
    assert_false(agw_mcp_input_required(&doc, &message));
}

static void each_era_introduces_the_other(void **state)
{
    struct agw_json_writer w;
    read_text(RESULT("0",
                     "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{\"listChanged\":true},"
                     "\"tasks\":{}},\"serverInfo\":{\"name\":\"s\"}"));
    agw_json_writer_init(&w);
    written(&w, agw_mcp_initialized_to_discover(&doc, message.result, AGW_STR("7"), &w),
            RESULT("7", "\"supportedVersions\":[\"2026-07-28\",\"2025-06-18\"],\"capabilities\":{\"tools\":{"
                        "\"listChanged\":true}}," TYPE "," HINTS
                        ",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"s\"}}"));
    read_text(RESULT(
        "0", "\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"extensions\":{},\"resources\":{"
             "\"subscribe\":true},\"tools\":{\"listChanged\":true}},\"instructions\":\"i\",\"_meta\":{"
             "\"io.modelcontextprotocol/serverInfo\":{\"name\":\"s\"}}"));
    agw_json_writer_init(&w);
    written(&w,
            agw_mcp_discovered_to_initialize(&doc, message.result, AGW_MCP_2025_03_26, AGW_STR("t"),
                                             AGW_STR("7"), &w),
            RESULT("7", "\"protocolVersion\":\"2025-03-26\",\"capabilities\":{\"tools\":{\"listChanged\":"
                        "true},\"resources\":{\"subscribe\":true}},"
                        "\"serverInfo\":{\"name\":\"s\"},\"instructions\":\"i\""));
    read_text(RESULT("0", "\"supportedVersions\":[7,\"2099-01-01\"]"));
    agw_json_writer_init(&w);
    assert_int_equal(agw_mcp_discovered_to_initialize(&doc, message.result, AGW_MCP_2025_03_26, AGW_STR("t"),
                                                      AGW_STR("7"), &w),
                     AGW_EPROTO);
    agw_json_writer_free(&w);
}

static int walk(struct agw_arena *a)
{
    static const char text[] = REQUEST(",\"params\":{\"_meta\":{\"progressToken\":1," VERSION "}}");
    struct agw_str token, client = {0};
    struct agw_json_writer w;
    agw_json_edits_init(&edits, a);
    int rc = agw_jsonrpc_read(&doc, AGW_STR(text), a, &message, NULL);
    if (rc == 0)
        rc = agw_mcp_request_to_legacy(&doc, &message, AGW_STR("9"), &edits, &token);
    if (rc == 0)
        rc = agw_mcp_request_to_modern(&doc, &message, AGW_STR(""), &edits);
    if (rc == 0)
        rc = agw_mcp_client_read(&doc, 0, 0, a, &client);
    agw_json_writer_init(&w);
    if (rc == 0)
        rc = agw_mcp_write_initialize(client, AGW_MCP_2025_11_25, true, a, &w);
    agw_json_writer_free(&w);
    agw_json_writer_init(&w);
    if (rc == 0)
        rc = agw_mcp_write_discover(client, &w);
    agw_json_writer_free(&w);
    if (rc == 0)
        rc = agw_jsonrpc_read(&doc, AGW_STR(RESULT("9", "\"structuredContent\":1")), a, &message, NULL);
    agw_json_edits_init(&edits, a);
    if (rc == 0)
        rc = agw_mcp_response_to_modern(&doc, &message, AGW_STR("tools/list"), AGW_STR("1"), &edits);
    if (rc == 0)
        rc = agw_mcp_response_to_legacy(&doc, &message, &edits);
    return rc;
}

static void out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct agw_arena a;
        agw_json_doc_free(&doc);
        agw_arena_init(&a, 64, 0);
        failmalloc_at(n);
        int rc = walk(&a);
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
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(requests_to_servers_of_old),
        CASE(requests_to_servers_of_new),
        CASE(clients_are_remembered_within_a_limit),
        CASE(a_session_begins_for_a_client),
        CASE(responses_to_clients_of_new),
        CASE(notices_to_clients_of_new),
        CASE(responses_to_clients_of_old),
        CASE(each_era_introduces_the_other),
        CASE(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
