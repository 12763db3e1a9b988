#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "failmalloc.h"
#include "helper.h"

static struct cert *ca, *leaf_a, *leaf_b, *leaf_rsa;
static struct agw_tls_server *server_a, *server_b;
static struct agw_tls_client *trusting;

static int group_setup(void **state)
{
    struct agw_error err = {0};

    ca = cert_new("EC", NULL, NULL, 10);
    leaf_a = cert_new("EC", ca, "DNS:a.test", 10);
    leaf_b = cert_new("EC", ca, "DNS:b.test,DNS:*.b.test", 10);
    leaf_rsa = cert_new("RSA", ca, "DNS:a.test", 10);
    server_a = server_of(leaf_a);
    server_b = server_of(leaf_b);
    struct agw_tls_client_conf conf = {.ca_pem = agw_str_c(ca->cert_pem)};
    trusting = agw_tls_client_new(&conf, &err);
    return trusting ? 0 : -1;
}

static int group_teardown(void **state)
{
    agw_tls_server_unref(server_a);
    agw_tls_server_unref(server_b);
    agw_tls_client_unref(trusting);
    cert_free(leaf_a);
    cert_free(leaf_b);
    cert_free(leaf_rsa);
    cert_free(ca);
    return 0;
}

/* --- what a configuration can get wrong --- */

