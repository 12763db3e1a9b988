#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "helper.h"
#include "tls/tls_int.h"

static struct cert *ca, *leaf;
static struct agw_tls_cert_pem pem;

static int group_setup(void **state)
{
    ca = cert_new("EC", NULL, NULL, 10);
    leaf = cert_new("EC", ca, "DNS:a.test", 10);
    pem = cert_pem(leaf);
    return 0;
}

static int group_teardown(void **state)
{
    cert_free(leaf);
    cert_free(ca);
    return 0;
}

static struct agw_tls_server_conf serving(struct agw_tls_params params)
{
    return (struct agw_tls_server_conf){.certs = &pem, .cert_count = 1, .params = params};
}

/* The agreed version, NULL when there was none. */
static const char *agree(struct agw_tls_params of_server, struct agw_tls_params of_client)
{
    struct agw_tls_server_conf s = serving(of_server);
    struct agw_tls_client_conf c = {.ca_pem = agw_str_c(ca->cert_pem), .params = of_client};

    handshake_between(&s, &c, "a.test");
    return client.ready && server.ready ? agw_tls_version(agw_tls_find(&server.conn)) : NULL;
}

static const struct agw_tls_params any, only12 = {.max_version = AGW_TLS_1_2},
                                        only13 = {.min_version = AGW_TLS_1_3};

static void test_versions(void **state)
{
    assert_string_equal(agree(any, any), "TLSv1.3");
    assert_string_equal(agree(only12, any), "TLSv1.2");
    assert_string_equal(agree(any, only12), "TLSv1.2");
    assert_string_equal(agree(only13, any), "TLSv1.3");
    assert_null(agree(only13, only12));
    assert_null(agree(only12, only13));
}

static struct agw_tls_params suite(const char *const *names, size_t count)
{
    return (struct agw_tls_params){.suites = names, .suite_count = count};
}

static void test_suites(void **state)
{
    static const char *const aes128[] = {"TLS_AES_128_GCM_SHA256"},
                             *const aes256[] = {"TLS_AES_256_GCM_SHA384"},
                             *const ecdsa[] = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
                             *const rsa[] = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
                             *const both[] = {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                                              "TLS_CHACHA20_POLY1305_SHA256"};

    assert_string_equal(agree(suite(aes128, 1), any), "TLSv1.3");
    assert_null(agree(suite(aes128, 1), suite(aes256, 1)));
    assert_null(agree(suite(aes128, 1), only12)); /* no suite of that version was named */
    assert_string_equal(agree(suite(ecdsa, 1), any), "TLSv1.2");
    assert_null(agree(suite(rsa, 1), any)); /* the key is of the other type */
    assert_string_equal(agree(suite(both, 2), only12), "TLSv1.2");
    assert_string_equal(agree(suite(both, 2), any), "TLSv1.3");
    assert_null(agree(suite(both, 2), suite(aes128, 1)));
}

static struct agw_tls_params group(const char *const *names, size_t count)
{
    return (struct agw_tls_params){.groups = names, .group_count = count};
}

/* What is offered first, and so agreed on, when nobody names groups: the best that this library has. */
static void test_default_group(void **state)
{
    bool has = agw_tls_has_group("X25519MLKEM768");
    assert_int_equal(has, agw_tls_has_group("X25519_MLKEM768")); /* two spellings of one name */
    assert_string_equal(agree(any, any), "TLSv1.3");
    SSL *ssl = ((struct agw_tls *)agw_tls_find(&server.conn))->ssl;
    const char *agreed = SSL_group_to_name(ssl, (int)SSL_get_negotiated_group(ssl));
    assert_non_null(agreed);
    if (strcasecmp(agreed, has ? "X25519MLKEM768" : "x25519") != 0)
        fail_msg("agreed on %s", agreed);
}

static void test_groups(void **state)
{
    static const char *const p256[] = {"P-256"}, *const p384[] = {"P384"},
                             *const more[] = {"P-384", "X25519_MLKEM768", "X25519"};

    assert_string_equal(agree(group(p256, 1), any), "TLSv1.3"); /* after HelloRetryRequest */
    assert_string_equal(agree(group(p384, 1), any), "TLSv1.3");
    assert_null(agree(group(p256, 1), group(p384, 1)));
    assert_string_equal(agree(group(more, 3), group(p384, 1)), "TLSv1.3");
    assert_string_equal(agree(any, group(p256, 1)), "TLSv1.3");
}

static void refuse(struct agw_tls_params params, int code, const char *reason)
{
    struct agw_tls_server_conf s = serving(params);
    struct agw_tls_client_conf c = {.ca_pem = agw_str_c(ca->cert_pem), .params = params};
    struct agw_error err = {0};

    assert_null(agw_tls_server_new(&s, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" has no \"%s\"", err.text, reason);
    err = (struct agw_error){0};
    assert_null(agw_tls_client_new(&c, &err));
    assert_int_equal(err.code, code);
}

static void test_bad(void **state)
{
    static const char *const unknown[] = {"TLS_RSA_WITH_RC4_128_MD5"}, *const curve[] = {"X25519", "P-521"},
                             *const pq[] = {"X25519_MLKEM768"},
                             *const old[] = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"};
    struct agw_tls_params p = {.min_version = AGW_TLS_1_3, .max_version = AGW_TLS_1_2};

    refuse(suite(unknown, 1), AGW_EINVAL, "cipher suite \"TLS_RSA_WITH_RC4_128_MD5\" is not known");
    refuse(group(curve, 2), AGW_EINVAL, "group \"P-521\" is not known");
    refuse(p, AGW_EINVAL, "no version is left");
    p = suite(old, 1);
    p.min_version = AGW_TLS_1_3;
    refuse(p, AGW_EINVAL, "no version is left");
    if (agw_tls_has_group("X25519_MLKEM768"))
        assert_string_equal(agree(group(pq, 1), any), "TLSv1.3");
    else
        refuse(group(pq, 1), AGW_EUNSUPPORTED, "group X25519_MLKEM768 is not in this library (OpenSSL ");
}

static void test_too_many(void **state)
{
    const char *names[64];
    for (size_t i = 0; i < 64; i++)
        names[i] = "TLS_AES_128_GCM_SHA256";
    refuse(suite(names, 64), AGW_EINVAL, "more than once");
    for (size_t i = 0; i < 64; i++)
        names[i] = "P-256";
    refuse(group(names, 64), AGW_EINVAL, "more than once");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tls_setup, tls_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_versions),      TEST(test_suites),
                                       TEST(test_default_group), TEST(test_groups),
                                       TEST(test_bad),           cmocka_unit_test(test_too_many)};
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
