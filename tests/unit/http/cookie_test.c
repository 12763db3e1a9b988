#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/cookie.h"

static void the_first_of_its_name(void **state)
{
    static const struct {
        const char *fields[2], *want; /* NULL: none */
    } rows[] = {
        {{"a=1"}, "1"},       {{"b=2; a=1"}, "1"},    {{"b=2;a=1;a=3"}, "1"}, {{"b=2", "a=1"}, "1"},
        {{"aa=2; a=1"}, "1"}, {{"a=\"1\""}, "1"},     {{"a=x=y"}, "x=y"},     {{"a="}, ""},
        {{"a=\""}, "\""},     {{"  a=1  "}, "1"},     {{";;a=1;"}, "1"},      {{"a"}, NULL},
        {{"A=1"}, NULL},      {{"ba=1; aa=2"}, NULL}, {{""}, NULL},           {{";"}, NULL},
    };
    struct agw_arena arena;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct agw_headers h;
        struct agw_str got;
        agw_arena_init(&arena, 256, 0);
        agw_headers_init(&h, &arena);
        for (int k = 0; k < 2 && rows[i].fields[k]; k++)
            assert_int_equal(agw_headers_add_id(&h, AGW_HDR_COOKIE, agw_str_c(rows[i].fields[k])), 0);
        bool found = agw_cookie_get(&h, AGW_STR("a"), &got);
        if (found != (rows[i].want != NULL) || (found && !agw_str_eq(got, agw_str_c(rows[i].want))))
            fail_msg("row %zu", i);
        agw_arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_of_its_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
