#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include "failmalloc.h"
#include "tls/tls_int.h"

#define HOUR (60 * 60 * 1000ull)

static uint64_t now_ms = 1000; /* the keys are the process's: time goes on from test to test */

static void name_now(unsigned char name[16])
{
    const struct agw_tls_ticket_key *k = agw_tls_ticket_key(now_ms);
    assert_non_null(k);
    memcpy(name, k->name, 16);
}

static void test_one_key_an_hour(void **state)
{
    unsigned char first[16], again[16], next[16];

    name_now(first);
    now_ms += HOUR - 1;
    name_now(again);
    assert_memory_equal(first, again, 16);
    now_ms += 1;
    name_now(next);
    assert_memory_not_equal(first, next, 16);
}

static void test_keys_are_random(void **state)
{
    const struct agw_tls_ticket_key *a = agw_tls_ticket_key(now_ms), *b;
    static const unsigned char zero[32];

    now_ms += HOUR;
    b = agw_tls_ticket_key(now_ms);
    assert_memory_not_equal(a->cipher, b->cipher, 32);
    assert_memory_not_equal(a->mac, b->mac, 32);
    assert_memory_not_equal(b->cipher, b->mac, 32);
    assert_memory_not_equal(b->cipher, zero, 32);
}

/* A ticket sealed in the last moment of its key's hour is good for its whole lifetime, and no longer. */
static void test_old_keys_read_on(void **state)
{
    unsigned char name[16], other[16];
    bool newest = false;

    now_ms += 10 * HOUR;
    name_now(name);
    uint64_t made_ms = now_ms;
    assert_non_null(agw_tls_ticket_key_named(name, now_ms, &newest));
    assert_true(newest);
    for (int hour = 1; hour < 3; hour++) {
        now_ms = made_ms + (unsigned)hour * HOUR;
        name_now(other);
        assert_non_null(agw_tls_ticket_key_named(name, now_ms, &newest));
        assert_false(newest); /* the client gets a new one */
    }
    now_ms = made_ms + HOUR + AGW_TLS_TICKET_S * 1000 - 1;
    assert_non_null(agw_tls_ticket_key_named(name, now_ms, &newest));
    now_ms++;
    assert_null(agw_tls_ticket_key_named(name, now_ms, &newest));
    name_now(other);
    assert_null(agw_tls_ticket_key_named(name, now_ms, &newest));
    assert_non_null(agw_tls_ticket_key_named(other, now_ms, &newest));
    memset(other, 7, sizeof(other));
    assert_null(agw_tls_ticket_key_named(other, now_ms, &newest));
}

/* After a day without a handshake the old key reads nothing, though nobody has replaced it. */
static void test_quiet_day(void **state)
{
    unsigned char name[16];
    bool newest;

    name_now(name);
    now_ms += 24 * HOUR;
    assert_null(agw_tls_ticket_key_named(name, now_ms, &newest));
}

static void test_out_of_memory(void **state)
{
    unsigned char name[16], same[16];

    name_now(name);
    now_ms += HOUR;
    failmalloc_at(1);
    name_now(same);
    failmalloc_at(0);
    assert_memory_equal(name, same, 16); /* sealing goes on; the next handshake tries again */
    name_now(same);
    assert_memory_not_equal(name, same, 16);
}

static pthread_barrier_t barrier;

static void *worker(void *arg)
{
    unsigned char *name = arg;
    bool newest;

    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 1000; i++) {
        const struct agw_tls_ticket_key *k = agw_tls_ticket_key(now_ms);
        memcpy(name, k->name, 16);
        if (!agw_tls_ticket_key_named(name, now_ms, &newest))
            return arg;
    }
    return NULL;
}

static void test_workers_agree(void **state)
{
    pthread_t threads[8];
    unsigned char names[8][16], before[16], now[16];
    void *bad;

    name_now(before);
    now_ms += HOUR;
    pthread_barrier_init(&barrier, NULL, 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, worker, names[i]), 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    name_now(now);
    for (int i = 0; i < 8; i++) /* who did not make the new key may have gone on with the old one meanwhile */
        assert_true(memcmp(names[i], now, 16) == 0 || memcmp(names[i], before, 16) == 0);
    pthread_barrier_destroy(&barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_key_an_hour),  cmocka_unit_test(test_keys_are_random),
        cmocka_unit_test(test_old_keys_read_on), cmocka_unit_test(test_quiet_day),
        cmocka_unit_test(test_out_of_memory),    cmocka_unit_test(test_workers_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
