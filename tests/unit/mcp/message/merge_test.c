#include "mcp/message/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "failmalloc.h"

static struct agw_mcp_target targets[] = {{.name = {"a", 1}}, {.name = {"b", 1}}, {.name = {"c", 1}}};
static const struct agw_mcp_backend three = {.targets = targets, .count = 3};
static const struct agw_mcp_backend bare = {.targets = targets, .count = 3, .prefix = AGW_MCP_PREFIX_NEVER};

static struct agw_arena arena;
static struct agw_json_doc docs[3];
static struct agw_mcp_part parts[3];

static int setup(void **state)
{
    agw_arena_init(&arena, 4096, 0);
    for (int i = 0; i < 3; i++)
        agw_json_doc_init(&docs[i], 0);
    return 0;
}

static int teardown(void **state)
{
    agw_arena_free(&arena);
    for (int i = 0; i < 3; i++)
        agw_json_doc_free(&docs[i]);
    return 0;
}

static void part(int i, uint32_t target, const char *result)
{
    assert_int_equal(agw_json_parse(&docs[i], agw_str_c(result), NULL), 0);
    parts[i] = (struct agw_mcp_part){target, &docs[i], 0};
}

static void assert_text(struct agw_str got, const char *want)
{
    if (got.n != strlen(want) || memcmp(got.p, want, got.n) != 0)
        print_error("got  %.*s\nwant %s\n", AGW_STRF(got), want);
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void assert_list(const struct agw_mcp_backend *b, const char *method, uint32_t count,
                        struct agw_str next, const char *want)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    assert_int_equal(agw_mcp_merge_list(b, agw_mcp_method_find(agw_str_c(method)), parts, count, AGW_STR("7"),
                                        next, NULL, &arena, &w),
                     0);
    assert_text(agw_json_writer_text(&w), want);
    agw_json_writer_free(&w);
}

static void tools(void **state)
{
    part(0, 0, "{\"tools\":[{\"name\":\"x\",\"n\":1.0},{\"title\":\"no name\"}],\"nextCursor\":\"z\"}");
    part(1, 2, "{\"tools\":[ {\"z\":{},\"name\":\"x\"} ]}");
    assert_list(&three, "tools/list", 2, agw_str(NULL, 0),
                "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[{\"name\":\"a_x\",\"n\":1.0},{"
                "\"title\":\"no name\"},"
                "{\"z\":{},\"name\":\"c_x\"}]}}");
    part(0, 0, "{\"tools\":7}");
    part(1, 1, "{}");
    assert_list(&three, "tools/list", 2, AGW_STR("more"),
                "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[],\"nextCursor\":\"more\"}}");
    assert_list(&three, "prompts/list", 0, agw_str(NULL, 0),
                "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"prompts\":[]}}");
}

static void resources(void **state)
{
    part(0, 1,
         "{\"resources\":[{\"uri\":\"memo:1\",\"name\":\"x\"},{\"uri\":\"ui://h\"},{\"uri\":\"rel\"}]}");
    assert_list(
        &bare, "resources/list", 1, agw_str(NULL, 0),
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"resources\":[{\"uri\":\"b+memo:1\",\"name\":\"x\"},"
        "{\"uri\":\"ui://b+h\"},{\"uri\":\"rel\"}]}}");
    part(0, 1, "{\"resourceTemplates\":[{\"uriTemplate\":\"m:{+x}\"}]}");
    assert_list(
        &three, "resources/templates/list", 1, agw_str(NULL, 0),
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"resourceTemplates\":[{\"uriTemplate\":\"b+m:{+x}\"}]}}");
}

static void apps_links_follow_their_resource(void **state)
{
    part(0, 0,
         "{\"tools\":[{\"name\":\"x\",\"_meta\":{\"ui\":{\"resourceUri\":\"ui://h/p\"},\"ui/"
         "resourceUri\":\"ui://h/p\"}}]}");
    assert_list(&three, "tools/list", 1, agw_str(NULL, 0),
                "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[{\"name\":\"a_x\",\"_meta\":{\"ui\":{"
                "\"resourceUri\":"
                "\"ui://a+h/p\"},\"ui/resourceUri\":\"ui://a+h/p\"}}]}}");
}

