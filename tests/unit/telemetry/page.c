#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include "page.h"

char *page_of(struct agw_metrics_registry *r)
{
    struct agw_block_pool pool;
    struct agw_chain chain;
    agw_block_pool_init(&pool, 0);
    agw_chain_init(&chain);
    assert_int_equal(agw_metrics_write(r, &chain, &pool), 0);
    char *page = malloc(chain.bytes + 1);
    page[agw_chain_peek(&chain, page, chain.bytes)] = 0;
    agw_chain_clear(&chain);
    agw_block_pool_free(&pool);
    return page;
}

double value_of(struct agw_metrics_registry *r, const char *series)
{
    char *page = page_of(r), *at = page;
    size_t n = strlen(series);
    double value = -1;
    for (; at && *at; at = strchr(at, '\n'), at += at != NULL) {
        if (strncmp(at, series, n) == 0 && at[n] == ' ') {
            assert_true(value == -1); /* one line a series */
            value = strtod(at + n, NULL);
        }
    }
    free(page);
    return value;
}
