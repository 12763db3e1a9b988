#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "failmalloc.h"
#include "page.h"

#define S AGW_STR
#define MS 1000000ull

static void request(struct agw_metrics *m, const char *route, unsigned code, uint64_t ns)
{
    struct agw_metrics_request r = {S("web"), agw_str_c(route), S("api"), code, ns};
    agw_metrics_request(m, &r);
}

static void test_requests_add_up_over_workers(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(2);
    struct agw_metrics *a = agw_metrics_shard(r, 0), *b = agw_metrics_shard(r, 1);
    for (int i = 0; i < 10; i++)
        request(a, "r1", 200, MS);
    request(b, "r1", 200, 3 * MS);
    request(b, "r1", 404, 70000 * MS);
    request(b, "r2", 200, 0);
    assert_true(
        value_of(r,
                 "agentgateway_requests_total{listener=\"web\",route=\"r1\",backend=\"api\",code=\"200\"}") ==
        11);
    assert_true(
        value_of(r,
                 "agentgateway_requests_total{listener=\"web\",route=\"r1\",backend=\"api\",code=\"404\"}") ==
        1);
    assert_true(
        value_of(r,
                 "agentgateway_requests_total{listener=\"web\",route=\"r2\",backend=\"api\",code=\"200\"}") ==
        1);
#define D "agentgateway_request_duration_seconds"
    assert_true(value_of(r, D "_bucket{listener=\"web\",route=\"r1\",le=\"0.0005\"}") == 0);
    assert_true(value_of(r, D "_bucket{listener=\"web\",route=\"r1\",le=\"0.001\"}") ==
                10); /* bounds are inclusive */
    assert_true(value_of(r, D "_bucket{listener=\"web\",route=\"r1\",le=\"0.005\"}") == 11);
    assert_true(value_of(r, D "_bucket{listener=\"web\",route=\"r1\",le=\"60\"}") == 11);
    assert_true(value_of(r, D "_bucket{listener=\"web\",route=\"r1\",le=\"+Inf\"}") == 12);
    assert_true(value_of(r, D "_count{listener=\"web\",route=\"r1\"}") == 12);
    assert_true(value_of(r, D "_sum{listener=\"web\",route=\"r1\"}") == 70.013);
    assert_true(value_of(r, D "_bucket{listener=\"web\",route=\"r2\",le=\"0.0005\"}") == 1);
    agw_metrics_registry_free(r);
}

static void test_labels_are_copied_and_compared_by_bytes(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    struct agw_metrics *m = agw_metrics_shard(r, 0);
    char route[] = "aa"; /* the same address, other bytes: a config change reused the memory */
    request(m, route, 200, 0);
    route[1] = 'b';
    request(m, route, 200, 0);
    request(m, route, 200, 0);
    route[0] = 'x';
    assert_true(
        value_of(r,
                 "agentgateway_requests_total{listener=\"web\",route=\"aa\",backend=\"api\",code=\"200\"}") ==
        1);
    assert_true(
        value_of(r,
                 "agentgateway_requests_total{listener=\"web\",route=\"ab\",backend=\"api\",code=\"200\"}") ==
        2);
    agw_metrics_registry_free(r);
}

static void test_labels_cannot_run_into_each_other(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    struct agw_metrics *m = agw_metrics_shard(r, 0);
    agw_metrics_mcp(m, S("ab"), S("c"), S(""));
    agw_metrics_mcp(m, S("a"), S("bc"), S(""));
    agw_metrics_mcp(m, S(""), S("a"), S("bc"));
    assert_true(value_of(r, "agentgateway_mcp_requests_total{backend=\"ab\",method=\"c\",target=\"\"}") == 1);
    assert_true(value_of(r, "agentgateway_mcp_requests_total{backend=\"a\",method=\"bc\",target=\"\"}") == 1);
    assert_true(value_of(r, "agentgateway_mcp_requests_total{backend=\"\",method=\"a\",target=\"bc\"}") == 1);
    agw_metrics_registry_free(r);
}