static void bare_names_of_several_owners_are_left_out(void **state)
{
    uint32_t owner = 9;
    part(0, 0, "{\"tools\":[{\"name\":\"x\"},{\"name\":\"y\"}]}");
    part(1, 0, "{\"tools\":[{\"name\":\"y\"}]}"); /* another page of the same target */
    part(2, 1, "{\"tools\":[{\"name\":\"\\u0078\"},{\"name\":\"z\"}]}");
    assert_list(&bare, "tools/list", 3, agw_str(NULL, 0),
                "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[{\"name\":\"y\"},{\"name\":\"y\"},{"
                "\"name\":\"z\"}]}}");
    const struct agw_mcp_method *list = agw_mcp_method_find(AGW_STR("tools/list"));
    assert_int_equal(agw_mcp_find_owner(list, parts, 3, AGW_STR("x"), &owner), AGW_EEXISTS);
    assert_int_equal(agw_mcp_find_owner(list, parts, 3, AGW_STR("w"), &owner), AGW_ENOTFOUND);
    assert_int_equal(owner, 9);
    assert_int_equal(agw_mcp_find_owner(list, parts, 3, AGW_STR("y"), &owner), 0);
    assert_int_equal(owner, 0);
    assert_int_equal(agw_mcp_find_owner(list, parts, 3, AGW_STR("z"), &owner), 0);
    assert_int_equal(owner, 1);
}

static void cursors(void **state)
{
    struct agw_mcp_cursor c, got;
    assert_int_equal(agw_mcp_cursor_init(&c, &three, &arena), 0);
    struct agw_str text;
    assert_int_equal(agw_mcp_cursor_encode(&c, &three, &arena, &text), 0);
    assert_int_equal(text.n, 0); /* nothing left: no cursor */
    c.at[0] = AGW_STR("page \"2\"\n");
    c.at[2] = AGW_STR("");
    assert_int_equal(agw_mcp_cursor_encode(&c, &three, &arena, &text), 0);
    assert_true(text.n > 0);
    assert_int_equal(agw_mcp_cursor_decode(text, &three, &arena, &got), 0);
    assert_text(got.at[0], "page \"2\"\n");
    assert_null(got.at[1].p);
    assert_non_null(got.at[2].p);
    assert_int_equal(got.at[2].n, 0);
    struct agw_mcp_target others[] = {targets[0], targets[1], {.name = {"d", 1}}};
    struct agw_mcp_backend changed = {.targets = others, .count = 3};
    assert_int_equal(agw_mcp_cursor_decode(text, &changed, &arena, &got), AGW_EINVAL);
    for (size_t n = 0; n < text.n; n++)
        assert_int_equal(agw_mcp_cursor_decode(agw_str(text.p, n), &three, &arena, &got), AGW_EINVAL);
    assert_int_equal(agw_mcp_cursor_decode(AGW_STR("not base64!"), &three, &arena, &got), AGW_EINVAL);
    static char huge[AGW_MCP_CURSOR_MAX + 1];
    memset(huge, 'A', sizeof huge);
    assert_int_equal(agw_mcp_cursor_decode(agw_str(huge, sizeof huge), &three, &arena, &got), AGW_EINVAL);
}

/* What is handed out must be good when it comes back. */
static void long_cursors(void **state)
{
    static char text[AGW_MCP_CURSOR_MAX];
    struct agw_mcp_cursor c, got;
    struct agw_str out = AGW_STR("as it was");
    memset(text, 'x', sizeof text);
    assert_int_equal(agw_mcp_cursor_init(&c, &three, &arena), 0);
    for (int i = 0; i < 3; i++)
        c.at[i] = agw_str(text, UINT16_MAX);
    assert_int_equal(agw_mcp_cursor_encode(&c, &three, &arena, &out), 0);
    assert_int_equal(agw_mcp_cursor_decode(out, &three, &arena, &got), 0);
    assert_true(agw_str_eq(got.at[2], c.at[2]));
    c.at[1] = agw_str(text, UINT16_MAX + 1);
    out = AGW_STR("as it was");
    assert_int_equal(agw_mcp_cursor_encode(&c, &three, &arena, &out), AGW_ELIMIT);
    assert_text(out, "as it was");
    static struct agw_mcp_target many_targets[20];
    static const struct agw_mcp_backend many = {.targets = many_targets, .count = 20};
    assert_int_equal(agw_mcp_cursor_init(&c, &many, &arena), 0);
    for (int i = 0; i < 20; i++)
        c.at[i] = agw_str(text, UINT16_MAX);
    assert_int_equal(agw_mcp_cursor_encode(&c, &many, &arena, &out), AGW_ELIMIT);
}

static void assert_cursor_set(const char *text, const char *want)
{
    struct agw_jsonrpc m;
    struct agw_json_edits e;
    struct agw_chain out;
    char got[256];
    assert_int_equal(agw_jsonrpc_read(&docs[0], agw_str_c(text), &arena, &m, NULL), 0);
    agw_json_edits_init(&e, &arena);
    agw_chain_init(&out);
    assert_int_equal(agw_mcp_set_cursor(&docs[0], &m, AGW_STR("p\"2"), &e), 0);
    assert_int_equal(agw_json_edits_apply(&e, docs[0].text, NULL, &out), 0);
    got[agw_chain_peek(&out, got, sizeof got - 1)] = 0;
    agw_chain_clear(&out);
    assert_string_equal(got, want);
}

