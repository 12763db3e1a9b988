#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "config/tls/message.h"
#include "failmalloc.h"

static struct agw_arena arena;

static int setup(void **state)
{
    agw_arena_init(&arena, 64, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_arena_free(&arena);
    return 0;
}

static ProtobufCBinaryData text(const char *s)
{
    return (ProtobufCBinaryData){strlen(s), (uint8_t *)(uintptr_t)s};
}

static Pb__TLSConfig__CipherSuite suites[] = {
    PB__TLSCONFIG__CIPHER_SUITE__TLS_AES_128_GCM_SHA256,
    PB__TLSCONFIG__CIPHER_SUITE__TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384};
static Pb__TLSConfig__KeyExchangeGroup groups[] = {PB__TLSCONFIG__KEY_EXCHANGE_GROUP__P256,
                                                   PB__TLSCONFIG__KEY_EXCHANGE_GROUP__X25519_MLKEM768};

static Pb__TLSConfig full(void)
{
    Pb__TLSConfig t;
    pb__tlsconfig__init(&t);
    t.cert = text("certificate");
    t.private_key = text("key");
    t.cipher_suites = suites;
    t.n_cipher_suites = 2;
    t.key_exchange_groups = groups;
    t.n_key_exchange_groups = 2;
    t._min_version_case = PB__TLSCONFIG___MIN_VERSION_MIN_VERSION;
    t.min_version = PB__TLSCONFIG__TLSVERSION__TLS_V1_2;
    t._max_version_case = PB__TLSCONFIG___MAX_VERSION_MAX_VERSION;
    t.max_version = PB__TLSCONFIG__TLSVERSION__TLS_V1_3;
    t._root_case = PB__TLSCONFIG___ROOT_ROOT;
    t.root = text("root");
    return t;
}

static int convert(const Pb__TLSConfig *t, struct agw_tls_cert_pem *pem, struct agw_tls_server_conf *conf,
                   const char *reason)
{
    struct agw_error err = {0};
    int code = agw_tls_listener_conf(t, &arena, pem, conf, &err);
    if (code && reason && !strstr(err.text, reason))
        fail_msg("\"%s\" has no \"%s\"", err.text, reason);
    return code;
}

static void test_listener(void **state)
{
    struct agw_tls_cert_pem pem;
    struct agw_tls_server_conf c;
    Pb__TLSConfig t = full();

    assert_int_equal(convert(&t, &pem, &c, NULL), 0);
    assert_true(agw_str_eq(c.certs[0].cert_chain, AGW_STR("certificate")));
    assert_string_equal(c.params.suites[0], "TLS_AES_128_GCM_SHA256");
    assert_string_equal(c.params.suites[1], "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
    assert_string_equal(c.params.groups[0], "P256");
    assert_string_equal(c.params.groups[1], "X25519_MLKEM768");
    assert_int_equal(c.params.min_version, AGW_TLS_1_2);
    assert_int_equal(c.params.max_version, AGW_TLS_1_3);
    assert_int_equal(c.client_auth, AGW_TLS_CLIENT_REQUIRED);
    assert_true(agw_str_eq(c.client_ca_pem, AGW_STR("root")));
}

static void test_client_modes(void **state)
{
    static const struct {
        Pb__TLSConfig__MTLSMode mode;
        const char *root; /* NULL: not there */
        int code;
        enum agw_tls_client_auth auth;
    } cases[] = {
        {PB__TLSCONFIG__MTLSMODE__STRICT, "root", 0, AGW_TLS_CLIENT_REQUIRED},
        {PB__TLSCONFIG__MTLSMODE__STRICT, NULL, 0, AGW_TLS_CLIENT_ANONYMOUS},
        {PB__TLSCONFIG__MTLSMODE__STRICT, "", AGW_EINVAL, 0},
        {PB__TLSCONFIG__MTLSMODE__ALLOW_INSECURE_FALLBACK, "root", 0, AGW_TLS_CLIENT_ASKED},
        {PB__TLSCONFIG__MTLSMODE__ALLOW_INSECURE_FALLBACK, NULL, 0, AGW_TLS_CLIENT_ASKED},
        {PB__TLSCONFIG__MTLSMODE__DISABLE, "root", 0, AGW_TLS_CLIENT_ANONYMOUS},
        {(Pb__TLSConfig__MTLSMode)9, "root", AGW_EINVAL, 0},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_tls_cert_pem pem;
        struct agw_tls_server_conf c;
        Pb__TLSConfig t = full();
        t.mtls_mode = cases[i].mode;
        t._root_case = cases[i].root ? PB__TLSCONFIG___ROOT_ROOT : PB__TLSCONFIG___ROOT__NOT_SET;
        t.root = text(cases[i].root ? cases[i].root : "");
        assert_int_equal(convert(&t, &pem, &c, NULL), cases[i].code);
        if (!cases[i].code)
            assert_int_equal(c.client_auth, cases[i].auth);
    }
}

static void test_unknown_values(void **state)
{
    Pb__TLSConfig__CipherSuite suite = (Pb__TLSConfig__CipherSuite)99;
    Pb__TLSConfig__KeyExchangeGroup group = PB__TLSCONFIG__KEY_EXCHANGE_GROUP__KEY_EXCHANGE_GROUP_UNSPECIFIED;
    struct agw_tls_cert_pem pem;
    struct agw_tls_server_conf c;
    Pb__TLSConfig t = full();

    t.cipher_suites = &suite;
    t.n_cipher_suites = 1;
    assert_int_equal(convert(&t, &pem, &c, "cipher_suites: value 99 is not known"), AGW_EINVAL);
    t = full();
    t.key_exchange_groups = &group;
    t.n_key_exchange_groups = 1;
    assert_int_equal(convert(&t, &pem, &c, "key_exchange_groups: value 0 is not known"), AGW_EINVAL);
    t = full();
    t.min_version = (Pb__TLSConfig__TLSVersion)1;
    assert_int_equal(convert(&t, &pem, &c, "min_version: value 1 is not known or not served"), AGW_EINVAL);
    t = full();
    t.certificate_source = PB__TLSCONFIG__CERTIFICATE_SOURCE__ISTIO_WORKLOAD;
    assert_int_equal(convert(&t, &pem, &c, "certificate_source"), AGW_EUNSUPPORTED);
}

static void test_frontend_replaces_what_it_sets(void **state)
{
    char *protocols[] = {(char *)(uintptr_t) "http/1.1", (char *)(uintptr_t) "smtp"};
    Pb__FrontendPolicySpec__TLS f;
    Pb__Alpn alpn;
    struct agw_tls_cert_pem pem;
    struct agw_tls_server_conf c;
    struct agw_error err = {0};
    Pb__TLSConfig t = full();

    pb__frontend_policy_spec__tls__init(&f);
    pb__alpn__init(&alpn);
    assert_int_equal(convert(&t, &pem, &c, NULL), 0);
    f.alpn = &alpn;
    alpn.protocols = protocols;
    alpn.n_protocols = 1;
    f.cipher_suites = suites + 1;
    f.n_cipher_suites = 1;
    f._max_version_case = PB__FRONTEND_POLICY_SPEC__TLS___MAX_VERSION_MAX_VERSION;
    f.max_version = PB__TLSCONFIG__TLSVERSION__TLS_V1_2;
    assert_int_equal(agw_tls_frontend_conf(&f, true, &arena, &c, &err), 0);
    assert_int_equal(c.alpn_count, 1);
    assert_int_equal(c.params.suite_count, 1);
    assert_int_equal(c.params.group_count, 2); /* the listener's own */
    assert_int_equal(c.params.max_version, AGW_TLS_1_2);
    assert_int_equal(c.params.min_version, AGW_TLS_1_2);
    alpn.n_protocols = 2;
    assert_int_equal(agw_tls_frontend_conf(&f, true, &arena, &c, &err), AGW_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "alpn: protocol \"smtp\" is not served"));
    assert_int_equal(agw_tls_frontend_conf(&f, false, &arena, &c, &err), 0); /* not HTTP: anything goes */
}

static void test_backend(void **state)
{
    char *names[] = {(char *)(uintptr_t) "a.test", (char *)(uintptr_t) "spiffe://a/b"};
    Pb__BackendPolicySpec__BackendTLS t;
    struct agw_tls_client_conf c = {0};
    struct agw_error err = {0};

    pb__backend_policy_spec__backend_tls__init(&t);
    t.verify_subject_alt_names = names;
    t.n_verify_subject_alt_names = 2;
    t.verification = PB__BACKEND_POLICY_SPEC__BACKEND_TLS__VERIFICATION_MODE__INSECURE_HOST;
    assert_int_equal(agw_tls_backend_conf(&t, &arena, &c, &err), 0);
    assert_int_equal(c.subject_name_count, 2);
    assert_true(agw_str_eq(c.subject_names[1], AGW_STR("spiffe://a/b")));
    assert_true(c.any_name);
    assert_false(c.insecure);
    t._root_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___ROOT_ROOT;
    assert_int_equal(agw_tls_backend_conf(&t, &arena, &c, &err), AGW_ENOTFOUND);
    t._cert_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___CERT_CERT;
    assert_int_equal(agw_tls_backend_conf(&t, &arena, &c, &err), AGW_EINVAL);
}

static void test_out_of_memory(void **state)
{
    Pb__TLSConfig t = full();

    for (long n = 1;; n++) {
        struct agw_arena small;
        struct agw_tls_cert_pem pem;
        struct agw_tls_server_conf c;
        struct agw_error err = {0};
        agw_arena_init(&small, 16, 0);
        failmalloc_at(n);
        int code = agw_tls_listener_conf(&t, &small, &pem, &c, &err);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        agw_arena_free(&small);
        assert_int_equal(code, reached ? AGW_ENOMEM : 0);
        if (!reached)
            break;
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_listener),       TEST(test_client_modes),
                                       TEST(test_unknown_values), TEST(test_frontend_replaces_what_it_sets),
                                       TEST(test_backend),        cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
