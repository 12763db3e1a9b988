#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "failmalloc.h"
#include "helper.h"

static struct cert *ca, *other_ca, *leaf, *expired, *self_signed, *client_cert;
static struct agw_tls_server *serving;

static int group_setup(void **state)
{
    ca = cert_new("EC", NULL, NULL, 10);
    other_ca = cert_new("RSA", NULL, NULL, 10);
    leaf = cert_new("EC", ca, "DNS:a.test,DNS:*.w.test,IP:127.0.0.1,IP:::1", 10);
    expired = cert_new("EC", ca, "DNS:a.test", -1);
    self_signed = cert_new("EC", NULL, "DNS:a.test", 10);
    client_cert = cert_new("RSA", ca, "DNS:client.test", 10);
    return 0;
}

static int group_teardown(void **state)
{
    cert_free(ca);
    cert_free(other_ca);
    cert_free(leaf);
    cert_free(expired);
    cert_free(self_signed);
    cert_free(client_cert);
    return 0;
}

static struct agw_tls_server *choose(void *ctx, struct agw_str sni, void **ret_choice)
{
    return serving;
}

/* One handshake against |cert|; the client's view is in |client| after it. */
static void handshake(const struct cert *cert, struct agw_tls_client_conf conf, const char *host)
{
    struct agw_error err = {0};
    struct agw_tls_client *c = agw_tls_client_new(&conf, &err);

    if (!c)
        fail_msg("%s", err.text);
    serving = server_of(cert);
    selector = choose;
    client.ready = client.failed = server.ready = server.failed = 0;
    client.reason[0] = 0;
    connect_client(c, host);
    agw_tls_client_unref(c); /* the filter keeps what it needs */
    turn_until((client.ready || client.failed) && (server.ready || server.failed));
    agw_tls_server_unref(serving);
}

static struct agw_tls_client_conf trusting(void)
{
    return (struct agw_tls_client_conf){.ca_pem = agw_str_c(ca->cert_pem)};
}

static void accepted(const struct cert *cert, struct agw_tls_client_conf conf, const char *host,
                     const char *sni)
{
    handshake(cert, conf, host);
    assert_string_equal(client.reason, "");
    assert_int_equal(client.ready, 1);
    struct agw_str got = agw_tls_sni(agw_tls_find(&server.conn));
    if (!agw_str_eq(got, agw_str_c(sni)))
        fail_msg("SNI \"%.*s\", expected \"%s\"", AGW_STRF(got), sni);
}

static void refused(const struct cert *cert, struct agw_tls_client_conf conf, const char *host,
                    const char *reason)
{
    handshake(cert, conf, host);
    assert_int_equal(client.failed, 1);
    assert_int_equal(client.code, AGW_ETLS);
    if (!strstr(client.reason, reason))
        fail_msg("\"%s\" has no \"%s\"", client.reason, reason);
}

static void test_names(void **state)
{
    struct agw_tls_client_conf conf = trusting();

    accepted(leaf, conf, "a.test", "a.test");
    accepted(leaf, conf, "A.Test", "a.test");
    accepted(leaf, conf, "a.test.", "a.test");
    accepted(leaf, conf, "x.w.test", "x.w.test");
    accepted(leaf, conf, "127.0.0.1", ""); /* an address is verified, not sent */
    accepted(leaf, conf, "[::1]", "");
    accepted(leaf, conf, "", ""); /* no name to check: the chain alone */
    conf.sni = AGW_STR("a.test");
    accepted(leaf, conf, "backend.internal", "a.test");
    conf.verify_host = AGW_STR("q.w.test");
    conf.sni = AGW_STR("other.test");
    accepted(leaf, conf, "backend.internal", "other.test");
    conf.sni = (struct agw_str){0};
    accepted(leaf, conf, "backend.internal", "backend.internal");
}

static void test_wrong_names(void **state)
{
    struct agw_tls_client_conf conf = trusting();

    refused(leaf, conf, "b.test", "certificate refused: hostname mismatch (expected \"b.test\")");
    refused(leaf, conf, "x.y.w.test", "hostname mismatch");
    refused(leaf, conf, "w.test", "hostname mismatch");
    refused(leaf, conf, "127.0.0.2", "IP address mismatch (expected \"127.0.0.2\")");
    conf.verify_host = AGW_STR("z.test");
    refused(leaf, conf, "a.test", "hostname mismatch (expected \"z.test\")");
    conf = trusting();
    conf.sni = AGW_STR("z.test");
    refused(leaf, conf, "a.test", "hostname mismatch (expected \"z.test\")");
}

static void test_untrusted(void **state)
{
    struct agw_tls_client_conf conf = {.ca_pem = agw_str_c(other_ca->cert_pem)}, system_roots = {0};

    refused(leaf, conf, "a.test", "unable to get local issuer certificate");
    refused(self_signed, trusting(), "a.test", "self-signed certificate");
    refused(expired, trusting(), "a.test", "certificate has expired");
    refused(leaf, system_roots, "a.test", "unable to get local issuer certificate");
    refused(leaf, system_roots, "a.test", "unable to get local issuer certificate");
    assert_non_null(strstr(server.reason, "unknown ca")); /* and the server is told */
}

static void test_ca_bundle(void **state)
{
    char *bundle = NULL;

    assert_true(asprintf(&bundle, "# two\n%s\ntext between\n%s\n", other_ca->cert_pem, ca->cert_pem) > 0);
    struct agw_tls_client_conf conf = {.ca_pem = agw_str_c(bundle)};
    accepted(leaf, conf, "a.test", "a.test");
    free(bundle);
}

