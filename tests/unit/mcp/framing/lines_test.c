#include "mcp/framing/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/err.h"
#include "failmalloc.h"

static struct agw_mcp_lines lines;
static char got[4096];

/* Appends "line|" for each line; the last result. */
static int feed(const char *p, size_t n)
{
    struct agw_str rest = agw_str(p, n);
    struct agw_block *line;
    int rc;
    while ((rc = agw_mcp_lines_next(&lines, &rest, &line)) == 1) {
        size_t at = strlen(got);
        snprintf(got + at, sizeof got - at, "%.*s|", (int)line->len, (const char *)line->data);
        agw_block_unref(line);
    }
    return rc;
}

static void lines_however_they_are_cut(void **state)
{
    static const char text[] = "one\n\n  two \r\n\r\nthree\nfo";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        got[0] = 0;
        for (size_t at = 0; at < sizeof text - 1; at += piece)
            assert_int_equal(feed(text + at, sizeof text - 1 - at < piece ? sizeof text - 1 - at : piece), 0);
        assert_string_equal(got, "one|two|three|");
        assert_int_equal(feed("ur\n", 3), 0);
        assert_string_equal(got, "one|two|three|four|");
        agw_mcp_lines_free(&lines);
    }
}

static void a_line_has_a_limit(void **state)
{
    static char mib[1 << 20];
    struct agw_block *line;
    memset(mib, 'x', sizeof mib);
    for (unsigned i = 0; i < AGW_MCP_MESSAGE_MAX >> 20; i++)
        assert_int_equal(feed(mib, sizeof mib), 0);
    struct agw_str end = AGW_STR("\n"), more = AGW_STR("x");
    assert_int_equal(agw_mcp_lines_next(&lines, &end, &line), 1);
    assert_int_equal(line->len, AGW_MCP_MESSAGE_MAX);
    assert_int_equal(lines.cap, 0); /* given back */
    agw_block_unref(line);
    for (unsigned i = 0; i < AGW_MCP_MESSAGE_MAX >> 20; i++)
        assert_int_equal(feed(mib, sizeof mib), 0);
    assert_int_equal(agw_mcp_lines_next(&lines, &more, &line), AGW_ELIMIT);
    agw_mcp_lines_free(&lines);
}

static void no_memory(void **state)
{
    for (long n = 1;; n++) {
        got[0] = 0;
        failmalloc_at(n);
        int rc = feed("one\ntw", 6);
        if (rc == 0)
            rc = feed("o\n", 2);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        agw_mcp_lines_free(&lines);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        if (!reached)
            break;
    }
    assert_string_equal(got, "one|two|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_however_they_are_cut),
                                       cmocka_unit_test(a_line_has_a_limit), cmocka_unit_test(no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
