#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "base/err.h"
#include "failmalloc.h"
#include "page.h"

#define S AGW_STR

static void test_heads_and_plain_values(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    char *page = page_of(r);
    assert_memory_equal(page, "# HELP agentgateway_build_info ", 31);
    assert_non_null(
        strstr(page, "\n# TYPE agentgateway_build_info gauge\nagentgateway_build_info{version=\"" AGW_VERSION
                     "\"} 1\n"));
    assert_non_null(
        strstr(page, "\n# TYPE agentgateway_config_version gauge\nagentgateway_config_version 0\n"));
    assert_non_null(strstr(
        page,
        "\n# TYPE agentgateway_access_log_dropped_total counter\nagentgateway_access_log_dropped_total 0\n"));
    assert_null(strstr(page, "agentgateway_requests_total")); /* nothing to say yet */
    assert_int_equal(page[strlen(page) - 1], '\n');
    free(page);
    agw_metrics_registry_free(r);
}

static void test_histogram_lines(void **state)
{
    static const char want[] =
        "# TYPE agentgateway_request_duration_seconds histogram\n"
        "agentgateway_request_duration_seconds_bucket{listener=\"l\",route=\"r\",le=\"0.0005\"} 0\n"
        "agentgateway_request_duration_seconds_bucket{listener=\"l\",route=\"r\",le=\"0.001\"} 0\n"
        "agentgateway_request_duration_seconds_bucket{listener=\"l\",route=\"r\",le=\"0.0025\"} 1\n";
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    struct agw_str labels[] = {S("l"), S("r")};
    agw_metric_observe(agw_metrics_get(agw_metrics_shard(r, 0), AGW_METRIC_DURATION, labels), 1000001);
    char *page = page_of(r);
    assert_non_null(strstr(page, want));
    assert_non_null(strstr(
        page, "le=\"+Inf\"} 1\nagentgateway_request_duration_seconds_sum{listener=\"l\",route=\"r\"} "
              "0.001000001\nagentgateway_request_duration_seconds_count{listener=\"l\",route=\"r\"} 1\n"));
    free(page);
    agw_metrics_registry_free(r);
}

static void test_label_values_are_escaped(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    struct agw_metrics *m = agw_metrics_shard(r, 0);
    agw_metrics_mcp(m, S("a\"b\\c\nd"), S("\t\x01"), S("gr\xc3\xbc\xc3\x9f"));
    agw_metrics_mcp(m, S("x"), S("\xff\xfe"), S(""));
    char *page = page_of(r);
    assert_non_null(
        strstr(page, "{backend=\"a\\\"b\\\\c\\nd\",method=\"??\",target=\"gr\xc3\xbc\xc3\x9f\"} 1\n"));
    assert_non_null(strstr(page, "{backend=\"x\",method=\"??\",target=\"\"} 1\n"));
    free(page);
    agw_metrics_registry_free(r);
}

static void test_series_are_sorted(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(2);
    const char *const names[] = {"m", "a", "z", "b"};
    for (int i = 0; i < 4; i++)
        agw_metrics_mcp(agw_metrics_shard(r, (unsigned)i & 1), agw_str_c(names[i]), S("x"), S("y"));
    char *page = page_of(r);
    char *a = strstr(page, "backend=\"a\""), *b = strstr(page, "backend=\"b\""),
         *m = strstr(page, "backend=\"m\""), *z = strstr(page, "backend=\"z\"");
    assert_true(a && a < b && b < m && m < z);
    free(page);
    agw_metrics_registry_free(r);
}

static void test_a_gauge_may_be_negative(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    agw_metric_add(agw_metrics_get(agw_metrics_shard(r, 0), AGW_METRIC_CONNS, &S("l")), -3);
    char *page = page_of(r);
    assert_non_null(strstr(page, "agentgateway_downstream_connections{bind=\"l\"} -3\n"));
    free(page);
    agw_metrics_registry_free(r);
}

static void test_out_of_memory(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    for (int i = 0; i < 200; i++) {
        char name[2] = {(char)('0' + i / 16), (char)('0' + i % 16)};
        agw_metrics_mcp(agw_metrics_shard(r, 0), agw_str(name, 2), S("x"), S("y"));
    }
    bool done = false;
    for (long n = 1; !done; n++) {
        struct agw_block_pool pool;
        struct agw_chain chain;
        agw_block_pool_init(&pool, 0);
        agw_chain_init(&chain);
        failmalloc_at(n);
        int rc = agw_metrics_write(r, &chain, &pool);
        done = failmalloc_count() < n;
        failmalloc_at(0);
        assert_int_equal(rc, done ? 0 : AGW_ENOMEM);
        agw_chain_clear(&chain);
        agw_block_pool_free(&pool);
    }
    agw_metrics_registry_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_and_plain_values),   cmocka_unit_test(test_histogram_lines),
        cmocka_unit_test(test_label_values_are_escaped), cmocka_unit_test(test_series_are_sorted),
        cmocka_unit_test(test_a_gauge_may_be_negative),  cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
