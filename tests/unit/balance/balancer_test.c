#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "balance/balancer.h"
#include "balance/stats.h"
#include "failmalloc.h"

enum { MAX = 8 };

static struct {
    struct agw_loop loop;
    struct agw_balancer *b;
    struct agw_endpoint e[MAX];
    const struct agw_endpoint *list[MAX];
    struct agw_place places[MAX];
    char keys[MAX][8];
    struct agw_backend backend;
} t;

static uint64_t serials;

static void set_backend(uint32_t count)
{
    t.backend = (struct agw_backend){
        .key = AGW_STR("b"), .id = 3, .serial = ++serials, .endpoints = t.list, .endpoint_count = count};
    for (uint32_t i = 0; i < MAX; i++) {
        snprintf(t.keys[i], sizeof(t.keys[i]), "e%u", i);
        t.e[i] = (struct agw_endpoint){.key = agw_str_c(t.keys[i]), .host = agw_str_c(t.keys[i]), .port = 80};
        t.e[i].hash = agw_hash(t.e[i].key);
        t.list[i] = &t.e[i];
        t.places[i] = (struct agw_place){.weight = 1};
    }
}

static int begin(void **state)
{
    memset(&t, 0, sizeof(t));
    agw_loop_init(&t.loop, 0);
    agw_rng_init(&t.loop.rng, 7);
    t.loop.now_ns = 5000000000ull;
    t.loop.now_ms = 5000;
    agw_timer_wheel_init(&t.loop.timers, t.loop.now_ms);
    t.b = agw_balancer_new(&t.loop);
    set_backend(3);
    return t.b ? 0 : -1;
}

static int end(void **state)
{
    agw_balancer_free(t.b);
    agw_loop_free(&t.loop);
    return 0;
}

static void pass(uint64_t ms)
{
    t.loop.now_ms += ms;
    t.loop.now_ns += ms * 1000000;
}

/* Loops read the real clock: the wheel is turned by hand. */
static void run_timers(void)
{
    agw_timer_wheel_advance(&t.loop.timers, t.loop.now_ms);
}

static unsigned pick(struct agw_pick *p, const struct agw_pick_hint *hint)
{
    agw_balance_pick(t.b, &t.backend, hint, p);
    for (unsigned i = 0; i < MAX; i++)
        if (p->endpoint == &t.e[i])
            return i;
    fail();
    return MAX;
}

/* A pick of endpoint |i| and of no other: the token asks for it. */
static struct agw_pick pick_one(unsigned i)
{
    struct agw_pick p;
    struct agw_pick_hint hint = {.prefer = agw_balance_token(&t.e[i])};
    assert_int_equal(pick(&p, &hint), i);
    return p;
}

static void sample(unsigned i, uint64_t ms, enum agw_judgement judged)
{
    struct agw_pick p = pick_one(i);
    pass(ms);
    agw_balance_sample(t.b, &t.backend, &p, judged);
    agw_balance_release(t.b, &p);
}

static void count(unsigned n, unsigned *counts, const struct agw_pick_hint *hint)
{
    memset(counts, 0, MAX * sizeof(*counts));
    for (unsigned i = 0; i < n; i++) {
        struct agw_pick p;
        counts[pick(&p, hint)]++;
        agw_balance_release(t.b, &p);
    }
}

static bool near(double a, double b)
{
    return a - b < 1e-9 && b - a < 1e-9;
}

static void test_the_arithmetic(void **state)
{
    struct agw_endpoint_stats s = {.health = 1};
    assert_true(near(agw_stats_score(&s), 1));
    agw_stats_good(&s, 0.5, 0); /* the first is taken as it is */
    assert_true(near(s.latency_s, 0.5));
    agw_stats_good(&s, 1.5, 0);
    assert_true(near(s.latency_s, 0.7 * 0.5 + 0.3 * 1.5));
    assert_true(near(s.health, 1));
    agw_stats_bad(&s, NULL);
    assert_true(near(s.health, 0.7));
    assert_true(near(s.latency_s, 0.8)); /* of good answers alone */
    s.pending = 5;
    assert_true(near(agw_stats_score(&s), 0.7 / (1 + 0.8 * (1 + 0.1 * 5))));
}

