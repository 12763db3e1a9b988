#include "mcp/cache/lists.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "failmalloc.h"

static struct agw_mcp_lists *lists;
static uint32_t epoch;

#define TOOLS 1
#define PROMPTS 2
#define TEXT "{\"result\":{\"tools\":[{\"name\":\"a\" , \"x\":1.50}]}}"

static int setup(void **state)
{
    lists = agw_mcp_lists_new(AGW_MCP_LISTS_BYTES);
    return lists ? 0 : -1;
}

static int teardown(void **state)
{
    agw_mcp_lists_free(lists);
    return 0;
}

static struct agw_mcp_list_key key_of(uint64_t backend, uint32_t target, uint32_t kind, char asker)
{
    struct agw_mcp_list_key key = {.backend = backend, .target = target, .kind = kind};
    key.asker[31] = (unsigned char)asker;
    return key;
}

static void keep_text(struct agw_mcp_list_key key, const char *text, uint64_t now, uint64_t ttl)
{
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_json_parse(&doc, agw_str_c(text), NULL), 0);
    agw_mcp_lists_keep(lists, &key, epoch, &doc, 2, now, ttl);
    agw_json_doc_free(&doc);
}

static void keep(struct agw_mcp_list_key key)
{
    keep_text(key, TEXT, 1000, 500);
}

static bool has(struct agw_mcp_list_key key, uint64_t now)
{
    struct agw_mcp_listing *e = agw_mcp_lists_find(lists, &key, epoch, now);
    agw_mcp_listing_unref(e);
    return e;
}

static void bytes_are_kept_as_they_are(void **state)
{
    struct agw_mcp_list_key key = key_of(1, 2, TOOLS, 'a');
    keep(key);
    struct agw_mcp_listing *e = agw_mcp_lists_find(lists, &key, epoch, 1200);
    assert_non_null(e);
    assert_true(agw_str_eq(e->doc.text, AGW_STR(TEXT)));
    assert_int_equal(e->result, 2);
    assert_int_equal(e->taken_ms, 1000);
    assert_int_equal(e->doc.tokens[0].length, sizeof TEXT - 1);
    epoch++;
    assert_false(has(key, 1200));
    assert_int_equal(agw_mcp_lists_size(lists), 0); /* whoever found it may read on */
    assert_true(agw_str_eq(e->doc.text, AGW_STR(TEXT)));
    agw_mcp_listing_unref(e);
    assert_int_equal(agw_mcp_lists_size(lists), 0);
}

static void another_key_is_another_entry(void **state)
{
    keep(key_of(1, 2, TOOLS, 'a'));
    assert_true(has(key_of(1, 2, TOOLS, 'a'), 1000));
    assert_false(has(key_of(1, 2, TOOLS, 'b'), 1000)); /* another user */
    assert_false(has(key_of(9, 2, TOOLS, 'a'), 1000)); /* another configuration */
    assert_false(has(key_of(1, 3, TOOLS, 'a'), 1000));
    assert_false(has(key_of(1, 2, PROMPTS, 'a'), 1000));
    struct agw_mcp_list_key asked = key_of(1, 2, TOOLS, 'a');
    asked.asked[0] = 1;
    assert_false(has(asked, 1000));
}

static void time_is_over_when_it_is(void **state)
{
    struct agw_mcp_list_key key = key_of(1, 2, TOOLS, 'a');
    keep(key);
    assert_true(has(key, 1499));
    assert_false(has(key, 1500));
    assert_int_equal(agw_mcp_lists_size(lists), 0);
    keep_text(key, TEXT, 1000, UINT64_MAX / 2);
    assert_true(has(key, 1000 + AGW_MCP_LISTS_TTL_MAX_MS - 1));
    assert_false(has(key, 1000 + AGW_MCP_LISTS_TTL_MAX_MS));
    keep_text(key, TEXT, 1000, 0);
    assert_false(has(key, 1000));
    keep(key);
    keep_text(key, TEXT, 1100, 0); /* the newer one says that it must not be kept */
    assert_false(has(key, 1100));
}

static void an_epoch_that_is_over_takes_its_entries_along(void **state)
{
    struct agw_mcp_list_key key = key_of(1, 2, TOOLS, 'a');
    epoch = 4;
    keep(key);
    assert_true(has(key, 1000));
    epoch = 5;
    assert_false(has(key, 1000));
    epoch = 4;
    assert_false(has(key, 1000)); /* it does not come back */
}

static void the_least_used_make_room(void **state)
{
    keep(key_of(1, 0, TOOLS, 'a'));
    size_t one = agw_mcp_lists_size(lists);
    agw_mcp_lists_free(lists);
    assert_non_null(lists = agw_mcp_lists_new(3 * one));
    for (uint32_t i = 0; i < 3; i++)
        keep(key_of(1, i, TOOLS, 'a'));
    assert_true(has(key_of(1, 0, TOOLS, 'a'), 1000));
    keep(key_of(1, 3, TOOLS, 'a'));
    assert_int_equal(agw_mcp_lists_size(lists), 3 * one);
    assert_false(has(key_of(1, 1, TOOLS, 'a'), 1000));
    assert_true(has(key_of(1, 0, TOOLS, 'a'), 1000));
    keep(key_of(1, 3, TOOLS, 'a')); /* in the place of its older one */
    assert_int_equal(agw_mcp_lists_size(lists), 3 * one);
}

