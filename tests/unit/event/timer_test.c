#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "base/rng.h"
#include "event/timer.h"

struct probe {
    struct agw_timer timer;
    struct agw_timer_wheel *wheel;
    struct probe *other; /* to cancel */
    uint64_t again_ms;   /* to set again */
    uint64_t fired_ms;
    int fired;
};

static void on_fire(struct agw_timer *t)
{
    struct probe *p = agw_container_of(t, struct probe, timer);
    assert_false(agw_timer_armed(t));
    p->fired++;
    p->fired_ms = p->wheel->now_ms;
    if (p->other)
        agw_timer_cancel(p->wheel, &p->other->timer);
    if (p->again_ms)
        agw_timer_set(p->wheel, t, p->again_ms);
}

static void probe_init(struct probe *p, struct agw_timer_wheel *w)
{
    *p = (struct probe){.wheel = w};
    agw_timer_init(&p->timer, on_fire);
}

/* Advances as the loop does: to the time that the wheel asks for. */
static uint64_t run_until_fired(struct agw_timer_wheel *w, struct probe *p)
{
    for (uint64_t now = w->now_ms; !p->fired;) {
        int wait = agw_timer_wheel_wait(w, now);
        assert_true(wait >= 0);
        now += (uint64_t)wait;
        agw_timer_wheel_advance(w, now);
    }
    return p->fired_ms;
}

static const uint64_t starts[] = {
    0, 1, 63, 64, 4095, (1ull << 24) - 1, (1ull << 30) - 5, 1ull << 30, (1ull << 36) - 1, 987654321012ull};

static void test_fires_at_its_time_from_any_start(void **state)
{
    static const uint64_t delays[] = {
        1, 2, 63, 64, 65, 4095, 4096, 4097, 300000, 1 << 24, (1 << 30) - 1, 1 << 30, (1ull << 31) + 77};
    for (size_t s = 0; s < AGW_ARRAY_LEN(starts); s++) {
        for (size_t d = 0; d < AGW_ARRAY_LEN(delays); d++) {
            struct agw_timer_wheel w;
            struct probe p;
            agw_timer_wheel_init(&w, starts[s]);
            probe_init(&p, &w);
            agw_timer_set(&w, &p.timer, starts[s] + delays[d]);
            assert_true(run_until_fired(&w, &p) == starts[s] + delays[d]);
            assert_int_equal(agw_timer_wheel_wait(&w, w.now_ms), -1);
        }
    }
}

static void test_never_early(void **state)
{
    struct agw_timer_wheel w;
    struct probe p;
    agw_timer_wheel_init(&w, 1000);
    probe_init(&p, &w);
    agw_timer_set(&w, &p.timer, 6000);
    agw_timer_wheel_advance(&w, 5999);
    assert_int_equal(p.fired, 0);
    assert_int_equal(agw_timer_wheel_wait(&w, 5999), 1);
    agw_timer_wheel_advance(&w, 6000);
    assert_int_equal(p.fired, 1);
    agw_timer_wheel_advance(&w, 9000);
    assert_int_equal(p.fired, 1);
}

static void test_a_past_time_fires_at_the_next_advance(void **state)
{
    struct agw_timer_wheel w;
    struct probe p, q;
    agw_timer_wheel_init(&w, 1000);
    probe_init(&p, &w);
    probe_init(&q, &w);
    agw_timer_set(&w, &p.timer, 5);
    agw_timer_set(&w, &q.timer, 1000);
    assert_int_equal(agw_timer_wheel_wait(&w, 1000), 0);
    agw_timer_wheel_advance(&w, 1000);
    assert_int_equal(p.fired, 1);
    assert_int_equal(q.fired, 1);
    p.again_ms = 1; /* always in the past: once an advance, not for ever */
    agw_timer_set(&w, &p.timer, 0);
    agw_timer_wheel_advance(&w, 1000);
    assert_int_equal(p.fired, 2);
    agw_timer_wheel_advance(&w, 1070);
    assert_int_equal(p.fired, 3);
    p.again_ms = 0;
    agw_timer_wheel_advance(&w, 900); /* a clock that stands still or goes back does no harm */
    assert_int_equal(p.fired, 4);
    assert_true(w.now_ms == 1070);
}