static void test_equal_endpoints_share_evenly(void **state)
{
    unsigned n[MAX];
    count(30000, n, NULL);
    for (int i = 0; i < 3; i++)
        assert_in_range(n[i], 9500, 10500);
}

/* Two draws with replacement: the slow one of three is taken only when both fall on it. */
static void test_the_slow_one_is_taken_when_drawn_twice(void **state)
{
    unsigned n[MAX];
    sample(0, 10, AGW_JUDGED_GOOD);
    sample(1, 10, AGW_JUDGED_GOOD);
    sample(2, 500, AGW_JUDGED_GOOD);
    count(90000, n, NULL);
    assert_in_range(n[2], 9500, 10500);
    assert_in_range(n[0] + n[1], 79500, 80500);
}

static void test_load_counts(void **state)
{
    struct agw_pick held[20];
    unsigned n[MAX];
    set_backend(2);
    sample(0, 100, AGW_JUDGED_GOOD);
    sample(1, 100, AGW_JUDGED_GOOD);
    for (unsigned i = 0; i < 20; i++)
        held[i] = pick_one(0);
    count(10000, n, NULL);
    assert_in_range(n[0], 2300, 2700); /* both draws: a quarter */
    for (unsigned i = 0; i < 20; i++)
        agw_balance_release(t.b, &held[i]);
    agw_balance_release(t.b, &held[0]); /* harmless */
    count(10000, n, NULL);
    assert_in_range(n[0], 4700, 5300);
}

static void test_weights(void **state)
{
    unsigned n[MAX];
    t.places[0].weight = 1000;
    t.places[1].weight = 10;
    t.places[2].weight = 3000;
    t.backend.places = t.places;
    count(40100, n, NULL);
    assert_in_range(n[0], 9500, 10500);
    assert_in_range(n[1], 60, 150);
    assert_in_range(n[2], 29500, 30500);
}

static void test_the_nearest_bucket_with_an_active_endpoint(void **state)
{
    static const struct agw_eviction policy = {.duration_ms = 1000, .failures = 1, .restore_health = 1};
    unsigned n[MAX];
    t.places[1].bucket = t.places[2].bucket = 2;
    t.backend.places = t.places;
    t.backend.eviction = &policy;
    count(1000, n, NULL);
    assert_int_equal(n[0], 1000);
    struct agw_pick_hint again = {.avoid = &t.e[0]};
    count(1000, n, &again);
    assert_int_equal(n[0], 0);
    sample(0, 0, AGW_JUDGED_BAD);
    count(1000, n, NULL);
    assert_int_equal(n[0], 0);
    assert_in_range(n[1], 400, 600);
    pass(1001);
    run_timers();
    count(1000, n, NULL);
    assert_int_equal(n[0], 1000);
}

static void test_eviction_after_failures_in_a_row(void **state)
{
    static const struct agw_eviction policy = {.duration_ms = 1000, .failures = 3, .restore_health = 0.5};
    unsigned n[MAX];
    t.backend.eviction = &policy;
    sample(1, 0, AGW_JUDGED_BAD);
    sample(1, 0, AGW_JUDGED_BAD);
    sample(1, 0, AGW_JUDGED_GOOD); /* begins anew */
    sample(1, 0, AGW_JUDGED_BAD);
    sample(1, 0, AGW_JUDGED_BAD);
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 0);
    sample(1, 0, AGW_JUDGED_BAD);
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 1);
    count(3000, n, NULL);
    assert_int_equal(n[1], 0);
    pass(1001);
    run_timers();
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 0);
    struct agw_pick p = pick_one(1);
    assert_true(near(p.stats->health, 0.5));
    assert_int_equal(p.stats->failures, 0);
    agw_balance_release(t.b, &p);
    /* Half the health: it comes back slowly. */
    count(9000, n, NULL);
    assert_in_range(n[1], 900, 1100);
}

