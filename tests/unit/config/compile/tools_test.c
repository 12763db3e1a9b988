/* Tools that an MCP backend shows. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/check.h"
#include "config/compile/fixture.h"

static void test_mcp_tools_that_are_shown(void **state)
{
    char one[] = "one", gone[] = "gone", add[] = "add", sum[] = "sum", any[] = "*";
    static const struct {
        unsigned rules; /* bits */
        bool valid;
    } cases[] = {{1, true}, {3, true}, {5, true}, {9, false}, {17, false}, {33, false}, {65, false}};
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct fixture f;
        Pb__MCPBackend__ToolRule all[7], *chosen[7];
        size_t n = 0;
        fx_init(&f, NULL, 0);
        fx_bind(&f, "b", 80);
        fx_add(&f, AGW_RESOURCE_LISTENER, fx_listener(&f, "b", "l", ""), NULL);
        for (size_t k = 0; k < 7; k++) {
            pb__mcpbackend__tool_rule__init(&all[k]);
            all[k].target = one;
            if (cases[i].rules >> k & 1)
                chosen[n++] = &all[k];
        }
        all[0].name = add, all[0].rename = sum;
        all[1].pattern = any;
        all[2].target = gone, all[2].name = add;
        all[3].name = add; /* twice */
        all[4].target = gone, all[4].name = any, all[4].rename = sum;
        all[5].pattern = any, all[5].title = sum; /* of which tool? */
        all[6].name = sum, all[6].pattern = any;
        Pb__MCPTarget *target = fx_new(&f, &pb__mcptarget__descriptor);
        target->name = one;
        target->backend = fx_new(&f, &pb__backend_reference__descriptor);
        target->backend->kind_case = PB__BACKEND_REFERENCE__KIND_BACKEND;
        target->backend->backend = fx_text(&f, "ns/gone");
        Pb__Backend *b = fx_static(&f, "ns", "mcp", "", 0);
        b->kind_case = PB__BACKEND__KIND_MCP;
        b->mcp = fx_new(&f, &pb__mcpbackend__descriptor);
        b->mcp->targets = &target;
        b->mcp->n_targets = 1;
        b->mcp->tool_search = fx_new(&f, &pb__mcpbackend__tool_search__descriptor);
        b->mcp->tools = chosen;
        b->mcp->n_tools = n;
        fx_add(&f, AGW_RESOURCE_BACKEND, b, NULL);
        Pb__Route *r = fx_route(&f, "l", "r", NULL, 'p', "/");
        fx_ref(&f, r, "ns/mcp", 1);
        fx_add(&f, AGW_RESOURCE_ROUTE, r, NULL);
        fx_compile(&f);
        const struct agw_backend *out =
            fx_backend(&f, &fx_any_match(fx_out_listener(&f, "b", "l"))->route->backends[0]);
        assert_int_equal(out->kind == AGW_BACKEND_MCP, cases[i].valid);
        assert_int_equal(f.notes.errors, !cases[i].valid);
        if (cases[i].valid) {
            assert_int_equal(out->mcp->rule_count, n);
            assert_int_equal(out->mcp->search->max_results, 5);
            assert_true(agw_str_eq(out->mcp->rules[0].rename, AGW_STR("sum")));
            assert_int_equal(out->mcp->rules[n - 1].target, cases[i].rules == 5 ? UINT32_MAX : 0);
        }
        fx_free(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mcp_tools_that_are_shown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
