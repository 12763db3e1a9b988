#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/list.h"

struct item {
    int value;
    struct agw_list node;
};

static int value_of(struct agw_list *node)
{
    return agw_list_entry(node, struct item, node)->value;
}

static void test_order(void **state)
{
    struct agw_list head, *pos, *tmp;
    struct item items[4];
    int want[] = {3, 0, 2}, i = 0;
    agw_list_init(&head);
    assert_true(agw_list_empty(&head));
    assert_null(agw_list_pop(&head));
    for (int k = 0; k < 4; k++) {
        items[k].value = k;
        agw_list_init(&items[k].node);
    }
    agw_list_push(&head, &items[0].node);
    agw_list_push(&head, &items[1].node);
    agw_list_push(&head, &items[2].node);
    agw_list_push_front(&head, &items[3].node);
    agw_list_remove(&items[1].node);
    assert_true(agw_list_empty(&items[1].node));
    agw_list_each (pos, tmp, &head) {
        assert_int_equal(value_of(pos), want[i++]);
        agw_list_remove(pos);
    }
    assert_int_equal(i, 3);
    assert_true(agw_list_empty(&head));
    agw_list_remove(&items[0].node); /* unlinked: harmless */
}

static void test_move(void **state)
{
    struct agw_list a, b;
    struct item items[2] = {{.value = 1}, {.value = 2}};
    agw_list_init(&a);
    agw_list_move(&b, &a);
    assert_true(agw_list_empty(&b));
    agw_list_push(&a, &items[0].node);
    agw_list_push(&a, &items[1].node);
    agw_list_move(&b, &a);
    assert_true(agw_list_empty(&a));
    assert_int_equal(value_of(agw_list_pop(&b)), 1);
    assert_int_equal(value_of(agw_list_pop(&b)), 2);
    assert_null(agw_list_pop(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
