#include "json/tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"

#define OK 0
#define BAD AGW_EINVAL

/* Bytes as literals so that NUL and broken UTF-8 can stand in them. */
#define CASE(text, result)                                                                                   \
    {                                                                                                        \
        {text, sizeof(text) - 1}, result                                                                     \
    }

static const struct {
    struct agw_str text;
    int result;
} cases[] = {
    /* structure */
    CASE("{}", OK),
    CASE("[]", OK),
    CASE(" \t\r\n[ ] \n", OK),
    CASE("null", OK),
    CASE("true", OK),
    CASE("false", OK),
    CASE("\"\"", OK),
    CASE("0", OK),
    CASE("[[[]],{},[{}]]", OK),
    CASE("{\"a\":1,\"a\":2}", OK),
    CASE("{\"\":0}", OK),
    CASE("[1,[2,{\"b\":[]}],3]", OK),
    CASE("", BAD),
    CASE(" ", BAD),
    CASE("[", BAD),
    CASE("]", BAD),
    CASE("{", BAD),
    CASE("}", BAD),
    CASE("[1", BAD),
    CASE("[1,", BAD),
    CASE("[1,]", BAD),
    CASE("[,1]", BAD),
    CASE("[1,,2]", BAD),
    CASE("[1 2]", BAD),
    CASE("[1}", BAD),
    CASE("{]", BAD),
    CASE("{\"a\"}", BAD),
    CASE("{\"a\":}", BAD),
    CASE("{\"a\":1,}", BAD),
    CASE("{,\"a\":1}", BAD),
    CASE("{\"a\" 1}", BAD),
    CASE("{\"a\":1 \"b\":2}", BAD),
    CASE("{a:1}", BAD),
    CASE("{1:1}", BAD),
    CASE("{'a':1}", BAD),
    CASE("{\"a\":1}}", BAD),
    CASE("[][]", BAD),
    CASE("1 2", BAD),
    CASE("{}x", BAD),
    CASE("[]\f", BAD),
    CASE("\xef\xbb\xbf{}", BAD),
    CASE("[1]\0", BAD),
    CASE("{\"a\":1,", BAD),
    CASE("{\"a\":", BAD),
    CASE("{\"a\"", BAD),
    CASE("// c\n1", BAD),
    CASE("[/**/]", BAD),
    CASE("{\"a\":1,1", BAD),
    CASE("[\"a\":1]", BAD),
    CASE("\xa0[]", BAD),
    CASE("[\v]", BAD),
    /* words */
    CASE("nul", BAD),
    CASE("nulll", BAD),
    CASE("True", BAD),
    CASE("tru", BAD),
    CASE("fals", BAD),
    CASE("NaN", BAD),
    CASE("Infinity", BAD),
    CASE("-Infinity", BAD),
    CASE("undefined", BAD),
    CASE("[truefalse]", BAD),
    /* numbers */
    CASE("-0", OK),
    CASE("-1", OK),
    CASE("10", OK),
    CASE("1.5", OK),
    CASE("0.0", OK),
    CASE("1e1", OK),
    CASE("1E+2", OK),
    CASE("1e-2", OK),
    CASE("0e0", OK),
    CASE("-0.1e+10", OK),
    CASE("1e400", OK),
    CASE("9007199254740993", OK),
    CASE("123456789012345678901234567890", OK),
    CASE("1e00005", OK),
    CASE("01", BAD),
    CASE("-01", BAD),
    CASE("+1", BAD),
    CASE("-", BAD),
    CASE(".5", BAD),
    CASE("1.", BAD),
    CASE("1.e1", BAD),
    CASE("1e", BAD),
    CASE("1e+", BAD),
    CASE("1e+-1", BAD),
    CASE("0x10", BAD),
    CASE("1_000", BAD),
    CASE("--1", BAD),
    CASE("1.2.3", BAD),
    CASE("00", BAD),
    CASE("-.5", BAD),
    CASE("1a", BAD),
    CASE("[-]", BAD),
    CASE("\xef\xbc\x91", BAD),
    /* strings */
    CASE("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", OK),
    CASE("\"\\u0041\\u00e9\\u20AC\"", OK),
    CASE("\"\\u0000\"", OK),
    CASE("\"\\ud83d\\ude00\"", OK),
    CASE("\"\\uD83D\\uDE00\"", OK),
    CASE("\"\x7f\"", OK),
    CASE("\"\\uffff\"", OK),
    CASE("\"\\ud83d\"", BAD),
    CASE("\"\\ude00\"", BAD),
    CASE("\"\\ud83dx\"", BAD),
    CASE("\"\\ud83d\\n\"", BAD),
    CASE("\"\\ud83d\\ud83d\"", BAD),
    CASE("\"\\ud83d\\u0041\"", BAD),
    CASE("\"\\ud83d\\u\"", BAD),
    CASE("\"\\u12\"", BAD),
    CASE("\"\\u12g4\"", BAD),
    CASE("\"\\u 123\"", BAD),
    CASE("\"\\x41\"", BAD),
    CASE("\"\\a\"", BAD),
    CASE("\"\\'\"", BAD),
    CASE("\"\\\0\"", BAD),
    CASE("\"\\", BAD),
    CASE("\"\\\"", BAD),
    CASE("\"a", BAD),
    CASE("a\"", BAD),
    CASE("'a'", BAD),
    CASE("\"a\nb\"", BAD),
    CASE("\"a\tb\"", BAD),
    CASE("\"a\0b\"", BAD),
    CASE("\"\x1f\"", BAD),
    CASE("\"\\U0041\"", BAD),
    CASE("\"0123456789abcdef\x01\"", BAD),
    CASE("\"0123456789abcdef0123456789abcdef\"", OK),
    /* UTF-8 */
    CASE("\"\xc3\xa9\"", OK),
    CASE("\"\xe2\x82\xac\"", OK),
    CASE("\"\xf0\x9f\x98\x80\"", OK),
    CASE("\"\xf4\x8f\xbf\xbf\"", OK),
    CASE("\"\xef\xbf\xbf\"", OK),
    CASE("\"\xed\x9f\xbf\"", OK),
    CASE("\"\xee\x80\x80\"", OK),
    CASE("\"\xc2\x80\"", OK),
    CASE("\"\xe0\xa0\x80\"", OK),
    CASE("\"\xf0\x90\x80\x80\"", OK),
    CASE("\"\xc0\x80\"", BAD),
    CASE("\"\xc1\xbf\"", BAD),
    CASE("\"\xe0\x9f\xbf\"", BAD),
    CASE("\"\xed\xa0\x80\"", BAD),
    CASE("\"\xed\xbf\xbf\"", BAD),
    CASE("\"\xf0\x8f\xbf\xbf\"", BAD),
    CASE("\"\xf4\x90\x80\x80\"", BAD),
    CASE("\"\xf5\x80\x80\x80\"", BAD),
    CASE("\"\xff\"", BAD),
    CASE("\"\x80\"", BAD),
    CASE("\"\xc3\"", BAD),
    CASE("\"\xe2\x82\"", BAD),
    CASE("\"\xf0\x9f\x98\"", BAD),
    CASE("\"\xc3\x28\"", BAD),
    CASE("\"\xe2\x28\xa1\"", BAD),
    CASE("\"\xe2\x82\x28\"", BAD),
    CASE("\"\xf0\x28\x8c\xbc\"", BAD),
    CASE("\"\xf0\x90\x28\xbc\"", BAD),
    CASE("\"\xf0\x90\x8c\x28\"", BAD),
    CASE("\"\xc3", BAD),
    CASE("\"\xf0\x9f", BAD),
};

