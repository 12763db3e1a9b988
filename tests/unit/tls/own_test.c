#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "failmalloc.h"
#include "helper.h"
#include "tls/own.h"

#define GW "spiffe://mesh.test/ns/a/sa/gw"
#define APP "spiffe://mesh.test/ns/a/sa/app"

static struct cert *ca, *middle, *gw, *app, *far, *two, *nameless;
static unsigned graces;

static int group_setup(void **state)
{
    ca = cert_new("EC", NULL, NULL, 10);
    middle = cert_new("EC", ca, NULL, 10);
    gw = cert_new("EC", ca, "URI:" GW, 10);
    app = cert_new("EC", ca, "URI:" APP, 10);
    far = cert_new("EC", ca, "URI:spiffe://far.test/ns/a/sa/app", 10);
    two = cert_new("EC", ca, "URI:" APP ",URI:spiffe://mesh.test/other", 10);
    nameless = cert_new("EC", ca, "DNS:app.test", 10);
    return 0;
}

static int group_teardown(void **state)
{
    struct cert *all[] = {ca, middle, gw, app, far, two, nameless};
    for (size_t i = 0; i < AGW_ARRAY_LEN(all); i++)
        cert_free(all[i]);
    return 0;
}

static void grace(void)
{
    graces++;
}

static struct agw_tls_own_conf conf_of(const struct cert *c, const struct cert *root)
{
    return (struct agw_tls_own_conf){agw_str_c(c->cert_pem), agw_str_c(c->key_pem),
                                     agw_str_c(root->cert_pem)};
}

static struct agw_tls_own *own_of(const struct cert *c, const char *trust_domains)
{
    struct agw_error err = {0};
    struct agw_tls_own *own = agw_tls_own_new(agw_str_c(trust_domains), grace);
    struct agw_tls_own_conf conf = conf_of(c, ca);
    assert_non_null(own);
    if (agw_tls_own_set(own, &conf, &err))
        fail_msg("%s", err.text);
    return own;
}

static struct agw_tls_server *choose(void *ctx, struct agw_str sni, void **ret_choice)
{
    return agw_tls_own_server(ctx);
}

/* One handshake from |from| to |to|, who must be one of |peers|. */
static void shake(struct agw_tls_own *from, struct agw_tls_own *to, const char *peers)
{
    selector = choose;
    selector_ctx = to;
    client.ready = client.failed = server.ready = server.failed = 0;
    client.read_code = AGW_EAGAIN;
    client.reason[0] = server.reason[0] = 0;
    client_peers = peers;
    connect_client(agw_tls_own_client(from), "");
    client_peers = NULL;
    turn_until((client.ready || client.failed) && (server.ready || server.failed));
}

static void test_no_certificate_yet(void **state)
{
    struct agw_tls_own *own = agw_tls_own_new(AGW_STR(""), grace);
    assert_null(agw_tls_own_client(own));
    assert_null(agw_tls_own_server(own));
    agw_tls_own_free(own);
    agw_tls_own_free(NULL);
}

static void refuses(const struct cert *c, const struct cert *key, const char *roots, const char *why)
{
    struct agw_error err = {0};
    struct agw_tls_own *own = own_of(gw, "");
    struct agw_tls_client *before = agw_tls_own_client(own);
    struct agw_tls_own_conf conf = {agw_str_c(c->cert_pem), agw_str_c(key->key_pem), agw_str_c(roots)};
    assert_int_not_equal(agw_tls_own_set(own, &conf, &err), 0);
    assert_non_null(strstr(err.text, why));
    assert_ptr_equal(agw_tls_own_client(own), before); /* the last good one serves on */
    agw_tls_own_free(own);
}

static void test_what_is_no_svid_is_refused(void **state)
{
    refuses(nameless, nameless, ca->cert_pem, "spiffe://");
    refuses(two, two, ca->cert_pem, "several");
    refuses(gw, app, ca->cert_pem, "private key");
    refuses(gw, gw, "", "trust bundle is empty");
    refuses(gw, gw, "nonsense", "CA certificate");
}

static void test_readers_are_waited_for_before_the_old_one_goes(void **state)
{
    struct agw_tls_own *own = own_of(gw, "");
    struct agw_tls_own_conf conf = conf_of(app, ca);
    graces = 0;
    assert_int_equal(agw_tls_own_set(own, &conf, NULL), 0);
    assert_int_equal(graces, 1);
    agw_tls_own_free(own);
}

static void test_each_knows_the_other(void **state)
{
    struct agw_tls_own *a = own_of(gw, ""), *b = own_of(app, "");
    struct agw_error err = {0};
    struct agw_arena arena;
    struct agw_str id;
    agw_arena_init(&arena, 1024, 0);
    shake(a, b, "spiffe://mesh.test/x " APP);
    assert_int_equal(client.ready, 1);
    assert_int_equal(server.ready, 1);
    struct agw_filter *f = agw_tls_find(&server.conn);
    assert_string_equal(agw_tls_version(f), "TLSv1.3");
    assert_true(agw_str_eq(agw_tls_alpn(f), AGW_STR("h2")));
    assert_int_equal(agw_tls_own_peer(b, f, &arena, &id, &err), 0);
    assert_true(agw_str_eq(id, AGW_STR(GW)));
    agw_arena_free(&arena);
    agw_tls_own_free(a);
    agw_tls_own_free(b);
}

