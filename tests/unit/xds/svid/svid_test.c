#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "failmalloc.h"
#include "proto/message.h"
#include "proto/spiffe.pb-c.h"
#include "xds/svid/svid.h"

static struct agw_arena arena;

static int set_up(void **state)
{
    agw_arena_init(&arena, 4096, AGW_SVID_RESPONSE_MEMORY);
    return 0;
}

static int tear_down(void **state)
{
    agw_arena_free(&arena);
    return 0;
}

#define DER(text) ((ProtobufCBinaryData){sizeof(text) - 1, (uint8_t *)(text)})

static struct agw_str packed(ProtobufCBinaryData cert, ProtobufCBinaryData key, ProtobufCBinaryData bundle)
{
    Spiffe__X509SVIDResponse response = SPIFFE__X509_SVIDRESPONSE__INIT;
    Spiffe__X509SVID svid = SPIFFE__X509_SVID__INIT, second = SPIFFE__X509_SVID__INIT;
    Spiffe__X509SVID *all[] = {&svid, &second};
    svid.spiffe_id = (char *)"spiffe://a/b";
    svid.x509_svid = cert;
    svid.x509_svid_key = key;
    svid.bundle = bundle;
    response.svids = all;
    response.n_svids = 2;
    return agw_proto_pack(&response, &arena);
}

static void test_the_first_identity_as_pem(void **state)
{
    struct agw_svid svid;
    struct agw_str bytes = packed(DER("\x30\x03"
                                      "abc\x30\x81\x02"
                                      "de"),
                                  DER("\x30\x82\x00\x01k"), DER("\x30\x00"));
    assert_int_equal(agw_svid_parse(bytes, &arena, &svid, NULL), 0);
    assert_true(agw_str_eq(svid.id, AGW_STR("spiffe://a/b")));
    assert_true(agw_str_eq(svid.cert_pem,
                           AGW_STR("-----BEGIN CERTIFICATE-----\nMANhYmM=\n-----END CERTIFICATE-----\n"
                                   "-----BEGIN CERTIFICATE-----\nMIECZGU=\n-----END CERTIFICATE-----\n")));
    assert_true(agw_str_eq(svid.key_pem,
                           AGW_STR("-----BEGIN PRIVATE KEY-----\nMIIAAWs=\n-----END PRIVATE KEY-----\n")));
    assert_true(agw_str_eq(svid.bundle_pem,
                           AGW_STR("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")));
}

static void test_lines_of_64(void **state)
{
    struct agw_svid svid;
    uint8_t der[98] = {0x30, 96};
    struct agw_str bytes = packed((ProtobufCBinaryData){98, der}, DER("\x30\x00"), DER("\x30\x00"));
    assert_int_equal(agw_svid_parse(bytes, &arena, &svid, NULL), 0);
    size_t longest = 0, line = 0, lines = 0;
    for (size_t i = 0; i < svid.cert_pem.n; i++) {
        line = svid.cert_pem.p[i] == '\n' ? 0 : line + 1;
        lines += line == 0;
        longest = line > longest ? line : longest;
    }
    assert_int_equal(longest, 64);
    assert_int_equal(lines, 5);
}

static void refused(struct agw_str bytes, int code, const char *why)
{
    struct agw_svid svid = {0};
    struct agw_error err = {0};
    assert_int_equal(agw_svid_parse(bytes, &arena, &svid, &err), code);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" lacks \"%s\"", err.text, why);
    assert_null(svid.cert_pem.p);
}

static void test_what_cannot_be_used(void **state)
{
    const ProtobufCBinaryData good = DER("\x30\x00"), none = {0, NULL};
    refused(AGW_STR(""), AGW_EPROTO, "svids: empty");
    refused(AGW_STR("\x0a\xff"), AGW_EPROTO, "");
    refused(packed(none, good, good), AGW_EPROTO, "x509_svid: empty");
    refused(packed(good, good, none), AGW_EPROTO, "bundle: empty");
    refused(packed(good, none, good), AGW_EPROTO, "x509_svid_key");
    refused(packed(good, DER("\x30\x00x"), good), AGW_EPROTO, "x509_svid_key");
    refused(packed(DER("\x30\x05"
                       "abc"),
                   good, good),
            AGW_EPROTO, "certificate 1");
    refused(packed(DER("\x30\x00\x31\x00"), good, good), AGW_EPROTO, "certificate 2");
    refused(packed(DER("\x30\x80\x00\x00"), good, good), AGW_EPROTO, "certificate 1");
    refused(packed(DER("\x30\x84\xff\xff\xff\xff"), good, good), AGW_EPROTO, "certificate 1");
    refused(packed(DER("\x30\x85\x00\x00\x00\x00\x00"), good, good), AGW_EPROTO, "certificate 1");
    refused(packed(DER("0"), good, good), AGW_EPROTO, "certificate 1");
}

static void test_limits(void **state)
{
    static uint8_t many[2 * (AGW_SVID_CERTS_MAX + 1)];
    static char large[AGW_SVID_RESPONSE_MAX + 1];
    for (size_t i = 0; i < sizeof(many); i += 2)
        many[i] = 0x30;
    refused(packed((ProtobufCBinaryData){sizeof(many), many}, DER("\x30\x00"), DER("\x30\x00")), AGW_ELIMIT,
            "more than 1024");
    refused(agw_str(large, sizeof(large)), AGW_ELIMIT, "more than 4194304 bytes");
}

static void test_out_of_memory(void **state)
{
    static uint8_t der[6000] = {0x30, 0x82, 0x17, 0x6c};
    ProtobufCBinaryData big = {sizeof(der), der};
    struct agw_str bytes = packed(big, big, big);
    for (long n = 1;; n++) {
        struct agw_arena own;
        struct agw_svid svid;
        agw_arena_init(&own, 256, AGW_SVID_RESPONSE_MEMORY);
        failmalloc_at(n);
        int code = agw_svid_parse(bytes, &own, &svid, NULL);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_true(code == AGW_ENOMEM || (code == 0 && !reached));
        agw_arena_free(&own);
        if (!reached)
            break;
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_identity_as_pem),
        TEST(test_lines_of_64),
        TEST(test_what_cannot_be_used),
        TEST(test_limits),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