static void refuse(const struct agw_tls_cert_pem *certs, size_t count, int code, const char *reason)
{
    struct agw_error err = {0};

    struct agw_tls_server_conf conf = {.certs = certs, .cert_count = count};
    assert_null(agw_tls_server_new(&conf, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" has no \"%s\"", err.text, reason);
}

static void test_bad_pem(void **state)
{
    struct agw_tls_cert_pem a = cert_pem(leaf_a), b = cert_pem(leaf_b), rsa = cert_pem(leaf_rsa), c;

    refuse(NULL, 0, AGW_EINVAL, "no certificate");
    c = (struct agw_tls_cert_pem){a.cert_chain, b.key};
    refuse(&c, 1, AGW_ETLS, "private key: key values mismatch");
    c = (struct agw_tls_cert_pem){a.cert_chain, rsa.key};
    refuse(&c, 1, AGW_ETLS, "private key:");
    c = (struct agw_tls_cert_pem){AGW_STR(""), a.key};
    refuse(&c, 1, AGW_ETLS, "certificate: no PEM block");
    c = (struct agw_tls_cert_pem){a.cert_chain, AGW_STR("")};
    refuse(&c, 1, AGW_ETLS, "private key:");
    c = (struct agw_tls_cert_pem){a.key, a.key};
    refuse(&c, 1, AGW_ETLS, "certificate: no PEM block");
    c = (struct agw_tls_cert_pem){agw_str(a.cert_chain.p, a.cert_chain.n / 2), a.key};
    refuse(&c, 1, AGW_ETLS, "certificate:");
    c = (struct agw_tls_cert_pem){AGW_STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                                  a.key};
    refuse(&c, 1, AGW_ETLS, "certificate:");
    struct agw_tls_cert_pem two[2] = {a, {rsa.cert_chain, a.key}};
    refuse(two, 2, AGW_ETLS, "certificate 2 of 2: private key");
}

/* An encrypted key must not make the process ask on its terminal. */
static void test_encrypted_key(void **state)
{
    struct agw_tls_cert_pem c = {agw_str_c(leaf_a->cert_pem),
                                 AGW_STR("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                         "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw\n"
                                         "-----END ENCRYPTED PRIVATE KEY-----\n")};
    refuse(&c, 1, AGW_ETLS, "private key:");
}

static void test_junk_behind_chain(void **state)
{
    char *text = NULL;
    assert_true(asprintf(&text, "%s-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n",
                         leaf_a->cert_pem) > 0);
    struct agw_tls_cert_pem c = {agw_str_c(text), agw_str_c(leaf_a->key_pem)};
    refuse(&c, 1, AGW_ETLS, "certificate:");
    free(text);
}

static void test_out_of_memory(void **state)
{
    struct agw_tls_cert_pem a = cert_pem(leaf_a);
    struct agw_error err = {0};

    struct agw_tls_server_conf conf = {.certs = &a, .cert_count = 1};

    for (long n = 1;; n++) {
        failmalloc_at(n);
        struct agw_tls_server *s = agw_tls_server_new(&conf, &err);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        agw_tls_server_unref(s);
        if (!reached) {
            assert_non_null(s);
            break;
        }
        assert_null(s);
        assert_int_equal(err.code, AGW_ENOMEM);
    }
}

/* --- the choice by name --- */

static int choice_a, choice_b;
static char asked[300];
static int selections;

static struct agw_tls_server *by_name(void *ctx, struct agw_str sni, void **ret_choice)
{
    assert_ptr_equal(ctx, &asked);
    selections++;
    snprintf(asked, sizeof(asked), "%.*s", AGW_STRF(sni));
    if (agw_str_eq(sni, AGW_STR("a.test"))) {
        *ret_choice = &choice_a;
        return server_a;
    }
    if (agw_str_ends(sni, AGW_STR("b.test"))) {
        *ret_choice = &choice_b;
        return server_b;
    }
    return NULL;
}

static void connect_as(const char *host)
{
    client.ready = client.failed = server.ready = server.failed = 0;
    selector = by_name;
    selector_ctx = &asked;
    connect_client(trusting, host);
    turn_until((client.ready || client.failed) && (server.ready || server.failed));
}

static void test_choice(void **state)
{
    connect_as("a.test");
    assert_int_equal(server.ready, 1);
    assert_ptr_equal(agw_tls_choice(agw_tls_find(&server.conn)), &choice_a);
    connect_as("X.B.test"); /* the client verifies *.b.test, so the right certificate came */
    assert_int_equal(client.ready, 1);
    assert_string_equal(asked, "x.b.test");
    assert_ptr_equal(agw_tls_choice(agw_tls_find(&server.conn)), &choice_b);
    assert_true(agw_str_eq(agw_tls_sni(agw_tls_find(&server.conn)), AGW_STR("x.b.test")));
}

static void test_unknown_name_is_refused(void **state)
{
    connect_as("c.test");
    assert_int_equal(server.code, AGW_ETLS);
    assert_string_equal(server.reason, "TLS handshake: no certificate for \"c.test\"");
    assert_int_equal(client.code, AGW_ETLS);
    assert_non_null(strstr(client.reason, "unrecognized name"));
}

static void test_no_name_is_refused(void **state)
{
    connect_as("127.0.0.1");
    assert_string_equal(asked, "");
    assert_int_equal(server.code, AGW_ETLS);
    assert_string_equal(server.reason, "TLS handshake: the client names no server and there is no default");
}

/* The context may be dropped as soon as the handshake is done: a reload does that. */
static struct agw_tls_server *once(void *ctx, struct agw_str sni, void **ret_choice)
{
    return *(struct agw_tls_server **)ctx;
}

static void test_context_outlived(void **state)
{
    struct agw_tls_server *s = server_of(leaf_a);

    selector = once;
    selector_ctx = &s;
    connect_client(trusting, "a.test");
    turn_until(client.ready && server.ready);
    agw_tls_server_unref(agw_tls_server_ref(s));
    agw_tls_server_unref(s);
    client.to_send = server.to_send = 50000;
    pump_out(&client);
    pump_out(&server);
    turn_until(client.received == 50000 && server.received == 50000);
}

/* --- against a client that is plain OpenSSL --- */

struct raw {
    const char *sni, *sigalgs;
    const unsigned char *alpn;
    unsigned alpn_n;
    int min, max;
    SSL_SESSION *session, *ret_session;
    bool resumed;
    bool renegotiate;
    char alpn_chosen[20];
    int key_type;
};

static void note(struct raw *r, SSL *ssl)
{
    const unsigned char *p;
    unsigned n;
    char c;

    SSL_get0_alpn_selected(ssl, &p, &n);
    if (n)
        memcpy(r->alpn_chosen, p, n);
    r->resumed = SSL_session_reused(ssl);
    X509 *cert = SSL_get0_peer_certificate(ssl);
    r->key_type = cert ? EVP_PKEY_get_base_id(X509_get0_pubkey(cert)) : 0;
    SSL_read(ssl, &c, 1); /* tickets of TLS 1.3 come with the first bytes */
    r->ret_session = SSL_get1_session(ssl);
}

/* 1: the handshake (and renegotiation) succeeded. */
static int raw_client(struct peer *p)
{
    struct raw *r = p->ctx;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_min_proto_version(ctx, r->min);
    SSL_CTX_set_max_proto_version(ctx, r->max);
    SSL_CTX_set_security_level(ctx, 0);
    if (r->sigalgs)
        SSL_CTX_set1_sigalgs_list(ctx, r->sigalgs);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, p->fd);
    if (r->sni)
        SSL_set_tlsext_host_name(ssl, r->sni);
    if (r->alpn_n)
        SSL_set_alpn_protos(ssl, r->alpn, r->alpn_n);
    if (r->session)
        SSL_set_session(ssl, r->session);
    int result = SSL_connect(ssl);
    if (result == 1 && r->renegotiate)
        result = SSL_renegotiate(ssl) == 1 && SSL_do_handshake(ssl) == 1;
    else if (result == 1)
        note(r, ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return result;
}

static int run_raw(struct raw *r)
{
    struct peer p = {.fn = raw_client, .ctx = r};

    server.ready = server.failed = 0;
    server.sent = server.received = 0;
    server.to_send = 1;
    selector = by_name;
    selector_ctx = &asked;
    if (!r->sni)
        r->sni = "a.test";
    int result = run_peer(&p);
    turn_until(server.ready || server.failed);
    return result;
}

static void test_alpn(void **state)
{
    static const struct {
        const char *offer, *chosen;
    } cases[] = {{"\x02h2\x08http/1.1", "h2"}, {"\x08http/1.1\x02h2", "h2"},
                 {"\x08http/1.1", "http/1.1"}, {"\x08http/1.0\x08http/1.1", "http/1.1"},
                 {"\x08http/1.0", "http/1.0"}, {"\x02h3\x02h2", "h2"}};
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct raw r = {.alpn = (const unsigned char *)cases[i].offer,
                        .alpn_n = (unsigned)strlen(cases[i].offer)};
        assert_int_equal(run_raw(&r), 1);
        assert_string_equal(r.alpn_chosen, cases[i].chosen);
        assert_true(agw_str_eq(agw_tls_alpn(agw_tls_find(&server.conn)), agw_str_c(cases[i].chosen)));
        SSL_SESSION_free(r.ret_session);
    }
    struct raw none = {0};
    assert_int_equal(run_raw(&none), 1);
    assert_int_equal(agw_tls_alpn(agw_tls_find(&server.conn)).n, 0);
    SSL_SESSION_free(none.ret_session);
    struct raw foreign = {.alpn = (const unsigned char *)"\x03smb", .alpn_n = 4};
    assert_int_not_equal(run_raw(&foreign), 1);
    assert_int_equal(server.code, AGW_ETLS);
}