static void test_a_server_that_is_somebody_else(void **state)
{
    const char *const others[] = {GW, APP "2", "spiffe://mesh.test/ns/a/sa/ap",
                                  "spiffe://mesh.test/ns/a/sa/a"};
    struct agw_tls_own *a = own_of(gw, ""), *b = own_of(app, "");
    for (size_t i = 0; i < AGW_ARRAY_LEN(others); i++) {
        shake(a, b, others[i]);
        assert_int_equal(client.failed, 1);
        assert_non_null(strstr(client.reason, "certificate refused"));
        assert_non_null(strstr(client.reason, others[i]));
    }
    agw_tls_own_free(a);
    agw_tls_own_free(b);
}

static int peer_code(const struct cert *of, const char *trust_domains)
{
    struct agw_tls_own *own = own_of(app, trust_domains);
    struct agw_error err = {0}, bad = {0};
    struct agw_tls_client_conf conf = {.ca_pem = agw_str_c(ca->cert_pem),
                                       .cert_pem = agw_str_c(of->cert_pem),
                                       .key_pem = agw_str_c(of->key_pem),
                                       .any_name = true,
                                       .alpn_h2 = true};
    struct agw_tls_client *c = agw_tls_client_new(&conf, &bad);
    struct agw_arena arena;
    struct agw_str id = AGW_STR("");
    assert_non_null(c);
    agw_arena_init(&arena, 1024, 0);
    selector = choose;
    selector_ctx = own;
    client.ready = server.ready = 0;
    connect_client(c, "");
    turn_until(server.ready && client.ready);
    int code = agw_tls_own_peer(own, agw_tls_find(&server.conn), &arena, &id, &err);
    assert_true(code ? err.text[0] && id.n == 0 : id.n > 0);
    agw_arena_free(&arena);
    agw_tls_client_unref(c);
    agw_tls_own_free(own);
    return code;
}

static void test_who_may_come_in(void **state)
{
    assert_int_equal(peer_code(gw, ""), 0);
    assert_int_equal(peer_code(far, ""), AGW_ETLS);
    assert_int_equal(peer_code(far, "a.test, far.test"), 0);
    assert_int_equal(peer_code(far, "far.test.x,xfar.test"), AGW_ETLS);
    assert_int_equal(peer_code(two, ""), AGW_ETLS);
    assert_int_equal(peer_code(nameless, ""), AGW_ETLS);
}

static void test_a_client_without_certificate_is_not_let_in(void **state)
{
    struct agw_tls_own *own = own_of(app, "");
    struct agw_error err = {0};
    struct agw_tls_client_conf conf = {.ca_pem = agw_str_c(ca->cert_pem), .any_name = true, .alpn_h2 = true};
    struct agw_tls_client *c = agw_tls_client_new(&conf, &err);
    selector = choose;
    selector_ctx = own;
    server.failed = 0;
    connect_client(c, "");
    turn_until(server.failed);
    agw_tls_client_unref(c);
    agw_tls_own_free(own);
}

/* The bundle names an authority that another one has signed: it is an anchor all the same. */
static void test_an_anchor_need_not_be_a_root(void **state)
{
    struct cert *leaf = cert_new("EC", middle, "URI:" APP, 10);
    struct agw_tls_own *a = own_of(gw, ""), *b = own_of(leaf, "");
    struct agw_tls_own_conf conf = conf_of(gw, middle);
    assert_int_equal(agw_tls_own_set(a, &conf, NULL), 0);
    shake(a, b, APP);
    assert_int_equal(client.ready, 1);
    cert_free(leaf);
    agw_tls_own_free(a);
    agw_tls_own_free(b);
}

static void test_nothing_is_resumed(void **state)
{
    struct agw_tls_own *a = own_of(gw, ""), *b = own_of(app, "");
    struct agw_tls_sessions sessions = {0};
    client_sessions = &sessions;
    shake(a, b, APP);
    for (int i = 0; i < 5; i++)
        agw_loop_turn(&loop, 1);
    pump_in(&client);
    client_sessions = NULL;
    assert_int_equal(sessions.count, 0);
    agw_tls_own_free(a);
    agw_tls_own_free(b);
}

static void test_trust_domains(void **state)
{
    const struct {
        const char *id, *domain;
    } cases[] = {{"spiffe://a.b-c_1/x", "a.b-c_1"},
                 {"spiffe://a", "a"},
                 {"spiffe://", ""},
                 {"spiffe:///x", ""},
                 {"https://a/x", ""},
                 {"spiffe://A/x", ""},
                 {"spiffe://a:1/x", ""},
                 {"spiffe://a?x", ""},
                 {"", ""}};
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++)
        assert_true(agw_str_eq(agw_spiffe_domain(agw_str_c(cases[i].id)), agw_str_c(cases[i].domain)));
}

static void test_out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct agw_error err = {0};
        failmalloc_at(n);
        struct agw_tls_own *own = agw_tls_own_new(AGW_STR("x"), grace);
        struct agw_tls_own_conf conf = conf_of(gw, ca);
        int code = own ? agw_tls_own_set(own, &conf, &err) : AGW_ENOMEM;
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_true(code == 0 || (code == AGW_ENOMEM && (!own || !agw_tls_own_client(own))));
        agw_tls_own_free(own);
        if (!reached)
            break;
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, tls_setup, tls_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_certificate_yet),
        cmocka_unit_test(test_what_is_no_svid_is_refused),
        cmocka_unit_test(test_readers_are_waited_for_before_the_old_one_goes),
        TEST(test_each_knows_the_other),
        TEST(test_a_server_that_is_somebody_else),
        TEST(test_who_may_come_in),
        TEST(test_a_client_without_certificate_is_not_let_in),
        TEST(test_an_anchor_need_not_be_a_root),
        TEST(test_nothing_is_resumed),
        cmocka_unit_test(test_trust_domains),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
