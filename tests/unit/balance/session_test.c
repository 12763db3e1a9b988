#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "balance/session.h"
#include "failmalloc.h"

static const unsigned char key[32] = {7, 7, 7};

static struct {
    struct agw_siv *siv;
    struct agw_arena arena;
    struct agw_msg req, resp;
    struct agw_route route;
    struct agw_match match;
    struct agw_backend backend;
    struct agw_endpoint e[2];
} t;

static void fresh(void)
{
    agw_msg_init(&t.req, &t.arena);
    agw_msg_init(&t.resp, &t.arena);
    t.req.path = AGW_STR("/x?u=ann&v");
}

static int begin(void **state)
{
    memset(&t, 0, sizeof(t));
    t.siv = agw_siv_new(key, AGW_STR(AGW_SESSION_PURPOSE));
    agw_arena_init(&t.arena, 4096, 0);
    t.route.key = AGW_STR("default/r.00.http");
    t.match = (struct agw_match){.path_kind = AGW_PATH_PREFIX, .path = AGW_STR("/app"), .route = &t.route};
    t.backend.key = AGW_STR("service/default/s:80");
    t.e[0] = (struct agw_endpoint){.host = AGW_STR("one"), .port = 80};
    t.e[1] = (struct agw_endpoint){.host = AGW_STR("two"), .port = 80};
    fresh();
    return t.siv ? 0 : -1;
}

static int end(void **state)
{
    agw_siv_free(t.siv);
    agw_arena_free(&t.arena);
    return 0;
}

static struct agw_session read_at(const struct agw_persistence *how, uint32_t now_s)
{
    return agw_session_read(t.siv, how, &t.route, &t.req, now_s);
}

static void write_at(const struct agw_persistence *how, const struct agw_session *s, unsigned e,
                     uint32_t now_s)
{
    assert_int_equal(
        agw_session_write(t.siv, how, s, &t.match, &t.backend, &t.e[e], false, now_s, &t.resp.headers), 0);
}

/* The client's next request brings what it was told. */
static void bring(void)
{
    struct agw_str set = agw_headers_value(&t.resp.headers, AGW_HDR_SET_COOKIE);
    ptrdiff_t n = agw_str_find(set, ';');
    assert_true(n > 0);
    fresh();
    assert_int_equal(agw_headers_add_id(&t.req.headers, AGW_HDR_COOKIE, agw_str(set.p, (size_t)n)), 0);
}

static void a_session_comes_back(void **state)
{
    static const struct agw_persistence how = {.name = {"s", 1}};
    struct agw_session none = read_at(&how, 1000);
    assert_int_equal(none.backend, 0);
    write_at(&how, &none, 1, 1000);
    struct agw_str set = agw_headers_value(&t.resp.headers, AGW_HDR_SET_COOKIE);
    assert_true(agw_str_starts(set, AGW_STR("s=")));
    assert_true(agw_str_ends(set, AGW_STR("; Path=/app; HttpOnly")));
    bring();
    struct agw_session s = read_at(&how, 999999);
    assert_true(s.backend == agw_session_backend(t.backend.key));
    assert_true(s.replica == agw_balance_token(&t.e[1]));
    assert_int_equal(s.begun_s, 1000);
    write_at(&how, &s, 1, 999999); /* nothing new to say */
    assert_int_equal(t.resp.headers.n, 0);
    write_at(&how, &s, 0, 999999); /* it was sent elsewhere: another session */
    bring();
    s = read_at(&how, 999999);
    assert_true(s.replica == agw_balance_token(&t.e[0]));
    assert_int_equal(s.begun_s, 999999);
}

static void what_is_not_ours(void **state)
{
    static const struct agw_persistence how = {.name = {"s", 1}};
    static const char *const cookies[] = {
        "s=", "s=AAAA", "x=y", "s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < sizeof(cookies) / sizeof(*cookies); i++) {
        fresh();
        assert_int_equal(agw_headers_add_id(&t.req.headers, AGW_HDR_COOKIE, agw_str_c(cookies[i])), 0);
        assert_int_equal(read_at(&how, 1).backend, 0);
    }
    /* Of another gateway. */
    struct agw_siv *own = t.siv;
    t.siv = agw_siv_new(key, AGW_STR("another purpose"));
    struct agw_session none = {0};
    write_at(&how, &none, 0, 1);
    bring();
    agw_siv_free(t.siv);
    t.siv = own;
    assert_int_equal(read_at(&how, 1).backend, 0);
}