static void test_odd_codes(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    struct agw_metrics *m = agw_metrics_shard(r, 0);
    request(m, "r", 0, 0);
    request(m, "r", 70000, 0);
    request(m, "r", 70000, 0);
    request(m, "r", 999, 0);
    assert_true(
        value_of(r,
                 "agentgateway_requests_total{listener=\"web\",route=\"r\",backend=\"api\",code=\"000\"}") ==
        3);
    assert_true(
        value_of(r,
                 "agentgateway_requests_total{listener=\"web\",route=\"r\",backend=\"api\",code=\"999\"}") ==
        1);
    agw_metrics_registry_free(r);
}

static void test_too_many_series_overflow(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    struct agw_metrics *m = agw_metrics_shard(r, 0);
    char route[16];
    for (int i = 0; i < AGW_METRIC_SERIES_MAX + 50; i++) {
        snprintf(route, sizeof(route), "r%d", i);
        request(m, route, 200, 0);
    }
    request(m, "r0", 200, 0); /* known ones go on */
#define O "\"overflow\""
    assert_true(value_of(r, "agentgateway_requests_total{listener=" O ",route=" O ",backend=" O ",code=" O
                            "}") == 50);
    assert_true(value_of(r, D "_count{listener=" O ",route=" O "}") == 50);
    assert_true(
        value_of(r,
                 "agentgateway_requests_total{listener=\"web\",route=\"r0\",backend=\"api\",code=\"200\"}") ==
        2);
    request(m, "r0", 500, 0); /* the request overflows, its route's histogram does not */
    assert_true(value_of(r, D "_count{listener=\"web\",route=\"r0\"}") == 3);
    agw_metrics_registry_free(r);
}

static void test_long_labels_are_cut(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    static char route[100000];
    memset(route, 'r', sizeof(route) - 1);
    request(agw_metrics_shard(r, 0), route, 200, 0);
    request(agw_metrics_shard(r, 0), route, 200, 0);
    char *page = page_of(r);
    char *at = strstr(page, "route=\"");
    assert_int_equal(strspn(at + 7, "r"), AGW_METRIC_LABEL_BYTES);
    assert_non_null(strstr(at, "code=\"200\"} 2\n"));
    free(page);
    agw_metrics_registry_free(r);
}

static void test_connections(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(2);
    struct agw_metrics *a = agw_metrics_shard(r, 0), *b = agw_metrics_shard(r, 1);
    struct agw_metrics_conns ca, cb;
    agw_metrics_conns_init(a, S("web"), &ca);
    agw_metrics_conns_init(b, S("web"), &cb);
    for (int i = 0; i < 5; i++)
        agw_metrics_conn_opened(a, &ca);
    agw_metrics_conn_opened(b, &cb);
    agw_metrics_conn_closed(a, &ca);
    agw_metrics_conn_closed(b, &cb);
    assert_true(value_of(r, "agentgateway_downstream_connections{bind=\"web\"}") == 4);
    assert_true(value_of(r, "agentgateway_downstream_connections_total{bind=\"web\"}") == 6);
    agw_metrics_upstream(a, &(struct agw_metrics_upstream){10, 20, 3, 4, 2, 7, 8, 9, 1});
    agw_metrics_upstream(a, &(struct agw_metrics_upstream){11, 25, 3, 5, 1, 2, 8, 9, 0});
    agw_metrics_upstream(b, &(struct agw_metrics_upstream){1, 1, 1, 1, 1, 1, 1, 1, 1});
    assert_true(value_of(r, "agentgateway_upstream_connects_total") == 12);
    assert_true(value_of(r, "agentgateway_upstream_reuses_total") == 26);
    assert_true(value_of(r, "agentgateway_upstream_connect_failures_total") == 4);
    assert_true(value_of(r, "agentgateway_upstream_connections") == 6);
    assert_true(value_of(r, "agentgateway_upstream_idle_connections") == 2);
    assert_true(value_of(r, "agentgateway_upstream_waiting_requests") == 3);
    assert_true(value_of(r, "agentgateway_upstream_overflows_total") == 9);
    assert_true(value_of(r, "agentgateway_upstream_evictions_total") == 10);
    assert_true(value_of(r, "agentgateway_upstream_evicted_endpoints") == 1);
    agw_metrics_forward(a, &(struct agw_metrics_forward){1, 2, 3, 4});
    agw_metrics_forward(a, &(struct agw_metrics_forward){5, 6, 7, 8});
    agw_metrics_forward(b, &(struct agw_metrics_forward){10, 10, 10, 10});
    assert_true(value_of(r, "agentgateway_retries_total") == 15);
    assert_true(value_of(r, "agentgateway_retries_denied_total") == 16);
    assert_true(value_of(r, "agentgateway_mirrors_total") == 17);
    assert_true(value_of(r, "agentgateway_mirrors_dropped_total") == 18);
    agw_metrics_registry_free(r);
}