static void test_insecure(void **state)
{
    struct agw_tls_client_conf conf = {.insecure = true};

    accepted(expired, conf, "b.test", "b.test");
    accepted(self_signed, conf, "", "");
}

static void test_alpn(void **state)
{
    static const struct {
        bool h2, http1;
        const char *chosen;
    } cases[] = {{true, true, "h2"}, {false, true, "http/1.1"}, {true, false, "h2"}, {false, false, ""}};
    for (int i = 0; i < 4; i++) {
        struct agw_tls_client_conf conf = trusting();
        conf.alpn_h2 = cases[i].h2;
        conf.alpn_http1 = cases[i].http1;
        accepted(leaf, conf, "a.test", "a.test");
        assert_true(agw_str_eq(agw_tls_alpn(agw_tls_find(&client.conn)), agw_str_c(cases[i].chosen)));
    }
}

static void bad_conf(struct agw_tls_client_conf conf, int code, const char *reason)
{
    struct agw_error err = {0};

    assert_null(agw_tls_client_new(&conf, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" has no \"%s\"", err.text, reason);
}

static void test_bad_conf(void **state)
{
    struct agw_tls_client_conf conf = {.ca_pem = AGW_STR("not PEM")};
    char name[300];

    bad_conf(conf, AGW_ETLS, "CA certificate: no PEM block");
    conf.ca_pem = agw_str(ca->cert_pem, strlen(ca->cert_pem) - 30);
    bad_conf(conf, AGW_ETLS, "CA certificate:");
    conf = trusting();
    conf.cert_pem = agw_str_c(client_cert->cert_pem);
    bad_conf(conf, AGW_ETLS, "client: private key:");
    conf.key_pem = agw_str_c(leaf->key_pem);
    bad_conf(conf, AGW_ETLS, "client: private key:");
    conf = trusting();
    memset(name, 'a', sizeof(name));
    conf.sni = agw_str(name, 256);
    bad_conf(conf, AGW_EINVAL, "too long");
    struct agw_error err;
    conf = trusting();
    struct agw_tls_client *c = agw_tls_client_new(&conf, &err);
    assert_non_null(c);
    assert_null(agw_tls_client_filter(c, agw_str(name, 300), NULL));
    agw_tls_client_unref(agw_tls_client_ref(c));
    agw_tls_client_unref(c);
}

static void test_out_of_memory(void **state)
{
    struct agw_tls_client_conf conf = trusting();

    conf.sni = conf.verify_host = AGW_STR("a.test");
    for (long n = 1;; n++) {
        struct agw_error err = {0};
        failmalloc_at(n);
        struct agw_tls_client *c = agw_tls_client_new(&conf, &err);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_true(!c == reached);
        assert_int_equal(err.code, reached ? AGW_ENOMEM : 0);
        agw_tls_client_unref(c);
        if (!reached)
            break;
    }
}

/* --- against a server that is plain OpenSSL and wants a certificate --- */

static int mutual_server(struct peer *p)
{
    int *max_version = p->ctx;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    char c = 0;

    SSL_CTX_set_max_proto_version(ctx, *max_version);
    SSL_CTX_use_certificate(ctx, leaf->x509);
    SSL_CTX_use_PrivateKey(ctx, leaf->key);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca->x509);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, p->fd);
    int result = SSL_accept(ssl);
    if (result == 1)
        result = SSL_write(ssl, "", 1) == 1 && SSL_read(ssl, &c, 1) == 1; /* byte 0 of the pattern is 0 */
    SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return result;
}

static int mutual(struct agw_tls_client_conf conf, int max_version)
{
    struct agw_error err = {0};
    struct agw_tls_client *c = agw_tls_client_new(&conf, &err);
    struct peer p = {.fn = mutual_server, .ctx = &max_version};

    assert_non_null(c);
    client.ready = client.failed = 0;
    client.sent = client.received = 0;
    client.to_send = conf.cert_pem.n ? 1 : 0; /* unread bytes would turn the server's close into a reset */
    client.read_code = 0;
    int result = run_accepting_peer(&p, c, "a.test");
    agw_tls_client_unref(c);
    turn_until(client.failed || (client.read_code && client.read_code != AGW_EAGAIN));
    return result;
}

static void test_client_certificate(void **state)
{
    struct agw_tls_client_conf conf = trusting();

    conf.cert_pem = agw_str_c(client_cert->cert_pem);
    conf.key_pem = agw_str_c(client_cert->key_pem);
    assert_int_equal(mutual(conf, TLS1_3_VERSION), 1);
    assert_int_equal(client.read_code, AGW_EEOF);
    assert_int_equal(client.received, 1);
    assert_int_equal(mutual(conf, TLS1_2_VERSION), 1);
}

static void test_client_certificate_missing(void **state)
{
    assert_int_not_equal(mutual(trusting(), TLS1_2_VERSION), 1);
    assert_int_equal(client.failed, 1);
    assert_int_equal(client.code, AGW_ETLS);
    assert_non_null(strstr(client.reason, "alert handshake failure"));
    /* In TLS 1.3 the client is done before the server has looked: the first read tells. */
    assert_int_not_equal(mutual(trusting(), TLS1_3_VERSION), 1);
    assert_int_equal(client.ready, 1);
    assert_int_equal(client.read_code, AGW_ETLS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tls_setup, tls_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names),
        TEST(test_wrong_names),
        TEST(test_untrusted),
        TEST(test_ca_bundle),
        TEST(test_insecure),
        TEST(test_alpn),
        cmocka_unit_test(test_bad_conf),
        cmocka_unit_test(test_out_of_memory),
        TEST(test_client_certificate),
        TEST(test_client_certificate_missing),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
