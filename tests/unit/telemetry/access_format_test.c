#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "base/rng.h"
#include "json/tape.h"
#include "telemetry/access_log_int.h"

#define S AGW_STR

static char out[AGW_ACCESS_LINE_MAX + 1];

static const char *format(const struct agw_access_record *r, bool json)
{
    char *end = agw_access_format(r, json, out);
    *end = 0;
    return out;
}

static const struct agw_access_record sample = {
    .wall_ns = 1700000000123456789ull,
    .duration_ns = 12345678,
    .bytes_in = 5,
    .bytes_out = 18446744073709551615ull,
    .status = 200,
    .client = {"10.0.0.1:4711", 13},
    .method = {"GET", 3},
    .host = {"example.com", 11},
    .path = {"/a?b=c", 6},
    .protocol = {"HTTP/1.1", 8},
    .listener = {"web", 3},
    .route = {"r1", 2},
    .backend = {"api", 3},
    .upstream = {"10.0.0.2:80", 11},
    .request_id = {"id-1", 4},
    .user_agent = {"curl/8.0 (x)", 12},
};

static void test_text(void **state)
{
    assert_string_equal(
        format(&sample, false),
        "time=2023-11-14T22:13:20.123Z client=10.0.0.1:4711 method=GET host=example.com path=\"/a?b=c\" "
        "protocol=HTTP/1.1 status=200 bytes_in=5 bytes_out=18446744073709551615 duration_ms=12.345 "
        "listener=web route=r1 backend=api upstream=10.0.0.2:80 request_id=id-1 user_agent=\"curl/8.0 "
        "(x)\"\n");
}

static void test_json(void **state)
{
    assert_string_equal(
        format(&sample, true),
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"client\":\"10.0.0.1:4711\",\"method\":\"GET\","
        "\"host\":\"example.com\",\"path\":\"/a?b=c\",\"protocol\":\"HTTP/1.1\",\"status\":200,"
        "\"bytes_in\":5,\"bytes_out\":18446744073709551615,\"duration_ms\":12.345,\"listener\":\"web\","
        "\"route\":\"r1\",\"backend\":\"api\",\"upstream\":\"10.0.0.2:80\",\"request_id\":\"id-1\","
        "\"user_agent\":\"curl/8.0 (x)\"}\n");
}

static void test_empty_record(void **state)
{
    struct agw_access_record r = {0};
    assert_string_equal(format(&r, false),
                        "time=1970-01-01T00:00:00.000Z status=0 bytes_in=0 bytes_out=0 duration_ms=0.000\n");
    assert_string_equal(format(&r, true),
                        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"status\":0,\"bytes_in\":0,"
                        "\"bytes_out\":0,\"duration_ms\":0.000}\n");
}

static void path_is(struct agw_str path, bool json, const char *want)
{
    struct agw_access_record r = {.path = path};
    assert_non_null(strstr(format(&r, json), want));
}

static void test_nothing_a_client_sends_forges_a_line(void **state)
{
    path_is(S("/a\nstatus=200"), false, " path=\"/a\\x0astatus=200\" ");
    path_is(S("/\"\\"), false, " path=\"/\\\"\\\\\" ");
    path_is(S("/\x1b[31m\x7f"), false, "path=\"/\\x1b[31m\\x7f\"");
    path_is(S("/\0"), false, "path=\"/\\x00\"");
    path_is(S("/\xff"), false, "path=\"/\\xff\"");
    path_is(S("/\xc2\x9b\xc3\xbc"), false, "path=\"/\\xc2\\x9b\xc3\xbc\"");
    path_is(S("/\xc3\xbc"), false, "path=\"/\xc3\xbc\"");
    path_is(S("/plain"), false, " path=/plain ");
    path_is(S("/a\n\"\\\x7f"), true, "\"path\":\"/a\\u000a\\\"\\\\\\u007f\"");
    path_is(S("/\xff\xc3\xbc"), true, "\"path\":\"/\\ufffd\\ufffd\\ufffd\"");
    path_is(S("/\xc3\xbc\xc2\x9b"), true, "\"path\":\"/\xc3\xbc\xc2\x9b\"");
}

/* Random bytes of all sizes, the longest too: JSON stays JSON, a line stays one line. */
static void test_random_bytes(void **state)
{
    static char bytes[4096];
    struct agw_json_doc doc;
    struct agw_rng rng;
    agw_rng_init(&rng, 3);
    agw_json_doc_init(&doc, 0);
    for (int round = 0; round < 2000; round++) {
        struct agw_access_record r = {
            .wall_ns = agw_rng_next(&rng), .duration_ns = UINT64_MAX, .status = 999};
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (char)(agw_rng_next(&rng) >> (round & 1 ? 56 : 58));
        for (size_t i = 0; i < AGW_ACCESS_TEXT_COUNT; i++)
            r.texts[i] = agw_str(bytes, round < 4 ? agw_access_limits[i]
                                                  : agw_rng_below(&rng, agw_access_limits[i] + 1u));
        const char *line = format(&r, true);
        size_t n = strlen(line);
        assert_int_equal(line[n - 1], '\n');
        struct agw_error err;
        assert_int_equal(agw_json_parse(&doc, agw_str(line, n - 1), &err), 0);
        line = format(&r, false);
        n = strlen(line);
        assert_ptr_equal(strchr(line, '\n'), line + n - 1);
        assert_true(agw_str_is_utf8(agw_str(line, n)));
    }
    agw_json_doc_free(&doc);
}

static void test_longest_line_fits(void **state)
{
    static char bytes[4096];
    struct agw_access_record r = {.wall_ns = UINT64_MAX,
                                  .duration_ns = UINT64_MAX,
                                  .bytes_in = UINT64_MAX,
                                  .bytes_out = UINT64_MAX,
                                  .status = UINT32_MAX};
    memset(bytes, 1, sizeof(bytes));
    for (size_t i = 0; i < AGW_ACCESS_TEXT_COUNT; i++)
        r.texts[i] = agw_str(bytes, agw_access_limits[i]);
    assert_true(strlen(format(&r, true)) > 6 * AGW_ACCESS_TEXT_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),         cmocka_unit_test(test_json),
        cmocka_unit_test(test_empty_record), cmocka_unit_test(test_nothing_a_client_sends_forges_a_line),
        cmocka_unit_test(test_random_bytes), cmocka_unit_test(test_longest_line_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