static void syntax(void **state)
{
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        char *exact = malloc(cases[i].text.n + 1); /* so that ASan sees a read past the end */
        memcpy(exact, cases[i].text.p, cases[i].text.n);
        struct agw_error err = {0};
        int rc = agw_json_parse(&doc, agw_str(exact, cases[i].text.n), &err);
        if (rc != cases[i].result)
            print_error("case %zu: %.*s\n", i, AGW_STRF(cases[i].text));
        assert_int_equal(rc, cases[i].result);
        assert_int_equal(err.code, cases[i].result);
        if (rc != 0)
            assert_int_equal(doc.count, 0);
        free(exact);
    }
    agw_json_doc_free(&doc);
}

static void every_prefix_is_refused(void **state)
{
    static const char text[] =
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"a\\u00e9\xc3\xa9\","
        "\"arguments\":{\"x\":[1.5,-2e3,true,null,{\"y\":[]}]}}}";
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    for (size_t n = 0; n < sizeof text - 1; n++) {
        char *exact = malloc(n + 1);
        memcpy(exact, text, n);
        assert_int_equal(agw_json_parse(&doc, agw_str(exact, n), NULL), AGW_EINVAL);
        free(exact);
    }
    assert_int_equal(agw_json_parse(&doc, agw_str(text, sizeof text - 1), NULL), 0);
    agw_json_doc_free(&doc);
}

