#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "h2/h2_int.h"

static void test_codes(void **state)
{
    /* What we say for a code must mean the same to a peer that is us. */
    static const int same[] = {0, AGW_EPROTO, AGW_EREFUSED, AGW_ELIMIT, AGW_ERESET};
    for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        assert_int_equal(agw_h2_code_from_wire(agw_h2_code_to_wire(same[i])), same[i]);
    assert_int_equal(agw_h2_code_to_wire(AGW_ENOMEM), NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(agw_h2_code_from_wire(0xdead), AGW_ERESET);
    assert_int_equal(agw_h2_code_from_ng(NGHTTP2_ERR_NOMEM), AGW_ENOMEM);
    assert_int_equal(agw_h2_code_from_ng(NGHTTP2_ERR_FLOODED), AGW_ELIMIT);
    assert_int_equal(agw_h2_code_from_ng(NGHTTP2_ERR_BAD_CLIENT_MAGIC), AGW_EPROTO);
    assert_int_equal(agw_h2_code_from_ng(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_codes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
