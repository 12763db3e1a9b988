#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "failmalloc.h"
#include "helper.h"

static struct cert *ca, *other_ca, *leaf, *known, *stranger;
static struct agw_tls_cert_pem pem;

static int group_setup(void **state)
{
    ca = cert_new("EC", NULL, NULL, 10);
    other_ca = cert_new("EC", NULL, NULL, 10);
    leaf = cert_new("EC", ca, "DNS:a.test", 10);
    known = cert_new(
        "EC", ca,
        "URI:spiffe://mesh/ns/x/sa/y,DNS:client.test,email:me@client.test,IP:192.0.2.7,IP:2001:db8::1", 10);
    stranger = cert_new("EC", other_ca, "DNS:client.test", 10);
    pem = cert_pem(leaf);
    return 0;
}

static int group_teardown(void **state)
{
    cert_free(known);
    cert_free(stranger);
    cert_free(leaf);
    cert_free(other_ca);
    cert_free(ca);
    return 0;
}

static struct agw_tls_server_conf asking(enum agw_tls_client_auth auth)
{
    return (struct agw_tls_server_conf){
        .certs = &pem, .cert_count = 1, .client_auth = auth, .client_ca_pem = agw_str_c(ca->cert_pem)};
}

static struct agw_tls_client_conf showing(const struct cert *c, enum agw_tls_version max)
{
    struct agw_tls_client_conf conf = {.ca_pem = agw_str_c(ca->cert_pem), .params = {.max_version = max}};
    if (c) {
        conf.cert_pem = agw_str_c(c->cert_pem);
        conf.key_pem = agw_str_c(c->key_pem);
    }
    return conf;
}

/* What the server knows of a client that showed |c|: AGW_ETLS when it was not let in. */
static int meet(enum agw_tls_client_auth auth, const struct cert *c, enum agw_tls_version max,
                struct agw_arena *arena, struct agw_tls_peer *ret_peer)
{
    struct agw_tls_server_conf s = asking(auth);
    struct agw_tls_client_conf conf = showing(c, max);

    handshake_between(&s, &conf, "a.test");
    if (!server.ready)
        return server.code;
    return agw_tls_peer(agw_tls_find(&server.conn), arena, ret_peer);
}

static void test_modes(void **state)
{
    static const enum agw_tls_version versions[] = {AGW_TLS_1_2, AGW_TLS_1_3};
    struct agw_arena arena;
    struct agw_tls_peer p;

    agw_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < 2; i++) {
        enum agw_tls_version v = versions[i];
        assert_int_equal(meet(AGW_TLS_CLIENT_ANONYMOUS, known, v, &arena, &p), AGW_EEOF);
        assert_int_equal(meet(AGW_TLS_CLIENT_REQUIRED, known, v, &arena, &p), 0);
        assert_true(p.verified);
        assert_int_equal(meet(AGW_TLS_CLIENT_REQUIRED, stranger, v, &arena, &p), AGW_ETLS);
        assert_non_null(strstr(server.reason, "client certificate refused: "));
        assert_int_equal(meet(AGW_TLS_CLIENT_REQUIRED, NULL, v, &arena, &p), AGW_ETLS);
        assert_non_null(strstr(server.reason, "did not return a certificate"));
        assert_int_equal(meet(AGW_TLS_CLIENT_ASKED, known, v, &arena, &p), 0);
        assert_true(p.verified);
        assert_int_equal(meet(AGW_TLS_CLIENT_ASKED, stranger, v, &arena, &p), 0);
        assert_false(p.verified); /* let in, and known for what it is */
        assert_int_equal(meet(AGW_TLS_CLIENT_ASKED, NULL, v, &arena, &p), AGW_EEOF);
    }
    agw_arena_free(&arena);
}

static void test_identity(void **state)
{
    static const struct {
        enum agw_tls_name_type type;
        const char *text;
    } names[] = {{AGW_TLS_NAME_URI, "spiffe://mesh/ns/x/sa/y"},
                 {AGW_TLS_NAME_DNS, "client.test"},
                 {AGW_TLS_NAME_EMAIL, "me@client.test"},
                 {AGW_TLS_NAME_IP, "192.0.2.7"},
                 {AGW_TLS_NAME_IP, "2001:db8::1"}};
    struct agw_arena arena;
    struct agw_tls_peer p;

    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(meet(AGW_TLS_CLIENT_REQUIRED, known, AGW_TLS_ANY, &arena, &p), 0);
    assert_true(agw_str_starts(p.subject, AGW_STR("CN=test ")));
    assert_int_equal(p.name_count, AGW_ARRAY_LEN(names));
    for (size_t i = 0; i < p.name_count; i++) {
        assert_int_equal(p.names[i].type, names[i].type);
        assert_true(agw_str_eq(p.names[i].text, agw_str_c(names[i].text)));
    }
    agw_arena_free(&arena);
}