static void test_the_second_time_is_longer(void **state)
{
    static const struct agw_eviction policy = {.duration_ms = 1000, .failures = 1, .restore_health = 1};
    t.backend.eviction = &policy;
    sample(1, 0, AGW_JUDGED_BAD);
    pass(1001);
    run_timers();
    sample(1, 0, AGW_JUDGED_GOOD); /* too early to be forgiven */
    sample(1, 0, AGW_JUDGED_BAD);
    pass(1001);
    run_timers();
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 1);
    pass(1000);
    run_timers();
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 0);
    pass(2000);
    sample(1, 0, AGW_JUDGED_GOOD); /* as long as it was out */
    sample(1, 0, AGW_JUDGED_BAD);
    pass(1001);
    run_timers();
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 0);
    assert_int_equal(agw_balancer_stats(t.b)->evictions, 3);
}

static void test_eviction_by_health(void **state)
{
    static const struct agw_eviction policy = {.duration_ms = 1000, .health = 0.5, .restore_health = -1};
    t.backend.eviction = &policy;
    sample(1, 0, AGW_JUDGED_BAD); /* 0.7 */
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 0);
    sample(1, 0, AGW_JUDGED_BAD); /* 0.49 */
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 1);
    pass(1001);
    run_timers();
    struct agw_pick p = pick_one(1);
    assert_true(near(p.stats->health, 0.49)); /* as it was */
    agw_balance_release(t.b, &p);
}

static void test_without_a_policy_none_is_evicted(void **state)
{
    for (int i = 0; i < 50; i++)
        sample(1, 0, AGW_JUDGED_BAD);
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 0);
}

static void test_evicted_ones_serve_when_there_is_no_other(void **state)
{
    static const struct agw_eviction policy = {.duration_ms = 1000, .failures = 1, .restore_health = 1};
    unsigned n[MAX];
    set_backend(2);
    t.backend.eviction = &policy;
    sample(0, 0, AGW_JUDGED_BAD);
    count(100, n, NULL);
    assert_int_equal(n[1], 100);
    sample(1, 0, AGW_JUDGED_BAD);
    count(1000, n, NULL);
    assert_in_range(n[0], 400, 600);
    struct agw_pick_hint again = {.avoid = &t.e[0]};
    count(100, n, &again);
    assert_int_equal(n[1], 100);
}

static void test_a_second_try_goes_elsewhere(void **state)
{
    unsigned n[MAX];
    struct agw_endpoint copy = t.e[0]; /* of another snapshot */
    struct agw_pick_hint again = {.avoid = &copy};
    count(1000, n, &again);
    assert_int_equal(n[0], 0);
    assert_in_range(n[1], 400, 600);
}

static void test_the_preferred_one(void **state)
{
    static const struct agw_eviction policy = {.duration_ms = 1000, .failures = 1, .restore_health = 1};
    unsigned n[MAX];
    struct agw_pick_hint want = {.prefer = agw_balance_token(&t.e[2])};
    t.backend.eviction = &policy;
    count(100, n, &want);
    assert_int_equal(n[2], 100);
    sample(2, 0, AGW_JUDGED_BAD);
    count(100, n, &want);
    assert_int_equal(n[2], 0);
    want.prefer = 12345; /* nobody's */
    count(100, n, &want);
    assert_int_equal(n[0] + n[1], 100);
}

static void test_one_endpoint_is_no_choice(void **state)
{
    struct agw_pick p;
    set_backend(1);
    assert_int_equal(pick(&p, NULL), 0);
    assert_null(p.stats);
    agw_balance_sample(t.b, &t.backend, &p, AGW_JUDGED_BAD);
    agw_balance_release(t.b, &p);
    set_backend(0);
    agw_balance_pick(t.b, &t.backend, NULL, &p);
    assert_null(p.endpoint);
}