static void test_config(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    assert_true(value_of(r, "agentgateway_config_synchronized") == 0);
    agw_metrics_config(r, 7, true);
    agw_metrics_config_reload(r, true);
    agw_metrics_config_reload(r, true);
    agw_metrics_config_reload(r, false);
    assert_true(value_of(r, "agentgateway_config_version") == 7);
    assert_true(value_of(r, "agentgateway_config_synchronized") == 1);
    assert_true(value_of(r, "agentgateway_config_reloads_total{result=\"success\"}") == 2);
    assert_true(value_of(r, "agentgateway_config_reloads_total{result=\"error\"}") == 1);
    agw_metrics_registry_free(r);
}

static uint64_t read_seven(void *ctx)
{
    return *(uint64_t *)ctx;
}

static void test_source(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    uint64_t seven = 7;
    assert_true(value_of(r, "agentgateway_access_log_dropped_total") == 0);
    agw_metrics_source(r, AGW_METRIC_ACCESS_LOG_DROPPED, read_seven, &seven);
    assert_true(value_of(r, "agentgateway_access_log_dropped_total") == 7);
    agw_metrics_registry_free(r);
}

enum { WORKERS = 3, ROUTES = 50, ROUNDS = 400 };

struct worker {
    struct agw_metrics *m;
    pthread_t thread;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < ROUTES; k++) {
            char route[16];
            snprintf(route, sizeof(route), "r%d", k);
            request(w->m, route, 200, (uint64_t)i * MS);
        }
    }
    return NULL;
}

static void test_reading_while_workers_write(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(WORKERS);
    struct worker w[WORKERS];
    const char *series =
        "agentgateway_requests_total{listener=\"web\",route=\"r49\",backend=\"api\",code=\"200\"}";
    for (unsigned i = 0; i < WORKERS; i++) {
        w[i].m = agw_metrics_shard(r, i);
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    double before = -1;
    for (int i = 0; i < 20; i++) {
        double now = value_of(r, series);
        assert_true(now >= before);
        before = now;
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(w[i].thread, NULL);
    assert_true(value_of(r, series) == WORKERS * ROUNDS);
    assert_true(value_of(r, D "_count{listener=\"web\",route=\"r0\"}") == WORKERS * ROUNDS);
    agw_metrics_registry_free(r);
}

static void use_everything(struct agw_metrics *m)
{
    for (int i = 0; i < 40; i++) {
        char route[600];
        snprintf(route, sizeof(route), "%0500d", i);
        request(m, route, 200, 0);
        agw_metrics_mcp(m, agw_str_c(route), S("tools/call"), S("x"));
    }
}

static void test_out_of_memory(void **state)
{
    bool done = false;
    for (long n = 1; !done; n++) {
        failmalloc_at(n);
        struct agw_metrics_registry *r = agw_metrics_registry_new(1);
        if (r)
            use_everything(agw_metrics_shard(r, 0));
        done = failmalloc_count() < n;
        failmalloc_at(0);
        if (r) { /* no request is lost, whatever series it went to */
            char *page = page_of(r), *at = page;
            double total = 0;
            while ((at = strstr(at, "code=\""))) {
                at = strchr(at, '}');
                total += strtod(at + 1, NULL);
            }
            assert_true(total == 40);
            free(page);
        }
        agw_metrics_registry_free(r);
    }
    failmalloc_from(1);
    assert_null(agw_metrics_registry_new(1));
    failmalloc_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_add_up_over_workers),
        cmocka_unit_test(test_labels_are_copied_and_compared_by_bytes),
        cmocka_unit_test(test_labels_cannot_run_into_each_other),
        cmocka_unit_test(test_odd_codes),
        cmocka_unit_test(test_too_many_series_overflow),
        cmocka_unit_test(test_long_labels_are_cut),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_reading_while_workers_write),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
