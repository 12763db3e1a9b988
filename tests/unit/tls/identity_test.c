#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "failmalloc.h"
#include "helper.h"
#include "tls/tls_int.h"

static struct cert *ca, *middle, *a, *b, *rsa;

static int group_setup(void **state)
{
    ca = cert_new("EC", NULL, NULL, 10);
    middle = cert_new("EC", ca, NULL, 10);
    a = cert_new("EC", middle, "DNS:A.test,DNS:www.a.test", 10);
    b = cert_new("EC", ca, "DNS:b.test,DNS:*.b.test", 10);
    rsa = cert_new("RSA", middle, "DNS:www.a.test,DNS:a.test", 10);
    return 0;
}

static int group_teardown(void **state)
{
    cert_free(a);
    cert_free(b);
    cert_free(rsa);
    cert_free(middle);
    cert_free(ca);
    return 0;
}

static char *join(const char *first, const char *second, const char *third, const char *fourth)
{
    char *text = NULL;
    assert_true(asprintf(&text, "%s%s%s%s", first, second, third, fourth) > 0);
    return text;
}

/* Two chains and two keys in one pair of texts, as several certificateRefs become. */
static struct agw_tls_cert_pem two(void)
{
    return (struct agw_tls_cert_pem){
        agw_str_c(join(a->cert_pem, middle->cert_pem, b->cert_pem, middle->cert_pem)),
        agw_str_c(join(a->key_pem, b->key_pem, "", ""))};
}

static void two_free(struct agw_tls_cert_pem *pem)
{
    free((char *)pem->cert_chain.p);
    free((char *)pem->key.p);
}

static void test_several_in_one_text(void **state)
{
    struct agw_tls_identities all = {0};
    struct agw_tls_cert_pem pem = two();
    struct agw_error err = {0};

    assert_int_equal(agw_tls_identities_read(&all, &pem, &err), 0);
    assert_int_equal(all.count, 2);
    assert_int_equal(X509_cmp(all.v[0].leaf, a->x509), 0);
    assert_int_equal(X509_cmp(all.v[1].leaf, b->x509), 0);
    assert_int_equal(sk_X509_num(all.v[0].chain), 1);
    assert_int_equal(sk_X509_num(all.v[1].chain), 1);
    agw_tls_identities_free(&all);
    two_free(&pem);
}

static void refuse(const char *certs, const char *keys, const char *reason)
{
    struct agw_tls_identities all = {0};
    struct agw_tls_cert_pem pem = {agw_str_c(certs), agw_str_c(keys)};
    struct agw_error err = {0};

    assert_int_not_equal(agw_tls_identities_read(&all, &pem, &err), 0);
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" has no \"%s\"", err.text, reason);
    agw_tls_identities_free(&all);
}

static void test_bad(void **state)
{
    char *keys = join(a->key_pem, b->key_pem, "", ""), *wrong = join(b->key_pem, a->key_pem, "", "");
    char *broken = join(a->key_pem, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "", "");

    refuse(a->cert_pem, keys, "private key: number 2 fits no certificate");
    refuse(a->cert_pem, wrong, "private key: key values mismatch");
    refuse(a->cert_pem, broken, "private key: ");
    free(keys);
    free(wrong);
    free(broken);
}

static void test_names(void **state)
{
    struct agw_tls_names of_a = {0}, of_b = {0}, of_rsa = {0};

    assert_int_equal(agw_tls_names_read(&of_a, a->x509), 0);
    assert_int_equal(agw_tls_names_read(&of_b, b->x509), 0);
    assert_int_equal(agw_tls_names_read(&of_rsa, rsa->x509), 0);
    assert_int_equal(of_a.count, 2);
    assert_string_equal(of_a.v[0], "a.test");
    assert_string_equal(of_b.v[0], "*.b.test");
    assert_true(agw_tls_names_equal(&of_a, &of_rsa)); /* whatever the order and the case */
    assert_false(agw_tls_names_equal(&of_a, &of_b));
    agw_tls_names_free(&of_a);
    agw_tls_names_free(&of_b);
    agw_tls_names_free(&of_rsa);
    assert_int_equal(agw_tls_names_read(&of_a, ca->x509), 0);
    assert_int_equal(of_a.count, 1);
    assert_int_equal(strncmp(of_a.v[0], "test ", 5), 0); /* no DNS name: the common name */
    agw_tls_names_free(&of_a);
}

static void test_out_of_memory(void **state)
{
    struct agw_tls_cert_pem pem = two();

    for (long n = 1;; n++) {
        struct agw_tls_identities all = {0};
        struct agw_error err = {0};
        failmalloc_at(n);
        int rc = agw_tls_identities_read(&all, &pem, &err);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        agw_tls_identities_free(&all);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        if (!reached)
            break;
    }
    two_free(&pem);
}

/* --- the choice among them --- */