/* --- over snapshots --- */
static void test_what_is_known_survives_a_change(void **state)
{
    static const struct agw_eviction policy = {.duration_ms = 1000, .failures = 1, .restore_health = 1};
    unsigned n[MAX];
    t.backend.eviction = &policy;
    sample(1, 0, AGW_JUDGED_BAD);
    set_backend(4);
    count(1000, n, NULL);
    assert_int_equal(n[1], 0);
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 1);
    t.backend.key = AGW_STR("another"); /* it has its own opinion of the same endpoints */
    t.backend.serial = ++serials;
    count(4000, n, NULL);
    assert_in_range(n[1], 800, 1200);
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 0); /* and the first one's is gone */
}

static void test_an_old_backend_does_not_undo_a_new_one(void **state)
{
    static const struct agw_eviction policy = {.duration_ms = 1000, .failures = 1, .restore_health = 1};
    struct agw_pick p;
    unsigned n[MAX];
    struct agw_backend old = t.backend;
    set_backend(4);
    t.backend.eviction = &policy;
    sample(3, 0, AGW_JUDGED_BAD);
    agw_balance_pick(t.b, &old, NULL, &p);
    assert_non_null(p.endpoint);
    assert_null(p.stats);
    count(1000, n, NULL);
    assert_int_equal(n[3], 0);
}

static void no_free(struct agw_shared *s) {}

static void test_what_is_gone_is_forgotten(void **state)
{
    struct agw_snapshot snap = {.generation = 1};
    struct agw_pick p, held;
    agw_pmap_init(&snap.backends, offsetof(struct agw_backend, id_text));
    pick(&held, NULL);
    agw_shared_init(&t.backend.shared, no_free);
    assert_int_equal(agw_pmap_put(&snap.backends, t.backend.id, &t.backend, NULL), 0);
    agw_balancer_sweep(t.b, &snap);
    pick(&p, NULL);
    assert_int_equal(p.stats->refs, 1);
    agw_balance_release(t.b, &p);
    assert_int_equal(agw_pmap_remove(&snap.backends, t.backend.id, AGW_STR("")), 0);
    agw_balancer_sweep(t.b, &snap); /* the same generation is looked at once */
    assert_int_equal(held.stats->refs, 1);
    snap.generation = 2;
    agw_balancer_sweep(t.b, &snap);
    assert_int_equal(held.stats->refs, 0); /* only until it is released */
    agw_balance_release(t.b, &held);
    agw_pmap_free(&snap.backends);
}

static void test_a_sweep_keeps_what_stays(void **state)
{
    static const struct agw_eviction policy = {.duration_ms = 60000, .failures = 1, .restore_health = 1};
    struct agw_snapshot snap = {.generation = 1};
    agw_pmap_init(&snap.backends, offsetof(struct agw_backend, id_text));
    t.backend.eviction = &policy;
    sample(0, 0, AGW_JUDGED_BAD);
    sample(2, 0, AGW_JUDGED_BAD);
    set_backend(2);
    agw_shared_init(&t.backend.shared, no_free);
    assert_int_equal(agw_pmap_put(&snap.backends, t.backend.id, &t.backend, NULL), 0);
    agw_balancer_sweep(t.b, &snap);
    assert_int_equal(agw_balancer_stats(t.b)->evicted, 1);
    agw_pmap_free(&snap.backends);
}

/* --- other ways than two choices --- */