static void the_next_page_is_asked_for(void **state)
{
    assert_cursor_set(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"} ",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"cursor\":\"p\\\"2\"}} ");
    assert_cursor_set("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{ }}",
                      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"cursor\":\"p\\\"2\" }}");
    assert_cursor_set(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":{}}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"cursor\":\"p\\\"2\",\"_meta\":{}}}");
    assert_cursor_set("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"cursor\":\"old\"}}",
                      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"cursor\":\"p\\\"2\"}}");
}

static void next_cursor(void **state)
{
    struct agw_str c;
    part(0, 0, "{\"nextCursor\":\"a\\n\"}");
    assert_int_equal(agw_mcp_next_cursor(&docs[0], 0, &arena, &c), 0);
    assert_text(c, "a\n");
    part(0, 0, "{\"nextCursor\":null}");
    assert_int_equal(agw_mcp_next_cursor(&docs[0], 0, &arena, &c), 0);
    assert_null(c.p);
}

static void initialize_is_read(void **state)
{
    struct agw_mcp_peer peer = {0};
    part(0, 0,
         "{\"protocolVersion\":\"2025-03-26\",\"capabilities\":{\"tools\":{},\"resources\":{\"subscribe\":"
         "true},\"logging\":{}}}");
    assert_int_equal(agw_mcp_read_initialize(&docs[0], 0, &peer), 0);
    assert_int_equal(peer.version, AGW_MCP_2025_03_26);
    assert_int_equal(peer.caps,
                     AGW_MCP_CAP_TOOLS | AGW_MCP_CAP_RESOURCES | AGW_MCP_CAP_SUBSCRIBE | AGW_MCP_CAP_LOGGING);
    static const char *const bad[] = {"{}", "{\"protocolVersion\":\"1\"}", "{\"protocolVersion\":7}",
                                      "{\"protocolVersion\":\"2026-07-28\"}"};
    for (size_t i = 0; i < 4; i++) {
        part(0, 0, bad[i]);
        assert_int_equal(agw_mcp_read_initialize(&docs[0], 0, &peer), AGW_EPROTO);
    }
    part(0, 0, "{\"protocolVersion\":\"2025-06-18\"}");
    assert_int_equal(agw_mcp_read_initialize(&docs[0], 0, &peer), 0);
    assert_int_equal(peer.caps, 0);
}

static void initialize_is_united(void **state)
{
    struct agw_json_writer w;
    struct agw_mcp_peer peers[3] = {{.present = true}, {0}, {.present = true}};
    struct agw_mcp_session s = {AGW_MCP_2025_03_26, 1, peers, 3};
    part(0, 0,
         "{\"protocolVersion\":\"2025-03-26\",\"capabilities\":{\"tools\":{}},\"instructions\":\"first\"}");
    part(1, 2,
         "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{\"listChanged\":true},\"prompts\":"
         "{\"listChanged\":false},\"completions\":{}},\"instructions\":\"second\"}");
    assert_int_equal(agw_mcp_read_initialize(&docs[0], 0, &peers[0]), 0);
    assert_int_equal(agw_mcp_read_initialize(&docs[1], 0, &peers[2]), 0);
    agw_json_writer_init(&w);
    assert_int_equal(agw_mcp_merge_initialize(&bare, parts, 2, &s, AGW_STR("\"i\""), &arena, &w), 0);
    struct agw_str got = agw_json_writer_text(&w);
    assert_true(agw_str_starts(
        got, AGW_STR("{\"jsonrpc\":\"2.0\",\"id\":\"i\",\"result\":{\"protocolVersion\":\"2025-03-26\","
                     "\"capabilities\":{\"tools\":{\"listChanged\":true},\"prompts\":{},\"completions\":{}},"
                     "\"serverInfo\":{\"name\":\"agentgateway\"")));
    assert_true(agw_str_ends(got, AGW_STR(",\"instructions\":\"[a]\\nfirst\\n\\n[c]\\nsecond\"}}")));
    agw_json_writer_free(&w);
}