static void test_many_names(void **state)
{
    char san[1200]; /* 100 times "DNS:n.test," without the last comma */
    struct agw_arena arena;
    struct agw_tls_peer p;

    for (size_t i = 0; i < 100; i++)
        memcpy(san + 11 * i, "DNS:n.test,", 11);
    san[11 * 100 - 1] = 0;
    struct cert *many = cert_new("EC", ca, san, 10);
    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(meet(AGW_TLS_CLIENT_REQUIRED, many, AGW_TLS_ANY, &arena, &p), 0);
    assert_int_equal(p.name_count, AGW_TLS_PEER_NAMES_MAX);
    agw_arena_free(&arena);
    cert_free(many);
}

static void test_out_of_memory(void **state)
{
    struct agw_arena arena;
    struct agw_tls_peer p;

    agw_arena_init(&arena, 64, 0);
    assert_int_equal(meet(AGW_TLS_CLIENT_REQUIRED, known, AGW_TLS_ANY, &arena, &p), 0);
    agw_arena_free(&arena);
    for (long n = 1;; n++) {
        agw_arena_init(&arena, 64, 0);
        failmalloc_at(n);
        int rc = agw_tls_peer(agw_tls_find(&server.conn), &arena, &p);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        agw_arena_free(&arena);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        if (!reached)
            break;
    }
}

/* --- resumption and client certificates --- */

static void resume(enum agw_tls_client_auth first, enum agw_tls_client_auth second, enum agw_tls_version max,
                   bool expected)
{
    struct agw_tls_server_conf a = asking(first), b = asking(second);
    struct agw_tls_client_conf conf = showing(known, max);
    struct agw_tls_sessions sessions = {0};
    struct agw_error err = {0};
    struct agw_tls_client *c = agw_tls_client_new(&conf, &err);
    struct agw_tls_server *one = agw_tls_server_new(&a, &err), *two = agw_tls_server_new(&b, &err);

    client_sessions = &sessions;
    handshake_with(one, c, "a.test");
    assert_true(client.ready && server.ready);
    server.to_send = 1;
    pump_out(&server); /* tickets of TLS 1.3 come with the first bytes */
    turn_until(client.received == 1);
    assert_false(agw_tls_resumed(agw_tls_find(&server.conn)));
    assert_true(sessions.count > 0);
    handshake_with(two, c, "a.test");
    assert_true(client.ready && server.ready);
    assert_int_equal(agw_tls_resumed(agw_tls_find(&server.conn)), expected);
    if (expected && second == AGW_TLS_CLIENT_REQUIRED) {
        struct agw_arena arena;
        struct agw_tls_peer p;
        agw_arena_init(&arena, 1024, 0);
        assert_int_equal(agw_tls_peer(agw_tls_find(&server.conn), &arena, &p),
                         0); /* it is still who it was */
        assert_true(p.verified);
        agw_arena_free(&arena);
    }
    agw_conn_close(&client.conn, false);
    client_sessions = NULL;
    agw_tls_sessions_clear(&sessions);
    agw_tls_server_unref(one);
    agw_tls_server_unref(two);
    agw_tls_client_unref(c);
}

static void test_resumption(void **state)
{
    static const enum agw_tls_version versions[] = {AGW_TLS_1_2, AGW_TLS_1_3};
    for (size_t i = 0; i < 2; i++) {
        resume(AGW_TLS_CLIENT_REQUIRED, AGW_TLS_CLIENT_REQUIRED, versions[i], true);
        resume(AGW_TLS_CLIENT_ANONYMOUS, AGW_TLS_CLIENT_ANONYMOUS, versions[i], true);
        /* a ticket is no way round the question for a certificate */
        resume(AGW_TLS_CLIENT_ANONYMOUS, AGW_TLS_CLIENT_REQUIRED, versions[i], false);
        resume(AGW_TLS_CLIENT_ASKED, AGW_TLS_CLIENT_REQUIRED, versions[i], false);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tls_setup, tls_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_modes), TEST(test_identity), TEST(test_many_names),
                                       TEST(test_out_of_memory), TEST(test_resumption)};
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