static void test_choice_by_name(void **state)
{
    struct agw_tls_cert_pem certs[2] = {two(), cert_pem(rsa)};
    struct agw_tls_server_conf s = {.certs = certs, .cert_count = 2};
    struct agw_tls_client_conf c = {.ca_pem = agw_str_c(ca->cert_pem)};
    static const struct {
        const char *host;
        bool right;
    } cases[] = {{"a.test", true},   {"WWW.a.test", true},  {"b.test", true},
                 {"x.b.test", true}, {"x.y.b.test", false}, {"other.test", false}};

    certs[1].cert_chain = agw_str_c(join(rsa->cert_pem, middle->cert_pem, "", ""));
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases);
         i++) { /* the client verifies the name: is it the right one? */
        handshake_between(&s, &c, cases[i].host);
        assert_int_equal(client.ready, cases[i].right);
    }
    c = (struct agw_tls_client_conf){
        .ca_pem = agw_str_c(ca->cert_pem), .sni = AGW_STR("other.test"), .verify_host = AGW_STR("a.test")};
    handshake_between(&s, &c, "other.test"); /* the first one where none fits */
    assert_int_equal(client.ready, 1);
    two_free(&certs[0]);
    free((char *)certs[1].cert_chain.p);
}

/* --- stapled answers --- */

static char *staple_pem(const struct cert *about, int until_s)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), about->x509, ca->x509);
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *next = X509_gmtime_adj(NULL, until_s);
    unsigned char *der = NULL;
    char *text;

    OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, now, next);
    assert_int_equal(OCSP_basic_sign(basic, ca->x509, ca->key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    int n = i2d_OCSP_RESPONSE(r, &der);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio(bio, AGW_TLS_PEM_OCSP, "", der, n);
    long length = BIO_get_mem_data(bio, &text);
    text = strndup(text, (size_t)length);
    BIO_free(bio);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(r);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    return text;
}

static const char *expected_staple; /* its PEM, NULL: none */

/* Asks for a staple as a plain OpenSSL client; 1: what came is what was expected. */
static int ask_staple(struct peer *p)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    const unsigned char *der = NULL;
    char *text = NULL;
    long n;

    SSL_set_fd(ssl, p->fd);
    SSL_set_tlsext_host_name(ssl, "b.test");
    SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
    int result = SSL_connect(ssl);
    n = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
    BIO *bio = BIO_new(BIO_s_mem());
    if (n > 0)
        PEM_write_bio(bio, AGW_TLS_PEM_OCSP, "", der, n);
    long length = BIO_get_mem_data(bio, &text);
    bool same = expected_staple ? (size_t)length == strlen(expected_staple) &&
                                      memcmp(text, expected_staple, (size_t)length) == 0
                                : n <= 0;
    BIO_free(bio);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return result == 1 && same;
}

static struct agw_tls_server *stapling;

static struct agw_tls_server *choose_stapling(void *ctx, struct agw_str sni, void **ret_choice)
{
    return stapling;
}

static void expect_staple(const char *staple, const char *expected)
{
    char *chain = join(b->cert_pem, staple, middle->cert_pem, "");
    struct agw_tls_cert_pem pem = {agw_str_c(chain), agw_str_c(b->key_pem)};
    struct agw_tls_server_conf s = {.certs = &pem, .cert_count = 1};
    struct peer p = {.fn = ask_staple};
    struct agw_error err = {0};

    stapling = agw_tls_server_new(&s, &err);
    if (!stapling)
        fail_msg("%s", err.text);
    selector = choose_stapling;
    expected_staple = expected;
    assert_int_equal(run_peer(&p), 1);
    agw_tls_server_unref(stapling);
    free(chain);
}

static void test_staple(void **state)
{
    char *fresh = staple_pem(b, 3600), *stale = staple_pem(b, -1);

    expect_staple(fresh, fresh);
    expect_staple(stale, NULL); /* rather none than one that the client must refuse */
    expect_staple("", NULL);
    free(fresh);
    free(stale);
}

static void test_bad_staple(void **state)
{
    char *other = staple_pem(a, 3600), *chain = join(b->cert_pem, other, "", "");
    char *before = join(other, b->cert_pem, "", "");
    char *junk =
        join(b->cert_pem, "-----BEGIN OCSP RESPONSE-----\nMAMKAQY=\n-----END OCSP RESPONSE-----\n", "", "");
    char *der =
        join(b->cert_pem, "-----BEGIN OCSP RESPONSE-----\nAAAA\n-----END OCSP RESPONSE-----\n", "", "");

    refuse(chain, b->key_pem, "OCSP response: is about another certificate");
    refuse(before, b->key_pem, "OCSP response: no certificate before it");
    refuse(junk, b->key_pem, "OCSP response: the responder did not answer");
    refuse(der, b->key_pem, "OCSP response: malformed");
    free(other);
    free(chain);
    free(before);
    free(junk);
    free(der);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tls_setup, tls_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_in_one_text), cmocka_unit_test(test_bad), cmocka_unit_test(test_names),
        cmocka_unit_test(test_out_of_memory),       TEST(test_choice_by_name),  TEST(test_staple),
        cmocka_unit_test(test_bad_staple),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