static void test_round_robin(void **state)
{
    static const struct agw_load_balancer how = {.way = AGW_BALANCE_ROUND_ROBIN};
    unsigned n[MAX], turn[6];
    struct agw_pick p;
    t.backend.balancer = &how;
    for (unsigned i = 0; i < 6; i++) {
        turn[i] = pick(&p, NULL);
        agw_balance_release(t.b, &p);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(turn[i], turn[i + 3]);
    assert_true(turn[0] != turn[1] && turn[1] != turn[2] && turn[2] != turn[0]);
    struct agw_pick_hint hint = {.avoid = &t.e[1]};
    count(30, n, &hint);
    assert_int_equal(n[1], 0);
    assert_in_range(n[0], 10, 20);
    sample(0, 60000, AGW_JUDGED_GOOD); /* how slow it is does not count */
    count(30, n, NULL);
    assert_int_equal(n[0], 10);
}

/* Smooth: the heavy one is not taken in a row more than it must. */
static void test_round_robin_by_weight(void **state)
{
    static const struct agw_load_balancer how = {.way = AGW_BALANCE_ROUND_ROBIN};
    unsigned n[MAX], last = MAX, in_a_row = 0, longest = 0;
    struct agw_pick p;
    t.places[0].weight = 4;
    t.places[2].weight = 2;
    t.backend.places = t.places;
    t.backend.balancer = &how;
    count(70, n, NULL);
    assert_int_equal(n[0], 40);
    assert_int_equal(n[1], 10);
    assert_int_equal(n[2], 20);
    for (unsigned i = 0; i < 70; i++) {
        unsigned at = pick(&p, NULL);
        in_a_row = at == last ? in_a_row + 1 : 1;
        longest = in_a_row > longest ? in_a_row : longest;
        last = at;
        agw_balance_release(t.b, &p);
    }
    assert_in_range(longest, 1, 2);
}

static const struct agw_load_balancer hashing = {.way = AGW_BALANCE_HASH};

static unsigned hashed(uint64_t value)
{
    struct agw_pick p;
    struct agw_pick_hint hint = {.hash = agw_balance_hash(agw_str((const char *)&value, sizeof(value)))};
    unsigned at = pick(&p, &hint);
    agw_balance_release(t.b, &p);
    return at;
}

/* What moves when an endpoint joins or goes is its own share and nothing else. */
static void test_consistent_hash(void **state)
{
    enum { VALUES = 4000 };
    static unsigned was[VALUES];
    unsigned n[MAX] = {0}, moved = 0;
    set_backend(4);
    t.backend.balancer = &hashing;
    for (unsigned v = 0; v < VALUES; v++)
        n[was[v] = hashed(v)]++;
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(n[i], 850, 1150);
    for (unsigned v = 0; v < VALUES; v++)
        assert_int_equal(hashed(v), was[v]);
    set_backend(5);
    t.backend.balancer = &hashing;
    for (unsigned v = 0; v < VALUES; v++) {
        unsigned now = hashed(v);
        moved += now != was[v];
        assert_true(now == was[v] || now == 4);
    }
    assert_in_range(moved, 650, 950);
    /* Without a value it is as if nothing was said. */
    count(1000, n, NULL);
    assert_true(n[0] > 100 && n[4] > 100);
}

static void test_consistent_hash_by_weight(void **state)
{
    unsigned n[MAX] = {0};
    t.places[0].weight = 8;
    t.places[2].weight = 0;
    t.backend.places = t.places;
    t.backend.balancer = &hashing;
    for (unsigned v = 0; v < 9000; v++)
        n[hashed(v)]++;
    assert_in_range(n[0], 7800, 8200);
    assert_int_equal(n[2], 0);
}

static void test_hash_passes_by_who_is_out(void **state)
{
    static const struct agw_eviction policy = {.duration_ms = 1000, .failures = 1, .restore_health = 1};
    t.backend.balancer = &hashing;
    t.backend.eviction = &policy;
    unsigned first = hashed(1);
    sample(first, 0, AGW_JUDGED_BAD);
    unsigned second = hashed(1);
    assert_int_not_equal(first, second);
    pass(1000);
    run_timers();
    assert_int_equal(hashed(1), first);
    struct agw_pick p;
    struct agw_pick_hint hint = {.avoid = &t.e[first]};
    uint64_t one = 1;
    hint.hash = agw_balance_hash(agw_str((const char *)&one, sizeof(one)));
    assert_int_equal(pick(&p, &hint), second);
    agw_balance_release(t.b, &p);
}

static void test_slow_start(void **state)
{
    static const struct agw_load_balancer ways[] = {{.way = AGW_BALANCE_TWO_CHOICES, .slow_start_ms = 10000},
                                                    {.way = AGW_BALANCE_ROUND_ROBIN, .slow_start_ms = 10000}};
    for (unsigned w = 0; w < 2; w++) {
        unsigned n[MAX];
        set_backend(3);
        t.backend.balancer = &ways[w];
        count(3000, n, NULL); /* those there were at first are not new */
        assert_in_range(n[2], 900, 1100);
        set_backend(4);
        t.backend.balancer = &ways[w];
        count(4000, n, NULL);
        assert_in_range(n[3], 30, 250);
        pass(5000);
        count(4000, n, NULL);
        assert_in_range(n[3], 350, 750);
        pass(5000);
        count(4000, n, NULL);
        assert_in_range(n[3], 900, 1100);
    }
}

/* --- checks --- */

static void set_down(unsigned i, bool down)
{
    char key[64];
    agw_balance_key(&t.backend, &t.e[i], key);
    assert_int_equal(agw_balance_down(t.b, agw_str(key, AGW_BALANCE_KEY_SIZE(&t.backend, &t.e[i])), down), 0);
}

static void test_who_fails_its_checks_gets_nothing(void **state)
{
    unsigned n[MAX];
    set_down(1, true); /* before anything was sent there */
    count(300, n, NULL);
    assert_int_equal(n[1], 0);
    set_down(0, true);
    set_down(0, true); /* by two checks, one of which it passes */
    set_down(0, false);
    set_down(1, false);
    set_down(1, false); /* nobody said more */
    set_down(1, true);
    assert_int_equal(agw_balancer_stats(t.b)->down, 2);
    count(100, n, NULL);
    assert_int_equal(n[2], 100);
    set_down(2, true); /* none is left: all serve */
    count(300, n, NULL);
    assert_true(n[0] > 50 && n[1] > 50 && n[2] > 50);
    for (unsigned i = 0; i < 3; i++)
        set_down(i, false);
    assert_int_equal(agw_balancer_stats(t.b)->down, 0);
    count(300, n, NULL);
    assert_true(n[0] > 50 && n[1] > 50 && n[2] > 50);
}

static void test_out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct agw_pick p;
        struct agw_balancer *old = t.b;
        failmalloc_at(n);
        t.b = agw_balancer_new(&t.loop);
        if (t.b) {
            pick(&p, NULL);
            agw_balance_sample(t.b, &t.backend, &p, AGW_JUDGED_GOOD);
            agw_balance_release(t.b, &p);
            int rc = agw_balance_down(t.b, AGW_STR("b\ne0"), true);
            assert_true(rc == 0 || rc == AGW_ENOMEM);
        }
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        agw_balancer_free(t.b);
        t.b = old;
        if (!reached)
            break;
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_the_arithmetic),
        TEST(test_equal_endpoints_share_evenly),
        TEST(test_the_slow_one_is_taken_when_drawn_twice),
        TEST(test_load_counts),
        TEST(test_weights),
        TEST(test_the_nearest_bucket_with_an_active_endpoint),
        TEST(test_eviction_after_failures_in_a_row),
        TEST(test_the_second_time_is_longer),
        TEST(test_eviction_by_health),
        TEST(test_without_a_policy_none_is_evicted),
        TEST(test_evicted_ones_serve_when_there_is_no_other),
        TEST(test_a_second_try_goes_elsewhere),
        TEST(test_the_preferred_one),
        TEST(test_one_endpoint_is_no_choice),
        TEST(test_what_is_known_survives_a_change),
        TEST(test_an_old_backend_does_not_undo_a_new_one),
        TEST(test_what_is_gone_is_forgotten),
        TEST(test_a_sweep_keeps_what_stays),
        TEST(test_round_robin),
        TEST(test_round_robin_by_weight),
        TEST(test_consistent_hash),
        TEST(test_consistent_hash_by_weight),
        TEST(test_hash_passes_by_who_is_out),
        TEST(test_slow_start),
        TEST(test_who_fails_its_checks_gets_nothing),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