static void what_is_too_large_is_not_kept(void **state)
{
    char *text = malloc(AGW_MCP_LISTING_MAX + 3);
    memset(text, ' ', AGW_MCP_LISTING_MAX);
    memcpy(text + AGW_MCP_LISTING_MAX, "{}", 3);
    keep_text(key_of(1, 2, TOOLS, 'a'), text, 1000, 500);
    free(text);
    assert_int_equal(agw_mcp_lists_size(lists), 0);
    agw_mcp_lists_free(lists);
    assert_non_null(lists = agw_mcp_lists_new(10));
    keep(key_of(1, 2, TOOLS, 'a'));
    assert_int_equal(agw_mcp_lists_size(lists), 0);
}

static void a_watch_is_over_when_its_epoch_is(void **state)
{
    struct agw_str sid = AGW_STR("one");
    assert_false(agw_mcp_lists_watched(lists, 1, 2, sid, 5));
    agw_mcp_lists_watch(lists, 1, 2, sid, 5);
    agw_mcp_lists_watch(lists, 1, 2, sid, 5);
    assert_int_equal(agw_mcp_lists_watches(lists), 1);
    assert_true(agw_mcp_lists_watched(lists, 1, 2, sid, 5));
    assert_false(agw_mcp_lists_watched(lists, 1, 3, sid, 5));
    assert_false(agw_mcp_lists_watched(lists, 9, 2, sid, 5));
    assert_false(agw_mcp_lists_watched(lists, 1, 2, AGW_STR("other"), 5));
    assert_false(agw_mcp_lists_watched(lists, 1, 2, sid, 6));
    assert_int_equal(agw_mcp_lists_watches(lists), 0);
    assert_false(agw_mcp_lists_watched(lists, 1, 2, sid, 5));
    agw_mcp_lists_watch(lists, 1, 2, sid, 5);
    agw_mcp_lists_watch(lists, 1, 2, sid, 7); /* the next stream */
    assert_true(agw_mcp_lists_watched(lists, 1, 2, sid, 7));
}

static void the_longest_unused_watches_are_forgotten(void **state)
{
    for (uint32_t i = 0; i < AGW_MCP_WATCHES_MAX; i++)
        agw_mcp_lists_watch(lists, 1, i, AGW_STR("s"), 0);
    assert_true(agw_mcp_lists_watched(lists, 1, 0, AGW_STR("s"), 0));
    agw_mcp_lists_watch(lists, 2, 0, AGW_STR("s"), 0);
    assert_int_equal(agw_mcp_lists_watches(lists), AGW_MCP_WATCHES_MAX);
    assert_true(agw_mcp_lists_watched(lists, 1, 0, AGW_STR("s"), 0));
    assert_false(agw_mcp_lists_watched(lists, 1, 1, AGW_STR("s"), 0));
}

static void sessions_that_cannot_be_told_apart_are_not_watched(void **state)
{
    char long_one[2048] = {0};
    agw_mcp_lists_watch(lists, 1, 2, AGW_STR(""), 0);
    agw_mcp_lists_watch(lists, 1, 2, agw_str(long_one, sizeof long_one), 0);
    assert_int_equal(agw_mcp_lists_watches(lists), 0);
    assert_false(agw_mcp_lists_watched(lists, 1, 2, agw_str(long_one, sizeof long_one), 0));
}

static void every_allocation_may_fail(void **state)
{
    struct agw_mcp_list_key key = key_of(1, 2, TOOLS, 'a');
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_json_parse(&doc, AGW_STR(TEXT), NULL), 0);
    for (long n = 1;; n++) {
        failmalloc_at(n);
        struct agw_mcp_lists *l = agw_mcp_lists_new(1 << 20);
        if (l) {
            agw_mcp_lists_watch(l, 1, 2, AGW_STR("s"), 3);
            agw_mcp_lists_keep(l, &key, 7, &doc, 0, 0, 9);
        }
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        struct agw_mcp_listing *e = l ? agw_mcp_lists_find(l, &key, 7, 0) : NULL;
        if (!reached)
            assert_true(e && agw_mcp_lists_watched(l, 1, 2, AGW_STR("s"), 3));
        agw_mcp_listing_unref(e);
        agw_mcp_lists_free(l);
        if (!reached)
            break;
    }
    agw_json_doc_free(&doc);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(bytes_are_kept_as_they_are),
        CASE(another_key_is_another_entry),
        CASE(time_is_over_when_it_is),
        CASE(an_epoch_that_is_over_takes_its_entries_along),
        CASE(the_least_used_make_room),
        CASE(what_is_too_large_is_not_kept),
        CASE(a_watch_is_over_when_its_epoch_is),
        CASE(the_longest_unused_watches_are_forgotten),
        CASE(sessions_that_cannot_be_told_apart_are_not_watched),
        CASE(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
