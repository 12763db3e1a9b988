#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/err.h"
#include "h1/h1_int.h"
#include "h1/scan_int.h"
#include "describe.h"

struct fixture {
    struct agw_arena arena;
    struct agw_headers out;
    struct agw_h1_head head;
    struct agw_h1_fields f;
    char text[DESCRIBE_MAX];
};

/* Parses |text| (with its empty line) as a head's fields or a trailer section. */
static int parse(struct fixture *x, const char *text, bool trailers)
{
    size_t n = strlen(text);
    char *copy;

    agw_arena_init(&x->arena, 0, 0);
    agw_headers_init(&x->out, &x->arena);
    agw_h1_head_init(&x->head, NULL);
    x->f = (struct agw_h1_fields){.head = &x->head, .out = &x->out, .limit = 8, .trailers = trailers};
    copy = agw_arena_zalloc(&x->arena, n + AGW_H1_PAD);
    memcpy(copy, text, n);
    int r = agw_h1_fields_parse(&x->f, copy);
    describe_fields(&x->out, x->text, sizeof(x->text));
    return r;
}

static void test_head(void **state)
{
    struct fixture x;

    assert_int_equal(parse(&x, "Host: a\r\nContent-Length: 7\r\nX: 1\r\n\r\n", false), 0);
    assert_true(x.f.has_host && x.f.has_length && !x.f.has_coding);
    assert_int_equal(x.f.length, 7);
    assert_string_equal(x.text, "[x: 1]");
    agw_arena_free(&x.arena);
}

static void test_trailers_drop_what_belongs_to_heads(void **state)
{
    struct fixture x;

    assert_int_equal(parse(&x,
                           "Content-Length: 7\r\nX-Sum: 1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                           "Connection: x-sum\r\nAuthorization: t\r\nSet-Cookie: c\r\n\r\n",
                           true),
                     0);
    assert_string_equal(x.text, "[x-sum: 1]");
    assert_false(x.f.has_length || x.f.has_host || x.f.has_coding || x.f.names_others);
    agw_arena_free(&x.arena);
}

static void test_keep_alive(void **state)
{
    static const struct {
        const char *text;
        uint32_t seconds;
        bool close;
    } cases[] = {
        {"Keep-Alive: timeout=5\r\n\r\n", 5, false},
        {"Keep-Alive: max=100, Timeout = 72\r\n\r\n", 72, false},
        {"keep-alive: timeout=0\r\n\r\n", 0, true},
        {"Keep-Alive: timeout=99999999999999\r\n\r\n", 86400, false},
        {"Keep-Alive: timeout=99999999999999999999999\r\n\r\n", 0, false},
        {"Keep-Alive: timeout\r\n\r\n", 0, false},
        {"Keep-Alive: timeout=\r\n\r\n", 0, false},
        {"Keep-Alive: timeout=5s\r\n\r\n", 0, false},
        {"Keep-Alive: timeout=-5\r\n\r\n", 0, false},
        {"Keep-Alive: \r\n\r\n", 0, false},
        {"X: timeout=5\r\n\r\n", 0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture x;
        assert_int_equal(parse(&x, cases[i].text, false), 0);
        assert_int_equal(x.f.keep_alive_s, cases[i].seconds);
        assert_int_equal(x.f.close, cases[i].close);
        agw_arena_free(&x.arena);
    }
}

/* Fields of the connection count too: they cost as much. */
static void test_limit_counts_all(void **state)
{
    struct fixture x;

    assert_int_equal(
        parse(&x, "a: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\nf: 1\r\ng: 1\r\nTE: x\r\n\r\n", false), 0);
    agw_arena_free(&x.arena);
    assert_int_equal(
        parse(&x, "a: 1\r\nTE: x\r\nTE: x\r\nTE: x\r\nTE: x\r\nTE: x\r\nTE: x\r\nTE: x\r\nTE: x\r\n\r\n",
              false),
        AGW_ELIMIT);
    assert_int_equal(x.head.status, 431);
    agw_arena_free(&x.arena);
}

/* Each byte as a name: accepted if and only if RFC 9110 calls it a token character, and lower-cased. */
static void test_every_name_byte(void **state)
{
    for (int c = 1; c < 256; c++) {
        char text[64], name[2] = {(char)c, '\0'}, expected[64];
        bool valid = agw_header_name_valid(agw_str(name, 1));
        struct fixture x;
        if (c == '\r' || c == '\n')
            continue;
        for (int pad = 0; pad < 20; pad++) {
            snprintf(text, sizeof(text), "%.*s%c%.*s: v\r\n\r\n", pad, "abcdefghijklmnopqrst", c, 20 - pad,
                     "abcdefghijklmnopqrst");
            snprintf(expected, sizeof(expected), "[%.*s%c%.*s: v]", pad, "abcdefghijklmnopqrst",
                     c >= 'A' && c <= 'Z' ? c | 0x20 : c, 20 - pad, "abcdefghijklmnopqrst");
            int r = parse(&x, text, false);
            if (c == ':' && pad > 0) /* ends the name earlier */
                assert_int_equal(r, 0);
            else if (valid)
                assert_string_equal(x.text, expected);
            else
                assert_int_equal(r, AGW_EPROTO);
            agw_arena_free(&x.arena);
        }
    }
}

/* Each byte in a value: accepted if and only if agw_header_value_valid says so. */
static void test_every_value_byte(void **state)
{
    for (int c = 1; c < 256; c++) {
        char value[] = {'a', (char)c, 'b', '\0'}, text[64];
        struct fixture x;
        if (c == '\n')
            continue;
        snprintf(text, sizeof(text), "x: %s\r\n\r\n", value);
        assert_int_equal(parse(&x, text, false), agw_header_value_valid(agw_str(value, 3)) ? 0 : AGW_EPROTO);
        agw_arena_free(&x.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_trailers_drop_what_belongs_to_heads),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_limit_counts_all),
        cmocka_unit_test(test_every_name_byte),
        cmocka_unit_test(test_every_value_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
