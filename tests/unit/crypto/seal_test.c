#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/seal.h"
#include "failmalloc.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

static struct agw_seal *seal;
static const struct agw_str context = {"session", 7};

static int setup(void **state)
{
    seal = agw_seal_new(AGW_STR(KEY), NULL);
    return seal ? 0 : -1;
}

static int teardown(void **state)
{
    agw_seal_free(seal);
    return 0;
}

static struct agw_str closed(struct agw_str plain, char *out)
{
    size_t n = 0;
    assert_int_equal(agw_seal_close(seal, plain, context, out, &n), 0);
    assert_true(n > 0 && n <= AGW_SEAL_SIZE(plain.n));
    return agw_str(out, n);
}

static void test_round_trip(void **state)
{
    static char plain[AGW_SEAL_MAX], text[AGW_SEAL_SIZE(AGW_SEAL_MAX)], back[AGW_SEAL_MAX];
    static const size_t sizes[] = {0, 1, 2, 3, 15, 16, 17, 100, 4096, AGW_SEAL_MAX};

    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct agw_str t = closed(agw_str(plain, sizes[i]), text);
        size_t n = 99999;
        for (size_t k = 0; k < t.n; k++)
            assert_non_null(
                strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", t.p[k]));
        assert_int_equal(agw_seal_open(seal, t, context, back, sizes[i], &n), 0);
        assert_int_equal(n, sizes[i]);
        assert_memory_equal(back, plain, n);
    }
}

static void test_a_change_of_keys(void **state)
{
    static const unsigned char other[AGW_SEAL_KEY_SIZE] = {9};
    char text[100], back[100], fresh[100];
    size_t n, m;
    struct agw_seal *next =
        agw_seal_new(AGW_STR("0900000000000000000000000000000000000000000000000000000000000000"), NULL);
    struct agw_str old = closed(AGW_STR("hello"), text);
    assert_int_equal(agw_seal_open(next, old, context, back, sizeof back, &n), AGW_EINVAL);
    assert_int_equal(agw_seal_close(next, AGW_STR("hello"), context, fresh, &m), 0);
    assert_int_equal(agw_seal_open(seal, agw_str(fresh, m), context, back, sizeof back, &n), AGW_EINVAL);
    assert_int_equal(agw_seal_accept(seal, other), 0); /* the next one comes first as one that opens */
    assert_int_equal(agw_seal_open(seal, agw_str(fresh, m), context, back, sizeof back, &n), 0);
    assert_memory_equal(back, "hello", n);
    assert_int_equal(agw_seal_open(next, closed(AGW_STR("hello"), text), context, back, sizeof back, &n),
                     AGW_EINVAL);
    while (agw_seal_accept(seal, other) == 0) {
    }
    assert_int_equal(agw_seal_accept(seal, other), AGW_ELIMIT);
    assert_int_equal(agw_seal_open(seal, closed(AGW_STR("hello"), text), context, back, sizeof back, &n), 0);
    agw_seal_free(next);
}

static void test_never_twice_the_same(void **state)
{
    char a[100], b[100];
    struct agw_str x = closed(AGW_STR("hello"), a), y = closed(AGW_STR("hello"), b);

    assert_false(agw_str_eq(x, y));
    assert_null(memmem(a, x.n, "aGVsbG8", 7)); /* the plain text is not in it */
}

/* Made outside of this program (nonce, cipher text, tag; base64url), so that the format stays what it is. */
static void test_known_answer(void **state)
{
    char back[64];
    size_t n;
    struct agw_str text = AGW_STR("ZGVmZ2hpamtsbW5vIH6yChbJIvZbEDpzs_pJ6pHej3PGTxxOQFxd");
    assert_int_equal(agw_seal_open(seal, text, context, back, sizeof(back), &n), 0);
    assert_int_equal(n, 11);
    assert_memory_equal(back, "hello there", 11);
}

static void refuse(struct agw_str text, struct agw_str with)
{
    unsigned char back[300];
    size_t n = 77;

    memset(back, 0, sizeof(back));
    assert_int_equal(agw_seal_open(seal, text, with, back, sizeof(back), &n), AGW_EINVAL);
    assert_int_equal(n, 77);
    for (size_t i = 0; i < sizeof(back); i++)
        assert_int_equal(back[i], 0);
}