static void test_cancel_and_set_again(void **state)
{
    struct agw_timer_wheel w;
    struct probe p, q;
    agw_timer_wheel_init(&w, 0);
    probe_init(&p, &w);
    probe_init(&q, &w);
    agw_timer_cancel(&w, &p.timer);
    agw_timer_set(&w, &p.timer, 10);
    agw_timer_set(&w, &q.timer, 10);
    agw_timer_cancel(&w, &p.timer);
    assert_false(agw_timer_armed(&p.timer));
    agw_timer_wheel_advance(&w, 20);
    assert_int_equal(p.fired, 0);
    assert_int_equal(q.fired, 1);
    agw_timer_set(&w, &p.timer, 100000);
    agw_timer_set(&w, &p.timer, 30);
    agw_timer_wheel_advance(&w, 30);
    assert_int_equal(p.fired, 1);
    agw_timer_set(&w, &p.timer, 5000);
    agw_timer_cancel(&w, &p.timer);
    assert_int_equal(agw_timer_wheel_wait(&w, 30), -1);
}

static void test_callbacks_may_cancel_others(void **state)
{
    struct agw_timer_wheel w;
    struct probe p[3];
    agw_timer_wheel_init(&w, 0);
    for (int i = 0; i < 3; i++)
        probe_init(&p[i], &w);
    p[0].other = &p[1];
    agw_timer_set(&w, &p[0].timer, 10);
    agw_timer_set(&w, &p[1].timer, 10); /* due at the same time, and on its way to be fired */
    agw_timer_set(&w, &p[2].timer, 11);
    agw_timer_wheel_advance(&w, 50);
    assert_int_equal(p[0].fired, 1);
    assert_int_equal(p[1].fired, 0);
    assert_int_equal(p[2].fired, 1);
}

static void test_a_callback_may_set_again(void **state)
{
    struct agw_timer_wheel w;
    struct probe p;
    agw_timer_wheel_init(&w, 0);
    probe_init(&p, &w);
    p.again_ms = 100;
    agw_timer_set(&w, &p.timer, 10);
    agw_timer_wheel_advance(&w, 60);
    assert_int_equal(p.fired, 1);
    p.again_ms = 0;
    agw_timer_wheel_advance(&w, 99);
    assert_int_equal(p.fired, 1);
    agw_timer_wheel_advance(&w, 100);
    assert_int_equal(p.fired, 2);
}

static void test_many_against_the_clock(void **state)
{
    enum { N = 5000 };
    struct probe *p = calloc(N, sizeof(*p));
    struct agw_rng rng;
    agw_rng_init(&rng, 5);
    for (size_t s = 0; s < AGW_ARRAY_LEN(starts); s++) {
        struct agw_timer_wheel w;
        uint64_t now = starts[s], live = 0;
        agw_timer_wheel_init(&w, now);
        for (int i = 0; i < N; i++) {
            probe_init(&p[i], &w);
            agw_timer_set(&w, &p[i].timer, now + agw_rng_below(&rng, 1u << agw_rng_below(&rng, 20)));
            if (i % 3 == 0)
                agw_timer_cancel(&w, &p[i].timer);
        }
        for (uint64_t end = now + (1 << 20); now < end; now += agw_rng_below(&rng, 3000)) {
            uint64_t before = w.now_ms;
            agw_timer_wheel_advance(&w, now);
            for (int i = 0; i < N; i++) {
                bool due = p[i].timer.due_ms <= now && i % 3;
                assert_int_equal(p[i].fired, due);
                if (p[i].fired && p[i].fired_ms == now && now > before)
                    assert_true(p[i].timer.due_ms <= now &&
                                (p[i].timer.due_ms > before || before == starts[s]));
            }
        }
        agw_timer_wheel_advance(&w, now);
        for (int i = 0; i < N; i++)
            live += agw_timer_armed(&p[i].timer);
        assert_int_equal(live, 0);
        assert_int_equal(agw_timer_wheel_wait(&w, now), -1);
    }
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fires_at_its_time_from_any_start),
        cmocka_unit_test(test_never_early),
        cmocka_unit_test(test_a_past_time_fires_at_the_next_advance),
        cmocka_unit_test(test_cancel_and_set_again),
        cmocka_unit_test(test_callbacks_may_cancel_others),
        cmocka_unit_test(test_a_callback_may_set_again),
        cmocka_unit_test(test_many_against_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
