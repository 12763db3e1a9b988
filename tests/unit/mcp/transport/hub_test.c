#include "mcp/transport/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>

static struct agw_mcp_hub *hub;

static int setup(void **state)
{
    hub = agw_mcp_hub_new(4);
    return hub ? 0 : -1;
}

static int teardown(void **state)
{
    agw_mcp_hub_free(hub);
    return 0;
}

static void news_are_counted_by_subject(void **state)
{
    uint32_t changed = 0, first[256];
    for (uint64_t s = 0; s < 256; s++)
        first[s] = agw_mcp_hub_told(hub, s << 8);
    agw_mcp_hub_tell(hub, 7 << 8);
    for (uint64_t s = 0; s < 256; s++)
        changed += agw_mcp_hub_told(hub, s << 8) != first[s];
    assert_int_not_equal(agw_mcp_hub_told(hub, 7 << 8), first[7]);
    assert_in_range(changed, 1, 8); /* few share a count */
}

#define TELLERS 4
#define NEWS 10000

static void *teller(void *arg)
{
    for (int i = 0; i < NEWS; i++)
        agw_mcp_hub_tell(hub, 1);
    return NULL;
}

static void no_news_are_lost(void **state)
{
    pthread_t threads[TELLERS];
    for (int i = 0; i < TELLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, teller, NULL), 0);
    for (int i = 0; i < TELLERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(agw_mcp_hub_told(hub, 1), TELLERS * NEWS);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {CASE(news_are_counted_by_subject), CASE(no_news_are_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