static void test_tampering(void **state)
{
    char text[200], damaged[220];
    struct agw_str t = closed(AGW_STR("{\"targets\":[1,2,3]}"), text);

    for (size_t i = 0; i < t.n; i++) { /* any character changed */
        memcpy(damaged, t.p, t.n);
        damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
        refuse(agw_str(damaged, t.n), context);
    }
    for (size_t n = 0; n < t.n; n++) /* cut at both ends */
        refuse(agw_str(t.p, n), context);
    for (size_t n = 1; n < t.n; n++)
        refuse(agw_str_from(t, n), context);
    for (int extra = 1; extra <= 4; extra++) { /* longer: no second spelling of a text opens, either */
        memcpy(damaged, t.p, t.n);
        memset(damaged + t.n, 'A', 4);
        refuse(agw_str(damaged, t.n + (size_t)extra), context);
        memset(damaged + t.n, '=', 4);
        refuse(agw_str(damaged, t.n + (size_t)extra), context);
    }
    refuse(t, AGW_STR("sessioN"));
    refuse(t, AGW_STR(""));
    refuse(AGW_STR(""), context);
    refuse(AGW_STR("not base64 at all!"), context);
    refuse(agw_str("\0\0\0\0", 4), context);
}

static void test_other_key(void **state)
{
    char text[200], back[200];
    size_t n;
    struct agw_str t = closed(AGW_STR("hello"), text);
    struct agw_seal *other = agw_seal_new(AGW_STR(""), NULL), *random = agw_seal_new(AGW_STR(""), NULL);

    assert_int_equal(agw_seal_open(other, t, context, back, sizeof(back), &n), AGW_EINVAL);
    assert_int_equal(agw_seal_close(other, AGW_STR("hello"), context, text, &n), 0);
    t = agw_str(text, n);
    assert_int_equal(agw_seal_open(other, t, context, back, sizeof(back), &n), 0);
    assert_int_equal(agw_seal_open(random, t, context, back, sizeof(back), &n), AGW_EINVAL);
    agw_seal_free(other);
    agw_seal_free(random);
    agw_seal_free(NULL);
}

static void test_limits(void **state)
{
    static char plain[AGW_SEAL_MAX + 1], text[AGW_SEAL_SIZE(AGW_SEAL_MAX) + 100];
    char back[100];
    size_t n = 77;

    assert_int_equal(agw_seal_close(seal, agw_str(plain, sizeof(plain)), context, text, &n), AGW_ELIMIT);
    assert_int_equal(agw_seal_close(seal, AGW_STR("x"), agw_str(plain, AGW_SEAL_CONTEXT_MAX + 1), text, &n),
                     AGW_ELIMIT);
    assert_int_equal(n, 77);
    memset(text, 'A', sizeof(text));
    assert_int_equal(agw_seal_open(seal, agw_str(text, sizeof(text)), context, back, sizeof(back), &n),
                     AGW_EINVAL);
    struct agw_str t = closed(agw_str(plain, 100), text);
    assert_int_equal(agw_seal_open(seal, t, context, back, 99, &n), AGW_EINVAL);
    assert_int_equal(agw_seal_open(seal, t, context, back, 100, &n), 0);
}

static void test_bad_keys(void **state)
{
    static const char *const bad[] = {"00", KEY "0",
                                      "zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                                      " 00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct agw_error err = {0};
        assert_null(agw_seal_new(agw_str_c(bad[i]), &err));
        assert_int_equal(err.code, AGW_EINVAL);
        assert_null(strstr(err.text, bad[i])); /* a key with a slip in it is still a secret */
    }
    struct agw_error err = {0};
    failmalloc_at(1);
    assert_null(agw_seal_new(AGW_STR(KEY), &err));
    failmalloc_at(0);
    assert_int_equal(err.code, AGW_ENOMEM);
}

static void *hammer(void *arg)
{
    char text[100], back[100];
    size_t n, m;

    for (int i = 0; i < 2000; i++)
        if (agw_seal_close(seal, AGW_STR("hello"), context, text, &n) ||
            agw_seal_open(seal, agw_str(text, n), context, back, sizeof(back), &m) || m != 5)
            return arg;
    return NULL;
}

static void test_threads_share_one(void **state)
{
    pthread_t t[3];
    void *wrong;

    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, hammer, seal), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], &wrong);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_never_twice_the_same),
        cmocka_unit_test(test_known_answer),     cmocka_unit_test(test_tampering),
        cmocka_unit_test(test_other_key),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bad_keys),         cmocka_unit_test(test_threads_share_one),
        cmocka_unit_test(test_a_change_of_keys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
