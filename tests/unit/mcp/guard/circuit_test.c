#include "mcp/guard/circuit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/err.h"
#include "failmalloc.h"

static struct agw_mcp_circuits *circuits;

static int setup(void **state)
{
    circuits = agw_mcp_circuits_new();
    return circuits ? 0 : -1;
}

static int teardown(void **state)
{
    agw_mcp_circuits_free(circuits);
    return 0;
}

static int check(uint64_t now)
{
    return agw_mcp_circuit_check(circuits, 1, 2, now);
}

static bool note(int code, uint64_t now)
{
    return agw_mcp_circuit_note(circuits, 1, 2, code, now);
}

static void open_at(uint64_t now)
{
    for (int i = 1; i < AGW_MCP_CIRCUIT_FAILURES; i++)
        assert_false(note(AGW_EREFUSED, now));
    assert_int_equal(check(now), 0);
    assert_true(note(AGW_ETIMEOUT, now));
}

static void only_failures_in_a_row_open_it(void **state)
{
    assert_int_equal(check(0), 0);
    assert_false(note(0, 0));
    for (int i = 1; i < AGW_MCP_CIRCUIT_FAILURES; i++)
        assert_false(note(AGW_EREFUSED, 0));
    assert_false(note(0, 0));
    open_at(10);
    assert_int_equal(check(11), AGW_ETIMEOUT);
    assert_int_equal(agw_mcp_circuit_check(circuits, 1, 3, 11), 0); /* another target */
    assert_int_equal(agw_mcp_circuit_check(circuits, 2, 2, 11), 0); /* another configuration */
}

static void one_tries_when_its_time_is_over(void **state)
{
    open_at(100);
    assert_int_equal(check(99 + AGW_MCP_CIRCUIT_OPEN_MS), AGW_ETIMEOUT);
    assert_int_equal(check(100 + AGW_MCP_CIRCUIT_OPEN_MS), 0);
    assert_int_equal(check(101 + AGW_MCP_CIRCUIT_OPEN_MS), AGW_ETIMEOUT);
    assert_true(note(0, 200 + AGW_MCP_CIRCUIT_OPEN_MS));
    assert_int_equal(check(201 + AGW_MCP_CIRCUIT_OPEN_MS), 0);
    open_at(500 + AGW_MCP_CIRCUIT_OPEN_MS); /* and it begins anew */
}

static void one_who_tries_and_leaves_makes_room_for_another(void **state)
{
    open_at(0);
    assert_int_equal(check(AGW_MCP_CIRCUIT_OPEN_MS), 0);
    assert_int_equal(check(2 * AGW_MCP_CIRCUIT_OPEN_MS - 1), AGW_ETIMEOUT);
    assert_int_equal(check(2 * AGW_MCP_CIRCUIT_OPEN_MS), 0);
}

static void each_failure_of_who_tries_doubles_the_time(void **state)
{
    uint64_t now = 0, open = AGW_MCP_CIRCUIT_OPEN_MS;
    open_at(now);
    for (int i = 0; i < 10; i++) {
        assert_false(note(AGW_EREFUSED, now + 1)); /* began before: no news */
        assert_int_not_equal(check(now + open - 1), 0);
        now += open;
        assert_int_equal(check(now), 0);
        assert_false(note(AGW_EREFUSED, now));
        open = 2 * open < AGW_MCP_CIRCUIT_OPEN_MAX_MS ? 2 * open : AGW_MCP_CIRCUIT_OPEN_MAX_MS;
    }
    assert_int_equal(open, AGW_MCP_CIRCUIT_OPEN_MAX_MS);
}

static void there_is_a_limit(void **state)
{
    open_at(0);
    for (uint32_t i = 0; i < AGW_MCP_CIRCUITS_MAX - 1; i++)
        agw_mcp_circuit_note(circuits, 7, i, AGW_EIO, 0);
    assert_int_equal(check(1), AGW_ETIMEOUT);
    agw_mcp_circuit_note(circuits, 8, 0, AGW_EIO, 0);
    assert_int_equal(check(1), 0);
}

static void memory_may_run_out(void **state)
{
    for (long n = 1;; n++) {
        failmalloc_at(n);
        struct agw_mcp_circuits *c = agw_mcp_circuits_new();
        for (int i = 0; c && i < AGW_MCP_CIRCUIT_FAILURES + 1; i++)
            agw_mcp_circuit_note(c, 1, 1, AGW_EIO, 0);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        if (!reached || c)
            assert_int_equal(agw_mcp_circuit_check(c, 1, 1, 0), AGW_EIO); /* one failure more is enough */
        agw_mcp_circuits_free(c);
        if (!reached)
            break;
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(only_failures_in_a_row_open_it),
        CASE(one_tries_when_its_time_is_over),
        CASE(one_who_tries_and_leaves_makes_room_for_another),
        CASE(each_failure_of_who_tries_doubles_the_time),
        CASE(there_is_a_limit),
        CASE(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
