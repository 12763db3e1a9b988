#include "net/cidr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"

static struct agw_addr address(const char *text)
{
    struct agw_addr a;
    assert_int_equal(agw_addr_ip(agw_str_c(text), 80, &a), 0);
    return a;
}

static void ranges(void **state)
{
    static const struct {
        const char *range, *inside, *outside;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
        {"192.0.2.128/25", "192.0.2.200", "192.0.2.127"},
        {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
        {"0.0.0.0/0", "255.1.1.1", "::1"},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
        {"::1/128", "::1", "::2"},
        {"::/0", "fe80::1", "1.2.3.4"},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_cidr c;
        struct agw_addr in = address(cases[i].inside), out = address(cases[i].outside);
        assert_int_equal(agw_cidr_parse(agw_str_c(cases[i].range), &c), 0);
        assert_true(agw_cidr_has(&c, &in));
        assert_false(agw_cidr_has(&c, &out));
    }
}

static void mistakes(void **state)
{
    static const char *const bad[] = {
        "",     "/",           "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "::/129", "2001:db8::1/32",
        "host", "10.0.0.0/8x", "10.0.0/8",  "1.2.3.4:80"};
    struct agw_cidr c;
    for (size_t i = 0; i < AGW_ARRAY_LEN(bad); i++)
        assert_int_equal(agw_cidr_parse(agw_str_c(bad[i]), &c), AGW_EINVAL);
}

static void lists(void **state)
{
    struct agw_arena arena;
    struct agw_cidrs list;
    struct agw_error err = {0};
    struct agw_addr local = address("127.0.0.1"), pod = address("10.1.2.3"), far = address("8.8.8.8"),
                    unix_peer;
    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(agw_cidrs_parse(AGW_STR("private, 8.8.0.0/16"), &arena, &list, &err), 0);
    assert_true(agw_cidrs_have(&list, &local) && agw_cidrs_have(&list, &pod) && agw_cidrs_have(&list, &far));
    assert_int_equal(agw_addr_unix(AGW_STR("/s"), &unix_peer), 0);
    assert_false(agw_cidrs_have(&list, &unix_peer));
    assert_int_equal(agw_cidrs_parse(AGW_STR("none"), &arena, &list, &err), 0);
    assert_false(agw_cidrs_have(&list, &local));
    assert_int_equal(agw_cidrs_parse(AGW_STR("10.0.0.0/8,nowhere"), &arena, &list, &err), AGW_EINVAL);
    assert_non_null(strstr(err.text, "'nowhere'"));
    char many[AGW_CIDRS_MAX + 1][8];
    for (int i = 0; i <= AGW_CIDRS_MAX; i++)
        memcpy(many[i], "1.1.1.1,", 8);
    assert_int_equal(agw_cidrs_parse(agw_str(many[0], sizeof(many) - 1), &arena, &list, &err), AGW_ELIMIT);
    agw_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
