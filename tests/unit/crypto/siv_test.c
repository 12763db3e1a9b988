#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "crypto/siv.h"
#include "failmalloc.h"

static const unsigned char key[32] = {1, 2, 3};
static struct agw_siv *siv;

static int setup(void **state)
{
    siv = agw_siv_new(key, AGW_STR("test"));
    return siv ? 0 : -1;
}

static int teardown(void **state)
{
    agw_siv_free(siv);
    return 0;
}

static struct agw_str closed(const struct agw_siv *s, struct agw_str plain, char *out)
{
    size_t n = 0;
    assert_int_equal(agw_siv_close(s, plain, out, &n), 0);
    assert_true(n <= AGW_SIV_SIZE(plain.n));
    return agw_str(out, n);
}

static void round_trip(void **state)
{
    static char plain[AGW_SIV_MAX], text[AGW_SIV_SIZE(AGW_SIV_MAX)], back[AGW_SIV_MAX];
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (char)(i * 7);
    for (size_t n = 1; n <= sizeof(plain); n = n < 40 ? n + 1 : n * 2) {
        size_t got = 0;
        struct agw_str t = closed(siv, agw_str(plain, n), text);
        assert_int_equal(agw_siv_open(siv, t, back, n, &got), 0);
        assert_int_equal(got, n);
        assert_memory_equal(back, plain, n);
    }
}

static void one_text_for_one_thing(void **state)
{
    char a[100], b[100], c[100];
    struct agw_siv *same = agw_siv_new(key, AGW_STR("test")), *other = agw_siv_new(key, AGW_STR("tesT"));
    struct agw_str first = closed(siv, AGW_STR("task 1"), a);
    assert_true(agw_str_eq(first, closed(same, AGW_STR("task 1"), b)));
    assert_false(agw_str_eq(first, closed(same, AGW_STR("task 2"), b)));
    assert_false(agw_str_eq(first, closed(other, AGW_STR("task 1"), c)));
    agw_siv_free(same);
    agw_siv_free(other);
}

static void a_change_of_keys(void **state)
{
    static const unsigned char next_key[32] = {7};
    char a[100], b[100], back[100];
    size_t n;
    struct agw_siv *next = agw_siv_new(next_key, AGW_STR("test"));
    struct agw_str old = closed(siv, AGW_STR("task 1"), a), fresh = closed(next, AGW_STR("task 1"), b);
    assert_int_equal(agw_siv_open(next, old, back, sizeof back, &n), AGW_EINVAL);
    assert_int_equal(agw_siv_accept(next, key, AGW_STR("test")), 0);
    assert_int_equal(agw_siv_open(next, old, back, sizeof back, &n), 0);
    assert_memory_equal(back, "task 1", n);
    assert_int_equal(agw_siv_open(next, fresh, back, sizeof back, &n), 0);
    assert_true(agw_str_eq(closed(next, AGW_STR("task 1"), a), fresh)); /* the first seals */
    while (agw_siv_accept(next, key, AGW_STR("test")) == 0) {
    }
    assert_int_equal(agw_siv_accept(next, key, AGW_STR("test")), AGW_ELIMIT);
    agw_siv_free(next);
}

static void damage(void **state)
{
    char text[100], back[100];
    size_t n = 0;
    struct agw_str t = closed(siv, AGW_STR("a task's id"), text);
    for (size_t i = 0; i < t.n; i++) {
        char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(agw_siv_open(siv, t, back, sizeof(back), &n), AGW_EINVAL);
        text[i] = was;
    }
    for (size_t cut = 0; cut < t.n; cut++)
        assert_int_equal(agw_siv_open(siv, agw_str(text, cut), back, sizeof(back), &n), AGW_EINVAL);
    assert_int_equal(agw_siv_open(siv, AGW_STR("no base64!"), back, sizeof(back), &n), AGW_EINVAL);
    assert_int_equal(agw_siv_open(siv, t, back, 10, &n), AGW_EINVAL); /* no room */
    assert_int_equal(agw_siv_open(siv, t, back, 11, &n), 0);
}

static void limits(void **state)
{
    static char plain[AGW_SIV_MAX + 1], text[AGW_SIV_SIZE(AGW_SIV_MAX + 1)];
    size_t n;
    assert_int_equal(agw_siv_close(siv, agw_str(plain, sizeof(plain)), text, &n), AGW_ELIMIT);
    assert_int_equal(agw_siv_close(siv, AGW_STR(""), text, &n), AGW_ELIMIT);
}

static void memory_that_runs_out(void **state)
{
    failmalloc_at(1);
    assert_null(agw_siv_new(key, AGW_STR("test")));
    failmalloc_at(0);
    agw_siv_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(one_text_for_one_thing),
        cmocka_unit_test(damage),
        cmocka_unit_test(limits),
        cmocka_unit_test(memory_that_runs_out),
        cmocka_unit_test(a_change_of_keys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