static void check_token(const struct agw_json_doc *doc, uint32_t i, enum agw_json_type type, const char *text,
                        uint32_t next)
{
    struct agw_str got = agw_json_text(doc, i);
    assert_int_equal(doc->tokens[i].type, type);
    assert_int_equal(got.n, strlen(text));
    assert_memory_equal(got.p, text, got.n);
    assert_int_equal(doc->tokens[i].next, next);
}

static void tokens(void **state)
{
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_json_parse(&doc, AGW_STR(" {\"a\" : [1, 2.50 ,\"x\\n\"], \"b\":{} } "), NULL), 0);
    assert_int_equal(doc.count, 8);
    check_token(&doc, 0, AGW_JSON_OBJECT, "{\"a\" : [1, 2.50 ,\"x\\n\"], \"b\":{} }", 8);
    check_token(&doc, 1, AGW_JSON_STRING, "\"a\"", 2);
    check_token(&doc, 2, AGW_JSON_ARRAY, "[1, 2.50 ,\"x\\n\"]", 6);
    check_token(&doc, 3, AGW_JSON_NUMBER, "1", 4);
    check_token(&doc, 4, AGW_JSON_NUMBER, "2.50", 5);
    check_token(&doc, 5, AGW_JSON_STRING, "\"x\\n\"", 6);
    check_token(&doc, 6, AGW_JSON_STRING, "\"b\"", 7);
    check_token(&doc, 7, AGW_JSON_OBJECT, "{}", 8);
    assert_int_equal(doc.tokens[3].flags, AGW_JSON_INTEGER);
    assert_int_equal(doc.tokens[4].flags, 0);
    assert_int_equal(doc.tokens[5].flags, AGW_JSON_ESCAPED);
    assert_int_equal(doc.tokens[1].flags, 0);
    assert_int_equal(doc.tokens[0].depth, 0);
    assert_int_equal(doc.tokens[5].depth, 2);
    agw_json_doc_free(&doc);
}

static void nested(char *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        out[i] = '[';
        out[2 * depth - 1 - i] = ']';
    }
}

static void depth_limit(void **state)
{
    static char text[2 * (AGW_JSON_DEPTH + 1)];
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    nested(text, AGW_JSON_DEPTH);
    assert_int_equal(agw_json_parse(&doc, agw_str(text, 2 * AGW_JSON_DEPTH), NULL), 0);
    nested(text, AGW_JSON_DEPTH + 1);
    assert_int_equal(agw_json_parse(&doc, agw_str(text, sizeof text), NULL), AGW_ELIMIT);
    agw_json_doc_free(&doc);
}

static void token_limit(void **state)
{
    struct agw_json_doc doc;
    struct agw_error err;
    agw_json_doc_init(&doc, 4);
    assert_int_equal(agw_json_parse(&doc, AGW_STR("[1,2,3]"), NULL), 0);
    assert_int_equal(agw_json_parse(&doc, AGW_STR("[1,2,3,4]"), &err), AGW_ELIMIT);
    assert_string_equal(err.text, "too many values at byte 8");
    agw_json_doc_free(&doc);
}

static void reason_and_place(void **state)
{
    struct agw_json_doc doc;
    struct agw_error err;
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_json_parse(&doc, AGW_STR("{\"a\":1 \"b\":2}"), &err), AGW_EINVAL);
    assert_string_equal(err.text, "',' or a closing bracket is missing at byte 7");
    assert_int_equal(agw_json_parse(&doc, AGW_STR("[\"\\ud800\"]"), &err), AGW_EINVAL);
    assert_string_equal(err.text, "lone surrogate at byte 8");
    agw_json_doc_free(&doc);
}

static void out_of_memory(void **state)
{
    char text[2048] = "[";
    for (size_t i = 1; i < sizeof text - 2; i += 2)
        memcpy(text + i, "1,", 2);
    memcpy(text + sizeof text - 3, "1]", 3);
    struct agw_json_doc doc;
    for (long n = 1;; n++) {
        agw_json_doc_init(&doc, 0);
        failmalloc_at(n);
        int rc = agw_json_parse(&doc, agw_str_c(text), NULL);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_json_doc_free(&doc);
        if (!reached)
            break;
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax),        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(tokens),        cmocka_unit_test(depth_limit),
        cmocka_unit_test(token_limit),   cmocka_unit_test(reason_and_place),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
