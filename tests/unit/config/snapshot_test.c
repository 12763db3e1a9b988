#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/err.h"
#include "config/rcu.h"
#include "config/snapshot_build.h"

#define READERS 3
#define ROUNDS 300

static atomic_bool stop;
static atomic_int freed;

static void count_freed(void *p)
{
    free(p);
    atomic_fetch_add(&freed, 1);
}

static struct agw_snapshot *make(void)
{
    struct agw_snapshot *s = agw_snapshot_new();
    int *value = malloc(sizeof(*value));
    assert_non_null(s);
    *value = 42;
    s->binds = (void *)value;
    assert_int_equal(agw_snapshot_on_free(s, count_freed, value), 0);
    return s;
}

/* Reads the current snapshot each turn and keeps one pinned over several turns, as an exchange does. */
static void *reader(void *arg)
{
    unsigned index = (unsigned)(uintptr_t)arg, turn = 0;
    struct agw_snapshot *held = NULL;
    long bad = 0;
    agw_rcu_register();
    while (!atomic_load(&stop)) {
        struct agw_snapshot *s = agw_snapshot_current();
        bad += s && *(int *)(void *)s->binds != 42;
        bad += held && *(int *)(void *)held->binds != 42;
        if (held && turn % 7 == 0) {
            agw_snapshot_unpin(held, index);
            held = NULL;
        }
        if (!held && s) {
            agw_snapshot_pin(s, index);
            held = s;
        }
        turn++;
        agw_rcu_quiescent();
        if (turn % 16 == 0) {
            agw_rcu_offline();
            sched_yield();
            agw_rcu_online();
        }
    }
    if (held)
        agw_snapshot_unpin(held, index);
    agw_rcu_unregister();
    return (void *)bad;
}

static void test_readers_never_see_freed_memory(void **state)
{
    pthread_t t[READERS];
    void *bad;
    freed = 0;
    for (uintptr_t i = 0; i < READERS; i++)
        pthread_create(&t[i], NULL, reader, (void *)i);
    for (int i = 0; i < ROUNDS; i++) {
        agw_snapshot_publish(make());
        agw_snapshot_reclaim();
    }
    assert_int_equal(agw_snapshot_current()->generation, ROUNDS);
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
    assert_int_equal(agw_snapshot_reclaim(), 0);
    assert_int_equal(freed, ROUNDS - 1);
    agw_snapshot_shutdown();
    assert_int_equal(freed, ROUNDS);
}

static void test_pin_holds(void **state)
{
    struct agw_snapshot *first = make();
    freed = 0;
    agw_snapshot_publish(first);
    agw_snapshot_pin(first, 3);
    agw_snapshot_pin(first, 3);
    agw_snapshot_publish(make());
    assert_int_equal(agw_snapshot_reclaim(), 1);
    agw_snapshot_unpin(first, 3);
    assert_int_equal(agw_snapshot_reclaim(), 1);
    assert_int_equal(freed, 0);
    agw_snapshot_unpin(first, 3);
    assert_int_equal(agw_snapshot_reclaim(), 0);
    assert_int_equal(freed, 1);
    agw_snapshot_shutdown();
    assert_null(agw_snapshot_current());
    assert_int_equal(freed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_never_see_freed_memory),
        cmocka_unit_test(test_pin_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