static void test_versions(void **state)
{
    struct raw r12 = {.max = TLS1_2_VERSION}, r11 = {.max = TLS1_1_VERSION};
    assert_int_equal(run_raw(&r12), 1);
    assert_string_equal(agw_tls_version(agw_tls_find(&server.conn)), "TLSv1.2");
    SSL_SESSION_free(r12.ret_session);
    assert_int_not_equal(run_raw(&r11), 1);
    assert_int_equal(server.code, AGW_ETLS);
    assert_non_null(strstr(server.reason, "unsupported protocol"));
}

static void test_no_renegotiation(void **state)
{
    struct raw r = {.max = TLS1_2_VERSION, .renegotiate = true};
    assert_int_not_equal(run_raw(&r), 1);
}

static void resume(int version)
{
    struct raw first = {.min = version, .max = version}, again = first, other = first;

    assert_int_equal(run_raw(&first), 1);
    assert_false(first.resumed);
    again.session = first.ret_session;
    int before = selections;
    assert_int_equal(run_raw(&again), 1);
    assert_true(again.resumed);
    assert_int_equal(selections, before + 1); /* a ticket does not go round the choice */
    assert_ptr_equal(agw_tls_choice(agw_tls_find(&server.conn)), &choice_a);
    other.session = again.ret_session;
    other.sni = "b.test";
    assert_int_equal(run_raw(&other), 1);
    assert_false(other.resumed); /* nor does it open another certificate's door */
    SSL_SESSION_free(first.ret_session);
    SSL_SESSION_free(again.ret_session);
    SSL_SESSION_free(other.ret_session);
}