static void tasks_are_united(void **state)
{
    struct agw_json_writer w;
    struct agw_mcp_peer peers[2] = {{.present = true}, {.present = true}};
    struct agw_mcp_session s = {AGW_MCP_2025_11_25, 1, peers, 2};
    part(0, 0,
         "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tasks\":{\"list\":{},\"requests\":{"
         "\"tools\":{"
         "\"call\":{}}}}}}");
    part(1, 1, "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tasks\":{\"cancel\":{}}}}");
    for (int i = 0; i < 2; i++)
        assert_int_equal(agw_mcp_read_initialize(&docs[i], 0, &peers[i]), 0);
    assert_int_equal(peers[0].caps, AGW_MCP_CAP_TASKS);
    assert_int_equal(peers[1].caps, 0); /* is not asked for a list */
    for (int i = 0; i < 2; i++) {
        s.version = i ? AGW_MCP_2025_06_18 : AGW_MCP_2025_11_25;
        agw_json_writer_init(&w);
        assert_int_equal(agw_mcp_merge_initialize(&bare, parts, 2, &s, AGW_STR("1"), &arena, &w), 0);
        const char *got = agw_arena_printf(&arena, "%.*s", AGW_STRF(agw_json_writer_text(&w))).p;
        assert_non_null(
            strstr(got, i ? "\"capabilities\":{}," /* which knows of none */
                          : "\"capabilities\":{\"tasks\":{\"list\":{},\"cancel\":{},\"requests\":{"
                            "\"tools\":{\"call\":{}}}}},"));
        agw_json_writer_free(&w);
    }
    const struct agw_mcp_method *list = agw_mcp_method_find(AGW_STR("tasks/list"));
    part(0, 0, "{\"tasks\":[{\"taskId\":\"7\"}]}");
    part(1, 1, "{\"tasks\":[{\"taskId\":\"7\",\"status\":\"failed\"}]}");
    agw_json_writer_init(&w);
    assert_int_equal(agw_mcp_merge_list(&bare, list, parts, 2, AGW_STR("1"), AGW_STR(""), NULL, &arena, &w),
                     0);
    assert_true(agw_str_eq(
        agw_json_writer_text(&w),
        AGW_STR("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tasks\":[{\"taskId\":\"a+7\"},{\"taskId\":"
                "\"b+7\",\"status\":\"failed\"}]}}")));
    agw_json_writer_free(&w);
}

static void out_of_memory(void **state)
{
    struct agw_mcp_peer peers[3] = {{.present = true, .caps = 0xff, .version = AGW_MCP_2025_06_18}};
    struct agw_mcp_session s = {AGW_MCP_2025_03_26, 1, peers, 3};
    part(0, 0, "{\"tools\":[{\"name\":\"\\u0078\"}],\"instructions\":\"i\\n\",\"nextCursor\":\"n\\n\"}");
    part(1, 1, "{\"tools\":[{\"name\":\"y\"}]}");
    for (long n = 1;; n++) {
        struct agw_arena a;
        struct agw_json_writer w[3];
        struct agw_mcp_cursor c;
        struct agw_str text = {0};
        int rc;
        agw_arena_init(&a, 256, 0);
        for (int i = 0; i < 3; i++)
            agw_json_writer_init(&w[i]);
        failmalloc_at(n);
        rc = agw_mcp_merge_list(&bare, agw_mcp_method_find(AGW_STR("tools/list")), parts, 2, AGW_STR("1"),
                                text, NULL, &a, &w[0]);
        if (rc == 0)
            rc = agw_mcp_merge_list(&three, agw_mcp_method_find(AGW_STR("tools/list")), parts, 2,
                                    AGW_STR("1"), text, NULL, &a, &w[1]);
        if (rc == 0)
            rc = agw_mcp_merge_initialize(&three, parts, 2, &s, AGW_STR("1"), &a, &w[2]);
        if (rc == 0)
            rc = agw_mcp_cursor_init(&c, &three, &a);
        if (rc == 0)
            rc = agw_mcp_next_cursor(&docs[0], 0, &a, &c.at[1]);
        if (rc == 0)
            rc = agw_mcp_cursor_encode(&c, &three, &a, &text);
        if (rc == 0)
            rc = agw_mcp_cursor_decode(text, &three, &a, &c);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        for (int i = 0; i < 3; i++)
            agw_json_writer_free(&w[i]);
        agw_arena_free(&a);
        if (!reached)
            break;
        assert_true(n < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tools),
        cmocka_unit_test(resources),
        cmocka_unit_test(apps_links_follow_their_resource),
        cmocka_unit_test(bare_names_of_several_owners_are_left_out),
        cmocka_unit_test(cursors),
        cmocka_unit_test(long_cursors),
        cmocka_unit_test(the_next_page_is_asked_for),
        cmocka_unit_test(next_cursor),
        cmocka_unit_test(initialize_is_read),
        cmocka_unit_test(initialize_is_united),
        cmocka_unit_test(tasks_are_united),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
