/* Names of links and tags; what links do is tested through the endpoint (tests/unit/mcp/sse_test.c). */
#include "mcp/transport/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void names_come_back(void **state)
{
    struct agw_mcp_link_name n = {0xdeadbeef, 255, {0xabcdef, 0x12345678}, 0xcafe}, back;
    char text[AGW_MCP_LINK_NAME_SIZE];
    agw_mcp_link_name_write(&n, text);
    assert_true(agw_mcp_link_name_read(agw_str(text, sizeof text), &back));
    assert_true(back.mark == n.mark && back.worker == n.worker && back.key.slot == n.key.slot &&
                back.key.turn == n.key.turn && back.random == n.random);
    for (size_t i = 0; i < sizeof text; i++) {
        char was = text[i];
        text[i] = 'g';
        assert_false(agw_mcp_link_name_read(agw_str(text, sizeof text), &back));
        text[i] = was;
    }
    assert_false(agw_mcp_link_name_read(agw_str(text, sizeof text - 1), &back));
    assert_false(agw_mcp_link_name_read(agw_str(NULL, 0), &back));
}

static void tags_tell_numbers_from_strings(void **state)
{
    struct agw_json_doc doc;
    struct agw_arena arena;
    struct agw_mcp_tag tags[4];
    agw_arena_init(&arena, 256, 0);
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_json_parse(&doc, AGW_STR("[1,\"1\",\"a\\u0062\",null,\"ab\",1.0]"), NULL), 0);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(agw_mcp_tag_read(&doc, i + 1, &arena, &tags[i]), 0);
    assert_true(agw_mcp_tag_is(&tags[0], &doc, 1));
    assert_false(agw_mcp_tag_is(&tags[0], &doc, 2));
    assert_false(agw_mcp_tag_is(&tags[0], &doc, 6));
    assert_true(agw_mcp_tag_is(&tags[1], &doc, 2));
    assert_true(agw_mcp_tag_is(&tags[2], &doc, 5));
    assert_false(agw_mcp_tag_is(&tags[3], &doc, 4));
    assert_false(agw_mcp_tag_is(&tags[0], &doc, 0));
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_come_back),
                                       cmocka_unit_test(tags_tell_numbers_from_strings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