static void times(void **state)
{
    static const struct agw_persistence how = {
        .name = {"s", 1}, .permanent = true, .absolute_s = 100, .idle_s = 10};
    struct agw_session s = {0};
    write_at(&how, &s, 0, 1000);
    assert_true(agw_str_find(agw_headers_value(&t.resp.headers, AGW_HDR_SET_COOKIE), '=') > 0);
    assert_true(
        agw_str_ends(agw_headers_value(&t.resp.headers, AGW_HDR_SET_COOKIE), AGW_STR("; Max-Age=100")));
    bring();
    assert_int_equal(read_at(&how, 1011).backend, 0); /* idle for too long */
    s = read_at(&how, 1010);
    assert_int_equal(s.begun_s, 1000);
    write_at(&how, &s, 0, 1010); /* the use is noted */
    assert_true(
        agw_str_ends(agw_headers_value(&t.resp.headers, AGW_HDR_SET_COOKIE), AGW_STR("; Max-Age=90")));
    for (uint32_t now = 1010; now <= 1100; now += 10) {
        bring();
        s = read_at(&how, now);
        assert_int_equal(s.begun_s, 1000);
        write_at(&how, &s, 0, now + 1);
    }
    bring();
    assert_int_equal(read_at(&how, 1102).backend, 0); /* its life is over */
}

static void by_header(void **state)
{
    static const struct agw_persistence how = {.header = true, .name = {"x-session", 9}};
    struct agw_session s = {0};
    write_at(&how, &s, 0, 1);
    struct agw_header *h = agw_headers_find(&t.resp.headers, AGW_STR("x-session"));
    assert_non_null(h);
    struct agw_str value = h->value;
    fresh();
    assert_int_equal(agw_headers_add(&t.req.headers, AGW_HDR_OTHER, AGW_STR("x-session"), value), 0);
    assert_true(read_at(&how, 1).replica == agw_balance_token(&t.e[0]));
}

static void names_and_paths(void **state)
{
    static const struct agw_persistence unnamed = {0};
    struct agw_session s = {0};
    t.match.path_kind = AGW_PATH_REGEX;
    write_at(&unnamed, &s, 0, 1);
    struct agw_str set = agw_headers_value(&t.resp.headers, AGW_HDR_SET_COOKIE);
    assert_true(agw_str_starts(set, AGW_STR("agw-session-")));
    assert_true(agw_str_ends(set, AGW_STR("; Path=/; HttpOnly")));
    bring();
    assert_true(read_at(&unnamed, 1).backend != 0);
    t.route.key = AGW_STR("default/r.01.http"); /* each has its own */
    assert_int_equal(read_at(&unnamed, 1).backend, 0);
}

static void hashes(void **state)
{
    static const struct agw_load_balancer plain = {0}, ip = {.way = AGW_BALANCE_HASH},
                                          header = {AGW_BALANCE_HASH, AGW_HASH_HEADER, {"x-user", 6}, 0},
                                          cookie = {AGW_BALANCE_HASH, AGW_HASH_COOKIE, {"u", 1}, 0},
                                          query = {AGW_BALANCE_HASH, AGW_HASH_QUERY, {"u", 1}, 0},
                                          empty = {AGW_BALANCE_HASH, AGW_HASH_QUERY, {"v", 1}, 0};
    struct agw_addr a, b;
    assert_int_equal(agw_addr_parse(AGW_STR("192.0.2.1:1000"), &a, NULL), 0);
    assert_int_equal(agw_addr_parse(AGW_STR("192.0.2.1:2000"), &b, NULL), 0);
    uint64_t ann = agw_balance_hash(AGW_STR("ann"));
    assert_int_equal(agw_request_hash(NULL, &t.req, &a, &t.arena), 0);
    assert_int_equal(agw_request_hash(&plain, &t.req, &a, &t.arena), 0);
    assert_int_equal(agw_request_hash(&header, &t.req, &a, &t.arena), 0);
    assert_int_equal(agw_request_hash(&cookie, &t.req, &a, &t.arena), 0);
    assert_int_equal(agw_request_hash(&empty, &t.req, &a, &t.arena), 0);
    assert_true(agw_request_hash(&query, &t.req, &a, &t.arena) == ann);
    assert_true(agw_request_hash(&ip, &t.req, &a, &t.arena) == agw_request_hash(&ip, &t.req, &b, &t.arena));
    assert_int_equal(agw_headers_add(&t.req.headers, AGW_HDR_OTHER, AGW_STR("x-user"), AGW_STR("ann")), 0);
    assert_int_equal(agw_headers_add_id(&t.req.headers, AGW_HDR_COOKIE, AGW_STR("u=ann")), 0);
    assert_true(agw_request_hash(&header, &t.req, &a, &t.arena) == ann);
    assert_true(agw_request_hash(&cookie, &t.req, &a, &t.arena) == ann);
}

static void out_of_memory(void **state)
{
    static const struct agw_persistence how = {.permanent = true, .absolute_s = 1};
    struct agw_session s = {0};
    for (long n = 1;; n++) {
        struct agw_headers h;
        struct agw_arena arena;
        agw_arena_init(&arena, 64, 0);
        agw_headers_init(&h, &arena);
        failmalloc_at(n);
        int rc = agw_session_write(t.siv, &how, &s, &t.match, &t.backend, &t.e[0], true, 1, &h);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_true(rc == 0 || rc == AGW_ENOMEM);
        agw_arena_free(&arena);
        if (!reached)
            break;
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_session_comes_back), TEST(what_is_not_ours), TEST(times),        TEST(by_header),
        TEST(names_and_paths),      TEST(hashes),           TEST(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