static void test_tickets(void **state)
{
    resume(TLS1_2_VERSION);
    resume(TLS1_3_VERSION);
}

/* A reload makes a new context of the same certificate; tickets stay good. */
static void test_tickets_survive_reload(void **state)
{
    struct raw first = {0}, again = {0};
    struct agw_tls_server *old = server_a;

    assert_int_equal(run_raw(&first), 1);
    server_a = server_of(leaf_a);
    agw_tls_server_unref(old);
    again.session = first.ret_session;
    assert_int_equal(run_raw(&again), 1);
    assert_true(again.resumed);
    SSL_SESSION_free(first.ret_session);
    SSL_SESSION_free(again.ret_session);
}

static struct agw_tls_server *both_keys;

static struct agw_tls_server *choose_both(void *ctx, struct agw_str sni, void **ret_choice)
{
    return both_keys;
}

static int key_type_for(const char *sigalgs)
{
    struct raw r = {.sni = "a.test", .sigalgs = sigalgs};
    struct peer p = {.fn = raw_client, .ctx = &r};

    selector = choose_both;
    server.sent = server.ready = 0;
    server.to_send = 1;
    assert_int_equal(run_peer(&p), 1);
    SSL_SESSION_free(r.ret_session);
    return r.key_type;
}

static void test_two_key_types(void **state)
{
    struct agw_tls_cert_pem certs[3] = {cert_pem(leaf_rsa), cert_pem(leaf_a), cert_pem(leaf_b)};
    struct agw_error err = {0};

    struct agw_tls_server_conf conf = {.certs = certs, .cert_count = 3};
    both_keys = agw_tls_server_new(&conf, &err);
    assert_non_null(both_keys);
    assert_int_equal(key_type_for("RSA-PSS+SHA256"), EVP_PKEY_RSA);
    assert_int_equal(key_type_for("ECDSA+SHA256"), EVP_PKEY_EC);
    selector = choose_both; /* of the two EC certificates the first counts: a.test verifies */
    connect_client(trusting, "a.test");
    turn_until(client.ready || client.failed);
    assert_string_equal(client.reason, "");
    agw_tls_server_unref(both_keys);
}

static void test_chain_with_intermediate(void **state)
{
    struct cert *middle = cert_new("EC", ca, NULL, 10);
    struct cert *leaf = cert_new("EC", middle, "DNS:a.test", 10);
    char *chain = NULL;
    struct agw_error err = {0};

    assert_true(asprintf(&chain, "%s%s", leaf->cert_pem, middle->cert_pem) > 0);
    struct agw_tls_cert_pem pem = {agw_str_c(chain), agw_str_c(leaf->key_pem)};
    struct agw_tls_server_conf conf = {.certs = &pem, .cert_count = 1};
    both_keys = agw_tls_server_new(&conf, &err);
    assert_non_null(both_keys);
    selector = choose_both;
    connect_client(trusting, "a.test");
    turn_until(client.ready || client.failed);
    assert_string_equal(client.reason, "");
    agw_tls_server_unref(both_keys);
    free(chain);
    cert_free(leaf);
    cert_free(middle);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tls_setup, tls_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_pem),
        cmocka_unit_test(test_encrypted_key),
        cmocka_unit_test(test_junk_behind_chain),
        cmocka_unit_test(test_out_of_memory),
        TEST(test_choice),
        TEST(test_unknown_name_is_refused),
        TEST(test_no_name_is_refused),
        TEST(test_context_outlived),
        TEST(test_alpn),
        TEST(test_versions),
        TEST(test_no_renegotiation),
        TEST(test_tickets),
        TEST(test_tickets_survive_reload),
        TEST(test_two_key_types),
        TEST(test_chain_with_intermediate),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
